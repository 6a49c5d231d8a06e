package plots

import (
	"math"
	"testing"
)

// near compares with a relative tolerance, 0 and NaN exactly.
func near(got, want, tolerance float64) bool {
	if math.IsNaN(want) {
		return math.IsNaN(got)
	}
	return math.Abs(got-want) <= tolerance*math.Abs(want)
}

func TestSummarize(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name   string
		values []float64
		want   Summary
	}{
		{"none", nil, Summary{0, nan, nan, nan, nan, nan, nan}},
		{"one", []float64{3}, Summary{1, 3, nan, 3, 3, nan, nan}},
		// t at 1 degree of freedom is tan(0.475 pi).
		{"two", []float64{1, 3}, Summary{2, 2, math.Sqrt2, 1, 3, 2 - math.Tan(0.475*math.Pi), 2 + math.Tan(0.475*math.Pi)}},
		// t at 2 degrees of freedom is (2p-1) sqrt(2 / (4p(1-p))), here 0.95 sqrt(2/0.0975).
		{"three", []float64{2, 4, 9}, Summary{3, 5, math.Sqrt(13), 2, 9,
			5 - 0.95*math.Sqrt(2/(4*0.975*0.025))*math.Sqrt(13.0/3), 5 + 0.95*math.Sqrt(2/(4*0.975*0.025))*math.Sqrt(13.0/3)}},
		{"equal", []float64{0.5, 0.5}, Summary{2, 0.5, 0, 0.5, 0.5, 0.5, 0.5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Summarize(c.values)
			if got.N != c.want.N {
				t.Errorf("N: got %d, want %d", got.N, c.want.N)
			}
			for _, v := range []struct {
				name      string
				got, want float64
			}{{"mean", got.Mean, c.want.Mean}, {"sd", got.SD, c.want.SD}, {"min", got.Min, c.want.Min}, {"max", got.Max, c.want.Max},
				{"low", got.Low, c.want.Low}, {"high", got.High, c.want.High}} {
				if !near(v.got, v.want, 1e-9) {
					t.Errorf("%s: got %v, want %v", v.name, v.got, v.want)
				}
			}
		})
	}
}

// sleep is Student's (1908) hours of sleep gained with two drugs, by patient, R's
// data set "sleep".
var sleep = [2][]float64{
	{0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0},
	{1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4},
}

func seeded(values []float64, first int64) map[int64]float64 {
	m := map[int64]float64{}
	for i, v := range values {
		m[first+int64(i)] = v
	}
	return m
}

// TestCompare holds what R 4's t.test prints for the data, paired and not.
func TestCompare(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name             string
		values, baseline map[int64]float64
		paired           bool
		n                int
		mean, sd         float64
		low, high        float64
	}{
		{"paired", seeded(sleep[0], 0), seeded(sleep[1], 0), true, 10, -1.58, 1.2299955, -2.4598858, -0.7001142},
		{"independent", seeded(sleep[0], 0), seeded(sleep[1], 100), false, 0, -1.58, nan, -3.3654832, 0.2054832},
		{"one shared seed", seeded(sleep[0], 0), seeded(sleep[1], 9), false, 0, -1.58, nan, -3.3654832, 0.2054832},
		{"some shared seeds", seeded([]float64{1, 2, 3}, 0), seeded([]float64{1, 1, 1}, 1), true, 2, 1.5, math.Sqrt(0.5), 1.5 - 0.5*12.7062047, 1.5 + 0.5*12.7062047},
		{"one seed", seeded([]float64{3}, 0), seeded([]float64{1}, 0), true, 1, 2, nan, nan, nan},
		{"one seed of several", seeded([]float64{3}, 1), seeded([]float64{1, 2, 6}, 0), true, 1, 1, nan, nan, nan},
		{"one seed, not shared", seeded([]float64{3}, 7), seeded([]float64{1, 2, 6}, 0), false, 0, 0, nan, nan, nan},
		{"none", nil, seeded([]float64{1, 2}, 0), false, 0, nan, nan, nan, nan},
		{"no variance", seeded([]float64{2, 2}, 0), seeded([]float64{1, 1}, 5), false, 0, 1, nan, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Compare(c.values, c.baseline)
			if got.Paired != c.paired || got.N != c.n {
				t.Errorf("got paired %v, n %d; want %v, %d", got.Paired, got.N, c.paired, c.n)
			}
			for _, v := range []struct {
				name      string
				got, want float64
			}{{"mean", got.Mean, c.mean}, {"sd", got.SD, c.sd}, {"low", got.Low, c.low}, {"high", got.High, c.high}} {
				if math.IsNaN(v.got) != math.IsNaN(v.want) || math.Abs(v.got-v.want) > 6e-8 { // as many digits as printed
					t.Errorf("%s: got %v, want %v", v.name, v.got, v.want)
				}
			}
		})
	}
}
