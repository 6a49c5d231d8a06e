package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// nativePaths are the paths of this processor that run in C.
var nativePaths = available[:len(available)-1]

// randomSlice is n normal elements that start off any vector boundary.
func randomSlice[F Float](rng *rand.Rand, n int) []F {
	x := make([]F, n+1)[1:]
	for i := range x {
		x[i] = F(rng.NormFloat64())
	}
	return x
}

// firstDifference is the first index at which a and b differ in their bits, -1
// if they do not.
func firstDifference[F Float](a, b []F) int {
	for i := range a {
		if !sameFloat(a[i], b[i]) {
			return i
		}
	}
	return -1
}

// product is one case: sizes, how the operands are stored, and spare elements
// at the end of each row.
type product struct {
	m, n, k                int
	transA, transB         bool
	spareA, spareB, spareC int
	accumulate, bias       bool
}

func (p product) String() string {
	return fmt.Sprintf("M=%d N=%d K=%d transA=%v transB=%v spare=%d,%d,%d accumulate=%v bias=%v",
		p.m, p.n, p.k, p.transA, p.transB, p.spareA, p.spareB, p.spareC, p.accumulate, p.bias)
}

// stored is a random rows by cols matrix, stored transposed if trans, and its
// leading dimension.
func stored[F Float](rng *rand.Rand, trans bool, rows, cols, spare int) ([]F, int) {
	if trans {
		rows, cols = cols, rows
	}
	if rows == 0 || cols == 0 {
		return nil, cols
	}
	return randomSlice[F](rng, (rows-1)*(cols+spare)+cols), cols + spare
}

// check compares Gemm, and GemmPacked where it applies, to the twin; elements
// of c outside C must not change.
func (p product) check(t *testing.T, rng *rand.Rand) {
	t.Helper()
	a, lda := stored[float32](rng, p.transA, p.m, p.k, p.spareA)
	b, ldb := stored[float32](rng, p.transB, p.k, p.n, p.spareB)
	c, ldc := stored[float32](rng, false, p.m, p.n, p.spareC)
	want, got := slices.Clone(c), slices.Clone(c)
	var bias []float32
	if p.bias && !p.accumulate {
		bias = randomSlice[float32](rng, p.n)
	}
	gemmReference(p.transA, p.transB, p.m, p.n, p.k, a, lda, b, ldb, want, ldc, bias, p.accumulate)
	Gemm(p.transA, p.transB, p.m, p.n, p.k, a, lda, b, ldb, got, ldc, bias, p.accumulate)
	if i := firstDifference(got, want); i >= 0 {
		t.Fatalf("Gemm %v: element %d of c is %x, want %x", p, i, got[i], want[i])
	}
	if bias != nil { // as C that holds it in each row
		filled := slices.Clone(c)
		for i := range p.m {
			copy(filled[i*ldc:], bias)
		}
		gemmReference(p.transA, p.transB, p.m, p.n, p.k, a, lda, b, ldb, filled, ldc, nil, true)
		if i := firstDifference(want, filled); i >= 0 {
			t.Fatalf("gemmReference %v: element %d of c is %x, want %x", p, i, want[i], filled[i])
		}
	}
	var packed, packedReference Packed[float32]
	packed.Pack(p.transB, p.k, p.n, b, ldb)
	packedReference.data = make([]float32, len(packed.data))
	packReference(p.transB, p.k, p.n, b, ldb, packedReference.data, p.k)
	if i := firstDifference(packed.data, packedReference.data); i >= 0 {
		t.Fatalf("Pack %v: element %d is %x, want %x", p, i, packed.data[i], packedReference.data[i])
	}
	multiply := func(b *Packed[float32], what string) {
		copy(got, c)
		GemmPacked(p.transA, p.m, a, lda, b, got, ldc, bias, p.accumulate)
		if i := firstDifference(got, want); i >= 0 {
			t.Fatalf("GemmPacked %v%s: element %d of c is %x, want %x", p, what, i, got[i], want[i])
		}
		copy(got, c)
		gemmPackedReference(p.transA, p.m, a, lda, b, got, ldc, bias, p.accumulate)
		if i := firstDifference(got, want); i >= 0 {
			t.Fatalf("gemmPackedReference %v%s: element %d of c is %x, want %x", p, what, i, got[i], want[i])
		}
	}
	multiply(&packed, "")
	if p.transB {
		return
	}

	// As the last rows of a larger matrix, which come there from the last on.
	before, half := rng.IntN(3), p.k/2
	larger := NewPacked(before+p.k, p.n, make([]float32, PackedSize(before+p.k, p.n)))
	larger.PackRows(before+half, p.k-half, b[min(half*ldb, len(b)):], ldb)
	larger.PackRows(before, half, b, ldb)
	last := larger.From(before)
	multiply(&last, " of the last rows")
}

