package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"exp/experiments"
	"exp/runner"
	"exp/runner/generate"
	"exp/tracking"
)

func newVerifyResume() *cobra.Command {
	var set []string
	var workers, kills int
	c := &cobra.Command{
		Use:   "verify-resume FILE",
		Short: "Show that an experiment survives being killed, to the bit",
		Long: `verify-resume trains the experiment twice, from its start, in a folder of its own
that it removes: once in one go, and once in a process that it kills without warning
at random moments and starts again, as often as asked for. It then compares every
metric of every step, every checkpoint, byte for byte: the weights, what the optimizer,
the schedule and early stopping remember, and how far the data were read; and what the
models say of the validation split, decoded as in [evaluate], with its scores. Neither the database nor the checkpoints of run are read
or written.

A training whose length is a time (train.seconds) is another one each time, and is
refused. Make a long one short with --set.`,
		Example: `  exp verify-resume experiments/quickstart.toml --set train.steps=200 --set evaluate.every=50
  exp verify-resume experiments/quickstart.toml --set train.steps=200 --kills 50`,
		Args:              fileArgument,
		ValidArgsFunction: completeFiles,
		RunE: func(c *cobra.Command, args []string) error {
			err := checkWorkers(workers)
			if kills < 1 {
				err = errors.Join(err, fmt.Errorf("--kills: must be at least 1, is %d", kills))
			}
			if err != nil {
				return usage(err, "")
			}
			e, _, err := load(args[0], set)
			if err != nil {
				return err
			}
			for i := range e.Cells {
				if e.Cells[i].Training.Seconds > 0 {
					return usage(fmt.Errorf("%s: train.seconds: ends a training by the clock, which no two runs do alike", e.Path), "give it train.steps in its place")
				}
			}
			dir, err := os.MkdirTemp("", "exp-verify-resume-")
			if err != nil {
				return failed(err)
			}
			defer os.RemoveAll(dir)
			v := &verification{path: args[0], set: set, workers: workers, dir: dir, out: c.OutOrStdout()}
			if err := v.run(c.Context(), e, kills); err != nil {
				if c.Context().Err() != nil {
					return &failure{code: exitInterrupted, err: errors.New("interrupted")}
				}
				return failed(err)
			}
			return nil
		},
	}
	setFlag(c, &set)
	workersFlag(c, &workers)
	c.Flags().IntVar(&kills, "kills", 5, "how often to kill the process")
	return c
}

// verification is what verify-resume does.
type verification struct {
	path    string
	set     []string
	workers int
	dir     string
	out     io.Writer
}

func (v *verification) run(ctx context.Context, e *experiments.Experiment, kills int) error {
	started := time.Now()
	if out, err := v.command(ctx, "whole", time.Minute).CombinedOutput(); err != nil && !diverged(err) {
		return fmt.Errorf("trained in one go: %w\n%s", err, out)
	}
	whole := time.Since(started)
	fmt.Fprintf(v.out, "trained %d trials in one go in %s\n", len(e.Trials()), formatDuration(whole))

	restarts, err := v.kill(ctx, kills, whole)
	if err != nil {
		return err
	}
	c := comparison{}
	if err := v.compare(ctx, e, &c); err != nil {
		return err
	}
	fmt.Fprintf(v.out, "killed %d times in %d trainings: %s metrics, %d checkpoints and %s hypotheses are the same, byte for byte\n",
		kills, restarts+1, formatCount(c.metrics), c.checkpoints, formatCount(c.hypotheses))
	return nil
}

// command is a run of the experiment in a folder of its own.
func (v *verification) command(ctx context.Context, name string, every time.Duration) *exec.Cmd {
	args := []string{"run", v.path, "--runs", filepath.Join(v.dir, name), "--figures", filepath.Join(v.dir, "figures"),
		"--workers", strconv.Itoa(v.workers), "--checkpoint-every", every.String()}
	for _, s := range v.set {
		args = append(args, "--set", s)
	}
	return exec.CommandContext(ctx, os.Args[0], args...)
}

// diverged says that a run ended as one does of which a trial diverged, which it
// then must do again.
func diverged(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == exitFailed
}

