package runner

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"exp/components/kernel"
	"exp/experiments"
	"exp/runner/train"
	"exp/tracking"
)

// Options says how an experiment is run.
type Options struct {
	Store       *tracking.Store
	Checkpoints string // directory
	Workers     int    // cores to use, at least 1: trials at a time, as long as there are as many
	Observer    Observer
	Code        Code

	// CheckpointEvery is how much work a kill can cost; 0 means a minute.
	CheckpointEvery time.Duration
	// Keep is how many checkpoints of a trial are kept, the newest included; 0 means 2.
	Keep int
}

// Observer is told how far the trials are. Its methods are called by several
// goroutines, those about one trial by one.
type Observer interface {
	// Begin says that a trial is trained from here on, after step updates done
	// before, of so many in all, 0 where that is not known.
	Begin(t experiments.Trial, step, of int)
	// Step says that an update is done.
	Step(t experiments.Trial, step int, loss float64)
	// Metric says what an evaluation gave.
	Metric(t experiments.Trial, step int, split, name string, value float64)
	// Warn says what was found wrong with a trial, which goes on.
	Warn(t experiments.Trial, err error)
	// End says how a trial ended, or that there was nothing to train.
	End(t experiments.Trial, r Result)
}

// Result is how a trial ended.
type Result struct {
	Status  tracking.Status
	Err     error // why it failed, diverged or is left alone; nil where it finished
	Trained bool  // by this call; else it was finished before or is claimed elsewhere
}

// Run trains every trial of g that the store does not have finished, and adds
// metrics that finished trials lack. It returns how each trial stands, in the
// experiment's order. When ctx is done, trials under way finish their step, write
// a checkpoint and end as interrupted, and the rest stays as it is. The error is
// one of the store: failures of trials are results.
func Run(ctx context.Context, g *Grid, o Options) ([]Result, error) {
	if o.CheckpointEvery == 0 {
		o.CheckpointEvery = time.Minute
	}
	if o.Keep == 0 {
		o.Keep = 2
	}
	if err := o.Store.Register(ctx, g.registration()); err != nil {
		return nil, err
	}
	trials := g.Trials()
	results := make([]Result, len(trials))
	errs := make([]error, len(trials))
	next, done := make(chan int), make(chan struct{})
	var workers, ended sync.WaitGroup
	ended.Add(len(trials))
	for range o.Workers {
		workers.Go(func() {
			for i := range next {
				results[i], errs[i] = g.trial(ctx, trials[i], o)
				o.Observer.End(trials[i], results[i])
				ended.Done()
			}
			kernel.Lend(done) // to the trials that are left
		})
	}
	for i := range trials {
		next <- i
	}
	close(next)
	ended.Wait()
	close(done)
	workers.Wait()
	return results, errors.Join(errs...)
}

// registration is the experiment as the store knows it.
func (g *Grid) registration() tracking.Experiment {
	r := tracking.Experiment{Name: g.Name, Path: g.Path, Source: string(g.Source)}
	for i := range g.Cells {
		c := &g.Cells[i]
		registered := tracking.Cell{ID: c.ID, Variant: c.Variant, Config: c.Resolved(), Parameters: int64(g.Parameters(c))}
		for _, a := range c.Axes {
			registered.Axes = append(registered.Axes, tracking.Axis{Key: a.Key, Value: a.Label})
		}
		r.Cells = append(r.Cells, registered)
	}
	for _, t := range g.Trials() {
		r.Trials = append(r.Trials, tracking.Trial{ID: t.ID, CellID: t.Cell.ID, Seed: t.Seed})
	}
	return r
}

// trial brings one trial to its end. The error is one of the store.
func (g *Grid) trial(ctx context.Context, t experiments.Trial, o Options) (Result, error) {
	c := g.cells[t.Cell.ID]
	config := c.config
	config.Seed = t.Seed
	config.Checkpoint = CheckpointOf(o.Checkpoints, t.ID)
	config.CheckpointEvery = o.CheckpointEvery
	config.Keep = o.Keep

	store := context.WithoutCancel(ctx) // what has begun is recorded, come what may
	status, err := o.Store.Status(store, t.ID)
	if err != nil {
		return Result{Status: status, Err: err}, err
	}
	if status.Final() {
		return g.complete(store, t, config, status, o)
	}
	if ctx.Err() != nil {
		return Result{Status: status}, nil
	}
	run, err := o.Store.Begin(store, t.ID, provenance(t.Cell, c.dataHash, o))
	switch {
	case errors.Is(err, tracking.ErrClaimed):
		return Result{Status: tracking.Running, Err: err}, nil
	case errors.Is(err, tracking.ErrFinished): // by another process, since the status was read
		return Result{Status: tracking.Finished}, nil
	case err != nil:
		return Result{Status: status, Err: err}, err
	}

	started := time.Now()
	sink := &sink{Run: run, trial: t, observer: o.Observer, checkpoint: config.Checkpoint, unknown: status == tracking.Pending}
	stack, err := guard(func() error { return train.Run(ctx, config, sink) })
	measured := run.Measurement(sink.step, "seconds", time.Since(started).Seconds())
	result := Result{Status: outcome(err), Err: err, Trained: true}
	message := ""
	if err != nil {
		message = err.Error()
	}
	if err := errors.Join(measured, o.Store.End(store, run, result.Status, message, stack)); err != nil {
		return Result{Status: tracking.Failed, Err: err, Trained: true}, err
	}
	return result, nil
}

