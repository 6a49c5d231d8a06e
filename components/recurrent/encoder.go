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
}

func defaultEncoder() EncoderOptions {
	return EncoderOptions{EmbeddingSize: 128, HiddenSize: 128, NumLayers: 1}
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
	)
}

// RNNEncoderOptions configures the rnn encoder.
type RNNEncoderOptions struct {
	EncoderOptions
	Activation Activation `toml:"activation" doc:"nonlinearity of the hidden state"`
}

// Doc describes the component.
func (RNNEncoderOptions) Doc() string {
	return "Elman's recurrent network (Elman 1990): h' = f(W x + b + U h + c). Orthogonal U, as in Saxe et al. 2014."
}

// LSTMEncoderOptions configures the lstm encoder.
type LSTMEncoderOptions struct {
	EncoderOptions
	ForgetBias float64 `toml:"forget_bias" doc:"initial bias of the forget gate (Jozefowicz et al. 2015)"`
}

// Doc describes the component.
func (LSTMEncoderOptions) Doc() string {
	return "Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000, without peepholes): " +
		"i, f, o = σ(W x + b + U h + c), g = tanh(·); c' = f c + i g; h' = o tanh(c')."
}

// GRUEncoderOptions configures the gru encoder.
type GRUEncoderOptions struct{ EncoderOptions }

// Doc describes the component.
func (GRUEncoderOptions) Doc() string {
	return "Gated recurrent unit (Cho et al. 2014): r, z = σ(W x + b + U h + c); n = tanh(W x + b + r (U h + c)); h' = (1-z) n + z h. " +
		"The reset gate r acts after the product, as in cuDNN and PyTorch; the paper lets it act before."
}

// NewRNNEncoder builds the rnn encoder.
func NewRNNEncoder(o RNNEncoderOptions, d components.EncoderDeps) (components.Encoder, error) {
	return newEncoder(cell{kind: rnn, relu: o.Activation == ReLU}, o.EncoderOptions, d)
}

// NewLSTMEncoder builds the lstm encoder.
func NewLSTMEncoder(o LSTMEncoderOptions, d components.EncoderDeps) (components.Encoder, error) {
	return newEncoder(cell{kind: lstm, forgetBias: o.ForgetBias}, o.EncoderOptions, d)
}

// NewGRUEncoder builds the gru encoder.
func NewGRUEncoder(o GRUEncoderOptions, d components.EncoderDeps) (components.Encoder, error) {
	return newEncoder(cell{kind: gru}, o.EncoderOptions, d)
}

// encoder is an embedding and a stack of recurrent layers. Its memory is the
// outputs of the top layer [Σ lengths, H·directions].
type encoder struct {
	embedder components.Embedder
	layers   [][]*layer // [layer][direction]
	hidden   int
	dropout  float64
	final    []components.FinalState
}

func newEncoder(c cell, o EncoderOptions, d components.EncoderDeps) (components.Encoder, error) {
	embedder, err := d.Source(o.EmbeddingSize)
	if err != nil {
		return nil, err
	}
	e := &encoder{embedder: embedder, hidden: o.HiddenSize, dropout: o.Dropout, final: make([]components.FinalState, o.NumLayers)}
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

// MemorySize is H, times the number of directions.
func (e *encoder) MemorySize() int { return e.hidden * len(e.layers[0]) }

// Final is the state of every layer, both directions side by side.
func (e *encoder) Final() components.FinalShape {
	return components.FinalShape{Layers: len(e.layers), Size: e.MemorySize(), Cell: e.layers[0][0].kind == lstm}
}

// Encode unrolls the stack over the source.
func (e *encoder) Encode(t *autodiff.Tape, source components.Sequences) components.Memory {
	packing := pack(t, source.Spans)
	x := autodiff.Dropout(t, e.embedder.Embed(t, source), e.dropout)
	for i, directions := range e.layers {
		if i > 0 {
			x = autodiff.Dropout(t, x, e.dropout)
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
