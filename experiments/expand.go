package experiments

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"exp/registry"
)

// expansion makes the cells of a sweep.
type expansion struct {
	sweep    sweep
	decoder  *decoder
	settings []setting // of every cell
	base     *registry.Table
}

// cells decodes every point of the sweep. An error that not every point has says
// which ones have it.
func (x *expansion) cells() ([]Cell, error) {
	var cells []Cell
	found := newFindings(x.sweep.axes)
	// The file's own tables are checked even where every variant replaces them.
	if len(x.sweep.axes) > 0 {
		_, err := x.decoder.cell(x.base.Clone(""), true)
		found.everywhere(err)
	}
	for at := x.first(); at != nil; at = x.next(at) {
		top, err := x.configure(at)
		found.add(at, err)
		c, err := x.decoder.cell(top, false)
		found.add(at, err)
		if c == nil {
			continue
		}
		for i, a := range x.sweep.axes {
			label := a.points[at[i]].label
			c.Axes = append(c.Axes, AxisValue{Key: a.key, Label: label})
			if a.key == "variant" {
				c.Variant = label
			}
		}
		cells = append(cells, *c)
	}
	return cells, found.err()
}

// first is the indices of the first point of the sweep.
func (x *expansion) first() []int { return make([]int, len(x.sweep.axes)) }

// next is the point after at, the last axis fastest; nil after the last one.
func (x *expansion) next(at []int) []int {
	at = slices.Clone(at)
	for i := len(at) - 1; i >= 0; i-- {
		if at[i]++; at[i] < len(x.sweep.axes[i].points) {
			return at
		}
		at[i] = 0
	}
	return nil
}

// configure returns the configuration of a point: the file's, with the variant
// merged in, the overrides over that, and the values of the axes last.
func (x *expansion) configure(at []int) (*registry.Table, error) {
	top := x.base.Clone("")
	var errs []error
	for i, a := range x.sweep.axes {
		if variant := a.points[at[i]].merge; variant != nil {
			origin := top.Origin
			merged, err := merge(x.decoder.catalog, top, variant)
			top, top.Origin = merged, origin
			errs = append(errs, err)
		}
	}
	for _, s := range x.settings {
		errs = append(errs, s.apply(x.decoder.catalog, top))
	}
	for i, a := range x.sweep.axes {
		if s := a.points[at[i]].set; s != nil {
			errs = append(errs, s.apply(x.decoder.catalog, top))
		}
	}
	return top, errors.Join(errs...)
}

// same reports cells that are the same although they are at two points: the
// first pair of every axis.
func (x *expansion) same(cells []Cell) error {
	first := map[string]*Cell{}
	reported := map[int]bool{}
	var errs []error
	for i := range cells {
		c := &cells[i]
		other, known := first[c.ID]
		if !known {
			first[c.ID] = c
			continue
		}
		differs := slices.IndexFunc(c.Axes, func(v AxisValue) bool { return !slices.Contains(other.Axes, v) })
		if reported[differs] {
			continue
		}
		reported[differs] = true
		a := x.sweep.axes[differs]
		p := a.points[slices.IndexFunc(a.points, func(p point) bool { return p.label == c.Axes[differs].Label })]
		errs = append(errs, &registry.Error{Origin: p.origin, Fault: registry.Fault{Key: "sweep",
			Problem: fmt.Sprintf("%s is the same cell as %s: nothing that they differ in changes the training", where(c.Axes), where(other.Axes))}})
	}
	return errors.Join(errs...)
}

// where writes a point: variant "lstm", train.optimizer.lr = 0.001.
func where(axes []AxisValue) string {
	var parts []string
	for _, v := range axes {
		parts = append(parts, alternatives(v.Key, []string{v.Label}))
	}
	return strings.Join(parts, ", ")
}

func alternatives(key string, labels []string) string {
	if key != "variant" {
		return key + " = " + strings.Join(labels, " or ")
	}
	quoted := make([]string, len(labels))
	for i, label := range labels {
		quoted[i] = fmt.Sprintf("%q", label)
	}
	return key + " " + strings.Join(quoted, " or ")
}

// findings gathers errors over the points of a sweep.
type findings struct {
	axes  []axis
	order []registry.Error
	seen  map[registry.Error]*finding
}

// finding is where an error was met.
type finding struct {
	everywhere bool
	points     []map[int]bool // of each axis
}

func newFindings(axes []axis) *findings {
	return &findings{axes: axes, seen: map[registry.Error]*finding{}}
}

func (f *findings) get(err error) *finding {
	var e *registry.Error
	if !errors.As(err, &e) {
		panic(fmt.Sprintf("experiments: %v has no place", err))
	}
	met, known := f.seen[*e]
	if !known {
		met = &finding{points: make([]map[int]bool, len(f.axes))}
		for i := range met.points {
			met.points[i] = map[int]bool{}
		}
		f.seen[*e] = met
		f.order = append(f.order, *e)
	}
	return met
}

// everywhere adds errors that are no point's.
func (f *findings) everywhere(err error) {
	for _, e := range registry.Split(err) {
		f.get(e).everywhere = true
	}
}

// add adds the errors of a point.
func (f *findings) add(at []int, err error) {
	for _, e := range registry.Split(err) {
		met := f.get(e)
		for i, p := range at {
			met.points[i][p] = true
		}
	}
}

// err returns each error once, with the values of those axes that it depends on.
func (f *findings) err() error {
	var errs []error
	for _, e := range f.order {
		met := f.seen[e]
		var where []string
		for i, a := range f.axes {
			if met.everywhere || len(met.points[i]) == len(a.points) {
				continue
			}
			var labels []string
			for j, p := range a.points {
				if met.points[i][j] {
					labels = append(labels, p.label)
				}
			}
			where = append(where, alternatives(a.key, labels))
		}
		if where != nil {
			e.Problem += " (" + strings.Join(where, ", ") + ")"
		}
		errs = append(errs, &e)
	}
	return errors.Join(errs...)
}
