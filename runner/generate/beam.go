package generate

import (
	"cmp"
	"math"
	"slices"

	"exp/components"
	"exp/components/autodiff"
)

// beamSearch is [Decode] by beam search.
//
// A source begins with one hypothesis, without a token. A step continues each
// with every token and keeps the most probable, by Σ log p, as many as o.BeamSize less
// those that have ended; of equals the one that continues the better hypothesis,
// then the lower column, see [components.Extended]. One that ends leaves the beam for
// the results (Sutskever et al. 2014, section 3.2), and the beam is smaller by one from
// there on. Penalties rank the results (Wu et al. 2016, equation 14, where they are
// also a bound by which the beam is pruned). With size 1 it is [Greedy].
func beamSearch(m *components.Model, t *autodiff.Tape, source components.Sequences, o Options) [][]Hypothesis {
	t.Reset(false, false)
	size := max(1, o.BeamSize)
	b := beam{Options: &o, found: make([][]Hypothesis, source.Batch()), decoding: m.Start(t, source)}
	rows := make([]prefix, source.Batch()) // the beams of all sources, source after source
	for row := range rows {
		rows[row] = prefix{source: row, last: -1}
	}
	b.cover(len(rows))
	var input components.Sequences
	begin(&input, source.Batch())
	var next []prefix
	var parents []int32
	var candidates []candidate
	length := 0
	for ; len(rows) > 0 && length < o.MaxLength && o.goes(); length++ {
		decoded := b.decoding.Step(t, input)
		p := newPredictions(t, m.Output.Logits(t, decoded, b.decoding.Extended))
		b.see(decoded.Weights, rows)
		b.restrict(p, rows, length)
		input.Clear()
		next, parents = next[:0], parents[:0]
		for from, to := 0, 0; from < len(rows); from = to {
			at := rows[from].source
			candidates = candidates[:0]
			for to = from; to < len(rows) && rows[to].source == at; to++ {
				candidates = p.best(candidates, rows[to].sum, to, size-len(b.found[at]))
			}
			for _, c := range candidates {
				parent := rows[c.row]
				if c.column == components.Eos {
					b.add(c.row, parent, c.sum, length, length+1)
					continue
				}
				token := b.decoding.Token(c.row, c.column)
				b.nodes = append(b.nodes, node{parent.last, token})
				next = append(next, prefix{at, int32(len(b.nodes) - 1), c.sum})
				parents = append(parents, int32(c.row))
				input.Add(token)
			}
			if len(candidates) == 0 { // every token is impossible
				for row := from; row < to; row++ {
					b.add(row, rows[row], rows[row].sum, length, length)
				}
			}
		}
		rows, next = next, rows
		if len(rows) > 0 {
			b.decoding.Select(t, parents)
			b.follow(parents)
		}
	}
	for row, p := range rows {
		b.add(row, p, p.sum, length, length)
	}
	for at, hypotheses := range b.found {
		slices.SortStableFunc(hypotheses, func(a, b Hypothesis) int { return cmp.Compare(b.Score, a.Score) })
		b.found[at] = hypotheses[:min(len(hypotheses), o.Count)]
	}
	return b.found
}

// beam is a search under way.
type beam struct {
	*Options
	decoding *components.Decoding
	found    [][]Hypothesis // of each source
	nodes    []node         // every token that was ever in the beam
	said     []int32        // tokens of a hypothesis, a while

	coverage, before []float64 // [rows, longest memory]: Σ of the weights so far, where CoverageBeta is not 0
	longest          int
}

// node is a token after others.
type node struct {
	parent int32 // the node before, -1 for none
	token  int32
}

// prefix is a hypothesis of the beam.
type prefix struct {
	source int
	last   int32   // its last token's node, -1 for none
	sum    float64 // of the log-probabilities
}

