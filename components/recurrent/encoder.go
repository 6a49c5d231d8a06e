package recurrent

import (
	"errors"
	"strconv"

	"exp/components"
	"exp/components/autodiff"
	"exp/registry"
)

// EncoderOptions is what all recurrent encoders have.
type EncoderOptions struct {
	EmbeddingSize int     `toml:"embedding_size" doc:"size E of the source embedding"`
	HiddenSize    int     `toml:"hidden_size" doc:"size H of the hidden state, in each direction"`
	NumLayers     int     `toml:"num_layers" doc:"layers, one on the other"`
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
		registry.AtLeast("embedding_size", o.EmbeddingSize, 1),
		registry.AtLeast("hidden_size", o.HiddenSize, 1),
		registry.AtLeast("num_layers", o.NumLayers, 1),
		registry.InRange("dropout", o.Dropout, 0, 1),
		registry.InRange("variational_dropout", o.VariationalDropout, 0, 1),
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

// NewRNNEncoder builds the rnn encoder.
func NewRNNEncoder(o RNNEncoderOptions, d components.EncoderDeps) (components.Encoder, error) {
	return newEncoder(o.cell(o.CellOptions), o.EncoderOptions, d)
}

// NewLSTMEncoder builds the lstm encoder.
func NewLSTMEncoder(o LSTMEncoderOptions, d components.EncoderDeps) (components.Encoder, error) {
	return newEncoder(o.cell(o.CellOptions), o.EncoderOptions, d)
}

// NewGRUEncoder builds the gru encoder.
func NewGRUEncoder(o GRUEncoderOptions, d components.EncoderDeps) (components.Encoder, error) {
	return newEncoder(o.cell(o.CellOptions), o.EncoderOptions, d)
}

// encoder is an embedding and a stack of recurrent layers. Its memory is the
// outputs of the top layer [Σ lengths, H·directions].
type encoder struct {
	embedder components.Embedder
	layers   [][]*layer // [layer][direction]
	hidden   int
	dropout  dropouts
	final    []components.FinalState
}

func newEncoder(c cell, o EncoderOptions, d components.EncoderDeps) (components.Encoder, error) {
	embedder, err := d.Source(o.EmbeddingSize)
	if err != nil {
		return nil, err
	}
	e := &encoder{embedder: embedder, hidden: o.HiddenSize, dropout: dropouts{o.Dropout, o.VariationalDropout}, final: make([]components.FinalState, o.NumLayers)}
	in := o.EmbeddingSize
	for i := range o.NumLayers {
		p := d.Params.Scope("layer" + strconv.Itoa(i))
		directions := []*layer{newLayer(p, c, in, o.HiddenSize, false)}
		if o.Bidirectional {
			directions = append(directions, newLayer(p.Scope("reverse"), c, in, o.HiddenSize, true))
		}
		e.layers = append(e.layers, directions)
		in = o.HiddenSize * len(directions)
	}
	return e, nil
}

// dropouts is the drop probabilities of a value that a layer reads or gives.
type dropouts struct{ step, sequence float64 }

// apply drops elements of x [Σ lengths, D]: of every step for itself, and of all
// steps of a sequence alike.
func (d dropouts) apply(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans) *autodiff.Var {
	return autodiff.DropoutSequences(t, autodiff.Dropout(t, x, d.step), spans, d.sequence)
}

// MemorySize is H, times the number of directions.
func (e *encoder) MemorySize() int { return e.hidden * len(e.layers[0]) }

// Final is the state of every layer, both directions side by side.
func (e *encoder) Final() components.FinalShape {
	return components.FinalShape{Layers: len(e.layers), Size: e.MemorySize(), Cell: e.layers[0][0].kind == lstm}
}

// Encode unrolls the stack over the source.
func (e *encoder) Encode(t *autodiff.Tape, source components.Sequences) components.Memory {
	packing := pack(t, source.Spans)
	x := e.dropout.apply(t, e.embedder.Embed(t, source), source.Spans)
	for i, directions := range e.layers {
		if i > 0 {
			x = e.dropout.apply(t, x, source.Spans)
		}
		y, end := directions[0].forward(t, x, packing, state{})
		if len(directions) > 1 {
			back, backEnd := directions[1].forward(t, x, packing, state{})
			y = autodiff.Concat(t, y, back)
			end.h = autodiff.Concat(t, end.h, backEnd.h)
			if end.c != nil {
				end.c = autodiff.Concat(t, end.c, backEnd.c)
			}
		}
		x, e.final[i] = y, components.FinalState{Hidden: end.h, Cell: end.c}
	}
	return components.Memory{States: x, Spans: source.Spans, Final: e.final}
}
