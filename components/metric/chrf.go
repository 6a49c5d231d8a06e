package metric

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"exp/components"
	"exp/registry"
)

// ChrFOptions configures chrF and chrF++.
type ChrFOptions struct {
	CharOrder  int  `toml:"char_order" doc:"longest n-grams of characters"`
	WordOrder  int  `toml:"word_order" doc:"longest n-grams of words; 0: none (chrF), 1 (chrF+), 2 (chrF++)"`
	Beta       int  `toml:"beta" doc:"how many times as much recall counts as precision"`
	Lowercase  bool `toml:"lowercase" doc:"compare in lower case"`
	Whitespace bool `toml:"whitespace" doc:"white space is a character as others, in place of being left out"`
}

// DefaultChrF is chrF2 (wordOrder 0) or chrF2++ (wordOrder 2), as sacreBLEU's.
func DefaultChrF(wordOrder int) ChrFOptions {
	return ChrFOptions{CharOrder: 6, WordOrder: wordOrder, Beta: 2}
}

// Doc describes the component.
func (ChrFOptions) Doc() string {
	return "chrF (Popović 2015) and chrF++ (Popović 2017), 0 to 100, of the greedy hypotheses' text: " +
		"100 (1+β²) P R / (β² P + R), where P and R are the shares of the hypotheses' and of the references' n-grams that are matched, " +
		"each averaged over the orders of characters and of words of which both have any. " +
		"Words are between white space, less one mark of punctuation at the end, or else at the front, which is a word too. " +
		"The counts are those of all sources, less a hypothesis' n-grams of an order of which its reference has none, and of several references those of that which gives the best chrF alone, as sacreBLEU's (Post 2018), with which it agrees; Popović's script averages F over the orders."
}

// Validate reports every value out of range.
func (o ChrFOptions) Validate() error {
	return errors.Join(registry.AtLeast("char_order", o.CharOrder, 1), registry.AtLeast("word_order", o.WordOrder, 0), registry.AtLeast("beta", o.Beta, 1))
}

type chrF struct{ ChrFOptions }

// NewChrF builds chrF or chrF++.
func NewChrF(o ChrFOptions, _ components.MetricDeps) (components.Metric, error) { return chrF{o}, nil }

func (chrF) Decodes() bool        { return true }
func (chrF) HigherIsBetter() bool { return true }

// Parts are P and R, 0 to 100.
func (chrF) Parts() []string { return []string{"precision", "recall"} }

// Signature is sacreBLEU's, but for the version, which is the project's. It leaves
// β out, which sacreBLEU has in the metric's name.
func (m chrF) Signature(grouped bool) string {
	return fmt.Sprintf("chrF%d%s|%s|case:%s|eff:yes|nc:%d|nw:%d|space:%s", m.Beta, strings.Repeat("+", m.WordOrder), numReferences(grouped), letterCase(m.Lowercase), m.CharOrder, m.WordOrder, yes(m.Whitespace)) + version
}

// Score is chrF.
func (m chrF) Score(o *components.Outcome) (float64, []float64) {
	characters, wordGrams := newOverlap(m.CharOrder), newOverlap(m.WordOrder)
	w := newWords(append(cased(m.Lowercase), apartPunctuation)...)
	var hypothesis, reference []int32
	var counts, best []ngrams
	sum := make([]ngrams, m.CharOrder+m.WordOrder)
	for i := range o.Pairs {
		h, references := o.Texts(i)
		bestScore := -1.0
		for _, r := range references {
			characters.reset()
			hypothesis, reference = m.characters(hypothesis[:0], h), m.characters(reference[:0], r)
			characters.add(hypothesis, reference)
			if m.WordOrder > 0 {
				wordGrams.reset()
				hypothesis, reference = w.of(hypothesis[:0], h), w.of(reference[:0], r)
				wordGrams.add(hypothesis, reference)
			}
			counts = append(append(counts[:0], characters.counts...), wordGrams.counts...)
			for n, c := range counts {
				if c.reference == 0 {
					counts[n].hypothesis = 0
				}
			}
			if score, _ := m.combine(counts); score > bestScore {
				bestScore, best = score, append(best[:0], counts...)
			}
		}
		for n, c := range best {
			sum[n].hypothesis += c.hypothesis
			sum[n].reference += c.reference
			sum[n].matched += c.matched
		}
	}
	return m.combine(sum)
}

// combine makes chrF and its parts of the counts.
func (m chrF) combine(counts []ngrams) (float64, []float64) {
	var precision, recall, orders float64
	for _, c := range counts {
		if c.hypothesis > 0 && c.reference > 0 {
			precision += float64(c.matched) / float64(c.hypothesis)
			recall += float64(c.matched) / float64(c.reference)
			orders++
		}
	}
	if precision == 0 {
		return 0, []float64{0, 0}
	}
	precision /= orders
	recall /= orders
	beta := float64(m.Beta * m.Beta)
	return 100 * (1 + beta) * precision * recall / (beta*precision + recall), []float64{100 * precision, 100 * recall}
}

// characters appends the characters of a text to dst, as numbers from 1.
func (m chrF) characters(dst []int32, text string) []int32 {
	if m.Lowercase {
		text = string(lower(nil, []byte(text)))
	}
	for _, r := range text {
		if m.Whitespace || !isSpace(r) {
			dst = append(dst, r+1)
		}
	}
	return dst
}

// apartPunctuation sets a mark of ASCII's punctuation at the end of each word
// apart, or else one at its front.
func apartPunctuation(dst, text []byte) []byte {
	for word := range bytes.FieldsFuncSeq(text, isSpace) {
		last := len(word) - 1
		switch {
		case last == 0:
			dst = append(dst, word...)
		case isMark(word[last]):
			dst = append(append(append(dst, word[:last]...), ' '), word[last])
		case isMark(word[0]):
			dst = append(append(append(dst, word[0]), ' '), word[1:]...)
		default:
			dst = append(dst, word...)
		}
		dst = append(dst, ' ')
	}
	return dst
}

// isMark is any character of ASCII that can be seen and is no letter or digit.
func isMark(b byte) bool {
	return isPunctuation(b) && b != ' ' || b == '\'' || b == '-' || isPoint(b)
}
