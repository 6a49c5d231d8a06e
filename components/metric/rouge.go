package metric

import (
	"unicode"
	"unicode/utf8"

	"exp/components"
)

// ROUGEOptions configures ROUGE-1, ROUGE-2 and ROUGE-L.
type ROUGEOptions struct {
	Unicode bool `toml:"unicode" doc:"words are of the letters, marks and digits of any script; false: of a to z and 0 to 9, and all else is left out"`
}

const rougeDoc = " (Lin 2004), 0 to 1: the mean over sources of F1 = 2 P R / (P + R) of the greedy hypothesis' text against its reference, the best F1 of several, in lower case, of words that are runs of letters and digits. " +
	"0 where either has no word. It equals the rouge_score package's without stemming, and the parts are the means of P and R."

// Validate finds nothing.
func (ROUGEOptions) Validate() error { return nil }

// ROUGE1Options configures ROUGE-1.
type ROUGE1Options struct{ ROUGEOptions }

// Doc describes the component.
func (ROUGE1Options) Doc() string {
	return "ROUGE-1" + rougeDoc + " P and R are the shares of the hypothesis' and of the reference's words that are matched."
}

// NewROUGE1 builds ROUGE-1.
func NewROUGE1(o ROUGE1Options, _ components.MetricDeps) (components.Metric, error) {
	return rouge{o.ROUGEOptions, 1}, nil
}

// ROUGE2Options configures ROUGE-2.
type ROUGE2Options struct{ ROUGEOptions }

// Doc describes the component.
func (ROUGE2Options) Doc() string {
	return "ROUGE-2" + rougeDoc + " P and R are the shares of the hypothesis' and of the reference's pairs of words that are matched."
}

// NewROUGE2 builds ROUGE-2.
func NewROUGE2(o ROUGE2Options, _ components.MetricDeps) (components.Metric, error) {
	return rouge{o.ROUGEOptions, 2}, nil
}

// ROUGELOptions configures ROUGE-L.
type ROUGELOptions struct{ ROUGEOptions }

// Doc describes the component.
func (ROUGELOptions) Doc() string {
	return "ROUGE-L" + rougeDoc + " P and R are the length of the longest common subsequence of words over that of the hypothesis and of the reference; the text is one sentence, as rougeL's, not split at line ends as rougeLsum's."
}

// NewROUGEL builds ROUGE-L.
func NewROUGEL(o ROUGELOptions, _ components.MetricDeps) (components.Metric, error) {
	return rouge{o.ROUGEOptions, 0}, nil
}

type rouge struct {
	ROUGEOptions
	n int // of the n-grams; 0 for the longest common subsequence
}

func (rouge) Decodes() bool        { return true }
func (rouge) HigherIsBetter() bool { return true }

// Parts are the means of P and R.
func (rouge) Parts() []string { return []string{"precision", "recall"} }

// Score is the mean F1.
func (m rouge) Score(o *components.Outcome) (float64, []float64) {
	alphanumeric := alphanumericASCII
	if m.Unicode {
		alphanumeric = alphanumericUnicode
	}
	w, overlap := newWords(lower, alphanumeric), newOverlap(m.n)
	var hypothesis, reference, row []int32
	var f, p, r float64
	for i := range o.Pairs {
		h, references := o.Texts(i)
		hypothesis = w.of(hypothesis[:0], h)
		var best, bestP, bestR float64
		for _, text := range references {
			reference = w.of(reference[:0], text)
			var matched int
			if m.n > 0 {
				overlap.reset()
				overlap.add(hypothesis, reference)
				matched = overlap.counts[m.n-1].matched
			} else {
				matched, row = commonSubsequence(hypothesis, reference, row)
			}
			if matched == 0 {
				continue
			}
			fewer := max(m.n-1, 0) // n-grams than words
			precision, recall := float64(matched)/float64(len(hypothesis)-fewer), float64(matched)/float64(len(reference)-fewer)
			if f1 := 2 * precision * recall / (precision + recall); f1 > best {
				best, bestP, bestR = f1, precision, recall
			}
		}
		p += bestP
		r += bestR
		f += best
	}
	n := float64(len(o.Pairs))
	return f / n, []float64{p / n, r / n}
}

// [^a-z0-9]+ -> " "
func alphanumericASCII(dst, text []byte) []byte {
	for _, b := range text {
		if !isDigit(b) && (b < 'a' || b > 'z') {
			b = ' '
		}
		dst = append(dst, b)
	}
	return dst
}

// [^\p{L}\p{M}\p{N}]+ -> " "
func alphanumericUnicode(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if unicode.In(r, unicode.L, unicode.M, unicode.N) {
			dst = append(dst, text[:n]...)
		} else {
			dst = append(dst, ' ')
		}
		text = text[n:]
	}
	return dst
}

// commonSubsequence is the length of the longest common subsequence. row is memory
// for it, which it returns.
func commonSubsequence(a, b, row []int32) (int, []int32) {
	row = append(row[:0], 0)
	for range b {
		row = append(row, 0)
	}
	for _, x := range a {
		diagonal := int32(0)
		for j, y := range b {
			above := row[j+1]
			if x == y {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			diagonal = above
		}
	}
	return int(row[len(b)]), row
}
