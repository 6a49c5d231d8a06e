package train

import (
	"context"
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

// What is measured does not depend on which pairs are measured together.
func TestEvaluateInAnyBatchSize(t *testing.T) {
	c := config(t)
	params := autodiff.NewParams(autodiff.Float32, 1)
	m, err := components.NewModel(c.Parts, params, c.Data.Source.Size(), c.Data.Target.Size())
	if err != nil {
		t.Fatal(err)
	}
	split, tape := copies(40, 0), autodiff.NewTape(autodiff.Float32)
	evaluation := components.Evaluation{BatchSize: 1, MaxLength: 6}
	want := Evaluate(m, tape, c.Data, split, evaluation, true)
	tokens := 0
	if got, want := want.Text([]int32{4, 4}), c.Data.Target.Token(4)+" "+c.Data.Target.Token(4); got != want {
		t.Errorf("the text of tokens is %q, want %q", got, want)
	}
	for i, p := range split {
		tokens += len(p.Target) + 1
		if said := want.Pairs[i]; !slices.Equal(said.Reference, p.Target) || said.Source != len(p.Source) || said.Tokens != len(p.Target)+1 {
			t.Errorf("pair %d is %+v, want a source of %d tokens and the target %v", i, said, len(p.Source), p.Target)
		}
	}
	if want.Tokens() != tokens || len(want.Pairs) != len(split) {
		t.Errorf("%d tokens, %d pairs; want %d, %d", want.Tokens(), len(want.Pairs), tokens, len(split))
	}
	for _, size := range []int{2, 7, 40, 1000} {
		evaluation.BatchSize = size
		got := Evaluate(m, tape, c.Data, split, evaluation, true)
		if !reflect.DeepEqual(got.Pairs, want.Pairs) {
			t.Errorf("batch size %d: got %+v, want %+v", size, got.Pairs, want.Pairs)
		}
	}
	if o := Evaluate(m, tape, c.Data, split, evaluation, false); o.Pairs[0].Hypothesis != nil || o.Loss() != want.Loss() {
		t.Errorf("without decoding: loss %v, hypothesis %v", o.Loss(), o.Pairs[0].Hypothesis)
	}
}
