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
)

// A line that is written to a pipe is answered before the next one comes, and batches
// of any size give the same answers.
func TestPredictInteractively(t *testing.T) {
	dir := t.TempDir()
	if err := writeScan(dir, 60); err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) *exec.Cmd {
		c := exec.Command("exp", args...)
		c.Dir = dir
		return c
	}
	if out, err := command("run", "small.toml", "--set", "sweep.seeds=1").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	row, err := queryRows(filepath.Join(dir, "runs", "exp.db"), "SELECT trial FROM trials WHERE variant = 'lstm'")
	if err != nil {
		t.Fatal(err)
	}
	trial := strings.TrimSpace(row)

	var text strings.Builder
	rng := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("walk run jump look left right twice opposite around")
	for range 150 {
		for range 1 + rng.IntN(6) {
			text.WriteString(words[rng.IntN(len(words))] + " ")
		}
		text.WriteByte('\n')
	}
	if err := os.WriteFile(filepath.Join(dir, "lines.txt"), []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	flags := []string{"--scores", "--beam-size", "3", "--length-alpha", "1", "--nbest", "2"}
	var want []byte
	for _, size := range []int{64, 7, 1} {
		got, err := command(append([]string{"predict", trial, "lines.txt", "--batch-size", fmt.Sprint(size)}, flags...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if lines := bytes.Count(got, []byte("\n")); lines != 300 || !bytes.Equal(got, want) {
			t.Errorf("batches of %d: %d lines, and as those of 64: %v", size, lines, bytes.Equal(got, want))
		}
	}

	c := command(append([]string{"predict", trial}, flags...)...)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(out)
	wanted := bufio.NewReader(bytes.NewReader(want))
	for i, line := range strings.SplitAfter(text.String(), "\n")[:20] {
		if _, err := io.WriteString(in, line); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got, err := answers.ReadString('\n')
			w, _ := wanted.ReadString('\n')
			if err != nil || got != w {
				t.Fatalf("line %d is answered by %q, %v; want %q", i+1, got, err, w)
			}
		}
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}

	// One interrupt ends what would take hours.
	c = command("predict", trial, "--search", "sample", "--nbest", "1000", "--min-length", "10000000", "--max-length", "10000000")
	var interrupted bytes.Buffer
	c.Stderr = &interrupted
	if in, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if out, err = c.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, "\n")
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, "walk\n")
	time.Sleep(200 * time.Millisecond) // until it decodes; sooner it ends all the same
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	c.Wait() // the exit code says all
	if code := c.ProcessState.ExitCode(); code != exitInterrupted || !strings.HasSuffix(interrupted.String(), "exp: error: interrupted\n") {
		t.Errorf("exit code %d, want %d; printed %q", code, exitInterrupted, &interrupted)
	}

	// A model that is not trained to the end is told of.
	db, err := sql.Open("sqlite3", filepath.Join(dir, "runs", "exp.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE run SET status = 'interrupted'"); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c = command("predict", trial, "lines.txt")
	c.Stderr = &stderr
	if _, err := c.Output(); err != nil {
		t.Error(err)
	}
	if want := "is not trained to the end: its last run is interrupted, and these are the weights of step 30 of 30\n"; !strings.Contains(stderr.String(), want) {
		t.Errorf("it warns %q; want %q", &stderr, want)
	}
}
