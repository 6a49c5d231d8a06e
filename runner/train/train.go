// Package train trains one trial: the loop over batches, the evaluations, the
// checkpoints. It knows nothing of where results are kept: they go to a [Sink].
//
// A trial is a function of its configuration and its seed. Every random choice
// comes from a generator of its own, derived from the seed by name: parameters,
// data order, dropout, scheduled sampling, decoding. Those of a step are a function of the
// number of batches before it. A checkpoint holds the parameters, what the optimizer,
// the schedule and the averages remember, and how far the data were read; all else
// follows from these, so a trial that is interrupted and resumed gives the same
// numbers as one that is not. A training whose length is a time is an exception:
// how many steps that is depends on the machine.
package train

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/kernel"
	"exp/components/optimizer"
	"exp/registry"
	"exp/runner/checkpoint"
	"exp/runner/generate"
)

// Config is a trial to train.
type Config struct {
	Parts      components.Parts
	Optimizer  registry.Build[components.Optimizer, components.OptimizerDeps]
	Schedule   registry.Build[components.Schedule, components.ScheduleDeps]
	Forcing    registry.Build[components.Schedule, components.ScheduleDeps] // nil: the decoder always reads the target
	Metrics    []Metric
	Training   components.Training
	Evaluation components.Evaluation
	Breakdown  components.Breakdown

	Diagnostics components.Diagnostics
	Data        *components.Data
	Loaded      components.Loaded // what the embeddings start from
	Weights     *checkpoint.File  // every parameter's first values, nil where they are drawn
	Seed        int64

	Checkpoint      string        // the file, "" for none
	CheckpointEvery time.Duration // between two checkpoints; the last step always writes one
	Keep            int           // checkpoints, the newest included; 0 means 1
}

// Metric is a metric under the name by which it is recorded.
type Metric struct {
	Name string
	components.Metric
}

// Sink is where a trial's results go. Its methods are called by one goroutine.
type Sink interface {
	// Metric records a number that is the same on every run of the trial.
	Metric(step int, split, name string, value float64) error
	// Measurement records a number that is not: a time, a speed, a size.
	Measurement(step int, name string, value float64) error
	// Reading records, durably, that a split is about to be read that training must
	// not see.
	Reading(step int, split string) error
	// Resume says that training goes on after step, to the step of, which is 0 where
	// it is not known: later records are void.
	Resume(step, of int) error
	// Sync makes all records durable. A checkpoint is written after it.
	Sync() error
	// Progress says how far training is; it need not be kept.
	Progress(step int, loss float64)
	// Warn says what a user should know; it need not be kept.
	Warn(err error)
}

// ErrInterrupted is a training that was asked to stop, and wrote a checkpoint.
var ErrInterrupted = errors.New("interrupted")

// trial is a training under way.
type trial struct {
	Config
	sink      Sink
	model     *components.Model
	optimizer components.Optimizer
	schedule  components.Schedule
	forcing   components.Schedule // nil: the decoder always reads the target
	order     *order
	tape      *autodiff.Tape
	prefetch  *prefetch        // of order, from the first update on
	batch     components.Batch // of what is no update
	dropout   uint64           // seed of the dropout masks of all steps
	sampling  uint64           // of the draws of scheduled sampling
	decoding  generate.Options // of evaluations
	steps     int              // updates of the whole training, 0 where its length is a time
	limit     int              // batches of the whole training, 0 where another limit ends it
	sums      [][]float32      // of the gradients of an update's batches
	averages  averages
	read      int           // batches of the update under way
	overflow  *autodiff.Var // a parameter that the last update made infinite, nil for none

	overflowBatch string // where the batch of that update is kept
	overflowErr   error  // or why it is not

	progress       // what a checkpoint keeps beside weights
	validated bool // at the step evaluated, since the trial was begun or gone on with

	saved time.Time // when the last checkpoint was written
	since time.Time // when speed was last measured
	timed int       // target tokens trained on since
}

