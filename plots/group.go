package plots

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"exp/registry"
)

// A group is the trials that differ in nothing but the seed: a line, a bar or a
// row.
type group struct {
	values []string // of the labels in by
	trials []*Trial // by ascending seed
}

// finals returns the finite final values of a metric by seed.
func (g group) finals(metric string) map[int64]float64 {
	values := map[int64]float64{}
	for _, t := range g.trials {
		if v, ok := t.Final[metric]; ok && finite(v) {
			values[t.Seed] = v
		}
	}
	return values
}

// panel is the groups at one value of the facet.
type panel struct {
	facet  string // "" without one
	groups []group
}

// grouping is the trials of a figure, sorted into groups.
type grouping struct {
	by     []string
	short  map[string]string // names of the labels in by, and of the facet
	panels []panel
}

// newGrouping selects the trials of d and sorts them. Each panel has the groups
// that have trials there. Groups and panels are in the order in which the values
// of their labels appear in d, the first label in by changing slowest.
func newGrouping(d Data, o Selection, facet string) (*grouping, error) {
	if len(d.Trials) == 0 {
		return nil, errors.New("there are no trials")
	}
	cells := make([]map[string]string, len(d.Trials))
	for i, t := range d.Trials {
		cells[i] = t.Labels
	}
	if err := check(cells, o, facet); err != nil {
		return nil, err
	}

	labels := o.By
	if facet != "" {
		labels = append([]string{facet}, o.By...)
	}
	order := map[string]map[string]int{} // label to value to its rank
	groups := map[string]*group{}
	for i := range d.Trials {
		t := &d.Trials[i]
		if !matches(t.Labels, o.Where) {
			continue
		}
		for _, label := range labels {
			if order[label] == nil {
				order[label] = map[string]int{}
			}
			if _, seen := order[label][t.Labels[label]]; !seen {
				order[label][t.Labels[label]] = len(order[label])
			}
		}
		values := valuesOf(t.Labels, labels)
		key := strings.Join(values, "\x00")
		if groups[key] == nil {
			groups[key] = &group{values: values}
		}
		g := groups[key]
		if slices.ContainsFunc(g.trials, func(other *Trial) bool { return other.Seed == t.Seed }) {
			return nil, fmt.Errorf("%s has two trials of seed %d", describeCell(t.Labels), t.Seed)
		}
		g.trials = append(g.trials, t)
	}
	sorted := slices.SortedFunc(maps.Values(groups), func(a, b *group) int {
		for i, label := range labels {
			if c := order[label][a.values[i]] - order[label][b.values[i]]; c != 0 {
				return c
			}
		}
		return 0
	})

	result := &grouping{by: o.By, short: shortNames(labels)}
	for _, g := range sorted {
		slices.SortFunc(g.trials, func(a, b *Trial) int {
			if a.Seed < b.Seed {
				return -1
			}
			return 1
		})
		value := ""
		if facet != "" {
			value, g.values = g.values[0], g.values[1:]
		}
		if n := len(result.panels); n == 0 || result.panels[n-1].facet != value {
			result.panels = append(result.panels, panel{facet: value})
		}
		last := &result.panels[len(result.panels)-1]
		last.groups = append(last.groups, *g)
	}
	return result, nil
}

// names lists the groups of all panels as their values of by, each once, in
// their order.
func (g *grouping) names() [][]string {
	var names [][]string
	for _, p := range g.panels {
		for _, group := range p.groups {
			if !slices.ContainsFunc(names, func(n []string) bool { return slices.Equal(n, group.values) }) {
				names = append(names, group.values)
			}
		}
	}
	return names
}

// describe writes values of labels as the name of a group: the value alone where
// it speaks for itself, else with the label.
func (g *grouping) describe(labels, values []string) string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = g.describeValue(labels[i], value)
	}
	return strings.Join(texts, ", ")
}

