package kernel

import (
	"math"
	"unsafe"
)

// fma is x*y + z rounded once.
func fma[F Float](x, y, z F) F {
	if unsafe.Sizeof(x) == 4 {
		return F(fma32(float32(x), float32(y), float32(z)))
	}
	return F(math.FMA(float64(x), float64(y), float64(z)))
}

// unlessBelow is x, or 0 where |x| < least.
func unlessBelow[F Float](x, least F) F {
	if -least < x && x < least {
		return 0
	}
	return x
}

// fma32 is x*y + z rounded once. The sum is rounded to odd in double precision
// first, which makes the second rounding, to float32, exact (Boldo and
// Melquiond 2008, "Emulation of FMA and correctly rounded sums"); rounding to
// nearest twice would not be. The product of two float32 is exact in a float64,
// so it makes no difference that a compiler may fuse it into the sum.
func fma32(x, y, z float32) float32 {
	p := float64(x) * float64(y)
	s := p + float64(z)
	t := s - p
	err := (p - (s - t)) + (float64(z) - t) // what the addition lost, exactly
	if err > 0 || err < 0 {                 // false for the NaN of an infinite sum
		bits := math.Float64bits(s)
		if bits&1 == 0 { // step to the odd neighbour on the side of the loss
			if (err > 0) == (s > 0) {
				bits++
			} else {
				bits--
			}
		}
		s = math.Float64frombits(bits)
	}
	return float32(s)
}
