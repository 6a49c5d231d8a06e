package metric

import (
	"bytes"
	"cmp"
	"fmt"
	"math"

	"exp/components"
)

// TEROptions configures TER.
type TEROptions struct {
	Lowercase bool `toml:"lowercase" doc:"compare in lower case"`
	Normalize bool `toml:"normalize" doc:"split off punctuation as Tercom's normalizer does for Western languages; false: words are between white space"`
}

// DefaultTER is sacreBLEU's.
func DefaultTER() TEROptions { return TEROptions{Lowercase: true} }

// Doc describes the component.
func (TEROptions) Doc() string {
	return "Translation edit rate (Snover et al. 2006), 0 to 100 and more: the edits that make the greedy hypotheses of the references, the fewest where there are several, summed over all sources, in a hundred words of the references, of the mean length of several. " +
		"An edit replaces, leaves out or puts in a word, or shifts words that stand elsewhere in the reference. " +
		fmt.Sprintf("Shifts are found greedily by Tercom's rules within its limits (%d words, a distance of %d, a beam of %d about the diagonal) and no more than %d are tried for a pair, as sacreBLEU does, with which it agrees. ", maxShift, maxShiftDistance, beamWidth, maxCandidates) +
		"100 where the references are empty and the hypotheses are not."
}

// Validate finds nothing.
func (TEROptions) Validate() error { return nil }

type ter struct{ TEROptions }

// NewTER builds TER.
func NewTER(o TEROptions, _ components.MetricDeps) (components.Metric, error) { return ter{o}, nil }

func (ter) Decodes() bool        { return true }
func (ter) HigherIsBetter() bool { return false }
func (ter) Parts() []string      { return nil }

// Signature is sacreBLEU's, but for the version, which is the project's.
func (m ter) Signature(grouped bool) string {
	return numReferences(grouped) + fmt.Sprintf("|case:%s|tok:tercom|norm:%s|punct:yes|asian:no", letterCase(m.Lowercase), yes(m.Normalize)) + version
}

// Score is TER.
func (m ter) Score(o *components.Outcome) (float64, []float64) {
	passes := cased(m.Lowercase)
	if m.Normalize {
		passes = append(passes, unescapeTercom, padded, isolate, possessive, afterNonDigit, beforeNonDigit, afterDigit)
	}
	w := newWords(passes...)
	s := newShifts()
	var hypothesis, reference []int32
	edits, length := 0, 0.0
	for i := range o.Pairs {
		h, references := o.Texts(i)
		hypothesis = w.of(hypothesis[:0], h)
		fewest, words := math.MaxInt, 0
		for _, r := range references {
			reference = w.of(reference[:0], r)
			fewest = min(fewest, s.edits(hypothesis, reference))
			words += len(reference)
		}
		edits += fewest
		length += float64(words) / float64(len(references))
	}
	switch {
	case length > 0:
		return 100 * float64(edits) / length, nil
	case edits > 0:
		return 100, nil
	}
	return 0, nil
}

// unescapeTercom is Tercom's: it takes out a hyphen at a line's beginning, as
// sacreBLEU has it, and leaves <skipped>.
func unescapeTercom(dst, text []byte) []byte { return unescaped(dst, text, "\n-") }

// 's  -> " 's "
func possessive(dst, text []byte) []byte {
	return append(dst, bytes.ReplaceAll(text, []byte("'s "), []byte(" 's "))...)
}

// Limits of the search: Tercom's, and sacreBLEU's of candidates.
const (
	maxShift         = 10
	maxShiftDistance = 50
	beamWidth        = 25
	maxCandidates    = 1000
)

func newShifts() *shifts { return &shifts{common: newOverlap(1)} }

// unreached is the cost of what the beam leaves out.
const unreached = math.MaxInt32 / 2

// shifts looks for the edits of TER. Its memory is used again for every pair.
type shifts struct {
	common           *overlap // of words
	words, reference []int32
	shifted, best    []int32 // words after a shift
	ratio            float64 // words of the reference a word of the hypothesis
	beam             int

	cost        []int32 // [words+1, reference+1] of making the first i words of the first j of the reference
	rows        [2][]int32
	at          []int // for each word of the reference, the word that it is aligned to, or that after which it is missing; -1 for before the first
	wrong, lost []int // how many of the first words, and of the first of the reference, are not as they should be
}

// edits is the number of shifts and edits.
func (s *shifts) edits(hypothesis, reference []int32) int {
	if len(reference) == 0 {
		return len(hypothesis)
	}
	s.words, s.reference = append(s.words[:0], hypothesis...), reference
	s.ratio = 1
	if len(hypothesis) > 0 {
		s.ratio = float64(len(reference)) / float64(len(hypothesis))
	}
	s.beam = beamWidth
	if beamWidth < s.ratio/2 { // rows that follow each other would not overlap
		s.beam = int(math.Ceil(s.ratio/2 + beamWidth))
	}
	s.common.reset()
	s.common.add(hypothesis, reference)
	least := max(len(hypothesis), len(reference)) - s.common.counts[0].matched // whatever the order
	tried := 0
	for n := 0; ; n++ {
		distance := s.align()
		if distance == least || !s.bestShift(distance, &tried) || tried >= maxCandidates {
			return n + distance
		}
		s.words, s.best = s.best, s.words
	}
}

