package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"exp/experiments"
	"exp/runner"
	"exp/tracking"
)

func newRun(p *places) *cobra.Command {
	var set []string
	var workers, keep int
	var every time.Duration
	c := &cobra.Command{
		Use:   "run FILE",
		Short: "Train an experiment, or what is missing of it, and render its figures",
		Long: `run trains every trial of the experiment that is not finished, goes on with those
that were interrupted, and renders the figures. The first Ctrl-C finishes the
steps under way and writes checkpoints, a second one ends the process at once; in
either case the same command goes on from there.

A worker trains one trial at a time on one core. Where there are fewer trials than
workers, or fewer are left, the others help with the operations of those under way;
the numbers are the same to the bit.`,
		Example: `  exp run experiments/quickstart.toml
  exp run experiments/quickstart.toml --set sweep.seeds=5
  exp run experiments/quickstart.toml --set train.steps=100 --set name=try --workers 1`,
		Args:              fileArgument,
		ValidArgsFunction: completeFiles,
		RunE: func(c *cobra.Command, args []string) error {
			err := checkWorkers(workers)
			if every <= 0 {
				err = errors.Join(err, fmt.Errorf("--checkpoint-every: must be above 0s, is %v", every))
			}
			if keep < 1 {
				err = errors.Join(err, fmt.Errorf("--keep: must be at least 1, is %d", keep))
			}
			if err != nil {
				return usage(err, "")
			}
			return p.run(c.Context(), args[0], set, workers, every, keep, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	setFlag(c, &set)
	workersFlag(c, &workers)
	c.Flags().DurationVar(&every, "checkpoint-every", time.Minute, "time between two checkpoints of a trial: what a kill can cost")
	c.Flags().IntVar(&keep, "keep", 2, "checkpoints of a trial to keep: where the newest turns out to be damaged, training goes on from the one before")
	return c
}

// run is the command with its arguments read.
func (p *places) run(ctx context.Context, path string, set []string, workers int, every time.Duration, keep int, stdout, stderr io.Writer) error {
	e, figures, err := load(path, set)
	if err != nil {
		return err
	}
	grid, err := runner.Prepare(e)
	if err != nil {
		return usage(err, "")
	}
	printNotes(stderr, grid)
	store, err := tracking.Open(p.database())
	if err != nil {
		return failed(err)
	}
	defer store.Close()

	bars := newProgress(stderr, len(e.Trials()))
	note := context.AfterFunc(ctx, func() {
		fmt.Fprintln(stderr, "\nexp: interrupted: finishing the steps under way and writing checkpoints; interrupt again to end at once")
	})
	results, err := runner.Run(ctx, grid, runner.Options{
		Store: store, Checkpoints: p.checkpoints(), Workers: workers, Observer: bars,
		Code: runner.CodeVersion(), CheckpointEvery: every, Keep: keep,
	})
	note()
	bars.Wait()
	if err != nil {
		return failed(err)
	}
	if ctx.Err() != nil {
		return &failure{exitInterrupted, errors.New("interrupted"), "the same command, with the same flags, goes on from there"}
	}
	err = p.render(context.WithoutCancel(ctx), store.Reader, e, figures, stdout)
	fmt.Fprintf(stdout, "%s: every metric of every step; try: sqlite3 %s 'SELECT * FROM final_metrics'\n", p.database(), p.database())
	return verdict(e, results, err)
}

// printNotes says what was done to the data on the way, and what is odd in it.
func printNotes(stderr io.Writer, g *runner.Grid) {
	for _, n := range g.Notes() {
		fmt.Fprintf(stderr, "exp: note: %s\n", n)
	}
}

// verdict is an error where a trial is not finished, or rendered, that of the
// figures, is one.
func verdict(e *experiments.Experiment, results []runner.Result, rendered error) error {
	var errs []error
	hint := ""
	for i, t := range e.Trials() {
		switch r := results[i]; r.Status {
		case tracking.Finished:
			if r.Err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", trialLabel(t), r.Err))
			}
		case tracking.Diverged:
			errs = append(errs, fmt.Errorf("%s diverged", trialLabel(t)))
		case tracking.Failed:
			errs = append(errs, fmt.Errorf("%s failed", trialLabel(t)))
			hint = "exp show TRIAL prints what happened; the same command tries failed trials again"
		default:
			errs = append(errs, fmt.Errorf("%s: %v", trialLabel(t), r.Err))
			if errors.Is(r.Err, tracking.ErrClaimed) {
				hint = "another process trains what is claimed; once it is done, the same command renders all"
			}
		}
	}
	if err := errors.Join(append(errs, rendered)...); err != nil {
		return &failure{exitFailed, err, hint}
	}
	return nil
}

func (p *places) database() string { return filepath.Join(p.runs, "exp.db") }

// checkpoints is the folder of the trials' checkpoints.
func (p *places) checkpoints() string { return filepath.Join(p.runs, "checkpoints") }

// setFlag adds --set.
func setFlag(c *cobra.Command, set *[]string) {
	c.Flags().StringArrayVar(set, "set", nil, "PATH=VALUE: override a key of the file; may be given several times")
}

// workersFlag adds --workers.
func workersFlag(c *cobra.Command, workers *int) {
	c.Flags().IntVar(workers, "workers", runtime.NumCPU(), "trials at a time, and cores to use")
}

func checkWorkers(workers int) error {
	if workers < 1 {
		return fmt.Errorf("--workers: must be at least 1, is %d", workers)
	}
	return nil
}

// fileArgument wants one argument, the file of an experiment.
func fileArgument(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s wants one TOML file, not %d arguments", c.CommandPath(), len(args))
	}
	return nil
}

func completeFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"toml"}, cobra.ShellCompDirectiveFilterFileExt
}
