package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"exp/plots"
	"exp/tracking"
)

// What a model costs, as figures name it beside the metrics: model/parameters and
// model/bytes, its size, and cost/NAME, a measurement of the trial.
const (
	costSplit   = "cost/"
	parameters  = "model/parameters"
	modelBytes  = "model/bytes"
	bytesNumber = 4 // a parameter is a float32
)

// cost is a measurement, which a trial may have at several steps, and of several
// runs.
type cost struct {
	higherIsBetter bool
	of             func(values []float64) float64
}

// measuredCosts are the measurements, by name, that are recorded of a trial.
var measuredCosts = map[string]cost{
	"tokens_per_second":        {true, median},                 // target tokens of training
	"seconds":                  {false, sum},                   // of all runs
	"memory_bytes":             {false, slices.Max[[]float64]}, // most in use at once of what training takes beside parameters and optimizer
	"decode_tokens_per_second": {true, median},                 // of hypotheses as evaluations decode them, in batches of evaluate.batch_size
	"batch_latency_seconds":    {false, median},                // of such a batch
	"latency_seconds":          {false, median},                // of one source on its own, greedily
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func sum(values []float64) (sum float64) {
	for _, v := range values {
		sum += v
	}
	return sum
}

// costs lists what figures may name.
func costs() []string {
	names := []string{parameters, modelBytes}
	for _, name := range slices.Sorted(maps.Keys(measuredCosts)) {
		names = append(names, costSplit+name)
	}
	return names
}

func isCost(name string) bool { return slices.Contains(costs(), name) }

func costsHigherIsBetter() map[string]bool {
	better := map[string]bool{}
	for name, c := range measuredCosts {
		better[name] = c.higherIsBetter
	}
	return better
}

// addCost reads a cost of a trial.
func addCost(ctx context.Context, r *tracking.Reader, id, name string, to *plots.Trial) error {
	final := func(value float64) {
		if to.Status == plots.Finished {
			to.Final[name] = value
		}
	}
	switch name {
	case parameters:
		final(float64(to.Parameters))
		return nil
	case modelBytes:
		final(float64(bytesNumber * to.Parameters))
		return nil
	}
	all, err := r.Measurements(ctx, id)
	if err != nil {
		return err
	}
	measurement, _ := strings.CutPrefix(name, costSplit)
	at := map[int]float64{} // by step, of the last run that has it
	var values []float64
	for _, m := range all {
		if m.Name == measurement {
			at[m.Step] = m.Value
			values = append(values, m.Value)
		}
	}
	var s plots.Series
	for _, step := range slices.Sorted(maps.Keys(at)) {
		s.Steps, s.Values = append(s.Steps, step), append(s.Values, at[step])
	}
	to.Series[name] = s
	if len(values) > 0 {
		final(measuredCosts[measurement].of(values))
	}
	return nil
}
