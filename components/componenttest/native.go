package componenttest

import (
	"fmt"
	"math"
	"testing"

	"exp/components/autodiff"
)

// nativeTolerance is the largest error of a float32 gradient, relative to the
// largest element of the same parameter's gradient (elements may cancel, so
// their own size says nothing). A float32 rounding is 6e-8; an element is made
// by some hundred of them, whose errors add up like the root of their number,
// 6e-7: the median that is seen. Layers amplify, above all a layer norm over few
// elements of little variance, which multiplies by one over their deviation: 99
// models of 100 stay below 7e-6, all below 3e-5. A wrong operation is off by
// its own size.
const nativeTolerance = 1e-4

// Native compares the gradients of float32, computed by the kernels, with those
// of float64, computed by their plain-loop twins, at the same parameters. f adds
// its parameters to the set it is given, then computes as for [Grad].
func Native(t testing.TB, f func(*autodiff.Params) Func) {
	t.Helper()
	worst, err := native(f)
	if err != nil {
		t.Error(err)
	}
	t.Logf("largest error of a float32 gradient: %.2g", worst)
}

// native also returns the largest error.
func native(f func(*autodiff.Params) Func) (worst float64, err error) {
	narrow, wide := autodiff.NewParams(autodiff.Float32, 1), autodiff.NewParams(autodiff.Float64, 1)
	compute32, compute64 := f(narrow), f(wide)
	for i, p := range wide.All() {
		if err := wide.Set(p, narrow.All()[i].Float32s()); err != nil {
			return 0, err
		}
	}
	tape32, tape64 := autodiff.NewTape(autodiff.Float32), autodiff.NewTape(autodiff.Float64)
	tape32.Poison()
	backward[float32](tape32, narrow, compute32)
	backward[float64](tape64, wide, compute64)

	largest := 0.0
	for _, p := range wide.All() {
		largest = math.Max(largest, norm(autodiff.Grad[float64](p)))
	}
	for i, p := range wide.All() {
		got, want := autodiff.Grad[float32](narrow.All()[i]), autodiff.Grad[float64](p)
		size := math.Max(norm(want), 1e-3*largest) // a gradient that is zero but for rounding has no scale of its own
		for j, w := range want {
			part := math.Abs(float64(got[j])-w) / size
			if !(part <= nativeTolerance) { // so that NaN fails
				return part, fmt.Errorf("gradient of %s[%d] is %.9g in float32 and %.9g in float64", p.Name(), j, got[j], w)
			}
			worst = math.Max(worst, part)
		}
	}
	return worst, nil
}
