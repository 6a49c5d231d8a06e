package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// awkward is n elements that start off any vector boundary, in one slice of
// three with infinities, NaN, zeros of both signs and subnormals among them.
func awkward(rng *rand.Rand, n int) []float32 {
	x := randomSlice[float32](rng, n)
	if rng.IntN(3) > 0 {
		return x
	}
	special := []float32{
		0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
		math.SmallestNonzeroFloat32, -1e-40, math.MaxFloat32, -math.MaxFloat32, 1,
		vanished, -vanished, math.Nextafter32(vanished, 0),
	}
	for i := range x {
		if rng.IntN(8) == 0 {
			x[i] = special[rng.IntN(len(special))]
		}
	}
	return x
}

// onNativePaths runs check on each path that runs in C, for every small size
// and some larger.
func onNativePaths(t *testing.T, check func(t *testing.T, rng *rand.Rand, n int)) {
	for _, path := range nativePaths {
		t.Run(path.String(), func(t *testing.T) {
			usePath(t, path)
			rng := rand.New(rand.NewPCG(11, 12))
			for n := range 71 {
				for range 3 {
					check(t, rng, n)
				}
			}
			for range 20 {
				check(t, rng, 71+rng.IntN(2000))
			}
		})
	}
}

// same fails the test unless got and want have the same bits.
func same(t *testing.T, name string, n int, got, want []float32) {
	t.Helper()
	if i := firstDifference(got, want); i >= 0 {
		t.Fatalf("%s of %d: element %d is %x, want %x", name, n, i, got[i], want[i])
	}
}

func TestElementwiseEqualsReference(t *testing.T) {
	type slice = []float32
	functions := []struct {
		name            string
		call, reference func(dst, a, b slice, alpha float32)
	}{
		{"Add", func(dst, a, b slice, _ float32) { Add(dst, a, b) }, func(dst, a, b slice, _ float32) { addReference(dst, a, b) }},
		{"AddTo", func(dst, a, _ slice, _ float32) { AddTo(dst, a) }, func(dst, a, _ slice, _ float32) { addReference(dst, dst, a) }},
		{"Axpy", func(dst, a, _ slice, alpha float32) { Axpy(dst, alpha, a) }, func(dst, a, _ slice, alpha float32) { axpyReference(dst, alpha, a) }},
		{"Scale", func(dst, a, _ slice, alpha float32) { Scale(dst, alpha, a) }, func(dst, a, _ slice, alpha float32) { scaleReference(dst, alpha, a) }},
		{"Mul", func(dst, a, b slice, _ float32) { Mul(dst, a, b) }, func(dst, a, b slice, _ float32) { mulReference(dst, a, b) }},
		{"MulAdd", func(dst, a, b slice, _ float32) { MulAdd(dst, a, b) }, func(dst, a, b slice, _ float32) { mulAddReference(dst, a, b) }},
	}
	onNativePaths(t, func(t *testing.T, rng *rand.Rand, n int) {
		for _, f := range functions {
			dst, a, b, alpha := awkward(rng, n+1), awkward(rng, n), awkward(rng, n+rng.IntN(3)), awkward(rng, 1)[0]
			got, want := slices.Clone(dst), slices.Clone(dst)
			f.call(got[:n], a, b, alpha)
			f.reference(want[:n], a, b, alpha)
			same(t, f.name, n, got, want)
			copy(got, dst)
			copy(want, dst)
			f.call(got[:n], got, got, alpha)
			f.reference(want[:n], want, want, alpha)
			same(t, f.name+" in place", n, got, want)
		}
		rows := rng.IntN(5)
		dst, bias := awkward(rng, rows*n+1), awkward(rng, n)
		want := slices.Clone(dst)
		AddRows(dst, rows, n, bias)
		addRowsReference(want, rows, n, bias)
		same(t, "AddRows", n, dst, want)
	})
}

