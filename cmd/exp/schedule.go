package main

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"exp/plots"
	"exp/runner"
	"exp/runner/train"
)

// schedules draws the learning rate of every cell over its training, those that are
// the same once.
func (p *places) schedules(g *runner.Grid, w io.Writer) error {
	type curve struct {
		*train.Rates
		cells []string
	}
	var curves []curve
	for i := range g.Cells {
		c := &g.Cells[i]
		r, err := g.Rates(c, 400)
		if err != nil {
			return failed(fmt.Errorf("%s: %w", c.Label(), err))
		}
		same := slices.IndexFunc(curves, func(other curve) bool {
			return slices.Equal(other.Steps, r.Steps) && slices.Equal(other.Values, r.Values) && other.Follows == r.Follows
		})
		if same < 0 {
			same = len(curves)
			curves = append(curves, curve{Rates: r})
		}
		if label := c.Label(); label != "" {
			curves[same].cells = append(curves[same].cells, label)
		}
	}
	const label = "schedule"
	var data plots.Data
	for i, c := range curves {
		if i > 0 {
			fmt.Fprintln(w)
		}
		name := strings.Join(c.cells, ", ")
		if name != "" {
			fmt.Fprintln(w, name)
		}
		drawRates(w, c.Rates)
		data.Trials = append(data.Trials, plots.Trial{
			Labels: map[string]string{label: name}, Status: plots.Finished,
			Series: map[string]plots.Series{"train/lr": {Steps: c.Steps, Values: c.Values}},
		})
	}
	o := plots.DefaultLearningCurve()
	o.FileName, o.Y = "schedule", "train/lr"
	if len(curves) > 1 {
		o.By = []string{label}
	}
	figure, err := plots.NewLearningCurve(o, plots.Sweep{})
	if err != nil {
		return failed(err)
	}
	rendered, err := figure.Render(data)
	if err != nil {
		return failed(err)
	}
	dir := filepath.Join(p.figures, g.Name)
	if err := writeFigure(dir, figure.Name(), rendered); err != nil {
		return failed(err)
	}
	fmt.Fprintf(w, "%s.{%s}\n", filepath.Join(dir, figure.Name()), strings.Join(rendered.Formats(), ","))
	return nil
}

// drawRates draws a curve of blocks: a column for an update, in eighths of a line.
func drawRates(w io.Writer, r *train.Rates) {
	const columns, lines = 64, 8
	highest := slices.Max(r.Values)
	top := fmt.Sprintf("%.3g", highest)
	heights := make([]int, min(columns, len(r.Values)))
	for i := range heights {
		value := r.Values[i*(len(r.Values)-1)/max(1, len(heights)-1)]
		heights[i] = int(math.Round(value / highest * 8 * lines))
	}
	for line := range lines {
		axis := strings.Repeat(" ", len(top))
		switch line {
		case 0:
			axis = top
		case lines - 1:
			axis = strings.Repeat(" ", len(top)-1) + "0"
		}
		var b strings.Builder
		for _, height := range heights {
			eighths := min(8, max(0, height-8*(lines-1-line)))
			b.WriteRune([]rune(" ▁▂▃▄▅▆▇█")[eighths])
		}
		fmt.Fprintf(w, "%s │%s\n", axis, strings.TrimRight(b.String(), " "))
	}
	last := fmt.Sprintf("%s updates", formatCount(r.Steps[len(r.Steps)-1]))
	fmt.Fprintf(w, "%s └%s\n", strings.Repeat(" ", len(top)), strings.Repeat("─", len(heights)))
	fmt.Fprintf(w, "%s  1%*s\n", strings.Repeat(" ", len(top)), max(1, len(heights)-1), last)
	if !r.Known {
		fmt.Fprintf(w, "train.seconds ends the training, before or after that\n")
	}
	if r.Follows != "" {
		fmt.Fprintf(w, "and lower where valid/%s stops improving\n", r.Follows)
	}
}
