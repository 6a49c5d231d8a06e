package recurrent

import (
	"fmt"
	"strconv"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
	"exp/registry"
)

// Bridge is how a decoder's layers get their first state.
type Bridge string

const (
	Auto    Bridge = "auto"
	Zero    Bridge = "zero"
	Copy    Bridge = "copy"
	Project Bridge = "project"
	Last    Bridge = "last"
	Mean    Bridge = "mean"
)

// Values lists what is allowed.
func (Bridge) Values() []string {
	return []string{string(Auto), string(Zero), string(Copy), string(Project), string(Last), string(Mean)}
}

// UnmarshalText accepts one of Values.
func (b *Bridge) UnmarshalText(text []byte) error { return registry.OneOf(b, text) }

// bridge makes the first state of a decoder's layers from an encoder's memory.
//
//	zero     zeros
//	copy     the encoder's final states as they are, which must be as wide
//	project  tanh(W h + b) of the encoder's final states h, and the same with
//	         weights of its own for the cell state
//	last     tanh(W m + b) with m the last state of the memory
//	mean     tanh(W m + b) with m the mean of the memory
//
// Layers of one depth are joined one to one; otherwise every layer of the decoder
// starts from the encoder's top layer. W and b are shared by the layers, unless
// these differ in size. A decoder's cell state starts at zero where the encoder
// has none. An empty source has a memory of zeros.
type bridge struct {
	kind   Bridge
	layers int
	from   components.FinalShape
	maps   []bridgeMap // one a layer
}

// bridgeMap is what leads to a layer. A nil Weight leaves a state as it is.
type bridgeMap struct {
	hidden, cell nn.Linear
	takesCell    bool // the layer gets a cell state from the encoder
}

// automatic is the bridge of a decoder that names none: copy where it can be,
// else project, and mean where the encoder has no final state.
func automatic(layers []Layer, from components.FinalShape) Bridge {
	if from.Layers == 0 {
		return Mean
	}
	for _, l := range layers {
		if l.HiddenSize != from.Size {
			return Project
		}
	}
	return Copy
}

func newBridge(p *autodiff.Params, kind Bridge, layers []Layer, memorySize int, from components.FinalShape) (*bridge, error) {
	auto := automatic(layers, from)
	refuse := func(why string, args ...any) error {
		return registry.Fault{Key: "bridge", Problem: string(kind) + " " + fmt.Sprintf(why, args...) + fmt.Sprintf("; auto chooses %s", auto)}
	}
	switch {
	case kind == Auto:
		kind = auto
	case (kind == Copy || kind == Project) && from.Layers == 0:
		return nil, refuse("wants the final state of a recurrent encoder, and this one has none")
	case kind == Copy && auto != Copy:
		return nil, refuse("wants final states of the size of every layer, and the encoder's are of size %d", from.Size)
	}
	b := &bridge{kind: kind, layers: len(layers), from: from}
	alike := true
	for _, l := range layers {
		alike = alike && l.HiddenSize == layers[0].HiddenSize
	}
	in := memorySize
	if kind == Project {
		in = from.Size
	}
	var made bridgeMap // shared by layers that are alike
	for i, l := range layers {
		m, name := bridgeMap{takesCell: l.kind == lstm && from.Layers > 0 && from.Cell && (kind == Copy || kind == Project)}, ""
		if !alike {
			made, name = bridgeMap{}, strconv.Itoa(i)
		}
		if kind == Project || kind == Last || kind == Mean {
			if made.hidden.Weight == nil {
				made.hidden = nn.NewLinear(p, "bridge"+name, in, l.HiddenSize)
			}
			m.hidden = made.hidden
		}
		if kind == Project && m.takesCell {
			if made.cell.Weight == nil {
				made.cell = nn.NewLinear(p, "bridge"+name+"_cell", in, l.HiddenSize)
			}
			m.cell = made.cell
		}
		b.maps = append(b.maps, m)
	}
	return b, nil
}

// Bridge names the way in which the decoder starts.
func (d *decoder) Bridge() string { return string(d.bridge.kind) }

// start writes the first state of every layer to states.
func (b *bridge) start(t *autodiff.Tape, memory components.Memory, states []state) {
	switch b.kind {
	case Zero:
		clear(states)
	case Last:
		last := autodiff.Ints(t, memory.Spans.Batch())
		for row := range last {
			last[row] = -1
			if start, length := memory.Spans.At(row); length > 0 {
				last[row] = int32(start + length - 1)
			}
		}
		b.startFrom(t, autodiff.Rows(t, memory.States, last), states)
	case Mean:
		b.startFrom(t, autodiff.MeanRows(t, memory.States, memory.Spans), states)
	default:
		for i, m := range b.maps {
			source := len(memory.Final) - 1
			if b.from.Layers == b.layers {
				source = i
			}
			final := memory.Final[source]
			states[i] = state{h: project(t, m.hidden, final.Hidden)}
			if m.takesCell {
				states[i].c = project(t, m.cell, final.Cell)
			}
		}
	}
}

// startFrom starts every layer from one summary of the memory, which is projected
// once for the layers that share the map.
func (b *bridge) startFrom(t *autodiff.Tape, summary *autodiff.Var, states []state) {
	for i, m := range b.maps {
		if i > 0 && m.hidden == b.maps[0].hidden {
			states[i] = states[0]
		} else {
			states[i] = state{h: project(t, m.hidden, summary)}
		}
	}
}

func project(t *autodiff.Tape, l nn.Linear, x *autodiff.Var) *autodiff.Var {
	if l.Weight == nil {
		return x
	}
	return autodiff.Tanh(t, l.Forward(t, x))
}
