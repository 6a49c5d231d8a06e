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
	hypotheses := make([][]int32, source.Batch)
	finished := make([]bool, source.Batch)
	open := source.Batch
	GreedySteps(m, t, source, maxLength, func(next []int32) bool {
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
		return open > 0
	})
	return hypotheses
}

// GreedySteps takes n steps of greedy decoding for all rows of a batch of
// sources, whatever they say, and hands the tokens [B] of each step to visit,
// which must not keep them and says whether to go on. It resets t.
func GreedySteps(m *components.Model, t *autodiff.Tape, source components.Sequences, n int, visit func(next []int32) bool) {
	t.Reset(false, false)
	memory := m.Encoder.Encode(t, source)
	state := m.Decoder.Start(t, memory)

	batch := source.Batch
	input := components.Sequences{Tokens: make([]int32, batch), Lengths: make([]int32, batch), Batch: batch, Steps: 1}
	for b := range batch {
		input.Tokens[b], input.Lengths[b] = components.Bos, 1
	}
	next := make([]int32, batch)
	for more := batch > 0; more && n > 0; n-- {
		decoded := m.Decoder.Step(t, state, input)
		autodiff.Argmax(m.Output.Forward(t, decoded.States), next)
		more = visit(next)
		// The embedding has read input already: its tokens can be replaced.
		copy(input.Tokens, next)
	}
}
