// Package train trains one trial: the loop over batches, the evaluations, the
// checkpoints. It knows nothing of where results are kept: they go to a [Sink].
//
// A trial is a function of its configuration and its seed. Every random choice
// comes from a generator of its own, derived from the seed by name: parameters,
// data order, dropout. A checkpoint holds the parameters, the optimizer's state
// and the number of the step; all else follows from these, so a trial that is
// interrupted and resumed gives the same numbers as one that is not.
package train

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"runtime/debug"
	"time"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/optimizer"
	"exp/registry"
	"exp/runner/checkpoint"
)

// Config is a trial to train.
type Config struct {
	Parts      components.Parts
	Optimizer  registry.Build[components.Optimizer, components.OptimizerDeps]
	Schedule   registry.Build[components.Schedule, components.ScheduleDeps]
	Metrics    []Metric
	Training   components.Training
	Evaluation components.Evaluation
	Breakdown  components.Breakdown
	Data       *components.Data
	Loaded     components.Loaded // what the embeddings start from
	Weights    *checkpoint.File  // every parameter's first values, nil where they are drawn
	Seed       int64

	Checkpoint      string        // the file, "" for none
	CheckpointEvery time.Duration // between two checkpoints; the last step always writes one
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
	// Resume says that training goes on after step: later records are void.
	Resume(step int) error
	// Sync makes all records durable. A checkpoint is written after it.
	Sync() error
	// Progress says how far training is; it need not be kept.
	Progress(step int, loss float64)
}

// ErrInterrupted is a training that was asked to stop, and wrote a checkpoint.
var ErrInterrupted = errors.New("interrupted")

// DivergedError is a loss or a gradient that is not finite.
type DivergedError struct {
	Step     int
	Loss     float64
	GradNorm float64
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("diverged at step %d: loss %v, gradient norm %v", e.Step, e.Loss, e.GradNorm)
}

// trial is a training under way.
type trial struct {
	Config
	sink      Sink
	model     *components.Model
	optimizer components.Optimizer
	schedule  components.Schedule
	order     *order
	tape      *autodiff.Tape
	prefetch  *prefetch        // of order, from the first update on
	batch     components.Batch // of what is no update
	dropout   uint64           // seed of the dropout masks of all steps
	step      int              // updates done

	saved time.Time // when the last checkpoint was written
	since time.Time // when speed was last measured
	timed int       // target tokens trained on since
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
	t := &trial{Config: c, sink: sink, tape: autodiff.NewTape(autodiff.Float32), dropout: c.derive("dropout")}
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
		if err := t.start(*c.Weights, ""); err != nil {
			return nil, err
		}
	}
	if t.optimizer, err = c.Optimizer(components.OptimizerDeps{Params: params}); err != nil {
		return nil, fmt.Errorf("train.optimizer: %w", err)
	}
	if t.schedule, err = c.Schedule(components.ScheduleDeps{Steps: c.Training.Steps}); err != nil {
		return nil, fmt.Errorf("train.schedule: %w", err)
	}
	t.order = newOrder(c.Data.Train, c.Training, c.derive("order"))
	params.Changed()
	debug.FreeOSMemory() // of what the initial values were computed in
	return t, nil
}

// derive returns the seed of the generator of that name.
func (c Config) derive(purpose string) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", c.Seed, purpose)
	return h.Sum64()
}

// train runs the loop to the last step.
func (t *trial) train(ctx context.Context) error {
	t.saved, t.since = time.Now(), time.Now()
	for t.step < t.Training.Steps {
		if ctx.Err() != nil {
			if err := t.save(); err != nil {
				return err
			}
			return ErrInterrupted
		}
		if err := t.update(); err != nil {
			return err
		}
		if t.step%t.Evaluation.Every == 0 && t.step < t.Training.Steps {
			if err := t.evaluate("valid", t.Data.Valid); err != nil {
				return err
			}
		}
		if time.Since(t.saved) >= t.CheckpointEvery && t.step < t.Training.Steps {
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
	batch := t.nextBatch()
	t.tape.Reset(true, true)
	t.tape.Seed(t.dropout + uint64(t.step)*0x9e3779b97f4a7c15)
	t.tape.Mark("batch")
	params := t.model.Params
	params.ZeroGrad(t.tape)
	loss, targets := t.model.Loss(t.tape, batch, t.Training.LabelSmoothing)
	t.tape.Backward(loss)

	value, norm := loss.Scalar(), optimizer.GradNorm(params)
	t.tape.Mark("grad_norm")
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
	if !finite(value) || !finite(norm) {
		return &DivergedError{Step: t.step, Loss: value, GradNorm: norm}
	}
	t.optimizer.Step(t.step, rate, optimizer.ClipScale(norm, t.Training.ClipNorm))
	params.Changed()
	t.tape.Mark("optimizer")
	t.timed += len(targets)
	t.sink.Progress(t.step, value)
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// finish evaluates the trained model on both held-out splits, and writes the
// last checkpoint.
func (t *trial) finish() error {
	if err := t.evaluate("valid", t.Data.Valid); err != nil {
		return err
	}
	if err := t.evaluate("test", t.Data.Test); err != nil {
		return err
	}
	return t.save()
}

// evaluate records the metrics of a split.
func (t *trial) evaluate(name string, split components.Split) error {
	if t.timed > 0 {
		if err := t.sink.Measurement(t.step, "tokens_per_second", float64(t.timed)/time.Since(t.since).Seconds()); err != nil {
			return err
		}
		if err := t.sink.Measurement(t.step, "data_wait_seconds", t.prefetch.waited.Seconds()); err != nil {
			return err
		}
		t.prefetch.waited = 0
	}
	started := time.Now()
	for _, v := range t.measure(namedSplit{name, split}) {
		if err := t.sink.Metric(t.step, v.Split, v.Name, v.Value); err != nil {
			return err
		}
	}
	if err := t.sink.Measurement(t.step, name+"_seconds", time.Since(started).Seconds()); err != nil {
		return err
	}
	if err := t.sink.Measurement(t.step, "memory_bytes", float64(t.tape.Mem())); err != nil {
		return err
	}
	t.since, t.timed = time.Now(), 0
	return nil
}

// measure evaluates the model on a split and computes the metrics.
func (t *trial) measure(split namedSplit) []Value {
	outcome := Evaluate(t.model, t.tape, t.Data, split, t.Evaluation, decodes(t.Metrics))
	var values []Value
	for _, m := range t.Metrics {
		numbers := t.Breakdown.Measure(m, outcome)
		for i, name := range t.Breakdown.Names(m.Name, m) {
			values = append(values, Value{split.name, name, numbers[i]})
		}
	}
	return values
}

func decodes(metrics []Metric) bool {
	for _, m := range metrics {
		if m.Decodes() {
			return true
		}
	}
	return false
}
