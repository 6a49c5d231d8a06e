package components

import (
	"fmt"
	"slices"

	"exp/components/autodiff"
	"exp/registry"
)

// Parts is the components that a model is made of.
type Parts struct {
	Encoder   registry.Build[Encoder, EncoderDeps]
	Decoder   registry.Build[Decoder, DecoderDeps]
	Attention registry.Build[Attention, AttentionDeps] // builds nil for "none"
	Output    registry.Build[Output, OutputDeps]       // nil for [DefaultOutput]

	Embeddings Embeddings
	FrontEnd   registry.Build[FrontEnd, FrontEndDeps] // of frames; nil where sources are tokens
}

// Model is an encoder, a decoder and an attention with the embeddings before
// them and the output after them.
type Model struct {
	Params  *autodiff.Params
	Encoder Encoder
	Decoder Decoder
	Output  Output

	tables     tables
	frontEnd   FrontEnd // nil where sources are tokens
	attends    bool     // the decoder looks at the memory
	vocabulary int      // V, or the classes of an aligned decoder
	numbers    []int32  // see [Data.Numbers]
}

// NewModel builds the parts with their parameters in params, for vocabularies
// of the sizes given; with a front end the source's is that of its frames. An
// error says why the parts do not fit.
func NewModel(parts Parts, params *autodiff.Params, sourceSize, targetSize int) (*Model, error) {
	m := &Model{Params: params, tables: tables{Embeddings: parts.Embeddings, params: params}, vocabulary: targetSize}
	output := OutputDeps{Params: params, Vocabulary: targetSize}
	var err error
	m.Encoder, err = parts.Encoder(EncoderDeps{
		Params: params.Scope("encoder"),
		Source: m.source(parts, sourceSize),
	})
	if err != nil {
		return nil, registry.Under("model.encoder", err)
	}
	_, splits := m.Encoder.(Splitting)
	if splits && m.frontEnd != nil {
		return nil, registry.Fault{Key: "model.encoder.type", Problem: "splits its source at a token, and frames have none"}
	}
	m.Decoder, err = parts.Decoder(DecoderDeps{
		Params: params.Scope("decoder"),
		Target: func(size int) (Embedder, error) {
			output.InputSize = size
			return m.tables.targetEmbedder(targetSize)(size)
		},
		Attention: func(p *autodiff.Params, querySize int) (Attention, error) {
			a, err := parts.Attention(AttentionDeps{Params: p, QuerySize: querySize, MemorySize: m.Encoder.MemorySize()})
			if err != nil {
				return nil, registry.Under("model.attention", err)
			}
			if a != nil {
				output.ContextSize, m.attends = a.ContextSize(), true
			}
			return a, nil
		},
		MemorySize: m.Encoder.MemorySize(),
		Final:      m.Encoder.Final(),
	})
	if err != nil {
		return nil, registry.Under("model.decoder", err)
	}
	stepwise := !splits && m.MemorySteps(1<<20) == 1<<20 // a step of the memory is one of the source
	if m.Aligned() {
		if !stepwise {
			return nil, registry.Fault{Key: "model.decoder.type", Problem: "says a class for each step of the source, and the memory has fewer"}
		}
		m.vocabulary -= int(NumSpecial)
	}
	output.StateSize, output.Vocabulary = m.Decoder.OutputSize(), m.vocabulary
	if output.Tied, err = m.tables.tied(output.StateSize); err != nil {
		return nil, err
	}
	if parts.Output == nil {
		parts.Output = func(d OutputDeps) (Output, error) { return NewSoftmax(SoftmaxOptions{}, d) }
	}
	if m.Output, err = parts.Output(output); err != nil {
		return nil, registry.Under("model.output", err)
	}
	if m.Output.Points() && (!stepwise || m.frontEnd != nil) {
		return nil, registry.Fault{Key: "model.output.type", Problem: "points at tokens of the source, and the encoder's memory is not of these"}
	}
	return m, nil
}

