package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"exp/components"
	"exp/components/componenttest"
	"exp/components/standard"
	"exp/runner/checkpoint"
)

// copies returns n different pairs of a source and the same target.
func copies(n, from int) components.Pairs {
	var pairs components.Pairs
	for i := range n {
		i += from
		tokens := []int32{4 + int32(i%5), 4 + int32(i/5%5), 4 + int32(i*i%5), 4 + int32(i/2%5)}[:2+i%3]
		pairs = append(pairs, components.Pair{Source: tokens, Target: tokens})
	}
	return pairs
}

// config is a small trial that uses all that has a state: Adam, a schedule,
// dropout, an order by tokens.
func config(t testing.TB) Config {
	c := standard.Catalog()
	vocabulary := components.NewVocabulary([]string{"a", "b", "c", "d", "e"})
	sizes := map[string]any{"embedding_size": 6, "hidden_size": 8, "dropout": 0.2}
	return Config{
		Parts: components.Parts{
			Encoder:   componenttest.Build(t, &c.Encoders, "lstm", sizes),
			Decoder:   componenttest.Build(t, &c.Decoders, "gru", sizes),
			Attention: componenttest.Build(t, &c.Attentions, "dot", nil),
		},
		Optimizer:       componenttest.Build(t, &c.Optimizers, "adam", map[string]any{"lr": 0.01}),
		Schedule:        componenttest.Build(t, &c.Schedules, "linear", nil),
		Metrics:         metrics(t),
		Training:        components.Training{Steps: 8, BatchTokens: 12, Accumulate: 1, ClipNorm: 1, LabelSmoothing: 0.1},
		Evaluation:      components.Evaluation{Every: 3, BatchSize: 4, DecodingOptions: upTo(6)},
		Data:            &components.Data{Train: copies(16, 0), Valid: copies(5, 16), Test: copies(6, 21), Source: vocabulary, Target: vocabulary},
		Seed:            1,
		Checkpoint:      filepath.Join(t.TempDir(), "trial.safetensors"),
		CheckpointEvery: time.Hour,
	}
}

func metrics(t testing.TB) []Metric {
	c := standard.Catalog()
	var all []Metric
	for _, name := range c.Metrics.Names() {
		m, err := componenttest.Build(t, &c.Metrics, name, nil)(components.MetricDeps{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Metric{Name: name, Metric: m})
	}
	return all
}

// uninterrupted is what the trial records when nothing disturbs it.
func uninterrupted(t *testing.T) *memory {
	t.Helper()
	sink := newMemory()
	if err := Run(context.Background(), config(t), sink); err != nil {
		t.Fatal(err)
	}
	return sink
}

func TestWhatIsRecorded(t *testing.T) {
	sink := uninterrupted(t)
	var got []string
	for r := range sink.records {
		if r.name == "loss" {
			got = append(got, fmt.Sprintf("%s %d", r.split, r.step))
		}
	}
	slices.Sort(got)
	want := []string{"test 8", "train 1", "train 2", "train 3", "train 4", "train 5", "train 6", "train 7", "train 8", "valid 3", "valid 6", "valid 8"}
	if !slices.Equal(got, want) {
		t.Errorf("losses of %q, want %q", got, want)
	}
	if got, want := sink.value(t, 8, "train", "lr"), 0.01*(1/(9-0.4)); math.Abs(got-want) > 1e-12 {
		t.Errorf("the last learning rate is %v, want %v", got, want)
	}
	for _, name := range []string{"exact_match", "perplexity", "token_accuracy"} {
		sink.value(t, 6, "valid", name)
		sink.value(t, 8, "test", name)
	}
	if sink.text() != uninterrupted(t).text() {
		t.Error("the same trial gives other numbers")
	}
}

func TestDivergence(t *testing.T) {
	sink, c := newMemory(), config(t)
	catalog := standard.Catalog()
	unbounded := map[string]any{"embedding_size": 6, "hidden_size": 8, "activation": "relu"}
	c.Parts.Encoder = componenttest.Build(t, &catalog.Encoders, "rnn", unbounded)
	c.Parts.Decoder = componenttest.Build(t, &catalog.Decoders, "rnn", unbounded)
	c.Optimizer = componenttest.Build(t, &catalog.Optimizers, "sgd", map[string]any{"lr": 1e30})
	c.Training.ClipNorm = 0
	err := Run(context.Background(), c, sink)
	var diverged *DivergedError
	if !errors.As(err, &diverged) {
		t.Fatalf("error is %v, want a DivergedError", err)
	}
	last := 0
	for r := range sink.records {
		last = max(last, r.step)
	}
	if diverged.Step != last || diverged.Step < 2 {
		t.Errorf("diverged at step %d; the last record is of step %d", diverged.Step, last)
	}
	loss, norm := sink.value(t, last, "train", "loss"), sink.value(t, last, "train", "grad_norm")
	if math.Float64bits(loss) != math.Float64bits(diverged.Loss) || finite(loss) && finite(norm) {
		t.Errorf("recorded a loss of %v and a norm of %v; the error is %v", loss, norm, err)
	}
	if checkpoint.Exists(c.Checkpoint) {
		t.Error("there is a checkpoint of what diverged")
	}
}

// A steady step allocates nothing: not the model, the optimizer or the loop.
func TestStepAllocatesNothing(t *testing.T) {
	c := config(t)
	c.Training.BatchTokens, c.Training.BatchSize = 0, 1
	c.Data.Train = copies(100, 0) // one epoch: dealing the next one allocates
	tr, err := newTrial(c, discard{})
	if err != nil {
		t.Fatal(err)
	}
	step := func() {
		if err := tr.update(); err != nil {
			t.Fatal(err)
		}
	}
	for range 40 {
		step()
	}
	componenttest.NoAllocs(t, step)
}

// An update moves by the learning rate times the gradient, clipped.
func TestClipping(t *testing.T) {
	for limit, clipped := range map[float64]bool{0.01: true, 1e6: false, 0: false} {
		c, catalog, sink := config(t), standard.Catalog(), newMemory()
		c.Optimizer = componenttest.Build(t, &catalog.Optimizers, "sgd", map[string]any{"lr": 0.5})
		c.Schedule = componenttest.Build(t, &catalog.Schedules, "constant", nil)
		c.Training.ClipNorm = limit
		tr, err := newTrial(c, sink)
		if err != nil {
			t.Fatal(err)
		}
		var before []float32
		for _, p := range tr.model.Params.All() {
			before = append(before, p.Float32s()...)
		}
		if err := tr.update(); err != nil {
			t.Fatal(err)
		}
		moved := 0.0
		for _, p := range tr.model.Params.All() {
			for _, w := range p.Float32s() {
				moved += math.Pow(float64(w-before[0]), 2)
				before = before[1:]
			}
		}
		want := 0.5 * sink.value(t, 1, "train", "grad_norm")
		if clipped {
			want = 0.5 * limit
		}
		if moved = math.Sqrt(moved); math.Abs(moved-want) > 1e-3*want {
			t.Errorf("limit %v: moved by %v, want %v", limit, moved, want)
		}
	}
}

// upTo is greedy decoding of so many tokens.
func upTo(maxLength int) components.DecodingOptions {
	o := components.DefaultDecodingOptions()
	o.MaxLength = maxLength
	return o
}
