package train

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"exp/components"
)

// pool is how many batches are sorted by length together.
const pool = 100

// order deals out the training pairs in batches. An epoch is a permutation of
// the pairs; each pool of it is sorted by the length of the source, pairs of one
// length staying in drawn order, and cut into batches, which are shuffled. So a
// batch holds pairs of nearly one length, and everything follows from the seed
// and the number of batches dealt.
//
// By both, pairs whose sources have one length are sorted by that of the target,
// up for one length of the source and down for the next, so that targets are alike
// across the two.
type order struct {
	split   components.Split
	dealt   components.Split // as it is in the epoch
	seed    uint64
	size    int // pairs a batch, 0: by tokens
	tokens  int // target tokens a batch, at most, if all were as long as the longest
	both    bool
	epoch   int
	next    int // batch of the epoch
	batches [][]int32
	pairs   []components.Pair
}

func newOrder(split components.Split, o components.Training, seed uint64) *order {
	d := &order{split: split, seed: seed, size: o.BatchSize, tokens: o.BatchTokens, both: o.BucketBy == components.ByBoth}
	d.deal()
	return d
}

// skip moves on by n batches.
func (d *order) skip(n int) {
	for n > len(d.batches)-d.next {
		n -= len(d.batches) - d.next
		d.epoch++
		d.deal()
	}
	d.next += n
}

// batch returns the next pairs, valid until the next call.
func (d *order) batch() []components.Pair {
	if d.next == len(d.batches) {
		d.epoch++
		d.deal()
	}
	d.pairs = d.pairs[:0]
	for _, i := range d.batches[d.next] {
		d.pairs = append(d.pairs, d.dealt.Pair(int(i)))
	}
	d.next++
	return d.pairs
}

// dealtOut says whether the batch before was the last of its epoch.
func (d *order) dealtOut() bool { return d.next == len(d.batches) }

// largest returns the pairs of the epoch's batch with the most tokens, valid until
// the next call.
func (d *order) largest() []components.Pair {
	most, largest := -1, 0
	for i, batch := range d.batches {
		tokens := 0
		for _, j := range batch {
			p := d.dealt.Pair(int(j))
			tokens += p.SourceSteps() + len(p.Target) + 1
		}
		if tokens > most {
			most, largest = tokens, i
		}
	}
	d.next = largest
	return d.batch()
}

// padding is the share of sources and of targets that would be padding if every
// one were as long as the longest of its batch, over the epoch.
func (d *order) padding() (source, target float64) {
	var steps, padded [2]int
	for _, batch := range d.batches {
		var longest [2]int
		for _, i := range batch {
			p := d.dealt.Pair(int(i))
			for side, n := range [2]int{p.SourceSteps(), len(p.Target) + 1} {
				steps[side] += n
				longest[side] = max(longest[side], n)
			}
		}
		for side, n := range longest {
			padded[side] += len(batch) * n
		}
	}
	return 1 - float64(steps[0])/float64(padded[0]), 1 - float64(steps[1])/float64(padded[1])
}

// deal makes the batches of the epoch.
func (d *order) deal() {
	rng := rand.New(rand.NewPCG(d.seed, uint64(d.epoch)))
	d.dealt = d.split
	if r, ok := d.split.(components.Resampled); ok {
		d.dealt = r.Epoch(d.seed, d.epoch)
	}
	indices := make([]int32, d.dealt.Len())
	lengths := make([][2]int, len(indices))
	for i := range indices {
		indices[i] = int32(i)
		p := d.dealt.Pair(i)
		lengths[i] = [2]int{p.SourceSteps(), len(p.Target) + 1}
	}
	rng.Shuffle(len(indices), func(i, j int) { indices[i], indices[j] = indices[j], indices[i] })
	d.batches, d.next = d.batches[:0], 0
	for len(indices) > 0 {
		n := d.poolSize(indices, lengths)
		together := indices[:n]
		indices = indices[n:]
		slices.SortStableFunc(together, func(a, b int32) int {
			p, q := lengths[a], lengths[b]
			switch {
			case p[0] != q[0] || !d.both:
				return cmp.Compare(p[0], q[0])
			case p[0]%2 == 1:
				p, q = q, p
			}
			return cmp.Compare(p[1], q[1])
		})
		for len(together) > 0 {
			n := d.batchSize(together, lengths)
			d.batches = append(d.batches, together[:n])
			together = together[n:]
		}
	}
	rng.Shuffle(len(d.batches), func(i, j int) { d.batches[i], d.batches[j] = d.batches[j], d.batches[i] })
}

// poolSize is how many of indices make the next pool.
func (d *order) poolSize(indices []int32, lengths [][2]int) int {
	if d.size > 0 {
		return min(len(indices), pool*d.size)
	}
	tokens := 0
	for n, i := range indices {
		if tokens += lengths[i][1]; tokens > pool*d.tokens {
			return max(1, n)
		}
	}
	return len(indices)
}

// batchSize is how many of indices make the next batch: at least one.
func (d *order) batchSize(indices []int32, lengths [][2]int) int {
	if d.size > 0 {
		return min(len(indices), d.size)
	}
	longest := 0
	for n, i := range indices {
		if longest = max(longest, lengths[i][1]); longest*(n+1) > d.tokens {
			return max(1, n)
		}
	}
	return len(indices)
}
