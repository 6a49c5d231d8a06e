package metric

import (
	"fmt"
	"math"
	"slices"

	"exp/components"
	"exp/registry"
)

// BLEUOptions configures BLEU.
type BLEUOptions struct {
	Tokenize  Tokenizer `toml:"tokenize" doc:"how texts are split: 13a and intl as mteval-v13a and mteval-v14 (international) do, char at every character, none at white space"`
	Lowercase bool      `toml:"lowercase" doc:"compare in lower case"`
	Order     int       `toml:"order" doc:"longest n-grams, in tokens"`
	Smoothing Smoothing `toml:"smoothing" doc:"precision of an order without a match (Chen & Cherry 2014): exp halves at each such order, floor counts 0.1 matches, add_k adds 1 to counts and totals above unigrams, none is 0"`
	Level     Level     `toml:"level" doc:"corpus: of the counts of all pairs; sentence: mean of each pair's BLEU, over the orders that its hypothesis is long enough for"`
}

// Level is what BLEU is computed of.
type Level string

const (
	Corpus   Level = "corpus"
	Sentence Level = "sentence"
)

// Values lists what is allowed.
func (Level) Values() []string { return []string{string(Corpus), string(Sentence)} }

// UnmarshalText accepts one of Values.
func (l *Level) UnmarshalText(text []byte) error { return registry.OneOf(l, text) }

// Smoothing is what the precision of an order without a match is.
type Smoothing string

const (
	Exp   Smoothing = "exp"
	Floor Smoothing = "floor"
	AddK  Smoothing = "add_k"
	None  Smoothing = "none"
)

// Values lists what is allowed.
func (Smoothing) Values() []string {
	return []string{string(Exp), string(Floor), string(AddK), string(None)}
}

// UnmarshalText accepts one of Values.
func (s *Smoothing) UnmarshalText(text []byte) error { return registry.OneOf(s, text) }

// The constants of floor and add_k, as in Chen & Cherry (2014).
const (
	floorMatches = 0.1
	addedCounts  = 1
)

// DefaultBLEU is sacreBLEU's.
func DefaultBLEU() BLEUOptions {
	return BLEUOptions{Tokenize: T13a, Order: 4, Smoothing: Exp, Level: Corpus}
}

// Doc describes the component.
func (BLEUOptions) Doc() string {
	return "BLEU (Papineni et al. 2002), 0 to 100, of the greedy hypotheses' text: 100 BP exp(1/N Σ log p_n) over n = 1 to N, " +
		"where p_n is the share of the hypotheses' n-grams that are matched, each at most as often as its reference has it, or that of several which has it most often, " +
		"and BP = min(1, exp(1 - r/h)) of all the tokens of references and hypotheses, of several references of that whose length is nearest, the shorter of two. " +
		"It equals sacreBLEU's (Post 2018) with the same options; 0 without any match."
}

// Validate reports every value out of range.
func (o BLEUOptions) Validate() error { return registry.AtLeast("order", o.Order, 1) }

type bleu struct{ BLEUOptions }

// NewBLEU builds BLEU.
func NewBLEU(o BLEUOptions, _ components.MetricDeps) (components.Metric, error) { return bleu{o}, nil }

func (bleu) Decodes() bool        { return true }
func (bleu) HigherIsBetter() bool { return true }

// Parts are the precisions, 0 to 100, the brevity penalty, and the ratio of
// hypothesis to reference length; nothing for sentences.
func (m bleu) Parts() []string {
	if m.Level == Sentence {
		return nil
	}
	var parts []string
	for n := range m.Order {
		parts = append(parts, fmt.Sprintf("precision_%d", n+1))
	}
	return append(parts, "brevity_penalty", "length_ratio")
}

// Signature is sacreBLEU's, but for the version, which is the project's.
func (m bleu) Signature(grouped bool) string {
	smoothing := string(m.Smoothing)
	switch m.Smoothing {
	case Floor:
		smoothing = fmt.Sprintf("floor[%.2f]", floorMatches)
	case AddK:
		smoothing = fmt.Sprintf("add-k[%.2f]", float64(addedCounts))
	}
	signature := numReferences(grouped) + fmt.Sprintf("|case:%s|eff:%s|tok:%s|smooth:%s", letterCase(m.Lowercase), yes(m.Level == Sentence), m.Tokenize, smoothing)
	if m.Order != DefaultBLEU().Order {
		signature += fmt.Sprintf("|order:%d", m.Order)
	}
	return signature + version
}

// version ends every signature: whose numbers they are.
const version = "|version:exp"

// numReferences begins every signature.
func numReferences(grouped bool) string {
	if grouped {
		return "nrefs:var"
	}
	return "nrefs:1"
}

func letterCase(lowercase bool) string {
	if lowercase {
		return "lc"
	}
	return "mixed"
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// Score is BLEU.
func (m bleu) Score(o *components.Outcome) (float64, []float64) {
	w := newWords(append(cased(m.Lowercase), m.Tokenize.passes()...)...)
	overlap := newOverlap(m.Order)
	var hypothesis []int32
	var references [][]int32
	sum := 0.0
	for i := range o.Pairs {
		h, texts := o.Texts(i)
		hypothesis, references = w.of(hypothesis[:0], h), slices.Grow(references, len(texts))[:len(texts)]
		for j, text := range texts {
			references[j] = w.of(references[j][:0], text)
		}
		if m.Level == Sentence {
			overlap.reset()
		}
		overlap.add(hypothesis, references...)
		if m.Level == Sentence {
			score, _ := m.combine(overlap.counts)
			sum += score
		}
	}
	if m.Level == Sentence {
		return sum / float64(len(o.Pairs)), nil
	}
	return m.combine(overlap.counts)
}

// combine makes BLEU and its parts of the counts.
func (m bleu) combine(counts []ngrams) (float64, []float64) {
	precisions := make([]float64, m.Order, m.Order+2)
	h, r := float64(counts[0].hypothesis), float64(counts[0].reference)
	penalty := 1.0
	switch {
	case h == 0 && r > 0:
		penalty = 0
	case h < r:
		penalty = math.Exp(1 - r/h)
	}
	matched := false
	for _, c := range counts {
		matched = matched || c.matched > 0
	}
	score := 0.0
	if matched {
		sum, orders, halved := 0.0, m.Order, 1.0
		for n, c := range counts {
			matches, total := float64(c.matched), float64(c.hypothesis)
			if m.Smoothing == AddK && n > 0 {
				matches += addedCounts
				total += addedCounts
			}
			if total == 0 {
				break
			}
			if m.Level == Sentence {
				orders = n + 1
			}
			if matches == 0 {
				switch m.Smoothing {
				case Exp:
					halved /= 2
					matches = halved
				case Floor:
					matches = floorMatches
				}
			}
			precisions[n] = 100 * matches / total
		}
		for _, p := range precisions[:orders] {
			sum += math.Log(p) // of 0, -Inf: no BLEU
		}
		score = penalty * math.Exp(sum/float64(orders))
	}
	ratio := math.NaN()
	if r > 0 {
		ratio = h / r
	}
	return score, append(precisions, penalty, ratio)
}
