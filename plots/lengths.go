package plots

import (
	"errors"
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Lengths is how long the sequences of a split are.
type Lengths struct {
	Name           string
	Source, Target []int // pairs of each length, from 0
}

// lengthBins is how many bins lengths are counted in, at most.
const lengthBins = 50

// LengthDistribution draws the share of the pairs of each split over the length of
// the source and of the target, in bins of one width.
func LengthDistribution(splits []Lengths) (*Picture, error) {
	p := &Picture{width: 6.5 * vg.Inch, height: 2.8 * vg.Inch}
	panel := func(title string, of func(Lengths) []int) (*plot.Plot, error) {
		longest := 0
		for _, s := range splits {
			for length, n := range of(s) {
				if n > 0 {
					longest = max(longest, length)
				}
			}
		}
		width := (longest + lengthBins) / lengthBins
		one := newPlot()
		one.Title.Text = title
		one.X.Min, one.X.Max = 0, float64((longest/width+1)*width)
		one.Y.Min = 0
		one.Add(grid{vertical: true})
		for i, s := range splits {
			counts, total := make([]float64, longest/width+1), 0.0
			for length, n := range of(s) {
				if n > 0 {
					counts[length/width] += float64(n)
					total += float64(n)
				}
			}
			if total == 0 {
				return nil, fmt.Errorf("lengths of %s: there are no pairs", s.Name)
			}
			points := plotter.XYs{{X: 0, Y: 0}}
			for bin, n := range counts {
				share := n / total
				points = append(points, plotter.XY{X: float64(bin * width), Y: share}, plotter.XY{X: float64((bin + 1) * width), Y: share})
				one.Y.Max = max(one.Y.Max, 1.05*share)
			}
			points = append(points, plotter.XY{X: float64(len(counts) * width), Y: 0})
			one.Add(quiet{&plotter.Line{XYs: points, LineStyle: lookOf(i).line(1)}})
		}
		return one, nil
	}
	if len(splits) == 0 {
		return nil, errors.New("length distribution: want at least one split")
	}
	source, err := panel("source", func(s Lengths) []int { return s.Source })
	if err != nil {
		return nil, err
	}
	target, err := panel("target", func(s Lengths) []int { return s.Target })
	if err != nil {
		return nil, err
	}
	p.arrange([]*plot.Plot{source, target}, "length", "share of pairs")
	for i, s := range splits {
		p.legend = append(p.legend, legendEntry{text: s.Name, line: lookOf(i).line(1), glyph: draw.GlyphStyle{}})
	}
	return p, p.fit()
}
