package generate

import (
	"math"
	"math/rand/v2"

	"exp/components"
	"exp/components/autodiff"
)

// Mix makes of what the decoder reads in a batch what it reads in scheduled
// sampling (Bengio et al. 2015, section 2.3): each token of TargetIn stays with the
// probability given, and else becomes one drawn from the softmax of the model's own
// step before, which has read what came before as mixed. No gradient goes through a
// draw, so that a teacher-forced pass over the mixed batch is the step of the paper,
// for a decoder of any kind, but that the draws are without the dropout of that pass.
// It resets t. The decoder is not aligned.
func Mix(m *components.Model, t *autodiff.Tape, b *components.Batch, probability float64, rng *rand.Rand) {
	t.Reset(false, false)
	decoding := m.Start(t, b.Source)
	in := &b.TargetIn
	open := everyRow(in.Batch()) // the row of the batch that each row of the decoding is
	var input components.Sequences
	begin(&input, in.Batch())
	stay := make([]int32, 0, in.Batch())
	for step := 1; ; step++ {
		stay = stay[:0]
		for row, to := range open {
			if int(in.Lengths[to]) > step {
				open[len(stay)] = to
				stay = append(stay, int32(row))
			}
		}
		if len(stay) == 0 {
			return
		}
		logits := decoding.Next(t, input)
		input.Clear()
		width := logits.Dim(1)
		for i, row := range stay {
			at := int(in.Starts[open[i]]) + step
			if rng.Float64() >= probability {
				column := draw(autodiff.Values[float32](logits)[int(row)*width:][:width], rng.Float64())
				in.Tokens[at] = decoding.Token(int(row), int32(column))
			}
			input.Add(in.Tokens[at])
		}
		if len(stay) < len(open) {
			decoding.Select(t, stay)
		}
		open = open[:len(stay)]
	}
}

// draw returns the column at which the distribution of softmax(logits) reaches u, in
// [0, 1).
func draw(logits []float32, u float64) int {
	largest := logits[0]
	for _, l := range logits {
		largest = max(largest, l)
	}
	total := 0.0
	for _, l := range logits {
		total += math.Exp(float64(l - largest))
	}
	left, last := u*total, 0
	for column, l := range logits {
		p := math.Exp(float64(l - largest))
		if p == 0 {
			continue
		}
		if left < p {
			return column
		}
		left, last = left-p, column // what rounding leaves over goes to the last
	}
	return last
}
