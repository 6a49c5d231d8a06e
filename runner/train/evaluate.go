package train

import (
	"cmp"
	"slices"
	"time"

	"exp/components"
	"exp/components/autodiff"
	"exp/runner/generate"
)

// Evaluate measures the model on a split of data: the loss and the tokens that it
// predicts with teacher forcing, and with decode, which may be nil, also what it says,
// a hypothesis a source. batchSize pairs of nearly one length go together; no number
// depends on which.
func Evaluate(m *components.Model, t *autodiff.Tape, data *components.Data, split components.Split, batchSize int, decode *generate.Options) *components.Outcome {
	outcome, _ := evaluate(m, t, data, split, batchSize, decode)
	return outcome
}

// evaluate also says how long each batch took to decode.
func evaluate(m *components.Model, t *autodiff.Tape, data *components.Data, split components.Split, batchSize int, decode *generate.Options) (*components.Outcome, []time.Duration) {
	indices := make([]int, split.Len())
	for i := range indices {
		indices[i] = i
	}
	said := make([]components.Said, split.Len())
	e := evaluation{model: m, tape: t, split: split, batchSize: batchSize}
	e.each(indices, func(now []int, pairs []components.Pair, batch *components.Batch) {
		t.Reset(false, false)
		tokenLosses, logits, targets := m.TokenLosses(t, batch)
		e.predicted = slices.Grow(e.predicted[:0], len(targets))[:len(targets)]
		autodiff.Argmax(logits, e.predicted)
		at := 0
		for row, i := range now {
			s := &said[i]
			s.Source, s.References = pairs[row].SourceSteps(), []components.Reference{{Tokens: pairs[row].Target}}
			if texts, ok := split.(components.Texts); ok && decode != nil {
				_, s.References[0].Text = texts.Text(i)
			}
			if shortened, ok := split.(components.Shortened); ok && decode != nil {
				s.References[0].CutOff = shortened.CutOff(i)
			}
			s.Tokens = int(batch.TargetOut.Lengths[row])
			for range s.Tokens {
				s.Loss += tokenLosses[at]
				if e.predicted[at] == targets[at] {
					s.Correct++
				}
				at++
			}
		}
	})
	sources := indices
	if grouped, ok := split.(components.Grouped); ok {
		sources = group(said, grouped)
	}
	var took []time.Duration
	if decode != nil {
		o := *decode
		e.each(sources, func(now []int, _ []components.Pair, batch *components.Batch) {
			started := time.Now()
			o.Examples = now
			hypotheses := generate.Best(m, t, batch.Source, o)
			took = append(took, time.Since(started))
			for row, h := range hypotheses {
				said[now[row]].Hypothesis = h
			}
		})
	}
	outcome := &components.Outcome{Pairs: said, Text: data.TargetText}
	if len(sources) < len(said) {
		outcome.Pairs = nil
		for _, i := range sources {
			outcome.Pairs = append(outcome.Pairs, said[i])
		}
	}
	return outcome, took
}

// group adds what was said of each pair to the first that has its source, and
// returns those.
func group(said []components.Said, split components.Grouped) (sources []int) {
	for i := range said {
		first := split.First(i)
		if first == i {
			sources = append(sources, i)
			continue
		}
		to, from := &said[first], &said[i]
		to.Loss += from.Loss
		to.Tokens += from.Tokens
		to.Correct += from.Correct
		to.References = append(to.References, from.References...)
	}
	return sources
}

// evaluation goes through a split in batches.
type evaluation struct {
	model     *components.Model
	tape      *autodiff.Tape
	split     components.Split
	batchSize int
	predicted []int32
}

// each hands pairs to do in batches, those of nearly one length together.
func (e *evaluation) each(indices []int, do func(now []int, pairs []components.Pair, batch *components.Batch)) {
	indices = slices.Clone(indices)
	slices.SortStableFunc(indices, func(a, b int) int {
		p, q := e.split.Pair(a), e.split.Pair(b)
		return cmp.Or(cmp.Compare(p.SourceSteps(), q.SourceSteps()), cmp.Compare(len(p.Target), len(q.Target)))
	})
	var batch components.Batch
	var pairs []components.Pair
	for len(indices) > 0 {
		now := indices[:min(len(indices), e.batchSize)]
		indices = indices[len(now):]
		pairs = pairs[:0]
		for _, i := range now {
			pairs = append(pairs, e.split.Pair(i))
		}
		e.model.Fill(&batch, pairs)
		do(now, pairs, &batch)
	}
}
