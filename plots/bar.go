package plots

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// BarOptions configures a [Bar].
type BarOptions struct {
	Selection
	Panels
	Y         string `toml:"y" doc:"metric, as split/metric"`
	ErrorBars Spread `toml:"error_bars" doc:"what the error bars are: the sample standard deviation, the range or the 95% confidence interval over the seeds"`
}

// DefaultBar is a bar chart as wide as a page's text.
func DefaultBar() BarOptions {
	return BarOptions{Panels: Panels{Width: 5.5, Height: 3.2}, Y: "test/exact_match", ErrorBars: SD}
}

// Doc describes the figure.
func (BarOptions) Doc() string {
	return "A metric at the end of training: a bar for each group's mean over its seeds, with error bars and a point for each seed. With several labels in by, the last is the colour and the others are the place."
}

// Validate returns every option that is wrong.
func (o BarOptions) Validate() error {
	return errors.Join(o.Selection.Validate(), o.Panels.Validate(), validateMetric("y", o.Y))
}

// Bar is a metric at the end of training, a bar for each group. Bars start at
// 0. A trial without a finite value is in no bar, and counted in "2 of 3".
type Bar struct{ o BarOptions }

// NewBar builds a bar chart.
func NewBar(o BarOptions, s Sweep) (Figure, error) {
	return Bar{o}, s.check(o.Selection, o.Facet, "y", o.Y)
}

// Name is what its files are called.
func (f Bar) Name() string { return f.o.name("bar", f.o.Y) }

// Metrics is the metric shown, of which it needs the final values.
func (f Bar) Metrics() []string { return []string{f.o.Y} }

// Render draws a [*Picture].
func (f Bar) Render(d Data) (Rendered, error) {
	p, err := f.picture(d)
	if err != nil {
		return nil, fmt.Errorf("figure %s: %w", f.Name(), err)
	}
	return p, nil
}

// bar is one bar, of width 1 in units of the horizontal axis.
type bar struct {
	at     float64 // its middle
	place  int     // of the group of bars
	hue    int     // its colour
	values []float64
	Summary
	of int // trials
}

func (f Bar) picture(d Data) (*Picture, error) {
	g, err := newGrouping(d, f.o.Selection, f.o.Facet)
	if err != nil {
		return nil, err
	}
	placeLabels, hueLabels := g.by, []string(nil)
	if n := len(g.by); n > 1 {
		placeLabels, hueLabels = g.by[:n-1], g.by[n-1:]
	}
	split := len(placeLabels)
	var places, hues [][]string
	for _, name := range g.names() {
		places, hues = include(places, name[:split]), include(hues, name[split:])
	}
	ys := newBounds()
	ys.add(0)
	panels := make([][]bar, len(g.panels))
	var seeds seedCounts
	any := false
	for i, p := range g.panels {
		for _, group := range p.groups {
			values := inOrder(group.finals(f.o.Y))
			b := bar{place: indexOf(places, group.values[:split]), hue: indexOf(hues, group.values[split:]), values: values, Summary: Summarize(values), of: len(group.trials)}
			b.at = float64(b.place)*(float64(len(hues))+0.6) + float64(b.hue)
			if low, high, ok := b.interval(f.o.ErrorBars); ok {
				ys.add(low, high)
			}
			ys.add(values...)
			seeds.add(0, b.N, b.of)
			any = any || b.N > 0
			panels[i] = append(panels[i], b)
		}
	}
	if !any {
		return nil, fmt.Errorf("no trial has a final value of %s yet", f.o.Y)
	}

	p := &Picture{width: vg.Length(f.o.Width) * vg.Inch, height: vg.Length(f.o.Height) * vg.Inch, title: f.o.Title}
	var plots []*plot.Plot
	for i, bars := range panels {
		one := newPlot()
		if f.o.Facet != "" {
			one.Title.Text = g.describeValue(f.o.Facet, g.panels[i].facet)
		}
		one.X.Min, one.X.Max = -0.8, float64(len(places)-1)*(float64(len(hues))+0.6)+float64(len(hues))-0.2
		const least = 6 // widths of a bar: a few bars do not fill the panel
		air := max(0, least-(one.X.Max-one.X.Min)) / 2
		one.X.Min, one.X.Max = one.X.Min-air, one.X.Max+air
		one.X.Tick.Length = 0
		f.scaleY(&one.Y, ys)
		f.add(one, bars, seeds)
		plots = append(plots, one)
	}
	xTitle := ""
	if len(placeLabels) == 1 {
		xTitle = g.short[placeLabels[0]]
	}
	p.arrange(plots, xTitle, axisTitle(f.o.Y))
	f.name(p, plots, g, placeLabels, places, len(hues))
	for i, hue := range hues {
		if hueLabels != nil {
			s := lookOf(i)
			p.legend = append(p.legend, legendEntry{text: g.describe(hueLabels, hue), swatch: &s, glyph: s.point()})
		}
	}
	p.note = seeds.note("mean", "error bars: "+spreadNames[f.o.ErrorBars]+"; points: single seeds")
	return p, p.fit()
}