func TestElementwiseValues(t *testing.T) {
	a, b := []float64{1, 2, 3, 4}, []float64{10, 20, 30, 40, 50}
	for _, c := range []struct {
		name string
		call func(dst []float64)
		want []float64 // from 100, 100, 100
	}{
		{"Add", func(dst []float64) { Add(dst, a, b) }, []float64{11, 22, 33}},
		{"AddTo", func(dst []float64) { AddTo(dst, a) }, []float64{101, 102, 103}},
		{"Axpy", func(dst []float64) { Axpy(dst, 2, a) }, []float64{102, 104, 106}},
		{"Scale", func(dst []float64) { Scale(dst, 2, a) }, []float64{2, 4, 6}},
		{"Mul", func(dst []float64) { Mul(dst, a, b) }, []float64{10, 40, 90}},
		{"MulAdd", func(dst []float64) { MulAdd(dst, a, b) }, []float64{110, 140, 190}},
		{"AddRows", func(dst []float64) { AddRows(dst, 3, 1, b) }, []float64{110, 110, 110}},
	} {
		dst := []float64{100, 100, 100}
		if c.call(dst); !slices.Equal(dst, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, dst, c.want)
		}
	}
}

func TestRowFunctionsAllocateNothing(t *testing.T) {
	const rows, d = 3, 21
	x, y := make([]float32, rows*d), make([]float32, rows*d)
	ids := make([]int32, rows)
	for _, path := range available {
		usePath(t, path)
		if allocs := testing.AllocsPerRun(100, func() {
			Add(x, x, y)
			MulAdd(x, x, y)
			Axpy(x, 2, y)
			AddRows(x, rows, d, y)
			SumRows(x, rows, d, y, d)
			Dot(x, y)
			SumSquares(x)
			AllFinite(x)
			LayerNorm(rows, d, x, x, y, y, 1, x, x)
			LayerNormBackward(rows, d, x, x, x, y, y, y, y, y)
			Gather(rows, d, x, y, ids)
			ScatterAdd(rows, d, x, y, ids)
			GatherStrided(rows, d, x, d, y, d, ids)
			GatherStridedAdd(rows, d, x, d, y, d, ids)
			ScatterStrided(rows, d, x, d, y, d, ids)
			ScatterStridedAdd(rows, d, x, d, y, d, ids)
			Dropout(x, x, 0.5, 1, 2)
			DropoutBackward(x, y, 0.5, 1, 2)
			AdamStep(x, y, x, x, Adam[float32]{LR: 1, Beta1: 0.5, Beta2: 0.5, Epsilon: 1, Correction1: 1, Correction2: 1, GradScale: 1})
			SGDStep(x, y, nil, SGD[float32]{LR: 1, GradScale: 1})
			AdagradStep(x, y, x, Adagrad[float32]{LR: 1, Epsilon: 1, GradScale: 1})
			RMSPropStep(x, y, x, x, x, RMSProp[float32]{LR: 1, Epsilon: 1, GradScale: 1})
			Clamp(x, 1)
		}); allocs != 0 {
			t.Errorf("%v: these functions allocate %g times", path, allocs)
		}
	}
}

// perElement reports the time an element and the bytes moved.
func perElement(b *testing.B, elements, bytes int) {
	b.SetBytes(int64(bytes))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(elements), "ns/element")
}

func BenchmarkElementwise(b *testing.B) {
	for _, n := range []int{64, 16 << 10, 4 << 20} {
		dst, x, y := make([]float32, n), make([]float32, n), make([]float32, n)
		for _, f := range []struct {
			name  string
			bytes int // an element
			call  func()
		}{
			{"Add", 12, func() { Add(dst, x, y) }},
			{"AddTo", 12, func() { AddTo(dst, x) }},
			{"Axpy", 12, func() { Axpy(dst, 0.5, x) }},
			{"MulAdd", 16, func() { MulAdd(dst, x, y) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", f.name, n), func(b *testing.B) {
				for b.Loop() {
					f.call()
				}
				perElement(b, n, f.bytes*n)
			})
		}
	}
}