// progress is how far a training is. Its fields are the text of a checkpoint.
type progress struct {
	step      int     // updates done, those that were skipped included
	batches   int     // batches read
	seconds   float64 // trained for
	skipped   int     // updates
	inARow    int     // of these, the last
	evaluated int     // the step of the last evaluation on the validation split
	best      float64 // value of Evaluation.BestBy so far
	bestStep  int     // its evaluation's; 0 before the first
	from      float64 // the value that later ones have to be better than by MinDelta
	worse     int     // evaluations since that were not
}

// Run trains a trial from its checkpoint, or from the start where there is
// none, to its last step, evaluates it and returns. A trial whose checkpoint is
// of its last step is only evaluated. When ctx is done, Run finishes the step,
// writes a checkpoint and returns [ErrInterrupted]. The configuration must have
// passed [Check].
func Run(ctx context.Context, c Config, sink Sink) error {
	t, err := newTrial(c, sink)
	if err != nil {
		return err
	}
	defer t.close()
	if err := t.resume(); err != nil {
		return err
	}
	if err := t.train(ctx); err != nil {
		return err
	}
	return t.finish()
}

func newTrial(c Config, sink Sink) (*trial, error) {
	t := &trial{Config: c, sink: sink, tape: autodiff.NewTape(autodiff.Float32), dropout: c.derive("dropout"), sampling: c.derive("scheduled sampling")}
	params := autodiff.NewParams(autodiff.Float32, c.derive("parameters"))
	var err error
	t.model, err = components.NewModel(c.Parts, params, c.Data.SourceSize(), c.Data.Target.Size())
	if err != nil {
		return nil, err
	}
	t.model.Number(c.Data.Numbers())
	if err := t.model.ReadSource(c.Data.Source); err != nil {
		return nil, err
	}
	if err := t.model.LoadEmbeddings(c.Loaded); err != nil {
		return nil, err
	}
	if c.Weights != nil {
		if err := setWeights(params, *c.Weights, ""); err != nil {
			return nil, err
		}
	}
	groups, err := c.Training.ParameterGroups()
	if err != nil {
		return nil, err
	}
	if err := groups.Freeze(params); err != nil {
		return nil, registry.Under("train", err)
	}
	if t.optimizer, err = c.Optimizer(components.OptimizerDeps{Params: params, Groups: groups}); err != nil {
		return nil, fmt.Errorf("train.optimizer: %w", err)
	}
	if t.decoding, err = c.Decoding(); err != nil {
		return nil, err
	}
	t.order = newOrder(c.Data.Train, c.Training, c.derive("order"))
	t.steps, t.limit = c.Training.Steps, 0
	if c.Training.Epochs > 0 || c.Training.Tokens > 0 {
		t.steps, t.limit = c.length(t.model.Aligned())
	}
	if t.schedule, err = c.Schedule(components.ScheduleDeps{Steps: t.steps}); err != nil {
		return nil, fmt.Errorf("train.schedule: %w", err)
	}
	if c.Forcing != nil {
		if t.forcing, err = c.Forcing(components.ScheduleDeps{Steps: t.steps}); err != nil {
			return nil, fmt.Errorf("train.teacher_forcing: %w", err)
		}
	}
	if t.accumulates() {
		t.sums = zeros(params.Trainable())
	}
	t.averages = newAverages(c.Training, params)
	params.Changed()
	debug.FreeOSMemory() // of what the initial values were computed in
	return t, nil
}

// Decoding is how evaluations decode.
func (c Config) Decoding() (generate.Options, error) {
	o, err := generate.NewOptions(c.Evaluation.DecodingOptions, c.Data, c.derive("decoding"))
	if err != nil {
		return o, fmt.Errorf("evaluate.prefix: %w", err)
	}
	return o, nil
}

// derive returns the seed of the generator of that name.
func (c Config) derive(purpose string) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", c.Seed, purpose)
	return h.Sum64()
}

// length is how many updates, of how many batches together, a training takes
// whose length is a number of epochs or of tokens.
func (c Config) length(aligned bool) (steps, batches int) {
	o := newOrder(c.Data.Train, c.Training, c.derive("order"))
	tokens := 0
	for o.epoch < c.Training.Epochs || tokens < c.Training.Tokens {
		for n := 0; n == 0 || !c.updateEnds(n, o.dealtOut()); n++ {
			for _, p := range o.batch() {
				tokens += len(p.Target)
				if !aligned {
					tokens++ // its end
				}
			}
			batches++
			if o.dealtOut() && o.epoch+1 == c.Training.Epochs {
				return steps + 1, batches
			}
		}
		steps++
	}
	return steps, batches
}

