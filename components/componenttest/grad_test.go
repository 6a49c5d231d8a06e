package componenttest

import (
	"math"
	"strings"
	"testing"

	"exp/components/autodiff"
	"exp/components/kernel"
)

// doubleOp is y = 2x with a backward of the tester's choice.
type doubleOp[F kernel.Float] struct {
	x, y     *autodiff.Var
	backward func(dy []float64, i int) float64
}

func (op *doubleOp[F]) Backward() {
	dy := make([]float64, op.y.Size())
	for i, g := range autodiff.Grad[F](op.y) {
		dy[i] = float64(g)
	}
	for i := range dy {
		autodiff.Grad[F](op.x)[i] += F(op.backward(dy, i))
	}
}

func double[F kernel.Float](t *autodiff.Tape, x *autodiff.Var, backward func([]float64, int) float64) *autodiff.Var {
	y := t.NewVar(x.Shape())
	for i, v := range autodiff.Values[F](x) {
		autodiff.Values[F](y)[i] = 2 * v
	}
	if t.Recording() {
		op := autodiff.Record[doubleOp[F]](t)
		op.x, op.y, op.backward = x, y, backward
	}
	return y
}

func times(factor float64) func([]float64, int) float64 {
	return func(dy []float64, i int) float64 { return factor * dy[i] }
}

func TestGradFindsAWrongBackward(t *testing.T) {
	for name, test := range map[string]struct {
		backward func([]float64, int) float64
		want     string
	}{
		"right":          {times(2), ""},
		"a little wrong": {times(2.0001), "finite differences"},
		"wrong sign":     {times(-2), "finite differences"},
		"zero":           {times(0), "about zero"},
		"NaN":            {times(math.NaN()), "about zero"},
		"one NaN": {func(dy []float64, i int) float64 {
			if i == 1 {
				return math.NaN()
			}
			return 2 * dy[i]
		}, "about zero"},
		"right for a sum only": {func(dy []float64, i int) float64 { return 2 * (dy[0] + dy[1] + dy[2]) / 3 }, "finite differences"},
	} {
		t.Run(name, func(t *testing.T) {
			params := autodiff.NewParams(autodiff.Float64, 1)
			x := params.New("x", Normal, 3)
			err := CheckGrad(params, func(tape *autodiff.Tape) []*autodiff.Var {
				return []*autodiff.Var{double[float64](tape, x, test.backward)}
			})
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error is %v, want %q", err, test.want)
			}
		})
	}
}

func TestNativeFindsAWrongBackward(t *testing.T) {
	for factor, ok := range map[float64]bool{2: true, 2.001: false, 0: false} {
		_, err := native(func(params *autodiff.Params) Func {
			x := params.New("x", Normal, 3)
			return func(tape *autodiff.Tape) []*autodiff.Var {
				if tape.DType() == autodiff.Float32 {
					return []*autodiff.Var{double[float32](tape, x, times(factor))}
				}
				return []*autodiff.Var{double[float64](tape, x, times(2))}
			}
		})
		if (err == nil) != ok {
			t.Errorf("a float32 gradient of %v dy where float64 has 2 dy: error is %v", factor, err)
		}
	}
}
