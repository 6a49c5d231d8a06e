// Package generate makes hypotheses with a model.
package generate

import (
	"exp/components"
	"exp/components/autodiff"
)

// Greedy decodes a batch of sources, always taking the most probable token, the
// first of equals. A hypothesis ends before its [components.Eos], or after
// maxLength tokens; one that has ended leaves the batch. It resets t, and a
// hypothesis does not depend on the others of its batch. Of an aligned decoder it
// is the most probable class of each step, and as long as the memory.
func Greedy(m *components.Model, t *autodiff.Tape, source components.Sequences, maxLength int) [][]int32 {
	if m.Aligned() {
		var hypotheses [][]int32
		for _, h := range aligned(m, t, source) {
			hypotheses = append(hypotheses, h.Tokens)
		}
		return hypotheses
	}
	hypotheses := make([][]int32, source.Batch())
	open := everyRow(source.Batch()) // the source of each row
	stay := make([]int32, 0, source.Batch())
	greedy(m, t, source, maxLength, func(next []int32) []int32 {
		stay = stay[:0]
		for row, token := range next {
			if token == components.Eos {
				continue
			}
			to := open[row]
			hypotheses[to] = append(hypotheses[to], token)
			open[len(stay)] = to
			stay = append(stay, int32(row))
		}
		return stay
	})
	return hypotheses
}

// aligned returns what an aligned decoder finds most probable: each step's class
// does not depend on the others, so that is the best of all hypotheses. It resets t.
func aligned(m *components.Model, t *autodiff.Tape, source components.Sequences) []Hypothesis {
	t.Reset(false, false)
	memory := m.Encode(t, source)
	decoded, x := m.Decode(t, memory, &components.Batch{Source: source, TargetIn: components.Sequences{Spans: memory.Spans}})
	logits := m.Output.Logits(t, decoded, x)
	classes := make([]int32, logits.Rows())
	autodiff.Argmax(logits, classes)
	losses := autodiff.TokenLosses(t, logits, classes)
	best := make([]Hypothesis, memory.Spans.Batch())
	at := 0
	for row, length := range memory.Spans.Lengths {
		best[row].Ended = true
		for range length {
			best[row].Tokens = append(best[row].Tokens, classes[at]+components.NumSpecial)
			best[row].LogProb -= losses[at]
			at++
		}
	}
	return best
}

// GreedySteps takes n steps of greedy decoding for all rows of a batch of
// sources, whatever they say, and hands the tokens [B] of each step to visit,
// which must not keep them and says whether to go on. It resets t. The decoder is
// not aligned.
func GreedySteps(m *components.Model, t *autodiff.Tape, source components.Sequences, n int, visit func(next []int32) bool) {
	all := everyRow(source.Batch())
	greedy(m, t, source, n, func(next []int32) []int32 {
		if visit(next) {
			return all
		}
		return nil
	})
}

func everyRow(batch int) []int32 {
	rows := make([]int32, batch)
	for row := range rows {
		rows[row] = int32(row)
	}
	return rows
}

// greedy takes up to n steps. visit is given the tokens of each, one a row, and
// returns the rows that go on.
func greedy(m *components.Model, t *autodiff.Tape, source components.Sequences, n int, visit func(next []int32) (stay []int32)) {
	t.Reset(false, false)
	decoding := m.Start(t, source)

	var input components.Sequences
	begin(&input, source.Batch())
	next := make([]int32, source.Batch())
	for ; len(next) > 0 && n > 0; n-- {
		autodiff.Argmax(decoding.Next(t, input), next)
		for row, column := range next {
			next[row] = decoding.Token(row, column)
		}
		stay := visit(next)
		input.Clear() // the step has read it
		for _, row := range stay {
			input.Add(next[row])
		}
		if 0 < len(stay) && len(stay) < len(next) {
			decoding.Select(t, stay)
		}
		next = next[:len(stay)]
	}
}

// begin makes input the first step of so many rows.
func begin(input *components.Sequences, batch int) {
	for range batch {
		input.Add(components.Bos)
	}
}