func TestProductsEqualReference(t *testing.T) {
	for _, path := range nativePaths {
		t.Run(path.String(), func(t *testing.T) {
			usePath(t, path)
			rng := rand.New(rand.NewPCG(3, 4))
			flip := func() bool { return rng.IntN(2) == 0 }
			check := func(m, n, k int) {
				setPathFar(path, flip())
				product{
					m: m, n: n, k: k, transA: flip(), transB: flip(),
					spareA: rng.IntN(2) * rng.IntN(7), spareB: rng.IntN(2) * rng.IntN(7), spareC: rng.IntN(2) * rng.IntN(7),
					accumulate: flip(), bias: flip(),
				}.check(t, rng)
			}
			// Every height and width of a tile, on both sides of its limits.
			for m := range 26 {
				for n := range 36 {
					check(m, n, rng.IntN(12))
				}
			}
			for range 300 {
				check(rng.IntN(70), rng.IntN(70), rng.IntN(70))
			}
			// Both sides of each block's limit.
			for _, k := range []int{255, 256, 257, 511, 513} {
				check(1+rng.IntN(30), 1+rng.IntN(50), k)
			}
			for _, m := range []int{191, 192, 193, 385} {
				check(m, 1+rng.IntN(20), 1+rng.IntN(70))
			}
			for _, n := range []int{1023, 1024, 1025} {
				check(25+rng.IntN(5), n, 1+rng.IntN(20))
			}
			// Rows of A that fall into one set of the cache.
			for _, m := range []int{7, 8, 70, 193, 385} {
				k := 250 + rng.IntN(20)
				for _, far := range []bool{false, true} {
					setPathFar(path, far)
					product{m: m, n: 127 + rng.IntN(40), k: k, spareA: aliasing - k, transB: flip(), accumulate: flip(), bias: flip()}.check(t, rng)
				}
			}
			// A transposed A, packed block after block while tiles multiply, of few columns and of many.
			for _, m := range []int{257, 300, 400} {
				for _, n := range []int{1, 40, 130} {
					product{m: m, n: n, k: 1 + rng.IntN(600), transA: true, transB: flip(), accumulate: flip(), bias: flip()}.check(t, rng)
				}
			}
			for i := range 8 {
				setPathFar(path, i&4 != 0)
				product{m: 197, n: 37, k: 263, transA: i&1 != 0, transB: i&2 != 0, accumulate: flip()}.check(t, rng)
			}
		})
	}
}

func TestBatchEqualsReference(t *testing.T) {
	for _, path := range nativePaths {
		t.Run(path.String(), func(t *testing.T) {
			usePath(t, path)
			rng := rand.New(rand.NewPCG(7, 8))
			for i := range 60 {
				transA, transB, accumulate := i&1 != 0, i&2 != 0, i&4 != 0
				limit := []int{5, 20, 40}[i%3]
				sizes := make([]Product, rng.IntN(9))
				for j := range sizes {
					sizes[j] = Product{M: int64(rng.IntN(limit)), N: int64(rng.IntN(limit)), K: int64(rng.IntN(limit))}
				}
				if i%5 == 4 { // past each block's limit, among small ones
					sizes = append(sizes, Product{M: 200, N: 3, K: 5}, Product{M: 2, N: 1030, K: 7}, Product{M: 3, N: 4, K: 300}, Product{M: 40, N: 40, K: 40})
				}
				ld := func(trans bool, rows, cols func(Product) int64) int {
					most := int64(0)
					for _, p := range sizes {
						if trans {
							most = max(most, rows(p))
						} else {
							most = max(most, cols(p))
						}
					}
					return int(most) + rng.IntN(3)
				}
				m, n, k := func(p Product) int64 { return p.M }, func(p Product) int64 { return p.N }, func(p Product) int64 { return p.K }
				lda, ldb, ldc := ld(transA, m, k), ld(transB, k, n), ld(false, m, n)
				var a, b, c int64
				for j := range sizes {
					p := &sizes[j]
					p.A, p.B, p.C = a, b, c
					a, b = a+max(p.M, p.K)*int64(lda), b+max(p.K, p.N)*int64(ldb)
					if !accumulate || rng.IntN(2) == 0 { // else the next adds to the same
						c += p.M * int64(ldc)
					}
				}
				end := int64(limit+1030)*int64(ldc) + c
				x, y, got := randomSlice[float32](rng, int(a)), randomSlice[float32](rng, int(b)), randomSlice[float32](rng, int(end))
				want := slices.Clone(got)
				GemmBatch(transA, transB, sizes, x, lda, y, ldb, got, ldc, accumulate)
				for _, p := range sizes {
					gemmReference(transA, transB, int(p.M), int(p.N), int(p.K), x[p.A:], lda, y[p.B:], ldb, want[p.C:], ldc, nil, accumulate)
				}
				same(t, fmt.Sprintf("GemmBatch transA=%v transB=%v accumulate=%v", transA, transB, accumulate), i, got, want)
			}
		})
	}
}

