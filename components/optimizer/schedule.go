package optimizer

import (
	"errors"
	"math"

	"exp/components"
	"exp/registry"
)

func registerSchedules(c *components.Catalog) {
	registry.Add(&c.Schedules, "constant", ConstantOptions{}, NewConstant)
	registry.Add(&c.Schedules, "linear", LinearOptions{Warmup{Share: 0.05}}, NewLinear)
	registry.Add(&c.Schedules, "step", StepOptions{Every: 1000, Gamma: 0.5}, NewStep)
	registry.Add(&c.Schedules, "exponential", ExponentialOptions{Every: 1000, Gamma: 0.5}, NewExponential)
	registry.Add(&c.Schedules, "cosine", CosineOptions{}, NewCosine)
	registry.Add(&c.Schedules, "inverse_sqrt", InverseSqrtOptions{Warmup{Steps: 4000}}, NewInverseSqrt)
	registry.Add(&c.Schedules, "plateau", PlateauOptions{Metric: "loss", Gamma: 0.1, Patience: 10, Threshold: 1e-4}, NewPlateau)
}

// Warmup is what every schedule begins with. Update n < w of a warmup of w updates
// has the factor n/w.
type Warmup struct {
	Share float64 `toml:"warmup" oneof:"warmup" doc:"share of the updates over which the rate rises from 0, in [0, 1)"`
	Steps int     `toml:"warmup_steps" oneof:"warmup" doc:"the same in updates"`
}

// Validate reports every value out of range.
func (o Warmup) Validate() error {
	return errors.Join(registry.InRange("warmup", o.Share, 0, 1), registry.AtLeast("warmup_steps", o.Steps, 0))
}

// length is w, which need not be whole. An error says that the training's length
// must be known.
func (o Warmup) length(d components.ScheduleDeps) (float64, error) {
	if o.Share > 0 && d.Steps == 0 {
		return 0, unknownLength("warmup")
	}
	return o.Share*float64(d.Steps) + float64(o.Steps), nil
}

func unknownLength(key string) error {
	return registry.Fault{Key: key, Problem: "needs to know the number of updates, which train.seconds leaves open"}
}

// warmed is a schedule after a warmup.
type warmed struct {
	warmup float64
	after  func(n float64) float64
}

// Factor multiplies the learning rate of update n.
func (s warmed) Factor(n int) float64 {
	now := float64(n)
	if now < s.warmup {
		return now / s.warmup
	}
	return s.after(now)
}

// newWarmed is a schedule that has the factor after(n) from the end of the warmup on.
func newWarmed(o Warmup, d components.ScheduleDeps, after func(n, warmup float64) float64) (components.Schedule, error) {
	w, err := o.length(d)
	return warmed{w, func(n float64) float64 { return after(n, w) }}, err
}

// ConstantOptions configures the constant schedule.
type ConstantOptions struct{ Warmup }

// Doc describes the component.
func (ConstantOptions) Doc() string { return "The learning rate does not change." }

// NewConstant builds the constant schedule.
func NewConstant(o ConstantOptions, d components.ScheduleDeps) (components.Schedule, error) {
	return newWarmed(o.Warmup, d, func(_, _ float64) float64 { return 1 })
}

// LinearOptions configures the linear schedule.
type LinearOptions struct{ Warmup }

// Doc describes the component.
func (LinearOptions) Doc() string {
	return "The learning rate rises linearly over the warmup, then falls linearly to reach 0 one update after the last."
}

// NewLinear builds the linear schedule: the factor is 1-progress.
func NewLinear(o LinearOptions, d components.ScheduleDeps) (components.Schedule, error) {
	if d.Steps == 0 {
		return nil, unknownLength("type")
	}
	steps := float64(d.Steps)
	// (steps+1-n)/(steps+1-warmup), so that the last update still moves
	return newWarmed(o.Warmup, d, func(n, warmup float64) float64 { return (steps + 1 - n) / (steps + 1 - warmup) })
}

// StepOptions configures the step schedule.
type StepOptions struct {
	Warmup
	Every int     `toml:"every" doc:"updates between two steps, the first after the warmup"`
	Gamma float64 `toml:"gamma" doc:"multiplies the rate at each, in (0, 1]"`
}

// Doc describes the component.
func (StepOptions) Doc() string {
	return "The learning rate is multiplied by gamma after every so many updates."
}

// Validate reports every value out of range.
func (o StepOptions) Validate() error {
	return errors.Join(o.Warmup.Validate(), registry.AtLeast("every", o.Every, 1), validateGamma(o.Gamma))
}

func validateGamma(gamma float64) error {
	if gamma > 0 && gamma <= 1 {
		return nil
	}
	return registry.Fault{Key: "gamma", Problem: "must be in (0, 1], is " + registry.Format(gamma)}
}

// NewStep builds the step schedule.
func NewStep(o StepOptions, d components.ScheduleDeps) (components.Schedule, error) {
	return newWarmed(o.Warmup, d, func(n, warmup float64) float64 {
		return math.Pow(o.Gamma, math.Floor((n-max(1, warmup))/float64(o.Every)))
	})
}

// ExponentialOptions configures the exponential schedule.
type ExponentialOptions struct {
	Warmup
	Every int     `toml:"every" doc:"updates in which the rate falls by gamma, from the end of the warmup on"`
	Gamma float64 `toml:"gamma" doc:"multiplies the rate in that time, in (0, 1]"`
}

// Doc describes the component.
func (ExponentialOptions) Doc() string {
	return "The learning rate falls by the same share in every update."
}

// Validate reports every value out of range.
func (o ExponentialOptions) Validate() error { return StepOptions(o).Validate() }

