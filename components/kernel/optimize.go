package kernel

/*
#cgo noescape exp_adam_step
#cgo nocallback exp_adam_step
#cgo noescape exp_sgd_step
#cgo nocallback exp_sgd_step
#cgo noescape exp_adagrad_step
#cgo nocallback exp_adagrad_step
#cgo noescape exp_rmsprop_step
#cgo nocallback exp_rmsprop_step
#cgo noescape exp_clamp
#cgo nocallback exp_clamp
#include "optimize.h"
#include "reduce.h"
*/
import "C"

import "math"

// The updates of the optimizers change the weights w with the gradients g, of
// which they read
//
//	d = g[i] * GradScale
//	if Decay != 0 { d = fma(Decay, w[i], d) }
//
// g is unchanged. The slices have the length of w and must not overlap. Each reports
// whether the weights are finite then.
//
// Of the running means and velocities, numbers below 2^-126 (the subnormal ones)
// count as zero: those of a word that is not seen for a thousand steps shrink to such,
// and then stay, for 0.9 of the smallest rounds to the smallest, and some processors
// take twenty times as long over them.

// Adam is what [AdamStep] is given. The corrections of the bias in step t,
// 1-Beta1^t and 1-Beta2^t, are to be taken from Beta1 and Beta2 as rounded to F,
// like the means.
type Adam[F Float] struct {
	LR, Beta1, Beta2, Epsilon, Correction1, Correction2 F

	GradScale F
	Decay     F // of the weights, added to the gradient
	Shrink    F // share of the weights that is taken off beside the gradient
}

// AdamStep keeps running means m and mean squares v of the gradients (Kingma & Ba
// 2015, as PyTorch has it: Epsilon is added after the bias correction), and with
// Shrink takes from the weights apart from these (Loshchilov & Hutter 2019). For
// i < len(w)
//
//	m[i] = fma(1-Beta1, d-m[i], m[i])
//	v[i] = fma((1-Beta2)*d, d, Beta2*v[i])
//	w[i] = fma(-LR/Correction1, m[i] / fma(sqrt(v[i]), 1/sqrt(Correction2), Epsilon), (1-Shrink)*w[i])
func AdamStep[F Float](w, g, m, v []F, o Adam[F]) bool {
	n := len(w)
	checkLength("AdamStep", "g", len(g), n)
	checkLength("AdamStep", "m", len(m), n)
	checkLength("AdamStep", "v", len(v), n)
	a := adamFactors[F]{
		gradScale: o.GradScale, decay: o.Decay, gain1: 1 - o.Beta1, gain2: 1 - o.Beta2, keep2: o.Beta2,
		step: -o.LR / o.Correction1, root: 1 / F(math.Sqrt(float64(o.Correction2))), eps: o.Epsilon, keep: 1 - o.Shrink,
	}
	if native[F]() {
		found := newFinding()
		adamSteps.parallel(units(n, unitElements), n, adamStep{n, ptr(w), ptr(g), ptr(m), ptr(v), found, C.struct_exp_adam{
			grad_scale: C.float(a.gradScale), decay: C.float(a.decay), gain1: C.float(a.gain1), gain2: C.float(a.gain2), keep2: C.float(a.keep2),
			step: C.float(a.step), root: C.float(a.root), eps: C.float(a.eps), keep: C.float(a.keep),
		}})
		return !found.end()
	}
	adamStepReference(w, g, m, v, a)
	return AllFinite(w)
}

var adamSteps calls[adamStep]

type adamStep struct {
	n          int
	w, g, m, v *C.float
	found      *finding // of weights that are not finite
	factors    C.struct_exp_adam
}

// Range updates units of weights, and looks at each while it is in the cache.
func (a adamStep) Range(from, to int) {
	for i := from * unitElements; i < min(to*unitElements, a.n); i += unitElements {
		n, w := C.int64_t(min(unitElements, a.n-i)), at(a.w, i)
		C.exp_adam_step(n, w, at(a.g, i), at(a.m, i), at(a.v, i), a.factors)
		if C.exp_all_finite(n, w) == 0 {
			a.found.Store(true)
		}
	}
}

