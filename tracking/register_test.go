package tracking

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestRegister(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, tempPath(t))
	e := Experiment{
		Name: "scan", Path: "experiments/scan.toml", Source: "name = \"scan\"\n",
		Cells: []Cell{
			{ID: "z", Variant: "lstm", Axes: []Axis{{"b", "1 < 2 & \"q\""}, {"a", ""}}, Config: "x = 1\n", Parameters: 12},
			{ID: "y", Variant: "ünï"},
			{ID: "z", Variant: "lstm", Axes: []Axis{{"b", "2"}}, Config: "x = 1\n", Parameters: 12},
		},
		Trials: []Trial{{ID: "z-1", CellID: "z", Seed: 1}, {ID: "y-0", CellID: "y", Seed: -5}, {ID: "z-0", CellID: "z", Seed: 0}},
	}
	for range 2 { // registering again changes nothing
		register(t, s, e)
		got, err := s.Experiment(ctx, "scan")
		check(t, err)
		if !reflect.DeepEqual(got, e) {
			t.Errorf("got %+v, want %+v", got, e)
		}
	}
	rows, err := s.Trials(ctx, "scan")
	check(t, err)
	var got []string
	for _, r := range rows {
		got = append(got, r.Trial+" "+encodeAxes(r.Axes)+" "+string(r.Status))
	}
	want := []string{
		`z-1 {"b":"1 < 2 & \"q\"","a":""} pending`,
		`z-1 {"b":"2"} pending`,
		`y-0 {} pending`,
		`z-0 {"b":"1 < 2 & \"q\"","a":""} pending`,
		`z-0 {"b":"2"} pending`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("trials:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	experiments, err := s.Experiments(ctx)
	check(t, err)
	if e := experiments[0]; e.Cells != 2 || e.Trials[Pending] != 3 || e.Registered.IsZero() {
		t.Errorf("experiments: got %+v, want 2 cells and 3 pending trials", e)
	}
}

// An experiment that shrinks keeps its trials, and a trial of two experiments is one.
func TestRegisterReplacesMembership(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, tempPath(t))
	register(t, s, grid("one", 3, 2))
	register(t, s, grid("two", 1, 1))
	r := begin(t, s, "a-0")
	check(t, r.Metric(1, "test", "loss", 0.5))
	end(t, s, r, Finished)

	small := grid("one", 1, 1)
	small.Cells[0].Parameters = 0 // not known now, but known before
	small.Cells[0].Variant = "renamed"
	register(t, s, small)
	for _, name := range []string{"one", "two"} {
		metrics, err := s.FinalMetrics(ctx, name)
		check(t, err)
		if len(metrics) != 1 || metrics[0].Value != 0.5 {
			t.Errorf("%s: got %v, want one metric", name, metrics)
		}
	}
	e, err := s.Experiment(ctx, "one")
	check(t, err)
	if c := e.Cells[0]; len(e.Cells) != 1 || len(e.Trials) != 1 || c.Parameters != 10 || c.Variant != "renamed" {
		t.Errorf("got %+v", e)
	}
	if status, err := s.Status(ctx, "c-1"); status != Pending || err != nil {
		t.Errorf("a trial that left: got %q, %v, want pending", status, err)
	}
	register(t, s, grid("one", 3, 2))
	if status, err := s.Status(ctx, "a-0"); status != Finished || err != nil {
		t.Errorf("a trial that stayed: got %q, %v, want finished", status, err)
	}
}

func TestRegisterRefuses(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, tempPath(t))
	register(t, s, grid("known", 1, 1))
	for _, test := range []struct {
		name string
		edit func(*Experiment)
		want string
	}{
		{"no name", func(e *Experiment) { e.Name = "" }, "has no name"},
		{"no cell id", func(e *Experiment) { e.Cells[0].ID = "" }, "a cell has no id"},
		{"axis twice", func(e *Experiment) { e.Cells[0].Axes = []Axis{{"lr", "1"}, {"lr", "2"}} }, `axis "lr" is given twice`},
		{"path as id", func(e *Experiment) { e.Trials[0].ID = "../a" }, `trial id "../a"`},
		{"long id", func(e *Experiment) { e.Trials[0].ID = strings.Repeat("a", 129) }, "must be 1 to 128 letters"},
		{"hidden file as id", func(e *Experiment) { e.Trials[0].ID = ".a" }, `trial id ".a"`},
		{"unknown cell", func(e *Experiment) { e.Trials[0].CellID = "q" }, `cell "q" is not one of the experiment`},
		{"trial twice", func(e *Experiment) { e.Trials = append(e.Trials, e.Trials[0]) }, "trial a-0: is given twice"},
		{"id of another seed", func(e *Experiment) { e.Trials[0].Seed = 7 }, "the store has trial a-0 as cell a with seed 0"},
		{"another id of the seed", func(e *Experiment) { e.Trials[0].ID = "other" }, "the store has trial a-0 as cell a with seed 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := grid("new", 1, 1)
			test.edit(&e)
			err := s.Register(ctx, e)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if _, err := s.Experiment(ctx, e.Name); !errors.Is(err, ErrNotFound) {
				t.Errorf("a refused experiment: got %v, want not found", err)
			}
		})
	}
}
