// Package generate makes hypotheses with a model.
package generate

import (
	"exp/components"
	"exp/components/autodiff"
)

// Greedy decodes a batch of sources, always taking the most probable token, the
// first of equals. A hypothesis ends before its [components.Eos], or after
// maxLength tokens. It resets t, and a hypothesis does not depend on the others
// of its batch.
func Greedy(m *components.Model, t *autodiff.Tape, source components.Sequences, maxLength int) [][]int32 {
	t.Reset(false, false)
	memory := m.Encoder.Encode(t, source)
	state := m.Decoder.Start(t, memory)

	batch := source.Batch
	input := components.Sequences{Tokens: make([]int32, batch), Lengths: make([]int32, batch), Batch: batch, Steps: 1}
	for b := range batch {
		input.Tokens[b], input.Lengths[b] = components.Bos, 1
	}
	hypotheses := make([][]int32, batch)
	finished := make([]bool, batch)
	next := make([]int32, batch)
	for open := batch; open > 0 && maxLength > 0; maxLength-- {
		decoded := m.Decoder.Step(t, state, input)
		autodiff.Argmax(m.Output.Forward(t, decoded.States), next)
		for b, token := range next {
			switch {
			case finished[b]:
			case token == components.Eos:
				finished[b] = true
				open--
			default:
				hypotheses[b] = append(hypotheses[b], token)
			}
		}
		// The embedding has read input already: its tokens can be replaced.
		copy(input.Tokens, next)
	}
	return hypotheses
}
