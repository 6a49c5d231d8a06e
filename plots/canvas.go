package plots

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"regexp"
	"unicode/utf8"

	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgeps"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgpdf"
	"gonum.org/v1/plot/vg/vgsvg"
)

// resolution of PNG files, in dots an inch.
const resolution = 300

// A canvas draws in one format and writes the file.
type canvas interface {
	vg.Canvas
	Size() (width, height vg.Length)
	io.WriterTo
}

// newCanvas returns a canvas for a format, and what turns what it writes into
// the file: a function that takes out what differs between two renderings.
func newCanvas(format string, width, height vg.Length) (canvas, func([]byte) []byte) {
	same := func(b []byte) []byte { return b }
	switch format {
	case "svg":
		return vgsvg.New(width, height), cleanSVG
	case "pdf":
		return pdfCanvas{vgpdf.New(width, height)}, cleanPDF
	case "eps":
		return epsCanvas{vgeps.New(width, height)}, func(b []byte) []byte { return cleanEPS(b, width, height) }
	case "png":
		return vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(resolution))}, same
	}
	panic(fmt.Sprintf("plots: a picture has no format %q", format))
}

// cleanSVG names typefaces with the same widths for who lacks Liberation Sans.
func cleanSVG(b []byte) []byte {
	return bytes.ReplaceAll(b, []byte("font-family:Liberation Sans;"), []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;"))
}

var pdfDate = regexp.MustCompile(`\(D:\d{14}\)`)

// cleanPDF gives the file a date of its own. It keeps its length, on which the
// offsets in the file rest.
func cleanPDF(b []byte) []byte {
	return pdfDate.ReplaceAll(b, []byte("(D:20000101000000)"))
}

var epsHeader = regexp.MustCompile(`(?s)\A%%!PS.*?%%EndComments\n`)

// cleanEPS writes the header anew: vgeps's has the date, a first line that starts
// with one percent sign too many to be taken for PostScript, and a bounding box
// that need not be of whole points.
func cleanEPS(b []byte, width, height vg.Length) []byte {
	header := fmt.Sprintf("%%!PS-Adobe-3.0 EPSF-3.0\n%%%%BoundingBox: 0 0 %.0f %.0f\n%%%%HiResBoundingBox: 0 0 %.5g %.5g\n%%%%EndComments\n",
		math.Ceil(width.Points()), math.Ceil(height.Points()), width.Points(), height.Points())
	return epsHeader.ReplaceAllLiteral(b, []byte(header))
}

// pdfCanvas mends what vgpdf does to colours and text. Text is drawn as its
// outlines: vgpdf encodes no character beyond Western Europe's, and outlines look
// the same everywhere without a font in the file.
type pdfCanvas struct{ *vgpdf.Canvas }

// SetColor keeps vgpdf from darkening a transparent colour, whose RGBA it takes
// as if it were not multiplied by the opacity.
func (c pdfCanvas) SetColor(clr color.Color) { c.Canvas.SetColor(straight{nrgba(clr)}) }

// FillString fills the outlines of str.
func (c pdfCanvas) FillString(face font.Face, at vg.Point, str string) {
	c.Fill(outline(face, at, str))
}

// straight is a colour whose RGBA is not multiplied by its opacity.
type straight struct{ c color.NRGBA }

func (s straight) RGBA() (r, g, b, a uint32) {
	return uint32(s.c.R) * 0x101, uint32(s.c.G) * 0x101, uint32(s.c.B) * 0x101, uint32(s.c.A) * 0x101
}

// epsCanvas draws what PostScript lacks. Text is drawn as its outlines, since no
// interpreter needs to have the typeface, or its characters.
type epsCanvas struct{ *vgeps.Canvas }

// SetColor lays a transparent colour on white: PostScript has no transparency.
func (c epsCanvas) SetColor(clr color.Color) {
	n := nrgba(clr)
	c.Canvas.SetColor(mix(white, color.NRGBA{n.R, n.G, n.B, 0xFF}, float64(n.A)/0xFF))
}

// FillString fills the outlines of str.
func (c epsCanvas) FillString(face font.Face, at vg.Point, str string) {
	c.Fill(outline(face, at, str))
}

func nrgba(clr color.Color) color.NRGBA {
	if clr == nil {
		clr = color.Black
	}
	return color.NRGBAModel.Convert(clr).(color.NRGBA)
}

// outline is the outlines of str, its baseline starting at a point. A character
// that the typeface lacks is drawn as its box for such.
func outline(face font.Face, at vg.Point, str string) vg.Path {
	var buffer sfnt.Buffer
	var path vg.Path
	units := face.Face.UnitsPerEm()
	scale := face.Font.Size / vg.Length(units)
	em := fixed.I(int(units)) // loads glyphs in the typeface's own units
	for i, r := range str {
		// Its width ends the text up to it, kerning included.
		x := at.X + face.Width(str[:i+utf8.RuneLen(r)]) - face.Width(string(r))
		glyph, err := face.Face.GlyphIndex(&buffer, r)
		if err != nil {
			panic(fmt.Sprintf("plots: %s has no glyph table: %v", face.Name(), err))
		}
		segments, err := face.Face.LoadGlyph(&buffer, glyph, em, nil)
		if err != nil {
			panic(fmt.Sprintf("plots: %s does not hold the glyph of %q: %v", face.Name(), r, err))
		}
		point := func(p fixed.Point26_6) vg.Point {
			return vg.Point{X: x + vg.Length(p.X)/64*scale, Y: at.Y - vg.Length(p.Y)/64*scale}
		}
		var last vg.Point
		for j, s := range segments {
			switch s.Op {
			case sfnt.SegmentOpMoveTo:
				if j > 0 {
					path.Close()
				}
				last = point(s.Args[0])
				path.Move(last)
			case sfnt.SegmentOpLineTo:
				last = point(s.Args[0])
				path.Line(last)
			case sfnt.SegmentOpQuadTo:
				// As a cubic curve, which vgeps draws right.
				control, end := point(s.Args[0]), point(s.Args[1])
				path.CubeTo(between(last, control), between(end, control), end)
				last = end
			case sfnt.SegmentOpCubeTo:
				last = point(s.Args[2])
				path.CubeTo(point(s.Args[0]), point(s.Args[1]), last)
			}
		}
		if len(segments) > 0 {
			path.Close()
		}
	}
	return path
}

// between is two thirds of the way from a to b.
func between(a, b vg.Point) vg.Point { return a.Add(b.Sub(a).Scale(2.0 / 3)) }
