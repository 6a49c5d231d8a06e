package train

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"exp/components"
	"exp/components/autodiff"
	"exp/registry"
)

// Check says whether the model can be built and can read the data, without
// making it, and how many parameters it has.
func Check(c Config) (parameters int, err error) {
	m, err := components.NewModel(c.Parts, autodiff.Declare(), c.Data.SourceSize(), c.Data.Target.Size())
	if err != nil {
		return 0, err
	}
	if err := m.ReadSource(c.Data.Source); err != nil {
		return 0, err
	}
	groups, err := c.Training.ParameterGroups()
	if err != nil {
		return 0, err
	}
	if err := groups.Freeze(m.Params); err != nil {
		return 0, registry.Under("train", err)
	}
	if err := c.checkForcing(m); err != nil {
		return 0, err
	}
	if err := c.checkDecoding(m); err != nil {
		return 0, err
	}
	if err := m.CheckEmbeddings(c.Data.Source, c.Data.Target, c.Loaded); err != nil {
		return 0, err
	}
	if c.Weights != nil {
		if err := checkWeights(m.Params, *c.Weights, ""); err != nil {
			return 0, registry.Under("train.init_from", prefixed(c.Training.InitFrom, err))
		}
		if c.Loaded != (components.Loaded{}) {
			return 0, errors.New("train.init_from: gives the embeddings too; leave out the files of model.embeddings")
		}
	}
	for _, s := range c.splits() {
		if s.Len() == 0 {
			return 0, fmt.Errorf("task: the %s split is empty", s.name)
		}
	}
	if err := checkAligned(m, c.splits()); err != nil {
		return 0, err
	}
	source, sourceOption, target, targetOption := m.MaxLengths()
	if source == 0 && target == 0 {
		return m.Params.Count(), nil
	}
	for _, s := range c.splits() {
		for i := range s.Len() {
			p := s.Pair(i)
			if steps := m.EncoderSteps(p.SourceSteps()); source > 0 && steps > source {
				return 0, fmt.Errorf("%s: is %d, and pair %d of the %s split has a source of %d %s", sourceOption, source, i+1, s.name, steps, c.sourceUnit())
			}
			if target > 0 && len(p.Target)+1 > target {
				return 0, fmt.Errorf("%s: is %d, and pair %d of the %s split has a target of %d tokens, its end included", targetOption, target, i+1, s.name, len(p.Target)+1)
			}
		}
	}
	if decodes(c.Metrics) {
		return m.Params.Count(), c.checkMaxLength(m)
	}
	return m.Params.Count(), nil
}

// checkMaxLength says that hypotheses are longer than the decoder can read.
func (c Config) checkMaxLength(m *components.Model) error {
	_, _, target, option := m.MaxLengths()
	if target > 0 && c.Evaluation.MaxLength > target {
		return fmt.Errorf("evaluate.max_length: is %d, and %s allows hypotheses of %d tokens", c.Evaluation.MaxLength, option, target)
	}
	return nil
}

// checkForcing says that scheduled sampling has nothing to replace.
func (c Config) checkForcing(m *components.Model) error {
	if c.Forcing == nil || !m.Aligned() {
		return nil
	}
	s, err := c.Forcing(components.ScheduleDeps{Steps: 1})
	if err == nil && s.Factor(1_000_000) < 1 {
		err = registry.Fault{Key: "type", Problem: "replaces tokens that the decoder reads, and this one reads none"}
	}
	return registry.Under("train.teacher_forcing", err)
}

// checkDecoding says which options of decoding neither the model nor the data allow.
func (c Config) checkDecoding(m *components.Model) error {
	if err := c.Evaluation.DecodingOptions.Check(m); err != nil {
		return err
	}
	o, err := c.Decoding()
	if n := len(o.Forced); err == nil && n > o.MaxLength {
		err = fmt.Errorf("evaluate.prefix: has %d tokens, and evaluate.max_length is %d", n, o.MaxLength)
	}
	return err
}

func (c Config) sourceUnit() string {
	if c.Data.Source == nil {
		return "vectors"
	}
	return "tokens"
}

// checkAligned says which pair a model that says a class a step cannot learn.
func checkAligned(m *components.Model, splits []namedSplit) error {
	if !m.Aligned() {
		return nil
	}
	for _, s := range splits {
		for i := range s.Len() {
			p := s.Pair(i)
			if steps := m.MemorySteps(p.SourceSteps()); len(p.Target) != steps {
				return fmt.Errorf("model.decoder: says a class a step of the memory, and pair %d of the %s split has %d steps and a target of %d tokens", i+1, s.name, steps, len(p.Target))
			}
			if slices.ContainsFunc(p.Target, func(token int32) bool { return token < components.NumSpecial }) {
				return fmt.Errorf("model.decoder: has a class a token of the vocabulary, and the target of pair %d of the %s split has a token that is not in it", i+1, s.name)
			}
		}
	}
	return nil
}

// prefixed says of each error in which file it is.
func prefixed(path string, err error) error {
	var errs []error
	for _, e := range registry.Split(err) {
		errs = append(errs, fmt.Errorf("%s: %w", path, e))
	}
	return errors.Join(errs...)
}

type namedSplit struct {
	name string
	components.Split
}

func (c Config) splits() []namedSplit {
	return []namedSplit{{"train", c.Data.Train}, {"valid", c.Data.Valid}, {"test", c.Data.Test}}
}

