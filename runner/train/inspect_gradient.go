package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"exp/components"
	"exp/components/autodiff"
)

const (
	difference       = 1e-5 // length of the steps on both sides
	differenceBudget = 2 * time.Second
	gradientError    = 1e-3 // relative, of a derivative
)

// differences compares the gradient of the model in float64 with central
// differences along a direction, first of all parameters together and then of as
// many tensors, in a drawn order, as there is time for; and the gradient that is
// trained with, in float32 by the kernels, with that in float64.
//
// A direction is the gradient's own, of length 1, to which most is due, and a drawn
// one of length 1, without which what a gradient leaves out would not be missed.
func (in *inspection) differences() error {
	const name, kernels = "gradients", "kernels"
	pairs := in.few[:min(2, len(in.few))]
	if len(pairs) == 0 {
		return nil // which is told elsewhere
	}
	m, err := in.inFloat64()
	if err != nil {
		return err
	}
	var batch components.Batch
	m.Fill(&batch, pairs)
	tape := autodiff.NewTape(autodiff.Float64)
	tape.Reset(false, true)
	m.Params.ZeroGrad(tape)
	l, _ := m.Loss(tape, &batch, in.Training.LabelSmoothing)
	tape.Backward(l)

	trained := m.Params.Trainable()
	rng := rand.New(rand.NewPCG(1, 2))
	directions := make([][]float64, len(trained))
	derivatives := make([]float64, len(trained)) // along them, by the gradient
	total := 0.0
	for i, v := range trained {
		g := autodiff.Grad[float64](v)
		own, drawn := lengthOf(g), make([]float64, len(g))
		for j := range drawn {
			drawn[j] = rng.NormFloat64()
		}
		size := lengthOf(drawn)
		for j := range drawn {
			drawn[j] /= size
			if own > 0 {
				drawn[j] += g[j] / own
			}
			derivatives[i] += drawn[j] * g[j]
		}
		directions[i] = drawn
		total += derivatives[i]
	}

	again := autodiff.NewTape(autodiff.Float64) // the gradients lie in tape
	at := func(step float64, of ...int) float64 {
		for _, i := range of {
			values := autodiff.Values[float64](trained[i])
			for j, d := range directions[i] {
				values[j] += step * d
			}
		}
		m.Params.Changed()
		again.Reset(false, false)
		l, _ := m.Loss(again, &batch, in.Training.LabelSmoothing)
		return l.Scalar()
	}
	numeric := func(of ...int) float64 {
		above := at(difference, of...)
		below := at(-2*difference, of...)
		at(difference, of...)
		return (above - below) / (2 * difference)
	}
	agree := func(a, b float64) bool {
		return math.Abs(a-b) <= gradientError*(math.Abs(a)+math.Abs(b))+1e-8
	}
	order := rng.Perm(len(trained))
	together := numeric(order...)
	tried, wrong := 0, []string(nil)
	for started := time.Now(); tried < len(order) && (time.Since(started) < differenceBudget || !agree(together, total)); tried++ {
		if in.ctx.Err() != nil {
			return ErrInterrupted
		}
		i := order[tried]
		if n := numeric(i); !agree(n, derivatives[i]) {
			wrong = append(wrong, fmt.Sprintf("%s (%.6g, differences say %.6g)", trained[i].Name(), derivatives[i], n))
		}
	}
	switch {
	case wrong != nil:
		in.find(name, Fault, "the derivative along a direction is not what differences of the loss say, of "+some(wrong),
			"the backward pass of an operation that reads them, or lies behind them, is wrong; go test ./components/standard says which component")
	case !agree(together, total):
		in.find(name, Fault, fmt.Sprintf("the derivative of all parameters together is %.6g, differences of the loss say %.6g", total, together),
			"the backward pass of an operation is wrong; go test ./components/standard says which component")
	default:
		in.find(name, OK, fmt.Sprintf("as differences of the loss say, in float64, of all parameters together and of %d of %d tensors", tried, len(trained)), "")
	}
	in.kernels(kernels, pairs, trained)
	return nil
}

// kernels compares the gradient that is trained with with that of exact, in float64.
func (in *inspection) kernels(name string, pairs []components.Pair, exact []*autodiff.Var) {
	in.gradient(pairs, in.Training.LabelSmoothing)
	largest, worst, where := 0.0, 0.0, ""
	for _, v := range exact {
		largest = math.Max(largest, lengthOf(autodiff.Grad[float64](v)))
	}
	for i, v := range in.model.Params.Trainable() {
		g := autodiff.Grad[float64](exact[i])
		rest := make([]float64, len(g))
		for j, x := range autodiff.Grad[float32](v) {
			rest[j] = float64(x) - g[j]
		}
		if off := lengthOf(rest) / (lengthOf(g) + 1e-3*largest + 1e-12); !(off <= worst) {
			worst, where = off, v.Name()
		}
	}
	text := fmt.Sprintf("the gradient in float32 is within %.2g of that in float64", worst)
	if worst <= 1e-2 {
		in.find(name, OK, text, "")
	} else {
		in.find(name, Fault, fmt.Sprintf("%s, of %s", text, where), "a kernel is wrong, or what it computes is too large for float32: compare with EXP_KERNEL=reference, and look at the scale of the weights")
	}
}

// inFloat64 is the model with its first weights, for the plain-loop twins.
func (in *inspection) inFloat64() (*components.Model, error) {
	params := autodiff.NewParams(autodiff.Float64, 0)
	m, err := components.NewModel(in.Parts, params, in.Data.SourceSize(), in.Data.Target.Size())
	if err != nil {
		return nil, err
	}
	m.Number(in.Data.Numbers())
	if err := m.ReadSource(in.Data.Source); err != nil {
		return nil, err
	}
	groups, err := in.Training.ParameterGroups()
	if err != nil {
		return nil, err
	}
	if err := groups.Freeze(params); err != nil {
		return nil, err
	}
	for i, v := range in.model.Params.All() {
		if err := params.Set(params.All()[i], autodiff.Values[float32](v)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func lengthOf(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum)
}

// freeMemory is the bytes that the machine can still give, 0 where it does not say.
func freeMemory() int {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kilobytes, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return 1024 * kilobytes
		}
	}
	return 0
}
