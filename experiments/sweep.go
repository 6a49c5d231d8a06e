package experiments

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"exp/registry"
)

// maxTrials bounds a sweep: more is a slip of the pen, and would fill the memory.
const maxTrials = 100_000

// configuration is the tables that an axis, a variant or an ablation can change.
// A variant cannot change the task: its cells are compared on the same data.
var configuration = []string{"task", "model", "train", "evaluate"}

// sweep is the [sweep] table.
type sweep struct {
	seeds    []int64
	axes     []axis
	baseline string
}

// axis is a dimension of the sweep.
type axis struct {
	key    string
	origin registry.Origin
	points []point
}

// point is what a value of an axis does to the configuration: nothing, merge a
// table into it, or change one value.
type point struct {
	label  string
	origin registry.Origin
	merge  *registry.Table
	set    *setting
}

// readSweep reads the [sweep] table of top. Where there are errors, the axes that
// have none are returned with them, so that what they lead to can be checked.
func readSweep(top *registry.Table) (sweep, error) {
	t, err := subtable(top, "sweep")
	errs := []error{err, unknownKeys(t, "seeds", "grid", "variants", "ablate")}
	report := func(err error) { errs = append(errs, err) }

	s := sweep{}
	s.seeds, err = readSeeds(t)
	report(err)
	_, variants := t.Get("variants")
	_, ablate := t.Get("ablate")
	switch {
	case variants && ablate:
		report(registry.At(t, registry.Fault{Key: "ablate", Problem: "cannot stand beside sweep.variants; give one of them"}))
	case variants:
		a, err := readVariants(t)
		report(err)
		s.add(a)
	case ablate:
		a, err := readAblation(t)
		report(err)
		if s.add(a) {
			s.baseline = a.points[0].label
		}
	}
	grid, err := subtable(t, "grid")
	report(err)
	for _, path := range grid.Keys() {
		a, err := readAxis(grid, path)
		if err == nil {
			err = s.overlap(a)
		}
		report(err)
		if err == nil {
			s.add(a)
		}
	}
	trials := len(s.seeds)
	for _, a := range s.axes {
		trials *= len(a.points)
		if trials > maxTrials {
			report(registry.At(t, registry.Fault{Problem: fmt.Sprintf("makes more than %d trials", maxTrials)}))
			s.axes = nil
			break
		}
	}
	return s, errors.Join(errs...)
}

func (s *sweep) add(a axis) bool {
	if len(a.points) > 0 {
		s.axes = append(s.axes, a)
	}
	return len(a.points) > 0
}

// overlap says that a changes what an axis of s, or a change of its ablation,
// changes too.
func (s *sweep) overlap(a axis) error {
	for _, other := range s.axes {
		for _, p := range other.points {
			if p.set != nil && overlaps(p.set.path, a.points[0].set.path) {
				return &registry.Error{Origin: a.origin, Fault: registry.Fault{Key: "sweep.grid." + a.key,
					Problem: fmt.Sprintf("changes what %s at %s changes", strings.Join(p.set.path, "."), p.origin)}}
			}
		}
	}
	return nil
}

// readSeeds reads a number of seeds, or a list of them.
func readSeeds(t *registry.Table) ([]int64, error) {
	v, given := t.Get("seeds")
	fault := func(problem string) ([]int64, error) {
		return []int64{1}, registry.At(t, registry.Fault{Key: "seeds", Problem: problem})
	}
	switch data := v.Data.(type) {
	case int64:
		if data < 1 || data > maxTrials {
			return fault(fmt.Sprintf("must be at least 1 and at most %d, is %d", maxTrials, data))
		}
		var seeds []int64
		for seed := range data {
			seeds = append(seeds, seed+1)
		}
		return seeds, nil
	case []registry.Value:
		if len(data) == 0 {
			return fault("is an empty list")
		}
		var seeds []int64
		var errs []error
		times := map[int64]int{}
		for _, element := range data {
			seed, ok := element.Data.(int64)
			problem := ""
			if !ok || seed < 0 {
				problem = "must be a list of integers from 0, one is " + registry.DescribeValue(element)
			} else if times[seed]++; times[seed] == 2 {
				problem = fmt.Sprintf("lists %d twice", seed)
			}
			if problem != "" {
				_, err := fault(problem)
				errs = append(errs, err)
			}
			seeds = append(seeds, seed)
		}
		if errs != nil {
			return []int64{1}, errors.Join(errs...)
		}
		return seeds, nil
	}
	if given {
		return fault("must be a number of seeds or a list of them, is " + registry.DescribeValue(v))
	}
	return []int64{1}, nil
}

// readVariants reads [sweep.variants] as the axis "variant".
func readVariants(t *registry.Table) (axis, error) {
	variants, err := subtable(t, "variants")
	if err != nil {
		return axis{}, err
	}
	a := axis{key: "variant", origin: variants.Origin}
	if len(variants.Keys()) == 0 {
		return a, registry.At(variants, registry.Fault{Problem: "names no variant"})
	}
	var errs []error
	for _, name := range variants.Keys() {
		v, _ := variants.Get(name)
		sub, ok := v.Data.(*registry.Table)
		switch {
		case name == "":
			errs = append(errs, &registry.Error{Origin: v.Origin, Fault: registry.Fault{Key: variants.Path, Problem: "a variant has an empty name"}})
			continue
		case !ok:
			errs = append(errs, &registry.Error{Origin: v.Origin, Fault: registry.Fault{Key: registry.Join(variants.Path, name), Problem: "must be a table, is " + registry.DescribeValue(v)}})
			continue
		}
		if err := unknownKeys(sub, configuration[1:]...); err != nil {
			errs = append(errs, err)
			continue
		}
		a.points = append(a.points, point{label: name, origin: v.Origin, merge: sub})
	}
	return a, errors.Join(errs...)
}

