package train

import (
	"exp/components"
	"exp/components/autodiff"
	"exp/components/kernel"
)

// averages keeps the weights that are evaluated and tested in the place of those
// that are trained. Each set of them is a vector a parameter, in the order of the
// parameters.
type averages struct {
	params    *autodiff.Params
	decay     float64
	ema       [][]float32 // nil without
	last      int
	snapshots [][][]float32 // at the last evaluations, the oldest first
	best      [][]float32   // nil before the first
	held      [][]float32   // those that are trained, while others are tested
}

func newAverages(o components.Training, params *autodiff.Params) averages {
	a := averages{params: params, decay: o.EMADecay, last: o.AverageLast}
	if o.EMADecay > 0 {
		a.ema = weightsOf(params)
	}
	return a
}

// zeros is a set of weights for some parameters.
func zeros(of []*autodiff.Var) [][]float32 {
	set := make([][]float32, len(of))
	for i, v := range of {
		set[i] = make([]float32, v.Size())
	}
	return set
}

// weightsOf is the weights as they are.
func weightsOf(params *autodiff.Params) [][]float32 {
	set := zeros(params.All())
	write(set, params)
	return set
}

func write(set [][]float32, params *autodiff.Params) {
	for i, v := range params.All() {
		copy(set[i], autodiff.Values[float32](v))
	}
}

// update moves the moving average after update n: with the decay d of
// min(decay, (1+n)/(10+n)), so that it forgets where the weights began, average =
// d average + (1-d) weights.
func (a *averages) update(n int) {
	d := float32(min(a.decay, float64(1+n)/float64(10+n)))
	for i, average := range a.ema {
		kernel.Scale(average, d, average)
		kernel.Axpy(average, 1-d, autodiff.Values[float32](a.params.All()[i]))
	}
}

// snapshot keeps the weights for the mean of the last.
func (a *averages) snapshot() {
	if a.last == 0 {
		return
	}
	var set [][]float32
	if len(a.snapshots) == a.last {
		set, a.snapshots = a.snapshots[0], a.snapshots[1:]
		write(set, a.params)
	} else {
		set = weightsOf(a.params)
	}
	a.snapshots = append(a.snapshots, set)
}

// swap exchanges the weights and their moving average.
func (a *averages) swap() {
	if a.ema == nil {
		return
	}
	for i, v := range a.params.All() {
		values, average := autodiff.Values[float32](v), a.ema[i]
		for j, x := range values {
			values[j], average[j] = average[j], x
		}
	}
	a.params.Changed()
}

// keepBest keeps the weights as the best.
func (a *averages) keepBest() {
	if a.best == nil {
		a.best = zeros(a.params.All())
	}
	write(a.best, a.params)
}

// tested is the weights of the model that is tested, nil for those that are
// trained: the best, the mean of the last, the moving average.
func (a *averages) tested() [][]float32 {
	switch {
	case a.best != nil:
		return a.best
	case a.snapshots != nil:
		return mean(a.snapshots)
	}
	return a.ema
}

func mean(sets [][][]float32) [][]float32 {
	out := make([][]float32, len(sets[0]))
	for i := range out {
		out[i] = make([]float32, len(sets[0][i]))
		for j := range out[i] {
			sum := 0.0
			for _, set := range sets {
				sum += float64(set[i][j])
			}
			out[i][j] = float32(sum / float64(len(sets)))
		}
	}
	return out
}

// use gives the model the weights that are tested, until back.
func (a *averages) use() {
	if set := a.tested(); set != nil {
		a.held = weightsOf(a.params)
		a.give(set)
	}
}

// back gives the model the weights that are trained.
func (a *averages) back() {
	if a.held != nil {
		a.give(a.held)
		a.held = nil
	}
}

func (a *averages) give(set [][]float32) {
	for i, v := range a.params.All() {
		copy(autodiff.Values[float32](v), set[i])
	}
	a.params.Changed()
}
