package plots

import (
	"bytes"
	"flag"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// figures are drawn in the tests below, each by its name.
func figures(t *testing.T) []Rendered {
	t.Helper()
	four := diverge(sample(4), "gru", 1, 9000)
	var all []Rendered
	add := func(f Figure, err error) func(Data) {
		return func(d Data) {
			if err != nil {
				t.Fatal(err)
			}
			r, err := f.Render(d)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
	}
	curve := DefaultLearningCurve()
	curve.Y, curve.Selection = "valid/exact_match", simple()
	add(NewLearningCurve(curve, Sweep{}))(four)
	add(NewLearningCurve(curve, Sweep{}))(sample(10))

	facets := curve
	facets.Where, facets.Facet, facets.Width, facets.Height, facets.Title = nil, "task.split", 5, 2.6, "Généralisation (λ = ½)"
	add(NewLearningCurve(facets, Sweep{}))(four)

	logarithmic := curve
	logarithmic.Y, logarithmic.YScale, logarithmic.Band, logarithmic.Width, logarithmic.Height = "valid/loss", Logarithmic, CI95, 3.25, 2.4
	add(NewLearningCurve(logarithmic, Sweep{}))(sample(4))

	one := DefaultBar()
	one.Selection = simple()
	add(NewBar(one, Sweep{}))(sample(10))
	two := DefaultBar()
	two.By, two.ErrorBars = []string{"variant", "task.split"}, Range
	add(NewBar(two, Sweep{}))(four)

	results := DefaultResultsTable()
	results.By, results.Y, results.Parameters = []string{"variant", "task.split"}, []string{"test/exact_match", "test/loss"}, true
	add(NewResultsTable(results, Sweep{}))(four)
	ablation := DefaultAblationTable()
	ablation.By, ablation.Baseline, ablation.Title = []string{"variant", "task.split"}, map[string]string{"variant": "lstm"}, "What a cell is worth"
	add(NewAblationTable(ablation, Sweep{}))(four)
	cost, err := CostOverLength([]Cost{
		{Name: "lstm", Lengths: []int{64, 256, 1024, 4096}, Milliseconds: []float64{2, 8, 32, 131}, Megabytes: []float64{3, 5, 15, 60}},
		{Name: "transformer", Lengths: []int{64, 256, 1024, 4096}, Milliseconds: []float64{5, 20, 131, 1600}, Megabytes: []float64{5, 9, 33, 131}},
	})
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, cost)
	lengths, err := LengthDistribution([]Lengths{
		{Name: "train", Source: []int{0, 3, 10, 40, 22, 9, 2, 0, 1}, Target: []int{0, 0, 4, 20, 40, 17, 5, 1, 0, 0, 0, 1}},
		{Name: "test", Source: []int{0, 0, 1, 2, 1}, Target: []int{0, 0, 0, 1, 3}},
	})
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, lengths)
	flow := DefaultGradientFlow()
	flow.Selection = simple()
	add(NewGradientFlow(flow, Sweep{Metrics: flows(6)}))(flowing(sample(3), 6))
	return all
}

// names of the golden files of figures, in order.
var names = []string{"curve", "curve_ten", "curve_facets", "curve_log", "bar", "bar_two", "results", "ablation", "cost", "lengths", "gradient_flow"}

func TestGolden(t *testing.T) {
	for i, r := range figures(t) {
		formats := []string{"svg"} // what a picture is made of
		if i == 0 || i == 5 {
			formats = append(formats, "png") // what it looks like
		}
		if _, ok := r.(*Table); ok {
			formats = r.Formats()
		}
		for _, format := range formats {
			t.Run(names[i]+"."+format, func(t *testing.T) {
				var got bytes.Buffer
				if err := r.Write(&got, format); err != nil {
					t.Fatal(err)
				}
				golden(t, names[i]+"."+format, got.Bytes())
			})
		}
	}
}

// golden compares got with a file. Numbers of an SVG and colours of a PNG may
// differ by what fused multiply-adds of another processor make of them.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	same := bytes.Equal(got, want)
	switch filepath.Ext(name) {
	case ".svg":
		same = same || nearlyText(string(got), string(want), 0.02)
	case ".png":
		same = same || nearlyImage(t, got, want)
	}
	if !same {
		beside := filepath.Join("testdata", "got."+name)
		if err := os.WriteFile(beside, got, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Errorf("got %s\nwant %s; -update accepts it", beside, path)
	}
}

var number = regexp.MustCompile(`-?\d+(\.\d+)?(e[-+]\d+)?`)