func (g *grouping) describeValue(label, value string) string {
	_, notNumber := strconv.ParseFloat(value, 64)
	isBool := value == "true" || value == "false"
	if notNumber != nil && !isBool && value != "" || label == "variant" || strings.HasSuffix(label, ".type") {
		return value
	}
	return g.short[label] + "=" + value
}

// check returns what is wrong with a figure of cells: labels and values that
// there are not, and cells that would be pooled. Errors are [registry.Fault]s.
func check(cells []map[string]string, o Selection, facet string) error {
	known := map[string]map[string]bool{}
	for _, cell := range cells {
		for label, value := range cell {
			if known[label] == nil {
				known[label] = map[string]bool{}
			}
			known[label][value] = true
		}
	}
	labels := slices.Sorted(maps.Keys(known))
	var faults []error
	need := func(key, label string) bool {
		if known[label] != nil {
			return true
		}
		faults = append(faults, registry.Fault{Key: key, Problem: fmt.Sprintf("cells have no label %q; %s", label, registry.Suggest(label, labels))})
		return false
	}
	for _, label := range o.By {
		need("by", label)
	}
	if facet != "" && need("facet", facet) && slices.Contains(o.By, facet) {
		faults = append(faults, registry.Fault{Key: "facet", Problem: fmt.Sprintf("%q is in by too; give it once", facet)})
	}
	for _, label := range slices.Sorted(maps.Keys(o.Where)) {
		if values := slices.Sorted(maps.Keys(known[label])); need("where", label) && !known[label][o.Where[label]] {
			faults = append(faults, registry.Fault{Key: "where", Problem: fmt.Sprintf("no cell has %s = %q; %s", label, o.Where[label], registry.Suggest(o.Where[label], values))})
		}
	}
	if faults != nil {
		return errors.Join(faults...)
	}
	shown := slices.DeleteFunc(slices.Clone(cells), func(cell map[string]string) bool { return !matches(cell, o.Where) })
	if len(shown) == 0 {
		return registry.Fault{Key: "where", Problem: "no cell has all of its values"}
	}
	return pooled(shown, labels, append(slices.Clone(o.By), facet))
}

// pooled refuses cells with the same values of by that differ in another label.
func pooled(cells []map[string]string, labels, by []string) error {
	first := map[string]map[string]string{} // group to its first cell
	differ := map[string]bool{}
	for _, cell := range cells {
		key := strings.Join(valuesOf(cell, by), "\x00")
		if first[key] == nil {
			first[key] = cell
		}
		for _, label := range labels {
			if cell[label] != first[key][label] {
				differ[label] = true
			}
		}
	}
	var texts []string
	for _, label := range labels {
		if !differ[label] {
			continue
		}
		var values []string
		for _, cell := range cells {
			if value := cell[label]; !slices.Contains(values, value) {
				values = append(values, value)
			}
		}
		texts = append(texts, fmt.Sprintf("%s (%s)", label, registry.List(values)))
	}
	if texts == nil {
		return nil
	}
	return registry.Fault{Key: "by", Problem: fmt.Sprintf("would pool cells that differ in %s; tell them apart with by, facet or where", registry.List(texts))}
}

func matches(labels, where map[string]string) bool {
	for label, value := range where {
		if labels[label] != value {
			return false
		}
	}
	return true
}

func valuesOf(cell map[string]string, labels []string) []string {
	values := make([]string, len(labels))
	for i, label := range labels {
		values[i] = cell[label]
	}
	return values
}

// describeCell names a cell in an error.
func describeCell(labels map[string]string) string {
	if len(labels) == 0 {
		return "the cell"
	}
	texts := make([]string, 0, len(labels))
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		texts = append(texts, label+"="+labels[label])
	}
	return "the cell " + strings.Join(texts, ", ")
}

// finite reports whether v is a number to count with: not NaN, not infinite, and
// not so large that its square or a sum of its like would be, as a perplexity of a
// diverging model can get.
func finite(v float64) bool { return math.Abs(v) < 1e150 }
