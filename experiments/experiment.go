package experiments

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"exp/components"
	"exp/registry"
)

// Options is what [Load] needs besides the file.
type Options struct {
	Catalog *components.Catalog // what the file can name
	// Figure checks a table of [[figures]], as the Decode of a [registry.Kind]
	// does. nil accepts any.
	Figure func(*registry.Table) error
	// Set is overrides, "path=value". The value is TOML, or else a string. What is
	// set in the configuration is set in every cell.
	Set []string
}

// Experiment is a file: its cells, and the figures to draw of them.
type Experiment struct {
	Name        string // the file's, without .toml, where it says none
	Description string
	Path        string
	Source      []byte // the text of the file, without what it extends
	Seeds       []int64
	Axes        []Axis // "variant" first, where there is one, then the grid's in the order of the file
	Cells       []Cell // the product of the axes, the last one fastest
	Baseline    string // the variant that an ablation compares with, "" without one
	Figures     []*registry.Table
}

// Axis is a dimension of a sweep.
type Axis struct {
	Key    string // "variant", or a path from the top of the file
	Labels []string
}

// Trial is a cell with a seed.
type Trial struct {
	ID   string // 32 hexadecimal digits
	Cell *Cell
	Seed int64
}

// Trials returns every cell with every seed: all cells with the first seed come
// first, so that a sweep that is not done can be compared already.
func (e *Experiment) Trials() []Trial {
	trials := make([]Trial, 0, len(e.Seeds)*len(e.Cells))
	for _, seed := range e.Seeds {
		for i := range e.Cells {
			c := &e.Cells[i]
			trials = append(trials, Trial{ID: trialID(c.ID, seed), Cell: c, Seed: seed})
		}
	}
	return trials
}

// Load reads the file at path, with what it extends. The error is every
// [registry.Error] that there is, joined, in the order of files and lines.
func Load(path string, o Options) (*Experiment, error) {
	source, err := readFile(path)
	if err != nil {
		return nil, &registry.Error{Origin: registry.Origin{File: path}, Fault: registry.Fault{Problem: err.Error()}}
	}
	return Parse(path, source, o)
}

// Parse is [Load] of a file whose content is source. What it extends is read.
func Parse(path string, source []byte, o Options) (*Experiment, error) {
	e, errs := parseExperiment(path, source, o)
	if errs != nil {
		return nil, inOrder(errs)
	}
	return e, nil
}

func parseExperiment(path string, source []byte, o Options) (*Experiment, []error) {
	top, err := readTables(o.Catalog, path, source, nil)
	if top == nil {
		return nil, []error{err}
	}
	e := &Experiment{Path: path, Source: source}
	var errs []error
	report := func(err error) { errs = append(errs, registry.Split(err)...) }
	report(err)

	settings, err := readSets(o, top)
	report(err)
	report(unknownKeys(top, "name", "description", "extends", "task", "model", "train", "evaluate", "sweep", "figures"))
	e.Name, err = readName(top, path)
	report(err)
	e.Description, err = readString(top, "description", "")
	report(err)
	s, err := readSweep(top)
	report(err)
	report(s.overlapsSettings(settings))
	e.Figures, err = readFigures(top, o.Figure)
	report(err)

	e.Seeds, e.Baseline = s.seeds, s.baseline
	for _, a := range s.axes {
		axis := Axis{Key: a.key}
		for _, p := range a.points {
			axis.Labels = append(axis.Labels, p.label)
		}
		e.Axes = append(e.Axes, axis)
	}
	x := expansion{sweep: s, decoder: newDecoder(o.Catalog), settings: settings, base: base(top)}
	cells, err := x.cells()
	report(err)
	if errs == nil {
		report(x.same(cells))
	}
	e.Cells = cells
	return e, errs
}

// Flag is an override that a flag of that name gives, "path=value" as in [Options].
type Flag struct{ Name, Set string }

