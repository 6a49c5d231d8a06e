package plots

import (
	"bytes"
	"fmt"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Picture is a figure drawn, with one panel or several.
type Picture struct {
	width, height vg.Length
	title         string
	note          string    // what the figure shows of the seeds
	left          vg.Length // room to keep free on the left
	legend        []legendEntry
	panels        [][]*plot.Plot // rows of panels; nil in the last row where there is none
}

// legendEntry is a name and what stands before it.
type legendEntry struct {
	text   string
	line   draw.LineStyle // not drawn if its width is 0
	swatch *look          // a box in the colours of bars, if any
	glyph  draw.GlyphStyle
}

// Space in the picture, in points.
const (
	margin      = 4
	sampleWidth = 22 // of a legend's entry
	sampleGap   = 4
	entryGap    = 12
	panelGap    = 10
	leastPanel  = 36 // what a panel needs at least, in either direction
)

// Formats lists the formats of a picture.
func (*Picture) Formats() []string { return []string{"pdf", "svg", "png", "eps"} }

// Write writes the picture. PNG has 300 dots an inch. Text is text in SVG and
// outlines in PDF and EPS; EPS has no transparency.
func (p *Picture) Write(w io.Writer, format string) error {
	c, clean := newCanvas(format, p.width, p.height)
	p.draw(draw.NewCanvas(c, p.width, p.height))
	var file bytes.Buffer
	if _, err := c.WriteTo(&file); err != nil {
		return err
	}
	_, err := w.Write(clean(file.Bytes()))
	return err
}

// fit refuses a picture whose panels have no room beside everything else.
func (p *Picture) fit() error {
	width, height := p.room()
	if width < leastPanel {
		return fmt.Errorf("width of %.3g inches leaves no room for the panels; raise it, or show fewer", p.width/vg.Inch)
	}
	if height < leastPanel {
		return fmt.Errorf("height of %.3g inches leaves no room for the panels beside a legend of %d; raise it, or show fewer", p.height/vg.Inch, len(p.legend))
	}
	return nil
}

// room is what the panel with the least of it has beside everything else.
func (p *Picture) room() (width, height vg.Length) {
	width, height = p.width, p.height
	c := draw.NewCanvas(nil, p.width, p.height)
	area := p.layOut(c, func(draw.Canvas, legendEntry) {}, func(draw.Canvas, float64, vg.Length, string) {})
	for _, row := range p.panels {
		for _, one := range row {
			if one == nil {
				continue
			}
			axes := one.DataCanvas(area).Size()
			width = min(width, area.Size().X/vg.Length(len(p.panels[0]))-(area.Size().X-axes.X))
			height = min(height, area.Size().Y/vg.Length(len(p.panels))-(area.Size().Y-axes.Y))
		}
	}
	return width, height
}

func (p *Picture) draw(c draw.Canvas) {
	c.FillPolygon(white, []vg.Point{c.Min, {X: c.Max.X, Y: c.Min.Y}, c.Max, {X: c.Min.X, Y: c.Max.Y}})
	area := p.layOut(c, drawEntry, func(c draw.Canvas, align float64, size vg.Length, txt string) {
		clr := dark
		if size == noteSize {
			clr = faint
		}
		style := textStyle(size, clr)
		style.XAlign, style.YAlign = draw.XAlignment(align), draw.YBottom
		at := vg.Point{X: c.Min.X - c.Size().X*vg.Length(align), Y: c.Max.Y - 1.1*size}
		c.FillText(style, at, txt)
	})
	tiles := draw.Tiles{Rows: len(p.panels), Cols: len(p.panels[0]), PadX: panelGap, PadY: panelGap}
	for i, row := range plot.Align(p.panels, tiles, area) {
		for j, tile := range row {
			if p.panels[i][j] != nil {
				p.panels[i][j].Draw(tile)
			}
		}
	}
}

// layOut places title, legend and note, hands each to its function with the
// space that it has, and returns the space left for the panels. align is 0 for
// text from the left, -0.5 for centred and -1 for text up to the right.
func (p *Picture) layOut(c draw.Canvas, entry func(draw.Canvas, legendEntry), text func(c draw.Canvas, align float64, size vg.Length, txt string)) draw.Canvas {
	area := draw.Crop(c, margin+p.left, -margin, margin, -margin)
	strip := func(fromTop bool, height vg.Length) draw.Canvas {
		cut := area
		if fromTop {
			cut.Min.Y = area.Max.Y - height
			area.Max.Y = cut.Min.Y
		} else {
			cut.Max.Y = area.Min.Y + height
			area.Min.Y = cut.Max.Y
		}
		return cut
	}
	if p.title != "" {
		text(strip(true, titleSize*1.6), -0.5, titleSize, p.title)
	}
	if p.note != "" {
		text(strip(false, noteSize*1.4), -1, noteSize, p.note)
	}
	if len(p.legend) > 0 {
		widths := p.legendColumns(area.Size().X)
		rows := (len(p.legend) + len(widths) - 1) / len(widths)
		const lineHeight = tickSize * 1.45
		box := strip(true, lineHeight*vg.Length(rows)+margin)
		cell := box
		cell.Min.X += max(0, (box.Size().X+entryGap-total(widths))/2)
		left := cell.Min.X
		for i, e := range p.legend {
			column := i % len(widths)
			if column == 0 {
				cell.Min.X = left
			}
			cell.Max.X = cell.Min.X + widths[column]
			cell.Max.Y = box.Max.Y - lineHeight*vg.Length(i/len(widths))
			cell.Min.Y = cell.Max.Y - lineHeight
			entry(cell, e)
			cell.Min.X = cell.Max.X
		}
	}
	return area
}

// legendColumns is the widths of the legend's columns, as few rows as the width
// allows and as few columns as those rows need.
func (p *Picture) legendColumns(width vg.Length) []vg.Length {
	style := textStyle(tickSize, dark)
	var widths []vg.Length
	for columns := len(p.legend); columns >= 1; columns-- {
		rows := (len(p.legend) + columns - 1) / columns
		if columns > 1 && (len(p.legend)+columns-2)/(columns-1) == rows {
			continue
		}
		widths = make([]vg.Length, columns)
		for i, e := range p.legend {
			widths[i%columns] = max(widths[i%columns], sampleWidth+sampleGap+style.Width(e.text)+entryGap)
		}
		if total(widths) <= width+entryGap {
			break
		}
	}
	return widths
}

func total(widths []vg.Length) vg.Length {
	var sum vg.Length
	for _, w := range widths {
		sum += w
	}
	return sum
}

// drawEntry draws one entry of the legend.
func drawEntry(c draw.Canvas, e legendEntry) {
	y := (c.Min.Y + c.Max.Y) / 2
	middle := vg.Point{X: c.Min.X + sampleWidth/2, Y: y}
	if e.swatch != nil {
		const halfWidth, halfHeight = 8, 3.5
		box := []vg.Point{{X: middle.X - halfWidth, Y: y - halfHeight}, {X: middle.X + halfWidth, Y: y - halfHeight},
			{X: middle.X + halfWidth, Y: y + halfHeight}, {X: middle.X - halfWidth, Y: y + halfHeight}, {X: middle.X - halfWidth, Y: y - halfHeight}}
		c.FillPolygon(e.swatch.fill(), box)
		c.StrokeLines(draw.LineStyle{Color: e.swatch.edge(), Width: 0.7}, box)
	}
	if e.line.Width > 0 {
		c.StrokeLine2(e.line, c.Min.X, y, c.Min.X+sampleWidth, y)
	}
	c.DrawGlyphNoClip(e.glyph, middle)
	style := textStyle(tickSize, dark)
	style.YAlign = draw.YCenter
	c.FillText(style, vg.Point{X: c.Min.X + sampleWidth + sampleGap, Y: y + style.FontExtents().Descent/2}, e.text)
}

// arrange puts panels into rows, as near to a square of panels as the picture
// is, and labels the axes on the rim only.
func (p *Picture) arrange(panels []*plot.Plot, x, y string) {
	columns := min(len(panels), max(1, int(math.Ceil(math.Sqrt(float64(len(panels))*float64(p.width/p.height)/1.2)))))
	rows := (len(panels) + columns - 1) / columns
	columns = (len(panels) + rows - 1) / rows
	p.panels = make([][]*plot.Plot, rows)
	for i := range p.panels {
		p.panels[i] = make([]*plot.Plot, columns)
	}
	for i, one := range panels {
		p.panels[i/columns][i%columns] = one
		if i%columns == 0 {
			one.Y.Label.Text = y
		}
		if i+columns >= len(panels) {
			one.X.Label.Text = x
		}
	}
}

// grid is light lines at the ticks.
type grid struct{ vertical bool }

// Plot draws the lines at ticks with a label.
func (g grid) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	style := draw.LineStyle{Color: light, Width: 0.5}
	if g.vertical {
		for _, tick := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
			if at := x(tick.Value); !tick.IsMinor() && c.ContainsX(at) {
				c.StrokeLine2(style, at, c.Min.Y, at, c.Max.Y)
			}
		}
	}
	for _, tick := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if at := y(tick.Value); !tick.IsMinor() && c.ContainsY(at) {
			c.StrokeLine2(style, c.Min.X, at, c.Max.X, at)
		}
	}
}

// bounds is the range of values to show.
type bounds struct{ lo, hi float64 }

func newBounds() bounds { return bounds{math.Inf(1), math.Inf(-1)} }

func (b *bounds) add(values ...float64) {
	for _, v := range values {
		if finite(v) {
			b.lo, b.hi = min(b.lo, v), max(b.hi, v)
		}
	}
}

func (b bounds) empty() bool { return b.lo > b.hi }

// widened leaves air around the values, down to 0 where that is near. It does not
// cross 0 where no value does, and shares stay within [0, 1], even if a mean plus its spread does not.
func (b bounds) widened(share bool) bounds {
	air := (b.hi - b.lo) * 0.05
	if air == 0 {
		air = max(math.Abs(b.hi)*0.1, 1e-3)
	}
	air = max(air, 1e-9*math.Abs(b.lo), 1e-9*math.Abs(b.hi), 1e-200) // or ticks would be too near for floats
	wide := bounds{b.lo - air, b.hi + air}
	if b.lo >= 0 && b.lo < 0.2*b.hi {
		wide.lo = 0
	}
	if b.lo >= 0 || share {
		wide.lo = max(0, wide.lo)
	}
	if share {
		wide.hi = min(1, wide.hi)
	}
	return wide
}
