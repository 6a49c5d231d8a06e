package plots

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"exp/registry"
)

// grid of cells: two variants by two attentions by two learning rates.
func cells() []map[string]string {
	var all []map[string]string
	for _, variant := range []string{"lstm", "gru"} {
		for _, attention := range []string{"none", "additive"} {
			for _, lr := range []string{"0.001", "0.0003"} {
				all = append(all, map[string]string{"variant": variant, "model.attention.type": attention, "train.optimizer.lr": lr})
			}
		}
	}
	return all
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name  string
		by    []string
		where map[string]string
		facet string
		want  string
	}{
		{"all told apart", []string{"variant", "model.attention.type", "train.optimizer.lr"}, nil, "", ""},
		{"by, facet and where", []string{"variant"}, map[string]string{"train.optimizer.lr": "0.001"}, "model.attention.type", ""},
		{"one pooled", []string{"variant", "model.attention.type"}, nil, "",
			"by: would pool cells that differ in train.optimizer.lr (0.001 and 0.0003); tell them apart with by, facet or where"},
		{"two pooled", nil, map[string]string{"variant": "gru"}, "",
			"by: would pool cells that differ in model.attention.type (none and additive) and train.optimizer.lr (0.001 and 0.0003); tell them apart with by, facet or where"},
		{"unknown labels", []string{"varaint"}, map[string]string{"lr": "1"}, "attention",
			"by: cells have no label \"varaint\"; did you mean \"variant\"?\n" +
				"facet: cells have no label \"attention\"; there is model.attention.type, train.optimizer.lr and variant\n" +
				"where: cells have no label \"lr\"; there is model.attention.type, train.optimizer.lr and variant"},
		{"unknown value", []string{"variant"}, map[string]string{"model.attention.type": "aditive"}, "",
			`where: no cell has model.attention.type = "aditive"; did you mean "additive"?`},
		{"facet in by", []string{"variant", "model.attention.type", "train.optimizer.lr"}, nil, "variant",
			`facet: "variant" is in by too; give it once`},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := check(cells(), Selection{By: c.by, Where: c.where}, c.facet)
			if got := fmt.Sprint(err); got != c.want && (err != nil || c.want != "") {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			for _, e := range registry.Split(err) {
				if !errors.As(e, new(registry.Fault)) {
					t.Errorf("%v is no fault", e)
				}
			}
		})
	}
}

// TestPoolingIsRefused checks that no figure pools what differs in a label, both
// before anything is measured and after.
func TestPoolingIsRefused(t *testing.T) {
	var d Data
	for _, cell := range cells() {
		for seed := range int64(2) {
			one := trial(seed, Finished, 2, 1)
			one.Labels = cell
			d.Trials = append(d.Trials, one)
		}
	}
	const want = "would pool cells that differ in train.optimizer.lr (0.001 and 0.0003)"
	for _, name := range NewKind().Names() {
		table := registry.NewTable("figures", registry.Origin{File: "x.toml", Line: 1})
		table.Set("type", registry.Value{Data: name})
		table.Set("by", registry.Value{Data: []registry.Value{{Data: "variant"}, {Data: "model.attention.type"}}})
		if name == "learning_curve" {
			table.Set("y", registry.Value{Data: "valid/loss"})
		}
		choice, err := NewKind().Decode(table)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := choice.Build(Sweep{Cells: cells()}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s, before: got %v, want an error with %q", name, err, want)
		}
		f, err := choice.Build(Sweep{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Render(d)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "figure "+f.Name()+": ") {
			t.Errorf("%s, after: got %v, want an error with the figure and %q", name, err, want)
		}
	}
}

func TestGroupingOrder(t *testing.T) {
	var d Data
	for _, cell := range cells() {
		for _, seed := range []int64{7, 3} {
			one := trial(seed, Finished)
			one.Labels = cell
			d.Trials = append(d.Trials, one)
		}
	}
	g, err := newGrouping(d, Selection{By: []string{"train.optimizer.lr", "variant"}}, "model.attention.type")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range g.panels {
		for _, group := range p.groups {
			got = append(got, fmt.Sprintf("%s: %s, seeds %d %d", p.facet, g.describe(g.by, group.values), group.trials[0].Seed, group.trials[1].Seed))
		}
	}
	want := []string{
		"none: lr=0.001, lstm, seeds 3 7", "none: lr=0.001, gru, seeds 3 7",
		"none: lr=0.0003, lstm, seeds 3 7", "none: lr=0.0003, gru, seeds 3 7",
		"additive: lr=0.001, lstm, seeds 3 7", "additive: lr=0.001, gru, seeds 3 7",
		"additive: lr=0.0003, lstm, seeds 3 7", "additive: lr=0.0003, gru, seeds 3 7",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	d.Trials = append(d.Trials, d.Trials[0])
	_, err = newGrouping(d, Selection{By: []string{"train.optimizer.lr", "variant"}}, "model.attention.type")
	if want := "the cell model.attention.type=none, train.optimizer.lr=0.001, variant=lstm has two trials of seed 7"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
