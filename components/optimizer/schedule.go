package optimizer

import (
	"exp/components"
	"exp/registry"
)

// ConstantOptions configures the constant schedule.
type ConstantOptions struct{}

// Doc describes the component.
func (ConstantOptions) Doc() string { return "The learning rate does not change." }

// Validate finds nothing.
func (ConstantOptions) Validate() error { return nil }

type constant struct{}

// NewConstant builds the constant schedule.
func NewConstant(ConstantOptions, components.ScheduleDeps) (components.Schedule, error) {
	return constant{}, nil
}

func (constant) Factor(int) float64 { return 1 }

// LinearOptions configures the linear schedule.
type LinearOptions struct {
	Warmup float64 `toml:"warmup" doc:"share of the updates over which the rate rises from 0, in [0, 1)"`
}

// Doc describes the component.
func (LinearOptions) Doc() string {
	return "The learning rate rises linearly over the warmup, then falls linearly to 0 at the last update."
}

// Validate reports every value out of range.
func (o LinearOptions) Validate() error { return registry.InRange("warmup", o.Warmup, 0, 1) }

type linear struct{ steps, warmup float64 }

// NewLinear builds the linear schedule.
func NewLinear(o LinearOptions, d components.ScheduleDeps) (components.Schedule, error) {
	return linear{steps: float64(d.Steps), warmup: o.Warmup * float64(d.Steps)}, nil
}

// Factor of update n is n/warmup up to the warmup, then (steps+1-n)/(steps+1-warmup),
// so that the last update still moves.
func (l linear) Factor(n int) float64 {
	now := float64(n)
	if now < l.warmup {
		return now / l.warmup
	}
	return (l.steps + 1 - now) / (l.steps + 1 - l.warmup)
}
