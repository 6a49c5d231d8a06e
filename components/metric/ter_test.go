package metric

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestTER(t *testing.T) {
	for _, test := range []struct {
		options               []any
		hypothesis, reference string
		want                  float64
	}{
		{nil, "d e f g h a b c", "a b c d e f g h", 100. / 8}, // a shift of three words
		{nil, "b a d c", "a b c d", 100 * 2. / 4},
		{nil, "The cat", "the cat", 0},
		{[]any{"lowercase", false}, "The cat", "the cat", 50},
		{nil, "the cat.", "the cat .", 100 * 2. / 3},
		{[]any{"normalize", true}, `the cat's "10-20" mats.`, `the cat 's " 10 - 20 " mats .`, 0},
		{[]any{"normalize", true}, "&lt;a&gt;\n-b &amp;quot; c-\nd", `< a > b & quot ; c- d`, 0}, // as sacreBLEU's tokenizer_ter
		{[]any{"normalize", true}, "<skipped> a", "a", 300},
	} {
		if got := of(build(t, "ter", test.options...), texts(test.hypothesis, test.reference)); got != test.want {
			t.Errorf("TER %v of %q and %q is %v, want %v", test.options, test.hypothesis, test.reference, got, test.want)
		}
	}
}

// What is not looked at for it cannot be the best changes nothing, and TER is
// between what is missing of the words in any order and the edits without shifts.
func TestTERByDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	s, shifted := newShifts(), 0
	for range 3000 {
		h, r := sequence(rng, rng.IntN(14), 6), sequence(rng, 1+rng.IntN(14), 6)
		got, want := s.edits(h, r), slowTER(h, r)
		if got != want {
			t.Fatalf("TER makes %d edits of %v and %v, want %d", got, h, r, want)
		}
		e, _ := distance(h, r, nil)
		least := max(len(h), len(r)) - slowOverlap(h, r, 1)[0].matched
		if got < least || got > e.total() {
			t.Fatalf("TER makes %d edits of %v and %v, want %d to %d", got, h, r, least, e.total())
		}
		shifted += e.total() - got
	}
	if shifted == 0 {
		t.Error("no shift spared anything")
	}
}

// There is a way through the beam however lengths differ, though not always the
// shortest.
func TestTEROfUnequalLengths(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, lengths := range [][2]int{{1, 300}, {300, 1}, {2, 120}, {120, 90}, {90, 120}, {3, 3000}, {1000, 7}} {
		h, r := sequence(rng, lengths[0], 1000), sequence(rng, lengths[1], 1000)
		copy(h, r) // begin alike
		least, _ := distance(h, r, nil)
		if got, most := newShifts().edits(h, r), max(len(h), len(r)); got < least.total() || got > most {
			t.Errorf("TER makes %d edits of %d and %d words, want %d to %d", got, lengths[0], lengths[1], least.total(), most)
		}
	}
}

// slowTER is TER of short sequences, for which there is no beam, with every shift
// computed anew.
func slowTER(h, r []int32) int {
	tried := 0
	for n := 0; ; n++ {
		cost := table(h, r)
		total := cost[len(h)][len(r)]
		at, wrong, lost := make([]int, len(r)), make([]bool, len(h)), make([]bool, len(r))
		for i, j := len(h), len(r); i > 0 || j > 0; {
			switch {
			case i > 0 && j > 0 && h[i-1] == r[j-1] && cost[i][j] == cost[i-1][j-1]:
				i, j = i-1, j-1
				at[j] = i
			case i > 0 && j > 0 && h[i-1] != r[j-1] && cost[i][j] == cost[i-1][j-1]+1:
				i, j = i-1, j-1
				at[j], wrong[i], lost[j] = i, true, true
			case i > 0 && cost[i][j] == cost[i-1][j]+1:
				i--
				wrong[i] = true
			default:
				j--
				at[j], lost[j] = i-1, true
			}
		}
		var best []int32
		var rank []int // gain, length, -start, -target
	search:
		for start := range h {
			for from := range r {
				for length := 1; length <= maxShift && start+length <= len(h) && from+length <= len(r) && slices.Equal(h[start:start+length], r[from:from+length]); length++ {
					if !slices.Contains(wrong[start:start+length], true) || !slices.Contains(lost[from:from+length], true) || start <= at[from] && at[from] < start+length {
						continue
					}
					last := -1
					for j := from - 1; j < from+length; j++ {
						target := 0
						if j >= 0 {
							target = at[j] + 1
						}
						if target == last {
							continue
						}
						last = target
						rest := slices.Concat(h[:start], h[start+length:])
						put := target
						if target > start+length {
							put = target - length
						}
						moved := slices.Insert(rest, min(put, len(rest)), h[start:start+length]...)
						c := []int{total - table(moved, r)[len(h)][len(r)], length, -start, -target}
						tried++
						if best == nil || slices.Compare(c, rank) > 0 {
							best, rank = moved, c
						}
					}
					if tried >= maxCandidates {
						break search
					}
				}
			}
		}
		if tried >= maxCandidates || best == nil || rank[0] <= 0 {
			return n + total
		}
		h = best
	}
}

// table is the edit distance of every beginning of h and of r.
func table(h, r []int32) [][]int {
	cost := make([][]int, len(h)+1)
	for i := range cost {
		cost[i] = make([]int, len(r)+1)
		for j := range cost[i] {
			switch {
			case i == 0:
				cost[i][j] = j
			case j == 0:
				cost[i][j] = i
			case h[i-1] == r[j-1]:
				cost[i][j] = cost[i-1][j-1]
			default:
				cost[i][j] = 1 + min(cost[i-1][j-1], cost[i-1][j], cost[i][j-1])
			}
		}
	}
	return cost
}
