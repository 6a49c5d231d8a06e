package plots

import (
	"errors"
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Cost is what a training or decoding step of one model takes at lengths in
// ascending order.
type Cost struct {
	Name         string
	Lengths      []int     // of every source and target, in steps
	Milliseconds []float64 // of the processor, a step
	Megabytes    []float64 // of memory that grows with the batch
}

// CostOverLength draws the time and the memory of a step over the length, with
// both axes logarithmic, so that what grows with a power of the length is straight;
// thin lines grow with the length and with its square.
func CostOverLength(costs []Cost) (*Picture, error) {
	p := &Picture{width: 6.5 * vg.Inch, height: 3.2 * vg.Inch, note: "thin lines: proportional to the length, and to its square"}
	xs, time, memory := newBounds(), newBounds(), newBounds()
	for _, c := range costs {
		if len(c.Lengths) < 2 || len(c.Milliseconds) != len(c.Lengths) || len(c.Megabytes) != len(c.Lengths) {
			return nil, fmt.Errorf("cost of %s: %d lengths, %d times and %d memories; want two of each at least, and as many", c.Name, len(c.Lengths), len(c.Milliseconds), len(c.Megabytes))
		}
		for _, n := range c.Lengths {
			xs.add(float64(n))
		}
		time.add(c.Milliseconds...)
		memory.add(c.Megabytes...)
	}
	if len(costs) == 0 || !(xs.lo > 0 && time.lo > 0 && memory.lo > 0) {
		return nil, errors.New("cost over length: want at least one model, with lengths, times and memories above 0")
	}
	panel := func(title string, ys bounds, of func(Cost) []float64) *plot.Plot {
		one := newPlot()
		one.Title.Text = title
		one.X.Scale, one.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(lengthTicks)
		one.X.Min, one.X.Max = xs.lo/1.1, xs.hi*1.1
		one.Y.Scale, one.Y.Tick.Marker = plot.LogScale{}, logTicks(false)
		one.Y.Min, one.Y.Max = ys.lo/1.5, ys.hi*1.5
		one.Add(grid{vertical: true})
		for _, power := range []int{1, 2} {
			one.Add(quiet{&plotter.Line{XYs: slope(xs, one.Y.Min, one.Y.Max, power), LineStyle: draw.LineStyle{Color: faint, Width: 0.4}}})
		}
		for i, c := range costs {
			points := make(plotter.XYs, len(c.Lengths))
			for j, n := range c.Lengths {
				points[j] = plotter.XY{X: float64(n), Y: of(c)[j]}
			}
			look := lookOf(i)
			one.Add(quiet{&plotter.Line{XYs: points, LineStyle: look.line(1.2)}}, quiet{&plotter.Scatter{XYs: points, GlyphStyle: look.glyph(2.1)}})
		}
		return one
	}
	p.arrange([]*plot.Plot{
		panel("CPU ms a step", time, func(c Cost) []float64 { return c.Milliseconds }),
		panel("MB", memory, func(c Cost) []float64 { return c.Megabytes }),
	}, "length of source and target", "")
	for i, c := range costs {
		if c.Name != "" {
			look := lookOf(i)
			p.legend = append(p.legend, legendEntry{text: c.Name, line: look.line(1.2), glyph: look.glyph(2.1)})
		}
	}
	return p, p.fit()
}

// slope is the line of that power of x from the lower left corner of the axes as far as
// they go.
func slope(xs bounds, low, high float64, power int) plotter.XYs {
	const points = 64
	var line plotter.XYs
	for i := range points + 1 {
		x := xs.lo + (xs.hi-xs.lo)*float64(i*i)/(points*points)
		y := low
		for range power {
			y *= x / xs.lo
		}
		if y > high {
			break
		}
		line = append(line, plotter.XY{X: x, Y: y})
	}
	return line
}

// lengthTicks marks powers of two.
func lengthTicks(lo, hi float64) []plot.Tick {
	var ticks []plot.Tick
	for v := 1.0; v <= hi; v *= 2 {
		if v >= lo {
			ticks = append(ticks, plot.Tick{Value: v, Label: formatDecimals(v, 0)})
		}
	}
	return ticks
}
