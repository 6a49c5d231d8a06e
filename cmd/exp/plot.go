package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"exp/components"
	"exp/experiments"
	"exp/plots"
	"exp/registry"
	"exp/tracking"
)

func newPlot(p *places) *cobra.Command {
	var set []string
	c := &cobra.Command{
		Use:   "plot FILE",
		Short: "Render an experiment's figures again, from what is recorded",
		Long: `plot reads the file as run does and renders its figures and tables from the
database, training nothing. The same records give the same bytes.`,
		Example: `  exp plot experiments/quickstart.toml
  exp plot experiments/quickstart.toml --figures /tmp/figures`,
		Args:              fileArgument,
		ValidArgsFunction: completeFiles,
		RunE: func(c *cobra.Command, args []string) error {
			e, figures, err := load(args[0], set)
			if err != nil {
				return err
			}
			if len(figures) == 0 {
				return usage(fmt.Errorf("%s: has no [[figures]]", e.Path), "exp components figure lists what a figure can be")
			}
			reader, err := tracking.OpenReadOnly(p.database())
			if err != nil {
				return failed(err)
			}
			defer reader.Close()
			if err := p.render(c.Context(), reader, e, figures, c.OutOrStdout()); err != nil {
				return failed(err)
			}
			return nil
		},
	}
	setFlag(c, &set)
	return c
}

// buildFigures builds the figures of e, or says which cannot be drawn of it.
func buildFigures(e *experiments.Experiment) ([]plots.Figure, error) {
	kind := plots.NewKind()
	sweep := plots.Sweep{Metrics: slices.Concat([]string{"train/loss", "train/grad_norm", "train/lr"}, costs())}
	for i := range e.Cells {
		c := &e.Cells[i]
		sweep.Cells = append(sweep.Cells, labels(c))
		for _, name := range diagnosed(c.Diagnostics) {
			if !slices.Contains(sweep.Metrics, name) {
				sweep.Metrics = append(sweep.Metrics, name)
			}
		}
		for _, m := range c.Metrics {
			for _, number := range c.Breakdown.Names(m.Name, m) {
				for _, name := range []string{"valid/" + number, "test/" + number} {
					if !slices.Contains(sweep.Metrics, name) {
						sweep.Metrics = append(sweep.Metrics, name)
					}
				}
			}
		}
	}
	var figures []plots.Figure
	var errs []error
	tables := map[string]*registry.Table{}
	for _, t := range e.Figures {
		choice, err := kind.Decode(t)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		f, err := choice.Build(sweep)
		if err != nil {
			errs = append(errs, registry.At(t, err))
			continue
		}
		if other := tables[f.Name()]; other != nil {
			errs = append(errs, registry.At(t, registry.Fault{Problem: fmt.Sprintf("its files have the name %q, as those of the figure at %s; give one of them another name", f.Name(), other.Origin)}))
		}
		tables[f.Name()] = t
		figures = append(figures, f)
	}
	return figures, errors.Join(errs...)
}

// diagnosed lists what the diagnostics record, as figures name it.
func diagnosed(o components.Diagnostics) (names []string) {
	if o.Layers {
		names = append(names, "train/gradient_norm/*", "train/update_ratio/*")
	}
	if o.Activations {
		names = append(names, "valid/saturation/*", "valid/attention_entropy")
	}
	for distance := 0; o.GradientFlow > 0 && distance <= o.GradientFlow; distance++ {
		names = append(names, fmt.Sprintf("valid/gradient_flow/%d", distance))
	}
	return names
}

// labels is where a cell is in its sweep.
func labels(c *experiments.Cell) map[string]string {
	l := map[string]string{}
	for _, a := range c.Axes {
		l[a.Key] = a.Label
	}
	return l
}

// render writes every figure in every format to the experiment's folder, and
// the tables to w. The error is of every figure that could not be.
func (p *places) render(ctx context.Context, r *tracking.Reader, e *experiments.Experiment, figures []plots.Figure, w io.Writer) error {
	data, err := measured(ctx, r, e, figures)
	if err != nil {
		return err
	}
	dir := filepath.Join(p.figures, e.Name)
	var errs []error
	for _, f := range figures {
		rendered, err := f.Render(data)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if t, ok := rendered.(*plots.Table); ok {
			if err := t.Write(w, "txt"); err != nil {
				return err
			}
		}
		if err := writeFigure(dir, f.Name(), rendered); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s.{%s}\n", filepath.Join(dir, f.Name()), strings.Join(rendered.Formats(), ","))
	}
	return errors.Join(errs...)
}

// writeFigure writes a figure in every format. A file is whole or as before.
func writeFigure(dir, name string, rendered plots.Rendered) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, format := range rendered.Formats() {
		var b bytes.Buffer
		if err := rendered.Write(&b, format); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		path := filepath.Join(dir, name+"."+format)
		if err := os.WriteFile(path+".tmp", b.Bytes(), 0o644); err != nil {
			return err
		}
		if err := os.Rename(path+".tmp", path); err != nil {
			return err
		}
	}
	return nil
}

// measured is what the database knows of e's trials, as figures want it.
func measured(ctx context.Context, r *tracking.Reader, e *experiments.Experiment, figures []plots.Figure) (plots.Data, error) {
	metrics := map[string]bool{}
	for _, f := range figures {
		for _, m := range f.Metrics() {
			metrics[m] = true
		}
	}
	data := plots.Data{HigherIsBetter: costsHigherIsBetter()}
	for i := range e.Cells {
		c := &e.Cells[i]
		for _, m := range c.Metrics {
			for _, name := range c.Breakdown.Scores(m.Name) {
				data.HigherIsBetter[name] = m.HigherIsBetter()
			}
		}
	}
	for _, t := range inFileOrder(e) {
		trial := plots.Trial{Labels: labels(t.Cell), Seed: t.Seed, Series: map[string]plots.Series{}, Final: map[string]float64{}}
		status, err := r.Status(ctx, t.ID)
		if errors.Is(err, tracking.ErrNotFound) {
			data.Trials = append(data.Trials, trial)
			continue
		}
		if err != nil {
			return data, err
		}
		trial.Status = plots.Status(status)
		trial.Parameters, err = r.Parameters(ctx, t.ID)
		if err != nil {
			return data, err
		}
		for _, name := range slices.Sorted(maps.Keys(metrics)) {
			if isCost(name) {
				if err := addCost(ctx, r, t.ID, name, &trial); err != nil {
					return data, err
				}
				continue
			}
			split, metric, _ := strings.Cut(name, "/")
			points, err := r.Points(ctx, t.ID, split, metric)
			if err != nil {
				return data, err
			}
			var s plots.Series
			for _, p := range points {
				s.Steps = append(s.Steps, p.Step)
				s.Values = append(s.Values, p.Value)
			}
			trial.Series[name] = s
			if n := len(s.Values); n > 0 && status == tracking.Finished {
				trial.Final[name] = s.Values[n-1]
			}
		}
		data.Trials = append(data.Trials, trial)
	}
	return data, nil
}

// inFileOrder is e's trials, all seeds of a cell together.
func inFileOrder(e *experiments.Experiment) []experiments.Trial {
	trials := e.Trials()
	position := map[*experiments.Cell]int{}
	for i := range e.Cells {
		position[&e.Cells[i]] = i
	}
	slices.SortStableFunc(trials, func(a, b experiments.Trial) int { return position[a.Cell] - position[b.Cell] })
	return trials
}
