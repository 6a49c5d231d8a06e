package tracking

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// study registers an experiment with a trial in each state it can be in.
func study(t *testing.T, s *Store) {
	t.Helper()
	e := grid("study", 3, 2)
	e.Trials[0], e.Trials[5] = e.Trials[5], e.Trials[0] // the file's order is not the ids'
	for i := range e.Cells {
		e.Cells[i].Variant = []string{"lstm", "gru", "rnn"}[i]
	}
	register(t, s, e)
	for trial, status := range map[string]Status{"a-0": Finished, "a-1": Finished, "b-0": Diverged, "b-1": Failed, "c-1": Running} {
		r := begin(t, s, trial)
		for step := 1; step <= 4; step++ {
			check(t, r.Metric(step, "train", "loss", 1/float64(step)))
		}
		check(t, r.Metric(2, "valid", "accuracy", 0.25))
		if status == Running {
			r.flush()
			check(t, s.ingestRuns(context.Background(), []*Run{r}))
			continue
		}
		check(t, s.End(context.Background(), r, status, "message of "+trial, ""))
	}
}

func TestReaders(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, tempPath(t))
	study(t, s)

	trials, err := s.Trials(ctx, "study")
	check(t, err)
	var got []string
	for _, r := range trials {
		got = append(got, strings.Join([]string{r.Trial, r.Cell, r.Variant, r.Axes[0].Value, string(r.Status), r.Message}, " "))
		if ran := r.Status != Pending; ran != (r.Steps == 4) || ran != (r.Run != 0) || ran == r.Started.IsZero() {
			t.Errorf("%s: got %+v", r.Trial, r)
		}
		if ended := r.Status != Pending && r.Status != Running; ended == r.Finished.IsZero() {
			t.Errorf("%s: ended %v", r.Trial, r.Finished)
		}
	}
	want := []string{
		"c-1 c rnn c running ",
		"a-1 a lstm a finished message of a-1",
		"b-0 b gru b diverged message of b-0",
		"b-1 b gru b failed message of b-1",
		"c-0 c rnn c pending ",
		"a-0 a lstm a finished message of a-0",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("trials: got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	metrics, err := s.FinalMetrics(ctx, "study")
	check(t, err)
	point := func(trial string, seed int64) Point {
		return Point{Variant: "lstm", Axes: []Axis{{"model.type", "a"}, {"lr", "1e-3"}}, Seed: seed, Trial: trial}
	}
	wantMetrics := []FinalMetric{
		{point("a-1", 1), "train", "loss", 4, 0.25}, {point("a-1", 1), "valid", "accuracy", 2, 0.25},
		{point("a-0", 0), "train", "loss", 4, 0.25}, {point("a-0", 0), "valid", "accuracy", 2, 0.25},
	}
	if !reflect.DeepEqual(metrics, wantMetrics) {
		t.Errorf("final metrics: got\n%v\nwant\n%v", metrics, wantMetrics)
	}

	points, err := s.Points(ctx, "b-0", "valid", "accuracy")
	check(t, err)
	if want := []Metric{{Split: "valid", Name: "accuracy", Step: 2, Value: 0.25}}; !reflect.DeepEqual(points, want) {
		t.Errorf("points: got %v, want %v", points, want)
	}
	if _, err := s.Parameters(ctx, "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("parameters of nobody: got %v", err)
	}
	parameters, err := s.Parameters(ctx, "b-0")
	check(t, err)
	if trials[2].Parameters != parameters {
		t.Errorf("parameters: got %d, want %d", parameters, trials[2].Parameters)
	}

	curves, err := s.Curves(ctx, "study", "train", "loss")
	check(t, err)
	for i, c := range curves {
		if c.Trial != trials[i].Trial {
			t.Errorf("curve %d: got trial %s, want %s", i, c.Trial, trials[i].Trial)
		}
		if c.Trial == "c-0" {
			if c.Steps != nil || c.Values != nil {
				t.Errorf("a pending trial has a curve: %v", c)
			}
		} else if !reflect.DeepEqual(c.Steps, []int{1, 2, 3, 4}) || !reflect.DeepEqual(c.Values, []float64{1, 0.5, 1. / 3, 0.25}) {
			t.Errorf("%s: got %v, %v", c.Trial, c.Steps, c.Values)
		}
	}

	experiments, err := s.Experiments(ctx)
	check(t, err)
	if want := map[Status]int{Finished: 2, Diverged: 1, Failed: 1, Running: 1, Pending: 1}; len(experiments) != 1 || !reflect.DeepEqual(experiments[0].Trials, want) {
		t.Errorf("experiments: got %+v, want one with %v", experiments, want)
	}
}

// A trial stays when its experiment is registered without it.
func TestTrialsBy(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, tempPath(t))
	register(t, s, grid("study", 3, 2))
	register(t, s, grid("study", 1, 1))
	for prefix, want := range map[string][]string{"": {"a-0", "a-1", "b-0", "b-1", "c-0", "c-1"}, "b-": {"b-0", "b-1"}, "c-1": {"c-1"}, "%": nil} {
		trials, err := s.TrialsBy(ctx, prefix)
		check(t, err)
		var got []string
		for _, trial := range trials {
			got = append(got, trial.ID)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("by %q there are %q, want %q", prefix, got, want)
		}
	}
}

