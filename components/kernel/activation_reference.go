package kernel

import (
	"math"
	"unsafe"
)

// The functions of one element. For float64 they are those of package math. For
// float32 they are polynomials evaluated by chains of fused multiply-adds, the
// same in activation.h; TestAccuracy measures them. A NaN gives a NaN.

func exp[F Float](x F) F {
	if unsafe.Sizeof(x) == 4 {
		return F(exp32(float32(x)))
	}
	return F(math.Exp(float64(x)))
}

func tanh[F Float](x F) F {
	if unsafe.Sizeof(x) == 4 {
		return F(tanh32(float32(x)))
	}
	return F(math.Tanh(float64(x)))
}

func sigmoid[F Float](x F) F { return 1 / (1 + exp(-x)) }

// gelu is x Φ(x).
func gelu[F Float](x F) F {
	if unsafe.Sizeof(x) == 4 {
		return F(gelu32(float32(x)))
	}
	return x * F(normal(float64(x)))
}

// geluSlope is the derivative of gelu, Φ(x) + x φ(x).
func geluSlope[F Float](x F) F {
	if unsafe.Sizeof(x) == 4 {
		return F(geluSlope32(float32(x)))
	}
	v := float64(x)
	return F(normal(v) + float64(v*math.Exp(-v*v/2))/math.Sqrt(2*math.Pi))
}

