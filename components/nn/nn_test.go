package nn

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"exp/components/autodiff"
)

func draw(init autodiff.Init, dims ...int) []float64 {
	shape := autodiff.NewShape(dims...)
	values := make([]float64, shape.Size())
	init(rand.New(rand.NewPCG(1, 2)), shape, values)
	return values
}

func TestOrthogonal(t *testing.T) {
	const n, blocks = 33, 3
	m := draw(Orthogonal(blocks), blocks*n, n)
	for b := range blocks {
		block := m[b*n*n : (b+1)*n*n]
		for i := range n {
			for j := range i + 1 {
				want := 0.0
				if i == j {
					want = 1
				}
				if got := dot(block[i*n:(i+1)*n], block[j*n:(j+1)*n]); math.Abs(got-want) > 1e-14 {
					t.Fatalf("block %d, rows %d and %d: product %v, want %v", b, i, j, got, want)
				}
			}
		}
	}
}

// moments returns the mean and the mean square.
func moments(x []float64) (mean, square float64) {
	for _, v := range x {
		mean += v / float64(len(x))
		square += v * v / float64(len(x))
	}
	return mean, square
}

func TestInitialisers(t *testing.T) {
	for name, test := range map[string]struct {
		values    []float64
		deviation float64
		bound     float64 // 0: none
	}{
		"uniform":           {draw(Uniform(0.5), 200, 100), 0.5 / math.Sqrt(3), 0.5},
		"normal":            {draw(Normal(0.2), 200, 100), 0.2, 0},
		"xavier":            {draw(Xavier(1), 200, 100), math.Sqrt(2. / 300), math.Sqrt(6. / 300)},
		"xavier of 4 gates": {draw(Xavier(4), 400, 100), math.Sqrt(2. / 200), math.Sqrt(6. / 200)},
	} {
		mean, square := moments(test.values)
		if math.Abs(mean) > 0.03*test.deviation || math.Abs(math.Sqrt(square)-test.deviation) > 0.02*test.deviation {
			t.Errorf("%s: mean %v and deviation %v, want 0 and %v", name, mean, math.Sqrt(square), test.deviation)
		}
		for _, v := range test.values {
			if test.bound > 0 && math.Abs(v) > test.bound {
				t.Fatalf("%s: %v is outside ±%v", name, v, test.bound)
			}
		}
	}
	for i, v := range draw(ConstantBlock(2, 1, 4), 12) {
		if want := map[bool]float64{true: 2}[i >= 3 && i < 6]; v != want {
			t.Errorf("constant block: element %d is %v, want %v", i, v, want)
		}
	}
}

func TestSinusoid(t *testing.T) {
	for _, test := range []struct {
		pos, i, size int
		want         float64
	}{
		{0, 0, 8, 0}, {0, 1, 8, 1}, {3, 0, 8, math.Sin(3)}, {3, 1, 8, math.Cos(3)},
		{5, 4, 8, math.Sin(5. / 100)}, {5, 5, 8, math.Cos(5. / 100)}, {7, 2, 3, math.Sin(7 / math.Pow(10000, 2./3))},
	} {
		if got := Sinusoid(test.pos, test.i, test.size); math.Abs(got-test.want) > 1e-15 {
			t.Errorf("position %d, dimension %d of %d: %v, want %v", test.pos, test.i, test.size, got, test.want)
		}
	}
}

// A position has the same vector wherever the sequence that it is in begins.
func TestPositions(t *testing.T) {
	params := autodiff.NewParams(autodiff.Float32, 1)
	one := func(length int32) autodiff.Spans {
		return autodiff.Spans{Starts: []int32{0}, Lengths: []int32{length}}
	}
	for name, p := range map[string]*Positions{"sinusoids": NewSinusoids(4), "learned": NewLearnedPositions(params, 9, 4)} {
		tape := autodiff.NewTape(autodiff.Float32)
		tape.Reset(false, false)
		at := func(from, n int) []float32 {
			x := tape.Zero(n, 4)
			p.Add(tape, x, one(int32(n)), from)
			return x.Float32s()
		}
		late := at(6, 2) // before the table is as long
		all := at(0, 9)
		for i, v := range late {
			if v != all[6*4+i] {
				t.Errorf("%s: element %d of positions 6 and 7 is %v, from 0 on it is %v", name, i, v, all[6*4+i])
			}
		}
	}
}

func TestCheckHeads(t *testing.T) {
	for _, test := range []struct {
		heads, size int
		want        string
	}{
		{4, 128, ""}, {1, 7, ""}, {7, 7, ""},
		{0, 8, "must be at least 1"}, {-2, 8, "must be at least 1"},
		{3, 128, "nearest: 2, 4"}, {5, 12, "nearest: 4, 6"}, {9, 8, "at most 8 can"}, {6, 7, "nearest: 1, 7"},
	} {
		err := CheckHeads(test.heads, test.size)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%d heads, size %d: error is %v, want %q", test.heads, test.size, err, test.want)
		}
	}
}
