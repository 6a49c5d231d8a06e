// Package optimizer has the optimizers, as PyTorch defines them, the learning
// rate schedules, and clipping.
package optimizer

import (
	"errors"
	"math"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/kernel"
	"exp/registry"
)

// Register enters this package's optimizers and schedules.
func Register(c *components.Catalog) {
	registry.Add(&c.Optimizers, "sgd", SGDOptions{LR: 0.1}, NewSGD)
	registry.Add(&c.Optimizers, "adam", AdamOptions{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}, NewAdam)
	registry.Add(&c.Schedules, "constant", ConstantOptions{}, NewConstant)
	registry.Add(&c.Schedules, "linear", LinearOptions{Warmup: 0.05}, NewLinear)
}

// GradNorm is the Euclidean norm of the gradients of all parameters that are not
// frozen together. It is NaN or infinite if any gradient is.
func GradNorm(p *autodiff.Params) float64 {
	sum := 0.0
	for _, v := range p.All() {
		if v.Frozen() {
			continue
		}
		sum += kernel.SumSquares(autodiff.Grad[float32](v))
	}
	return math.Sqrt(sum)
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

// SGDOptions configures stochastic gradient descent.
type SGDOptions struct {
	LR       float64 `toml:"lr" doc:"learning rate"`
	Momentum float64 `toml:"momentum" doc:"share of the last update's velocity that is kept (Polyak 1964), in [0, 1)"`
	Nesterov bool    `toml:"nesterov" doc:"look ahead along the velocity (Sutskever et al. 2013)"`
}

// Doc describes the component.
func (SGDOptions) Doc() string {
	return "Stochastic gradient descent, as PyTorch defines it: v = momentum v + g; w = w - lr v, or w - lr (g + momentum v) with nesterov."
}

// Validate reports every value out of range.
func (o SGDOptions) Validate() error {
	err := errors.Join(registry.Positive("lr", o.LR), registry.InRange("momentum", o.Momentum, 0, 1))
	if o.Nesterov && o.Momentum == 0 {
		err = errors.Join(err, registry.Fault{Key: "nesterov", Problem: "needs a momentum above 0"})
	}
	return err
}

type sgd struct {
	o        SGDOptions
	params   []*autodiff.Var
	velocity buffers // nil without momentum
}

// NewSGD builds stochastic gradient descent.
func NewSGD(o SGDOptions, d components.OptimizerDeps) (components.Optimizer, error) {
	s := &sgd{o: o, params: d.Params.Trainable()}
	if o.Momentum > 0 {
		s.velocity = newBuffers(s.params)
	}
	return s, nil
}

func (s *sgd) LearningRate() float64 { return s.o.LR }

// Step is one update.
func (s *sgd) Step(_ int, lr, scale float64) {
	for i, p := range s.params {
		var velocity []float32
		if s.velocity != nil {
			velocity = s.velocity[i]
		}
		kernel.SGDStep(autodiff.Values[float32](p), autodiff.Grad[float32](p), velocity,
			float32(lr), float32(s.o.Momentum), s.o.Nesterov, float32(scale))
	}
}

// State is the velocities.
func (s *sgd) State() map[string][]float32 {
	state := map[string][]float32{}
	s.velocity.add(state, "velocity", s.params)
	return state
}

// AdamOptions configures Adam.
type AdamOptions struct {
	LR      float64 `toml:"lr" doc:"learning rate"`
	Beta1   float64 `toml:"beta1" doc:"decay of the mean of the gradient, in [0, 1)"`
	Beta2   float64 `toml:"beta2" doc:"decay of the mean of its square, in [0, 1)"`
	Epsilon float64 `toml:"epsilon" doc:"added to the root of the mean square"`
}

// Doc describes the component.
func (AdamOptions) Doc() string {
	return "Adam (Kingma & Ba 2015), as PyTorch defines it: epsilon is added after the bias correction."
}

// Validate reports every value out of range.
func (o AdamOptions) Validate() error {
	return errors.Join(registry.Positive("lr", o.LR), registry.InRange("beta1", o.Beta1, 0, 1),
		registry.InRange("beta2", o.Beta2, 0, 1), registry.Positive("epsilon", o.Epsilon))
}

type adam struct {
	o            AdamOptions
	params       []*autodiff.Var
	mean, square buffers
}

// NewAdam builds Adam.
func NewAdam(o AdamOptions, d components.OptimizerDeps) (components.Optimizer, error) {
	a := &adam{o: o, params: d.Params.Trainable()}
	a.mean, a.square = newBuffers(a.params), newBuffers(a.params)
	return a, nil
}

func (a *adam) LearningRate() float64 { return a.o.LR }

// Step is one update.
func (a *adam) Step(n int, lr, scale float64) {
	beta1, beta2 := float32(a.o.Beta1), float32(a.o.Beta2)
	// From the rounded decays, which the means are made with: 1-beta2 is off by
	// a part in 80,000 at 0.999, and so would the first corrected means be.
	correction1 := 1 - math.Pow(float64(beta1), float64(n))
	correction2 := 1 - math.Pow(float64(beta2), float64(n))
	for i, p := range a.params {
		kernel.AdamStep(autodiff.Values[float32](p), autodiff.Grad[float32](p), a.mean[i], a.square[i],
			float32(lr), beta1, beta2, float32(a.o.Epsilon), float32(correction1), float32(correction2), float32(scale))
	}
}

// State is the two means.
func (a *adam) State() map[string][]float32 {
	state := map[string][]float32{}
	a.mean.add(state, "mean", a.params)
	a.square.add(state, "square", a.params)
	return state
}

// buffers is a vector a parameter.
type buffers [][]float32

func newBuffers(params []*autodiff.Var) buffers {
	b := make(buffers, len(params))
	for i, p := range params {
		b[i] = make([]float32, p.Size())
	}
	return b
}

func (b buffers) add(state map[string][]float32, name string, params []*autodiff.Var) {
	for i, values := range b {
		state[name+"."+params[i].Name()] = values
	}
}
