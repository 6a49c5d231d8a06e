package plots

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"exp/registry"
)

// Scale is how an axis runs.
type Scale string

// The scales.
const (
	Linear      Scale = "linear"
	Logarithmic Scale = "log"
)

// Values lists the scales.
func (Scale) Values() []string { return []string{string(Linear), string(Logarithmic)} }

// UnmarshalText reads a scale.
func (s *Scale) UnmarshalText(text []byte) error { return registry.OneOf(s, text) }

// LearningCurveOptions configures a [LearningCurve].
type LearningCurveOptions struct {
	Selection
	Panels
	Y      string `toml:"y" doc:"metric, as split/metric"`
	Band   Spread `toml:"band" doc:"what the band around the mean is: the sample standard deviation, the range or the 95% confidence interval over the seeds"`
	YScale Scale  `toml:"y_scale" doc:"scale of the metric's axis"`
}

// DefaultLearningCurve is a learning curve as wide as a page's text.
func DefaultLearningCurve() LearningCurveOptions {
	return LearningCurveOptions{Panels: Panels{Width: 5.5, Height: 3.4}, Y: "valid/loss", Band: SD, YScale: Linear}
}

// Doc describes the figure.
func (LearningCurveOptions) Doc() string {
	return "A metric over the steps of training: for each group the mean over its seeds as a line, their spread as a band. A trial that diverged or failed is a thin line of its own, to where it stopped."
}

// Validate returns every option that is wrong.
func (o LearningCurveOptions) Validate() error {
	return errors.Join(o.Selection.Validate(), o.Panels.Validate(), validateMetric("y", o.Y))
}

// LearningCurve is a metric over training, a line for each group.
//
// The mean at a step is over the trials measured there. It is a gap where one of
// them is NaN or infinite. A trial that diverged or failed is in no mean and no
// band: from where it stopped, those would jump. It is drawn alone, with a cross
// at its end, and counted in the legend's "2 of 3".
type LearningCurve struct{ o LearningCurveOptions }

// NewLearningCurve builds a learning curve.
func NewLearningCurve(o LearningCurveOptions, s Sweep) (Figure, error) {
	return LearningCurve{o}, s.check(o.Selection, o.Facet, "y", o.Y)
}

// Name is what its files are called.
func (f LearningCurve) Name() string { return f.o.name("learning_curve", f.o.Y) }

// Metrics is the metric shown, of which it needs the series.
func (f LearningCurve) Metrics() []string { return []string{f.o.Y} }

// Render draws a [*Picture].
func (f LearningCurve) Render(d Data) (Rendered, error) {
	p, err := f.picture(d)
	if err != nil {
		return nil, fmt.Errorf("figure %s: %w", f.Name(), err)
	}
	return p, nil
}

// curve is a group's line.
type curve struct {
	name       string
	segments   []segment // of the mean, apart where there are gaps
	alone      []plotter.XYs
	ends       plotter.XYs // where the trials of alone stop
	last, of   int         // finite values at the last step, trials
	look       look
	order, all int // among the groups
}

// segment is a stretch of a curve without a gap.
type segment struct {
	mean      plotter.XYs
	low, high plotter.XYs // the band, at the steps that have one
}