// Number gives the model the numbers of the source's tokens in the target, see
// [Data.Numbers]. A model whose output points needs them before it reads anything.
func (m *Model) Number(numbers []int32) { m.numbers = numbers }

// Check builds the parts with shapes only. It returns the number of parameters
// for vocabularies of the sizes given, or why the parts do not fit.
func Check(parts Parts, sourceSize, targetSize int) (parameters int, err error) {
	m, err := NewModel(parts, autodiff.Declare(), sourceSize, targetSize)
	if err != nil {
		return 0, err
	}
	return m.Params.Count(), nil
}

// source returns what an encoder calls for what embeds its source.
func (m *Model) source(parts Parts, size int) func(size int) (Embedder, error) {
	if parts.FrontEnd == nil {
		return m.tables.sourceEmbedder(size)
	}
	return func(embedding int) (Embedder, error) {
		if m.tables.Shared {
			return nil, registry.Fault{Key: "model.embeddings.shared", Problem: "needs an embedding of the source, and frames have none"}
		}
		var err error
		m.frontEnd, err = parts.FrontEnd(FrontEndDeps{Params: m.Params.Scope("front_end"), FrameSize: size, Size: embedding})
		return embedded{}, registry.Under("model.front_end", err)
	}
}

// embedded is the Embedder of a model with a front end, which has done its work
// before the encoder begins.
type embedded struct{}

func (embedded) Embed(_ *autodiff.Tape, s Sequences) *autodiff.Var { return s.Embedded }

// Encode reads a batch of sources for the model's decoder.
func (m *Model) Encode(t *autodiff.Tape, source Sequences) Memory {
	if m.frontEnd != nil {
		x := t.Constant(source.Frames.Values, source.Steps(), source.Frames.Size)
		source.Embedded, source.Spans = m.frontEnd.Forward(t, x, source.Spans)
	}
	memory := m.Encoder.Encode(t, source)
	memory.Pointed = m.Output.Points()
	return memory
}

// EncoderSteps is how many steps the encoder reads of a source of so many.
func (m *Model) EncoderSteps(source int) int {
	if m.frontEnd != nil {
		return m.frontEnd.Length(source)
	}
	return source
}

// MemorySteps is how many steps the memory has of a source of so many.
func (m *Model) MemorySteps(source int) int {
	steps := m.EncoderSteps(source)
	if s, ok := m.Encoder.(Shortening); ok {
		return s.Length(steps)
	}
	return steps
}

// Aligned says whether the decoder says a class for each step of the memory.
func (m *Model) Aligned() bool {
	_, aligned := m.Decoder.(Aligned)
	return aligned
}

// Attends says whether the decoder has an attention to the memory.
func (m *Model) Attends() bool { return m.attends }

// Fill makes b the batch of pairs as the model reads it, reusing its memory.
func (m *Model) Fill(b *Batch, pairs []Pair) {
	if m.Aligned() {
		b.FillAligned(pairs)
	} else {
		b.Fill(pairs)
	}
}

// Embeddings returns the tables of token vectors, each once.
func (m *Model) Embeddings() []*autodiff.Var {
	var all []*autodiff.Var
	for _, table := range []*autodiff.Var{m.tables.source, m.tables.target} {
		if table != nil && !slices.Contains(all, table) {
			all = append(all, table)
		}
	}
	return all
}

// ReadSource tells the encoder the numbers of the tokens that it knows by their
// text. An error says that the vocabulary lacks one.
func (m *Model) ReadSource(v *Vocabulary) error {
	s, ok := m.Encoder.(Splitting)
	if !ok {
		return nil
	}
	token, option := s.Separator()
	id := v.ID(token)
	if id == Unk {
		return registry.Fault{Key: "model.encoder." + option, Problem: fmt.Sprintf("%q is no token of the source's vocabulary of %d", token, v.Size())}
	}
	s.SetSeparator(id)
	return nil
}

