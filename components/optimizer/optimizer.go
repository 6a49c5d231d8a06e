// Package optimizer has the optimizers, as PyTorch defines them, the learning
// rate schedules, and clipping.
package optimizer

import (
	"math"
	"sync"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/kernel"
	"exp/registry"
)

// Register enters this package's optimizers and schedules.
func Register(c *components.Catalog) {
	registry.Add(&c.Optimizers, "sgd", SGDOptions{LR: 0.1}, NewSGD)
	registry.Add(&c.Optimizers, "adagrad", AdagradOptions{LR: 0.01, Epsilon: 1e-10}, NewAdagrad)
	registry.Add(&c.Optimizers, "rmsprop", RMSPropOptions{LR: 0.01, Alpha: 0.99, Epsilon: 1e-8}, NewRMSProp)
	adam := AdamOptions{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
	registry.Add(&c.Optimizers, "adam", adam, NewAdam)
	adam.WeightDecay = 0.01
	registry.Add(&c.Optimizers, "adamw", AdamWOptions{adam}, NewAdamW)
	registerSchedules(c)
	registerForcings(c)
}

// GradNorm is the Euclidean norm of the gradients of all parameters that are not
// frozen together. It is NaN or infinite if any gradient is.
func GradNorm(p *autodiff.Params) float64 {
	s := squaresPool.Get().(*squares)
	defer squaresPool.Put(s)
	s.params, s.sums = p.All(), s.sums[:0]
	size := 0
	for _, v := range s.params {
		size += v.Size()
		s.sums = append(s.sums, 0)
	}
	kernel.Parallel(len(s.params), size/8, s)
	sum := 0.0
	for _, x := range s.sums {
		sum += x
	}
	s.params = nil // it must keep no memory alive
	return math.Sqrt(sum)
}

var squaresPool = sync.Pool{New: func() any { return new(squares) }}

// squares are the sums of the squares of each parameter's gradient, 0 of one that
// is frozen.
type squares struct {
	params []*autodiff.Var
	sums   []float64
}

// Range computes those of parameters.
func (s *squares) Range(from, to int) {
	for i := from; i < to; i++ {
		if v := s.params[i]; !v.Frozen() {
			s.sums[i] = kernel.SumSquares(autodiff.Grad[float32](v))
		}
	}
}

// ClipScale is what the gradients have to be multiplied by so that their norm
// is at most limit (Pascanu et al. 2013); a limit of 0 allows any. The small
// constant is PyTorch's.
func ClipScale(norm, limit float64) float64 {
	if limit == 0 || norm <= limit {
		return 1
	}
	return limit / (norm + 1e-6)
}

// ClipValues limits each gradient to [-limit, limit].
func ClipValues(p *autodiff.Params, limit float64) {
	for _, v := range p.All() {
		if !v.Frozen() {
			kernel.Clamp(autodiff.Grad[float32](v), float32(limit))
		}
	}
}

// parameter is one that is trained, with the factors of its group.
type parameter struct {
	*autodiff.Var
	lr, decay float64
}

func (p parameter) values() []float32 { return autodiff.Values[float32](p.Var) }
func (p parameter) grad() []float32   { return autodiff.Grad[float32](p.Var) }

func parameters(d components.OptimizerDeps) []parameter {
	var all []parameter
	for _, v := range d.Params.Trainable() {
		g := d.Groups.Of(v.Name())
		all = append(all, parameter{v, g.LR, g.WeightDecay})
	}
	return all
}

// buffers is a vector a parameter, which lie side by side.
type buffers [][]float32

func newBuffers(params []parameter) buffers {
	size := 0
	for _, p := range params {
		size += p.Size()
	}
	all := kernel.Memory[float32](size)
	b := make(buffers, len(params))
	for i, p := range params {
		b[i], all = all[:p.Size():p.Size()], all[p.Size():]
	}
	return b
}

// buffersIf is newBuffers, or buffers of nil.
func buffersIf(wanted bool, params []parameter) buffers {
	if !wanted {
		return make(buffers, len(params))
	}
	return newBuffers(params)
}

func (b buffers) add(state map[string][]float32, name string, params []parameter) {
	for i, values := range b {
		if values != nil {
			state[name+"."+params[i].Name()] = values
		}
	}
}
