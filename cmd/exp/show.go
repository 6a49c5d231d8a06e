package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"exp/components"
	"exp/tracking"
)

func newShow(p *places) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show TRIAL | EXPERIMENT | FILE | FILE:CELL",
		Short: "Show all that is known of a trial or a cell: configuration, architecture, runs, metrics",
		Long: `show prints a trial's resolved configuration with every default written out, its
architecture, its runs with what it takes to repeat them, and its last metrics. A
trial is named by the beginning of its id, as exp list prints it; an experiment's
name shows the text of its file and how its trials stand. A file shows the
configuration and the architecture of its cells, or of the one that exp plan
prints under that name.

The architecture is the tree of modules with the shapes of their parameters, and
what a training step of the first epoch's largest batch takes: multiply-adds of
matrix products, and memory beside parameters and optimizer.`,
		Example: `  exp show 3f9c21
  exp show 3f9c21 --json
  exp show quickstart
  exp show experiments/quickstart.toml:lstm`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeExperiments,
		RunE: func(c *cobra.Command, args []string) error {
			if _, _, isFile := namesFile(args[0]); isFile {
				n, err := p.find(c.Context(), args[0])
				if err != nil {
					return err
				}
				return showFile(n, asJSON, c.OutOrStdout())
			}
			reader, err := tracking.OpenReadOnly(p.database())
			if err != nil {
				return failed(err)
			}
			defer reader.Close()
			ctx := c.Context()
			e, err := reader.Experiment(ctx, args[0])
			if err == nil {
				if asJSON {
					return listTrials(ctx, reader, e.Name, true, c.OutOrStdout())
				}
				fmt.Fprintf(c.OutOrStdout(), "# %s\n%s\n", e.Path, strings.TrimSpace(e.Source))
				return listTrials(ctx, reader, e.Name, false, c.OutOrStdout())
			}
			if !errors.Is(err, tracking.ErrNotFound) {
				return failed(err)
			}
			t, err := findTrial(ctx, reader, args[0])
			if err != nil {
				return err
			}
			return showTrial(ctx, reader, t, asJSON, c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// found is a trial and where it belongs.
type found struct {
	id, cell    string
	seed        int64
	experiments []string
	configs     []string        // in each of these, of one cell; of no experiment that of the last run
	trained     bool            // there is a run
	status      tracking.Status // of the last run
	data        string          // of it, the hash of the content of the task's files
}

// config is the configuration that is shown and trained by.
func (t *found) config() string { return t.configs[0] }

// findTrial looks for the trial whose id begins with prefix.
func findTrial(ctx context.Context, r *tracking.Reader, prefix string) (*found, error) {
	experiments, err := r.Experiments(ctx)
	if err != nil {
		return nil, failed(err)
	}
	trials := map[string]*found{}
	var names []string
	for _, row := range experiments {
		names = append(names, row.Name)
		e, err := r.Experiment(ctx, row.Name)
		if err != nil {
			return nil, failed(err)
		}
		for _, t := range e.Trials {
			if !strings.HasPrefix(t.ID, prefix) {
				continue
			}
			if trials[t.ID] == nil {
				trials[t.ID] = &found{id: t.ID, cell: t.CellID, seed: t.Seed}
			}
			i := slices.IndexFunc(e.Cells, func(c tracking.Cell) bool { return c.ID == t.CellID })
			f := trials[t.ID]
			f.experiments, f.configs = append(f.experiments, e.Name), append(f.configs, e.Cells[i].Config)
		}
	}
	all, err := r.TrialsBy(ctx, prefix)
	if err != nil {
		return nil, failed(err)
	}
	for _, t := range all { // an experiment that was registered again may have left some
		if trials[t.ID] != nil {
			continue
		}
		runs, err := r.RunsOf(ctx, t.ID)
		if err != nil {
			return nil, failed(err)
		}
		if len(runs) > 0 {
			trials[t.ID] = &found{id: t.ID, cell: t.CellID, seed: t.Seed, experiments: []string{}, configs: []string{runs[len(runs)-1].Config}}
		}
	}
	switch len(trials) {
	case 0:
		if slices.Contains(names, prefix) {
			return nil, usage(fmt.Errorf("%q is an experiment, and this wants one of its trials", prefix), fmt.Sprintf("exp list %s prints their ids", prefix))
		}
		return nil, usage(fmt.Errorf("there is no experiment and no trial %q", prefix),
			fmt.Sprintf("exp list prints the experiments (%s), exp list EXPERIMENT its trials", strings.Join(names, ", ")))
	case 1:
		for _, t := range trials {
			runs, err := r.RunsOf(ctx, t.id)
			if err != nil {
				return nil, failed(err)
			}
			if t.trained = len(runs) > 0; t.trained {
				last := runs[len(runs)-1]
				t.status, t.data = last.Status, last.DataHash
			}
			return t, nil
		}
	}
	var ids []string
	for id := range trials {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return nil, usage(fmt.Errorf("%d trials begin with %q: %s", len(ids), prefix, strings.Join(ids[:min(len(ids), 4)], ", ")), "")
}

// trialJSON is all that is known of a trial.
type trialJSON struct {
	Trial       string       `json:"trial"`
	Cell        string       `json:"cell"`
	Seed        int64        `json:"seed"`
	Experiments []string     `json:"experiments"`
	Config      string       `json:"config"` // TOML
	Card        *cardJSON    `json:"card,omitempty"`
	NoCard      string       `json:"no_card,omitempty"` // why there is none
	Metrics     []metricJSON `json:"metrics"`
	Runs        []runJSON    `json:"runs"`
}

type metricJSON struct {
	Split  string `json:"split"`
	Metric string `json:"metric"`
	Step   int    `json:"step"`
	Value  number `json:"value"`

	Signature string `json:"signature,omitempty"` // how it was computed
}

type runJSON struct {
	Run      int64           `json:"run"`
	Status   tracking.Status `json:"status"`
	Message  string          `json:"message,omitempty"`
	Stack    string          `json:"stack,omitempty"`
	Started  time.Time       `json:"started"`
	Finished *time.Time      `json:"finished,omitempty"`
	Host     string          `json:"host"`
	PID      int             `json:"pid"`
	Command  []string        `json:"command"`
	Code     string          `json:"code"`
	Dirty    bool            `json:"dirty"`
	Data     string          `json:"data,omitempty"`
	Go       string          `json:"go"`
	Platform string          `json:"platform"`
	CPU      string          `json:"cpu"`
	Kernel   string          `json:"kernel"`
	Workers  int             `json:"workers"`
}

func showTrial(ctx context.Context, r *tracking.Reader, t *found, asJSON bool, w io.Writer) error {
	metrics, err := r.LastMetrics(ctx, t.id)
	if err != nil {
		return failed(err)
	}
	runs, err := r.RunsOf(ctx, t.id)
	if err != nil {
		return failed(err)
	}
	shown := trialJSON{Trial: t.id, Cell: t.cell, Seed: t.seed, Experiments: t.experiments, Config: t.config(), Metrics: []metricJSON{}, Runs: []runJSON{}}
	signatures := t.signatures()
	slices.SortStableFunc(metrics, compareMetrics)
	for _, m := range metrics {
		shown.Metrics = append(shown.Metrics, metricJSON{m.Split, m.Name, m.Step, number(m.Value), signatures[m.Name]})
	}
	for _, run := range runs {
		j := runJSON{run.ID, run.Status, run.Message, run.Stack, run.Started, nil, run.Host, run.PID, run.Command, run.CodeVersion, run.Dirty,
			run.DataHash, run.GoVersion, run.Platform, run.CPU, run.Kernel, run.Workers}
		if !run.Finished.IsZero() {
			j.Finished = &run.Finished
		}
		shown.Runs = append(shown.Runs, j)
	}
	if shown.Card, err = t.card(); err != nil {
		shown.NoCard = err.Error()
	}
	if asJSON {
		return writeJSON(w, shown)
	}
	printTrial(w, shown)
	return nil
}

// signatures says of metrics, by name, how they are computed, where others have to
// know, of all experiments that the trial is of; of none where it was recorded by a
// version that computed others.
func (t *found) signatures() map[string]string {
	signatures := map[string]string{}
	for _, config := range t.configs {
		c, err := t.decode(config)
		if err != nil {
			continue
		}
		task, err := c.Task.Build(components.TaskDeps{})
		if err != nil {
			continue
		}
		grouped, ok := task.(components.GroupedTask)
		for _, m := range c.Metrics {
			if signed, is := m.Metric.(components.Signed); is {
				signatures[m.Name] = signed.Signature(ok && grouped.Grouped())
			}
		}
	}
	return signatures
}

// compareMetrics puts the parts of a metric below it, and its buckets, in the
// order of their lengths, below those.
func compareMetrics(a, b tracking.Metric) int {
	nameA, restA, _ := strings.Cut(a.Name, "/")
	nameB, restB, _ := strings.Cut(b.Name, "/")
	byA, bucketA, _ := strings.Cut(restA, "=")
	byB, bucketB, _ := strings.Cut(restB, "=")
	return cmp.Or(strings.Compare(a.Split, b.Split), strings.Compare(nameA, nameB),
		cmp.Compare(min(len(bucketA), 1), min(len(bucketB), 1)), strings.Compare(byA, byB), cmp.Compare(least(bucketA), least(bucketB)))
}

// least is the number that the name of a bucket begins with.
func least(bucket string) int {
	n, _ := strconv.Atoi(bucket[:max(0, strings.IndexAny(bucket, "-+"))])
	return n
}

func printTrial(w io.Writer, t trialJSON) {
	of := "no experiment as it is now"
	if len(t.Experiments) > 0 {
		of = strings.Join(t.Experiments, ", ")
	}
	fmt.Fprintf(w, "# trial %s: seed %d of cell %s, of %s\n\n%s\n", t.Trial, t.Seed, t.Cell, of, strings.TrimSpace(t.Config))
	if t.Card != nil {
		printCard(w, t.Card)
	} else {
		fmt.Fprintf(w, "\nits architecture cannot be shown: %s\n", t.NoCard)
	}
	if len(t.Metrics) > 0 {
		table := newTable("metric", "step", "value", "signature")
		alignNumbers(table, 2, 2)
		for _, m := range t.Metrics {
			table.AppendRow([]any{m.Split + "/" + m.Metric, formatCount(m.Step), formatValue(float64(m.Value)), m.Signature})
		}
		fmt.Fprintf(w, "\n%s\n", table.Render())
	}
	for _, r := range t.Runs {
		fmt.Fprintf(w, "\nrun %d: %s", r.Run, r.Status)
		if r.Message != "" {
			fmt.Fprintf(w, ": %s", r.Message)
		}
		fmt.Fprintf(w, "\n  started   %s on %s, process %d", r.Started.Local().Format(time.DateTime), r.Host, r.PID)
		if r.Finished != nil {
			fmt.Fprintf(w, ", for %s", formatDuration(r.Finished.Sub(r.Started)))
		}
		code := r.Code
		if r.Dirty {
			code += " with changes"
		}
		fmt.Fprintf(w, "\n  command   %s\n  code      %s, %s %s\n  machine   %s, %s kernels, %d workers\n", strings.Join(r.Command, " "), code, r.Go, r.Platform, r.CPU, r.Kernel, r.Workers)
		if r.Data != "" {
			fmt.Fprintf(w, "  data      %s\n", r.Data)
		}
		if r.Stack != "" {
			fmt.Fprintf(w, "%s\n", r.Stack)
		}
	}
}