// tokens appends the tokens that end with a node, of which there are length.
func (b *beam) tokens(into []int32, last int32, length int) []int32 {
	from := len(into)
	into = slices.Grow(into, length)[:from+length]
	for at := from + length - 1; last >= 0; at-- {
		into[at], last = b.nodes[last].token, b.nodes[last].parent
	}
	return into
}

// restrict applies the rules to the logits of every row, of hypotheses of so many
// tokens.
func (b *beam) restrict(p predictions, rows []prefix, length int) {
	r := rules{b.Options, b.decoding}
	if r.plain() {
		return
	}
	for row, h := range rows {
		if b.BlockNgrams > 0 {
			b.said = b.tokens(b.said[:0], h.last, length)
		}
		r.apply(p.row(row), row, length, b.said)
	}
}

// add enters a hypothesis of length tokens, which count as so many, into the results.
func (b *beam) add(row int, h prefix, sum float64, length, counted int) {
	b.found[h.source] = append(b.found[h.source], Hypothesis{
		Tokens:  b.tokens(nil, h.last, length),
		LogProb: sum,
		Ended:   counted > length,
		Score:   sum/b.penalty(counted) + b.covered(row, h.source),
	})
}

// cover makes room for what is covered of the memories of the first rows.
func (b *beam) cover(rows int) {
	if b.CoverageBeta > 0 {
		b.longest = b.decoding.Memory.Longest()
		b.coverage = make([]float64, rows*b.longest)
	}
}

// see adds the weights [B, N, 1, S] of a step, the mean over their heads.
func (b *beam) see(weights *autodiff.Var, rows []prefix) {
	if b.CoverageBeta == 0 || b.longest == 0 {
		return
	}
	heads, width, values := weights.Dim(1), weights.Dim(3), autodiff.Values[float32](weights)
	for row, h := range rows {
		covered := b.coverage[row*b.longest:][:b.decoding.Memory.Lengths[h.source]]
		for key := range covered {
			sum := 0.0
			for n := range heads {
				sum += float64(values[(row*heads+n)*width+key])
			}
			covered[key] += sum / float64(heads)
		}
	}
}

// follow makes the coverage that of the rows that rows names.
func (b *beam) follow(rows []int32) {
	if b.CoverageBeta == 0 {
		return
	}
	b.before, b.coverage = b.coverage, slices.Grow(b.before[:0], len(rows)*b.longest)[:len(rows)*b.longest]
	for to, row := range rows {
		copy(b.coverage[to*b.longest:][:b.longest], b.before[int(row)*b.longest:])
	}
}

// covered is the coverage penalty of a row: beta Σ over the source of log min(1, Σ
// of its weights) (Wu et al. 2016, equation 14).
func (b *beam) covered(row, source int) float64 {
	if b.CoverageBeta == 0 {
		return 0
	}
	penalty := 0.0
	for _, sum := range b.coverage[row*b.longest:][:b.decoding.Memory.Lengths[source]] {
		penalty += math.Log(min(1, sum))
	}
	return b.CoverageBeta * penalty
}

// candidate is the continuation of a row's hypothesis by the token of a column.
type candidate struct {
	row    int
	column int32
	sum    float64
}

// best adds to the candidates, the best first, the continuations of row, and
// keeps the best n.
func (p predictions) best(candidates []candidate, sum float64, row, n int) []candidate {
	normaliser, last := p.normaliser[row], math.Inf(-1) // what a candidate must be better than
	if len(candidates) == n {
		last = candidates[n-1].sum
	}
	for column, logit := range p.row(row) {
		total := sum + (float64(logit) - normaliser)
		full := len(candidates) == n
		if full && !(total > last) || math.IsInf(float64(logit), -1) {
			continue // no better, or a column of another row, or ruled out
		}
		if full {
			candidates = candidates[:n-1]
		}
		at := len(candidates)
		for at > 0 && total > candidates[at-1].sum {
			at--
		}
		candidates = slices.Insert(candidates, at, candidate{row, int32(column), total})
		last = candidates[len(candidates)-1].sum
	}
	return candidates
}
