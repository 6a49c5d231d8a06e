package train

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"exp/components"
	"exp/components/componenttest"
	"exp/components/standard"
	"exp/runner/checkpoint"
)

func TestInterruptAndResume(t *testing.T) {
	want := uninterrupted(t).text()
	for stop := range 8 {
		sink, c := newMemory(), config(t)
		ctx, cancel := context.WithCancel(context.Background())
		sink.progress = func(step int) {
			if step == stop {
				cancel()
			}
		}
		if stop == 0 {
			cancel()
		}
		if err := Run(ctx, c, sink); !errors.Is(err, ErrInterrupted) {
			t.Fatalf("stopped at step %d: error is %v, want ErrInterrupted", stop, err)
		}
		for r := range sink.records {
			if r.step > stop {
				t.Errorf("stopped at step %d: there is a record of step %d", stop, r.step)
			}
		}
		if f, err := checkpoint.Read(c.Checkpoint); err != nil || f.Info[stepKey] != fmt.Sprint(stop) {
			t.Errorf("stopped at step %d: the checkpoint is of step %s, %v", stop, f.Info[stepKey], err)
		}
		if err := Run(context.Background(), c, sink); err != nil {
			t.Fatal(err)
		}
		if sink.resumed != stop {
			t.Errorf("stopped at step %d, resumed after step %d", stop, sink.resumed)
		}
		if got := sink.text(); got != want {
			t.Errorf("stopped at step %d, the trial recorded\n%s\nwant\n%s", stop, got, want)
		}
	}
}

// A trial that is killed wherever it speaks to its sink ends with the same
// numbers, whether or not what it did not sync was lost; one that remembers little,
// and one with all there is to remember.
func TestKillAndResume(t *testing.T) {
	t.Run("little", func(t *testing.T) { killAndResume(t, func(*Config) {}, 1) })
	t.Run("all", func(t *testing.T) { killAndResume(t, features(t)["all"], 3) })
}

func killAndResume(t *testing.T, change func(*Config), every int) {
	whole := newMemory()
	if err := Run(context.Background(), with(t, change), whole); err != nil {
		t.Fatal(err)
	}
	want := whole.text()
	calls := 0
	if testing.Short() {
		every = 7
	}
	for fail := 1; ; fail += every {
		lost := fail/2%2 == 0
		sink, c := newMemory(), with(t, change)
		c.CheckpointEvery, c.Keep = 0, 1+fail/4%2 // every step
		if fail%2 == 0 {
			c.CheckpointEvery = time.Hour // none before the end
		}
		sink.fail = fail
		err := Run(context.Background(), c, sink)
		if err == nil {
			calls = max(calls, fail)
		} else if !errors.Is(err, errKilled) {
			t.Fatalf("killed at call %d: error is %v", fail, err)
		}
		sink.fail = 0
		if lost {
			sink.records = maps.Clone(sink.durable)
		}
		if err := Run(context.Background(), c, sink); err != nil {
			t.Fatalf("killed at call %d: %v", fail, err)
		}
		if got := sink.text(); got != want {
			t.Fatalf("killed at call %d (unsynced records lost: %v), the trial recorded\n%s\nwant\n%s", fail, lost, got, want)
		}
		if calls > 0 && fail%2 == 1 { // which speaks to its sink more often
			break
		}
	}
	if calls < 40 {
		t.Errorf("the trial spoke to its sink %d times; want more, to be killed at", calls)
	}
}

