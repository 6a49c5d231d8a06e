package plots

import (
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Summary describes the values of one group, a value a seed.
type Summary struct {
	N        int     // values
	Mean     float64 // NaN if there is none
	SD       float64 // sample standard deviation (n-1); NaN for fewer than two values
	Min, Max float64 // NaN if there is no value
	// Low and High are the 95% confidence interval of the mean, mean ± t·sd/√n
	// with Student's t at n-1 degrees of freedom; NaN for fewer than two values.
	Low, High float64
}

// Summarize describes values, which must be finite. One value has no spread:
// its SD is NaN, not 0.
func Summarize(values []float64) Summary {
	nan := math.NaN()
	s := Summary{N: len(values), Mean: nan, SD: nan, Min: nan, Max: nan, Low: nan, High: nan}
	if s.N == 0 {
		return s
	}
	s.Mean, s.Min, s.Max = stat.Mean(values, nil), floats.Min(values), floats.Max(values)
	if s.N == 1 {
		return s
	}
	s.SD = stat.StdDev(values, nil)
	half := quantile975(float64(s.N-1)) * s.SD / math.Sqrt(float64(s.N))
	s.Low, s.High = s.Mean-half, s.Mean+half
	return s
}

// interval is the ends of a spread around the mean; ok is false if the seeds are
// too few to have one.
func (s Summary) interval(spread Spread) (low, high float64, ok bool) {
	if s.N < 2 {
		return 0, 0, false
	}
	switch spread {
	case Range:
		return s.Min, s.Max, true
	case CI95:
		return s.Low, s.High, true
	}
	return s.Mean - s.SD, s.Mean + s.SD, true
}

// Difference compares a group with its baseline.
type Difference struct {
	Summary // of the differences, value minus baseline
	// Paired says that the differences are of values with the same seed, N of
	// them. Otherwise the groups are compared as independent samples: N is 0,
	// the interval is Welch's, and SD is NaN.
	Paired bool
}

// Compare returns by how much values differ from baseline, each by seed. Where
// two or more seeds are in both, the differences are paired by seed, and values of
// other seeds left out. Otherwise the groups are compared by Welch's interval
// (Welch 1947), which needs two values of each; where one has a single value and
// its seed is in both, the difference is that seed's. All values must be finite.
func Compare(values, baseline map[int64]float64) Difference {
	var differences []float64
	for _, seed := range slices.Sorted(maps.Keys(values)) {
		if b, ok := baseline[seed]; ok {
			differences = append(differences, values[seed]-b)
		}
	}
	if len(differences) >= 2 || len(differences) == 1 && min(len(values), len(baseline)) == 1 {
		return Difference{Summarize(differences), true}
	}
	return Difference{Summary: welch(Summarize(inOrder(values)), Summarize(inOrder(baseline)))}
}

// inOrder returns values by ascending seed: sums must not depend on a map.
func inOrder(values map[int64]float64) []float64 {
	ordered := make([]float64, 0, len(values))
	for _, seed := range slices.Sorted(maps.Keys(values)) {
		ordered = append(ordered, values[seed])
	}
	return ordered
}

// welch is the difference of two means with its confidence interval, the
// degrees of freedom after Welch and Satterthwaite.
func welch(a, b Summary) Summary {
	nan := math.NaN()
	d := Summary{Mean: a.Mean - b.Mean, SD: nan, Min: nan, Max: nan, Low: nan, High: nan}
	va, vb := a.SD*a.SD/float64(a.N), b.SD*b.SD/float64(b.N)
	if !(va+vb >= 0) {
		return d // one of them has fewer than two values
	}
	if va+vb == 0 {
		d.Low, d.High = d.Mean, d.Mean
		return d
	}
	freedom := (va + vb) * (va + vb) / (va*va/float64(a.N-1) + vb*vb/float64(b.N-1))
	half := quantile975(freedom) * math.Sqrt(va+vb)
	d.Low, d.High = d.Mean-half, d.Mean+half
	return d
}

// quantile975 is the 97.5% quantile of Student's t, which bounds a two-sided 95%
// interval.
func quantile975(freedom float64) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: freedom}.Quantile(0.975)
}
