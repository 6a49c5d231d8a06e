package kernel

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// bigFMA is x*y + z through exact arithmetic, for finite operands and a result
// that is not zero (big.Float rounds to float32 once, subnormals included).
func bigFMA(x, y, z float32) float32 {
	exact := func(v float32) *big.Float { return new(big.Float).SetPrec(1024).SetFloat64(float64(v)) }
	p := exact(0).Mul(exact(x), exact(y))
	r, _ := p.Add(p, exact(z)).Float32()
	return r
}

func TestFMA32RoundsOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	twice := 0 // cases that plain float64 arithmetic gets wrong
	check := func(x, y, z float32) {
		t.Helper()
		want := bigFMA(x, y, z)
		if got := fma32(x, y, z); got != want {
			t.Fatalf("fma32(%x, %x, %x) = %x, want %x", x, y, z, got, want)
		}
		if float32(float64(x)*float64(y)+float64(z)) != want {
			twice++
		}
	}
	for range 100_000 {
		x, y, z := anyFloat32(rng), anyFloat32(rng), anyFloat32(rng)
		check(x, y, z)
	}
	// The product lies just beside the middle between two neighbours of z.
	for range 20_000 {
		z := float32(1 + float64(rng.IntN(1<<23))/(1<<23))
		x := float32(math.Ldexp(1+float64(rng.IntN(1<<23))/(1<<23), -12))
		y := float32((math.Nextafter32(z, 2)-z)/2) / x
		if rng.IntN(2) == 0 {
			x = -x
		}
		check(x, y, z)
	}
	// Half an ulp of z plus or minus a hair that only exact arithmetic sees.
	for range 20_000 {
		z := float32(math.Ldexp(1+float64(rng.IntN(1<<23))/(1<<23), 20))
		half := (math.Nextafter32(z, math.MaxFloat32) - z) / 2
		x := 1 + float32(1+rng.IntN(8))/(1<<23)
		y := half * (1 - float32(1+rng.IntN(8))/(1<<23))
		check(x, y, z)
		check(-x, y, z)
	}
	if twice == 0 {
		t.Error("no case in which plain float64 arithmetic rounds twice: the test shows nothing")
	}
}

func TestFMA32Special(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	zero := float32(0)
	negZero := float32(math.Copysign(0, -1))
	for _, c := range []struct{ x, y, z, want float32 }{
		{inf, 1, 1, inf},
		{-inf, 1, 1, -inf},
		{1, 1, -inf, -inf},
		{inf, zero, 1, nan},
		{inf, 1, -inf, nan},
		{nan, 1, 1, nan},
		{1, 1, nan, nan},
		{math.MaxFloat32, 2, 0, inf},
		{math.MaxFloat32, 2, -math.MaxFloat32, math.MaxFloat32},
		{zero, negZero, negZero, negZero},
		{zero, negZero, zero, zero},
		{1, -1, 1, zero},
	} {
		got := fma32(c.x, c.y, c.z)
		if !sameFloat(got, c.want) {
			t.Errorf("fma32(%g, %g, %g) = %g, want %g", c.x, c.y, c.z, got, c.want)
		}
		if got := fma(float64(c.x), float64(c.y), float64(c.z)); math.IsNaN(got) != math.IsNaN(float64(c.want)) {
			t.Errorf("fma of float64 (%g, %g, %g) = %g", c.x, c.y, c.z, got)
		}
	}
}

// anyFloat32 draws from all finite bit patterns whose products stay in range,
// subnormals included.
func anyFloat32(rng *rand.Rand) float32 {
	for {
		v := math.Float32frombits(rng.Uint32())
		if a := math.Abs(float64(v)); a < 1e18 && a != 0 {
			return v
		}
	}
}

// sameFloat reports equal bits, or two NaNs of any kind.
func sameFloat[F Float](a, b F) bool {
	if a != a || b != b {
		return a != a && b != b
	}
	return math.Float64bits(float64(a)) == math.Float64bits(float64(b))
}
