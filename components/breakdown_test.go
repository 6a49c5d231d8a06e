package components

import (
	"math"
	"slices"
	"testing"
)

// sizes is a metric that counts pairs, and target tokens as its part.
type sizes struct{}

func (sizes) Decodes() bool        { return false }
func (sizes) HigherIsBetter() bool { return true }
func (sizes) Parts() []string      { return []string{"tokens"} }

func (sizes) Score(o *Outcome) (float64, []float64) {
	return float64(len(o.Pairs)), []float64{float64(o.Tokens())}
}

func TestBreakdown(t *testing.T) {
	o := &Outcome{}
	for _, lengths := range [][2]int{{0, 3}, {2, 1}, {3, 2}, {10, 0}, {11, 1}, {5, 9}} {
		o.Pairs = append(o.Pairs, Said{Source: lengths[0], Tokens: lengths[1] + 1, References: []Reference{{Tokens: make([]int32, lengths[1])}}})
	}
	for _, test := range []struct {
		breakdown Breakdown
		names     []string
		want      []float64
	}{
		{Breakdown{}, []string{"sizes", "sizes/tokens"}, []float64{6, 22}},
		{Breakdown{SourceLength: []int{2, 4, 10, 20}, TargetLength: []int{0}},
			[]string{"sizes", "sizes/tokens", "sizes/source_length=0-2", "sizes/source_length=3-4", "sizes/source_length=5-10", "sizes/source_length=11-20", "sizes/source_length=21+",
				"sizes/target_length=0-0", "sizes/target_length=1+"},
			[]float64{6, 22, 2, 1, 2, 1, math.NaN(), 1, 5}},
	} {
		if err := test.breakdown.Validate(); err != nil {
			t.Error(err)
		}
		if got := test.breakdown.Names("sizes", sizes{}); !slices.Equal(got, test.names) {
			t.Errorf("got %q, want %q", got, test.names)
		}
		if got, want := test.breakdown.Scores("sizes"), slices.Delete(slices.Clone(test.names), 1, 2); !slices.Equal(got, want) {
			t.Errorf("the scores are %q, want %q", got, want)
		}
		got := test.breakdown.Measure(sizes{}, o)
		if !slices.EqualFunc(got, test.want, func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }) {
			t.Errorf("got %v, want %v", got, test.want)
		}
	}
}
