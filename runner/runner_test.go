package runner_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"exp/components"
	"exp/components/standard"
	"exp/components/task"
	"exp/experiments"
	"exp/registry"
	"exp/runner"
	"exp/tracking"
)

// grid is two variants with two seeds on a few commands of SCAN.
const grid = `
name = "small"
[task]
type = "scan"
split = "files"
train_file = "train.txt"
test_file = "test.txt"
valid_fraction = 0.2
[model]
encoder = { type = "gru", hidden_size = 8, embedding_size = 8, dropout = 0.1 }
decoder = { type = "gru", hidden_size = 8, embedding_size = 8 }
attention = { type = "dot" }
[train]
steps = 30
batch_size = 4
[evaluate]
every = 10
max_length = 12
metrics = ["loss"]
[sweep]
seeds = 2
[sweep.variants.gru]
[sweep.variants.transformer]
model.encoder = { type = "transformer", model_size = 8, num_heads = 2, ffn_size = 8, num_layers = 1 }
model.decoder = { type = "transformer", model_size = 8, num_heads = 2, ffn_size = 8, num_layers = 1 }
model.attention = { type = "multihead", num_heads = 2 }
`

// workplace is an empty folder, in which the test runs, with SCAN's first
// commands in files.
func workplace(t *testing.T) {
	t.Chdir(t.TempDir())
	var train, test strings.Builder
	for i, c := range task.Commands()[:60] {
		into := &train
		if i%6 == 0 {
			into = &test
		}
		fmt.Fprintf(into, "IN: %s OUT: %s\n", strings.Join(c.Words(), " "), strings.Join(c.Actions(), " "))
	}
	for name, text := range map[string]string{"train.txt": train.String(), "test.txt": test.String()} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// prepare reads a configuration.
func prepare(t *testing.T, catalog *components.Catalog, source string, set ...string) *runner.Grid {
	t.Helper()
	e, err := experiments.Parse("small.toml", []byte(source), experiments.Options{Catalog: catalog, Set: set})
	if err != nil {
		t.Fatal(err)
	}
	g, err := runner.Prepare(e)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// run runs g in the store under dir.
func run(ctx context.Context, t *testing.T, g *runner.Grid, dir string, workers int, o runner.Observer) []runner.Result {
	t.Helper()
	store, err := tracking.Open(filepath.Join(dir, "exp.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	results, err := runner.Run(ctx, g, runner.Options{Store: store, Checkpoints: filepath.Join(dir, "checkpoints"), Workers: workers, Observer: o})
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// metrics is the whole metrics view as text.
func metrics(t *testing.T, dir string) string {
	t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(dir, "exp.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT trial, split, metric, step, printf('%!.17g', value), kind FROM metrics ORDER BY trial, split, metric, step")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var trial, split, metric, kind string
		var value sql.NullString
		var step int
		if err := rows.Scan(&trial, &split, &metric, &step, &value, &kind); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, trial, split, metric, step, value.String, kind)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// observer counts, and calls step after each one.
type observer struct {
	mu    sync.Mutex
	begun []int
	ended int
	warns []string
	step  func(experiments.Trial, int)
}

func (o *observer) Begin(_ experiments.Trial, step, _ int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.begun = append(o.begun, step)
}
func (o *observer) Step(t experiments.Trial, step int, _ float64) {
	if o.step != nil {
		o.step(t, step)
	}
}
func (o *observer) Metric(experiments.Trial, int, string, string, float64) {}
func (o *observer) Warn(_ experiments.Trial, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.warns = append(o.warns, err.Error())
}
func (o *observer) End(experiments.Trial, runner.Result) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended++
}

func statuses(results []runner.Result) []tracking.Status {
	var s []tracking.Status
	for _, r := range results {
		s = append(s, r.Status)
	}
	return s
}

func all(s tracking.Status, n int) []tracking.Status { return slices.Repeat([]tracking.Status{s}, n) }

func TestMetricsDoNotDependOnWorkersOrInterrupts(t *testing.T) {
	workplace(t)
	g := prepare(t, standard.Catalog(), grid)
	background := context.Background()
	if got := statuses(run(background, t, g, "one", 1, &observer{})); !slices.Equal(got, all(tracking.Finished, 4)) {
		t.Fatalf("one worker: got %v", got)
	}
	run(background, t, g, "two", 2, &observer{})

	ctx, cancel := context.WithCancel(background)
	o := &observer{step: func(_ experiments.Trial, step int) {
		if step == 17 {
			cancel()
		}
	}}
	results := run(ctx, t, g, "interrupted", 2, o)
	if !slices.Contains(statuses(results), tracking.Interrupted) {
		t.Fatalf("interrupted: got %v", statuses(results))
	}
	o = &observer{}
	if got := statuses(run(background, t, g, "interrupted", 2, o)); !slices.Equal(got, all(tracking.Finished, 4)) {
		t.Fatalf("continued: got %v", got)
	}
	if slices.Max(o.begun) < 17 {
		t.Errorf("continued from steps %v, none from the interrupted one", o.begun)
	}

	want := metrics(t, "one")
	if lines := strings.Count(want, "\n"); lines != 4*(30*3+3+1) {
		t.Errorf("got %d metrics, want 4 trials of 30 steps with 3, 3 evaluations and a test", lines)
	}
	for _, dir := range []string{"two", "interrupted"} {
		if got := metrics(t, dir); got != want {
			t.Errorf("%s: metrics differ from those of one worker", dir)
		}
	}
}

func TestFinishedTrialsAreNotTrainedAgain(t *testing.T) {
	workplace(t)
	background := context.Background()
	run(background, t, prepare(t, standard.Catalog(), grid), "runs", 2, &observer{})
	before := metrics(t, "runs")

	o := &observer{}
	results := run(background, t, prepare(t, standard.Catalog(), grid, "sweep.seeds=3", "name=other"), "runs", 2, o)
	if len(o.begun) != 2 || o.ended != 6 {
		t.Errorf("with one more seed, %d trials began and %d ended; want 2 and 6", len(o.begun), o.ended)
	}
	for i, r := range results {
		if want := i >= 4; r.Trained != want || r.Status != tracking.Finished {
			t.Errorf("trial %d: got %+v, want trained %v", i, r, want)
		}
	}

	g := prepare(t, standard.Catalog(), grid, `evaluate.metrics=["loss", "token_accuracy", "exact_match"]`, "evaluate.breakdown.source_length=[2]")
	o = &observer{}
	run(background, t, g, "runs", 2, o)
	if len(o.begun) != 0 {
		t.Errorf("with more metrics %d trials were trained", len(o.begun))
	}
	after := metrics(t, "runs")
	for line := range strings.Lines(before) {
		if !strings.Contains(after, line) {
			t.Fatalf("adding a metric lost %s", line)
		}
	}
	for _, trial := range g.Trials() {
		for _, key := range []string{"valid token_accuracy 30", "test exact_match 30", "valid loss/source_length=0-2 30", "test loss/source_length=3+ 30"} {
			if !strings.Contains(after, trial.ID+" "+key) {
				t.Errorf("trial %s has no %s", trial.ID, key)
			}
		}
	}
}

// A database that was lost, where the checkpoints were not, is told of.
func TestCheckpointWithoutRecords(t *testing.T) {
	workplace(t)
	o := &observer{}
	run(context.Background(), t, prepare(t, standard.Catalog(), grid), "runs", 1, o)
	if len(o.warns) != 0 {
		t.Errorf("warned %q", o.warns)
	}
	for _, file := range []string{"exp.db", "exp.db-wal", "exp.db-shm"} {
		if err := os.Remove(filepath.Join("runs", file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	run(context.Background(), t, prepare(t, standard.Catalog(), grid), "runs", 1, o)
	if len(o.warns) != 4 || !strings.Contains(o.warns[0], ".safetensors is of step 30, but the database has no run of it") {
		t.Errorf("warned %q", o.warns)
	}
}

func TestFailuresAreRecordedAndTheOthersGoOn(t *testing.T) {
	workplace(t)
	catalog := standard.Catalog()
	registry.Add(&catalog.Optimizers, "broken", brokenOptions{}, func(brokenOptions, components.OptimizerDeps) (components.Optimizer, error) {
		return broken{}, nil
	})
	source := grid + `
[sweep.variants.diverging]
train.optimizer = { type = "sgd", lr = 1e300 }
train.clip_norm = 0.0
[sweep.variants.panicking]
train.optimizer = { type = "broken" }
`
	g := prepare(t, catalog, source, "sweep.seeds=1")
	results := run(context.Background(), t, g, "runs", 2, &observer{})
	want := []tracking.Status{tracking.Finished, tracking.Finished, tracking.Diverged, tracking.Failed}
	if got := statuses(results); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if !strings.Contains(results[2].Err.Error(), "diverged at step 2") {
		t.Errorf("got %v, want a divergence at step 2", results[2].Err)
	}
	reader, err := tracking.OpenReadOnly("runs/exp.db")
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	runs, err := reader.RunsOf(context.Background(), g.Trials()[3].ID)
	if err != nil {
		t.Fatal(err)
	}
	if r := runs[0]; r.Message != "panic: the optimizer is broken" || !strings.Contains(r.Stack, "broken.Step") {
		t.Errorf("got message %q and stack %s", r.Message, r.Stack)
	}

	o := &observer{}
	again := run(context.Background(), t, g, "runs", 2, o)
	if !slices.Equal(statuses(again), want) || len(o.begun) != 1 {
		t.Errorf("again: got %v, %d begun; want the failed one tried again and no other", statuses(again), len(o.begun))
	}
}

type brokenOptions struct{}

func (brokenOptions) Doc() string     { return "Panics." }
func (brokenOptions) Validate() error { return nil }

type broken struct{}

func (broken) LearningRate() float64           { return 1 }
func (broken) Step(int, float64, float64) bool { panic("the optimizer is broken") }
func (broken) State() map[string][]float32     { return nil }

func TestPrepareRefuses(t *testing.T) {
	workplace(t)
	for _, c := range []struct {
		name string
		set  []string
		data string
		want string
	}{
		{"a sequence longer than the positions", []string{"sweep.seeds=1", "sweep.variants.transformer.model.encoder.positions=learned",
			"sweep.variants.transformer.model.encoder.max_length=2"}, "", "small.toml: transformer: model.encoder.max_length: is 2, and pair "},
		{"a malformed line", nil, "IN: jump OUT: I_JUMP\nIN jump\n", "small.toml: task: train.txt:2: not a line"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.data != "" {
				if err := os.WriteFile("train.txt", []byte(c.data), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			e, err := experiments.Parse("small.toml", []byte(grid), experiments.Options{Catalog: standard.Catalog(), Set: c.set})
			if err != nil {
				t.Fatal(err)
			}
			_, err = runner.Prepare(e)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %s...", err, c.want)
			}
		})
	}
}

func TestTime(t *testing.T) {
	workplace(t)
	g := prepare(t, standard.Catalog(), grid)
	estimate, err := g.Time(&g.Cells[0], 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if estimate.Training <= 0 || estimate.Evaluation <= 0 {
		t.Errorf("got %+v", estimate)
	}
}
