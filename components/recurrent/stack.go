package recurrent

import (
	"errors"
	"fmt"
	"strconv"

	"exp/components"
	"exp/components/autodiff"
	"exp/registry"
)

// Layer is a layer of a stack: what an element of the option layers says, or what
// an encoder or a decoder of equal layers says of each.
type Layer struct {
	cell
	LayerOptions
}

// LayerOptions is what all layers of a list have.
type LayerOptions struct {
	HiddenSize         int     `toml:"hidden_size" doc:"size H of the hidden state, in each direction"`
	Bidirectional      bool    `toml:"bidirectional" doc:"also reads from the last step (Schuster & Paliwal 1997); what it gives is twice as wide. Encoders only"`
	Residual           bool    `toml:"residual" doc:"what the layer reads is added to what it gives, which must be as wide (He et al. 2016, Wu et al. 2016)"`
	Dropout            float64 `toml:"dropout" doc:"drop probability of what the layer gives, in [0, 1)"`
	VariationalDropout float64 `toml:"variational_dropout" doc:"the same with one mask a sequence for all its steps (Gal & Ghahramani 2016), in [0, 1)"`
	CellOptions
}

// Validate reports every value out of range.
func (o LayerOptions) Validate() error {
	return errors.Join(
		registry.AtLeast("hidden_size", o.HiddenSize, 1),
		registry.InRange("dropout", o.Dropout, 0, 1),
		registry.InRange("variational_dropout", o.VariationalDropout, 0, 1),
		registry.InRange("recurrent_dropout", o.RecurrentDropout, 0, 1),
	)
}

// RNNLayerOptions configures an rnn layer.
type RNNLayerOptions struct {
	LayerOptions
	RNNCell
}

// LSTMLayerOptions configures an lstm layer.
type LSTMLayerOptions struct {
	LayerOptions
	LSTMCell
}

// GRULayerOptions configures a gru layer.
type GRULayerOptions struct {
	LayerOptions
	GRUCell
}

// newLayers returns the family of what the option layers lists.
func newLayers() *registry.Kind[Layer, struct{}] {
	k := &registry.Kind[Layer, struct{}]{Name: "layer"}
	defaults := LayerOptions{HiddenSize: 128, CellOptions: defaultCell}
	registry.Add(k, "rnn", RNNLayerOptions{defaults, defaultRNN}, func(o RNNLayerOptions, _ struct{}) (Layer, error) {
		return Layer{o.cell(o.CellOptions), o.LayerOptions}, nil
	})
	registry.Add(k, "lstm", LSTMLayerOptions{defaults, defaultLSTM}, func(o LSTMLayerOptions, _ struct{}) (Layer, error) {
		return Layer{o.cell(o.CellOptions), o.LayerOptions}, nil
	})
	registry.Add(k, "gru", GRULayerOptions{defaults, defaultGRU}, func(o GRULayerOptions, _ struct{}) (Layer, error) {
		return Layer{o.cell(o.CellOptions), o.LayerOptions}, nil
	})
	return k
}

// StackOptions is what an encoder and a decoder of a list of layers have.
type StackOptions struct {
	EmbeddingSize      int                              `toml:"embedding_size" doc:"size E of the embedding"`
	Dropout            float64                          `toml:"dropout" doc:"drop probability of the embedding, in [0, 1)"`
	VariationalDropout float64                          `toml:"variational_dropout" doc:"the same with one mask a sequence for all its steps (Gal & Ghahramani 2016), in [0, 1)"`
	Layers             registry.ListOf[Layer, struct{}] `toml:"layers" doc:"the layers from the lowest, each a table with a type, rnn, lstm or gru, and its options"`
}

func defaultStack(k *registry.Kind[Layer, struct{}]) StackOptions {
	return StackOptions{EmbeddingSize: 128, Layers: registry.NewListOf(k, "lstm")}
}

// Validate reports every value out of range.
func (o StackOptions) Validate() error {
	var none error
	if len(o.Layers.Choices) == 0 {
		none = registry.Fault{Key: "layers", Problem: "must have a layer, is empty"}
	}
	return errors.Join(o.embedded().validate(), none)
}

// layers returns the layers that the list says.
func (o StackOptions) layers() ([]Layer, error) {
	var layers []Layer
	for _, choice := range o.Layers.Choices {
		l, err := choice.Build(struct{}{})
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
	}
	return layers, nil
}

// equalLayers returns n layers of one kind. With residual, those above the lowest
// add what they read.
func equalLayers(n int, l Layer) []Layer {
	layers := make([]Layer, n)
	for i := range layers {
		layers[i] = l
		layers[i].Residual = l.Residual && i > 0
	}
	return layers
}

// stacked is a layer in its place.
type stacked struct {
	directions []*layer
	residual   bool
	dropout    dropouts // of what it gives
}

// newStack adds layers, the lowest of which reads vectors of size in. An error
// says which key does not fit.
func newStack(p *autodiff.Params, layers []Layer, in int) ([]stacked, error) {
	var stack []stacked
	for i, l := range layers {
		p := p.Scope("layer" + strconv.Itoa(i))
		s := stacked{
			directions: []*layer{newLayer(p, l.cell, in, l.HiddenSize, false)},
			residual:   l.Residual, dropout: dropouts{l.Dropout, l.VariationalDropout},
		}
		if l.Bidirectional {
			s.directions = append(s.directions, newLayer(p.Scope("reverse"), l.cell, in, l.HiddenSize, true))
		}
		if l.Residual && in != s.size() {
			return nil, registry.Fault{Key: fmt.Sprintf("layers[%d].residual", i), Problem: fmt.Sprintf("adds what the layer reads, of size %d, to what it gives, of size %d; they must be equal", in, s.size())}
		}
		stack, in = append(stack, s), s.size()
	}
	return stack, nil
}

// size is the width of what the layer gives.
func (s stacked) size() int { return s.directions[0].hidden() * len(s.directions) }

// forward unrolls the layer in all its directions: y [Σ lengths, size], without
// dropout, and the state of both directions, side by side, after the last step.
func (s stacked) forward(t *autodiff.Tape, x *autodiff.Var, p *packing, start state) (y *autodiff.Var, end state) {
	y, end = s.directions[0].forward(t, x, p, start)
	if len(s.directions) > 1 {
		back, backEnd := s.directions[1].forward(t, x, p, start)
		y = autodiff.Concat(t, y, back)
		end.h = autodiff.Concat(t, end.h, backEnd.h)
		if end.c != nil {
			end.c = autodiff.Concat(t, end.c, backEnd.c)
		}
	}
	if s.residual {
		y = autodiff.Add(t, y, x)
	}
	return y, end
}

// dropouts is the drop probabilities of a value that a layer reads or gives.
type dropouts struct{ step, sequence float64 }

// apply drops elements of x [Σ lengths, D]: of every step for itself, and of all
// steps of a sequence alike.
func (d dropouts) apply(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans) *autodiff.Var {
	return autodiff.DropoutSequences(t, autodiff.Dropout(t, x, d.step), spans, d.sequence)
}

// finalShape is that of the states of a stack's layers: of all where they are of
// one size and kind, else of the top one.
func finalShape(stack []stacked) components.FinalShape {
	of := func(s stacked) components.FinalShape {
		return components.FinalShape{Layers: len(stack), Size: s.size(), Cell: s.directions[0].kind == lstm}
	}
	top := of(stack[len(stack)-1])
	for _, s := range stack {
		if of(s) != top {
			top.Layers = 1
		}
	}
	return top
}