// MaxLengths returns the longest source that the encoder, and the longest target
// that the decoder can read, 0 for any, and the options that set them.
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
// sequence after the other: [Σ lengths, V], or more columns where the output
// points, see [Extended].
func (m *Model) Logits(t *autodiff.Tape, b *Batch) *autodiff.Var {
	decoded, x := m.Decode(t, m.Encode(t, b.Source), b)
	return m.Output.Logits(t, decoded, x)
}

// Decode is the teacher-forced pass over a batch, given what Encode returned.
func (m *Model) Decode(t *autodiff.Tape, memory Memory, b *Batch) (Decoded, Extended) {
	x := m.extend(t, b.Source)
	x.Queries = b.TargetIn.Spans
	return m.Decoder.Decode(t, memory, m.known(t, b.TargetIn)), x
}

// Loss returns what training makes smaller, the mean a target token of the
// cross-entropy and of the decoder's own loss, in nats, and the tokens that it is a
// mean over.
func (m *Model) Loss(t *autodiff.Tape, b *Batch, smoothing float64) (loss *autodiff.Var, targets []int32) {
	decoded, x := m.Decode(t, m.Encode(t, b.Source), b)
	return m.LossOf(t, decoded, x, b, smoothing)
}

// LossOf is Loss of what Decode returned.
func (m *Model) LossOf(t *autodiff.Tape, decoded Decoded, x Extended, b *Batch, smoothing float64) (loss *autodiff.Var, targets []int32) {
	targets = m.columns(t, b.TargetOut, x).Tokens
	loss = m.Output.Loss(t, decoded, x, targets, smoothing)
	if decoded.Loss != nil {
		autodiff.AddTo(t, loss, autodiff.Scale(t, decoded.Loss, 1/float64(len(targets))))
	}
	return loss, targets
}

// TokenLosses returns the cross-entropy of each target token in nats, one
// sequence after the other, the logits it comes from [Σ lengths, V or more], and
// the tokens, as columns.
func (m *Model) TokenLosses(t *autodiff.Tape, b *Batch) (losses []float64, logits *autodiff.Var, targets []int32) {
	decoded, x := m.Decode(t, m.Encode(t, b.Source), b)
	logits, targets = m.Output.Logits(t, decoded, x), m.columns(t, b.TargetOut, x).Tokens
	return autodiff.TokenLosses(t, logits, targets), logits, targets
}

// Decoding is a batch of sources that are decoded step after step.
type Decoding struct {
	Extended                // the columns of the logits, row by row
	Memory   autodiff.Spans // of the sources that it began with
	model    *Model
	state    DecoderState
}

// Start begins to decode a batch of sources. The tape must not record, and what is
// returned is valid until its Reset.
func (m *Model) Start(t *autodiff.Tape, source Sequences) *Decoding {
	memory := m.Encode(t, source)
	d := &Decoding{Extended: m.extend(t, source), Memory: memory.Spans, model: m, state: m.Decoder.Start(t, memory)}
	d.Queries = autodiff.SingleRows(t, source.Batch())
	return d
}

// Step reads the token of every row, as [Decoder.Step] does. What it returns is valid
// until the next but one.
func (d *Decoding) Step(t *autodiff.Tape, tokens Sequences) Decoded {
	t.Turn()
	return d.model.Decoder.Step(t, d.state, d.model.known(t, tokens))
}

// Column returns the column of the logits of a row that a token has, that of [Unk]
// where it has none.
func (d *Decoding) Column(row int, token int32) int32 {
	return d.column(row, token, d.model.vocabulary)
}

// Next reads the token of every row, and returns the logits of the next [B, V or
// more].
func (d *Decoding) Next(t *autodiff.Tape, tokens Sequences) *autodiff.Var {
	return d.model.Output.Logits(t, d.Step(t, tokens), d.Extended)
}

// Select makes the rows those that rows names, as [Decoder.Select] does.
func (d *Decoding) Select(t *autodiff.Tape, rows []int32) {
	t.Keep(func() {
		d.model.Decoder.Select(t, d.state, rows)
		d.Keys, d.Queries = d.Keys.Select(t, rows), autodiff.SingleRows(t, len(rows))
	})
}
