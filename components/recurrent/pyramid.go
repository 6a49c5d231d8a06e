package recurrent

import (
	"errors"
	"strconv"

	"exp/components"
	"exp/components/autodiff"
	"exp/registry"
)

// PyramidOptions configures the pyramid encoder.
type PyramidOptions struct {
	Cell             Cell    `toml:"cell" doc:"cell of all layers"`
	EmbeddingSize    int     `toml:"embedding_size" doc:"size E of the source embedding, or of what a front end makes of frames"`
	HiddenSize       int     `toml:"hidden_size" doc:"size H of the hidden state, in each direction"`
	NumPyramidLayers int     `toml:"num_pyramid_layers" doc:"layers above the lowest, each of which halves the time"`
	Bidirectional    bool    `toml:"bidirectional" doc:"each layer also reads from the last step (Schuster & Paliwal 1997); the memory is twice as wide"`
	Dropout          float64 `toml:"dropout" doc:"drop probability of the embedding and between layers, in [0, 1)"`
	CellOptions
}

func defaultPyramid() PyramidOptions {
	return PyramidOptions{Cell: LSTM, EmbeddingSize: 128, HiddenSize: 128, NumPyramidLayers: 3, Bidirectional: true, CellOptions: defaultCell}
}

// Doc describes the component.
func (PyramidOptions) Doc() string {
	return "Pyramidal recurrent encoder (Chan et al. 2016, section 3.1), for long sources such as speech. Each layer above the lowest reads two steps of the one below " +
		"at once, x_i = [y_2i; y_2i+1], and so has half as many; where these are odd in number, the last is followed by zeros. " +
		"The memory is what the top layer gives, ⌈L/2ⁿ⌉ steps of a source of L with n pyramid layers; the final states are those of all layers. " +
		"With three layers of 256 LSTM cells in each direction on one, it is the paper's."
}

// Validate reports every value out of range.
func (o PyramidOptions) Validate() error {
	return errors.Join(
		registry.AtLeast("embedding_size", o.EmbeddingSize, 1),
		registry.AtLeast("hidden_size", o.HiddenSize, 1),
		registry.AtLeast("num_pyramid_layers", o.NumPyramidLayers, 1),
		registry.InRange("dropout", o.Dropout, 0, 1),
		registry.InRange("recurrent_dropout", o.RecurrentDropout, 0, 1),
	)
}

type pyramid struct {
	embedder components.Embedder
	dropout  float64
	stack    []stacked
	final    []components.FinalState
}

// NewPyramid builds the pyramid encoder.
func NewPyramid(o PyramidOptions, d components.EncoderDeps) (components.Encoder, error) {
	embedder, err := d.Source(o.EmbeddingSize)
	if err != nil {
		return nil, err
	}
	e := &pyramid{embedder: embedder, dropout: o.Dropout, final: make([]components.FinalState, o.NumPyramidLayers+1)}
	c, in := o.Cell.cell(o.CellOptions), o.EmbeddingSize
	for i := range e.final {
		p := d.Params.Scope("layer" + strconv.Itoa(i))
		s := stacked{directions: []*layer{newLayer(p, c, in, o.HiddenSize, false)}}
		if o.Bidirectional {
			s.directions = append(s.directions, newLayer(p.Scope("reverse"), c, in, o.HiddenSize, true))
		}
		e.stack, in = append(e.stack, s), 2*s.size()
	}
	return e, nil
}

// MemorySize is H, times the number of directions.
func (e *pyramid) MemorySize() int { return e.stack[0].size() }

// Final is the state of every layer, both directions side by side.
func (e *pyramid) Final() components.FinalShape { return finalShape(e.stack) }

// Length is what all halvings leave.
func (e *pyramid) Length(steps int) int {
	for range len(e.stack) - 1 {
		steps = (steps + 1) / 2
	}
	return steps
}

// Encode unrolls the layers over ever shorter sequences.
func (e *pyramid) Encode(t *autodiff.Tape, source components.Sequences) components.Memory {
	x, spans := e.embedder.Embed(t, source), source.Spans
	for i, s := range e.stack {
		x = autodiff.Dropout(t, x, e.dropout)
		if i > 0 {
			x, spans = halve(t, x, spans)
		}
		y, end := s.forward(t, x, pack(t, spans), state{})
		x, e.final[i] = y, components.FinalState{Hidden: end.h, Cell: end.c}
	}
	return components.Memory{States: x, Spans: spans, Final: e.final}
}

// halve joins the steps of x [Σ lengths, D] two by two: [Σ ⌈lengths/2⌉, 2D].
func halve(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans) (*autodiff.Var, autodiff.Spans) {
	half := autodiff.Spans{Starts: autodiff.Ints(t, spans.Batch()), Lengths: autodiff.Ints(t, spans.Batch())}
	total := int32(0)
	for b, length := range spans.Lengths {
		half.Starts[b], half.Lengths[b] = total, (length+1)/2
		total += half.Lengths[b]
	}
	rows := autodiff.Ints(t, 2*int(total))
	at := 0
	for b := range spans.Batch() {
		start, length := spans.At(b)
		for step := range 2 * int(half.Lengths[b]) {
			rows[at] = -1
			if step < length {
				rows[at] = int32(start + step)
			}
			at++
		}
	}
	return autodiff.Rows(t, x, rows).Reshape(int(total), 2*x.Dim(1)), half
}