// row computes row i of the costs, of the words up to word, from that above.
//
//	c(i, j) = min(c(i-1, j-1) + [word ≠ reference], c(i-1, j) + 1, c(i, j-1) + 1)
//
// near the diagonal.
func (s *shifts) row(i int, word int32, above, row []int32) {
	width := len(s.reference) + 1
	diagonal := int(float64(i) * s.ratio)
	from, to := max(0, diagonal-s.beam), min(width, diagonal+s.beam)
	if i == len(s.words) {
		to = width
	}
	left := int32(unreached)
	for j := range from {
		row[j] = unreached
	}
	for j := from; j < to; j++ {
		cost := min(above[j], left) + 1
		if j > 0 {
			substituted := above[j-1]
			if word != s.reference[j-1] {
				substituted++
			}
			cost = min(cost, substituted)
		}
		row[j], left = cost, cost
	}
	for j := to; j < width; j++ {
		row[j] = unreached
	}
}

// align computes the costs for the words as they are, and what is aligned to
// what, and returns the last cost. Where several ways cost the same, a word that
// stays or is replaced comes before one that is too many, and that before one
// that is missing.
func (s *shifts) align() int {
	n, m := len(s.words), len(s.reference)
	width := m + 1
	s.cost = resized(s.cost, (n+1)*width)
	for j := range width {
		s.cost[j] = int32(j)
	}
	for i, word := range s.words {
		s.row(i+1, word, s.cost[i*width:], s.cost[(i+1)*width:])
	}
	s.at, s.wrong, s.lost = resized(s.at, m), resized(s.wrong, n+1), resized(s.lost, m+1)
	s.wrong[0], s.lost[0] = 0, 0
	i, j := n, m
	for i > 0 || j > 0 {
		cost := s.cost[i*width+j]
		differ := i > 0 && j > 0 && s.words[i-1] != s.reference[j-1]
		missing, wrong := 0, 0
		switch {
		case i > 0 && j > 0 && cost == s.cost[(i-1)*width+j-1]+int32(count(differ)):
			missing, wrong = 1, 1
		case i > 0 && cost == s.cost[(i-1)*width+j]+1:
			wrong = 1
		default:
			missing = 1
		}
		error := count(missing+wrong == 1 || differ)
		if missing == 1 {
			s.at[j-1], s.lost[j] = i-1, error
		}
		if wrong == 1 {
			s.wrong[i] = error
		}
		i, j = i-wrong, j-missing
	}
	for i := range n {
		s.wrong[i+1] += s.wrong[i]
	}
	for j := range m {
		s.lost[j+1] += s.lost[j]
	}
	return int(s.cost[n*width+m])
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func resized[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}

// shift is one that could be made: the words from start on, as many as length,
// go before what is at target.
type shift struct{ gain, length, start, target int }

// better ranks shifts: by what they gain, then the longer, the one from further
// to the front, the one to further to the front.
func (a shift) better(b shift) bool {
	return cmp.Or(cmp.Compare(a.gain, b.gain), cmp.Compare(a.length, b.length), cmp.Compare(b.start, a.start), cmp.Compare(b.target, a.target)) > 0
}

// bestShift puts the words in best that the best shift leads to of those that need
// fewer edits than distance, and says whether there is one. It counts what it
// tries.
func (s *shifts) bestShift(distance int, tried *int) bool {
	best := shift{}
	for start := range s.words {
		for from := max(0, start-maxShiftDistance); from < min(len(s.reference), start+maxShiftDistance+1); from++ {
			for length := 1; length <= maxShift && start+length <= len(s.words) && from+length <= len(s.reference) &&
				s.words[start+length-1] == s.reference[from+length-1]; length++ {
				if s.wrong[start+length] == s.wrong[start] || s.lost[from+length] == s.lost[from] {
					continue // right where it is, or not missing there
				}
				if at := s.at[from]; start <= at && at < start+length {
					continue // to within itself
				}
				last := -1
				for j := from - 1; j < from+length; j++ {
					target := 0
					if j >= 0 {
						target = s.at[j] + 1
					}
					if target == last {
						continue
					}
					last = target
					c := shift{0, length, start, target}
					c.gain = distance - s.shiftedDistance(c)
					*tried++
					if c.gain > 0 && c.better(best) {
						best = c
						s.best = append(s.best[:0], s.shifted...)
					}
				}
				if *tried >= maxCandidates {
					return best.gain > 0
				}
			}
		}
	}
	return best.gain > 0
}

// shiftedDistance is the distance after a shift.
func (s *shifts) shiftedDistance(c shift) int {
	moved, end := s.words[c.start:c.start+c.length], c.start+c.length
	out := s.shifted[:0]
	switch {
	case c.target < c.start:
		out = append(append(append(append(out, s.words[:c.target]...), moved...), s.words[c.target:c.start]...), s.words[end:]...)
	case c.target > end:
		out = append(append(append(append(out, s.words[:c.start]...), s.words[end:c.target]...), moved...), s.words[c.target:]...)
	default: // to within itself: by as much further back
		to := min(c.length+c.target, len(s.words))
		out = append(append(append(append(out, s.words[:c.start]...), s.words[end:to]...), moved...), s.words[to:]...)
	}
	s.shifted = out
	same := 0
	for same < len(out) && out[same] == s.words[same] {
		same++
	}
	width := len(s.reference) + 1
	above := s.cost[same*width:]
	for i := same; i < len(out); i++ {
		row := resized(s.rows[i%2], width)
		s.rows[i%2] = row
		s.row(i+1, out[i], above, row)
		above = row
	}
	return int(above[width-1])
}
