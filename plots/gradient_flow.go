package plots

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"exp/registry"
)

// flowMetric is what a gradient flow is recorded as, before the distance.
const flowMetric = "valid/gradient_flow/"

// GradientFlowOptions configures a [GradientFlow].
type GradientFlowOptions struct {
	Selection
	Panels
}

// DefaultGradientFlow is a figure as wide as a page's text.
func DefaultGradientFlow() GradientFlowOptions {
	return GradientFlowOptions{Panels: Panels{Width: 5.5, Height: 3.4}}
}

// Doc describes the figure.
func (GradientFlowOptions) Doc() string {
	return "The norm of the gradient of the loss with respect to the encoder's hidden state h_t, over the distance of t from the last step, relative to that at the last, of the trained model: where it falls, gradients vanish, where it rises, they explode. " +
		"For each group the geometric mean over its seeds as a line, their range as a band. It needs evaluate.diagnostics.gradient_flow, the greatest distance."
}

// Validate returns every option that is wrong.
func (o GradientFlowOptions) Validate() error {
	return errors.Join(o.Selection.Validate(), o.Panels.Validate())
}

// GradientFlow is the norm of a gradient over the distance in time, with a
// logarithmic axis, a line for each group. A distance that a trial lacks, or has a
// norm of 0 at, ends its group's line.
type GradientFlow struct {
	o       GradientFlowOptions
	metrics []string // by distance
}

// NewGradientFlow builds the figure of a sweep that measures it.
func NewGradientFlow(o GradientFlowOptions, s Sweep) (Figure, error) {
	f := GradientFlow{o: o}
	for _, metric := range s.Metrics {
		if strings.HasPrefix(metric, flowMetric) {
			f.metrics = append(f.metrics, metric)
		}
	}
	var none error
	if s.Metrics != nil && f.metrics == nil {
		none = registry.Fault{Key: "type", Problem: "gradient_flow is not measured; set evaluate.diagnostics.gradient_flow to the greatest distance"}
	}
	return f, errors.Join(none, s.check(o.Selection, o.Facet, "type"))
}

// Name is what its files are called.
func (f GradientFlow) Name() string { return f.o.name("gradient_flow") }

// Metrics is the norms at all distances.
func (f GradientFlow) Metrics() []string { return f.metrics }

// Render draws a [*Picture].
func (f GradientFlow) Render(d Data) (Rendered, error) {
	p, err := f.picture(d)
	if err != nil {
		return nil, fmt.Errorf("figure %s: %w", f.Name(), err)
	}
	return p, nil
}

// flow is a group's line.
type flow struct {
	mean, low, high plotter.XYs
	last, of        int // trials measured, all
	order           int
}

func (f GradientFlow) picture(d Data) (*Picture, error) {
	g, err := newGrouping(d, f.o.Selection, f.o.Facet)
	if err != nil {
		return nil, err
	}
	names := g.names()
	xs, ys := newBounds(), newBounds()
	panels := make([][]flow, len(g.panels))
	var seeds seedCounts
	for i, p := range g.panels {
		for _, group := range p.groups {
			line := f.measure(group)
			line.order = slices.IndexFunc(names, func(n []string) bool { return slices.Equal(n, group.values) })
			seeds.add(line.order, line.last, line.of)
			for j := range line.mean {
				xs.add(line.mean[j].X)
				ys.add(line.low[j].Y, line.high[j].Y)
			}
			panels[i] = append(panels[i], line)
		}
	}
	if ys.empty() {
		return nil, errors.New("no trial has a gradient flow yet")
	}
	p := &Picture{width: vg.Length(f.o.Width) * vg.Inch, height: vg.Length(f.o.Height) * vg.Inch, title: f.o.Title}
	var plots []*plot.Plot
	for i, lines := range panels {
		one := newPlot()
		if f.o.Facet != "" {
			one.Title.Text = g.describeValue(f.o.Facet, g.panels[i].facet)
		}
		one.X.Min, one.X.Max = 0, max(xs.hi, 1)
		one.X.Tick.Marker = plot.TickerFunc(stepTicks)
		one.Y.Min, one.Y.Max = math.Log10(max(ys.lo/1.5, least)), math.Log10(ys.hi*1.5)
		one.Y.Tick.Marker = plot.TickerFunc(decades)
		one.Add(grid{vertical: true})
		for _, l := range lines {
			outline := inDecades(l.high)
			for _, point := range slices.Backward(inDecades(l.low)) {
				outline = append(outline, point)
			}
			one.Add(quiet{&plotter.Polygon{XYs: []plotter.XYs{outline}, Color: lookOf(l.order).seeThrough()}})
		}
		for _, l := range lines {
			one.Add(quiet{&plotter.Line{XYs: inDecades(l.mean), LineStyle: lookOf(l.order).line(1.2)}})
		}
		plots = append(plots, one)
	}
	p.arrange(plots, "distance in time, in steps", "gradient norm, relative")
	for order, values := range names {
		if text := strings.TrimSpace(g.describe(g.by, values) + seeds.suffix(order)); text != "" {
			p.legend = append(p.legend, legendEntry{text: text, line: lookOf(order).line(1.2)})
		}
	}
	p.note = seeds.note("geometric mean", "band: "+spreadNames[Range])
	return p, p.fit()
}

// least is a norm that is drawn; what is less is drawn there.
const least = 1e-30

// inDecades is points with the logarithm of y to base 10. The axis is linear in it: of
// a logarithmic one over many decades gonum believes the label to be at its top, and
// makes room for it above.
func inDecades(points plotter.XYs) plotter.XYs {
	logs := slices.Clone(points)
	for i := range logs {
		logs[i].Y = math.Log10(max(logs[i].Y, least))
	}
	return logs
}

// decades marks such an axis.
func decades(lo, hi float64) []plot.Tick {
	ticks := logTicks(false)(math.Pow(10, lo), math.Pow(10, hi))
	for i := range ticks {
		ticks[i].Value = math.Log10(ticks[i].Value)
	}
	return ticks
}

// measure reads a group's line.
func (f GradientFlow) measure(g group) flow {
	l := flow{of: len(g.trials)}
	var trials []*Trial
	for _, t := range g.trials {
		if first := t.Final[flowMetric+"0"]; finite(first) && first > 0 {
			trials = append(trials, t)
		}
	}
	l.last = len(trials)
	for distance := range f.metrics {
		var logs []float64
		for _, t := range trials {
			if v := t.Final[flowMetric+strconv.Itoa(distance)]; finite(v) && v > 0 {
				logs = append(logs, math.Log(v/t.Final[flowMetric+"0"]))
			}
		}
		if len(logs) == 0 || len(logs) < len(trials) {
			break
		}
		x := float64(distance)
		l.mean = append(l.mean, plotter.XY{X: x, Y: math.Exp(Summarize(logs).Mean)})
		l.low = append(l.low, plotter.XY{X: x, Y: math.Exp(slices.Min(logs))})
		l.high = append(l.high, plotter.XY{X: x, Y: math.Exp(slices.Max(logs))})
	}
	return l
}
