package plots

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"exp/registry"
)

// Figure is a figure or table that an experiment's file asks for.
type Figure interface {
	// Name is what its files are called, without an extension.
	Name() string
	// Metrics lists what it needs of a trial, each as "split/metric". Series
	// are needed by a figure over training, final values by the others.
	Metrics() []string
	// Render draws it of d. Errors name the figure and the way out.
	Render(d Data) (Rendered, error)
}

// Rendered is a figure drawn: a [*Picture] or a [*Table].
type Rendered interface {
	// Formats lists what Write takes, the usual one first. Each is also the
	// extension of the file.
	Formats() []string
	// Write writes the figure in a format. It panics for one that is not in
	// Formats.
	Write(w io.Writer, format string) error
}

// Sweep is what is known of an experiment before anything is measured, so that
// a figure that cannot be drawn is refused when its file is read. Where a field
// is nil, nothing is checked against it.
type Sweep struct {
	Cells   []map[string]string // the labels of each cell, as in [Trial]
	Metrics []string            // what is measured, as "valid/loss"; "valid/saturation/*" is all that begins so
}

// NewKind returns the types of figures, all registered.
func NewKind() *registry.Kind[Figure, Sweep] {
	k := &registry.Kind[Figure, Sweep]{Name: "figure"}
	registry.Add(k, "learning_curve", DefaultLearningCurve(), NewLearningCurve)
	registry.Add(k, "bar", DefaultBar(), NewBar)
	registry.Add(k, "gradient_flow", DefaultGradientFlow(), NewGradientFlow)
	registry.Add(k, "results_table", DefaultResultsTable(), NewResultsTable)
	registry.Add(k, "ablation_table", DefaultAblationTable(), NewAblationTable)
	return k
}

// Selection is the options that every figure has: which trials it shows, and
// what tells its groups apart.
type Selection struct {
	FileName string            `toml:"name" doc:"what its files are called, without an extension; default: the type and what it shows"`
	Title    string            `toml:"title" doc:"text above the figure"`
	By       []string          `toml:"by" doc:"labels that tell the groups apart: variant, or an axis of the sweep; a group is a line, a bar or a row"`
	Where    map[string]string `toml:"where" doc:"labels and the value that a cell must have to be shown"`
}

// Validate returns every option that is wrong.
func (o Selection) Validate() error {
	var faults []error
	if strings.ContainsAny(o.FileName, `/\`) || strings.HasPrefix(o.FileName, ".") {
		faults = append(faults, registry.Fault{Key: "name", Problem: fmt.Sprintf("must be a file name without a folder, is %q", o.FileName)})
	}
	for i, label := range o.By {
		if slices.Contains(o.By[:i], label) {
			faults = append(faults, registry.Fault{Key: "by", Problem: fmt.Sprintf("names %q twice", label)})
		}
	}
	return errors.Join(faults...)
}

// name is the figure's file name: the one given, or one made of the type and
// what it shows.
func (o Selection) name(typ string, metrics ...string) string {
	if o.FileName != "" {
		return o.FileName
	}
	return strings.NewReplacer("/", "-", "_", "-").Replace(strings.Join(append([]string{typ}, metrics...), "-"))
}

// Panels is the options that every picture has.
type Panels struct {
	Facet  string  `toml:"facet" doc:"label whose values get a panel each"`
	Width  float64 `toml:"width" doc:"inches, legend included"`
	Height float64 `toml:"height" doc:"inches, legend included"`
}

// Validate returns every option that is wrong.
func (o Panels) Validate() error {
	return errors.Join(size("width", o.Width), size("height", o.Height))
}

// size refuses a picture too small to hold its axes or too large for a page.
func size(key string, inches float64) error {
	const least, most = 1, 30
	if inches >= least && inches <= most {
		return nil
	}
	return registry.Fault{Key: key, Problem: fmt.Sprintf("must be from %d to %d inches, is %v", least, most, inches)}
}

// validateMetric refuses a metric that does not name its split.
func validateMetric(key, metric string) error {
	if split, name := splitMetric(metric); split == "" || name == "" {
		return registry.Fault{Key: key, Problem: fmt.Sprintf(`must be a split and a metric, as "test/loss", is %q`, metric)}
	}
	return nil
}

// knownMetrics refuses metrics that the sweep does not measure.
func (s Sweep) knownMetrics(key string, metrics ...string) error {
	var faults []error
	for _, metric := range metrics {
		known := slices.ContainsFunc(s.Metrics, func(m string) bool {
			prefix, open := strings.CutSuffix(m, "*")
			return m == metric || open && strings.HasPrefix(metric, prefix)
		})
		if s.Metrics != nil && !known {
			faults = append(faults, registry.Fault{Key: key, Problem: fmt.Sprintf("%q is not measured; %s", metric, registry.Suggest(metric, s.Metrics))})
		}
	}
	return errors.Join(faults...)
}

// check refuses a figure that the sweep cannot fill.
func (s Sweep) check(o Selection, facet, key string, metrics ...string) error {
	err := s.knownMetrics(key, metrics...)
	if len(s.Cells) == 0 {
		return err
	}
	return errors.Join(err, check(s.Cells, o, facet))
}

// Spread is how the seeds of a group are shown to differ.
type Spread string

// The spreads. Each needs two seeds.
const (
	SD    Spread = "sd"    // sample standard deviation, on both sides of the mean
	Range Spread = "range" // from the least to the greatest
	CI95  Spread = "ci95"  // 95% confidence interval of the mean, by Student's t
)

// Values lists the spreads.
func (Spread) Values() []string { return []string{string(SD), string(Range), string(CI95)} }

// UnmarshalText reads a spread.
func (s *Spread) UnmarshalText(text []byte) error { return registry.OneOf(s, text) }

// spreadNames are the spreads in words.
var spreadNames = map[Spread]string{SD: "sample sd", Range: "least to greatest", CI95: "95% CI (Student's t)"}