// CheckpointOf is the file of a trial's checkpoint.
func CheckpointOf(checkpoints, trial string) string {
	return filepath.Join(checkpoints, trial+".safetensors")
}

// outcome is the status of a training that returned err.
func outcome(err error) tracking.Status {
	var diverged *train.DivergedError
	switch {
	case err == nil:
		return tracking.Finished
	case errors.Is(err, train.ErrInterrupted):
		return tracking.Interrupted
	case errors.As(err, &diverged):
		return tracking.Diverged
	}
	return tracking.Failed
}

// guard calls f and makes a panic an error, with the stack it came from.
func guard(f func() error) (stack string, err error) {
	defer func() {
		if p := recover(); p != nil {
			stack, err = string(debug.Stack()), fmt.Errorf("panic: %v", p)
			if part, ok := p.(*kernel.Panic); ok {
				stack = string(part.Stack) + "\n" + stack
			}
		}
	}()
	return "", f()
}

// complete adds the metrics that a finished trial was not evaluated with, from
// its checkpoint.
func (g *Grid) complete(ctx context.Context, t experiments.Trial, config train.Config, status tracking.Status, o Options) (Result, error) {
	if status != tracking.Finished {
		return Result{Status: status}, nil
	}
	recorded, err := o.Store.LastMetrics(ctx, t.ID)
	if err != nil {
		return Result{Status: status, Err: err}, err
	}
	has := map[string]bool{}
	for _, m := range recorded {
		has[m.Split+"/"+m.Name] = true
	}
	var missing []train.Metric
	for _, m := range config.Metrics {
		if slices.ContainsFunc(config.Breakdown.Names(m.Name, m), func(name string) bool { return !has["test/"+name] || !has["valid/"+name] }) {
			missing = append(missing, m)
		}
	}
	if missing == nil {
		return Result{Status: status}, nil
	}
	config.Metrics = missing
	var values []train.Value
	reading := func(step int) error { return o.Store.PutReading(ctx, t.ID, step, "test") }
	_, err = guard(func() (err error) { values, err = train.Measure(config, reading); return err })
	if err != nil {
		return Result{Status: status, Err: fmt.Errorf("%s cannot be added: %w", missing[0].Name, err)}, nil
	}
	var metrics []tracking.Metric
	for _, v := range values {
		metrics = append(metrics, tracking.Metric{Step: v.Step, Split: v.Split, Name: v.Name, Value: v.Value})
		o.Observer.Metric(t, v.Step, v.Split, v.Name, v.Value)
	}
	return Result{Status: status}, o.Store.PutMetrics(ctx, t.ID, metrics)
}

// sink hands a trial's results to the store and to the observer.
type sink struct {
	*tracking.Run
	trial      experiments.Trial
	observer   Observer
	checkpoint string
	unknown    bool // to the store before
	step       int
}

func (s *sink) Resume(step, of int) error {
	s.step = step
	s.observer.Begin(s.trial, step, of)
	if s.unknown && step > 0 {
		s.Warn(fmt.Errorf("%s is of step %d, but the database has no run of it: metrics of up to there are missing; to have them, stop, remove that file, and train from the start", s.checkpoint, step))
	}
	return s.Run.Resume(step)
}

func (s *sink) Warn(err error) { s.observer.Warn(s.trial, err) }

func (s *sink) Metric(step int, split, name string, value float64) error {
	if split != "train" {
		s.observer.Metric(s.trial, step, split, name, value)
	}
	return s.Run.Metric(step, split, name, value)
}

func (s *sink) Progress(step int, loss float64) {
	s.step = step
	s.observer.Step(s.trial, step, loss)
}