func TestBatchBadArguments(t *testing.T) {
	x := make([]float32, 4)
	for _, p := range []Product{{M: -1, N: 1, K: 1}, {M: 1, N: 1, K: 1, A: -1}, {M: 2, N: 2, K: 2, A: 1}, {M: 2, N: 2, K: 2, B: 1}, {M: 2, N: 2, K: 2, C: 1}, {M: 1, N: 1, K: 1, C: 9}} {
		func() {
			defer func() {
				if message, ok := recover().(string); !ok || !strings.Contains(message, "GemmBatch") {
					t.Errorf("%+v: want a panic that names GemmBatch, got %q", p, message)
				}
			}()
			GemmBatch(false, false, []Product{p}, x, 2, x, 2, make([]float32, 4), 2, false)
		}()
	}
}

func TestProductsSpecialValues(t *testing.T) {
	inf, nan, negZero := float32(math.Inf(1)), float32(math.NaN()), float32(math.Copysign(0, -1))
	for _, path := range available {
		t.Run(path.String(), func(t *testing.T) {
			usePath(t, path)
			// C[2,3] = A[2,2] B[2,3]: a NaN or infinity reaches its row or column and no other.
			a := []float32{1, nan, 0, negZero}
			b := []float32{1, inf, -1, 2, 3, 4}
			c := make([]float32, 6)
			Gemm(false, false, 2, 3, 2, a, 2, b, 3, c, 3, nil, false)
			if want := []float32{nan, nan, nan, 0, nan, 0}; firstDifference(c, want) >= 0 {
				t.Errorf("product is %v, want %v", c, want)
			}
			// Subnormals are kept.
			tiny := []float32{math.SmallestNonzeroFloat32}
			Gemm(false, false, 1, 1, 1, tiny, 1, []float32{3}, 1, c, 3, nil, false)
			if want := float32(3 * math.SmallestNonzeroFloat32); c[0] != want {
				t.Errorf("product of a subnormal is %g, want %g", c[0], want)
			}
			// A bias of -0 keeps its sign when nothing is added.
			var empty Packed[float32]
			empty.Pack(false, 0, 3, nil, 3)
			GemmPacked(false, 2, nil, 0, &empty, c, 3, []float32{negZero, nan, 5}, false)
			if want := []float32{negZero, nan, 5, negZero, nan, 5}; firstDifference(c, want) >= 0 {
				t.Errorf("product with K=0 is %v, want the bias, %v", c, want)
			}
		})
	}
}

// A chain of K fused multiply-adds is off by at most K half ulps of the sum of
// the absolute products (Higham 2002, section 3.1).
func TestReferenceNearFloat64(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const m, n, k = 7, 9, 500
	a, b, c := randomSlice[float32](rng, m*k), randomSlice[float32](rng, k*n), make([]float32, m*n)
	gemmReference(false, false, m, n, k, a, k, b, n, c, n, nil, false)
	for i := range m {
		for j := range n {
			var sum, size float64
			for p := range k {
				x := float64(a[i*k+p]) * float64(b[p*n+j])
				sum += x
				size += math.Abs(x)
			}
			if err := math.Abs(float64(c[i*n+j]) - sum); !(err <= k*size/(1<<24)) {
				t.Errorf("element %d,%d is off by %g, at most %g is allowed", i, j, err, k*size/(1<<24))
			}
		}
	}
}

func TestGemmFloat64(t *testing.T) {
	a := []float64{1, 2, 3, 4, 5, 6}    // [2,3], or transposed [3,2]
	b := []float64{7, 8, 9, 10, 11, 12} // [3,2], or transposed [2,3]
	for _, c := range []struct {
		transA, transB bool
		want           []float64
	}{
		{false, false, []float64{58, 64, 139, 154}},
		{true, false, []float64{89, 98, 116, 128}},
		{false, true, []float64{50, 68, 122, 167}},
		{true, true, []float64{76, 103, 100, 136}},
	} {
		lda, ldb := 3, 2
		if c.transA {
			lda = 2
		}
		if c.transB {
			ldb = 3
		}
		got := []float64{1, 1, 1, 1}
		Gemm(c.transA, c.transB, 2, 2, 3, a, lda, b, ldb, got, 2, nil, false)
		if !slices.Equal(got, c.want) {
			t.Errorf("transA=%v transB=%v: got %v, want %v", c.transA, c.transB, got, c.want)
		}
		if c.transA {
			continue
		}
		var packed Packed[float64]
		packed.Pack(c.transB, 3, 2, b, ldb)
		GemmPacked(false, 2, a, 3, &packed, got, 2, []float64{100, 200}, false)
		for i, v := range []float64{100, 200, 100, 200} {
			if got[i] != c.want[i]+v {
				t.Errorf("GemmPacked with bias: element %d is %g, want %g", i, got[i], c.want[i]+v)
			}
		}
	}
}

