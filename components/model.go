package components

import (
	"exp/components/autodiff"
	"exp/components/nn"
	"exp/registry"
)

// Parts is the components that a model is made of.
type Parts struct {
	Encoder   registry.Build[Encoder, EncoderDeps]
	Decoder   registry.Build[Decoder, DecoderDeps]
	Attention registry.Build[Attention, AttentionDeps] // builds nil for "none"
}

// Model is an encoder, a decoder and an attention with the embeddings before
// them and the output layer after them: logits = W state + b.
type Model struct {
	Params  *autodiff.Params
	Encoder Encoder
	Decoder Decoder
	Output  nn.Linear // [V, D]
}

// NewModel builds the parts with their parameters in params, for vocabularies
// of the sizes given. An error says why the parts do not fit.
func NewModel(parts Parts, params *autodiff.Params, sourceSize, targetSize int) (*Model, error) {
	m := &Model{Params: params}
	var err error
	m.Encoder, err = parts.Encoder(EncoderDeps{
		Params: params.Scope("encoder"),
		Source: embedder(params, "source_embedding", sourceSize),
	})
	if err != nil {
		return nil, registry.Under("model.encoder", err)
	}
	m.Decoder, err = parts.Decoder(DecoderDeps{
		Params: params.Scope("decoder"),
		Target: embedder(params, "target_embedding", targetSize),
		Attention: func(p *autodiff.Params, querySize int) (Attention, error) {
			a, err := parts.Attention(AttentionDeps{Params: p, QuerySize: querySize, MemorySize: m.Encoder.MemorySize()})
			if err != nil {
				return nil, registry.Under("model.attention", err)
			}
			return a, nil
		},
		MemorySize: m.Encoder.MemorySize(),
		Final:      m.Encoder.Final(),
	})
	if err != nil {
		return nil, registry.Under("model.decoder", err)
	}
	m.Output = nn.NewLinear(params, "output", m.Decoder.OutputSize(), targetSize)
	return m, nil
}

// Check builds the parts with shapes only. It returns the number of parameters
// for vocabularies of the sizes given, or why the parts do not fit.
func Check(parts Parts, sourceSize, targetSize int) (parameters int, err error) {
	m, err := NewModel(parts, autodiff.Declare(), sourceSize, targetSize)
	if err != nil {
		return 0, err
	}
	return m.Params.Count(), nil
}

// embedder returns what an encoder or a decoder calls for its token embedding.
func embedder(params *autodiff.Params, name string, vocabulary int) func(size int) (Embedder, error) {
	return func(size int) (Embedder, error) {
		return Embedding{Table: nn.NewEmbedding(params, name, vocabulary, size)}, nil
	}
}

// Embedding is a table of one vector a token.
type Embedding struct{ Table *autodiff.Var } // [V, E]

// Embed returns the rows of the table that s names, [Σ lengths, E].
func (e Embedding) Embed(t *autodiff.Tape, s Sequences) *autodiff.Var {
	return autodiff.Embed(t, e.Table, s.Tokens)
}

// MaxLengths returns the longest source and target that the model can read, 0
// for any, and the options that set them.
func (m *Model) MaxLengths() (source int, sourceOption string, target int, targetOption string) {
	if l, ok := m.Encoder.(Limited); ok {
		source, sourceOption = l.MaxLength()
	}
	if l, ok := m.Decoder.(Limited); ok {
		target, targetOption = l.MaxLength()
	}
	return source, "model.encoder." + sourceOption, target, "model.decoder." + targetOption
}

// Logits returns the teacher-forced prediction of each target token, one
// sequence after the other: [Σ lengths, V].
func (m *Model) Logits(t *autodiff.Tape, b *Batch) *autodiff.Var {
	return m.Output.Forward(t, m.decode(t, b).States)
}

// decode is the teacher-forced pass over a batch.
func (m *Model) decode(t *autodiff.Tape, b *Batch) Decoded {
	return m.Decoder.Decode(t, m.Encoder.Encode(t, b.Source), b.TargetIn)
}

// Loss returns what training makes smaller, the mean a target token of the
// cross-entropy and of the decoder's own loss, in nats, and the tokens that it is a
// mean over.
func (m *Model) Loss(t *autodiff.Tape, b *Batch, smoothing float64) (loss *autodiff.Var, targets []int32) {
	decoded := m.decode(t, b)
	targets = b.TargetOut.Tokens
	loss = autodiff.LinearCrossEntropy(t, decoded.States, m.Output.Weight, m.Output.Bias, targets, smoothing)
	if decoded.Loss != nil {
		autodiff.AddTo(t, loss, autodiff.Scale(t, decoded.Loss, 1/float64(len(targets))))
	}
	return loss, targets
}

// TokenLosses returns the cross-entropy of each target token in nats, one
// sequence after the other, the logits it comes from [Σ lengths, V], and the tokens.
func (m *Model) TokenLosses(t *autodiff.Tape, b *Batch) (losses []float64, logits *autodiff.Var, targets []int32) {
	logits, targets = m.Logits(t, b), b.TargetOut.Tokens
	return autodiff.TokenLosses(t, logits, targets), logits, targets
}
