package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"exp/components"
)

// InspectPairs says whether the targets of the data go with their sources, or with
// those some lines before or after, as where one of two files has a line too many.
//
// A target's tokens are guessed from those of its source by how often the two come
// together, with no order but for the first and the last and with the lengths as
// tokens more, and the guess is tried on pairs that it was not learned from: does it
// prefer the target that is there to one of another pair? Without any bond it does
// for half of them.
func InspectPairs(d *components.Data) Finding {
	const name = "alignment"
	windows := min(3, max(1, d.Train.Len()/window))
	for w := range windows {
		from := 0
		if windows > 1 {
			from = w * (d.Train.Len() - window) / (windows - 1)
		}
		n := min(window, d.Train.Len()-from)
		by := map[int]share{}
		best := 0
		for _, offset := range offsets {
			by[offset] = learnBonds(d.Train, from, n/2, offset).tried(d.Train, from+n/2, n-n/2, offset)
			if by[offset].deviations > by[best].deviations+5 {
				best = offset
			}
		}
		switch own := by[0]; {
		case own.of < n/8: // nearly all pairs are one
		case best != 0 && own.deviations < by[best].deviations/2:
			return Finding{name, Fault, fmt.Sprintf("train, pairs %d to %d: targets go with the source %s (%s) rather than with their own (%s)", from+1, from+n, lines(best), by[best], own),
				"the two sides are shifted: look for a line too many or too few, or a header, in one of the files"}
		case own.deviations < 3 && n >= 200:
			return Finding{name, Warning, fmt.Sprintf("train, pairs %d to %d: no bond of targets to their sources is found: %s", from+1, from+n, own),
				"fine where all is in the order of the tokens; else the sides may not belong together: look at the examples of exp data"}
		}
	}
	bonds := learnBonds(d.Train, 0, min(window, d.Train.Len()), 0)
	for _, s := range []namedSplit{{"valid", d.Valid}, {"test", d.Test}} {
		own, n := bonds.tried(s.Split, 0, min(window, s.Len()), 0), min(window, s.Len())
		for _, offset := range offsets {
			if other := bonds.tried(s.Split, 0, n, offset); other.deviations > own.deviations+5 && own.deviations < other.deviations/2 {
				return Finding{name, Fault, fmt.Sprintf("%s: targets go with the source %s (%s) rather than with their own (%s)", s.name, lines(offset), other, own),
					"the two sides are shifted: look for a line too many or too few, or a header, in one of the files"}
			}
		}
	}
	return Finding{name, OK, "targets go with their own sources, as far as their tokens and lengths tell", ""}
}

// window is how many pairs are looked at together.
const window = 3000

var offsets = []int{0, -2, -1, 1, 2}

func lines(offset int) string {
	switch offset {
	case 1:
		return "of the pair before"
	case -1:
		return "of the pair after"
	}
	if offset < 0 {
		return fmt.Sprintf("%d pairs after", -offset)
	}
	return fmt.Sprintf("%d pairs before", offset)
}

// share is of how many tries the target that is there was preferred.
type share struct {
	wins       float64
	of         int
	deviations float64 // from a half, in standard deviations of chance
}

func (s share) String() string {
	return fmt.Sprintf("preferred in %.0f %% of %d", 100*s.wins/float64(max(1, s.of)), s.of)
}

// bonds is how often tokens of sources and of targets come together.
type bonds struct {
	sources, targets map[int32]float64 // pairs that have it
	both             map[[2]int32]float64
	pairs            float64
}

// learnBonds reads n pairs from one on, each target with the source so many before
// its own.
func learnBonds(s components.Split, from, n, offset int) *bonds {
	b := &bonds{map[int32]float64{}, map[int32]float64{}, map[[2]int32]float64{}, 0}
	for i := from; i < from+n; i++ {
		j := i + offset
		if j < from || j >= from+n {
			continue
		}
		source, target := traits(s.Pair(i)), targetTraits(s.Pair(j))
		for _, x := range source {
			b.sources[x]++
		}
		for _, y := range target {
			b.targets[y]++
			for _, x := range source {
				b.both[[2]int32{x, y}]++
			}
		}
		b.pairs++
	}
	return b
}

const (
	mostTraits = 24 // of a sequence
	smoothing  = 5  // pairs that an unseen bond is worth
)

// traits is what a source is guessed from: its tokens, each once, its first, its
// last and its length.
func traits(p components.Pair) []int32 { return traitsOf(p.Source, p.SourceSteps()) }

func targetTraits(p components.Pair) []int32 { return traitsOf(p.Target, len(p.Target)) }

func traitsOf(tokens []int32, steps int) []int32 {
	const first, last, length = 1 << 28, 2 << 28, 3 << 28 // beyond all tokens
	all := []int32{length + int32(8*math.Log2(float64(1+steps)))}
	if len(tokens) > 0 {
		all = append(all, first+tokens[0], last+tokens[len(tokens)-1])
	}
	seen := map[int32]bool{}
	for _, token := range tokens {
		if len(all) == mostTraits {
			break
		}
		if !seen[token] {
			seen[token] = true
			all = append(all, token)
		}
	}
	return all
}

// score is the mean over the target's traits of the log of how much likelier the
// source makes them.
func (b *bonds) score(source, target []int32) float64 {
	sum := 0.0
	for _, y := range target {
		p := (b.targets[y] + 0.5) / (b.pairs + 1)
		given := 0.0
		for _, x := range source {
			given += (b.both[[2]int32{x, y}] + smoothing*p) / (b.sources[x] + smoothing)
		}
		sum += math.Log(given / float64(len(source)) / p)
	}
	return sum / float64(len(target))
}

// tried compares, of n pairs from one on, the target that is there for a source with
// that of a pair drawn, where that is another.
func (b *bonds) tried(s components.Split, from, n, offset int) share {
	rng := rand.New(rand.NewPCG(1, 2))
	var r share
	for i := from; i < from+n; i++ {
		j := i + offset
		if j < from || j >= from+n || n < 2 {
			continue
		}
		source, own, other := traits(s.Pair(i)), s.Pair(j), s.Pair(from+rng.IntN(n))
		if slices.Equal(own.Target, other.Target) {
			continue
		}
		a, c := b.score(source, targetTraits(own)), b.score(source, targetTraits(other))
		switch {
		case a > c:
			r.wins++
		case a == c:
			r.wins += 0.5
		}
		r.of++
	}
	if r.of > 0 {
		r.deviations = (r.wins - float64(r.of)/2) / (math.Sqrt(float64(r.of)) / 2)
	}
	return r
}