// Value is a number of a metric of a split, of the model at a step, under the name
// that it has by [components.Breakdown.Names].
type Value struct {
	Step        int
	Split, Name string
	Value       float64
}

// Measure evaluates the trained model that the checkpoint holds on the validation
// and the test split, as the end of its training has. It calls reading before it
// reads the test split.
func Measure(c Config, reading func(step int) error) ([]Value, error) {
	t, err := newTrial(c, discard{})
	if err != nil {
		return nil, err
	}
	if err := t.resume(); err != nil {
		return nil, err
	}
	if !t.done() {
		return nil, fmt.Errorf("%s: is of step %d of %d, not of a trained model", c.Checkpoint, t.step, t.steps)
	}
	var values []Value
	measure := func(name string, split components.Split, step int) {
		measured, _ := t.measure(name, split, step)
		values = append(values, measured...)
	}
	t.averages.swap()
	measure("valid", t.Data.Valid, t.step)
	t.averages.swap()
	if err := reading(t.testStep()); err != nil {
		return nil, err
	}
	t.averages.use()
	measure("test", t.Data.Test, t.testStep())
	return values, nil
}

// Steps is how many updates a training takes that is not stopped early, 0 where that
// is not known before its end.
func Steps(c Config) (int, error) {
	if c.Training.Epochs == 0 && c.Training.Tokens == 0 {
		return c.Training.Steps, nil
	}
	m, err := components.NewModel(c.Parts, autodiff.Declare(), c.Data.SourceSize(), c.Data.Target.Size())
	if err != nil {
		return 0, err
	}
	steps, _ := c.length(m.Aligned())
	return steps, nil
}

// Rates is the learning rate over a training, as far as that is known before it.
type Rates struct {
	Steps   []int // the updates at which it is given, from 1
	Values  []float64
	Known   bool   // whether the last is that of the training; else it ends by the clock
	Follows string // the metric that lowers the rate further, "" for none
}

// openSteps is how many updates are shown of a training that ends by the clock.
const openSteps = 10_000

// NewRates returns the learning rate at up to so many updates, evenly over the
// training. The configuration must have passed [Check].
func NewRates(c Config, points int) (*Rates, error) {
	steps, err := Steps(c)
	if err != nil {
		return nil, err
	}
	o, err := c.Optimizer(components.OptimizerDeps{Params: autodiff.Declare()})
	if err != nil {
		return nil, fmt.Errorf("train.optimizer: %w", err)
	}
	s, err := c.Schedule(components.ScheduleDeps{Steps: steps})
	if err != nil {
		return nil, fmt.Errorf("train.schedule: %w", err)
	}
	r := &Rates{Known: steps > 0}
	if f, ok := s.(components.Following); ok {
		r.Follows = f.Follows()
	}
	if !r.Known {
		steps = openSteps
	}
	points = min(points, steps)
	for i := range points {
		n := 1 + i*(steps-1)/max(1, points-1)
		r.Steps = append(r.Steps, n)
		r.Values = append(r.Values, o.LearningRate()*s.Factor(n))
	}
	return r, nil
}

// Estimate is how long a training takes on one core of this machine, from a few
// steps of it and a part of an evaluation.
type Estimate struct {
	Steps      int // updates, if early stopping does not end them
	Training   time.Duration
	Evaluation time.Duration // all of them
}

// Time trains for about the time given, and says how long the whole would take.
// A model that has not learned yet may decode for longer than it will.
func Time(c Config, budget time.Duration) (Estimate, error) {
	c.Checkpoint = ""
	t, err := newTrial(c, discard{})
	if err != nil {
		return Estimate{}, err
	}
	defer t.close()
	if err := t.update(); err != nil { // the first one allocates
		return Estimate{}, err
	}
	steps := 0
	started := time.Now()
	for (time.Since(started) < budget || steps < 2) && (t.steps == 0 || t.step < t.steps) {
		if err := t.update(); err != nil {
			return Estimate{}, err
		}
		steps++
	}
	step := time.Since(started) / time.Duration(max(steps, 1))
	e := Estimate{Steps: t.steps, Training: step * time.Duration(t.steps)}
	if t.steps == 0 {
		e.Training = time.Duration(c.Training.Seconds * float64(time.Second))
		e.Steps = int(e.Training / step)
	}

	evaluations := (e.Steps + c.Evaluation.Every - 1) / c.Evaluation.Every
	pairs := evaluations*c.Data.Valid.Len() + c.Data.Test.Len()
	sample := sample{c.Data.Valid, min(c.Data.Valid.Len(), c.Evaluation.BatchSize)}
	if sample.n == 0 {
		return e, nil
	}
	started = time.Now()
	Evaluate(t.model, t.tape, t.Data, sample, t.Evaluation.BatchSize, t.decodes())
	e.Evaluation = time.Since(started) / time.Duration(sample.n) * time.Duration(pairs)
	return e, nil
}

// sample is n pairs of a split, spread over it.
type sample struct {
	components.Split
	n int
}

func (s sample) Len() int                   { return s.n }
func (s sample) Pair(i int) components.Pair { return s.Split.Pair(i * s.Split.Len() / s.n) }

// discard is a Sink that keeps nothing.
type discard struct{}

func (discard) Metric(int, string, string, float64) error { return nil }
func (discard) Measurement(int, string, float64) error    { return nil }
func (discard) Reading(int, string) error                 { return nil }
func (discard) Resume(int, int) error                     { return nil }
func (discard) Sync() error                               { return nil }
func (discard) Progress(int, float64)                     {}
func (discard) Warn(error)                                {}