// adamFactors are what AdamStep multiplies by.
type adamFactors[F Float] struct{ gradScale, decay, gain1, gain2, keep2, step, root, eps, keep F }

func adamStepReference[F Float](w, g, m, v []F, a adamFactors[F]) {
	for i := range w {
		d := gradient(g[i], w[i], a.gradScale, a.decay)
		mean, square := orZero(m[i]), orZero(v[i])
		m[i] = fma(a.gain1, d-mean, mean)
		v[i] = fma(a.gain2*d, d, a.keep2*square)
		w[i] = fma(a.step, m[i]/fma(F(math.Sqrt(float64(v[i]))), a.root, a.eps), a.keep*w[i])
	}
}

// orZero is x, or 0 where x is subnormal in float32.
func orZero[F Float](x F) F { return unlessBelow(x, 0x1p-126) }

// gradient is d of an element.
func gradient[F Float](g, w, scale, decay F) F {
	d := F(g * scale)
	if decay != 0 {
		d = fma(decay, w, d)
	}
	return d
}

// SGD is what [SGDStep] is given.
type SGD[F Float] struct {
	LR, Momentum     F
	Nesterov         bool
	GradScale, Decay F
}

// SGDStep moves along the gradients, or where velocity is not nil along velocity,
// as PyTorch has it; velocity starts at zero. For i < len(w)
//
//	if velocity != nil {
//		velocity[i] = fma(Momentum, velocity[i], d)
//		d = Nesterov ? fma(Momentum, velocity[i], d) : velocity[i]
//	}
//	w[i] = fma(-LR, d, w[i])
func SGDStep[F Float](w, g, velocity []F, o SGD[F]) bool {
	checkLength("SGDStep", "g", len(g), len(w))
	if velocity != nil {
		checkLength("SGDStep", "velocity", len(velocity), len(w))
	}
	if native[F]() {
		C.exp_sgd_step(C.int64_t(len(w)), ptr(w), ptr(g), ptr(velocity), C.struct_exp_sgd{
			grad_scale: C.float(o.GradScale), decay: C.float(o.Decay), lr: C.float(o.LR), momentum: C.float(o.Momentum), nesterov: cBool(o.Nesterov),
		})
	} else {
		sgdStepReference(w, g, velocity, o)
	}
	return AllFinite(w)
}

func sgdStepReference[F Float](w, g, velocity []F, o SGD[F]) {
	for i := range w {
		d := gradient(g[i], w[i], o.GradScale, o.Decay)
		if velocity != nil {
			velocity[i] = fma(o.Momentum, orZero(velocity[i]), d)
			if o.Nesterov {
				d = fma(o.Momentum, velocity[i], d)
			} else {
				d = velocity[i]
			}
		}
		w[i] = fma(-o.LR, d, w[i])
	}
}

// Adagrad is what [AdagradStep] is given.
type Adagrad[F Float] struct{ LR, Epsilon, GradScale, Decay F }

// AdagradStep divides by the root of the sum of all squares so far (Duchi et al.
// 2011, as PyTorch has it: Epsilon is added to the root). For i < len(w)
//
//	sum[i] = fma(d, d, sum[i])
//	w[i] = fma(-LR, d / (sqrt(sum[i])+Epsilon), w[i])
func AdagradStep[F Float](w, g, sum []F, o Adagrad[F]) bool {
	checkLength("AdagradStep", "g", len(g), len(w))
	checkLength("AdagradStep", "sum", len(sum), len(w))
	if native[F]() {
		C.exp_adagrad_step(C.int64_t(len(w)), ptr(w), ptr(g), ptr(sum), C.struct_exp_adagrad{
			grad_scale: C.float(o.GradScale), decay: C.float(o.Decay), lr: C.float(o.LR), eps: C.float(o.Epsilon),
		})
	} else {
		adagradStepReference(w, g, sum, o)
	}
	return AllFinite(w)
}

