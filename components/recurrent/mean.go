package recurrent

import (
	"exp/components"
	"exp/components/autodiff"
)

// MeanOptions configures the mean encoder.
type MeanOptions struct {
	EmbeddingSize int     `toml:"embedding_size" doc:"size E of the source embedding, of the memory and of the final state"`
	Dropout       float64 `toml:"dropout" doc:"drop probability of the embedding, in [0, 1)"`
}

// Doc describes the component.
func (MeanOptions) Doc() string {
	return "The average of the embeddings, a baseline that knows no order. It is the final state, from which a decoder starts; of an empty source it is zero. " +
		"The memory is the embeddings themselves, so that an attention looks at the tokens, each without its neighbours; without attention the average is all that a decoder knows."
}

// Validate reports every value out of range.
func (o MeanOptions) Validate() error {
	return embedded{o.EmbeddingSize, dropouts{step: o.Dropout}}.validate()
}

// NewMean builds the mean encoder.
func NewMean(o MeanOptions, d components.EncoderDeps) (components.Encoder, error) {
	embedder, err := d.Source(o.EmbeddingSize)
	if err != nil {
		return nil, err
	}
	return &mean{embedder: embedder, size: o.EmbeddingSize, dropout: o.Dropout}, nil
}

type mean struct {
	embedder components.Embedder
	size     int
	dropout  float64
	final    [1]components.FinalState
}

// MemorySize is E.
func (e *mean) MemorySize() int { return e.size }

// Final is the average.
func (e *mean) Final() components.FinalShape { return components.FinalShape{Layers: 1, Size: e.size} }

// Encode averages over each source.
func (e *mean) Encode(t *autodiff.Tape, source components.Sequences) components.Memory {
	x := autodiff.Dropout(t, e.embedder.Embed(t, source), e.dropout)
	e.final[0].Hidden = autodiff.MeanRows(t, x, source.Spans)
	return components.Memory{States: x, Spans: source.Spans, Final: e.final[:]}
}
