package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"exp/experiments"
	"exp/plots"
	"exp/registry"
)

// difference is a key with its values on both sides, nil where it is not there.
type difference struct {
	Key string `json:"key"`
	A   any    `json:"a"`
	B   any    `json:"b"`

	ADefault bool `json:"a_default"` // the value is the default of its component
	BDefault bool `json:"b_default"`
}

// cellDifferences is what two cells differ in.
type cellDifferences struct {
	A           string       `json:"a"` // the label of the cell
	B           string       `json:"b"`
	Differences []difference `json:"differences"`
	Note        string       `json:"note,omitempty"`
}

// differences is all that two arguments differ in.
type differences struct {
	A     string            `json:"a"`
	B     string            `json:"b"`
	File  []difference      `json:"file"` // of what is around the configuration, of two files
	Cells []cellDifferences `json:"cells"`
	OnlyA []string          `json:"only_a"` // labels of cells
	OnlyB []string          `json:"only_b"`
}

func newDiff(p *places) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Name every difference between two cells, files or trials",
		Long: `diff compares two resolved configurations key by key: what one states and the
other leaves to a default that is another value is a difference, and what one
states and the other has by default is none. A and B are each

  FILE        a file: of one cell, that cell; else all, those of one name together
  FILE:CELL   one cell of a file, named as exp plan prints it
  TRIAL       a recorded trial, by the beginning of its id

Of two files, what is around the configuration is compared too.`,
		Example: `  exp diff experiments/quickstart.toml:lstm experiments/quickstart.toml:gru
  exp diff experiments/quickstart.toml experiments/scan_simple.toml
  exp diff 3f9c21 experiments/quickstart.toml:lstm --json`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := p.find(c.Context(), args[0])
			if err != nil {
				return err
			}
			b, err := p.find(c.Context(), args[1])
			if err != nil {
				return err
			}
			d, err := compare(a, b)
			if err != nil {
				return usage(err, "")
			}
			d.A, d.B = args[0], args[1]
			if asJSON {
				return writeJSON(c.OutOrStdout(), d)
			}
			printDifferences(c.OutOrStdout(), d)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// compare finds what a and b differ in.
func compare(a, b *named) (*differences, error) {
	d := &differences{File: []difference{}, Cells: []cellDifferences{}, OnlyA: []string{}, OnlyB: []string{}}
	if a.whole && b.whole {
		x, err := around(a.experiment)
		if err != nil {
			return nil, err
		}
		y, err := around(b.experiment)
		if err != nil {
			return nil, err
		}
		d.File = optionDifferences(x, y)
	}
	if len(a.cells) == 1 && len(b.cells) == 1 {
		c, err := compareCells(a, a.cells[0], b, b.cells[0])
		if err != nil {
			return nil, err
		}
		d.Cells = append(d.Cells, c)
		return d, nil
	}
	with := func(cells []*experiments.Cell, label string) int {
		return slices.IndexFunc(cells, func(c *experiments.Cell) bool { return c.Label() == label })
	}
	for _, x := range a.cells {
		i := with(b.cells, x.Label())
		if i < 0 {
			d.OnlyA = append(d.OnlyA, x.Label())
			continue
		}
		c, err := compareCells(a, x, b, b.cells[i])
		if err != nil {
			return nil, err
		}
		d.Cells = append(d.Cells, c)
	}
	for _, y := range b.cells {
		if with(a.cells, y.Label()) < 0 {
			d.OnlyB = append(d.OnlyB, y.Label())
		}
	}
	return d, nil
}

func compareCells(a *named, x *experiments.Cell, b *named, y *experiments.Cell) (cellDifferences, error) {
	c := cellDifferences{A: x.Label(), B: y.Label(), Differences: optionDifferences(x.Options(), y.Options())}
	ofX, err := a.dataContent(x)
	if err != nil {
		return c, err
	}
	ofY, err := b.dataContent(y)
	if err != nil {
		return c, err
	}
	known := func(n *named) bool { return n.trial == nil || n.trial.trained }
	if ofX != ofY && known(a) && known(b) {
		c.Differences = append(c.Differences, difference{Key: "task: content of its files", A: ofX, B: ofY})
	}
	if a.trial != nil && b.trial != nil && a.trial.seed != b.trial.seed {
		c.Differences = append(c.Differences, difference{Key: "seed", A: a.trial.seed, B: b.trial.seed})
	}
	matters := func(d difference) bool { return d.Key != "evaluate.metrics" && d.Key != "seed" }
	if (a.trial != nil || b.trial != nil) && !slices.ContainsFunc(c.Differences, matters) && a.id() != b.id() {
		c.Note = "the cells are not the same: a component computes something else in the version of exp that recorded one of them"
		if !known(a) || !known(b) {
			c.Note = "the cells are not the same: the task's files hold something else, or a component computes something else in the version of exp that recorded one of them"
		}
	}
	return c, nil
}

