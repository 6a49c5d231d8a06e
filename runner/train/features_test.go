package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/componenttest"
	"exp/components/standard"
	"exp/registry"
	"exp/runner/checkpoint"
)

// features are trials that remember something else each, beside what config has.
func features(t testing.TB) map[string]func(*Config) {
	catalog := standard.Catalog()
	schedule := func(c *Config, name string, options map[string]any) {
		c.Schedule = componenttest.Build(t, &catalog.Schedules, name, options)
	}
	forcing := func(c *Config) {
		c.Forcing = componenttest.Build(t, &catalog.Forcings, "linear", map[string]any{"start": 0.9, "slope": 0.1})
	}
	best := func(c *Config, patience int) {
		c.Evaluation.Every, c.Evaluation.BestBy, c.Evaluation.Patience = 2, "token_accuracy", patience
	}
	return map[string]func(*Config){
		"accumulate": func(c *Config) { c.Training.Accumulate = 3 },
		"full batch": func(c *Config) { c.Training.FullBatch = true },
		"sampling":   forcing,
		"plateau": func(c *Config) {
			schedule(c, "plateau", map[string]any{"gamma": 0.5, "patience": 0, "threshold": 0.5})
			c.Evaluation.Every = 1
		},
		"best":         func(c *Config) { best(c, 0) },
		"ema":          func(c *Config) { c.Training.EMADecay = 0.9 },
		"average last": func(c *Config) { c.Training.AverageLast, c.Evaluation.Every = 2, 2 },
		"diagnostics": func(c *Config) {
			c.Diagnostics = components.Diagnostics{Layers: true, Activations: true, GradientFlow: 2}
			c.Training.Accumulate = 2
		},
		"epochs": func(c *Config) { c.Training.Steps, c.Training.Epochs, c.Training.Accumulate = 0, 2, 2 },
		"all": func(c *Config) {
			c.Training.Accumulate, c.Training.EMADecay, c.Training.ClipValue = 2, 0.8, 0.05
			c.Optimizer = componenttest.Build(t, &catalog.Optimizers, "rmsprop", map[string]any{"momentum": 0.5, "centered": true, "weight_decay": 0.01})
			forcing(c)
			best(c, 2)
			c.Evaluation.MinDelta = 0.05
			schedule(c, "plateau", map[string]any{"metric": "token_accuracy", "gamma": 0.5, "patience": 0, "warmup_steps": 3})
		},
	}
}

func with(t testing.TB, change func(*Config)) Config {
	c := config(t)
	change(&c)
	if _, err := Check(c); err != nil {
		t.Fatal(err)
	}
	return c
}

// Whatever a trial remembers, interrupted after any step it ends with the records
// and the checkpoint, to the byte, of one that was not.
func TestFeaturesResume(t *testing.T) {
	for name, change := range features(t) {
		t.Run(name, func(t *testing.T) {
			whole, c := newMemory(), with(t, change)
			last := 0
			whole.progress = func(step int) { last = step }
			if err := Run(context.Background(), c, whole); err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(c.Checkpoint)
			if err != nil {
				t.Fatal(err)
			}
			plain := newMemory()
			if err := Run(context.Background(), config(t), plain); err != nil {
				t.Fatal(err)
			}
			if plain.text() == whole.text() {
				t.Error("the trial is the same without the feature")
			}
			for stop := 1; stop < last; stop++ {
				sink, c := newMemory(), with(t, change)
				ctx, cancel := context.WithCancel(context.Background())
				sink.progress = func(step int) {
					if step == stop {
						cancel()
					}
				}
				if err := Run(ctx, c, sink); !errors.Is(err, ErrInterrupted) {
					t.Fatalf("stopped at step %d: error is %v", stop, err)
				}
				if err := Run(context.Background(), c, sink); err != nil {
					t.Fatal(err)
				}
				if sink.text() != whole.text() {
					t.Errorf("stopped at step %d, the trial recorded\n%s\nwant\n%s", stop, sink.text(), whole.text())
				}
				if got, err := os.ReadFile(c.Checkpoint); err != nil || !bytes.Equal(got, want) {
					t.Errorf("stopped at step %d, the checkpoint differs (%v)", stop, err)
				}
			}
		})
	}
}

