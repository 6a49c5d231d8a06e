package main

import (
	"bufio"
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"exp/runner"
)

// everyMetric is the whole of what must not depend on how training went on.
const everyMetric = "SELECT trial, split, metric, step, printf('%!.17g', value), kind FROM metrics ORDER BY trial, split, metric, step"

// kills is where a grid is killed, by what it prints: each a little after a line
// that holds the text. There are no more kills than these, so that the grid ends
// on any machine.
var kills = []string{
	": begins",                               // in the first steps
	"valid/exact_match", "valid/exact_match", // after an evaluation, which leaves a checkpoint to go on from
	": goes on from step", ": goes on from step", ": goes on from step", // in training, an evaluation or a checkpoint
	": finished in", ": finished in", // as a trial is recorded as finished
	"learning-curve", // in the figures
}

// TestKill compares a grid that is trained in one go with one whose process is
// killed again and again.
func TestKill(t *testing.T) {
	const steps, every = 200, 40
	dir := t.TempDir()
	if err := writeScan(dir, 60); err != nil {
		t.Fatal(err)
	}
	command := func(runs, workers string, flags ...string) *exec.Cmd {
		c := exec.Command("exp", append([]string{"run", "small.toml", "--set", fmt.Sprintf("train.steps=%d", steps),
			"--set", fmt.Sprintf("evaluate.every=%d", every), "--runs", runs, "--workers", workers}, flags...)...)
		c.Dir = dir
		return c
	}
	metrics := func(runs string) string {
		rows, err := queryRows(filepath.Join(dir, runs, "exp.db"), everyMetric)
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}

	for _, workers := range []string{"1", "2"} {
		if out, err := command("whole"+workers, workers).CombinedOutput(); err != nil {
			t.Fatalf("%s workers: %v\n%s", workers, err, out)
		}
	}
	want := metrics("whole1")
	if lines := strings.Count(want, "\n"); lines != 4*(steps*3+steps/every*2+2) {
		t.Errorf("got %d metrics", lines)
	}
	if metrics("whole2") != want {
		t.Error("metrics differ between one worker and two")
	}

	rng := rand.New(rand.NewPCG(1, uint64(os.Getpid())))
	killed, continued := 0, false
	for _, after := range kills {
		delay := time.Duration(rng.Float64() * float64(30*time.Millisecond)) // some steps, an evaluation, checkpoints
		out, ended := killAfter(t, command("killed", "2", "--checkpoint-every", "2ms"), after, delay)
		if !ended {
			killed++
		}
		continued = continued || strings.Contains(out, "goes on from step")
	}
	if killed < len(kills)/3 {
		t.Errorf("was killed %d times of %d: too fast to be killed", killed, len(kills))
	}
	if out, err := command("killed", "2").CombinedOutput(); err != nil {
		t.Fatalf("after %d kills: %v\n%s", killed, err, out)
	}
	if !continued {
		t.Error("no trial went on from a checkpoint")
	}
	if metrics("killed") != want {
		t.Error("metrics differ between a grid trained in one go and one killed and continued")
	}
	t.Logf("killed %d times", killed)
}

// killAfter starts c and kills it a delay after it prints a line with that text.
// It returns what c printed, and whether it had ended before it was killed.
func killAfter(t *testing.T, c *exec.Cmd, text string, delay time.Duration) (printed string, ended bool) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c.Stdout, c.Stderr = w, w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	var out bytes.Buffer
	lines := bufio.NewScanner(io.TeeReader(r, &out))
	for seen := false; lines.Scan(); {
		if !seen && strings.Contains(lines.Text(), text) {
			seen = true
			time.AfterFunc(delay, func() { _ = c.Process.Kill() })
		}
	}
	err = c.Wait()
	if c.ProcessState.Exited() && err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	return out.String(), c.ProcessState.Exited()
}

