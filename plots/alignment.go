package plots

import (
	"errors"
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Alignment is the weights with which a model looked at a source as it said a
// target.
type Alignment struct {
	Title          string
	Source, Target []string
	Weights        [][]float64 // [target][source], in [0, 1]
}

// Sizes of a panel of an alignment.
const (
	cellSize    = 11 // points
	letterWidth = 4.6
)

// Alignments draws weights as the paper of the first attention did (Bahdanau et al.
// 2015, figure 3): the source from left to right, the target from top to bottom, and a
// cell for each pair, the darker the larger its weight; white is 0. Panels are side by
// side, two a row.
func Alignments(all []Alignment) (*Picture, error) {
	if len(all) == 0 {
		return nil, errors.New("alignments: there are none")
	}
	p := &Picture{note: "weight: white 0, darkest 1"}
	columns := min(2, len(all))
	var width, height vg.Length
	for i, a := range all {
		if len(a.Weights) != len(a.Target) || len(a.Target) == 0 || len(a.Source) == 0 {
			return nil, fmt.Errorf("alignment %d: %d rows of weights of %d target and %d source tokens; want a row a target token, and one of each at least", i+1, len(a.Weights), len(a.Target), len(a.Source))
		}
		for _, row := range a.Weights {
			if len(row) != len(a.Source) {
				return nil, fmt.Errorf("alignment %d: a row of %d weights, and %d source tokens", i+1, len(row), len(a.Source))
			}
		}
		one := newPlot()
		one.Title.Text = a.Title
		S, T := len(a.Source), len(a.Target)
		one.X.Min, one.X.Max, one.Y.Min, one.Y.Max = -0.5, float64(S)-0.5, -0.5, float64(T)-0.5
		one.X.Tick.Marker, one.Y.Tick.Marker = tokenTicks(a.Source, false), tokenTicks(a.Target, true)
		one.X.Tick.Label.Rotation = math.Pi / 2
		one.X.Tick.Label.XAlign, one.X.Tick.Label.YAlign = text.XRight, text.YCenter
		one.Add(heatmap(a.Weights))
		if i%columns == 0 {
			p.panels = append(p.panels, make([]*plot.Plot, columns))
		}
		p.panels[len(p.panels)-1][i%columns] = one
		width = max(width, vg.Length(S)*cellSize+longestToken(a.Target)*letterWidth+30)
		height = max(height, vg.Length(T)*cellSize+longestToken(a.Source)*letterWidth+40)
	}
	p.width, p.height = max(width*vg.Length(columns), 2*vg.Inch), height*vg.Length(len(p.panels))+20
	across, down := p.room() // of few rows or columns it may be less than a panel needs
	p.width += max(0, leastPanel-across) * vg.Length(columns)
	p.height += max(0, leastPanel-down) * vg.Length(len(p.panels))
	return p, nil
}

func longestToken(tokens []string) vg.Length {
	longest := 1
	for _, t := range tokens {
		longest = max(longest, len([]rune(t)))
	}
	return vg.Length(longest)
}

// tokenTicks marks each place with its token, from the top where downwards.
func tokenTicks(tokens []string, downwards bool) plot.ConstantTicks {
	ticks := make(plot.ConstantTicks, len(tokens))
	for i, token := range tokens {
		at := i
		if downwards {
			at = len(tokens) - 1 - i
		}
		if token == " " {
			token = "␣"
		}
		ticks[i] = plot.Tick{Value: float64(at), Label: token + " "} // a gap to the axis, which turned text has not
	}
	return ticks
}

// heatmap is weights [target][source] as shades.
type heatmap [][]float64

// Plot fills the cells.
func (w heatmap) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for t, row := range w {
		bottom := float64(len(w)-1-t) - 0.5
		for s, weight := range row {
			if !(weight > 0) {
				continue
			}
			left := float64(s) - 0.5
			corners := []vg.Point{{X: x(left), Y: y(bottom)}, {X: x(left + 1), Y: y(bottom)}, {X: x(left + 1), Y: y(bottom + 1)}, {X: x(left), Y: y(bottom + 1)}}
			c.FillPolygon(shade(min(1, weight)), corners)
		}
	}
}

// darkest is the shade of weight 1.
var darkest = color.NRGBA{0x08, 0x30, 0x6B, 0xFF}

// shade is from white to the darkest.
func shade(weight float64) color.Color { return mix(white, darkest, weight) }
