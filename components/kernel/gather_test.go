package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomIndex is rows numbers below n, and where least is -1 some of -1.
func randomIndex(rng *rand.Rand, rows, n, least int) []int32 {
	index := make([]int32, rows)
	for r := range index {
		index[r] = int32(least + rng.IntN(n-least))
	}
	return index
}

func TestRowsEqualReference(t *testing.T) {
	onNativePaths(t, func(t *testing.T, rng *rand.Rand, d int) {
		const rows, n = 7, 5
		ldFew, ldMany := d+rng.IntN(4), d+rng.IntN(4)
		few, many := awkward(rng, n*ldFew), awkward(rng, rows*ldMany)
		wantFew, wantMany := slices.Clone(few), slices.Clone(many)
		reference := func(add bool, dst []float32, ldDst int, to []int32, src []float32, ldSrc int, from []int32) {
			if d > 0 {
				indexRowsReference(add, rows, d, dst, ldDst, to, src, ldSrc, from)
			}
		}
		ids := randomIndex(rng, rows, n, 0)
		ScatterAdd(rows, d, few, many, ids)
		reference(true, wantFew, d, ids, wantMany, d, nil)
		same(t, "ScatterAdd", d, few, wantFew)
		Gather(rows, d, many, few, ids)
		reference(false, wantMany, d, nil, wantFew, d, ids)
		same(t, "Gather", d, many, wantMany)

		for _, c := range []struct {
			name         string
			add, scatter bool
			call         func(rows, d int, dst []float32, ldDst int, src []float32, ldSrc int, index []int32)
		}{
			{"ScatterStridedAdd", true, true, ScatterStridedAdd[float32]},
			{"GatherStridedAdd", true, false, GatherStridedAdd[float32]},
			{"ScatterStrided", false, true, ScatterStrided[float32]},
			{"GatherStrided", false, false, GatherStrided[float32]},
		} {
			index := randomIndex(rng, rows, n, -1)
			if c.scatter {
				c.call(rows, d, few, ldFew, many, ldMany, index)
				reference(c.add, wantFew, ldFew, index, wantMany, ldMany, nil)
			} else {
				c.call(rows, d, many, ldMany, few, ldFew, index)
				reference(c.add, wantMany, ldMany, nil, wantFew, ldFew, index)
			}
			same(t, c.name, d, few, wantFew)
			same(t, c.name, d, many, wantMany)
		}
	})
}

func TestGatherValues(t *testing.T) {
	table := []float64{1, 2, 3, 4, 5, 6} // [3,2]
	dst := make([]float64, 7)
	Gather(3, 2, dst, table, []int32{2, 0, 2, 99})
	if want := []float64{5, 6, 1, 2, 5, 6, 0}; !slices.Equal(dst, want) {
		t.Errorf("Gather: got %v, want %v", dst, want)
	}
	ScatterAdd(3, 2, table, []float64{10, 20, 30, 40, 50, 60}, []int32{2, 0, 2})
	if want := []float64{31, 42, 3, 4, 65, 86}; !slices.Equal(table, want) {
		t.Errorf("ScatterAdd: got %v, want %v", table, want)
	}
	// Rows of two in rows of three; the last is not filled up.
	src := []float64{1, 2, 0, 3, 4, 0, 5, 6}
	dst = []float64{9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}
	GatherStrided(3, 2, dst, 4, src, 3, []int32{2, -1, 1})
	if want := []float64{5, 6, 9, 9, 0, 0, 9, 9, 3, 4, 9}; !slices.Equal(dst, want) {
		t.Errorf("GatherStrided: got %v, want %v", dst, want)
	}
	ScatterStridedAdd(3, 2, dst, 4, src, 3, []int32{2, -1, 2})
	if want := []float64{5, 6, 9, 9, 0, 0, 9, 9, 9, 12, 9}; !slices.Equal(dst, want) {
		t.Errorf("ScatterStridedAdd: got %v, want %v", dst, want)
	}
	GatherStridedAdd(3, 2, dst, 4, src, 3, []int32{1, -1, 0})
	if want := []float64{8, 10, 9, 9, 0, 0, 9, 9, 10, 14, 9}; !slices.Equal(dst, want) {
		t.Errorf("GatherStridedAdd: got %v, want %v", dst, want)
	}
	ScatterStrided(3, 2, dst, 4, src, 3, []int32{2, -1, 0})
	if want := []float64{5, 6, 9, 9, 0, 0, 9, 9, 1, 2, 9}; !slices.Equal(dst, want) {
		t.Errorf("ScatterStrided: got %v, want %v", dst, want)
	}
}