// Recorded decodes a configuration that [Cell.Resolved] has written, maybe before
// some of the options that there are now, which are as they are by default. The
// task's files need not be there: the cell has no Data and no ID. Errors say that
// the configuration is that of name, or of a flag that overrides it.
func Recorded(c *components.Catalog, name, resolved string, flags ...Flag) (*Cell, error) {
	top, err := parse(registry.Origin{File: name, Line: 1}, []byte(resolved))
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, f := range flags {
		s, err := parseSet(f.Name, f.Set)
		if err == nil {
			err = s.apply(c, top)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	d := newDecoder(c)
	d.noData = true
	return d.cell(top, false)
}

// base is the configuration in top, without what is around it.
func base(top *registry.Table) *registry.Table {
	b := registry.NewTable("", top.Origin)
	for _, key := range configuration {
		if v, ok := top.Get(key); ok {
			b.Set(key, v)
		}
	}
	return b
}

// readSets applies the overrides that are about the experiment to top, and
// returns those that are about the configuration.
func readSets(o Options, top *registry.Table) ([]setting, error) {
	var settings []setting
	var errs []error
	for _, text := range o.Set {
		s, err := parseSet("--set", text)
		switch {
		case err != nil:
		case slices.Contains(configuration, s.path[0]):
			settings = append(settings, s)
		case s.path[0] == "extends":
			err = s.fault("cannot be set; it is read before")
		default:
			err = s.apply(o.Catalog, top)
		}
		errs = append(errs, err)
	}
	return settings, errors.Join(errs...)
}

// overlapsSettings reports the overrides of what an axis of the grid changes.
func (s *sweep) overlapsSettings(settings []setting) error {
	var errs []error
	for _, setting := range settings {
		for _, a := range s.axes {
			if p := a.points[0]; a.key != "variant" && overlaps(p.set.path, setting.path) {
				errs = append(errs, setting.fault(fmt.Sprintf("is what the axis at %s varies; set sweep.grid.%s to a list instead", a.origin, a.key)))
			}
		}
	}
	return errors.Join(errs...)
}

func readString(t *registry.Table, key, fallback string) (string, error) {
	v, given := t.Get(key)
	s, ok := v.Data.(string)
	if given && !ok {
		return "", registry.At(t, registry.Fault{Key: key, Problem: "must be a string, is " + registry.DescribeValue(v)})
	}
	if !given {
		return fallback, nil
	}
	return s, nil
}

// readName reads the name, which is also that of a folder.
func readName(top *registry.Table, path string) (string, error) {
	name, err := readString(top, "name", strings.TrimSuffix(filepath.Base(path), ".toml"))
	if err != nil {
		return "", err
	}
	bad := func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune(`/\:*?"<>|`, r) }
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsFunc(name, bad) {
		return "", registry.At(top, registry.Fault{Key: "name", Problem: fmt.Sprintf("must be fit to name a folder, is %q", name)})
	}
	return name, nil
}

// readFigures returns the tables of [[figures]].
func readFigures(top *registry.Table, check func(*registry.Table) error) ([]*registry.Table, error) {
	v, given := top.Get("figures")
	list, ok := v.Data.([]registry.Value)
	if given && !ok {
		return nil, registry.At(top, registry.Fault{Key: "figures", Problem: "must be tables, each under [[figures]], is " + registry.DescribeValue(v)})
	}
	var figures []*registry.Table
	var errs []error
	for i, element := range list {
		t, ok := element.Data.(*registry.Table)
		if !ok {
			errs = append(errs, &registry.Error{Origin: element.Origin, Fault: registry.Fault{Key: fmt.Sprintf("figures[%d]", i),
				Problem: "must be a table, is " + registry.DescribeValue(element)}})
			continue
		}
		if check != nil {
			errs = append(errs, registry.At(t, check(t)))
		}
		figures = append(figures, t)
	}
	return figures, errors.Join(errs...)
}

// inOrder joins errors in the order of files and lines, each once.
func inOrder(errs []error) error {
	var located []*registry.Error
	known := map[registry.Error]bool{}
	for _, err := range errs {
		var e *registry.Error
		if !errors.As(err, &e) {
			panic(fmt.Sprintf("experiments: %v has no place", err))
		}
		if !known[*e] {
			known[*e] = true
			located = append(located, e)
		}
	}
	slices.SortStableFunc(located, func(a, b *registry.Error) int {
		if c := strings.Compare(a.Origin.File, b.Origin.File); c != 0 {
			return c
		}
		return a.Origin.Line - b.Origin.Line
	})
	sorted := make([]error, len(located))
	for i, e := range located {
		sorted[i] = e
	}
	return errors.Join(sorted...)
}