// normal is the normal distribution function Φ.
func normal(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

// log is the logarithm of x >= 1, finite, or of a NaN.
func log[F Float](x F) F {
	if unsafe.Sizeof(x) == 4 {
		return F(log32(float32(x)))
	}
	return F(math.Log(float64(x)))
}

const (
	log2e   = 0x1.715476p+0
	ln2High = 0x1.62e43p-1 // ln 2 in float32
	ln2Low  = -0x1.05c61p-29
	// Added to a number below 2^22 it leaves the number, rounded to an integer,
	// in the low bits.
	roundInteger = 0x1.8p+23

	expMin = -87.5 // its exponential is taken for 0
	expMax = 89    // its exponential is infinite

	// (eʳ - 1 - r) / r² = e2 + e3 r + ... within 3.2e-9 eʳ/r² for |r| <= ln(2)/2:
	// a minimax fit by Remez' algorithm, then a search among neighbouring float32.
	e2 = 0x1.fffffcp-2
	e3 = 0x1.555492p-3
	e4 = 0x1.5558d2p-5
	e5 = 0x1.1239dp-7
	e6 = 0x1.6a2472p-10
)

// reduce32 returns r and 2^(n+bias-127), 0 where n+bias is 0, with x = n ln 2 + r
// and |r| <= ln(2)/2 but for rounding. n+bias is from 0 to 254.
func reduce32(x float32, bias int) (r, scale float32) {
	round := roundInteger + float32(bias)
	t := fma32(x, log2e, round)
	n := t - round
	// The first product is exact, and with it the difference.
	r = fma32(-n, ln2Low, fma32(-n, ln2High, x))
	return r, math.Float32frombits(math.Float32bits(t) << 23) // n+bias becomes the exponent
}

// clamp32 keeps eˣ within what exp32 can scale.
func clamp32(x float32) float32 {
	if x > expMax {
		x = expMax
	}
	if x < expMin {
		x = expMin
	}
	return x
}

// exp32 is eˣ. Results below 2^-125.5 are 0, so never subnormal.
func exp32(x float32) float32 {
	r, half := reduce32(clamp32(x), 126)
	return scaledExp32(r, half)
}

// scaledExp32 is 2 eʳ half. The polynomial is that of 2 eʳ so that half, which
// would be 2^128 for the largest results, is a number.
func scaledExp32(r, half float32) float32 {
	p := fma32(2*e6, r, 2*e5)
	p = fma32(p, r, 2*e4)
	p = fma32(p, r, 2*e3)
	p = fma32(p, r, 2*e2)
	p = fma32(p, r, 2)
	p = fma32(p, r, 2)
	return p * half
}

const tanhMin = -20 // of -2|x|, from where on |tanh| is 1 in float32

// tanh32 has the sign of x and the size of e/(2+e), where e = exp(-2|x|) - 1.
// Near 0, e is as accurate as r is; and with the exponent negative, 2+e is nearly
// 2 there, where its rounding weighs least.
func tanh32(x float32) float32 {
	y := -2 * float32(math.Abs(float64(x)))
	if y < tanhMin {
		y = tanhMin
	}
	r, scale := reduce32(y, 127)
	p := fma32(e6, r, e5)
	p = fma32(p, r, e4)
	p = fma32(p, r, e3)
	p = fma32(p, r, e2)
	p = fma32(r*r, p, r) // eʳ - 1
	e := fma32(p, scale, scale-1)
	return float32(math.Copysign(float64(e/(2+e)), float64(x)))
}

const (
	geluMax = 14 // from where on Φ(-x) is 0 in float32

	// Φ(-t) exp(t²/2) = (p0 + p1 t + ...) / (q0 + q1 t + ...) within 1.1e-8 of it
	// for 0 <= t <= 14: a rational minimax fit by Lawson's algorithm, then a search
	// among neighbouring float32.
	geluP0 = 0x1p-1
	geluP1 = 0x1.bfbcap-2
	geluP2 = 0x1.75aafep-3
	geluP3 = 0x1.4ab5fcp-5
	geluP4 = 0x1.0b32e6p-8
	geluQ0 = 1
	geluQ1 = 0x1.ac208p+0
	geluQ2 = 0x1.3303p+0
	geluQ3 = 0x1.dea0f8p-2
	geluQ4 = 0x1.9e8332p-4
	geluQ5 = 0x1.4ee13ep-7

	density = 0x1.988454p-2 // 1/√(2π)
)

// tail32 returns t = |x|, at most geluMax, e = exp(-t²/2), and Φ(-t)/e as ratio
// plus rest. The rounding error of t² goes into the reduced argument, so e is as
// accurate as exp32; rest is what the last steps of the quotient's polynomials
// and the quotient lost.
func tail32(x float32) (t, e, ratio, rest float32) {
	t = float32(math.Abs(float64(x)))
	if t > geluMax {
		t = geluMax
	}
	square := t * t
	squareRest := fma32(t, t, -square)
	r, half := reduce32(clamp32(-0.5*square), 126)
	e = scaledExp32(fma32(-0.5, squareRest, r), half)

	p1 := fma32(geluP4, t, geluP3)
	p1 = fma32(p1, t, geluP2)
	p1 = fma32(p1, t, geluP1)
	p := fma32(p1, t, geluP0)
	pRest := fma32(p1, t, geluP0-p)
	q1 := fma32(geluQ5, t, geluQ4)
	q1 = fma32(q1, t, geluQ3)
	q1 = fma32(q1, t, geluQ2)
	q1 = fma32(q1, t, geluQ1)
	q := fma32(q1, t, geluQ0)
	qRest := fma32(q1, t, geluQ0-q)
	inverse := 1 / q
	ratio = p * inverse
	rest = (fma32(-ratio, q, p) + fma32(-ratio, qRest, pRest)) * inverse
	return t, e, ratio, rest
}

// gelu32 is x Φ(x) = max(x, 0) - |x| Φ(-|x|).
func gelu32(x float32) float32 {
	t, e, ratio, rest := tail32(x)
	var positive float32
	if x > 0 {
		positive = x
	}
	t *= e
	return fma32(-t, ratio, fma32(-t, rest, positive))
}

// geluSlope32 is d = Φ(x) + x φ(x) for x <= 0, and 1 minus that of -x for x > 0.
// It passes through 0 near x = -0.75, so rest would gain nothing.
func geluSlope32(x float32) float32 {
	t, e, ratio, _ := tail32(x)
	d := float32(e * fma32(-density, t, ratio))
	if x > 0 {
		return 1 - d
	}
	return d
}

// log32 is log(x) for x >= 1, finite, or a NaN, from log(m) = 2 artanh(f) with
// f = (m-1)/(m+1) and m in (√2/2, √2], whose series in f² <= 0.0295 ends at f¹²
// within 1e-12. It works in float64, so its error is that of the last rounding;
// it is needed once a row.
func log32(x float32) float32 {
	if !(x >= 1) {
		return float32(math.NaN())
	}
	bits := math.Float64bits(float64(x))
	n := float64(int(bits>>52) - 1023)
	m := math.Float64frombits(bits&(1<<52-1) | 1023<<52)
	if m > math.Sqrt2 {
		m /= 2
		n++
	}
	f := (m - 1) / (m + 1)
	s := f * f
	p := s/13 + 1./11
	p = float64(p*s) + 1./9
	p = float64(p*s) + 1./7
	p = float64(p*s) + 1./5
	p = float64(p*s) + 1./3
	p = float64(p*s) + 1
	return float32(float64(n*math.Ln2) + float64(2*f*p))
}