// nearlyText reports whether two texts are the same but for numbers with a point
// that differ by at most delta.
func nearlyText(a, b string, delta float64) bool {
	if number.ReplaceAllString(a, "0") != number.ReplaceAllString(b, "0") {
		return false
	}
	x, y := number.FindAllString(a, -1), number.FindAllString(b, -1)
	for i := range x {
		u, err1 := strconv.ParseFloat(x[i], 64)
		v, err2 := strconv.ParseFloat(y[i], 64)
		if err1 != nil || err2 != nil || !(math.Abs(u-v) <= delta) {
			return false
		}
	}
	return true
}

// nearlyImage reports whether two PNG files have the same size, and colours that
// differ by a twentieth at most.
func nearlyImage(t *testing.T, got, want []byte) bool {
	t.Helper()
	var images [2]image.Image
	for i, file := range [][]byte{got, want} {
		var err error
		if images[i], err = png.Decode(bytes.NewReader(file)); err != nil {
			t.Fatal(err)
		}
	}
	a, b := images[0], images[1]
	if a.Bounds() != b.Bounds() {
		return false
	}
	for y := a.Bounds().Min.Y; y < a.Bounds().Max.Y; y++ {
		for x := a.Bounds().Min.X; x < a.Bounds().Max.X; x++ {
			r1, g1, b1, _ := a.At(x, y).RGBA()
			r2, g2, b2, _ := b.At(x, y).RGBA()
			for _, pair := range [][2]uint32{{r1, r2}, {g1, g2}, {b1, b2}} {
				if math.Abs(float64(pair[0])-float64(pair[1])) > 0xFFFF/20 {
					return false
				}
			}
		}
	}
	return true
}

func TestNearly(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"M1.00,2", "M1.01,2", true},
		{"M1.00,2", "M1.03,2", false},
		{"M1.00,2", "L1.00,2", false},
	} {
		if got := nearlyText(c.a, c.b, 0.02); got != c.want {
			t.Errorf("%q and %q: got %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// TestSameBytes draws every figure in every format now and, on a clock that
// stands at the start of the year 2000, elsewhere in the world.
func TestSameBytes(t *testing.T) {
	draw := func() map[string][]byte {
		files := map[string][]byte{}
		for i, r := range figures(t) {
			for _, format := range r.Formats() {
				if format == "png" && i > 0 {
					continue // slow, and nothing in it depends on what is drawn
				}
				var b bytes.Buffer
				if err := r.Write(&b, format); err != nil {
					t.Fatal(err)
				}
				files[names[i]+"."+format] = b.Bytes()
			}
		}
		return files
	}
	now := draw()
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	t.Setenv("TZ", "Asia/Tokyo")
	synctest.Test(t, func(*testing.T) {
		for name, then := range draw() {
			if !bytes.Equal(now[name], then) {
				t.Errorf("%s differs by the day", name)
			}
		}
	})
	for name, file := range now {
		if strings.Contains(string(file), "CreationDate: ") {
			t.Errorf("%s has a date", name)
		}
	}
}

// TestWriteTwice checks that a picture can be written again and again: drawing
// must not move its axes.
func TestWriteTwice(t *testing.T) {
	r := figures(t)[2]
	var first, again bytes.Buffer
	for _, b := range []*bytes.Buffer{&first, &again} {
		if err := r.Write(b, "svg"); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != again.String() {
		t.Error("the second time differs")
	}
}

func TestCostOverLength(t *testing.T) {
	two, three := []float64{1, 2}, []float64{1, 2, 3}
	for name, costs := range map[string][]Cost{
		"no model":    nil,
		"one length":  {{Lengths: []int{64}, Milliseconds: two[:1], Megabytes: two[:1]}},
		"few times":   {{Lengths: []int{64, 128, 256}, Milliseconds: two, Megabytes: three}},
		"no time":     {{Lengths: []int{64, 128}, Milliseconds: []float64{0, 1}, Megabytes: two}},
		"many memory": {{Lengths: []int{64, 128}, Milliseconds: two, Megabytes: three}},
	} {
		if _, err := CostOverLength(costs); err == nil {
			t.Errorf("%s: drawn", name)
		}
	}
}

func TestLengthDistribution(t *testing.T) {
	if _, err := LengthDistribution(nil); err == nil {
		t.Error("drawn of no split")
	}
	if _, err := LengthDistribution([]Lengths{{Name: "train", Source: []int{0, 1}, Target: []int{0, 0}}}); err == nil {
		t.Error("drawn of no pairs")
	}
	long := make([]int, 100_000)
	long[0], long[99_999] = 1, 1
	if _, err := LengthDistribution([]Lengths{{Name: "train", Source: long, Target: []int{0, 1}}}); err != nil {
		t.Error(err)
	}
}
