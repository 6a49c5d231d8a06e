package plots

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"exp/registry"
)

// ResultsTableOptions configures a [ResultsTable].
type ResultsTableOptions struct {
	Selection
	Y          []string `toml:"y" doc:"metrics, each as split/metric, and what a model costs, as cost/seconds or model/bytes: a column each"`
	Parameters bool     `toml:"parameters" doc:"have a column with the number of the model's parameters"`
}

// DefaultResultsTable is a table of one metric.
func DefaultResultsTable() ResultsTableOptions {
	return ResultsTableOptions{Y: []string{"test/exact_match"}}
}

// Doc describes the figure.
func (ResultsTableOptions) Doc() string {
	return "Metrics at the end of training: a row for each group with the mean and the sample standard deviation over its seeds, and n. The best mean of a column is bold."
}

// Validate returns every option that is wrong.
func (o ResultsTableOptions) Validate() error {
	faults := []error{o.Selection.Validate()}
	if len(o.Y) == 0 {
		faults = append(faults, registry.Fault{Key: "y", Problem: "names no metric"})
	}
	for _, metric := range o.Y {
		faults = append(faults, validateMetric("y", metric))
	}
	return errors.Join(faults...)
}

// ResultsTable is metrics at the end of training, a row for each group.
type ResultsTable struct{ o ResultsTableOptions }

// NewResultsTable builds a table of results.
func NewResultsTable(o ResultsTableOptions, s Sweep) (Figure, error) {
	return ResultsTable{o}, s.check(o.Selection, "", "y", o.Y...)
}

// Name is what its files are called.
func (f ResultsTable) Name() string { return f.o.name("results_table", f.o.Y...) }

// Metrics is the metrics shown, of which it needs the final values.
func (f ResultsTable) Metrics() []string { return f.o.Y }

// Render makes a [*Table].
func (f ResultsTable) Render(d Data) (Rendered, error) {
	g, err := newGrouping(d, f.o.Selection, "")
	if err != nil {
		return nil, fmt.Errorf("figure %s: %w", f.Name(), err)
	}
	groups := g.panels[0].groups
	t := &Table{title: f.o.Title}
	for _, label := range g.by {
		t.heads = append(t.heads, head{text: g.short[label]})
		t.fields = append(t.fields, label)
	}
	t.rows = make([][]cell, len(groups))
	t.record = make([][]string, len(groups))
	for i, group := range groups {
		for _, value := range group.values {
			t.rows[i] = append(t.rows[i], labelCell(value))
			t.record[i] = append(t.record[i], value)
		}
	}
	if f.o.Parameters {
		f.addParameters(t, groups)
	}
	seeds := make([]int, len(groups)) // values of the first metric
	for i, metric := range f.o.Y {
		f.addMetric(t, groups, metric, seeds, i == 0, d)
	}
	t.heads = append(t.heads, head{"n", true})
	t.fields = append(t.fields, "trials")
	for i, group := range groups {
		t.rows[i] = append(t.rows[i], cell{text: count(seeds[i], len(group.trials))})
		t.record[i] = append(t.record[i], strconv.Itoa(len(group.trials)))
	}
	t.notes = []string{"mean ± sample standard deviation over n seeds"}
	return t, nil
}

// labelCell is the value of a label in a table.
func labelCell(value string) cell {
	if value == "" {
		return cell{text: missing}
	}
	return cell{text: value}
}

// addParameters adds the number of parameters, which the cells of a group share.
func (f ResultsTable) addParameters(t *Table, groups []group) {
	t.heads = append(t.heads, head{"parameters", true})
	t.fields = append(t.fields, "parameters")
	for i, group := range groups {
		text, record := missing, ""
		if n := group.trials[0].Parameters; n > 0 {
			text, record = formatCount(n), strconv.FormatInt(n, 10)
		}
		t.rows[i] = append(t.rows[i], cell{text: text})
		t.record[i] = append(t.record[i], record)
	}
}

// formatCount writes a whole number with its thousands apart.
func formatCount(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// addMetric adds the column of a metric. The column n at the end counts the
// first metric's values; another count is said beside the number.
func (f ResultsTable) addMetric(t *Table, groups []group, metric string, seeds []int, first bool, d Data) {
	summaries := make([]Summary, len(groups))
	means, spreads := make([]float64, len(groups)), make([]float64, len(groups))
	for i, group := range groups {
		summaries[i] = Summarize(inOrder(group.finals(metric)))
		means[i], spreads[i] = summaries[i].Mean, summaries[i].SD
	}
	format := newColumn(isShare(metric), spreads)
	_, name := splitMetric(metric)
	higher, known := d.HigherIsBetter[name]
	best := bestOf(means, higher)
	t.heads = append(t.heads, head{axisTitle(metric), true})
	t.fields = append(t.fields, metric, metric+" sd", metric+" n")
	for i, s := range summaries {
		text := format.spread(s)
		if first {
			seeds[i] = s.N
		} else if s.N != seeds[i] {
			text += fmt.Sprintf(" (n=%s)", count(s.N, len(groups[i].trials)))
		}
		t.rows[i] = append(t.rows[i], cell{text, known && means[i] == best})
		t.record[i] = append(t.record[i], full(s.Mean), full(s.SD), strconv.Itoa(s.N))
	}
}

// bestOf is the best of means, NaN if there are not two to choose from.
func bestOf(means []float64, higher bool) float64 {
	best, n := math.NaN(), 0
	for _, m := range means {
		if math.IsNaN(m) {
			continue
		}
		n++
		if n == 1 || higher == (m > best) {
			best = m
		}
	}
	if n < 2 {
		return math.NaN()
	}
	return best
}
