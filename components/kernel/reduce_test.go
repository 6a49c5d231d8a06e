package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestReduceEqualsReference(t *testing.T) {
	onNativePaths(t, func(t *testing.T, rng *rand.Rand, n int) {
		a, b := awkward(rng, n), awkward(rng, n+rng.IntN(3))
		same(t, "Dot", n, []float32{Dot(a, b)}, []float32{dotReference(a, b)})
		if got, want := SumSquares(a), sumSquaresReference(a); !sameFloat(got, want) {
			t.Fatalf("SumSquares of %d is %x, want %x", n, got, want)
		}
		if got, want := AllFinite(a), allFiniteReference(a); got != want {
			t.Fatalf("AllFinite of %d is %v, want %v", n, got, want)
		}
		rows, spare := rng.IntN(20), rng.IntN(2)*rng.IntN(9)
		src, dst := awkward(rng, rows*(n+spare)), awkward(rng, n+1)
		want := slices.Clone(dst)
		SumRows(dst, rows, n, src, n+spare)
		sumRowsReference(want, rows, n, src, n+spare)
		same(t, fmt.Sprintf("SumRows over %d rows", rows), n, dst, want)
	})
}

func TestAllFinite(t *testing.T) {
	for _, path := range available {
		t.Run(path.String(), func(t *testing.T) {
			usePath(t, path)
			for n := range 40 {
				x := make([]float32, n)
				for i := range x {
					x[i] = -math.MaxFloat32
				}
				if !AllFinite(x) {
					t.Errorf("not all of %d finite elements are finite", n)
				}
				for i := range x {
					for _, v := range []float64{math.Inf(1), math.Inf(-1), math.NaN()} {
						x[i] = float32(v)
						if AllFinite(x) {
							t.Errorf("all of %d elements are finite, element %d being %g", n, i, v)
						}
					}
					x[i] = 0
				}
			}
		})
	}
}

func TestReduceValues(t *testing.T) {
	dst := []float64{100, 200, 300}
	SumRows(dst, 2, 2, []float64{1, 2, 9, 3, 4}, 3)
	if want := []float64{104, 206, 300}; !slices.Equal(dst, want) {
		t.Errorf("SumRows: got %v, want %v", dst, want)
	}
	if got := Dot([]float64{1, 2, 3}, []float64{4, 5, 6, 7}); got != 32 {
		t.Errorf("Dot is %g, want 32", got)
	}
	x := make([]float32, 1000)
	for i := range x {
		x[i] = 1e30 // whose squares overflow float32
	}
	if got, want := SumSquares(x), 1000*float64(x[0])*float64(x[0]); !(math.Abs(got/want-1) < 1e-13) {
		t.Errorf("SumSquares is %g, want %g", got, want)
	}
	if got := Dot[float32](nil, nil); got != 0 {
		t.Errorf("Dot of nothing is %g", got)
	}
}

// Lanes and tree are what they are said to be: values of which every other
// order of addition gives another sum.
func TestLanesOrder(t *testing.T) {
	x := make([]float32, 37)
	for i := range x {
		x[i] = float32(math.Sin(float64(i))) * 1e3 / float32(i+1)
	}
	var lane [16]float32
	for i, v := range x {
		lane[i%16] += v
	}
	var eight [8]float32
	for i := range eight {
		eight[i] = lane[i] + lane[i+8]
	}
	want := ((eight[0] + eight[4]) + (eight[2] + eight[6])) + ((eight[1] + eight[5]) + (eight[3] + eight[7]))
	one := make([]float32, len(x))
	for i := range one {
		one[i] = 1
	}
	if got := Dot(x, one); got != want {
		t.Errorf("Dot is %x, want %x", got, want)
	}
}

func BenchmarkReduce(b *testing.B) {
	for _, n := range []int{64, 16 << 10, 4 << 20} {
		x, y := make([]float32, n), make([]float32, n)
		for _, f := range []struct {
			name  string
			bytes int // an element
			call  func()
		}{
			{"Dot", 8, func() { Dot(x, y) }},
			{"SumSquares", 4, func() { SumSquares(x) }},
			{"AllFinite", 4, func() { AllFinite(x) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", f.name, n), func(b *testing.B) {
				for b.Loop() {
					f.call()
				}
				perElement(b, n, f.bytes*n)
			})
		}
	}
	for _, s := range []struct{ rows, n int }{{20, 64}, {1280, 64}, {1280, 1024}} {
		dst, src := make([]float32, s.n), make([]float32, s.rows*s.n)
		b.Run(fmt.Sprintf("SumRows/%dx%d", s.rows, s.n), func(b *testing.B) {
			for b.Loop() {
				SumRows(dst, s.rows, s.n, src, s.n)
			}
			perElement(b, s.rows*s.n, 4*s.rows*s.n)
		})
	}
}
