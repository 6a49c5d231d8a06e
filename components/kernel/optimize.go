package kernel

/*
#cgo noescape exp_adam_step
#cgo nocallback exp_adam_step
#cgo noescape exp_sgd_step
#cgo nocallback exp_sgd_step
#include "optimize.h"
*/
import "C"

import "math"

// AdamStep updates the weights w with the gradients g and their running means m
// and mean squares v (Kingma & Ba 2015, as PyTorch has it: eps is added after
// the bias correction). c1 = 1-b1^t and c2 = 1-b2^t correct the bias in step t;
// they are to be taken from b1 and b2 as rounded to F, like the means.
// For i < len(w), with d = g[i] * gradScale,
//
//	m[i] = fma(1-b1, d-m[i], m[i])
//	v[i] = fma((1-b2)*d, d, b2*v[i])
//	w[i] = fma(-lr/c1, m[i] / fma(sqrt(v[i]), 1/sqrt(c2), eps), w[i])
//
// g is unchanged. The slices must not overlap.
func AdamStep[F Float](w, g, m, v []F, lr, b1, b2, eps, c1, c2, gradScale F) {
	n := len(w)
	checkLength("AdamStep", "g", len(g), n)
	checkLength("AdamStep", "m", len(m), n)
	checkLength("AdamStep", "v", len(v), n)
	a := adamFactors[F]{
		gradScale: gradScale, gain1: 1 - b1, gain2: 1 - b2, keep2: b2,
		step: -lr / c1, root: 1 / F(math.Sqrt(float64(c2))), eps: eps,
	}
	if native[F]() {
		adamSteps.parallel(n, n, adamStep{ptr(w), ptr(g), ptr(m), ptr(v), C.struct_exp_adam{
			grad_scale: C.float(a.gradScale), gain1: C.float(a.gain1), gain2: C.float(a.gain2), keep2: C.float(a.keep2),
			step: C.float(a.step), root: C.float(a.root), eps: C.float(a.eps),
		}})
		return
	}
	adamStepReference(w, g, m, v, a)
}

var adamSteps calls[adamStep]

type adamStep struct {
	w, g, m, v *C.float
	factors    C.struct_exp_adam
}

// Range updates weights.
func (a adamStep) Range(from, to int) {
	C.exp_adam_step(C.int64_t(to-from), at(a.w, from), at(a.g, from), at(a.m, from), at(a.v, from), a.factors)
}

// adamFactors are what AdamStep multiplies by.
type adamFactors[F Float] struct{ gradScale, gain1, gain2, keep2, step, root, eps F }

func adamStepReference[F Float](w, g, m, v []F, a adamFactors[F]) {
	for i := range w {
		d := F(g[i] * a.gradScale)
		m[i] = fma(a.gain1, d-m[i], m[i])
		v[i] = fma(a.gain2*d, d, a.keep2*v[i])
		w[i] = fma(a.step, m[i]/fma(F(math.Sqrt(float64(v[i]))), a.root, a.eps), w[i])
	}
}

// SGDStep updates the weights w with the gradients g, or where velocity is not
// nil with velocity, as PyTorch has it; velocity starts at zero. For i < len(w),
// with d = g[i] * gradScale,
//
//	if velocity != nil {
//		velocity[i] = fma(momentum, velocity[i], d)
//		d = nesterov ? fma(momentum, velocity[i], d) : velocity[i]
//	}
//	w[i] = fma(-lr, d, w[i])
//
// g is unchanged. The slices must not overlap.
func SGDStep[F Float](w, g, velocity []F, lr, momentum F, nesterov bool, gradScale F) {
	checkLength("SGDStep", "g", len(g), len(w))
	if velocity != nil {
		checkLength("SGDStep", "velocity", len(velocity), len(w))
	}
	if native[F]() {
		C.exp_sgd_step(C.int64_t(len(w)), ptr(w), ptr(g), ptr(velocity), C.float(lr), C.float(momentum), cBool(nesterov), C.float(gradScale))
		return
	}
	sgdStepReference(w, g, velocity, lr, momentum, nesterov, gradScale)
}

func sgdStepReference[F Float](w, g, velocity []F, lr, momentum F, nesterov bool, gradScale F) {
	for i := range w {
		d := F(g[i] * gradScale)
		if velocity != nil {
			velocity[i] = fma(momentum, velocity[i], d)
			if nesterov {
				d = fma(momentum, velocity[i], d)
			} else {
				d = velocity[i]
			}
		}
		w[i] = fma(-lr, d, w[i])
	}
}
