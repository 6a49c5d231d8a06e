package metric

import (
	"cmp"
	"slices"
)

// overlap counts the n-grams of sequences for every order 1 to len(counts) at once.
//
// An n-gram that a hypothesis has h times and its reference r times, the one of
// several references that has it most often, is matched min(h, r) times. The
// positions of all sequences are sorted by the tokens that begin there, so that
// equal n-grams of every order lie together, and one walk counts them all.
type overlap struct {
	counts []ngrams // by order, from 1; reference: of that whose length is nearest to the hypothesis', the shorter of two

	tokens    []int32 // the hypothesis and the references, each with end after it
	positions []int32
	ends      []int32 // position after each of the sequences
	here      [][]int // [len(counts)] of the n-gram at hand, how often it is in each of the sequences
}

// ngrams is how many of one order there are.
type ngrams struct{ hypothesis, reference, matched int }

// end is no token: those are from 1.
const end = 0

func newOverlap(order int) *overlap {
	return &overlap{counts: make([]ngrams, order), here: make([][]int, order)}
}

// reset forgets what was counted.
func (o *overlap) reset() { clear(o.counts) }

// add counts the n-grams of another hypothesis and its references, of which there
// is one or more.
func (o *overlap) add(hypothesis []int32, references ...[]int32) {
	o.tokens = append(append(o.tokens[:0], hypothesis...), end)
	o.ends = append(o.ends[:0], int32(len(o.tokens)))
	nearest := len(references[0])
	for _, r := range references {
		o.tokens = append(append(o.tokens, r...), end)
		o.ends = append(o.ends, int32(len(o.tokens)))
		d, least := distanceOf(len(r), len(hypothesis)), distanceOf(nearest, len(hypothesis))
		if d < least || d == least && len(r) < nearest {
			nearest = len(r)
		}
	}
	for i := range o.counts {
		o.counts[i].hypothesis += max(0, len(hypothesis)-i)
		o.counts[i].reference += max(0, nearest-i)
		o.here[i] = slices.Grow(o.here[i][:0], len(o.ends))[:len(o.ends)]
		clear(o.here[i])
	}
	o.positions = o.positions[:0]
	for i, token := range o.tokens {
		if token != end {
			o.positions = append(o.positions, int32(i))
		}
	}
	slices.SortFunc(o.positions, o.compare)
	for i, p := range o.positions {
		if i > 0 {
			o.match(o.common(o.positions[i-1], p))
		}
		sequence := 0
		for p >= o.ends[sequence] {
			sequence++
		}
		for n := range o.here {
			if o.tokens[int(p)+n] == end {
				break
			}
			o.here[n][sequence]++
		}
	}
	o.match(0)
}

// match ends the n-grams that are longer than the next has in common with them.
func (o *overlap) match(common int) {
	for n := common; n < len(o.here); n++ {
		o.counts[n].matched += min(o.here[n][0], slices.Max(o.here[n][1:]))
		clear(o.here[n])
	}
}

// distanceOf is how far apart two lengths are.
func distanceOf(a, b int) int { return max(a-b, b-a) }

// compare orders positions by their tokens, as many as the highest order has. One
// that ends sooner comes first.
func (o *overlap) compare(a, b int32) int {
	for range o.counts {
		x, y := o.tokens[a], o.tokens[b]
		if x != y || x == end {
			return cmp.Compare(x, y)
		}
		a++
		b++
	}
	return 0
}

// common is how many tokens at two positions are the same.
func (o *overlap) common(a, b int32) int {
	for n := range o.counts {
		if x := o.tokens[int(a)+n]; x != o.tokens[int(b)+n] || x == end {
			return n
		}
	}
	return len(o.counts)
}