// everything is an experiment of every architecture, with all that a training
// remembers: dropout, scheduled sampling, accumulated gradients, early stopping, a
// schedule that follows a metric, an average of the weights.
const everything = `
[task]
type = "scan"
split = "files"
train_file = "train.txt"
test_file = "test.txt"
valid_fraction = 0.2

[model]
encoder = { type = "gru", hidden_size = 8, embedding_size = 8, dropout = 0.2 }
decoder = { type = "gru", hidden_size = 8, embedding_size = 8, dropout = 0.2 }
attention = { type = "dot" }

[train]
steps = 300
batch_size = 4
accumulate = 2
ema_decay = 0.9
optimizer = { type = "rmsprop", momentum = 0.5, lr = 3e-3 }
schedule = { type = "plateau", patience = 0, gamma = 0.7, warmup_steps = 5 }
teacher_forcing = { type = "linear", slope = 0.02 }

[evaluate]
every = 5
max_length = 12
metrics = ["loss", "token_accuracy"]
best_by = "token_accuracy"
patience = 20
min_delta = 0.005

[sweep.variants.gru]
[sweep.variants.rnn]
model.encoder = { type = "rnn", hidden_size = 8, embedding_size = 8, dropout = 0.2 }
model.decoder = { type = "rnn", hidden_size = 8, embedding_size = 8, dropout = 0.2, input_feeding = true }
[sweep.variants.lstm]
model.encoder = { type = "lstm", hidden_size = 8, embedding_size = 8, dropout = 0.2, bidirectional = true }
model.decoder = { type = "lstm", hidden_size = 8, embedding_size = 8, recurrent_dropout = 0.2 }
[sweep.variants.transformer]
model.encoder = { type = "transformer", model_size = 8, num_heads = 2, num_layers = 1, ffn_size = 8, dropout = 0.2 }
model.decoder = { type = "transformer", model_size = 8, num_heads = 2, num_layers = 1, ffn_size = 8, dropout = 0.2 }
model.attention = { type = "multihead", num_heads = 2 }
`

// TestVerifyResume kills trainings of every architecture with everything that they
// can remember on, a few times, and with EXP_LONG=1 fifty.
func TestVerifyResume(t *testing.T) {
	dir := t.TempDir()
	if err := writeScan(dir, 60); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "everything.toml"), []byte(everything), 0o644); err != nil {
		t.Fatal(err)
	}
	kills := "4"
	if os.Getenv("EXP_LONG") == "1" {
		kills = "50"
	}
	c := exec.Command("exp", "verify-resume", "everything.toml", "--kills", kills, "--workers", "2")
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "killed "+kills+" times") || !strings.Contains(string(out), "4 checkpoints and 40 hypotheses are the same") {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// What differs is found: a number, a number that is missing, a byte of a checkpoint,
// what a model says.
func TestVerifyResumeFindsWhatDiffers(t *testing.T) {
	dir := t.TempDir()
	if err := writeScan(dir, 60); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	e, _, err := load("small.toml", []string{"sweep.seeds=1", "train.steps=3", "evaluate.every=1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"whole", "killed"} {
		if out, err := exec.Command("exp", "run", "small.toml", "--set", "sweep.seeds=1", "--set", "train.steps=3", "--set", "evaluate.every=1", "--runs", name).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	v := &verification{dir: "."}
	check := func(want string) {
		t.Helper()
		var c comparison
		err := v.compare(t.Context(), e, &c)
		if want == "" && (err != nil || c.metrics == 0 || c.checkpoints != 2 || c.hypotheses == 0) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("found %v and %+v, want %q", err, c, want)
		}
	}
	change := func(query string) {
		t.Helper()
		db, err := sql.Open("sqlite3", filepath.Join("killed", "exp.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	check("")
	path := runner.CheckpointOf(filepath.Join("killed", "checkpoints"), e.Trials()[1].ID)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)-1] ^= 1
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	check("lstm seed 1: the checkpoints differ")
	if out, err := exec.Command("exp", "run", "small.toml", "--set", "sweep.seeds=[2]", "--set", "train.steps=3", "--set", "evaluate.every=1", "--runs", "other").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	other, _, err := load("small.toml", []string{"sweep.seeds=[2]", "train.steps=3", "evaluate.every=1"})
	if err != nil {
		t.Fatal(err)
	}
	content, err = os.ReadFile(runner.CheckpointOf(filepath.Join("other", "checkpoints"), other.Trials()[1].ID))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	check("lstm seed 1: of validation pair 1 the model says ")
	const series = "(SELECT id FROM series WHERE split = 'train' AND name = 'loss' ORDER BY id LIMIT 1)"
	change("UPDATE point SET value = value * (1 + 1e-15) WHERE step = 2 AND series = " + series)
	check("train/loss is ")
	change("DELETE FROM point WHERE step = 2 AND series = " + series)
	check("3 values of train/loss in one go, 2 killed")
}