// SpecAugment draws the same after a kill as without one.
func TestKillAndResumeSpeech(t *testing.T) {
	dir := t.TempDir()
	manifest := "path\ttranscript\tsplit\n"
	for i, split := range []string{"train", "train", "train", "train", "train", "valid", "test"} {
		manifest += fmt.Sprintf("%d.wav\tdo re mi fa %d\t%s\n", i, i, split)
		samples := ""
		for j := range 600 + 100*i {
			samples += string([]byte{byte(j * (i + 3)), byte(j * j % 40)}) // at 1 kHz
		}
		header := "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\xe8\x03\x00\x00\xd0\x07\x00\x00\x02\x00\x10\x00data"
		wav := fmt.Sprintf("RIFF....%s%s%s", header, binary.LittleEndian.AppendUint32(nil, uint32(len(samples))), samples)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.wav", i)), []byte(wav), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "manifest.tsv")
	if err := os.WriteFile(path, []byte(manifest), 0o644); err != nil {
		t.Fatal(err)
	}
	catalog := standard.Catalog()
	load := func(masks int) *components.Data {
		task, err := componenttest.Build(t, &catalog.Tasks, "speech", map[string]any{
			"manifest": path, "sample_rate": 1000, "window_ms": 64.0, "hop_ms": 32.0, "num_mel": 4, "low_hz": 40.0, "deltas": 1,
			"num_time_masks": masks, "time_mask_size": 6, "num_frequency_masks": masks, "frequency_mask_size": 2,
		})(components.TaskDeps{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := task.Load()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	speech := func(d *components.Data) func(*Config) {
		return func(c *Config) {
			c.Data = d
			c.Parts.FrontEnd = componenttest.Build(t, &catalog.FrontEnds, "convolution", map[string]any{"channels": 5, "num_layers": 1})
			c.Training.BatchTokens, c.Training.BatchSize = 0, 2
		}
	}
	masked, plain := newMemory(), newMemory()
	for masks, sink := range map[int]*memory{0: plain, 2: masked} {
		if err := Run(context.Background(), with(t, speech(load(masks))), sink); err != nil {
			t.Fatal(err)
		}
	}
	if masked.text() == plain.text() {
		t.Error("masks change nothing")
	}
	killAndResume(t, speech(load(2)), 3)
}

// A trial that is trained is not trained again.
func TestFinishedTrialIsOnlyEvaluated(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"plain":             func(*Config) {},
		"mean of the last":  func(c *Config) { c.Training.AverageLast = 2 },
		"moving average":    func(c *Config) { c.Training.EMADecay = 0.9 },
		"best by some loss": func(c *Config) { c.Evaluation.BestBy = "loss" },
	} {
		t.Run(name, func(t *testing.T) {
			sink, c := newMemory(), with(t, change)
			if err := Run(context.Background(), c, sink); err != nil {
				t.Fatal(err)
			}
			tested := func() []float32 {
				f, _, _, err := Weights(c.Checkpoint)
				if err != nil {
					t.Fatal(err)
				}
				return weightsIn(t, c, f, "")
			}
			want, weights := sink.text(), tested()
			sink.progress = func(step int) { t.Errorf("step %d was trained again", step) }
			if err := Run(context.Background(), c, sink); err != nil {
				t.Fatal(err)
			}
			if got := sink.text(); got != want {
				t.Errorf("recorded\n%s\nwant\n%s", got, want)
			}
			if !slices.Equal(tested(), weights) {
				t.Error("the weights that are tested are others")
			}
		})
	}
}

func TestResumeErrors(t *testing.T) {
	trained := func(t *testing.T) Config {
		c := config(t)
		if err := Run(context.Background(), c, newMemory()); err != nil {
			t.Fatal(err)
		}
		return c
	}
	rewrite := func(t *testing.T, path string, change func(checkpoint.File)) {
		f, err := checkpoint.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		change(f)
		if err := checkpoint.Write(path, f); err != nil {
			t.Fatal(err)
		}
	}
	for want, spoil := range map[string]func(*testing.T, *Config){
		"the checkpoint is damaged": func(t *testing.T, c *Config) {
			if err := os.WriteFile(c.Checkpoint, []byte("not a checkpoint"), 0o644); err != nil {
				t.Fatal(err)
			}
		},
		`is of step "8", and the training has 5 steps`: func(_ *testing.T, c *Config) { c.Training.Steps = 5 },
		`its step is "x"`: func(t *testing.T, c *Config) {
			rewrite(t, c.Checkpoint, func(f checkpoint.File) { f.Info[stepKey] = "x" })
		},
		"trial.1.safetensors to train the trial again from its start": func(t *testing.T, c *Config) { // the one before would be gone on from
			f, err := checkpoint.Read(c.Checkpoint)
			if err != nil {
				t.Fatal(err)
			}
			f.Info[stepKey] = "x"
			if err := checkpoint.Save(c.Checkpoint, f, 2); err != nil {
				t.Fatal(err)
			}
		},
		"has no tensor optimizer.mean.output.bias": func(t *testing.T, c *Config) {
			rewrite(t, c.Checkpoint, func(f checkpoint.File) { delete(f.Tensors, "optimizer.mean.output.bias") })
		},
		"has output.bias of shape [1], and the model's is [9]": func(t *testing.T, c *Config) {
			rewrite(t, c.Checkpoint, func(f checkpoint.File) {
				f.Tensors["model.output.bias"] = checkpoint.Tensor{Shape: []int{1}, Values: []float32{1}}
			})
		},
	} {
		t.Run(want, func(t *testing.T) {
			c := trained(t)
			spoil(t, &c)
			err := Run(context.Background(), c, newMemory())
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), c.Checkpoint) {
				t.Errorf("error is %v, want one with %q and the file", err, want)
			}
		})
	}
}

// What embeddings start from is theirs before the first step, and where they are
// frozen after the last; an interrupted training goes on with them.
func TestLoadedEmbeddings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vectors.txt")
	if err := os.WriteFile(path, []byte("a 1 2 3 4 5 6\nc -1 -2 -3 -4 -5 -6\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	with := func() Config {
		c := config(t)
		vectors, err := components.ReadVectors(path, c.Data.Source)
		if err != nil {
			t.Fatal(err)
		}
		c.Loaded.Source = vectors
		c.Parts.Embeddings.Frozen = true
		return c
	}
	c := with()
	if _, err := Check(c); err != nil {
		t.Fatal(err)
	}
	want := newMemory()
	if err := Run(context.Background(), c, want); err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.Read(c.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	table := f.Tensors["model.source_embedding.weight"].Values
	if got := table[4*6 : 5*6]; !slices.Equal(got, []float32{1, 2, 3, 4, 5, 6}) {
		t.Errorf("after training, the vector of a is %v", got)
	}
	if _, has := f.Tensors["optimizer.mean.source_embedding.weight"]; has {
		t.Error("the optimizer has a state for a frozen table")
	}

	c = with()
	ctx, stop := context.WithCancel(context.Background())
	sink := newMemory()
	sink.progress = func(step int) {
		if step == 3 {
			stop()
		}
	}
	if err := Run(ctx, c, sink); !errors.Is(err, ErrInterrupted) {
		t.Fatalf("error is %v", err)
	}
	if err := Run(context.Background(), c, sink); err != nil {
		t.Fatal(err)
	}
	if got := sink.text(); got != want.text() {
		t.Errorf("interrupted, the trial recorded\n%s\nwant\n%s", got, want.text())
	}

	c.Loaded.Source.Size = 5
	if _, err := Check(c); err == nil || err.Error() != "model.embeddings.source_file: "+path+":1: has vectors of 5 numbers; the embedding has a size of 6" {
		t.Errorf("error is %v", err)
	}
}

// What is written of a trained model and read by another is the same to the bit,
// and a file that does not fit is refused with all that is wrong.
func TestWeights(t *testing.T) {
	trained := config(t)
	if err := Run(context.Background(), trained, newMemory()); err != nil {
		t.Fatal(err)
	}
	f, step, _, err := Weights(trained.Checkpoint)
	if err != nil || step != "8" {
		t.Fatalf("step %s, %v", step, err)
	}
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	if err := checkpoint.Write(path, f); err != nil {
		t.Fatal(err)
	}
	read, err := checkpoint.Import(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := newTrial(trained, newMemory())
	if err != nil {
		t.Fatal(err)
	}
	if err := want.resume(); err != nil {
		t.Fatal(err)
	}
	c := config(t)
	c.Seed, c.Weights, c.Training.InitFrom = 2, &read, "weights.safetensors"
	if _, err := Check(c); err != nil {
		t.Fatal(err)
	}
	got, err := newTrial(c, newMemory())
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range want.model.Params.All() {
		for j, x := range v.Float32s() {
			if y := got.model.Params.All()[i].Float32s()[j]; math.Float32bits(x) != math.Float32bits(y) {
				t.Fatalf("element %d of %s is %v, want %v", j, v.Name(), y, x)
			}
		}
	}

	delete(read.Tensors, "output.bias")
	read.Tensors["output.wieght"] = read.Tensors["output.weight"]
	read.Tensors["encoder.layer0.weight_hh"] = checkpoint.Tensor{Shape: []int{8, 32}, Values: make([]float32, 8*32)}
	_, err = Check(c)
	const wrong = `train.init_from: weights.safetensors: has encoder.layer0.weight_hh of shape [8 32], and the model's is [32 8]
train.init_from: weights.safetensors: lacks output.bias [9]
train.init_from: weights.safetensors: has output.wieght, which is no parameter of the model`
	if err == nil || err.Error() != wrong {
		t.Errorf("error is\n%v\nwant\n%s", err, wrong)
	}
}
