package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// everyMetric is the whole of what must not depend on how training went on.
const everyMetric = "SELECT trial, split, metric, step, printf('%!.17g', value), kind FROM metrics ORDER BY trial, split, metric, step"

// TestKill compares a grid that is trained in one go with one whose process is
// killed again and again.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	if err := writeScan(dir, 60); err != nil {
		t.Fatal(err)
	}
	start := func(runs, workers string) (*exec.Cmd, *bytes.Buffer) {
		c := exec.Command("exp", "run", "small.toml", "--set", "train.steps=4000", "--set", "evaluate.every=200",
			"--runs", runs, "--workers", workers, "--checkpoint-every", "20ms")
		c.Dir = dir
		out := &bytes.Buffer{}
		c.Stdout, c.Stderr = out, out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c, out
	}
	metrics := func(runs string) string {
		rows, err := queryRows(filepath.Join(dir, runs, "exp.db"), everyMetric)
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}

	var took time.Duration // of the whole grid on two workers
	for _, workers := range []string{"1", "2"} {
		begin := time.Now()
		if c, out := start("whole"+workers, workers); c.Wait() != nil {
			t.Fatalf("%s workers: %v\n%s", workers, c.ProcessState, out)
		}
		took = time.Since(begin)
	}
	want := metrics("whole1")
	if lines := strings.Count(want, "\n"); lines != 4*(4000*3+20*2+2) {
		t.Errorf("got %d metrics", lines)
	}
	if metrics("whole2") != want {
		t.Error("metrics differ between one worker and two")
	}

	rng := rand.New(rand.NewPCG(1, uint64(os.Getpid())))
	continued := false
	for round := 0; ; round++ {
		// The time left grows with the rounds, so that however slow the machine
		// there comes one with enough for what cannot be continued: the start and
		// the figures.
		left := time.Duration((0.1 + 0.02*float64(round)*rng.Float64()) * float64(took))
		c, out := start("killed", "2")
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("round %d: %v\n%s", round, err, out)
			}
			if round < 2 {
				t.Fatalf("was done after %d kills: too fast to be killed", round)
			}
			if !continued {
				t.Error("no trial went on from a checkpoint")
			}
			t.Logf("killed %d times", round)
			if metrics("killed") != want {
				t.Error("metrics differ between a grid trained in one go and one killed and continued")
			}
			return
		case <-time.After(left):
			if err := c.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-ended
			continued = continued || strings.Contains(out.String(), "goes on from step")
		}
		if round == 1000 {
			t.Fatalf("not done after %d kills\n%s", round, out)
		}
	}
}
