package autodiff

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The first operation that makes a number that is not finite is named: in the
// forward pass, or in the backward pass of finite values.
func TestWatch(t *testing.T) {
	params := NewParams(Float32, 1)
	fill := func(x float64) Init {
		return func(_ *rand.Rand, _ Shape, values []float64) {
			for i := range values {
				values[i] = x
			}
		}
	}
	first, second := params.New("first", fill(1), 2, 2), params.New("second", fill(1), 2, 2)
	run := func(x, gradient float32) string {
		tape := NewTape(Float32)
		tape.Reset(true, true)
		params.ZeroGrad(tape)
		params.Changed()
		tape.Watch(params)
		y := Linear(tape, Linear(tape, tape.Constant([]float32{x, x}, 1, 2), first, nil), second, nil)
		Grad[float32](y)[0] = gradient
		tape.Unwind()
		return tape.Watched()
	}
	inf := float32(math.Inf(1))
	if got := run(1, 1); got != "" {
		t.Errorf("of finite numbers: %q", got)
	}
	if got, want := run(math.MaxFloat32, 0), "the forward pass of linear, of first"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := run(1, inf), "the backward pass of linear, of second"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if v := params.FirstNotFinite(); v != nil {
		t.Errorf("%s is finite", v.Name())
	}
	Values[float32](second)[3] = inf
	if v := params.FirstNotFinite(); v != second {
		t.Errorf("found %v", v)
	}
}
