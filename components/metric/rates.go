package metric

import (
	"bytes"

	"exp/components"
)

const rateDoc = " the substitutions, deletions and insertions, as few as there can be, that make the greedy hypotheses of the references, each of the nearest of several (of equals the first), summed over all sources, over these references' length; " +
	"it can be above 1. Of the ways with the fewest edits the parts are of that with the fewest substitutions, which leaves most as it is; NIST's sclite weighs edits 4, 3, 3, and may split them otherwise."

// WEROptions configures the word error rate.
type WEROptions struct {
	Lowercase bool `toml:"lowercase" doc:"compare in lower case"`
}

// Doc describes the component.
func (WEROptions) Doc() string { return "Word error rate, of what is between white space:" + rateDoc }

// Validate finds nothing.
func (WEROptions) Validate() error { return nil }

// NewWER builds the word error rate.
func NewWER(o WEROptions, _ components.MetricDeps) (components.Metric, error) {
	return rate{cased(o.Lowercase)}, nil
}

// CEROptions configures the character error rate.
type CEROptions struct {
	Lowercase  bool `toml:"lowercase" doc:"compare in lower case"`
	Whitespace bool `toml:"whitespace" doc:"white space between two words is a character; false: it is left out"`
}

// Doc describes the component.
func (CEROptions) Doc() string { return "Character error rate, of Unicode's code points:" + rateDoc }

// Validate finds nothing.
func (CEROptions) Validate() error { return nil }

// NewCER builds the character error rate.
func NewCER(o CEROptions, _ components.MetricDeps) (components.Metric, error) {
	passes := cased(o.Lowercase)
	if o.Whitespace {
		passes = append(passes, showSpace)
	}
	return rate{append(passes, isolateAll)}, nil
}

// showSpace puts a byte that no text has in the place of white space between two
// words, for it to be seen.
func showSpace(dst, text []byte) []byte {
	for word := range bytes.FieldsFuncSeq(text, isSpace) {
		if len(dst) > 0 {
			dst = append(dst, 0xff)
		}
		dst = append(dst, word...)
	}
	return dst
}

// PEROptions configures the phoneme error rate.
type PEROptions struct {
	Stress bool `toml:"stress" doc:"phonemes differ that differ in the digit at their end, with which ARPAbet marks stress; one of digits alone, as X-SAMPA has, is itself in any case"`
}

// Doc describes the component.
func (PEROptions) Doc() string {
	return "Phoneme error rate (not the position-independent error rate of the same initials), of targets whose words are phonemes:" + rateDoc
}

// Validate finds nothing.
func (PEROptions) Validate() error { return nil }

// NewPER builds the phoneme error rate.
func NewPER(o PEROptions, _ components.MetricDeps) (components.Metric, error) {
	if o.Stress {
		return rate{}, nil
	}
	return rate{[]pass{unstressed}}, nil
}

// unstressed takes the digits off the ends of words that have something else.
func unstressed(dst, text []byte) []byte {
	for word := range bytes.FieldsFuncSeq(text, isSpace) {
		if bare := bytes.TrimRight(word, "0123456789"); len(bare) > 0 {
			word = bare
		}
		dst = append(append(dst, word...), ' ')
	}
	return dst
}

// cased is the pass that makes no difference of case, or none.
func cased(lowercase bool) []pass {
	if lowercase {
		return []pass{lower}
	}
	return nil
}

// rate is an error rate, of the words that there are after the passes.
type rate struct{ passes []pass }

func (rate) Decodes() bool        { return true }
func (rate) HigherIsBetter() bool { return false }

// Parts are the rates of each kind of edit, which sum up to the score.
func (rate) Parts() []string { return []string{"substitutions", "deletions", "insertions"} }

// Score is the rate: 0 where there is nothing to say and nothing is said.
func (m rate) Score(o *components.Outcome) (float64, []float64) {
	w := newWords(m.passes...)
	var hypothesis, reference []int32
	var row []int64
	var sum edits
	length := 0
	for i := range o.Pairs {
		h, references := o.Texts(i)
		hypothesis = w.of(hypothesis[:0], h)
		var nearest edits
		of := 0 // length of the nearest
		for j, r := range references {
			reference = w.of(reference[:0], r)
			var e edits
			e, row = distance(hypothesis, reference, row)
			if j == 0 || e.total() < nearest.total() {
				nearest, of = e, len(reference)
			}
		}
		sum.add(nearest)
		length += of
	}
	if sum.total() == 0 {
		return 0, make([]float64, 3)
	}
	l := float64(length)
	s, d, i := float64(sum.substitutions)/l, float64(sum.deletions)/l, float64(sum.insertions)/l
	return float64(sum.total()) / l, []float64{s, d, i}
}