// readAblation reads [sweep.ablate] as the axis "variant", the baseline first.
func readAblation(t *registry.Table) (axis, error) {
	ablate, err := subtable(t, "ablate")
	if err != nil {
		return axis{}, err
	}
	a := axis{key: "variant", origin: ablate.Origin, points: []point{{label: "baseline", origin: ablate.Origin}}}
	var errs []error
	fault := func(origin registry.Origin, key, format string, args ...any) {
		errs = append(errs, &registry.Error{Origin: origin, Fault: registry.Fault{Key: registry.Join(ablate.Path, key), Problem: fmt.Sprintf(format, args...)}})
	}
	for _, name := range ablate.Keys() {
		v, _ := ablate.Get(name)
		if label, ok := v.Data.(string); ok && name == "baseline" && label != "" {
			a.points[0] = point{label: label, origin: v.Origin}
			continue
		}
		change, ok := v.Data.(*registry.Table)
		switch {
		case name == "baseline":
			fault(v.Origin, name, "must be the name of the model as it stands, is %s", registry.DescribeValue(v))
		case name == "":
			fault(v.Origin, name, "is an empty name")
		case !ok:
			fault(v.Origin, name, `must be a table with one change, as "model.attention.type" = "none", is %s`, registry.DescribeValue(v))
		case len(change.Keys()) != 1:
			fault(v.Origin, name, "has %d changes; an ablation is one change a name", len(change.Keys()))
		default:
			path := change.Keys()[0]
			value, _ := change.Get(path)
			if err := sweepable(change, path); err != nil {
				errs = append(errs, err)
				continue
			}
			if sub, ok := value.Data.(*registry.Table); ok && !namesComponent(sub) {
				fault(value.Origin, name, "%s must have a type: what is not a value is a whole component", path)
				continue
			}
			a.points = append(a.points, point{label: name, origin: value.Origin, set: &setting{split(path), value}})
		}
	}
	for _, p := range a.points[1:] {
		if p.label == a.points[0].label {
			fault(p.origin, p.label, "has the name of the baseline")
		}
	}
	if len(ablate.Keys()) == 0 || len(a.points) == 1 && errs == nil {
		errs = append(errs, registry.At(ablate, registry.Fault{Problem: "names no change"}))
	}
	return a, errors.Join(errs...)
}

// sweepable says why the path of an axis or a change is none.
func sweepable(t *registry.Table, path string) error {
	keys := split(path)
	v, _ := t.Get(path)
	fault := func(problem string) error {
		return &registry.Error{Origin: v.Origin, Fault: registry.Fault{Key: t.Path + "." + path, Problem: problem}}
	}
	if slices.Contains(keys, "") {
		return fault("is no path, as model.encoder.hidden_size is one")
	}
	if !slices.Contains(configuration, keys[0]) {
		return fault("must begin with a table of the configuration; " + registry.Suggest(keys[0], configuration))
	}
	if len(keys) == 1 && keys[0] != "task" {
		return fault("is a whole table; name a key in it")
	}
	return nil
}

// readAxis reads the axis of the grid at path.
func readAxis(grid *registry.Table, path string) (axis, error) {
	v, _ := grid.Get(path)
	a := axis{key: path, origin: v.Origin}
	if err := sweepable(grid, path); err != nil {
		return a, err
	}
	fault := func(origin registry.Origin, format string, args ...any) error {
		return &registry.Error{Origin: origin, Fault: registry.Fault{Key: "sweep.grid." + path, Problem: fmt.Sprintf(format, args...)}}
	}
	values, ok := v.Data.([]registry.Value)
	if !ok {
		return a, fault(v.Origin, "must be a list of values, is %s", registry.DescribeValue(v))
	}
	if len(values) == 0 {
		return a, fault(v.Origin, "is an empty axis")
	}
	var errs []error
	labels := axisLabels(values)
	known := map[string]bool{}
	for i, value := range values {
		if sub, ok := value.Data.(*registry.Table); ok && !namesComponent(sub) {
			errs = append(errs, fault(value.Origin, "needs a type in each of its tables"))
			continue
		}
		if known[labels[i]] {
			errs = append(errs, fault(value.Origin, "lists %s twice", labels[i]))
			continue
		}
		known[labels[i]] = true
		a.points = append(a.points, point{label: labels[i], origin: value.Origin, set: &setting{split(path), value}})
	}
	return a, errors.Join(errs...)
}

// axisLabels names the values of an axis: a component by its type, and by its
// options too where the type does not tell.
func axisLabels(values []registry.Value) []string {
	types := map[any]int{}
	for _, v := range values {
		if sub, ok := v.Data.(*registry.Table); ok {
			name, _ := sub.Get("type")
			types[fmt.Sprint(name.Data)]++
		}
	}
	labels := make([]string, len(values))
	for i, v := range values {
		sub, ok := v.Data.(*registry.Table)
		if !ok {
			labels[i] = registry.Label(v.Plain())
			continue
		}
		name, _ := sub.Get("type")
		labels[i] = fmt.Sprint(name.Data)
		if types[labels[i]] > 1 {
			for _, key := range sub.Keys() {
				if option, _ := sub.Get(key); key != "type" {
					labels[i] += " " + key + "=" + registry.Label(option.Plain())
				}
			}
		}
	}
	return labels
}
