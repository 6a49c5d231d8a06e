package optimizer

import (
	"errors"

	"exp/components"
	"exp/components/kernel"
	"exp/registry"
)

// AdagradOptions configures Adagrad.
type AdagradOptions struct {
	LR           float64 `toml:"lr" doc:"learning rate"`
	LRDecay      float64 `toml:"lr_decay" doc:"update n, from 0, has the rate lr / (1 + lr_decay n)"`
	InitialValue float64 `toml:"initial_accumulator_value" doc:"what the sums of squares start from"`
	Epsilon      float64 `toml:"epsilon" doc:"added to the root of the sum of squares"`
	WeightDecay  float64 `toml:"weight_decay" doc:"share of the weights that is added to the gradient"`
}

// Doc describes the component.
func (AdagradOptions) Doc() string {
	return "Adagrad (Duchi et al. 2011), as PyTorch defines it: g = gradient + weight_decay w; s = s + g²; w = w - lr g / (√s + epsilon)."
}

// Validate reports every value out of range.
func (o AdagradOptions) Validate() error {
	return errors.Join(registry.Positive("lr", o.LR), registry.AtLeast("lr_decay", o.LRDecay, 0),
		registry.AtLeast("initial_accumulator_value", o.InitialValue, 0), registry.Positive("epsilon", o.Epsilon),
		registry.AtLeast("weight_decay", o.WeightDecay, 0))
}

type adagrad struct {
	o      AdagradOptions
	params []parameter
	sum    buffers
}

// NewAdagrad builds Adagrad.
func NewAdagrad(o AdagradOptions, d components.OptimizerDeps) (components.Optimizer, error) {
	a := &adagrad{o: o, params: parameters(d)}
	a.sum = newBuffers(a.params)
	for _, sum := range a.sum {
		for i := range sum {
			sum[i] = float32(o.InitialValue)
		}
	}
	return a, nil
}

func (a *adagrad) LearningRate() float64 { return a.o.LR }

// Step is one update.
func (a *adagrad) Step(n int, lr, scale float64) (finite bool) {
	lr /= 1 + float64(a.o.LRDecay*float64(n-1))
	finite = true
	for i, p := range a.params {
		finite = kernel.AdagradStep(p.values(), p.grad(), a.sum[i], kernel.Adagrad[float32]{
			LR: float32(lr * p.lr), Epsilon: float32(a.o.Epsilon), GradScale: float32(scale), Decay: float32(a.o.WeightDecay * p.decay),
		}) && finite
	}
	return finite
}

// State is the sums of squares.
func (a *adagrad) State() map[string][]float32 {
	state := map[string][]float32{}
	a.sum.add(state, "sum", a.params)
	return state
}
