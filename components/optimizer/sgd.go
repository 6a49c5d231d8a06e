package optimizer

import (
	"errors"

	"exp/components"
	"exp/components/kernel"
	"exp/registry"
)

// SGDOptions configures stochastic gradient descent.
type SGDOptions struct {
	LR          float64 `toml:"lr" doc:"learning rate"`
	Momentum    float64 `toml:"momentum" doc:"share of the last update's velocity that is kept (Polyak 1964), in [0, 1)"`
	Nesterov    bool    `toml:"nesterov" doc:"look ahead along the velocity (Sutskever et al. 2013)"`
	WeightDecay float64 `toml:"weight_decay" doc:"share of the weights that is added to the gradient"`
}

// Doc describes the component.
func (SGDOptions) Doc() string {
	return "Stochastic gradient descent, as PyTorch defines it: g = gradient + weight_decay w; v = momentum v + g; w = w - lr v, or w - lr (g + momentum v) with nesterov."
}

// Validate reports every value out of range.
func (o SGDOptions) Validate() error {
	err := errors.Join(registry.Positive("lr", o.LR), registry.InRange("momentum", o.Momentum, 0, 1), registry.AtLeast("weight_decay", o.WeightDecay, 0))
	if o.Nesterov && o.Momentum == 0 {
		err = errors.Join(err, registry.Fault{Key: "nesterov", Problem: "needs a momentum above 0"})
	}
	return err
}

type sgd struct {
	o        SGDOptions
	params   []parameter
	velocity buffers // of nil without momentum
}

// NewSGD builds stochastic gradient descent.
func NewSGD(o SGDOptions, d components.OptimizerDeps) (components.Optimizer, error) {
	s := &sgd{o: o, params: parameters(d)}
	s.velocity = buffersIf(o.Momentum > 0, s.params)
	return s, nil
}

func (s *sgd) LearningRate() float64 { return s.o.LR }

// Step is one update.
func (s *sgd) Step(_ int, lr, scale float64) (finite bool) {
	finite = true
	for i, p := range s.params {
		finite = kernel.SGDStep(p.values(), p.grad(), s.velocity[i], kernel.SGD[float32]{
			LR: float32(lr * p.lr), Momentum: float32(s.o.Momentum), Nesterov: s.o.Nesterov,
			GradScale: float32(scale), Decay: float32(s.o.WeightDecay * p.decay),
		}) && finite
	}
	return finite
}

// State is the velocities.
func (s *sgd) State() map[string][]float32 {
	state := map[string][]float32{}
	s.velocity.add(state, "velocity", s.params)
	return state
}
