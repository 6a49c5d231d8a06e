package optimizer

import (
	"errors"

	"exp/components"
	"exp/components/kernel"
	"exp/registry"
)

// RMSPropOptions configures RMSProp.
type RMSPropOptions struct {
	LR          float64 `toml:"lr" doc:"learning rate"`
	Alpha       float64 `toml:"alpha" doc:"decay of the mean of the gradient's square, in [0, 1)"`
	Epsilon     float64 `toml:"epsilon" doc:"added to the root of the mean square"`
	Momentum    float64 `toml:"momentum" doc:"share of the last update's velocity that is kept, in [0, 1)"`
	Centered    bool    `toml:"centered" doc:"divide by the root of the variance, the mean square less the square of the mean (Graves 2013)"`
	WeightDecay float64 `toml:"weight_decay" doc:"share of the weights that is added to the gradient"`
}

// Doc describes the component.
func (RMSPropOptions) Doc() string {
	return "RMSProp (Tieleman & Hinton 2012), as PyTorch defines it: g = gradient + weight_decay w; s = alpha s + (1-alpha) g²; v = momentum v + g / (√s + epsilon); w = w - lr v. With centered, s less the square of the mean of g, which is 0 where rounding makes it negative."
}

// Validate reports every value out of range.
func (o RMSPropOptions) Validate() error {
	return errors.Join(registry.Positive("lr", o.LR), registry.InRange("alpha", o.Alpha, 0, 1), registry.Positive("epsilon", o.Epsilon),
		registry.InRange("momentum", o.Momentum, 0, 1), registry.AtLeast("weight_decay", o.WeightDecay, 0))
}

type rmsprop struct {
	o                      RMSPropOptions
	params                 []parameter
	square, mean, velocity buffers // mean of nil unless centred, velocity without momentum
}

// NewRMSProp builds RMSProp.
func NewRMSProp(o RMSPropOptions, d components.OptimizerDeps) (components.Optimizer, error) {
	r := &rmsprop{o: o, params: parameters(d)}
	r.square, r.mean, r.velocity = newBuffers(r.params), buffersIf(o.Centered, r.params), buffersIf(o.Momentum > 0, r.params)
	return r, nil
}

func (r *rmsprop) LearningRate() float64 { return r.o.LR }

// Step is one update.
func (r *rmsprop) Step(_ int, lr, scale float64) (finite bool) {
	finite = true
	for i, p := range r.params {
		finite = kernel.RMSPropStep(p.values(), p.grad(), r.square[i], r.mean[i], r.velocity[i], kernel.RMSProp[float32]{
			LR: float32(lr * p.lr), Keep: float32(r.o.Alpha), Gain: float32(1 - r.o.Alpha), Epsilon: float32(r.o.Epsilon),
			Momentum: float32(r.o.Momentum), GradScale: float32(scale), Decay: float32(r.o.WeightDecay * p.decay),
		}) && finite
	}
	return finite
}

// State is the means and the velocities.
func (r *rmsprop) State() map[string][]float32 {
	state := map[string][]float32{}
	r.square.add(state, "square", r.params)
	r.mean.add(state, "mean", r.params)
	r.velocity.add(state, "velocity", r.params)
	return state
}