// updateEnds says whether an update of which n batches are read, the last of which
// may be that of an epoch, needs no more.
func (c Config) updateEnds(n int, epochEnds bool) bool {
	if c.Training.FullBatch {
		return epochEnds
	}
	return n >= c.Training.Accumulate
}

func (c Config) accumulates() bool { return c.Training.FullBatch || c.Training.Accumulate > 1 }

// done says whether the last update is done.
func (t *trial) done() bool {
	if t.Evaluation.Patience > 0 && t.worse >= t.Evaluation.Patience {
		return true
	}
	if t.steps == 0 {
		return t.seconds >= t.Training.Seconds
	}
	return t.step >= t.steps
}

// train runs the loop to the last step.
func (t *trial) train(ctx context.Context) error {
	t.saved, t.since = time.Now(), time.Now()
	for !t.done() {
		if ctx.Err() != nil {
			if err := t.save(); err != nil {
				return err
			}
			return ErrInterrupted
		}
		started := time.Now()
		if err := t.update(); err != nil {
			return err
		}
		t.seconds += time.Since(started).Seconds()
		if t.step%t.Evaluation.Every == 0 && !t.done() {
			if err := t.validate(); err != nil {
				return err
			}
		}
		if time.Since(t.saved) >= t.CheckpointEvery && !t.done() {
			if err := t.save(); err != nil {
				return err
			}
		}
	}
	return nil
}

// nextBatch is the next batch of the training. The trial must be closed after.
func (t *trial) nextBatch() *components.Batch {
	if t.prefetch == nil {
		t.prefetch = newPrefetch(t.order, t.model.Fill)
	}
	return t.prefetch.next()
}

// close ends what the trial has running.
func (t *trial) close() {
	if t.prefetch != nil {
		t.prefetch.close()
	}
}

// update is one step: forward, backward, clip, move.
func (t *trial) update() error {
	params := t.model.Params
	value, perToken := t.gradients()
	norm := optimizer.GradNorm(params) * perToken
	t.tape.Mark("grad_norm")
	diagnoses := t.diagnoses()
	rate := t.optimizer.LearningRate() * t.schedule.Factor(t.step+1)
	t.step++
	for _, m := range [...]struct {
		name  string
		value float64
	}{{"loss", value}, {"grad_norm", norm}, {"lr", rate}} {
		if err := t.sink.Metric(t.step, "train", m.name, m.value); err != nil {
			return err
		}
	}
	if !finite(value) || !finite(norm) || t.overflow != nil {
		if err := t.notFinite(value, norm); err != nil {
			return err
		}
		t.passOver()
		return nil
	}
	t.inARow = 0
	if diagnoses {
		if err := t.record("train", "gradient_norm", t.gradientNorms(perToken)); err != nil {
			return err
		}
	}
	clipped := norm
	if limit := t.Training.ClipValue; limit > 0 {
		optimizer.ClipValues(params, limit/perToken)
		clipped = optimizer.GradNorm(params) * perToken
	}
	var before [][]float32
	if diagnoses {
		before = weightsOf(params)
	}
	stayFinite := t.optimizer.Step(t.step-t.skipped, rate, perToken*optimizer.ClipScale(clipped, t.Training.ClipNorm))
	params.Changed()
	if diagnoses {
		if err := t.record("train", "update_ratio", t.updateRatios(before)); err != nil {
			return err
		}
	}
	if !stayFinite {
		t.overflow = params.FirstNotFinite()
	}
	if t.overflow != nil { // the loss of the next step shows it, or not
		t.overflowBatch, t.overflowErr = t.keepBatch(&DivergedError{Step: t.step, Loss: value, GradNorm: norm, Where: "the update of " + t.overflow.Name()})
	}
	t.averages.update(t.step)
	t.tape.Mark("optimizer")
	t.sink.Progress(t.step, value)
	return nil
}

