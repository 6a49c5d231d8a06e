package plots

import (
	"slices"
	"strings"
)

// Data is what was measured in an experiment.
type Data struct {
	// Trials are in the order of the experiment's file: groups, and the values
	// of a label, are shown in the order in which they appear here.
	Trials []Trial
	// HigherIsBetter says for a metric, by its name without the split, which
	// end is the good one. The best value is marked only for a metric named
	// here.
	HigherIsBetter map[string]bool
}

// Trial is one cell with one seed.
type Trial struct {
	// Labels says where in the sweep the cell is: the axis's key to the value,
	// as registry.Label writes it. The variant, if there are variants, is the
	// label "variant".
	Labels     map[string]string
	Seed       int64
	Status     Status
	Parameters int64 // of the model; 0 if not known
	// Series is the metrics over training by "split/metric", as "valid/loss".
	Series map[string]Series
	// Final is the metrics at the end of training by "split/metric". Values
	// that are not finite count as not there.
	Final map[string]float64
}

// Series is a metric over training. Steps are updates, in ascending order, one
// for each value. Values may be NaN or infinite.
type Series struct {
	Steps  []int
	Values []float64
}

// Status is how a trial stands. Any text but these three is a trial that is not
// finished yet.
type Status string

// The statuses that matter to a figure.
const (
	Finished Status = "finished"
	Diverged Status = "diverged"
	Failed   Status = "failed"
)

// stopped reports whether the trial ended without a result.
func (s Status) stopped() bool { return s == Diverged || s == Failed }

// splitMetric takes "valid/loss" apart.
func splitMetric(metric string) (split, name string) {
	split, name, _ = strings.Cut(metric, "/")
	return split, name
}

// metricTitle writes a metric as words: "valid exact match".
func metricTitle(metric string) string {
	return strings.NewReplacer("/", " ", "_", " ").Replace(metric)
}

// isShare reports whether a metric is a share of one, to be shown in percent:
// an accuracy by its name.
func isShare(metric string) bool {
	_, name := splitMetric(metric)
	name, _, _ = strings.Cut(name, "/") // of all pairs or of some
	return strings.HasSuffix(name, "accuracy") || strings.HasSuffix(name, "exact_match")
}

// percent is the unit of a share.
const percent = " (%)"

// axisTitle is a metric as words, with its unit where it has one to show.
func axisTitle(metric string) string {
	if isShare(metric) {
		return metricTitle(metric) + percent
	}
	return metricTitle(metric)
}

// shortNames shortens label names to what tells them apart: the last part of a
// dotted key, or the one before it where the last is "type", and more where two
// would be the same.
func shortNames(labels []string) map[string]string {
	parts := map[string][]string{}
	for _, label := range labels {
		path := strings.Split(label, ".")
		if n := len(path); n > 1 && path[n-1] == "type" {
			path = path[:n-1]
		}
		parts[label] = path
	}
	short := map[string]string{}
	for _, label := range labels {
		for n := 1; ; n++ {
			name := tail(parts[label], n)
			unique := !slices.ContainsFunc(labels, func(other string) bool {
				return other != label && tail(parts[other], n) == name
			})
			if unique || n >= len(parts[label]) {
				short[label] = strings.ReplaceAll(name, "_", " ")
				break
			}
		}
	}
	return short
}

func tail(path []string, n int) string {
	return strings.Join(path[max(0, len(path)-n):], ".")
}