// scaleY sets an axis to hold 0 and every value.
func (f Bar) scaleY(axis *plot.Axis, ys bounds) {
	share := isShare(f.o.Y)
	wide := ys.widened(share)
	if ys.lo == 0 {
		wide.lo = 0
	}
	if ys.hi == 0 && ys.lo < 0 {
		wide.hi = 0
	}
	axis.Min, axis.Max = wide.lo, wide.hi
	axis.Tick.Marker = valueTicks(share)
}

// name writes the names of the places below the bars, slanted where they have
// no room side by side.
func (f Bar) name(p *Picture, plots []*plot.Plot, g *grouping, labels []string, places [][]string, hues int) {
	ticks := make(plot.ConstantTicks, len(places))
	style := textStyle(tickSize, dark)
	var widest vg.Length
	for i, place := range places {
		name := g.describe(labels, place)
		if len(labels) == 1 && name != place[0] {
			name = place[0] // the axis has the label's name
		}
		ticks[i] = plot.Tick{Value: float64(i)*(float64(hues)+0.6) + float64(hues-1)/2, Label: name}
		widest = max(widest, style.Width(name))
	}
	slot := (p.width/vg.Length(len(p.panels[0])) - 50) / vg.Length(len(places)) // about: 50 for the other axis
	slanted := widest+4 > slot
	for _, one := range plots {
		one.X.Tick.Marker = ticks
		if slanted {
			one.X.Tick.Label.Rotation = slant
			one.X.Tick.Label.XAlign, one.X.Tick.Label.YAlign = text.XRight, text.YTop
		}
	}
	for i, tick := range ticks {
		if slanted { // the first names reach below the other axis
			reach := style.Width(tick.Label)*vg.Length(math.Cos(slant)) - 30 - slot*(vg.Length(i)+0.5)
			p.left = max(p.left, reach)
		}
	}
}

// slant of names that have no room side by side.
const slant = math.Pi / 6

// add draws a panel's bars.
func (f Bar) add(p *plot.Plot, bars []bar, seeds seedCounts) {
	p.Add(grid{})
	for _, b := range bars {
		s := lookOf(b.hue)
		if b.N > 0 {
			p.Add(quiet{&plotter.Polygon{
				XYs:       []plotter.XYs{{{X: b.at - 0.5, Y: 0}, {X: b.at + 0.5, Y: 0}, {X: b.at + 0.5, Y: b.Mean}, {X: b.at - 0.5, Y: b.Mean}}},
				Color:     s.fill(),
				LineStyle: draw.LineStyle{Color: s.edge(), Width: 0.7},
			}})
		}
		top := 0.0
		var points plotter.XYs
		for i, v := range b.values {
			// Side by side, in the order of the seeds, within half the bar.
			x := b.at + 0.5*(float64(i)+0.5)/float64(b.N) - 0.25
			points = append(points, plotter.XY{X: x, Y: v})
			top = max(top, v)
		}
		p.Add(quiet{&plotter.Scatter{XYs: points, GlyphStyle: s.point()}})
		if low, high, ok := b.interval(f.o.ErrorBars); ok {
			top = max(top, high)
			p.Add(quiet{&plotter.YErrorBars{
				XYs:       plotter.XYs{{X: b.at, Y: b.Mean}},
				YErrors:   plotter.YErrors{{Low: b.Mean - low, High: high - b.Mean}},
				LineStyle: draw.LineStyle{Color: dark, Width: 0.9}, CapWidth: 6,
			}})
		}
		if !seeds.uniform() {
			style := textStyle(noteSize, dark)
			style.XAlign, style.YAlign = draw.XCenter, draw.YBottom
			p.Add(quiet{&plotter.Labels{
				XYs: plotter.XYs{{X: b.at, Y: min(top, p.Y.Max)}}, Labels: []string{"n=" + count(b.N, b.of)},
				TextStyle: []text.Style{style}, Offset: vg.Point{Y: 2},
			}})
		}
	}
	if p.Y.Min < 0 {
		p.Add(quiet{&plotter.Line{XYs: plotter.XYs{{X: p.X.Min, Y: 0}, {X: p.X.Max, Y: 0}}, LineStyle: draw.LineStyle{Color: dark, Width: 0.6}}})
	}
}

// include appends a list to lists unless it is there.
func include(lists [][]string, list []string) [][]string {
	if indexOf(lists, list) >= 0 {
		return lists
	}
	return append(lists, list)
}

func indexOf(lists [][]string, list []string) int {
	return slices.IndexFunc(lists, func(other []string) bool { return slices.Equal(other, list) })
}