// NewExponential builds the exponential schedule.
func NewExponential(o ExponentialOptions, d components.ScheduleDeps) (components.Schedule, error) {
	return newWarmed(o.Warmup, d, func(n, warmup float64) float64 {
		return math.Pow(o.Gamma, (n-max(1, warmup))/float64(o.Every))
	})
}

// CosineOptions configures the cosine schedule.
type CosineOptions struct {
	Warmup
	Final float64 `toml:"final" doc:"what the rate falls to, as a share of the highest, in [0, 1)"`
}

// Doc describes the component.
func (CosineOptions) Doc() string {
	return "The learning rate falls from the warmup to one update after the last as half a period of a cosine, without restarts (Loshchilov & Hutter 2017, equation 5)."
}

// Validate reports every value out of range.
func (o CosineOptions) Validate() error {
	return errors.Join(o.Warmup.Validate(), registry.InRange("final", o.Final, 0, 1))
}

// NewCosine builds the cosine schedule. Its progress is that of the linear one.
func NewCosine(o CosineOptions, d components.ScheduleDeps) (components.Schedule, error) {
	if d.Steps == 0 {
		return nil, unknownLength("type")
	}
	steps := float64(d.Steps)
	return newWarmed(o.Warmup, d, func(n, warmup float64) float64 {
		progress := (n - warmup) / (steps + 1 - warmup)
		return o.Final + float64((1-o.Final)/2*(1+math.Cos(math.Pi*progress)))
	})
}

// InverseSqrtOptions configures the inverse square root schedule.
type InverseSqrtOptions struct{ Warmup }

// Doc describes the component.
func (InverseSqrtOptions) Doc() string {
	return "The learning rate rises linearly over a warmup of w updates, then falls as √(w/n) (Vaswani et al. 2017, equation 3, whose rate at the end of the warmup, the highest, is 1/√(model size w): here that is lr)."
}

// Validate reports every value out of range.
func (o InverseSqrtOptions) Validate() error {
	if o.Share == 0 && o.Steps == 0 {
		return registry.Fault{Key: "warmup_steps", Problem: "must be at least 1, or warmup above 0"}
	}
	return o.Warmup.Validate()
}

// NewInverseSqrt builds the inverse square root schedule.
func NewInverseSqrt(o InverseSqrtOptions, d components.ScheduleDeps) (components.Schedule, error) {
	return newWarmed(o.Warmup, d, func(n, warmup float64) float64 { return math.Sqrt(max(1, warmup) / n) })
}

// PlateauOptions configures the plateau schedule.
type PlateauOptions struct {
	Warmup
	Metric    string  `toml:"metric" doc:"one of evaluate.metrics, on the validation split"`
	Gamma     float64 `toml:"gamma" doc:"multiplies the rate, in (0, 1]"`
	Patience  int     `toml:"patience" doc:"evaluations without improvement that are put up with; the next one lowers the rate"`
	Threshold float64 `toml:"threshold" doc:"least improvement that counts, as a share of the best value"`
	Cooldown  int     `toml:"cooldown" doc:"evaluations after the rate was lowered that do not count"`
	Floor     float64 `toml:"floor" doc:"what the rate does not fall below, as a share of lr, in [0, 1)"`
}

// Doc describes the component.
func (PlateauOptions) Doc() string {
	return "The learning rate is multiplied by gamma when a metric has stopped improving, as PyTorch's ReduceLROnPlateau with its relative threshold."
}

// Validate reports every value out of range.
func (o PlateauOptions) Validate() error {
	return errors.Join(o.Warmup.Validate(), validateGamma(o.Gamma), registry.AtLeast("patience", o.Patience, 0),
		registry.AtLeast("threshold", o.Threshold, 0), registry.AtLeast("cooldown", o.Cooldown, 0), registry.InRange("floor", o.Floor, 0, 1))
}

// plateau keeps what it remembers in one slice, as its State is.
type plateau struct {
	o      PlateauOptions
	warmup float64
	state  []float64
}

const (
	factorState = iota
	bestState   // NaN before the first evaluation
	badState    // evaluations since without improvement
	coolState   // evaluations that do not count yet
	plateauStates
)

// NewPlateau builds the plateau schedule.
func NewPlateau(o PlateauOptions, d components.ScheduleDeps) (components.Schedule, error) {
	w, err := o.length(d)
	p := &plateau{o: o, warmup: w, state: make([]float64, plateauStates)}
	p.state[factorState], p.state[bestState] = 1, math.NaN()
	return p, err
}

// Factor multiplies the learning rate of update n.
func (p *plateau) Factor(n int) float64 {
	return p.state[factorState] * min(1, float64(n)/max(1, p.warmup))
}

// Follows is the metric.
func (p *plateau) Follows() string { return p.o.Metric }

// State is all that there is.
func (p *plateau) State() []float64 { return p.state }

// Evaluated lowers the rate where the metric has not improved for long enough.
func (p *plateau) Evaluated(value float64, higherIsBetter bool) {
	s := p.state
	improved := value < s[bestState]*(1-p.o.Threshold)
	if higherIsBetter {
		improved = value > s[bestState]*(1+p.o.Threshold)
	}
	if improved || math.IsNaN(s[bestState]) {
		s[bestState], s[badState] = value, 0
	} else {
		s[badState]++
	}
	if s[coolState] > 0 {
		s[coolState]--
		s[badState] = 0
	}
	if s[badState] > float64(p.o.Patience) {
		s[factorState] = max(s[factorState]*p.o.Gamma, p.o.Floor)
		s[coolState], s[badState] = float64(p.o.Cooldown), 0
	}
}