// gradients reads the batches of an update, and leaves in the parameters what
// times perToken is the gradient of the mean loss of all their target tokens,
// which it returns. A number that is not finite ends it.
func (t *trial) gradients() (loss, perToken float64) {
	if t.read = 1; !t.accumulates() {
		loss, _ := t.backward()
		return loss, 1
	}
	params := t.model.Params
	sum, tokens := 0.0, 0
	for ; ; t.read++ {
		loss, of := t.backward()
		sum += float64(float64(of) * loss)
		tokens += of
		last := t.allRead()
		bad := !finite(loss) || !finite(optimizer.GradNorm(params))
		at := 0
		for _, v := range params.All() {
			if v.Frozen() {
				continue
			}
			g, total := autodiff.Grad[float32](v), t.sums[at]
			at++
			switch {
			case last || bad: // what the tape has is the gradient
				kernel.Scale(g, float32(of), g)
				if t.read > 1 {
					kernel.AddTo(g, total)
				}
			case t.read == 1:
				kernel.Scale(total, float32(of), g)
			default:
				kernel.Axpy(total, float32(of), g)
			}
		}
		if last || bad {
			return sum / float64(tokens), 1 / float64(tokens)
		}
	}
}

// allRead says whether all batches of the update under way are read.
func (t *trial) allRead() bool {
	return t.updateEnds(t.read, t.prefetch.epochEnds) || t.batches == t.limit
}

// passOver reads the batches of an update that is skipped that are not read yet: those
// after are of the next.
func (t *trial) passOver() {
	for !t.allRead() {
		t.nextBatch()
		t.batches++
		t.read++
	}
}

// backward reads the next batch, and leaves the gradient of its loss, a mean over
// so many target tokens, in the parameters.
func (t *trial) backward() (loss float64, tokens int) {
	batch := t.nextBatch()
	if t.forcing != nil {
		if p := t.forcing.Factor(t.step + 1); p < 1 {
			generate.Mix(t.model, t.tape, batch, p, rand.New(rand.NewPCG(t.sampling, uint64(t.batches))))
		}
	}
	loss, tokens = t.pass(batch)
	t.batches++
	t.timed += tokens
	return loss, tokens
}

// pass is the forward and the backward pass of a batch.
func (t *trial) pass(batch *components.Batch) (loss float64, tokens int) {
	t.tape.Reset(true, true)
	t.tape.Seed(t.dropout + uint64(t.batches)*0x9e3779b97f4a7c15)
	t.tape.Mark("batch")
	t.model.Params.ZeroGrad(t.tape)
	l, targets := t.model.Loss(t.tape, batch, t.Training.LabelSmoothing)
	t.tape.Backward(l)
	return l.Scalar(), len(targets)
}

// validate evaluates on the validation split, once a step, and lets what follows its
// metrics know of them. A trial that goes on from its last step does it again, for
// metrics that were not asked for then.
func (t *trial) validate() error {
	if t.validated && t.evaluated == t.step {
		return nil
	}
	t.validated = true
	if t.evaluated != t.step {
		if err := t.diagnose(); err != nil {
			return err
		}
		t.averages.snapshot()
	}
	t.averages.swap()
	defer t.averages.swap()
	values, err := t.evaluate("valid", t.Data.Valid, t.step)
	if err != nil || t.evaluated == t.step { // which is known already
		return err
	}
	t.evaluated = t.step
	for _, m := range t.Metrics {
		value := values[slices.IndexFunc(values, func(v Value) bool { return v.Name == m.Name })].Value
		if s, ok := t.schedule.(components.Following); ok && m.Name == s.Follows() {
			s.Evaluated(value, m.HigherIsBetter())
		}
		if m.Name == t.Evaluation.BestBy {
			t.compare(value, m.HigherIsBetter())
		}
	}
	return nil
}