// kill trains the experiment, killed so many times, each a random while after it
// says that a trial begins. One that ends before is trained anew, until all kills
// are done; restarts says how often.
func (v *verification) kill(ctx context.Context, kills int, whole time.Duration) (restarts int, err error) {
	mean := whole / time.Duration(kills)
	every := max(time.Millisecond, mean/10)
	for killed := 0; ; {
		c := v.command(ctx, "killed", every)
		r, w := io.Pipe()
		var out bytes.Buffer
		c.Stdout, c.Stderr = w, io.MultiWriter(&out, w)
		if killed < kills {
			delay := time.Duration(rand.Float64() * 2 * float64(mean))
			go func() {
				lines := bufio.NewReader(r)
				if _, err := lines.ReadString('\n'); err == nil {
					time.AfterFunc(delay, func() { _ = c.Process.Kill() })
				}
				_, _ = io.Copy(io.Discard, lines)
			}()
		} else {
			go func() { _, _ = io.Copy(io.Discard, r) }()
		}
		err := c.Run()
		w.Close()
		switch {
		case ctx.Err() != nil:
			return restarts, ctx.Err()
		case c.ProcessState == nil:
			return restarts, err
		case !c.ProcessState.Exited():
			killed++
		case err != nil && !diverged(err):
			return restarts, fmt.Errorf("killed %d times: %w\n%s", killed, err, &out)
		case killed == kills:
			return restarts, nil
		default:
			restarts++
			if err := os.RemoveAll(filepath.Join(v.dir, "killed")); err != nil {
				return restarts, err
			}
		}
	}
}

// comparison counts what was found the same.
type comparison struct{ metrics, checkpoints, hypotheses int }

// compare returns an error with the first difference of each trial.
func (v *verification) compare(ctx context.Context, e *experiments.Experiment, c *comparison) error {
	var readers [2]*tracking.Reader
	names := [2]string{"whole", "killed"}
	for i, name := range names {
		r, err := tracking.OpenReadOnly((&places{runs: filepath.Join(v.dir, name)}).database())
		if err != nil {
			return err
		}
		defer r.Close()
		readers[i] = r
	}
	g, err := runner.Prepare(e)
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range e.Trials() {
		errs = append(errs, compareTrial(ctx, readers, t, c))
		var content [2][]byte
		var paths [2]string
		for i, name := range names {
			paths[i] = runner.CheckpointOf((&places{runs: filepath.Join(v.dir, name)}).checkpoints(), t.ID)
			var err error
			content[i], err = os.ReadFile(paths[i])
			if err != nil && !errors.Is(err, os.ErrNotExist) { // of a trial that diverged
				return err
			}
		}
		if !bytes.Equal(content[0], content[1]) {
			errs = append(errs, fmt.Errorf("%s: the checkpoints differ", trialLabel(t)))
		} else if content[0] != nil {
			c.checkpoints++
		}
		if content[0] != nil && content[1] != nil {
			errs = append(errs, compareHypotheses(g, t, paths, c))
		}
	}
	return errors.Join(errs...)
}

// compareHypotheses compares what the models of two checkpoints say of the validation
// split.
func compareHypotheses(g *runner.Grid, t experiments.Trial, checkpoints [2]string, c *comparison) error {
	var said [2][]generate.Hypothesis
	for i, path := range checkpoints {
		model, err := g.Trained(t, path)
		if err != nil {
			return fmt.Errorf("%s: %w", trialLabel(t), err)
		}
		if len(model.Damaged) > 0 {
			return fmt.Errorf("%s: %w", trialLabel(t), model.Damaged[0])
		}
		said[i] = model.Decode(model.Data.Valid, t.Cell.Evaluation.BatchSize)
	}
	for i, h := range said[0] {
		if other := said[1][i]; !slices.Equal(h.Tokens, other.Tokens) || h.Ended != other.Ended || math.Float64bits(h.Score) != math.Float64bits(other.Score) {
			return fmt.Errorf("%s: of validation pair %d the model says %v with score %v in one go, and killed %v with %v", trialLabel(t), i+1, h.Tokens, h.Score, other.Tokens, other.Score)
		}
	}
	c.hypotheses += len(said[0])
	return nil
}

func compareTrial(ctx context.Context, readers [2]*tracking.Reader, t experiments.Trial, c *comparison) error {
	var last [2][]tracking.Metric
	for i, r := range readers {
		var err error
		if last[i], err = r.LastMetrics(ctx, t.ID); err != nil {
			return err
		}
	}
	if len(last[0]) != len(last[1]) || len(last[0]) == 0 {
		return fmt.Errorf("%s: %d metrics in one go, %d killed", trialLabel(t), len(last[0]), len(last[1]))
	}
	for _, m := range last[0] {
		var points [2][]tracking.Metric
		for i, r := range readers {
			var err error
			if points[i], err = r.Points(ctx, t.ID, m.Split, m.Name); err != nil {
				return err
			}
		}
		if len(points[0]) != len(points[1]) {
			return fmt.Errorf("%s: %d values of %s/%s in one go, %d killed", trialLabel(t), len(points[0]), m.Split, m.Name, len(points[1]))
		}
		for i, p := range points[0] {
			q := points[1][i]
			if p.Step != q.Step || math.Float64bits(p.Value) != math.Float64bits(q.Value) && !(math.IsNaN(p.Value) && math.IsNaN(q.Value)) {
				return fmt.Errorf("%s: %s/%s is %v at step %d in one go, %v at step %d killed", trialLabel(t), m.Split, m.Name, p.Value, p.Step, q.Value, q.Step)
			}
			c.metrics++
		}
	}
	return nil
}
