package train

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/componenttest"
	"exp/components/standard"
	"exp/runner/checkpoint"
	"exp/runner/generate"
)

func TestCheck(t *testing.T) {
	catalog := standard.Catalog()
	transformer := func(length int) map[string]any {
		return map[string]any{"model_size": 4, "num_heads": 2, "ffn_size": 4, "positions": "learned", "max_length": length}
	}
	limit := func(c *Config, source, target, hypothesis int) {
		c.Parts.Encoder = componenttest.Build(t, &catalog.Encoders, "transformer", transformer(source))
		c.Parts.Decoder = componenttest.Build(t, &catalog.Decoders, "transformer", transformer(target))
		c.Evaluation.MaxLength = hypothesis
	}
	for want, change := range map[string]func(*Config){
		"evaluate.coverage_beta: needs an attention, and the model has none": func(c *Config) {
			c.Parts.Attention, c.Evaluation.CoverageBeta = componenttest.Build(t, &catalog.Attentions, "none", nil), 1
		},
		`evaluate.prefix: "x" is no token of the target's vocabulary`: func(c *Config) { c.Evaluation.Prefix = "x" },
		"evaluate.prefix: has 7 tokens, and evaluate.max_length is 6": func(c *Config) {
			c.Evaluation.Prefix = strings.Repeat(" "+c.Data.Target.Token(4), 7)
		},
		"task: the train split is empty": func(c *Config) { c.Data.Train = components.Pairs{} },
		"task: the test split is empty":  func(c *Config) { c.Data.Test = components.Pairs{} },
		"model.encoder.max_length: is 3, and pair 3 of the train split has a source of 4 tokens":                   func(c *Config) { limit(c, 3, 5, 5) },
		"model.decoder.max_length: is 4, and pair 3 of the train split has a target of 5 tokens, its end included": func(c *Config) { limit(c, 4, 4, 4) },
		"evaluate.max_length: is 6, and model.decoder.max_length allows hypotheses of 5 tokens":                    func(c *Config) { limit(c, 4, 5, 6) },
		"": func(c *Config) { limit(c, 4, 5, 5) }, // fits exactly
	} {
		c := config(t)
		change(&c)
		count, err := Check(c)
		if want != "" {
			if err == nil || err.Error() != want {
				t.Errorf("error is %v, want %q", err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("error is %v", err)
		}
		if tr, err := newTrial(c, discard{}); err != nil || tr.model.Params.Count() != count {
			t.Errorf("%d parameters, %v", count, err)
		}
		if err := Run(context.Background(), c, newMemory()); err != nil { // and reads and decodes its longest pairs
			t.Error(err)
		}
	}
}

// Measure gives what was recorded at the end of the training.
func TestMeasure(t *testing.T) {
	sink, c := newMemory(), config(t)
	c.Breakdown.TargetLength = []int{2}
	if err := Run(context.Background(), c, sink); err != nil {
		t.Fatal(err)
	}
	var readings []int
	values, err := Measure(c, func(step int) error { readings = append(readings, step); return nil })
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, m := range c.Metrics {
		want += 2 * (1 + len(m.Parts()) + 2)
	}
	if len(values) != want {
		t.Errorf("%d values, want %d", len(values), want)
	}
	for _, v := range values {
		if want := sink.value(t, 8, v.Split, v.Name); v.Value != want {
			t.Errorf("%s/%s is %v, want %v", v.Split, v.Name, v.Value, want)
		}
	}
	c.Training.Steps = 9
	if _, err := Measure(c, nil); err == nil || !strings.Contains(err.Error(), "is of step 8 of 9") {
		t.Errorf("error is %v, want one that says that the model is not trained", err)
	}
}

func TestTime(t *testing.T) {
	c := config(t)
	e, err := Time(c, time.Millisecond)
	if err != nil || e.Training <= 0 || e.Evaluation <= 0 {
		t.Errorf("estimate is %+v, %v", e, err)
	}
	if checkpoint.Exists(c.Checkpoint) {
		t.Error("an estimate left a checkpoint")
	}
}

// worded is a split whose pairs were texts, of which those of one source belong
// together.
type worded struct{ components.Pairs }

func (w worded) Text(i int) (source, target string) { return "source", fmt.Sprintf("text %d", i) }

func (w worded) First(i int) int {
	return slices.IndexFunc(w.Pairs, func(p components.Pair) bool { return slices.Equal(p.Source, w.Pairs[i].Source) })
}

func (w worded) CutOff(i int) []int32 { return []int32{int32(i)} }

// spy is a metric that keeps what it is given.
type spy struct {
	components.Metric
	outcomes map[int]*components.Outcome // by the number of sources
}

func (s spy) Score(o *components.Outcome) (float64, []float64) {
	s.outcomes[len(o.Pairs)] = o
	return s.Metric.Score(o)
}

// What metrics see of a training: the texts that the pairs were, and one hypothesis
// for all references of a source, with the loss of every pair.
func TestReferencesReachMetrics(t *testing.T) {
	c := config(t)
	seen := spy{outcomes: map[int]*components.Outcome{}}
	for i, m := range c.Metrics {
		if m.Name == "bleu" {
			seen.Metric = m.Metric
			c.Metrics[i].Metric = seen
		}
	}
	pairs := copies(4, 21)
	alone := slices.Clone(pairs)
	for _, i := range []int{2, 0, 2} {
		pairs = append(pairs, components.Pair{Source: pairs[i].Source, Target: pairs[1].Target})
	}
	c.Data.Valid, c.Data.Test = alone, worded{pairs}
	sink := newMemory()
	if err := Run(context.Background(), c, sink); err != nil {
		t.Fatal(err)
	}
	o := seen.outcomes[len(alone)]
	if len(seen.outcomes) != 1 || o == nil {
		t.Fatalf("metrics were given outcomes of %d sizes, want those of %d sources", len(seen.outcomes), len(alone))
	}
	for i, want := range [][]string{{"text 0", "text 5"}, {"text 1"}, {"text 2", "text 4", "text 6"}, {"text 3"}} {
		if _, got := o.Texts(i); !slices.Equal(got, want) {
			t.Errorf("source %d has the references %q, want %q", i, got, want)
		}
		if !slices.Equal(o.Pairs[i].References[0].Tokens, pairs[i].Target) {
			t.Errorf("the first reference of source %d is %v, want %v", i, o.Pairs[i].References[0].Tokens, pairs[i].Target)
		}
		if got, want := o.Pairs[i].References[0].Whole(), append(slices.Clone(pairs[i].Target), int32(i)); !slices.Equal(got, want) {
			t.Errorf("the first reference of source %d is %v with what was cut off, want %v", i, got, want)
		}
	}
	tokens := 0
	for _, p := range pairs {
		tokens += len(p.Target) + 1
	}
	if got := o.Tokens(); got != tokens {
		t.Errorf("%d target tokens count, want those of all pairs, %d", got, tokens)
	}

	// The same without groups: each number of a pair is what it was.
	params := autodiff.NewParams(autodiff.Float32, 1)
	m, err := components.NewModel(c.Parts, params, c.Data.Source.Size(), c.Data.Target.Size())
	if err != nil {
		t.Fatal(err)
	}
	tape := autodiff.NewTape(autodiff.Float32)
	each := Evaluate(m, tape, c.Data, pairs, 4, &generate.Options{DecodingOptions: c.Evaluation.DecodingOptions})
	together := Evaluate(m, tape, c.Data, worded{pairs}, 4, &generate.Options{DecodingOptions: c.Evaluation.DecodingOptions})
	for i, said := range together.Pairs {
		if !slices.Equal(said.Hypothesis, each.Pairs[i].Hypothesis) {
			t.Errorf("the hypothesis of source %d is %v, and %v alone", i, said.Hypothesis, each.Pairs[i].Hypothesis)
		}
	}
	if got, want := together.Loss(), each.Loss(); math.Abs(got-want) > 1e-9 || together.Correct() != each.Correct() {
		t.Errorf("the loss is %v, want %v", got, want)
	}
}

// What is measured does not depend on which pairs are measured together.
func TestEvaluateInAnyBatchSize(t *testing.T) {
	c := config(t)
	params := autodiff.NewParams(autodiff.Float32, 1)
	m, err := components.NewModel(c.Parts, params, c.Data.Source.Size(), c.Data.Target.Size())
	if err != nil {
		t.Fatal(err)
	}
	split, tape := copies(40, 0), autodiff.NewTape(autodiff.Float32)
	decode := &generate.Options{DecodingOptions: components.DecodingOptions{MaxLength: 6}}
	want := Evaluate(m, tape, c.Data, split, 1, decode)
	tokens := 0
	if got, want := want.Text([]int32{4, 4}), c.Data.Target.Token(4)+" "+c.Data.Target.Token(4); got != want {
		t.Errorf("the text of tokens is %q, want %q", got, want)
	}
	for i, p := range split {
		tokens += len(p.Target) + 1
		if said := want.Pairs[i]; !slices.Equal(said.References[0].Tokens, p.Target) || said.Source != len(p.Source) || said.Tokens != len(p.Target)+1 {
			t.Errorf("pair %d is %+v, want a source of %d tokens and the target %v", i, said, len(p.Source), p.Target)
		}
	}
	if want.Tokens() != tokens || len(want.Pairs) != len(split) {
		t.Errorf("%d tokens, %d pairs; want %d, %d", want.Tokens(), len(want.Pairs), tokens, len(split))
	}
	for _, size := range []int{2, 7, 40, 1000} {
		got := Evaluate(m, tape, c.Data, split, size, decode)
		if !reflect.DeepEqual(got.Pairs, want.Pairs) {
			t.Errorf("batch size %d: got %+v, want %+v", size, got.Pairs, want.Pairs)
		}
	}
	for _, change := range []func(*generate.Options){
		func(o *generate.Options) { o.BeamSize, o.LengthAlpha = 3, 1 },
		func(o *generate.Options) { o.Search = components.Sample },
	} {
		o := generate.Options{DecodingOptions: components.DefaultDecodingOptions(), Seed: 1}
		change(&o)
		o.MaxLength = 6
		want := Evaluate(m, tape, c.Data, split, 1, &o)
		for _, size := range []int{7, 40} {
			if got := Evaluate(m, tape, c.Data, split, size, &o); !reflect.DeepEqual(got.Pairs, want.Pairs) {
				t.Errorf("%s, batch size %d: got %+v, want %+v", o.Search, size, got.Pairs, want.Pairs)
			}
		}
	}
	if o := Evaluate(m, tape, c.Data, split, 1000, nil); o.Pairs[0].Hypothesis != nil || o.Loss() != want.Loss() {
		t.Errorf("without decoding: loss %v, hypothesis %v", o.Loss(), o.Pairs[0].Hypothesis)
	}
}
