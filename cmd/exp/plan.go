package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"exp/experiments"
	"exp/runner"
	"exp/tracking"
)

// plan is what would be trained.
type plan struct {
	Experiment string     `json:"experiment"`
	Cells      []planCell `json:"cells"`
	Trials     int        `json:"trials"`
	Missing    int        `json:"missing"`
	Workers    int        `json:"workers"`
	Seconds    float64    `json:"seconds"` // of all that is missing, on the workers; 0 with --no-time
}

type planCell struct {
	ID         string                  `json:"id"`
	Label      string                  `json:"label"`
	Parameters int                     `json:"parameters"`
	Steps      int                     `json:"steps"`
	Trials     map[tracking.Status]int `json:"trials"`
	Seconds    float64                 `json:"seconds"` // a trial; 0 where none is missing
	Loaded     []loadedJSON            `json:"loaded_embeddings,omitempty"`
}

func newPlan(p *places) *cobra.Command {
	var set []string
	var workers int
	var untimed, asJSON, schedule bool
	c := &cobra.Command{
		Use:   "plan FILE",
		Short: "Say what run would train, how large the models are and how long it takes",
		Long: `plan reads the file as run does and trains a few steps of every cell that has
trials to train, without recording them, to say how long the rest takes. The time
of decoding is that of a model that has learned nothing, which may say more than
a trained one.

--schedule draws the learning rate over the training instead, in the terminal and as
the figure "schedule" in the experiment's folder.`,
		Example: `  exp plan experiments/quickstart.toml
  exp plan experiments/quickstart.toml --schedule
  exp plan experiments/quickstart.toml --set sweep.seeds=5 --json`,
		Args:              fileArgument,
		ValidArgsFunction: completeFiles,
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkWorkers(workers); err != nil {
				return usage(err, "")
			}
			e, _, err := load(args[0], set)
			if err != nil {
				return err
			}
			grid, err := runner.Prepare(e)
			if err != nil {
				return usage(err, "")
			}
			printNotes(c.ErrOrStderr(), grid)
			if schedule {
				return p.schedules(grid, c.OutOrStdout())
			}
			made, err := p.plan(c.Context(), grid, workers, !untimed)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), made)
			}
			printPlan(c.OutOrStdout(), made, !untimed)
			return nil
		},
	}
	setFlag(c, &set)
	workersFlag(c, &workers)
	c.Flags().BoolVar(&untimed, "no-time", false, "train no steps, estimate no time")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&schedule, "schedule", false, "draw the learning rate over the training, and nothing else")
	c.MarkFlagsMutuallyExclusive("schedule", "json")
	return c
}

// plan looks at what there is and times the rest.
func (p *places) plan(ctx context.Context, g *runner.Grid, workers int, timed bool) (*plan, error) {
	made := &plan{Experiment: g.Name, Workers: workers, Trials: len(g.Trials())}
	statuses, err := p.statuses(ctx, g.Experiment)
	if err != nil {
		return nil, failed(err)
	}
	for i := range g.Cells {
		cell := &g.Cells[i]
		steps, err := g.Steps(cell)
		if err != nil {
			return nil, failed(fmt.Errorf("%s: %w", cell.Label(), err))
		}
		c := planCell{ID: cell.ID, Label: cell.Label(), Parameters: g.Parameters(cell), Steps: steps, Trials: map[tracking.Status]int{}, Loaded: listLoaded(g.Loaded(cell))}
		missing := 0
		for _, t := range g.Trials() {
			if t.Cell.ID != cell.ID {
				continue
			}
			c.Trials[statuses[t.ID]]++
			if !statuses[t.ID].Final() {
				missing++
			}
		}
		if timed && missing > 0 {
			if ctx.Err() != nil {
				return nil, &failure{code: exitInterrupted, err: errors.New("interrupted")}
			}
			estimate, err := g.Time(cell, time.Second)
			if err != nil {
				return nil, failed(fmt.Errorf("%s: %w", cell.Label(), err))
			}
			c.Seconds = (estimate.Training + estimate.Evaluation).Seconds()
			made.Seconds += c.Seconds * float64(missing)
		}
		made.Missing += missing
		made.Cells = append(made.Cells, c)
	}
	made.Seconds /= float64(max(1, min(workers, made.Missing)))
	return made, nil
}

// statuses is how the trials of e stand in the database, if there is one.
func (p *places) statuses(ctx context.Context, e *experiments.Experiment) (map[string]tracking.Status, error) {
	statuses := map[string]tracking.Status{}
	reader, err := tracking.OpenReadOnly(p.database())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, t := range e.Trials() {
		statuses[t.ID] = tracking.Pending
		if reader == nil {
			continue
		}
		s, err := reader.Status(ctx, t.ID)
		if err != nil && !errors.Is(err, tracking.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			statuses[t.ID] = s
		}
	}
	if reader != nil {
		return statuses, reader.Close()
	}
	return statuses, nil
}

func printPlan(w io.Writer, p *plan, timed bool) {
	t := newTable("cell", "parameters", "steps", "trials", "done", "time a trial")
	alignNumbers(t, 2, 6)
	for _, c := range p.Cells {
		trials, done := 0, 0
		for status, n := range c.Trials {
			trials += n
			if status.Final() {
				done += n
			}
		}
		duration := ""
		if c.Seconds > 0 {
			duration = formatDuration(time.Duration(c.Seconds * float64(time.Second)))
		}
		t.AppendRow([]any{c.Label, formatCount(c.Parameters), formatCount(c.Steps), trials, done, duration})
	}
	fmt.Fprintln(w, t.Render())
	said := map[loadedJSON]bool{}
	for _, c := range p.Cells {
		for _, l := range c.Loaded {
			if !said[l] {
				said[l] = true
				fmt.Fprintln(w, l)
			}
		}
	}
	fmt.Fprintf(w, "%s: %d of %d trials to train", p.Experiment, p.Missing, p.Trials)
	if timed && p.Missing > 0 {
		fmt.Fprintf(w, ", about %s on %d workers", formatDuration(time.Duration(p.Seconds*float64(time.Second))), p.Workers)
	}
	fmt.Fprintln(w)
}
