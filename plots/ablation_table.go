package plots

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"exp/registry"
)

// AblationTableOptions configures an [AblationTable].
type AblationTableOptions struct {
	Selection
	Y        string            `toml:"y" doc:"metric, as split/metric"`
	Baseline map[string]string `toml:"baseline" doc:"labels of by and the value that the baseline has; a row is compared with the one that differs from it in these alone; default: every row with the first"`
}

// DefaultAblationTable is a table that compares with the first row.
func DefaultAblationTable() AblationTableOptions {
	return AblationTableOptions{Y: "test/exact_match"}
}

// Doc describes the figure.
func (AblationTableOptions) Doc() string {
	return "What each change does to a metric at the end of training: a row for each group with its mean, its difference from the baseline (paired by seed where the seeds match) with the sample standard deviation, the 95% confidence interval by Student's t, and n."
}

// Validate returns every option that is wrong.
func (o AblationTableOptions) Validate() error {
	faults := []error{o.Selection.Validate(), validateMetric("y", o.Y)}
	for _, label := range slices.Sorted(maps.Keys(o.Baseline)) {
		if !slices.Contains(o.By, label) {
			faults = append(faults, registry.Fault{Key: "baseline", Problem: fmt.Sprintf("names %q, which is not in by", label)})
		}
	}
	return errors.Join(faults...)
}

// AblationTable is the differences of groups from their baselines.
type AblationTable struct{ o AblationTableOptions }

// NewAblationTable builds a table of an ablation.
func NewAblationTable(o AblationTableOptions, s Sweep) (Figure, error) {
	err := s.check(o.Selection, "", "y", o.Y)
	if err == nil && len(s.Cells) > 0 {
		// Whatever is measured, the baselines are among these.
		d := Data{Trials: make([]Trial, len(s.Cells))}
		for i, cell := range s.Cells {
			d.Trials[i] = Trial{Labels: cell, Seed: int64(i)}
		}
		_, _, err = AblationTable{o}.baselines(d)
	}
	return AblationTable{o}, err
}

// Name is what its files are called.
func (f AblationTable) Name() string { return f.o.name("ablation_table", f.o.Y) }

// Metrics is the metric shown, of which it needs the final values.
func (f AblationTable) Metrics() []string { return []string{f.o.Y} }

// Render makes a [*Table].
func (f AblationTable) Render(d Data) (Rendered, error) {
	g, baselines, err := f.baselines(d)
	if err != nil {
		return nil, fmt.Errorf("figure %s: %w", f.Name(), err)
	}
	return f.table(g, baselines), nil
}

// baselines groups the trials and finds the baseline of each group, as its index.
func (f AblationTable) baselines(d Data) (*grouping, []int, error) {
	g, err := newGrouping(d, f.o.Selection, "")
	if err != nil {
		return nil, nil, err
	}
	groups := g.panels[0].groups
	baselines := make([]int, len(groups))
	if len(f.o.Baseline) == 0 {
		return g, baselines, nil
	}
	for i, own := range groups {
		values := slices.Clone(own.values)
		for j, label := range g.by {
			if value, ok := f.o.Baseline[label]; ok {
				values[j] = value
			}
		}
		baselines[i] = slices.IndexFunc(groups, func(other group) bool { return slices.Equal(other.values, values) })
		if baselines[i] < 0 {
			return nil, nil, registry.Fault{Key: "baseline", Problem: fmt.Sprintf("no cell is %s, to compare %s with", g.describe(g.by, values), g.describe(g.by, own.values))}
		}
	}
	return g, baselines, nil
}

func (f AblationTable) table(g *grouping, baselines []int) *Table {
	groups := g.panels[0].groups
	metric := f.o.Y
	summaries := make([]Summary, len(groups))
	differences := make([]Difference, len(groups))
	var spreads, differenceSpreads []float64
	paired, welch := false, false
	for i, group := range groups {
		values := group.finals(metric)
		summaries[i] = Summarize(inOrder(values))
		spreads = append(spreads, summaries[i].SD)
		if baselines[i] == i {
			continue
		}
		differences[i] = Compare(values, groups[baselines[i]].finals(metric))
		differenceSpreads = append(differenceSpreads, differences[i].SD)
		paired = paired || differences[i].Paired && differences[i].N > 1
		welch = welch || !differences[i].Paired && finite(differences[i].Low)
	}
	level, change := newColumn(isShare(metric), spreads), newColumn(isShare(metric), differenceSpreads)

	t := &Table{title: f.o.Title}
	for _, label := range g.by {
		t.heads = append(t.heads, head{text: g.short[label]})
		t.fields = append(t.fields, label)
	}
	t.heads = append(t.heads, head{axisTitle(metric), true}, head{"Δ", true}, head{"95% CI of Δ", true}, head{"n", true})
	t.fields = append(t.fields, metric, metric+" sd", metric+" n", "trials",
		"difference", "difference sd", "difference low", "difference high", "difference pairs")
	for i, group := range groups {
		s, d := summaries[i], differences[i]
		var row []cell
		var record []string
		for _, value := range group.values {
			row = append(row, labelCell(value))
			record = append(record, value)
		}
		record = append(record, full(s.Mean), full(s.SD), strconv.Itoa(s.N), strconv.Itoa(len(group.trials)))
		delta, interval := "baseline", missing
		if baselines[i] != i {
			delta, interval = change.signed(d.Summary), change.interval(d.Summary)
			if d.Paired && d.N < s.N {
				delta += fmt.Sprintf(" (n=%d)", d.N)
			}
			record = append(record, full(d.Mean), full(d.SD), full(d.Low), full(d.High), strconv.Itoa(d.N))
		} else {
			record = append(record, "", "", "", "", "")
		}
		t.rows = append(t.rows, append(row, cell{text: level.spread(s)}, cell{text: delta}, cell{text: interval}, cell{text: count(s.N, len(group.trials))}))
		t.record = append(t.record, record)
	}
	t.notes = []string{f.note(paired, welch)}
	return t
}

// note says what the numbers are.
func (f AblationTable) note(paired, welch bool) string {
	texts := []string{"mean ± sample standard deviation over n seeds"}
	if isShare(f.o.Y) {
		texts = append(texts, "Δ in percentage points")
	}
	if paired {
		texts = append(texts, "Δ paired by seed, interval by Student's t")
	}
	if welch {
		texts = append(texts, "Δ without a spread is of groups without common seeds, interval by Welch's t")
	}
	return strings.Join(texts, "; ")
}
