package optimizer

import (
	"errors"
	"fmt"
	"math"

	"exp/components"
	"exp/registry"
)

// Teacher forcing gives a decoder the token before of the target. In scheduled
// sampling (Bengio et al. 2015) it does so with a probability that falls as training
// goes on, and else gives it one drawn from what the model says at that step. The
// components are the decays of section 2.4 of the paper, whose i is n-1 in update n.

func registerForcings(c *components.Catalog) {
	registry.Add(&c.Forcings, "always", AlwaysOptions{}, NewAlways)
	registry.Add(&c.Forcings, "linear", LinearForcingOptions{Start: 1, Slope: 1e-4}, NewLinearForcing)
	registry.Add(&c.Forcings, "exponential", ExponentialForcingOptions{K: 0.9999}, NewExponentialForcing)
	registry.Add(&c.Forcings, "inverse_sigmoid", InverseSigmoidOptions{K: 1000}, NewInverseSigmoid)
}

// probability is a probability of the number of updates before.
type probability func(i float64) float64

// Factor is the probability in update n.
func (p probability) Factor(n int) float64 { return p(float64(n - 1)) }

// AlwaysOptions configures teacher forcing throughout.
type AlwaysOptions struct{}

// Doc describes the component.
func (AlwaysOptions) Doc() string { return "The decoder always reads the target." }

// Validate finds nothing.
func (AlwaysOptions) Validate() error { return nil }

// NewAlways builds teacher forcing throughout.
func NewAlways(AlwaysOptions, components.ScheduleDeps) (components.Schedule, error) {
	return probability(func(float64) float64 { return 1 }), nil
}

// LinearForcingOptions configures the linear decay.
type LinearForcingOptions struct {
	Start float64 `toml:"start" doc:"k, the probability in the first update, in [0, 1]"`
	Slope float64 `toml:"slope" doc:"c, by which it falls in each"`
	End   float64 `toml:"end" doc:"ε, the least, in [0, 1)"`
}

// Doc describes the component.
func (LinearForcingOptions) Doc() string {
	return "Scheduled sampling (Bengio et al. 2015) with linear decay: the decoder reads the target's token with probability max(ε, k - c i), else one drawn from its own softmax."
}

// Validate reports every value out of range.
func (o LinearForcingOptions) Validate() error {
	return errors.Join(validateShare("start", o.Start), registry.AtLeast("slope", o.Slope, 0), registry.InRange("end", o.End, 0, 1))
}

func validateShare(key string, x float64) error {
	if x >= 0 && x <= 1 {
		return nil
	}
	return registry.Fault{Key: key, Problem: fmt.Sprintf("must be in [0, 1], is %v", x)}
}

// NewLinearForcing builds the linear decay.
func NewLinearForcing(o LinearForcingOptions, _ components.ScheduleDeps) (components.Schedule, error) {
	return probability(func(i float64) float64 { return max(o.End, o.Start-float64(o.Slope*i)) }), nil
}

// ExponentialForcingOptions configures the exponential decay.
type ExponentialForcingOptions struct {
	K float64 `toml:"k" doc:"the base, in [0, 1)"`
}

// Doc describes the component.
func (ExponentialForcingOptions) Doc() string {
	return "Scheduled sampling (Bengio et al. 2015) with exponential decay: the decoder reads the target's token with probability k^i, else one drawn from its own softmax."
}

// Validate reports every value out of range.
func (o ExponentialForcingOptions) Validate() error { return registry.InRange("k", o.K, 0, 1) }

// NewExponentialForcing builds the exponential decay.
func NewExponentialForcing(o ExponentialForcingOptions, _ components.ScheduleDeps) (components.Schedule, error) {
	return probability(func(i float64) float64 { return math.Pow(o.K, i) }), nil
}

// InverseSigmoidOptions configures the inverse sigmoid decay.
type InverseSigmoidOptions struct {
	K float64 `toml:"k" doc:"the speed, at least 1"`
}

// Doc describes the component.
func (InverseSigmoidOptions) Doc() string {
	return "Scheduled sampling (Bengio et al. 2015) with inverse sigmoid decay: the decoder reads the target's token with probability k / (k + exp(i/k)), else one drawn from its own softmax."
}

// Validate reports every value out of range.
func (o InverseSigmoidOptions) Validate() error { return registry.AtLeast("k", o.K, 1) }

// NewInverseSigmoid builds the inverse sigmoid decay.
func NewInverseSigmoid(o InverseSigmoidOptions, _ components.ScheduleDeps) (components.Schedule, error) {
	return probability(func(i float64) float64 { return o.K / (o.K + math.Exp(i/o.K)) }), nil
}
