package generate

import (
	"cmp"
	"math"
	"slices"

	"exp/components"
	"exp/components/autodiff"
)

// A Hypothesis is a target that a search has found, without [components.Eos].
type Hypothesis struct {
	Tokens []int32
	// Score is Σ log p / length^alpha, in nats: over the tokens and, where the
	// hypothesis ended, its [components.Eos], which length counts too.
	Score float64
}

// Beam decodes a batch of sources by beam search, and returns up to size
// hypotheses of each, the best first. A hypothesis ends before its
// [components.Eos], or after maxLength tokens. It resets t, and what it returns
// for a source does not depend on the others of the batch.
//
// A source begins with one hypothesis, without a token. A step continues each
// with every token and keeps the most probable, by Σ log p, as many as size less
// those that have ended; of equals the one that continues the better hypothesis,
// then the lower column, see [components.Extended]. One that ends leaves the beam for the results (Sutskever
// et al. 2014, section 3.2), and the beam is smaller by one from there on. alpha
// is the exponent of the length normalisation by which the results are ranked: 0
// for none, 1 for the mean log-probability a token (Wu et al. 2016, equation 14,
// has (5+length)/6 for length). With size 1 it is [Greedy]; size must be at
// least 1. An aligned decoder has one hypothesis, the best of all, whatever size and
// maxLength are.
func Beam(m *components.Model, t *autodiff.Tape, source components.Sequences, maxLength, size int, alpha float64) [][]Hypothesis {
	if m.Aligned() {
		var found [][]Hypothesis
		for _, h := range aligned(m, t, source) {
			h.Score = score(h.Score, len(h.Tokens), alpha)
			found = append(found, []Hypothesis{h})
		}
		return found
	}
	t.Reset(false, false)
	decoding := m.Start(t, source)

	found := make([][]Hypothesis, source.Batch())
	beam := make([]prefix, source.Batch()) // the beams of all sources, source after source
	for row := range beam {
		beam[row].source = row
	}
	var input components.Sequences
	begin(&input, source.Batch())
	var candidates []candidate
	for ; len(beam) > 0 && maxLength > 0; maxLength-- {
		p := newPredictions(t, decoding.Next(t, input))
		input.Clear()
		var next []prefix
		var rows []int32
		for from, to := 0, 0; from < len(beam); from = to {
			at := beam[from].source
			candidates = candidates[:0]
			for to = from; to < len(beam) && beam[to].source == at; to++ {
				candidates = p.best(candidates, beam[to].sum, to, size-len(found[at]))
			}
			for _, c := range candidates {
				parent := beam[c.row]
				if c.column == components.Eos {
					found[at] = append(found[at], Hypothesis{parent.tokens, score(c.sum, len(parent.tokens)+1, alpha)})
					continue
				}
				token := decoding.Token(c.row, c.column)
				next = append(next, prefix{at, append(slices.Clip(parent.tokens), token), c.sum})
				rows = append(rows, int32(c.row))
				input.Add(token)
			}
		}
		beam = next
		if len(beam) > 0 {
			decoding.Select(t, rows)
		}
	}
	for _, p := range beam {
		found[p.source] = append(found[p.source], Hypothesis{p.tokens, score(p.sum, len(p.tokens), alpha)})
	}
	for _, hypotheses := range found {
		slices.SortStableFunc(hypotheses, func(a, b Hypothesis) int { return cmp.Compare(b.Score, a.Score) })
	}
	return found
}

func score(sum float64, length int, alpha float64) float64 {
	return sum / math.Pow(float64(max(1, length)), alpha)
}

// prefix is a hypothesis of the beam.
type prefix struct {
	source int
	tokens []int32
	sum    float64 // of the log-probabilities
}

// candidate is the continuation of a row's hypothesis by the token of a column.
type candidate struct {
	row    int
	column int32
	sum    float64
}

// predictions is log p = logits - normaliser, row by row. The difference is
// taken in float64, so two logits that differ give probabilities that do.
type predictions struct {
	logits     []float32 // [rows, columns]
	normaliser []float64 // [rows]: log Σ e^logit
	columns    int
}

func newPredictions(t *autodiff.Tape, logits *autodiff.Var) predictions {
	p := predictions{logits: autodiff.Values[float32](logits), columns: logits.Dim(-1)}
	top := make([]int32, logits.Rows())
	autodiff.Argmax(logits, top)
	p.normaliser = autodiff.TokenLosses(t, logits, top)
	for row, column := range top {
		p.normaliser[row] += float64(p.logits[row*p.columns+int(column)])
	}
	return p
}

// best adds to the candidates, the best first, the continuations of row, and
// keeps the best n.
func (p predictions) best(candidates []candidate, sum float64, row, n int) []candidate {
	for column, logit := range p.logits[row*p.columns : (row+1)*p.columns] {
		if math.IsInf(float64(logit), -1) {
			continue // a column of another row
		}
		c := candidate{row, int32(column), sum + (float64(logit) - p.normaliser[row])}
		if len(candidates) == n {
			if !(c.sum > candidates[n-1].sum) {
				continue
			}
			candidates = candidates[:n-1]
		}
		at := len(candidates)
		for at > 0 && c.sum > candidates[at-1].sum {
			at--
		}
		candidates = slices.Insert(candidates, at, c)
	}
	return candidates
}
