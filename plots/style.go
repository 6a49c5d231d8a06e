package plots

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Sizes of text, in points, as a figure at its own size on the page needs them.
const (
	titleSize = 10
	labelSize = 9
	tickSize  = 8
	noteSize  = 7
)

// palette is the colours of Okabe and Ito (2008), told apart with every common
// colour blindness. Their yellow is too faint for a line on white: grey stands in.
var palette = []color.NRGBA{
	{0x00, 0x72, 0xB2, 0xFF}, // blue
	{0xD5, 0x5E, 0x00, 0xFF}, // vermillion
	{0x00, 0x9E, 0x73, 0xFF}, // bluish green
	{0xCC, 0x79, 0xA7, 0xFF}, // reddish purple
	{0xE6, 0x9F, 0x00, 0xFF}, // orange
	{0x56, 0xB4, 0xE9, 0xFF}, // sky blue
	{0x00, 0x00, 0x00, 0xFF}, // black
	{0x80, 0x80, 0x80, 0xFF}, // grey
}

var (
	dark  = color.NRGBA{0x26, 0x26, 0x26, 0xFF} // text, axes
	faint = color.NRGBA{0x70, 0x70, 0x70, 0xFF} // notes
	light = color.NRGBA{0xE2, 0xE2, 0xE2, 0xFF} // grid
)

// dashes are the patterns of lines, in points, as far apart as the colours are:
// what tells lines apart on a grey print.
var dashes = [][]vg.Length{
	nil,
	{6, 2.2},
	{1.4, 1.6},
	{6, 1.8, 1.4, 1.8},
	{3, 1.6},
	{9, 2.2, 3, 2.2},
	{9, 2.2},
	{6, 1.6, 1.4, 1.6, 1.4, 1.6},
}

// marker is a filled shape about a point, in units of its radius.
type marker []vg.Point

// markers are the shapes of points.
var markers = []marker{
	ring(20, 1, 1, 0),
	ring(4, 1.2, 1.2, math.Pi/4),
	ring(3, 1.35, 1.35, math.Pi/2),
	ring(4, 1.25, 1.25, 0),
	ring(10, 1.5, 0.65, math.Pi/2),
	ring(3, 1.35, 1.35, -math.Pi/2),
	cross(0),
	cross(math.Pi / 4),
}

// ring is n corners on a circle, every second of them at the inner radius.
func ring(n int, outer, inner, start float64) marker {
	corners := make(marker, n)
	for i := range corners {
		radius := outer
		if i%2 == 1 {
			radius = inner
		}
		corners[i] = polar(radius, start+2*math.Pi*float64(i)/float64(n))
	}
	return corners
}

// cross is a plus sign with strokes of a certain breadth.
func cross(rotation float64) marker {
	const long, broad = 1.35, 0.42
	var corners marker
	for arm := range 4 {
		angle := rotation + math.Pi/2*float64(arm)
		side := math.Atan2(broad, long)
		corners = append(corners,
			polar(math.Hypot(long, broad), angle-side),
			polar(math.Hypot(long, broad), angle+side),
			polar(broad*math.Sqrt2, angle+math.Pi/4))
	}
	return corners
}

func polar(radius, angle float64) vg.Point {
	sin, cos := math.Sincos(angle)
	return vg.Point{X: vg.Length(radius * cos), Y: vg.Length(radius * sin)}
}

// DrawGlyph fills the shape.
func (m marker) DrawGlyph(c *draw.Canvas, style draw.GlyphStyle, at vg.Point) {
	corners := make([]vg.Point, len(m))
	for i, corner := range m {
		corners[i] = at.Add(corner.Scale(style.Radius))
	}
	c.FillPolygon(style.Color, corners)
}

// look is how a group is drawn.
type look struct {
	color  color.NRGBA
	dashes []vg.Length
	marker marker
}

// lookOf is the look of the i-th group. Colour, dashes and marker each tell the
// first eight apart; the pairs repeat after sixty-four.
func lookOf(i int) look {
	turn := i + i/len(palette)
	return look{palette[i%len(palette)], dashes[turn%len(dashes)], markers[turn%len(markers)]}
}

func (l look) line(width vg.Length) draw.LineStyle {
	return draw.LineStyle{Color: l.color, Width: width, Dashes: l.dashes}
}

func (l look) glyph(radius vg.Length) draw.GlyphStyle {
	return draw.GlyphStyle{Color: l.color, Radius: radius, Shape: l.marker}
}

// seeThrough is the colour of a band.
func (l look) seeThrough() color.NRGBA {
	c := l.color
	c.A = 0x2E
	return c
}

// fill, edge and point are the colours of a bar and of the seeds' points on it.
func (l look) fill() color.NRGBA { return mix(l.color, white, 0.45) }
func (l look) edge() color.NRGBA { return mix(l.color, palette[6], 0.25) }
func (l look) point() draw.GlyphStyle {
	return draw.GlyphStyle{Color: mix(l.color, palette[6], 0.5), Radius: 1.7, Shape: l.marker}
}

// mix is colour a with a share of b in it.
func mix(a, b color.NRGBA, share float64) color.NRGBA {
	part := func(x, y uint8) uint8 { return uint8(math.Round(float64(x)*(1-share) + float64(y)*share)) }
	return color.NRGBA{part(a.R, b.R), part(a.G, b.G), part(a.B, b.B), 0xFF}
}

var white = color.NRGBA{0xFF, 0xFF, 0xFF, 0xFF}

// textStyle is a style of text in the figures' typeface.
func textStyle(size vg.Length, clr color.NRGBA) text.Style {
	return text.Style{
		Color:   clr,
		Font:    font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, size),
		Handler: plot.DefaultTextHandler,
	}
}

// newPlot is an empty plot in the figures' style.
func newPlot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil // the picture has one
	p.Title.TextStyle = textStyle(labelSize, dark)
	p.Title.TextStyle.XAlign, p.Title.TextStyle.YAlign = draw.XCenter, draw.YTop
	p.Title.Padding = 3
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		restyle(&axis.Label.TextStyle, labelSize)
		restyle(&axis.Tick.Label, tickSize)
		axis.Label.Padding = 3
		axis.Padding = 0
		axis.LineStyle = draw.LineStyle{Color: dark, Width: 0.6}
		axis.Tick.LineStyle = axis.LineStyle
		axis.Tick.Length = 3
	}
	return p
}

// restyle gives text the figures' typeface and keeps how it is aligned.
func restyle(style *text.Style, size vg.Length) {
	own := textStyle(size, dark)
	own.XAlign, own.YAlign = style.XAlign, style.YAlign
	*style = own
}
