package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSoftmaxRowsValues(t *testing.T) {
	log2, log3 := math.Log(2), math.Log(3)
	x := []float64{
		1000, 1000 + log3, 9, 77, // all but the last
		-500, 0, 0, 77, // one
		5, 6, 7, 77, // none
		0, log2, 0, 77,
	}
	SoftmaxRows(4, 3, x, 4, []int32{2, 1, -1, 3})
	want := []float64{0.25, 0.75, 0, 77, 1, 0, 0, 77, 0, 0, 0, 77, 0.25, 0.5, 0.25, 77}
	for i := range want {
		if !near(x[i], want[i], 1e-13) {
			t.Errorf("element %d is %g, want %g", i, x[i], want[i])
		}
	}
	y := []float64{0, log3}
	SoftmaxRows(1, 2, y, 2, nil)
	if !near(y[0], 0.25, 1e-15) || !near(y[1], 0.75, 1e-15) {
		t.Errorf("softmax of 0, log 3 is %v", y)
	}
}

func TestSoftmaxGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(27, 28))
	const rows, n, ld, scale = 3, 5, 7, 0.3
	x, dy := randomSlice[float64](rng, rows*ld), randomSlice[float64](rng, rows*ld)
	y := make([]float64, rows*ld)
	valid := []int32{5, 2, 0}
	mask := slices.Clone(dy)
	for r := range rows {
		clear(mask[r*ld+n : (r+1)*ld])
	}
	loss := func() float64 {
		for i := range y {
			y[i] = scale * x[i]
		}
		SoftmaxRows(rows, n, y, ld, valid)
		return weighted(y, mask)
	}
	loss()
	dx := slices.Clone(dy)
	SoftmaxRowsBackward(rows, n, dx, y, dx, ld, scale)
	for r := range rows {
		checkGradient(t, "softmax", loss, x[r*ld:r*ld+n], dx[r*ld:r*ld+n])
		if !slices.Equal(dx[r*ld+n:(r+1)*ld], dy[r*ld+n:(r+1)*ld]) {
			t.Errorf("row %d: what lies between rows changed", r)
		}
	}
}

func TestLogSoftmaxRowsValues(t *testing.T) {
	x := []float64{1000, 1000 + math.Log(3), -4, -4}
	LogSoftmaxRows(2, 2, x, x)
	want := []float64{-math.Log(4), math.Log(0.75), -math.Ln2, -math.Ln2}
	for i := range want {
		if !near(x[i], want[i], 1e-13) {
			t.Errorf("element %d is %g, want %g", i, x[i], want[i])
		}
	}
}

func TestArgmaxRows(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		row  []float64
		want int32
	}{
		{[]float64{3}, 0},
		{[]float64{1, 3, 2, 3}, 1},
		{[]float64{nan, -7, nan, -5}, 3},
		{[]float64{nan, nan}, 0},
		{[]float64{nan, -inf, -inf}, 1},
		{[]float64{0, inf, inf}, 1},
		{[]float64{math.Copysign(0, -1), 0}, 0},
	} {
		got := []int32{-1}
		ArgmaxRows(1, len(c.row), c.row, got)
		if got[0] != c.want {
			t.Errorf("argmax of %v is %d, want %d", c.row, got[0], c.want)
		}
	}
}

