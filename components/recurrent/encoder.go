package recurrent

import (
	"errors"

	"exp/components"
	"exp/components/autodiff"
	"exp/registry"
)

// EncoderOptions is what all recurrent encoders have.
type EncoderOptions struct {
	EmbeddingSize int     `toml:"embedding_size" doc:"size E of the source embedding"`
	HiddenSize    int     `toml:"hidden_size" doc:"size H of the hidden state, in each direction"`
	NumLayers     int     `toml:"num_layers" doc:"layers, one on the other"`
	Residual      bool    `toml:"residual" doc:"what a layer above the lowest reads is added to what it gives (He et al. 2016, Wu et al. 2016)"`
	Bidirectional bool    `toml:"bidirectional" doc:"each layer also reads from the last step (Schuster & Paliwal 1997); the memory is twice as wide"`
	Dropout       float64 `toml:"dropout" doc:"drop probability of the embedding and between layers, in [0, 1)"`

	VariationalDropout float64 `toml:"variational_dropout" doc:"the same with one mask a sequence for all its steps (Gal & Ghahramani 2016), in [0, 1)"`
	CellOptions
}

func defaultEncoder() EncoderOptions {
	return EncoderOptions{EmbeddingSize: 128, HiddenSize: 128, NumLayers: 1, CellOptions: defaultCell}
}

// Version 2 draws dropout for the tokens of a batch alone.
func (EncoderOptions) Version() int { return 2 }

// Validate reports every value out of range.
func (o EncoderOptions) Validate() error {
	return errors.Join(
		o.embedded().validate(),
		registry.AtLeast("hidden_size", o.HiddenSize, 1),
		registry.AtLeast("num_layers", o.NumLayers, 1),
		registry.InRange("recurrent_dropout", o.RecurrentDropout, 0, 1),
	)
}

// RNNEncoderOptions configures the rnn encoder.
type RNNEncoderOptions struct {
	EncoderOptions
	RNNCell
}

// LSTMEncoderOptions configures the lstm encoder.
type LSTMEncoderOptions struct {
	EncoderOptions
	LSTMCell
}

// GRUEncoderOptions configures the gru encoder.
type GRUEncoderOptions struct {
	EncoderOptions
	GRUCell
}

// RecurrentEncoderOptions configures the recurrent encoder.
type RecurrentEncoderOptions struct{ StackOptions }

// Doc describes the component.
func (RecurrentEncoderOptions) Doc() string {
	return "A stack of recurrent layers that may differ. The memory is what the top layer gives; the final states are those of all layers " +
		"where they are of one size and kind, else that of the top layer."
}

// NewRNNEncoder builds the rnn encoder.
func NewRNNEncoder(o RNNEncoderOptions, d components.EncoderDeps) (components.Encoder, error) {
	return newEncoder(o.layers(o.cell(o.CellOptions)), o.embedded(), d)
}

// NewLSTMEncoder builds the lstm encoder.
func NewLSTMEncoder(o LSTMEncoderOptions, d components.EncoderDeps) (components.Encoder, error) {
	return newEncoder(o.layers(o.cell(o.CellOptions)), o.embedded(), d)
}

// NewGRUEncoder builds the gru encoder.
func NewGRUEncoder(o GRUEncoderOptions, d components.EncoderDeps) (components.Encoder, error) {
	return newEncoder(o.layers(o.cell(o.CellOptions)), o.embedded(), d)
}

// NewRecurrentEncoder builds the recurrent encoder.
func NewRecurrentEncoder(o RecurrentEncoderOptions, d components.EncoderDeps) (components.Encoder, error) {
	layers, err := o.layers()
	if err != nil {
		return nil, err
	}
	return newEncoder(layers, o.embedded(), d)
}

// embedded is what a stack reads: the size of the embedding, and its dropout.
type embedded struct {
	size int
	dropouts
}

// validate reports every value out of range.
func (e embedded) validate() error {
	return errors.Join(
		registry.AtLeast("embedding_size", e.size, 1),
		registry.InRange("dropout", e.step, 0, 1),
		registry.InRange("variational_dropout", e.sequence, 0, 1),
	)
}

func (o StackOptions) embedded() embedded {
	return embedded{o.EmbeddingSize, dropouts{o.Dropout, o.VariationalDropout}}
}

func (o EncoderOptions) embedded() embedded {
	return embedded{o.EmbeddingSize, dropouts{o.Dropout, o.VariationalDropout}}
}

// layers returns the layers of a cell; what the top one gives is not dropped.
func (o EncoderOptions) layers(c cell) []Layer {
	layers := equalLayers(o.NumLayers, Layer{c, LayerOptions{
		HiddenSize: o.HiddenSize, Bidirectional: o.Bidirectional, Residual: o.Residual,
		Dropout: o.Dropout, VariationalDropout: o.VariationalDropout,
	}})
	top := &layers[len(layers)-1]
	top.Dropout, top.VariationalDropout = 0, 0
	return layers
}

// encoder is an embedding and a stack of recurrent layers. Its memory is what the
// top layer gives.
type encoder struct {
	embedder components.Embedder
	dropout  dropouts // of the embedding
	stack    []stacked
	final    []components.FinalState
}

func newEncoder(layers []Layer, in embedded, d components.EncoderDeps) (components.Encoder, error) {
	embedder, err := d.Source(in.size)
	if err != nil {
		return nil, err
	}
	stack, err := newStack(d.Params, layers, in.size)
	if err != nil {
		return nil, err
	}
	return &encoder{embedder, in.dropouts, stack, make([]components.FinalState, len(stack))}, nil
}

// MemorySize is H of the top layer, times the number of its directions.
func (e *encoder) MemorySize() int { return e.stack[len(e.stack)-1].size() }

// Final is the state of every layer, both directions side by side.
func (e *encoder) Final() components.FinalShape { return finalShape(e.stack) }

// Encode unrolls the stack over the source.
func (e *encoder) Encode(t *autodiff.Tape, source components.Sequences) components.Memory {
	x := e.dropout.apply(t, e.embedder.Embed(t, source), source.Spans)
	x = forwardStack(t, e.stack, x, source.Spans, e.final)
	return components.Memory{States: x, Spans: source.Spans, Final: e.final[len(e.final)-e.Final().Layers:]}
}

// forwardStack unrolls a stack over x [Σ lengths, in] from zeros: what the top
// layer gives, and to final the state of each layer.
func forwardStack(t *autodiff.Tape, stack []stacked, x *autodiff.Var, spans autodiff.Spans, final []components.FinalState) *autodiff.Var {
	packing := pack(t, spans)
	for i, s := range stack {
		y, end := s.forward(t, x, packing, state{})
		final[i] = components.FinalState{Hidden: end.h, Cell: end.c}
		x = s.dropout.apply(t, y, spans)
	}
	return x
}
