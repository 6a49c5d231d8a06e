package metric

import (
	"math"
	"testing"

	"exp/components"
	"exp/registry"
)

// build reads a metric from the catalog: its name, and options with their values
// in turn.
func build(t testing.TB, name string, options ...any) components.Metric {
	t.Helper()
	c := components.NewCatalog()
	Register(c)
	table := registry.NewTable("evaluate.metrics", registry.Origin{})
	table.Set("type", registry.Value{Data: name})
	for i := 0; i < len(options); i += 2 {
		table.Set(options[i].(string), registry.Value{Data: options[i+1]})
	}
	choice, err := c.Metrics.Decode(table)
	if err != nil {
		t.Fatal(err)
	}
	m, err := choice.Build(components.MetricDeps{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// texts is the outcome of hypotheses and references, in turn.
func texts(pairs ...string) *components.Outcome {
	o := &components.Outcome{Text: func(tokens []int32) string { return string(tokens) }}
	for i := 0; i < len(pairs); i += 2 {
		o.Pairs = append(o.Pairs, components.Said{Hypothesis: []int32(pairs[i]), References: []components.Reference{{Tokens: []int32(pairs[i+1])}}})
	}
	return o
}

// grouped is the outcome of one hypothesis with several references.
func grouped(hypothesis string, references ...string) *components.Outcome {
	o := texts(hypothesis, references[0])
	for _, r := range references[1:] {
		o.Pairs[0].References = append(o.Pairs[0].References, components.Reference{Tokens: []int32(r)})
	}
	return o
}

// joined is outcomes as one.
func joined(outcomes ...*components.Outcome) *components.Outcome {
	all := *outcomes[0]
	all.Pairs = nil
	for _, o := range outcomes {
		all.Pairs = append(all.Pairs, o.Pairs...)
	}
	return &all
}

// What is unknown to the vocabulary is no match, of whatever it stands for.
func TestUnknownEqualsNothing(t *testing.T) {
	o := &components.Outcome{Pairs: []components.Said{
		{Hypothesis: []int32{4, components.Unk}, References: []components.Reference{{Tokens: []int32{4, components.Unk}}}},
		{Hypothesis: []int32{4, 5}, References: []components.Reference{{Tokens: []int32{4, 5}}}},
	}}
	if got := of(build(t, "exact_match"), o); got != 1./2 {
		t.Errorf("exact match is %v, want 1/2", got)
	}
	if got := of(build(t, "edit_distance"), o); got != 1./2 {
		t.Errorf("edit distance is %v, want 1/2", got)
	}
}

// What was cut off a target is missing in a hypothesis of the rest.
func TestWholeTargetCounts(t *testing.T) {
	cut := components.Reference{Tokens: []int32{4, 5}, CutOff: []int32{6, components.Unk}}
	o := &components.Outcome{Pairs: []components.Said{
		{Hypothesis: []int32{4, 5}, References: []components.Reference{cut}},
		{Hypothesis: []int32{4, 5, 6}, References: []components.Reference{cut}},
		{Hypothesis: []int32{4, 5, 6}, References: []components.Reference{cut, {Tokens: []int32{4, 5}, CutOff: []int32{6}}}},
	}}
	if got := of(build(t, "exact_match"), o); got != 1./3 {
		t.Errorf("exact match is %v, want 1/3", got)
	}
	if got := of(build(t, "edit_distance"), o); got != 1 {
		t.Errorf("edit distance is %v, want (2 + 1 + 0)/3", got)
	}
	if got := of(build(t, "edit_distance", "normalized", true), o); got != 1./4 {
		t.Errorf("normalized edit distance is %v, want (2/4 + 1/4 + 0)/3", got)
	}
}

func TestTokenMetrics(t *testing.T) {
	outcome := &components.Outcome{Pairs: []components.Said{
		{Loss: 1, Tokens: 3, Correct: 1, Hypothesis: []int32{4, 5}, References: []components.Reference{{Tokens: []int32{4, 5}}}},
		{Loss: 2, Tokens: 2, Correct: 2, Hypothesis: []int32{4}, References: []components.Reference{{Tokens: []int32{5}}}},
		{Loss: 1, Tokens: 1, Correct: 0, Hypothesis: nil, References: []components.Reference{{Tokens: []int32{}}}},
		{Loss: 0.5, Tokens: 1, Correct: 1, Hypothesis: []int32{6, 6}, References: []components.Reference{{Tokens: []int32{6}}}},
		{Loss: 1.5, Tokens: 1, Correct: 1, Hypothesis: []int32{4, 5, 6}, References: []components.Reference{{Tokens: []int32{4, 5}}}},
	}}
	for name, test := range map[string]struct {
		metric          components.Metric
		want            float64
		decodes, higher bool
	}{
		"loss":           {build(t, "loss"), 0.75, false, false},
		"perplexity":     {build(t, "perplexity"), math.Exp(0.75), false, false},
		"token_accuracy": {build(t, "token_accuracy"), 5. / 8, false, true},
		"exact_match":    {build(t, "exact_match"), 2. / 5, true, true}, // the first, and the empty one
		"edit_distance":  {build(t, "edit_distance"), 3. / 5, true, false},
		"normalized":     {build(t, "edit_distance", "normalized", true), (1 + 1./2 + 1./3) / 5, true, false},
	} {
		got, parts := test.metric.Score(outcome)
		if math.Abs(got-test.want) > 1e-15 || parts != nil {
			t.Errorf("%s is %v and %v, want %v", name, got, parts, test.want)
		}
		if test.metric.Decodes() != test.decodes || test.metric.HigherIsBetter() != test.higher {
			t.Errorf("%s: decodes %v, higher is better %v; want %v, %v", name, test.metric.Decodes(), test.metric.HigherIsBetter(), test.decodes, test.higher)
		}
	}
}

// A loss too large for a perplexity is an infinite one.
func TestPerplexityOverflows(t *testing.T) {
	if got, _ := build(t, "perplexity").Score(&components.Outcome{Pairs: []components.Said{{Loss: 1e6, Tokens: 1}}}); !math.IsInf(got, 1) {
		t.Errorf("perplexity of a loss of 1e6 is %v, want +Inf", got)
	}
}

// of scores a metric.
func of(m components.Metric, o *components.Outcome) float64 {
	score, _ := m.Score(o)
	return score
}