func adagradStepReference[F Float](w, g, sum []F, o Adagrad[F]) {
	for i := range w {
		d := gradient(g[i], w[i], o.GradScale, o.Decay)
		sum[i] = fma(d, d, sum[i])
		w[i] = fma(-o.LR, d/(F(math.Sqrt(float64(sum[i])))+o.Epsilon), w[i])
	}
}

// RMSProp is what [RMSPropStep] is given. Keep is the decay of the means, and
// Gain 1-Keep, apart so that it is not off by what Keep was rounded.
type RMSProp[F Float] struct{ LR, Keep, Gain, Epsilon, Momentum, GradScale, Decay F }

// RMSPropStep divides by the root of a running mean of the squares (Tieleman &
// Hinton 2012, as PyTorch has it: Epsilon is added to the root), from which, where
// mean is not nil, the square of the running mean is taken (Graves 2013), down to
// 0 and not below as rounding could; and moves along velocity where that is not nil.
// For i < len(w)
//
//	square[i] = fma(Gain*d, d, Keep*square[i])
//	variance = square[i]
//	if mean != nil {
//		mean[i] = fma(Gain, d-mean[i], mean[i])
//		variance = max(0, fma(-mean[i], mean[i], variance))
//	}
//	d = d / (sqrt(variance)+Epsilon)
//	if velocity != nil {
//		velocity[i] = fma(Momentum, velocity[i], d)
//		d = velocity[i]
//	}
//	w[i] = fma(-LR, d, w[i])
func RMSPropStep[F Float](w, g, square, mean, velocity []F, o RMSProp[F]) bool {
	checkLength("RMSPropStep", "g", len(g), len(w))
	checkLength("RMSPropStep", "square", len(square), len(w))
	if mean != nil {
		checkLength("RMSPropStep", "mean", len(mean), len(w))
	}
	if velocity != nil {
		checkLength("RMSPropStep", "velocity", len(velocity), len(w))
	}
	if native[F]() {
		C.exp_rmsprop_step(C.int64_t(len(w)), ptr(w), ptr(g), ptr(square), ptr(mean), ptr(velocity), C.struct_exp_rmsprop{
			grad_scale: C.float(o.GradScale), decay: C.float(o.Decay), lr: C.float(o.LR), keep: C.float(o.Keep), gain: C.float(o.Gain),
			eps: C.float(o.Epsilon), momentum: C.float(o.Momentum),
		})
	} else {
		rmspropStepReference(w, g, square, mean, velocity, o)
	}
	return AllFinite(w)
}

func rmspropStepReference[F Float](w, g, square, mean, velocity []F, o RMSProp[F]) {
	for i := range w {
		d := gradient(g[i], w[i], o.GradScale, o.Decay)
		square[i] = fma(F(o.Gain*d), d, F(o.Keep*orZero(square[i])))
		variance := square[i]
		if mean != nil {
			m := orZero(mean[i])
			mean[i] = fma(o.Gain, d-m, m)
			if variance = fma(-mean[i], mean[i], variance); 0 > variance {
				variance = 0
			}
		}
		d /= F(math.Sqrt(float64(variance))) + o.Epsilon
		if velocity != nil {
			velocity[i] = fma(o.Momentum, orZero(velocity[i]), d)
			d = velocity[i]
		}
		w[i] = fma(-o.LR, d, w[i])
	}
}

// Clamp limits the elements of x to [-limit, limit]: for i < len(x)
//
//	x[i] = min(max(x[i], -limit), limit)
//
// A NaN stays one.
func Clamp[F Float](x []F, limit F) {
	if native[F]() {
		C.exp_clamp(C.int64_t(len(x)), ptr(x), C.float(limit))
		return
	}
	clampReference(x, limit)
}

func clampReference[F Float](x []F, limit F) {
	for i := range x {
		if -limit > x[i] {
			x[i] = -limit
		}
		if limit < x[i] {
			x[i] = limit
		}
	}
}
