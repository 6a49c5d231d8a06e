package tracking

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// quick is an ingestion interval that makes short tests meet many ingestions.
const quick = 2 * time.Millisecond

func tempPath(t testing.TB) string { return filepath.Join(t.TempDir(), "runs", "exp.db") }

// openTest opens a store that is closed with the test.
func openTest(t testing.TB, path string) *Store {
	t.Helper()
	s, err := open(path, quick)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// grid is an experiment of cells a, b, ... with seeds 0, 1, ...
func grid(name string, cells, seeds int) Experiment {
	e := Experiment{Name: name, Path: name + ".toml", Source: "name = \"" + name + "\"\n"}
	for i := range cells {
		id := string(rune('a' + i))
		e.Cells = append(e.Cells, Cell{ID: id, Axes: []Axis{{"model.type", id}, {"lr", "1e-3"}}, Config: "cell = \"" + id + "\"\n", Parameters: int64(10 + i)})
		for seed := range seeds {
			e.Trials = append(e.Trials, Trial{ID: fmt.Sprintf("%s-%d", id, seed), CellID: id, Seed: int64(seed)})
		}
	}
	return e
}

func register(t testing.TB, s *Store, e Experiment) {
	t.Helper()
	if err := s.Register(context.Background(), e); err != nil {
		t.Fatal(err)
	}
}

func begin(t testing.TB, s *Store, trial string) *Run {
	t.Helper()
	r, err := s.Begin(context.Background(), trial, Provenance{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func end(t testing.TB, s *Store, r *Run, status Status) {
	t.Helper()
	if err := s.End(context.Background(), r, status, "", ""); err != nil {
		t.Fatal(err)
	}
}

// check fails the test at the first error.
func check(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// dump is the result of a query as text, a line a row.
func dump(t testing.TB, db *sql.DB, query string) string {
	t.Helper()
	rows, err := db.Query(query)
	check(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	check(t, err)
	values := make([]any, len(columns))
	targets := make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	var b strings.Builder
	for rows.Next() {
		check(t, rows.Scan(targets...))
		for i, v := range values {
			if i > 0 {
				b.WriteByte('|')
			}
			if f, ok := v.(float64); ok {
				fmt.Fprintf(&b, "%x", math.Float64bits(f))
			} else {
				fmt.Fprint(&b, v)
			}
		}
		b.WriteByte('\n')
	}
	check(t, rows.Err())
	return b.String()
}

func dumpMetrics(t testing.TB, s *Store) string {
	t.Helper()
	return dump(t, s.Reader.db, "SELECT * FROM metrics ORDER BY trial, split, metric, step")
}

func spools(t testing.TB, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(filepath.Dir(path), "spool"))
	check(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestRun(t *testing.T) {
	ctx := context.Background()
	path := tempPath(t)
	s := openTest(t, path)
	register(t, s, grid("copy", 1, 1))
	provenance := Provenance{Config: "x = 1\n", CodeVersion: "abc", Dirty: true, DataHash: "d", CPU: "cpu", Kernel: "avx2", Workers: 3}
	r, err := s.Begin(ctx, "a-0", provenance)
	check(t, err)
	check(t,
		r.Resume(0),
		r.Metric(1, "train", "loss", 2.5),
		r.Metric(2, "train", "loss", 1.25),
		r.Metric(2, "valid", "accuracy", 0.5),
		r.Measurement(2, "steps_per_second", 100),
		r.Sync(),
	)
	check(t, s.End(ctx, r, Finished, "done", ""))

	metrics, err := s.LastMetrics(ctx, "a-0")
	check(t, err)
	if want := []Metric{{"train", "loss", 2, 1.25}, {"valid", "accuracy", 2, 0.5}}; !slices.Equal(metrics, want) {
		t.Errorf("last metrics: got %v, want %v", metrics, want)
	}
	measurements, err := s.Measurements(ctx, "a-0")
	check(t, err)
	if want := []Measurement{{r.ID(), "steps_per_second", 2, 100}}; !slices.Equal(measurements, want) {
		t.Errorf("measurements: got %v, want %v", measurements, want)
	}
	runs, err := s.RunsOf(ctx, "a-0")
	check(t, err)
	if len(runs) != 1 {
		t.Fatalf("got %d runs, want 1", len(runs))
	}
	u := runs[0]
	if u.Provenance != provenance || u.Status != Finished || u.Message != "done" || u.PID != os.Getpid() || !reflect.DeepEqual(u.Command, os.Args) {
		t.Errorf("run: got %+v", u)
	}
	if u.Started.IsZero() || u.Finished.Before(u.Started) || time.Since(u.Started) > time.Minute {
		t.Errorf("run lasted from %v to %v", u.Started, u.Finished)
	}
	if got := spools(t, path); got != nil {
		t.Errorf("spools left: %v", got)
	}
}
