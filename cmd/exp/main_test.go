package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"exp/components/standard"
	"exp/experiments"
	"exp/runner"
	"exp/tracking"
)

func TestFailureSaysOnce(t *testing.T) {
	full := errors.New("exp.db: disk is full")
	var b strings.Builder
	usage(errors.Join(full, errors.New("other"), full), "make room").print(&b)
	if got, want := b.String(), "exp: error: exp.db: disk is full\nexp: error: other\nexp: hint: make room\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A swept text may be any.
func TestAxesAsJSON(t *testing.T) {
	const value = "a\a\x7f\"<\u2028é"
	var b strings.Builder
	if err := writeJSON(&b, axes{{Key: "task.separator", Value: value}, {Key: "a", Value: "1"}}); err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"task.separator": value, "a": "1"}; !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if strings.Index(b.String(), "task") > strings.Index(b.String(), `"a":`) {
		t.Errorf("the order is lost: %s", b.String())
	}
}

// What cannot be written is no fault of the command's arguments.
func TestWriteJSONFails(t *testing.T) {
	var f *failure
	if err := writeJSON(io.Discard, func() {}); !errors.As(err, &f) || f.code != exitFailed {
		t.Errorf("error is %v, want a failure of code %d", err, exitFailed)
	}
}

func TestVerdictOfClaimed(t *testing.T) {
	e, err := experiments.Parse("claimed.toml", []byte(blocks(t, "toml")[0]), experiments.Options{Catalog: standard.Catalog()})
	if err != nil {
		t.Fatal(err)
	}
	results := make([]runner.Result, len(e.Trials()))
	for i := range results {
		results[i] = runner.Result{Status: tracking.Finished}
	}
	results[1] = runner.Result{Status: tracking.Running, Err: fmt.Errorf("trial: %w", tracking.ErrClaimed)}
	var f *failure
	if !errors.As(verdict(e, results, nil), &f) || f.code != exitFailed || !strings.Contains(f.hint, "another process") {
		t.Errorf("got %v with hint %q", f, f.hint)
	}
}