func TestPackReusesMemory(t *testing.T) {
	var p Packed[float32]
	b := make([]float32, 40*50)
	p.Pack(false, 40, 50, b, 50)
	first := &p.data[0]
	p.Pack(true, 30, 20, b, 30)
	if p.K != 30 || p.N != 20 || &p.data[0] != first {
		t.Errorf("packing a smaller matrix: K=%d N=%d, memory reused: %v", p.K, p.N, &p.data[0] == first)
	}
}

func TestProductsAllocateNothing(t *testing.T) {
	const m, n, k = 40, 48, 64
	a, b, c, bias := make([]float32, m*k), make([]float32, k*n), make([]float32, m*n), make([]float32, n)
	var p Packed[float32]
	p.Pack(false, k, n, b, n)
	for _, path := range nativePaths {
		usePath(t, path)
		if allocs := testing.AllocsPerRun(100, func() {
			p.Pack(true, k, n, b, k)
			GemmPacked(false, m, a, k, &p, c, n, bias, false)
			Gemm(false, false, 8, n, k, a, k, b, n, c, n, nil, true)
		}); allocs != 0 {
			t.Errorf("%v: Pack, GemmPacked and a small Gemm allocate %g times", path, allocs)
		}
		if allocs := testing.AllocsPerRun(100, func() {
			Gemm(false, true, m, n, k, a, k, b, k, c, n, nil, false)
		}); allocs >= 1 && !raceEnabled { // the race detector has pools forget at random
			t.Errorf("%v: a Gemm that packs allocates %g times", path, allocs)
		}
	}
}

func TestProductsConcurrently(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	const m, n, k = 50, 60, 70
	a, b := randomSlice[float32](rng, m*k), randomSlice[float32](rng, n*k)
	want := make([]float32, m*n)
	gemmReference(true, true, m, n, k, a, m, b, k, want, n, nil, false)
	done := make(chan []float32)
	for range 4 {
		go func() {
			got := make([]float32, m*n)
			for range 50 {
				clear(got)
				Gemm(true, true, m, n, k, a, m, b, k, got, n, nil, true)
				if firstDifference(got, want) >= 0 {
					break
				}
			}
			done <- got
		}()
	}
	for range 4 {
		if i := firstDifference(<-done, want); i >= 0 {
			t.Errorf("a product beside others differs at element %d", i)
		}
	}
}

func TestWrongSizesPanic(t *testing.T) {
	x := make([]float32, 100)
	var p Packed[float32]
	p.Pack(false, 4, 5, x, 5)
	for _, c := range []struct {
		name, want string
		call       func()
	}{
		{"negative", "Gemm: sizes M=-1 N=2 K=3", func() { Gemm(false, false, -1, 2, 3, x, 3, x, 2, x, 2, nil, false) }},
		{"a too short", "Gemm: A is stored [20 10] with leading dimension 10 in 100 elements; want a leading dimension of at least 10 and 200 elements", func() {
			Gemm(false, false, 20, 2, 10, x, 10, x, 2, x, 2, nil, false)
		}},
		{"b transposed", "Gemm: B is stored [2 10] with leading dimension 9", func() { Gemm(false, true, 2, 2, 10, x, 10, x, 9, x, 2, nil, false) }},
		{"c stride", "Gemm: C is stored [2 5] with leading dimension 4", func() { Gemm(false, false, 2, 5, 3, x, 3, x, 5, x, 4, nil, false) }},
		{"pack", "Pack: B is stored [30 4]", func() { p.Pack(false, 30, 4, x, 4) }},
		{"pack rows", "PackRows: rows 2 to 5 of K=4", func() { p.PackRows(2, 3, x, 5) }},
		{"packed memory", "NewPacked: memory has 63 elements; want at least 64", func() { NewPacked(4, 5, x[:63]) }},
		{"packed a", "GemmPacked: A is stored [2 4]", func() { GemmPacked(false, 2, x, 3, &p, x, 5, nil, false) }},
		{"gemm bias", "Gemm: bias has 4 elements for N=5", func() { Gemm(false, false, 2, 5, 4, x, 4, x, 5, x, 5, x[:4], false) }},
		{"bias short", "GemmPacked: bias has 4 elements for N=5", func() { GemmPacked(false, 2, x, 4, &p, x, 5, x[:4], false) }},
		{"bias and accumulate", "accumulate is true", func() { GemmPacked(false, 2, x, 4, &p, x, 5, x[:5], true) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, c.want) {
					t.Errorf("got panic %q, want it to contain %q", got, c.want)
				}
			}()
			c.call()
		})
	}
}
