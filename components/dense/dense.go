// Package dense has the decoder of aligned pairs, which says a class for each
// step of the memory.
package dense

import (
	"exp/components"
	"exp/components/autodiff"
	"exp/registry"
)

// Register enters the decoder.
func Register(c *components.Catalog) {
	registry.Add(&c.Decoders, "dense", Options{}, New)
}

// Options configures the dense decoder.
type Options struct {
	Dropout float64 `toml:"dropout" doc:"drop probability of the memory before the output layer, in [0, 1)"`
}

// Doc describes the component.
func (Options) Doc() string {
	return "A softmax over each step of the memory: p(y_t) = softmax(W h_t + b), with as many classes as the target has tokens that are not special. " +
		"For pairs whose target is as long as the memory; it reads no target and has no attention, and its steps do not depend on each other (as for tagging, Graves 2012)."
}

// Validate reports every value out of range.
func (o Options) Validate() error { return registry.InRange("dropout", o.Dropout, 0, 1) }

type decoder struct {
	size    int
	dropout float64
}

// New builds the decoder.
func New(o Options, d components.DecoderDeps) (components.Decoder, error) {
	if attention, err := d.Attention(d.Params.Scope("attention"), d.MemorySize); attention != nil || err != nil {
		return nil, registry.Fault{Key: "model.attention.type", Problem: `must be "none" with the dense decoder, which looks at each step of the memory by itself`}
	}
	return &decoder{d.MemorySize, o.Dropout}, nil
}

// Aligned says that targets are as long as the memory.
func (*decoder) Aligned() {}

// OutputSize is M.
func (d *decoder) OutputSize() int { return d.size }

// Decode returns the memory. The target, which is as long, is not read.
func (d *decoder) Decode(t *autodiff.Tape, memory components.Memory, _ components.Sequences) components.Decoded {
	return components.Decoded{States: autodiff.Dropout(t, memory.States, d.dropout)}
}

// state is where in the memory the next step is.
type state struct {
	memory components.Memory
	step   int32
}

// Start begins at the first step.
func (d *decoder) Start(_ *autodiff.Tape, memory components.Memory) components.DecoderState {
	return &state{memory: memory}
}

// Step returns the memory of the next step, zero past the end of a row.
func (d *decoder) Step(t *autodiff.Tape, s components.DecoderState, _ components.Sequences) components.Decoded {
	at := s.(*state)
	rows := autodiff.Ints(t, at.memory.Spans.Batch())
	for b := range rows {
		start, length := at.memory.Spans.At(b)
		rows[b] = -1
		if int(at.step) < length {
			rows[b] = int32(start) + at.step
		}
	}
	at.step++
	return components.Decoded{States: autodiff.Rows(t, at.memory.States, rows)}
}

// Select selects rows of the memory.
func (d *decoder) Select(t *autodiff.Tape, s components.DecoderState, rows []int32) {
	at := s.(*state)
	at.memory.Spans = at.memory.Spans.Select(t, rows)
}
