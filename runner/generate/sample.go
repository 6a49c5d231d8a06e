package generate

import (
	"math"
	"math/rand/v2"

	"exp/components"
	"exp/components/autodiff"
)

// sample is [Decode] by ancestral sampling: each token is drawn from what the model
// says follows, softmax(logits / temperature) over the tokens that the options leave.
func sample(m *components.Model, t *autodiff.Tape, source components.Sequences, o Options) [][]Hypothesis {
	t.Reset(false, false)
	decoding := m.Start(t, source)
	found := make([][]Hypothesis, source.Batch())
	var rows []drawn
	var stay []int32
	for at := range found {
		found[at] = make([]Hypothesis, o.Count)
		example := at
		if o.Examples != nil {
			example = o.Examples[at]
		}
		for i := range o.Count {
			rows = append(rows, drawn{&found[at][i], word(word(o.Seed, example), i)})
			stay = append(stay, int32(at))
		}
	}
	if o.Count > 1 && len(rows) > 0 {
		decoding.Select(t, stay)
	}
	var input components.Sequences
	begin(&input, len(rows))
	r, d := rules{&o, decoding}, drawing{DecodingOptions: &o.DecodingOptions}
	for length := 0; len(rows) > 0 && length < o.MaxLength && o.goes(); length++ {
		p := newPredictions(t, decoding.Next(t, input))
		input.Clear()
		stay = stay[:0]
		for row, to := range rows {
			logits := p.row(row)
			if !r.plain() {
				r.apply(logits, row, length, to.Tokens)
			}
			column := int32(d.draw(logits, float64(word(to.key, length)>>11)/(1<<53)))
			to.LogProb += p.logProb(row, logits[column])
			to.Score = to.LogProb
			if column == components.Eos {
				to.Ended = true
				continue
			}
			token := decoding.Token(row, column)
			to.Tokens = append(to.Tokens, token)
			input.Add(token)
			rows[len(stay)] = to
			stay = append(stay, int32(row))
		}
		if 0 < len(stay) && len(stay) < len(rows) {
			decoding.Select(t, stay)
		}
		rows = rows[:len(stay)]
	}
	return found
}

// drawn is a hypothesis that is drawn, and the key of its draws.
type drawn struct {
	*Hypothesis
	key uint64
}

// word is the n-th random word of a key.
func word(key uint64, n int) uint64 {
	var g rand.PCG
	g.Seed(key, uint64(n))
	return g.Uint64()
}

// drawing draws columns.
type drawing struct {
	*components.DecodingOptions
	scaled []float32 // logits / temperature
	heap   ranking
	ranked []int32 // columns out of the heap
	kept   []float32
}

// draw returns the column at which the distribution reaches u, in [0, 1).
func (d *drawing) draw(logits []float32, u float64) int {
	if d.Temperature != 1 {
		d.scaled = d.scaled[:0]
		for _, l := range logits {
			d.scaled = append(d.scaled, float32(float64(l)/d.Temperature))
		}
		logits = d.scaled
	}
	if d.TopK == 0 && d.TopP == 1 {
		return draw(logits, u)
	}
	kept := d.most(logits)
	d.kept = d.kept[:0]
	for _, column := range kept {
		d.kept = append(d.kept, logits[column])
	}
	return int(kept[draw(d.kept, u)])
}

// most returns the columns that can be drawn, the most probable first: TopK, and of
// these the fewest that together have the share TopP of their probability.
func (d *drawing) most(logits []float32) []int32 {
	d.heap.columns, d.heap.logits, d.ranked = d.heap.columns[:0], logits, d.ranked[:0]
	for column := range logits {
		d.heap.columns = append(d.heap.columns, int32(column))
	}
	d.heap.order()
	top := float64(logits[d.heap.columns[0]])
	p := func(column int32) float64 { return math.Exp(float64(logits[column]) - top) }
	limit, total := len(logits), 0.0
	if d.TopK > 0 {
		limit = min(limit, d.TopK)
		for len(d.ranked) < limit {
			d.ranked = append(d.ranked, d.heap.take())
			total += p(d.ranked[len(d.ranked)-1])
		}
	} else {
		for column := range logits {
			total += p(int32(column))
		}
	}
	n, sum := 0, 0.0
	for ; n < limit && (d.TopP == 1 || sum < d.TopP*total); n++ {
		if n == len(d.ranked) {
			d.ranked = append(d.ranked, d.heap.take())
		}
		sum += p(d.ranked[n])
	}
	return d.ranked[:n]
}

// ranking is a heap of columns: the largest logit first, of equals the lower column.
type ranking struct {
	columns []int32
	logits  []float32
}

func (h *ranking) before(i, j int) bool {
	a, b := h.columns[i], h.columns[j]
	return h.logits[a] > h.logits[b] || h.logits[a] == h.logits[b] && a < b
}

// order makes a heap of the columns.
func (h *ranking) order() {
	for i := len(h.columns)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

// take takes the first column out.
func (h *ranking) take() int32 {
	first, last := h.columns[0], len(h.columns)-1
	h.columns[0] = h.columns[last]
	h.columns = h.columns[:last]
	h.down(0)
	return first
}

// down moves the element i to where it belongs below.
func (h *ranking) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.columns) {
			return
		}
		if child+1 < len(h.columns) && h.before(child+1, child) {
			child++
		}
		if !h.before(child, i) {
			return
		}
		h.columns[i], h.columns[child] = h.columns[child], h.columns[i]
		i = child
	}
}
