package componenttest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"exp/components/autodiff"
)

const (
	gradStep      = 6e-6 // near the cube root of float64's precision, the best for central differences
	gradTolerance = 1e-6
	gradSamples   = 24 // elements tried of each parameter
)

// Func computes results on a tape, from parameters that it knows.
type Func func(*autodiff.Tape) []*autodiff.Var

// Grad compares the gradients of f with central finite differences, in float64.
// f computes its results from params, which hold the inputs too; the scalar that
// is differentiated is a random weighting of all results, never their sum: with
// the sum, a softmax's backward scaled by any factor would pass. It fails if all
// gradients are about zero.
func Grad(t testing.TB, params *autodiff.Params, f Func) {
	t.Helper()
	if err := CheckGrad(params, f); err != nil {
		t.Error(err)
	}
}

// CheckGrad is Grad with its verdict as an error.
func CheckGrad(params *autodiff.Params, f Func) error {
	return checkGrad(params, f, gradSamples)
}

func checkGrad(params *autodiff.Params, f Func, samples int) error {
	tape := autodiff.NewTape(autodiff.Float64)
	tape.Poison()
	weights := backward[float64](tape, params, f)

	again := autodiff.NewTape(autodiff.Float64) // the gradients lie in tape
	again.Poison()
	scalar := func() float64 {
		params.Changed()
		again.Reset(true, false)
		sum := 0.0
		for i, y := range f(again) {
			for j, v := range autodiff.Values[float64](y) {
				sum += weights[i][j] * v
			}
		}
		return sum
	}
	largest := 0.0
	for _, p := range params.All() {
		largest = math.Max(largest, norm(autodiff.Grad[float64](p)))
	}
	if !(largest > 1e-9) {
		return fmt.Errorf("all gradients are about zero (the largest is %g)", largest)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, p := range params.All() {
		values, grads := autodiff.Values[float64](p), autodiff.Grad[float64](p)
		for _, i := range sample(rng, len(values), samples) {
			was := values[i]
			values[i] = was + gradStep
			above := scalar()
			values[i] = was - gradStep
			below := scalar()
			values[i] = was
			numeric := (above - below) / (2 * gradStep)
			allowed := gradTolerance * (math.Abs(numeric) + math.Abs(grads[i]) + 0.01*largest)
			if !(math.Abs(numeric-grads[i]) <= allowed) { // so that NaN fails
				return fmt.Errorf("gradient of %s[%d] is %.10g, finite differences say %.10g", p.Name(), i, grads[i], numeric)
			}
		}
	}
	params.Changed()
	return nil
}

// backward leaves in params the gradients of a random weighting of the results
// of f, and returns the weights. They are float32 numbers, so that they are the
// same for both element types.
//
// The gradients are valid until tape's next Reset.
func backward[F float32 | float64](tape *autodiff.Tape, params *autodiff.Params, f Func) [][]float64 {
	tape.Reset(true, true)
	params.ZeroGrad(tape)
	params.Changed()
	results := f(tape)
	weights := make([][]float64, len(results))
	rng := rand.New(rand.NewPCG(1, 2))
	for i, y := range results {
		weights[i] = make([]float64, y.Size())
		grad := autodiff.Grad[F](y)
		for j := range grad {
			weights[i][j] = float64(float32(rng.NormFloat64()))
			grad[j] = F(weights[i][j])
		}
	}
	tape.Unwind()
	return weights
}

// norm is the largest magnitude, NaN if there is one.
func norm[F float32 | float64](x []F) float64 {
	largest := 0.0
	for _, v := range x {
		largest = math.Max(largest, math.Abs(float64(v)))
	}
	return largest
}

// sample returns up to want of n indices.
func sample(rng *rand.Rand, n, want int) []int {
	all := rng.Perm(n)
	return all[:min(n, want)]
}

// Normal is an initialiser of normal draws, for inputs of tests.
func Normal(rng *rand.Rand, _ autodiff.Shape, values []float64) {
	for i := range values {
		values[i] = rng.NormFloat64()
	}
}

// AwayFromZero is an initialiser whose draws keep a distance of 0.1 from zero,
// where ReLU has its kink.
func AwayFromZero(rng *rand.Rand, _ autodiff.Shape, values []float64) {
	for i := range values {
		v := rng.NormFloat64()
		values[i] = v + math.Copysign(0.1, v)
	}
}
