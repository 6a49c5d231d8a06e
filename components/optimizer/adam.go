package optimizer

import (
	"errors"
	"math"

	"exp/components"
	"exp/components/kernel"
	"exp/registry"
)

// AdamOptions configures Adam.
type AdamOptions struct {
	LR          float64 `toml:"lr" doc:"learning rate"`
	Beta1       float64 `toml:"beta1" doc:"decay of the mean of the gradient, in [0, 1)"`
	Beta2       float64 `toml:"beta2" doc:"decay of the mean of its square, in [0, 1)"`
	Epsilon     float64 `toml:"epsilon" doc:"added to the root of the mean square"`
	WeightDecay float64 `toml:"weight_decay" doc:"share of the weights that adam adds to the gradient, and that adamw, times the learning rate, takes off the weights"`
}

// Doc describes the component.
func (AdamOptions) Doc() string {
	return "Adam (Kingma & Ba 2015), as PyTorch defines it: epsilon is added after the bias correction."
}

// Validate reports every value out of range.
func (o AdamOptions) Validate() error {
	return errors.Join(registry.Positive("lr", o.LR), registry.InRange("beta1", o.Beta1, 0, 1),
		registry.InRange("beta2", o.Beta2, 0, 1), registry.Positive("epsilon", o.Epsilon), registry.AtLeast("weight_decay", o.WeightDecay, 0))
}

// AdamWOptions configures AdamW.
type AdamWOptions struct{ AdamOptions }

// Doc describes the component.
func (AdamWOptions) Doc() string {
	return "Adam with decoupled weight decay (Loshchilov & Hutter 2019), as PyTorch defines it: w = w - lr weight_decay w beside Adam's update, which does not see it. The schedule is part of lr."
}

type adam struct {
	o            AdamOptions
	decoupled    bool
	params       []parameter
	mean, square buffers
}

// NewAdam builds Adam.
func NewAdam(o AdamOptions, d components.OptimizerDeps) (components.Optimizer, error) {
	a := &adam{o: o, params: parameters(d)}
	a.mean, a.square = newBuffers(a.params), newBuffers(a.params)
	return a, nil
}

// NewAdamW builds AdamW.
func NewAdamW(o AdamWOptions, d components.OptimizerDeps) (components.Optimizer, error) {
	a := &adam{o: o.AdamOptions, decoupled: true, params: parameters(d)}
	a.mean, a.square = newBuffers(a.params), newBuffers(a.params)
	return a, nil
}

func (a *adam) LearningRate() float64 { return a.o.LR }

// Step is one update.
func (a *adam) Step(n int, lr, scale float64) (finite bool) {
	beta1, beta2 := float32(a.o.Beta1), float32(a.o.Beta2)
	// From the rounded decays, which the means are made with: 1-beta2 is off by
	// a part in 80,000 at 0.999, and so would the first corrected means be.
	correction1 := 1 - math.Pow(float64(beta1), float64(n))
	correction2 := 1 - math.Pow(float64(beta2), float64(n))
	finite = true
	for i, p := range a.params {
		o := kernel.Adam[float32]{
			LR: float32(lr * p.lr), Beta1: beta1, Beta2: beta2, Epsilon: float32(a.o.Epsilon),
			Correction1: float32(correction1), Correction2: float32(correction2), GradScale: float32(scale),
		}
		if decay := a.o.WeightDecay * p.decay; a.decoupled {
			o.Shrink = float32(lr * p.lr * decay)
		} else {
			o.Decay = float32(decay)
		}
		finite = kernel.AdamStep(p.values(), p.grad(), a.mean[i], a.square[i], o) && finite
	}
	return finite
}

// State is the two means.
func (a *adam) State() map[string][]float32 {
	state := map[string][]float32{}
	a.mean.add(state, "mean", a.params)
	a.square.add(state, "square", a.params)
	return state
}