// compare keeps the weights if they are the best so far, and counts how long no
// others were better.
func (t *trial) compare(value float64, higherIsBetter bool) {
	better := func(than, by float64) bool {
		if higherIsBetter {
			return value > than+by
		}
		return value < than-by
	}
	first := t.bestStep == 0
	if first || better(t.best, 0) || math.IsNaN(t.best) && !math.IsNaN(value) {
		t.best, t.bestStep = value, t.step
		t.averages.keepBest()
	}
	t.worse++
	if first || better(t.from, t.Evaluation.MinDelta) || math.IsNaN(t.from) && !math.IsNaN(value) {
		t.from, t.worse = value, 0
	}
}

// finish evaluates the trained model on both held-out splits, and writes the
// last checkpoint.
func (t *trial) finish() error {
	if t.overflow != nil {
		return t.overflowed(&DivergedError{Step: t.step, Loss: math.NaN(), GradNorm: math.NaN(), Where: fmt.Sprintf("the update of %s in step %d", t.overflow.Name(), t.step)})
	}
	if err := t.validate(); err != nil {
		return err
	}
	if t.Evaluation.BestBy != "" {
		if err := t.sink.Metric(t.step, "train", "best_step", float64(t.bestStep)); err != nil {
			return err
		}
	}
	if err := t.sink.Reading(t.testStep(), "test"); err != nil {
		return err
	}
	t.averages.use()
	_, err := t.evaluate("test", t.Data.Test, t.testStep())
	if err == nil && decodes(t.Metrics) {
		err = t.sink.Measurement(t.step, "latency_seconds", t.latency(t.Data.Test).Seconds())
	}
	t.averages.back()
	if err != nil {
		return err
	}
	return t.save()
}

// testStep is the step of the model that is tested.
func (t *trial) testStep() int {
	if t.Evaluation.BestBy != "" {
		return t.bestStep
	}
	return t.step
}

// evaluate records the metrics of a split, and returns them, of the model at step.
func (t *trial) evaluate(name string, split components.Split, step int) ([]Value, error) {
	if t.timed > 0 {
		if err := t.sink.Measurement(t.step, "tokens_per_second", float64(t.timed)/time.Since(t.since).Seconds()); err != nil {
			return nil, err
		}
		if err := t.sink.Measurement(t.step, "data_wait_seconds", t.prefetch.waited.Seconds()); err != nil {
			return nil, err
		}
		t.prefetch.waited = 0
	}
	started := time.Now()
	values, decoding := t.measure(name, split, step)
	for _, v := range values {
		if err := t.sink.Metric(v.Step, v.Split, v.Name, v.Value); err != nil {
			return nil, err
		}
	}
	if err := t.sink.Measurement(t.step, name+"_seconds", time.Since(started).Seconds()); err != nil {
		return nil, err
	}
	if err := t.sink.Measurement(t.step, "memory_bytes", float64(t.tape.Mem())); err != nil {
		return nil, err
	}
	if len(decoding.took) > 0 {
		if err := t.sink.Measurement(t.step, "decode_tokens_per_second", decoding.tokensPerSecond()); err != nil {
			return nil, err
		}
		if err := t.sink.Measurement(t.step, "batch_latency_seconds", median(slices.Sorted(slices.Values(decoding.took))).Seconds()); err != nil {
			return nil, err
		}
	}
	t.since, t.timed = time.Now(), 0
	return values, nil
}

// measure evaluates the model, that of a step, on a split and computes the metrics.
func (t *trial) measure(name string, split components.Split, step int) ([]Value, decoding) {
	outcome, took := evaluate(t.model, t.tape, t.Data, split, t.Evaluation.BatchSize, t.decodes())
	decoding := decoding{took: took}
	for _, p := range outcome.Pairs {
		decoding.tokens += len(p.Hypothesis)
	}
	var values []Value
	for _, m := range t.Metrics {
		numbers := t.Breakdown.Measure(m, outcome)
		for i, metric := range t.Breakdown.Names(m.Name, m) {
			values = append(values, Value{step, name, metric, numbers[i]})
		}
	}
	return values, decoding
}

// decodes is how metrics want hypotheses to be made, nil where none wants any.
func (t *trial) decodes() *generate.Options {
	if !decodes(t.Metrics) {
		return nil
	}
	return &t.decoding
}

func decodes(metrics []Metric) bool {
	return slices.ContainsFunc(metrics, func(m Metric) bool { return m.Decodes() })
}