func (f LearningCurve) picture(d Data) (*Picture, error) {
	g, err := newGrouping(d, f.o.Selection, f.o.Facet)
	if err != nil {
		return nil, err
	}
	names := g.names()
	xs, ys, alone := newBounds(), newBounds(), newBounds()
	panels := make([][]curve, len(g.panels))
	for i, p := range g.panels {
		for _, group := range p.groups {
			order := slices.IndexFunc(names, func(n []string) bool { return slices.Equal(n, group.values) })
			c := curve{name: g.describe(g.by, group.values), look: lookOf(order), order: order, all: len(names)}
			if err := c.measure(group, f.o); err != nil {
				return nil, err
			}
			for _, s := range c.segments {
				for j, point := range s.mean {
					xs.add(point.X)
					ys.add(point.Y)
					if f.o.YScale == Linear && j < len(s.low) {
						ys.add(s.low[j].Y, s.high[j].Y)
					}
				}
			}
			for _, line := range c.alone {
				for _, point := range line {
					xs.add(point.X)
					alone.add(point.Y)
				}
			}
			panels[i] = append(panels[i], c)
		}
	}
	if ys.empty() {
		ys = alone // nothing but what diverged, whose size would else dwarf the rest
	}
	if ys.empty() {
		return nil, fmt.Errorf("no trial has a finite value of %s yet", f.o.Y)
	}

	share := isShare(f.o.Y)
	p := &Picture{width: vg.Length(f.o.Width) * vg.Inch, height: vg.Length(f.o.Height) * vg.Inch, title: f.o.Title}
	var plots []*plot.Plot
	for i, curves := range panels {
		one := newPlot()
		if f.o.Facet != "" {
			one.Title.Text = g.describeValue(f.o.Facet, g.panels[i].facet)
		}
		one.X.Min, one.X.Max = stepBounds(xs)
		one.X.Tick.Marker = plot.TickerFunc(stepTicks)
		f.scaleY(&one.Y, ys, share)
		f.add(one, curves)
		plots = append(plots, one)
	}
	p.arrange(plots, "training step", axisTitle(f.o.Y))
	f.describe(p, panels)
	return p, p.fit()
}

// stepBounds is the range of the steps, from 0 where that costs little.
func stepBounds(xs bounds) (lo, hi float64) {
	if xs.lo <= xs.hi*0.15 || xs.lo == xs.hi {
		xs.lo = 0
	}
	return xs.lo, max(xs.hi, 1)
}

func (f LearningCurve) scaleY(axis *plot.Axis, ys bounds, share bool) {
	axis.Tick.Marker = valueTicks(share)
	if f.o.YScale == Logarithmic {
		const least = 1e-150 // what is less has no logarithm, or soon none
		axis.Min, axis.Max = max(ys.lo/1.15, least), max(ys.hi*1.15, 10*least)
		axis.Scale, axis.Tick.Marker = plot.LogScale{}, logTicks(share)
		return
	}
	wide := ys.widened(share)
	axis.Min, axis.Max = wide.lo, wide.hi
}

// measure reads a group's curve.
func (c *curve) measure(g group, o LearningCurveOptions) error {
	metric, log := o.Y, o.YScale == Logarithmic
	c.of = len(g.trials)
	values := map[int][]float64{} // step to the values measured there
	for _, t := range g.trials {
		s := t.Series[metric]
		if len(s.Steps) != len(s.Values) {
			return fmt.Errorf("%s: %s of seed %d has %d steps and %d values", c.called(), metric, t.Seed, len(s.Steps), len(s.Values))
		}
		for i, step := range s.Steps {
			if log && s.Values[i] <= 0 && !math.IsInf(s.Values[i], -1) {
				return registry.Fault{Key: "y_scale", Problem: fmt.Sprintf("is log, but %s of %s, seed %d, is %v at step %d; make it linear", metric, c.called(), t.Seed, s.Values[i], step)}
			}
			if !t.Status.stopped() {
				values[step] = append(values[step], s.Values[i])
			}
		}
		if t.Status.stopped() {
			c.addAlone(s)
		}
	}
	var open *segment
	for _, step := range slices.Sorted(maps.Keys(values)) {
		all := values[step]
		c.last = 0
		for _, v := range all {
			if finite(v) {
				c.last++
			}
		}
		if c.last < len(all) {
			open = nil
			continue
		}
		if open == nil {
			c.segments = append(c.segments, segment{})
			open = &c.segments[len(c.segments)-1]
		}
		x, s := float64(step), Summarize(all)
		open.mean = append(open.mean, plotter.XY{X: x, Y: s.Mean})
		low, high, ok := s.interval(o.Band)
		if !ok {
			low, high = s.Mean, s.Mean
		}
		open.low = append(open.low, plotter.XY{X: x, Y: low})
		open.high = append(open.high, plotter.XY{X: x, Y: high})
	}
	return nil
}

func (c *curve) called() string {
	if c.name == "" {
		return "the curve"
	}
	return c.name
}