// The public views have the columns that the package documents.
func TestViews(t *testing.T) {
	s := openTest(t, tempPath(t))
	study(t, s)
	for _, test := range []struct{ query, want string }{
		{`SELECT experiment, position, variant, axes, seed, cell, trial, parameters, status, steps, run > 0, length(started), length(finished), message
			FROM trials WHERE trial IN ('a-1', 'c-0') ORDER BY position`,
			`study|1|lstm|{"model.type":"a","lr":"1e-3"}|1|a|a-1|10|finished|4|1|24|24|message of a-1
study|4|rnn|{"model.type":"c","lr":"1e-3"}|0|c|c-0|12|pending|0|<nil>|<nil>|<nil>|
`},
		{`SELECT experiment, position, variant, axes ->> '$."model.type"', seed, trial, split, metric, step, value, kind
			FROM final_metrics WHERE trial = 'a-0' ORDER BY split`,
			`study|5|lstm|a|0|a-0|train|loss|4|3fd0000000000000|finite
study|5|lstm|a|0|a-0|valid|accuracy|2|3fd0000000000000|finite
`},
		{`SELECT experiment, position, variant, axes ->> '$.lr', seed, trial, split, metric, step, value, kind
			FROM curves WHERE trial = 'b-1' AND split = 'train' AND step > 2 ORDER BY step`,
			`study|3|gru|1e-3|1|b-1|train|loss|3|3fd5555555555555|finite
study|3|gru|1e-3|1|b-1|train|loss|4|3fd0000000000000|finite
`},
		{"SELECT trial, split, metric, step, value, kind FROM metrics WHERE trial = 'c-1' AND split = 'valid'", "c-1|valid|accuracy|2|3fd0000000000000|finite\n"},
		{"SELECT trial, run, name, step, value FROM measurements", ""},
		{`SELECT run > 0, trial, status, message, stack, length(started), finished, length(host) > 0, pid > 0, config, code_version, dirty,
			data_hash, go_version LIKE 'go%', platform LIKE '%/%', cpu, kernel, workers, json_valid(command) FROM runs WHERE trial = 'c-1'`,
			"1|c-1|running|||24|<nil>|1|1|||0||1|1|||0|1\n"},
	} {
		if got := dump(t, s.Reader.db, test.query); got != test.want {
			t.Errorf("%s: got\n%s\nwant\n%s", test.query, got, test.want)
		}
	}
}

func TestUnknownExperiment(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, tempPath(t))
	_, err := s.Trials(ctx, "stduy")
	if !errors.Is(err, ErrNotFound) || !strings.HasSuffix(err.Error(), "has no experiments yet") {
		t.Errorf("got %v", err)
	}
	study(t, s)
	register(t, s, grid("another", 1, 1))
	_, errTrials := s.Trials(ctx, "stduy")
	_, errFinal := s.FinalMetrics(ctx, "stduy")
	_, errCurves := s.Curves(ctx, "stduy", "train", "loss")
	_, errExperiment := s.Experiment(ctx, "stduy")
	for _, err := range []error{errTrials, errFinal, errCurves, errExperiment} {
		if !errors.Is(err, ErrNotFound) || !strings.HasSuffix(err.Error(), "exp.db has another, study") {
			t.Errorf("got %v", err)
		}
	}
}