// optionDifferences compares two lists of options by their keys, in their order.
func optionDifferences(a, b []registry.Option) []difference {
	found := []difference{}
	at := func(options []registry.Option, key string) *registry.Option {
		if i := slices.IndexFunc(options, func(o registry.Option) bool { return o.Key == key }); i >= 0 {
			return &options[i]
		}
		return nil
	}
	var keys []string
	for _, o := range a {
		keys = append(keys, o.Key)
	}
	place := 0 // behind what b has before it
	for _, o := range b {
		i := slices.Index(keys, o.Key)
		if i < 0 {
			i = place
			keys = slices.Insert(keys, i, o.Key)
		}
		place = i + 1
	}
	for _, key := range keys {
		x, y := at(a, key), at(b, key)
		if x != nil && y != nil && registry.Format(x.Value) == registry.Format(y.Value) {
			continue
		}
		d := difference{Key: key}
		if x != nil {
			d.A, d.ADefault = x.Value, x.IsDefault()
		}
		if y != nil {
			d.B, d.BDefault = y.Value, y.IsDefault()
		}
		found = append(found, d)
	}
	return found
}

// around returns what a file says around the configuration as options.
func around(e *experiments.Experiment) ([]registry.Option, error) {
	var seeds []any
	for _, s := range e.Seeds {
		seeds = append(seeds, s)
	}
	all := []registry.Option{
		{Key: "name", Value: e.Name, Default: ""},
		{Key: "description", Value: e.Description, Default: ""},
		{Key: "sweep.seeds", Value: seeds, Default: []any{}},
		{Key: "sweep.ablate.baseline", Value: e.Baseline, Default: ""},
	}
	kind := plots.NewKind()
	for i, t := range e.Figures {
		choice, err := kind.Decode(t)
		if err != nil {
			return nil, err
		}
		at := fmt.Sprintf("figures[%d].", i)
		all = append(all, registry.Option{Key: at + "type", Value: choice.Name, Default: ""})
		for _, o := range choice.Options {
			o.Key = at + o.Key
			all = append(all, o)
		}
	}
	return all, nil
}

func printDifferences(w io.Writer, d *differences) {
	if len(d.File) > 0 {
		fmt.Fprintf(w, "around the configuration\n%s\n", differenceTable(d.A, d.B, d.File))
	}
	for _, label := range d.OnlyA {
		fmt.Fprintf(w, "only %s has the cell %s\n", d.A, label)
	}
	for _, label := range d.OnlyB {
		fmt.Fprintf(w, "only %s has the cell %s\n", d.B, label)
	}
	several := len(d.Cells)+len(d.OnlyA)+len(d.OnlyB) > 1
	for _, c := range d.Cells {
		if several {
			fmt.Fprintf(w, "cell %s\n", c.A)
		}
		if len(c.Differences) > 0 {
			fmt.Fprintln(w, differenceTable(d.A, d.B, c.Differences))
		} else {
			fmt.Fprintln(w, "the configurations are the same, defaults included")
		}
		if c.Note != "" {
			fmt.Fprintln(w, c.Note)
		}
	}
}

// valueWidth is how wide a value is before it goes on in the next line.
const valueWidth = 56

func differenceTable(a, b string, list []difference) string {
	t := newTable("key", a, b)
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 2, WidthMax: valueWidth, WidthMaxEnforcer: text.WrapSoft}, {Number: 3, WidthMax: valueWidth, WidthMaxEnforcer: text.WrapSoft}})
	value := func(v any, isDefault bool) string {
		switch {
		case v == nil:
			return ""
		case isDefault:
			return registry.Format(v) + " (default)"
		}
		return registry.Format(v)
	}
	for _, d := range list {
		t.AppendRow([]any{d.Key, value(d.A, d.ADefault), value(d.B, d.BDefault)})
	}
	return t.Render()
}
