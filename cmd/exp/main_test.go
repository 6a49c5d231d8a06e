package main

import (
	"errors"
	"fmt"
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
