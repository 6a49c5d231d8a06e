package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
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
