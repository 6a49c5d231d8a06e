package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestDropoutEqualsReference(t *testing.T) {
	onNativePaths(t, func(t *testing.T, rng *rand.Rand, n int) {
		x, y := awkward(rng, n+1), awkward(rng, n+1)
		key, offset, p := rng.Uint64(), rng.Uint64(), []float64{0, 0.1, 0.5, rng.Float64(), 1 - 1e-9}[rng.IntN(5)]
		if rng.IntN(4) == 0 {
			offset = -uint64(rng.IntN(n + 1)) // wraps around within
		}
		threshold, scale := dropoutScale("", p)
		got, want := slices.Clone(y), slices.Clone(y)
		Dropout(got[:n], x, p, key, offset)
		dropoutReference(want[:n], x, threshold, float32(scale), key, offset)
		same(t, "Dropout", n, got, want)
		copy(got, x)
		Dropout(got[:n], got, p, key, offset)
		same(t, "Dropout in place", n, got[:n], want[:n])
		copy(got, y)
		copy(want, y)
		DropoutBackward(got[:n], x, p, key, offset)
		dropoutBackwardReference(want[:n], x, threshold, float32(scale), key, offset)
		same(t, "DropoutBackward", n, got, want)
	})
}

// The known answers that Random123 1.14 ships for philox4x32 of 10 rounds
// (kat_vectors).
func TestPhiloxKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{
			[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		if got := philox4x32(c.counter, c.key); got != c.want {
			t.Errorf("philox4x32(%x, %x) = %x, want %x", c.counter, c.key, got, c.want)
		}
	}
}

// mask is the elements of a stream that dropout keeps.
func mask(n int, p float64, key, offset uint64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 1
	}
	Dropout(x, x, p, key, offset)
	for i := range x {
		if x[i] != 0 {
			x[i] = 1
		}
	}
	return x
}

// The share kept, and the agreement of any two masks or of a mask and itself
// shifted, is binomial: within five standard deviations.
func TestDropoutUniform(t *testing.T) {
	const n = 1 << 16
	near := func(what string, count int, want float64) {
		t.Helper()
		if sigma := math.Sqrt(n * want * (1 - want)); !(math.Abs(float64(count)-n*want) <= 5*sigma) {
			t.Errorf("%s: %d of %d, want %.0f, a standard deviation being %.0f", what, count, n, n*want, sigma)
		}
	}
	agreement := func(a, b []float32) (count int) {
		for i := range a {
			if a[i] == b[i] {
				count++
			}
		}
		return count
	}
	for _, p := range []float64{0.1, 0.25, 0.5, 0.9} {
		agree := p*p + (1-p)*(1-p)
		for key := range uint64(4) {
			x := mask(n, p, key, 0)
			kept := 0
			for _, v := range x {
				kept += int(v)
			}
			near(fmt.Sprintf("p=%g key=%d: kept", p, key), kept, 1-p)
			for _, other := range []uint64{key + 1, key ^ 1<<32, key ^ 1<<63, ^key} {
				near(fmt.Sprintf("p=%g keys %d and %d agree", p, key, other), agreement(x, mask(n, p, other, 0)), agree)
			}
			for _, shift := range []uint64{1, 2, 3, 4, 5, 64, 1 << 34, 1 << 63} {
				near(fmt.Sprintf("p=%g key=%d and itself shifted by %d agree", p, key, shift), agreement(x, mask(n, p, key, shift)), agree)
			}
		}
	}
}

// The words that decide are uniform in 256 bins: chi-squared with 255 degrees
// of freedom stays below 380, which chance exceeds once in a million times.
func TestPhiloxChiSquared(t *testing.T) {
	const n = 1 << 16
	for shift := 8; shift < 32; shift += 8 {
		var bins [256]int
		for block := range uint64(n / 4) {
			for _, w := range philox(7, block) {
				bins[w>>shift&255]++
			}
		}
		var chi float64
		for _, count := range bins {
			chi += math.Pow(float64(count)-n/256, 2) / (n / 256)
		}
		if !(chi < 380) {
			t.Errorf("bits %d to %d: chi-squared is %.0f", shift, shift+7, chi)
		}
	}
}

func TestDropoutValues(t *testing.T) {
	const n, p = 1000, 0.3
	x, y, dx := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range x {
		x[i], dx[i] = float64(i+1), 100
	}
	Dropout(y, x, p, 5, 1<<40+1)
	DropoutBackward(dx, x, p, 5, 1<<40+1)
	for i := range x {
		if y[i] != 0 && y[i] != x[i]*(1/(1-p)) {
			t.Fatalf("element %d is %g, want 0 or %g", i, y[i], x[i]/(1-p))
		}
		if want := fma(x[i], 1/(1-p), 100); y[i] == 0 && dx[i] != 100 || y[i] != 0 && dx[i] != want {
			t.Fatalf("gradient %d is %g where the output is %g", i, dx[i], y[i])
		}
	}
	Dropout(y, x, 0, 5, 0)
	if i := firstDifference(y, x); i >= 0 {
		t.Errorf("with p = 0 element %d is %g, want %g", i, y[i], x[i])
	}
}

// A slice of a stream is the stream at an offset.
func TestDropoutOffset(t *testing.T) {
	whole := mask(200, 0.5, 9, math.MaxUint64-100) // wraps around at 101
	for from := range 64 {
		part := mask(100, 0.5, 9, math.MaxUint64-100+uint64(from))
		if i := firstDifference(part, whole[from:from+100]); i >= 0 {
			t.Fatalf("from %d, element %d differs", from, i)
		}
	}
}

func BenchmarkDropout(b *testing.B) {
	for _, n := range []int{64, 16 << 10, 1 << 20} {
		x, y := make([]float32, n), make([]float32, n)
		b.Run(fmt.Sprintf("forward/%d", n), func(b *testing.B) {
			for b.Loop() {
				Dropout(y, x, 0.1, 1, 0)
			}
			perElement(b, n, 8*n)
		})
		b.Run(fmt.Sprintf("backward/%d", n), func(b *testing.B) {
			for b.Loop() {
				DropoutBackward(x, y, 0.1, 1, 0)
			}
			perElement(b, n, 12*n)
		})
	}
}