// addAlone adds the curve of a trial that stopped.
func (c *curve) addAlone(s Series) {
	var line plotter.XYs
	var end *plotter.XY
	for i, step := range s.Steps {
		if !finite(s.Values[i]) {
			if line != nil {
				c.alone = append(c.alone, line)
			}
			line = nil
			continue
		}
		point := plotter.XY{X: float64(step), Y: s.Values[i]}
		line, end = append(line, point), &point
	}
	if line != nil {
		c.alone = append(c.alone, line)
	}
	if end != nil {
		c.ends = append(c.ends, *end)
	}
}

// add draws a panel's curves: bands below, then trials that stopped, then means.
func (f LearningCurve) add(p *plot.Plot, curves []curve) {
	p.Add(grid{vertical: true})
	for _, c := range curves {
		for _, s := range c.segments {
			outline := slices.Clone(s.high)
			for _, point := range slices.Backward(s.low) {
				point.Y = max(point.Y, floor(p))
				outline = append(outline, point)
			}
			p.Add(quiet{&plotter.Polygon{XYs: []plotter.XYs{outline}, Color: c.look.seeThrough()}})
		}
	}
	for _, c := range curves {
		for _, line := range c.alone {
			p.Add(quiet{&plotter.Line{XYs: line, LineStyle: draw.LineStyle{Color: c.look.color, Width: 0.5}}})
		}
		ends := slices.Clone(c.ends)
		for i := range ends { // one that left the picture ends at its rim
			ends[i].Y = min(max(ends[i].Y, p.Y.Min), p.Y.Max)
		}
		p.Add(quiet{&plotter.Scatter{XYs: ends, GlyphStyle: draw.GlyphStyle{Color: c.look.color, Radius: 2.2, Shape: cross(math.Pi / 4)}}})
	}
	for _, c := range curves {
		for _, s := range c.segments {
			p.Add(quiet{&plotter.Line{XYs: s.mean, LineStyle: c.look.line(1.2)}})
		}
	}
	for _, c := range curves {
		p.Add(quiet{&plotter.Scatter{XYs: c.marked(), GlyphStyle: c.look.glyph(2.1)}})
	}
}

// floor is the least value that an axis can place: on a logarithmic one a band
// may reach below 0.
func floor(p *plot.Plot) float64 {
	if _, log := p.Y.Scale.(plot.LogScale); log {
		return p.Y.Min
	}
	return math.Inf(-1)
}

// marked is the points of the curve that have a marker: about six, at other
// places than those of the next curve, and every point that stands alone.
func (c curve) marked() plotter.XYs {
	var points, marked plotter.XYs
	for _, s := range c.segments {
		if len(s.mean) == 1 {
			marked = append(marked, s.mean[0])
		}
		points = append(points, s.mean...)
	}
	stride := max(1, len(points)/6)
	for i := stride * c.order / c.all; i < len(points); i += stride {
		marked = append(marked, points[i])
	}
	return marked
}

// describe writes legend and note.
func (f LearningCurve) describe(p *Picture, panels [][]curve) {
	var curves []curve // of each group, the first panel's
	var seeds seedCounts
	for _, shown := range panels {
		for _, c := range shown {
			seeds.add(c.order, c.last, c.of)
			if !slices.ContainsFunc(curves, func(other curve) bool { return other.order == c.order }) {
				curves = append(curves, c)
			}
		}
	}
	slices.SortFunc(curves, func(a, b curve) int { return a.order - b.order })
	for _, c := range curves {
		text := strings.TrimSpace(c.name + seeds.suffix(c.order))
		if text != "" {
			p.legend = append(p.legend, legendEntry{text: text, line: c.look.line(1.2), glyph: c.look.glyph(2.1)})
		}
	}
	p.note = seeds.note("mean", "band: "+spreadNames[f.o.Band])
	if slices.ContainsFunc(curves, func(c curve) bool { return c.ends != nil }) {
		p.note += "; thin line to ×: a trial that diverged or failed"
	}
}

// quiet is a plotter that does not move the axes, which are set.
type quiet struct{ plot.Plotter }
