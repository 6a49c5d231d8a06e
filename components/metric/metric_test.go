package metric

import (
	"math"
	"testing"

	"exp/components"
	"exp/registry"
)

// score reads a metric from a catalog and computes it.
func score(t *testing.T, name string, o *components.Outcome) (components.Metric, float64) {
	t.Helper()
	c := components.NewCatalog()
	Register(c)
	table := registry.NewTable("evaluate.metrics", registry.Origin{})
	table.Set("type", registry.Value{Data: name})
	choice, err := c.Metrics.Decode(table)
	if err != nil {
		t.Fatal(err)
	}
	m, err := choice.Build(components.MetricDeps{})
	if err != nil {
		t.Fatal(err)
	}
	return m, m.Score(o)
}

func TestMetrics(t *testing.T) {
	outcome := &components.Outcome{
		Loss: 6, Tokens: 8, Correct: 5,
		Hypotheses: [][]int32{{4, 5}, {4}, nil, {6, 6}, {4, 5, 6}},
		References: [][]int32{{4, 5}, {5}, {}, {6}, {4, 5}},
	}
	for name, test := range map[string]struct {
		want            float64
		decodes, higher bool
	}{
		"loss":           {0.75, false, false},
		"perplexity":     {math.Exp(0.75), false, false},
		"token_accuracy": {5. / 8, false, true},
		"exact_match":    {2. / 5, true, true}, // the first, and the empty one
	} {
		m, got := score(t, name, outcome)
		if math.Abs(got-test.want) > 1e-15 {
			t.Errorf("%s is %v, want %v", name, got, test.want)
		}
		if m.Decodes() != test.decodes || m.HigherIsBetter() != test.higher {
			t.Errorf("%s: decodes %v, higher is better %v; want %v, %v", name, m.Decodes(), m.HigherIsBetter(), test.decodes, test.higher)
		}
	}
}

// A loss too large for a perplexity is an infinite one.
func TestPerplexityOverflows(t *testing.T) {
	if _, got := score(t, "perplexity", &components.Outcome{Loss: 1e6, Tokens: 1}); !math.IsInf(got, 1) {
		t.Errorf("perplexity of a loss of 1e6 is %v, want +Inf", got)
	}
}
