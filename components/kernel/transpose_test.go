package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestTransposeValues(t *testing.T) {
	got := []float64{9, 9, 9, 9, 9, 9, 9}
	Transpose(2, 3, []float64{1, 2, 3, 0, 4, 5, 6}, 4, got, 2)
	if want := []float64{1, 4, 2, 5, 3, 6, 9}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTransposeEqualsReference(t *testing.T) {
	onNativePaths(t, func(t *testing.T, rng *rand.Rand, cols int) {
		rows := rng.IntN(40)
		lds, ldd := cols+rng.IntN(3), rows+rng.IntN(3)
		src, dst := awkward(rng, rows*lds), awkward(rng, cols*ldd+1)
		want := slices.Clone(dst)
		Transpose(rows, cols, src, lds, dst, ldd)
		transposeReference(rows, cols, src, lds, want, ldd)
		same(t, "Transpose", cols, dst, want)
	})
}