func TestSoftmaxEqualsReference(t *testing.T) {
	onNativePaths(t, func(t *testing.T, rng *rand.Rand, n int) {
		rows, ld := rng.IntN(4), n+rng.IntN(2)*rng.IntN(9)
		var valid []int32
		if rng.IntN(2) == 0 {
			for range rows {
				valid = append(valid, int32(rng.IntN(n+2)-1))
			}
		}
		x := wide(rng, rows*ld)
		want := slices.Clone(x)
		SoftmaxRows(rows, n, x, ld, valid)
		softmaxRowsReference(rows, n, want, ld, valid)
		same(t, "SoftmaxRows", n, x, want)

		dx, y, dy, scale := awkward(rng, rows*ld), awkward(rng, rows*ld), awkward(rng, rows*ld), awkward(rng, 1)[0]
		if rng.IntN(4) == 0 { // products that underflow, to zeros of both signs
			for i := range y {
				y[i], dy[i] = y[i]*1e-30, dy[i]*1e-30
			}
		}
		want = slices.Clone(dx)
		SoftmaxRowsBackward(rows, n, dx, y, dy, ld, scale)
		softmaxRowsBackwardReference(rows, n, want, y, dy, ld, scale)
		same(t, "SoftmaxRowsBackward", n, dx, want)
		want = slices.Clone(dy)
		SoftmaxRowsBackward(rows, n, dy, y, dy, ld, scale)
		softmaxRowsBackwardReference(rows, n, want, y, want, ld, scale)
		same(t, "SoftmaxRowsBackward in place", n, dy, want)

		x, dx = wide(rng, rows*n), awkward(rng, rows*n+1)
		want = slices.Clone(dx)
		LogSoftmaxRows(rows, n, dx, x)
		logSoftmaxRowsReference(rows, n, want, x)
		same(t, "LogSoftmaxRows", n, dx, want)

		if n == 0 {
			return
		}
		for range n / 4 { // equal elements
			x = slices.Clone(x)
			if len(x) > 0 {
				x[rng.IntN(len(x))] = x[rng.IntN(len(x))]
			}
		}
		got, index := make([]int32, rows), make([]int32, rows)
		ArgmaxRows(rows, n, x, got)
		argmaxRowsReference(rows, n, x, index)
		if !slices.Equal(got, index) {
			t.Fatalf("ArgmaxRows of %d: got %v, want %v", n, got, index)
		}
	})
}

// A NaN reaches its whole row and no other; an infinity that is the largest
// makes a NaN of its row, as in PyTorch.
func TestSoftmaxSpecialValues(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, path := range available {
		t.Run(path.String(), func(t *testing.T) {
			usePath(t, path)
			x := []float32{0, nan, 5, 1, -inf, 1, inf, 0, 0, -inf, -inf, -inf}
			SoftmaxRows(4, 3, x, 3, nil)
			if want := []float32{nan, nan, nan, 0.5, 0, 0.5, nan, nan, nan, nan, nan, nan}; firstDifference(x, want) >= 0 {
				t.Errorf("softmax is %v, want %v", x, want)
			}
			x = []float32{0, nan, 5, 1, -inf, 1}
			LogSoftmaxRows(2, 3, x, x)
			if want := []float32{nan, nan, nan, -math.Ln2, -inf, -math.Ln2}; firstDifference(x, want) >= 0 {
				t.Errorf("log-softmax is %v, want %v", x, want)
			}
		})
	}
}

func BenchmarkSoftmax(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, s := range []struct{ rows, n int }{{20, 20}, {50, 50}, {64, 1000}, {64, 10000}} {
		x, dy := randomSlice[float32](rng, s.rows*s.n), randomSlice[float32](rng, s.rows*s.n)
		y, index := slices.Clone(x), make([]int32, s.rows)
		for _, f := range []struct {
			name string
			call func()
		}{
			{"SoftmaxRows", func() { SoftmaxRows(s.rows, s.n, y, s.n, nil) }},
			{"SoftmaxRowsBackward", func() { SoftmaxRowsBackward(s.rows, s.n, y, x, dy, s.n, 0.5) }},
			{"LogSoftmaxRows", func() { LogSoftmaxRows(s.rows, s.n, y, x) }},
			{"ArgmaxRows", func() { ArgmaxRows(s.rows, s.n, x, index) }},
		} {
			b.Run(fmt.Sprintf("%s/%dx%d", f.name, s.rows, s.n), func(b *testing.B) {
				for b.Loop() {
					f.call()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(s.rows*s.n), "ns/element")
			})
		}
	}
}
