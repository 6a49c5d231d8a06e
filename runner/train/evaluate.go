package train

import (
	"cmp"
	"slices"

	"exp/components"
	"exp/components/autodiff"
	"exp/runner/generate"
)

// Evaluate measures the model on a split of data: the loss and the tokens that it
// predicts with teacher forcing, and with decode also its greedy hypotheses.
// Pairs of nearly one length go together; no number depends on which.
func Evaluate(m *components.Model, t *autodiff.Tape, data *components.Data, split components.Split, o components.Evaluation, decode bool) *components.Outcome {
	indices := make([]int, split.Len())
	for i := range indices {
		indices[i] = i
	}
	slices.SortStableFunc(indices, func(a, b int) int {
		p, q := split.Pair(a), split.Pair(b)
		return cmp.Or(cmp.Compare(p.SourceSteps(), q.SourceSteps()), cmp.Compare(len(p.Target), len(q.Target)))
	})
	texts, hasTexts := split.(components.Texts)
	outcome := &components.Outcome{Pairs: make([]components.Said, len(indices)), Text: data.TargetText}
	var batch components.Batch
	var pairs []components.Pair
	var predicted []int32
	for len(indices) > 0 {
		now := indices[:min(len(indices), o.BatchSize)]
		indices = indices[len(now):]
		pairs = pairs[:0]
		for _, i := range now {
			pairs = append(pairs, split.Pair(i))
		}
		m.Fill(&batch, pairs)

		t.Reset(false, false)
		tokenLosses, logits, targets := m.TokenLosses(t, &batch)
		predicted = slices.Grow(predicted[:0], len(targets))[:len(targets)]
		autodiff.Argmax(logits, predicted)
		at := 0
		for row, i := range now {
			said := &outcome.Pairs[i]
			said.Source, said.Reference = pairs[row].SourceSteps(), pairs[row].Target
			if hasTexts && decode {
				_, said.Text = texts.Text(i)
			}
			said.Tokens = int(batch.TargetOut.Lengths[row])
			for range said.Tokens {
				said.Loss += tokenLosses[at]
				if predicted[at] == targets[at] {
					said.Correct++
				}
				at++
			}
		}
		if decode {
			for row, h := range generate.Greedy(m, t, batch.Source, o.MaxLength) {
				outcome.Pairs[now[row]].Hypothesis = h
			}
		}
	}
	return outcome
}
