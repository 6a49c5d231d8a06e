package recurrent

import (
	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
)

// bridge makes the first state of a decoder's layers from an encoder's memory.
// Which way is chosen by what there is:
//
//	copy     the encoder's final states are as wide as the decoder's: taken as they are
//	project  they are not (both directions of an encoder, say): tanh(W h + b), and
//	         the same with weights of its own for the cell state
//	mean     the encoder has no final state (a Transformer): tanh(W m + b) with m the
//	         mean of the memory
//
// Layers of one depth are joined one to one; otherwise every layer of the
// decoder starts from the encoder's top layer. W and b are shared by the layers.
// A decoder's cell state starts at zero where the encoder has none.
type bridge struct {
	layers       int
	from         components.FinalShape
	hidden, cell nn.Linear // Weight nil: as it is
	hasCell      bool      // the decoder's layers get a cell state from the encoder
}

func newBridge(p *autodiff.Params, c cell, layers, hidden, memorySize int, from components.FinalShape) *bridge {
	b := &bridge{layers: layers, from: from, hasCell: c.kind == lstm && from.Layers > 0 && from.Cell}
	if from.Layers == 0 {
		b.hidden = nn.NewLinear(p, "bridge", memorySize, hidden)
		return b
	}
	if from.Size != hidden {
		b.hidden = nn.NewLinear(p, "bridge", from.Size, hidden)
		if b.hasCell {
			b.cell = nn.NewLinear(p, "bridge_cell", from.Size, hidden)
		}
	}
	return b
}

// start writes the first state of every layer to states.
func (b *bridge) start(t *autodiff.Tape, memory components.Memory, states []state) {
	if b.from.Layers == 0 {
		mean := autodiff.MeanRows(t, memory.States, memory.Spans)
		first := state{h: autodiff.Tanh(t, b.hidden.Forward(t, mean))}
		for i := range states {
			states[i] = first
		}
		return
	}
	for i := range states {
		source := len(memory.Final) - 1
		if b.from.Layers == b.layers {
			source = i
		}
		final := memory.Final[source]
		states[i] = state{h: project(t, b.hidden, final.Hidden)}
		if b.hasCell {
			states[i].c = project(t, b.cell, final.Cell)
		}
	}
}

func project(t *autodiff.Tape, l nn.Linear, x *autodiff.Var) *autodiff.Var {
	if l.Weight == nil {
		return x
	}
	return autodiff.Tanh(t, l.Forward(t, x))
}