// plainSGD makes a trial one whose updates can be followed by hand: no dropout, no
// clipping, a constant rate.
func plainSGD(t testing.TB, c *Config) {
	catalog := standard.Catalog()
	sizes := map[string]any{"embedding_size": 6, "hidden_size": 8}
	c.Parts.Encoder = componenttest.Build(t, &catalog.Encoders, "lstm", sizes)
	c.Parts.Decoder = componenttest.Build(t, &catalog.Decoders, "gru", sizes)
	c.Optimizer = componenttest.Build(t, &catalog.Optimizers, "sgd", map[string]any{"lr": 0.5})
	c.Schedule = componenttest.Build(t, &catalog.Schedules, "constant", nil)
	c.Training.ClipNorm = 0
}

// weightsAfter trains, and returns the weights at the end, one after the other.
func weightsAfter(t *testing.T, c Config, sink Sink) []float32 {
	t.Helper()
	if err := Run(context.Background(), c, sink); err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.Read(c.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	return weightsIn(t, c, f, modelPrefix)
}

func weightsIn(t *testing.T, c Config, f checkpoint.File, prefix string) (all []float32) {
	t.Helper()
	params := autodiff.Declare()
	if _, err := components.NewModel(c.Parts, params, c.Data.SourceSize(), c.Data.Target.Size()); err != nil {
		t.Fatal(err)
	}
	for _, v := range params.All() {
		values := f.Tensors[prefix+v.Name()].Values
		if len(values) != v.Size() {
			t.Fatalf("%s%s has %d elements, want %d", prefix, v.Name(), len(values), v.Size())
		}
		all = append(all, values...)
	}
	return all
}

func nearAll(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(float64(got[i]-want[i])) <= tolerance*(1+math.Abs(float64(want[i])))) {
			t.Fatalf("%s: weight %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// The gradient of all pairs is the same in one batch or in several of any size, and
// so is a momentum step along it, whose scale the two kinds of clipping know.
func TestFullBatch(t *testing.T) {
	for _, clip := range []struct{ norm, value float64 }{{}, {norm: 0.1}, {value: 0.01}, {norm: 0.05, value: 0.02}} {
		one, several := newMemory(), newMemory()
		c := with(t, func(c *Config) {
			plainSGD(t, c)
			c.Training.BatchTokens, c.Training.BatchSize, c.Training.ClipNorm, c.Training.ClipValue = 0, 100, clip.norm, clip.value
		})
		want := weightsAfter(t, c, one)
		for _, size := range []int{3, 5, 16} {
			c := with(t, func(c *Config) {
				plainSGD(t, c)
				c.Training.BatchTokens, c.Training.BatchSize, c.Training.ClipNorm, c.Training.ClipValue = 0, size, clip.norm, clip.value
				c.Training.FullBatch = true
			})
			nearAll(t, fmt.Sprintf("batches of %d, clipping %+v", size, clip), weightsAfter(t, c, several), want, 2e-6)
			for step := 1; step <= 8; step++ {
				for _, name := range []string{"loss", "grad_norm"} {
					if got, want := several.value(t, step, "train", name), one.value(t, step, "train", name); math.Abs(got-want) > 2e-6*(1+want) {
						t.Errorf("batches of %d: %s of step %d is %v, want %v", size, name, step, got, want)
					}
				}
			}
		}
	}
}

// A training ends after so many epochs, the last update with what is left, or with
// the update that reaches so many tokens, or after so long.
func TestLength(t *testing.T) {
	for _, test := range []struct {
		epochs, tokens, accumulate, steps int
	}{
		{epochs: 1, steps: 4}, {epochs: 3, steps: 12}, {epochs: 3, accumulate: 5, steps: 3}, {epochs: 1, accumulate: 9, steps: 1},
		{tokens: 1, steps: 1}, {tokens: 63, steps: 4}, {tokens: 64, steps: 5}, {tokens: 63, accumulate: 3, steps: 2},
	} {
		sink := newMemory()
		c := with(t, func(c *Config) {
			c.Training.Steps, c.Training.Epochs, c.Training.Tokens, c.Training.Accumulate = 0, test.epochs, test.tokens, max(1, test.accumulate)
			c.Training.BatchTokens, c.Training.BatchSize = 0, 4
		})
		tokens := 0
		for i := range c.Data.Train.Len() {
			tokens += len(c.Data.Train.Pair(i).Target) + 1
		}
		if tokens != 63 {
			t.Fatalf("an epoch has %d tokens", tokens)
		}
		if err := Run(context.Background(), c, sink); err != nil {
			t.Fatal(err)
		}
		last := 0
		for r := range sink.records {
			last = max(last, r.step)
		}
		if known, err := Steps(c); last != test.steps || known != test.steps || err != nil {
			t.Errorf("%+v: trained %d steps, said %d before (%v)", test, last, known, err)
		}
	}
	c, sink := with(t, func(c *Config) {
		c.Training.Steps, c.Training.Seconds = 0, 0.2
		c.Schedule = componenttest.Build(t, &standard.Catalog().Schedules, "constant", nil)
	}), newMemory()
	started := time.Now()
	if err := Run(context.Background(), c, sink); err != nil || time.Since(started) < 200*time.Millisecond {
		t.Errorf("ended after %v, %v", time.Since(started), err)
	}
}

// Training stops when the metric has not improved for long enough, and the model
// that is tested, once, is that of its best evaluation.
func TestEarlyStopping(t *testing.T) {
	sink := newMemory()
	c := with(t, func(c *Config) {
		c.Training.Steps, c.Evaluation.Every = 500, 1
		c.Evaluation.BestBy, c.Evaluation.Patience, c.Evaluation.MinDelta = "loss", 3, 0.01
		c.Optimizer = componenttest.Build(t, &standard.Catalog().Optimizers, "adam", map[string]any{"lr": 0.1})
	})
	if err := Run(context.Background(), c, sink); err != nil {
		t.Fatal(err)
	}
	last := 0
	for r := range sink.records {
		last = max(last, r.step)
	}
	best, from, worse := 1, sink.value(t, 1, "valid", "loss"), 0
	for step := 2; worse < 3; step++ {
		if step > last {
			t.Fatalf("stopped at step %d too early", last)
		}
		loss := sink.value(t, step, "valid", "loss")
		if loss < sink.value(t, best, "valid", "loss") {
			best = step
		}
		if worse++; loss < from-0.01 {
			from, worse = loss, 0
		}
		if worse == 3 && step != last {
			t.Errorf("stopped at step %d, want %d", last, step)
		}
	}
	if got := sink.value(t, last, "train", "best_step"); got != float64(best) {
		t.Errorf("the best step is %v, want %d", got, best)
	}
	for r := range sink.records {
		if r.split == "test" && r.step != best {
			t.Errorf("%s was tested at step %d, want %d", r.name, r.step, best)
		}
	}
	if want := []string{fmt.Sprintf("test %d", best)}; !slices.Equal(sink.readings, want) {
		t.Errorf("readings are %q, want %q", sink.readings, want)
	}
	if len(sink.again) > 0 {
		t.Errorf("recorded twice: %v", sink.again)
	}
	// The same, trained to there and no further, is the same model.
	short, other := with(t, func(c *Config) {
		c.Training.Steps, c.Evaluation.Every = 500, 1
		c.Optimizer = componenttest.Build(t, &standard.Catalog().Optimizers, "adam", map[string]any{"lr": 0.1})
	}), newMemory()
	ctx, cancel := context.WithCancel(context.Background())
	other.progress = func(step int) {
		if step == best {
			cancel()
		}
	}
	if err := Run(ctx, short, other); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	f, err := checkpoint.Read(short.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	// The schedule is of the whole training in both.
	tested, step, _, err := Weights(c.Checkpoint)
	if err != nil || step != fmt.Sprint(best) {
		t.Fatalf("weights of step %s, %v", step, err)
	}
	if !slices.Equal(weightsIn(t, c, tested, ""), weightsIn(t, short, f, modelPrefix)) {
		t.Error("the weights that are tested are not those of the best step")
	}
	values, err := Measure(c, func(step int) error { sink.readings = append(sink.readings, fmt.Sprint(step)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if want := sink.value(t, v.Step, v.Split, v.Name); v.Value != want {
			t.Errorf("measured later, %s/%s of step %d is %v, want %v", v.Split, v.Name, v.Step, v.Value, want)
		}
	}
	if len(sink.readings) != 2 {
		t.Errorf("readings are %q", sink.readings)
	}
}

// What is tested is the moving average of the weights after each step, or the mean
// of those at the last evaluations.
func TestAverages(t *testing.T) {
	weights := map[int][]float32{}
	history := func(step int) []float32 {
		if weights[step] == nil {
			weights[step] = weightsAfter(t, with(t, func(c *Config) {
				plainSGD(t, c)
				c.Training.Steps = step
			}), newMemory())
		}
		return weights[step]
	}
	const steps = 7
	ema := with(t, func(c *Config) {
		plainSGD(t, c)
		c.Training.Steps, c.Training.EMADecay = steps, 0.4
	})
	nearAll(t, "the weights", weightsAfter(t, ema, newMemory()), history(steps), 0)
	f, _, _, err := Weights(ema.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	first, err := newTrial(ema, discard{})
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(weightsOf(first.model.Params)...)
	for step := 1; step <= steps; step++ {
		d := min(0.4, float64(1+step)/float64(10+step))
		for i, w := range history(step) {
			want[i] = float32(d*float64(want[i]) + (1-d)*float64(w))
		}
	}
	nearAll(t, "the moving average", weightsIn(t, ema, f, ""), want, 1e-6)

	last := with(t, func(c *Config) {
		plainSGD(t, c)
		c.Training.Steps, c.Training.AverageLast, c.Evaluation.Every = steps, 3, 2
	})
	nearAll(t, "the weights", weightsAfter(t, last, newMemory()), history(steps), 0)
	if f, _, _, err = Weights(last.Checkpoint); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		want[i] = (history(4)[i] + history(6)[i] + history(7)[i]) / 3
	}
	nearAll(t, "the mean", weightsIn(t, last, f, ""), want, 1e-6)
}

// framed is a trial whose sources are frames, so that one can be infinite.
func framed(t *testing.T, change func(*Config)) Config {
	return with(t, func(c *Config) {
		catalog := standard.Catalog()
		c.Parts.FrontEnd = componenttest.Build(t, &catalog.FrontEnds, "linear", nil)
		var pairs components.Pairs
		for i, p := range copies(16, 0) {
			frames := components.Frames{Size: 2}
			for j := range p.Target {
				frames.Values = append(frames.Values, float32(p.Target[j]), float32(i))
			}
			pairs = append(pairs, components.Pair{Frames: frames, Target: p.Target})
		}
		bad := pairs[5]
		bad.Frames.Values = slices.Clone(bad.Frames.Values)
		bad.Frames.Values[1] = float32(math.Inf(1))
		c.Data = &components.Data{FrameSize: 2, Train: append(slices.Clone(pairs[:8]), bad), Valid: pairs[8:12], Test: pairs[12:], Target: c.Data.Target}
		c.Training.BatchTokens, c.Training.BatchSize = 0, 1
		c.Training.Steps = 18 // two epochs
		change(c)
	})
}

// A step whose numbers are not finite is found there, with the operation that made
// the first; skipped, it leaves the weights and what the optimizer knows alone.
func TestNotFinite(t *testing.T) {
	sink := newMemory()
	err := Run(context.Background(), framed(t, func(*Config) {}), sink)
	var diverged *DivergedError
	if !errors.As(err, &diverged) || !strings.Contains(diverged.Where, "the forward pass of linear, of front_end.") {
		t.Fatalf("error is %v", err)
	}
	if loss := sink.value(t, diverged.Step, "train", "loss"); finite(loss) {
		t.Errorf("the loss of step %d is %v", diverged.Step, loss)
	}
	kept, readErr := os.ReadFile(diverged.Batch)
	if readErr != nil || !strings.Contains(err.Error(), "its batch is in "+diverged.Batch) {
		t.Fatalf("the batch is kept in %q: %v; the error is %v", diverged.Batch, readErr, err)
	}
	for _, want := range []string{fmt.Sprintf("step %d, seed 1, batch %[1]d of the training: loss NaN", diverged.Step), "from " + diverged.Where,
		"\npair 1\nsource  ", "; the first that is not finite is number ", "NaN", "\ntarget  "} {
		if !strings.Contains(string(kept), want) {
			t.Errorf("the batch is kept without %q:\n%s", want, kept)
		}
	}

	for _, accumulate := range []int{1, 2, 3} {
		var updates []int
		sink, skipping := newMemory(), framed(t, func(c *Config) {
			c.Training.NonFinite, c.Training.Accumulate = components.Skip, accumulate
			c.Training.Steps /= accumulate
			build := c.Optimizer
			c.Optimizer = func(d components.OptimizerDeps) (components.Optimizer, error) {
				o, err := build(d)
				return counted{o, &updates}, err
			}
		})
		if err := Run(context.Background(), skipping, sink); err != nil {
			t.Fatal(err)
		}
		var skipped []int
		for r := range sink.records {
			if r.name == "skipped" {
				skipped = append(skipped, r.step)
			}
			if value := sink.value(t, r.step, r.split, r.name); r.split != "train" && !finite(value) {
				t.Errorf("%s/%s is %v", r.split, r.name, value)
			}
		}
		if f, err := checkpoint.Read(skipping.Checkpoint); err != nil || f.Info["batches"] != "18" {
			t.Errorf("accumulating %d, %s batches are read, %v; want two epochs of 9", accumulate, f.Info["batches"], err)
		}
		slices.Sort(skipped)
		if len(skipped) != 2 || sink.value(t, skipped[1], "train", "skipped") != 2 {
			t.Errorf("accumulating %d, skipped steps %d, want two", accumulate, skipped)
		}
		for i, n := range updates {
			if n != i+1 || len(updates) != skipping.Training.Steps-len(skipped) {
				t.Fatalf("accumulating %d, the optimizer is told of updates %d", accumulate, updates)
			}
		}
		for i, step := range skipped {
			path := strings.TrimSuffix(skipping.Checkpoint, ".safetensors") + fmt.Sprintf(".step%d.batch.txt", step)
			if kept, err := os.ReadFile(path); err != nil || !strings.Contains(string(kept), "NaN") || !strings.Contains(sink.warnings[i], path) {
				t.Errorf("the batch of step %d is not kept: %v; warned %q", step, err, sink.warnings)
			}
		}
	}

	// Training data of which nothing is finite leads nowhere.
	err = Run(context.Background(), framed(t, func(c *Config) {
		c.Training.NonFinite, c.Training.Steps = components.Skip, 1000
		c.Data.Train = c.Data.Train.(components.Pairs)[8:]
	}), newMemory())
	if !errors.As(err, &diverged) || diverged.Step != maxSkipped+1 {
		t.Errorf("error is %v, want one at step %d", err, maxSkipped+1)
	}
}

// counted keeps the numbers of the updates that an optimizer makes.
type counted struct {
	components.Optimizer
	updates *[]int
}

func (o counted) Step(n int, lr, scale float64) bool {
	*o.updates = append(*o.updates, n)
	return o.Optimizer.Step(n, lr, scale)
}

// A parameter that overflows in an update is named, and the step.
func TestOverflow(t *testing.T) {
	c := with(t, func(c *Config) {
		plainSGD(t, c)
		c.Optimizer = componenttest.Build(t, &standard.Catalog().Optimizers, "sgd", map[string]any{"lr": 1e39})
	})
	for steps, at := range map[int]int{8: 2, 1: 1} { // seen by the next step, or at the end
		c.Training.Steps = steps
		err := Run(context.Background(), c, newMemory())
		var diverged *DivergedError
		if !errors.As(err, &diverged) || diverged.Step != at || !strings.HasPrefix(diverged.Where, "the update of ") || !strings.HasSuffix(diverged.Where, " in step 1") {
			t.Errorf("error is %v", err)
		}
		kept, err := os.ReadFile(diverged.Batch)
		if want := "step 1, seed 1, batch 1 "; err != nil || !strings.HasPrefix(string(kept), want) || !strings.Contains(string(kept), "\nsource  e b\ntarget  e b </s>\n") {
			t.Errorf("the batch is kept as\n%s%v; want one of %q, with its tokens", kept, err, want)
		}
	}
}

// Saved with what the next step would show, a training ends as it would have.
func TestOverflowResumed(t *testing.T) {
	c := with(t, func(c *Config) {
		plainSGD(t, c)
		c.Optimizer = componenttest.Build(t, &standard.Catalog().Optimizers, "sgd", map[string]any{"lr": 1e39})
	})
	first, err := newTrial(c, newMemory())
	if err != nil {
		t.Fatal(err)
	}
	defer first.close()
	if err := errors.Join(first.update(), first.save()); err != nil {
		t.Fatal(err)
	}
	want := first.update()
	got := Run(context.Background(), c, newMemory())
	if got == nil || want == nil || got.Error() != want.Error() {
		t.Errorf("error is %v, want %v", got, want)
	}
}

// A batch that cannot be kept does not hide why it should be.
func TestBatchNotKept(t *testing.T) {
	c := framed(t, func(*Config) {})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tr, err := newTrial(c, newMemory())
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	tr.Checkpoint = filepath.Join(file, "trial.safetensors") // below what is no folder
	err = tr.train(context.Background())
	var diverged *DivergedError
	if !errors.As(err, &diverged) || diverged.Batch != "" || !strings.Contains(err.Error(), "the batch is not kept: ") {
		t.Errorf("error is %v", err)
	}
}

// A checkpoint of the first format goes on where it was.
func TestOldFormat(t *testing.T) {
	old, err := os.ReadFile(filepath.Join("testdata", "format1.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	sink, c := newMemory(), config(t)
	if err := os.WriteFile(c.Checkpoint, old, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Run(context.Background(), c, sink); err != nil {
		t.Fatal(err)
	}
	if sink.resumed != 5 {
		t.Errorf("went on from step %d, want 5", sink.resumed)
	}
	whole := uninterrupted(t)
	for r := range sink.records {
		if got, want := sink.value(t, r.step, r.split, r.name), whole.value(t, r.step, r.split, r.name); math.Abs(got-want) > 1e-3*(1+math.Abs(want)) {
			t.Errorf("step %d: %s/%s is %v, want about %v", r.step, r.split, r.name, got, want)
		}
	}
	if f, err := checkpoint.Read(c.Checkpoint); err != nil || f.Info[formatKey] != format {
		t.Errorf("the last checkpoint is of format %q, %v", f.Info[formatKey], err)
	}
}

// Where the newest checkpoint is damaged, the one before is used, with a warning.
func TestDamagedCheckpoint(t *testing.T) {
	want := uninterrupted(t).text()
	for name, spoil := range map[string]func([]byte) []byte{
		"truncated": func(b []byte) []byte { return b[:len(b)/2] },
		"altered":   func(b []byte) []byte { b[len(b)-5] ^= 1; return b },
		"empty":     func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			sink, c := newMemory(), config(t)
			c.Keep, c.CheckpointEvery = 2, 0 // after every step
			sink.fail = 40
			if err := Run(context.Background(), c, sink); !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			f, err := checkpoint.Read(c.Checkpoint)
			if err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(c.Checkpoint)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(c.Checkpoint, spoil(content), 0o644); err != nil {
				t.Fatal(err)
			}
			_, step, damaged, err := Weights(c.Checkpoint)
			if err != nil || len(damaged) != 1 || !strings.Contains(damaged[0].Error(), "the weights are those of the one before") || step == f.Info[stepKey] {
				t.Errorf("weights of step %s, damaged: %v, %v", step, damaged, err)
			}
			if err := Run(context.Background(), c, sink); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(sink.resumed + 1); got != f.Info[stepKey] {
				t.Errorf("went on from step %d; the checkpoint that is damaged was of step %s", sink.resumed, f.Info[stepKey])
			}
			if len(sink.warnings) != 1 || !strings.Contains(sink.warnings[0], "the checkpoint is damaged") {
				t.Errorf("warnings are %q", sink.warnings)
			}
			if got := sink.text(); got != want {
				t.Errorf("the trial recorded\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Frozen parameters stay, and the others of a group follow its rate.
func TestGroupsAreTrained(t *testing.T) {
	c := with(t, func(c *Config) {
		plainSGD(t, c)
		c.Training.Steps = 1
		c.Training.Groups = components.DefaultTraining().Groups
		for name, o := range map[string]map[string]any{"freeze": {"parameters": "encoder.*"}, "scale": {"parameters": "output.bias", "lr": 3.0}} {
			table := registry.NewTable("groups", registry.Origin{})
			table.Set("type", registry.Value{Data: name})
			for key, value := range o {
				table.Set(key, registry.Value{Data: value})
			}
			choice, err := c.Training.Groups.Kind.Decode(table)
			if err != nil {
				t.Fatal(err)
			}
			c.Training.Groups.Choices = append(c.Training.Groups.Choices, choice)
		}
	})
	plain := with(t, func(c *Config) {
		plainSGD(t, c)
		c.Training.Steps = 1
	})
	before, err := newTrial(c, discard{})
	if err != nil {
		t.Fatal(err)
	}
	moved := func(c Config) map[string][]float32 {
		weightsAfter(t, c, newMemory())
		f, err := checkpoint.Read(c.Checkpoint)
		if err != nil {
			t.Fatal(err)
		}
		by := map[string][]float32{}
		for _, v := range before.model.Params.All() {
			for i, w := range f.Tensors[modelPrefix+v.Name()].Values {
				by[v.Name()] = append(by[v.Name()], w-v.Float32s()[i])
			}
		}
		return by
	}
	got, want := moved(c), moved(plain)
	for name := range want {
		factor := float32(1)
		switch {
		case strings.HasPrefix(name, "encoder."):
			factor = 0
		case name == "output.bias":
			factor = 3
		}
		for i, w := range want[name] {
			if math.Abs(float64(got[name][i]-factor*w)) > 1e-6 {
				t.Errorf("%s[%d] moved by %v, want %v times %v", name, i, got[name][i], factor, w)
			}
		}
	}
}