func TestRowFunctionsPanic(t *testing.T) {
	x := make([]float32, 12)
	for _, c := range []struct {
		name, want string
		call       func()
	}{
		{"id too large", "Gather: index 1 is 3; want 0 to 2, the rows of table in 12 elements", func() { Gather(2, 4, x, x, []int32{0, 3}) }},
		{"negative id", "Gather: index 0 is -1", func() { Gather(1, 4, x, x, []int32{-1}) }},
		{"empty table", "Gather: index 0 is 0; want 0 to -1", func() { Gather(1, 4, x, nil, []int32{0}) }},
		{"few ids", "ScatterAdd: index has 1 elements; want at least 2", func() { ScatterAdd(2, 4, x, x, []int32{1}) }},
		{"index -2", "GatherStrided: index 0 is -2; want -1 to 2", func() { GatherStrided(1, 2, x, 2, x, 5, []int32{-2}) }},
		{"index beyond", "ScatterStridedAdd: index 0 is 3; want -1 to 2", func() { ScatterStridedAdd(1, 2, x, 5, x, 2, []int32{3}) }},
		{"index beyond src", "GatherStridedAdd: index 0 is 3; want -1 to 2", func() { GatherStridedAdd(1, 2, x, 2, x, 5, []int32{3}) }},
		{"index beyond dst", "ScatterStrided: index 0 is 3; want -1 to 2", func() { ScatterStrided(1, 2, x, 5, x, 2, []int32{3}) }},
		{"stride", "GatherStrided: src has rows of 4 elements with leading dimension 3", func() { GatherStrided(1, 4, x, 4, x, 3, []int32{0}) }},
		{"negative rows", "Gather: -1 rows of 4 elements", func() { Gather(-1, 4, x, x, nil) }},
		{"short b", "Add: b has 11 elements; want at least 12", func() { Add(x, x, x[:11]) }},
		{"short rows", "SumRows: src is stored [3 5]", func() { SumRows(x, 3, 5, x, 5) }},
		{"short mean", "LayerNorm: mean has 1 elements; want at least 3", func() { LayerNorm(3, 4, x, x, x, x, 1, x[:1], x) }},
		{"p of 1", "Dropout: p is 1; want at least 0 and less than 1", func() { Dropout(x, x, 1, 0, 0) }},
		{"short velocity", "SGDStep: velocity has 1 elements; want at least 12", func() { SGDStep(x, x, x[:1], SGD[float32]{LR: 1, Momentum: 1, GradScale: 1}) }},
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

func BenchmarkGather(b *testing.B) {
	const rows, vocabulary = 1280, 8000
	for _, d := range []int{64, 256} {
		table, x := make([]float32, vocabulary*d), make([]float32, rows*d)
		ids := randomIndex(rand.New(rand.NewPCG(1, 2)), rows, vocabulary, 0)
		b.Run(fmt.Sprintf("Gather/%dx%d", rows, d), func(b *testing.B) {
			for b.Loop() {
				Gather(rows, d, x, table, ids)
			}
			perElement(b, rows*d, 8*rows*d)
		})
		b.Run(fmt.Sprintf("ScatterAdd/%dx%d", rows, d), func(b *testing.B) {
			for b.Loop() {
				ScatterAdd(rows, d, table, x, ids)
			}
			perElement(b, rows*d, 12*rows*d)
		})
	}
}
