package metric

import (
	"math"
	"slices"

	"exp/components"
)

// ExactMatchOptions configures the exact match.
type ExactMatchOptions struct{}

// Doc describes the component.
func (ExactMatchOptions) Doc() string {
	return "Share of the greedy hypotheses that equal the whole target, or one of several where a source has them, token by token: subwords too are compared as they are, and another cut of the same text is not equal. " +
		"A target that the task's max_length cuts counts whole. " +
		"What is unknown to the vocabulary equals nothing, not itself either."
}

// Validate finds nothing.
func (ExactMatchOptions) Validate() error { return nil }

// NewExactMatch builds the exact match.
func NewExactMatch(ExactMatchOptions, components.MetricDeps) (components.Metric, error) {
	return simple{decodes: true, higher: true, score: exactMatch}, nil
}

func exactMatch(o *components.Outcome) float64 {
	same := 0
	for _, p := range o.Pairs {
		if slices.Contains(p.Hypothesis, components.Unk) {
			continue
		}
		if slices.ContainsFunc(p.References, func(r components.Reference) bool { return slices.Equal(p.Hypothesis, r.Whole()) }) {
			same++
		}
	}
	return float64(same) / float64(len(o.Pairs))
}

// EditDistanceOptions configures the edit distance.
type EditDistanceOptions struct {
	Normalized bool `toml:"normalized" doc:"over the length of the longer of the two, in 0 to 1"`
}

// Doc describes the component.
func (EditDistanceOptions) Doc() string {
	return "Mean over sources of the fewest target tokens to replace, leave out and put in that make the greedy hypothesis of the target (Levenshtein 1966), or of the nearest of several. Subwords are tokens too, compared as they are. " +
		"A target that the task's max_length cuts counts whole. " +
		"What is unknown to the vocabulary equals nothing, not itself either."
}

// Validate finds nothing.
func (EditDistanceOptions) Validate() error { return nil }

// NewEditDistance builds the edit distance.
func NewEditDistance(o EditDistanceOptions, _ components.MetricDeps) (components.Metric, error) {
	return simple{decodes: true, score: func(outcome *components.Outcome) float64 {
		var hypothesis []int32
		var row []int64
		sum := 0.0
		for _, p := range outcome.Pairs {
			hypothesis = hypothesis[:0]
			for _, token := range p.Hypothesis {
				if token == components.Unk {
					token = -1 // which no reference has
				}
				hypothesis = append(hypothesis, token)
			}
			nearest := math.Inf(1)
			for _, r := range p.References {
				whole := r.Whole()
				var e edits
				e, row = distance(hypothesis, whole, row)
				d, longer := float64(e.total()), max(len(hypothesis), len(whole))
				if o.Normalized && longer > 0 {
					d /= float64(longer)
				}
				nearest = min(nearest, d)
			}
			sum += nearest
		}
		return sum / float64(len(outcome.Pairs))
	}}, nil
}
