package kernel

/*
#cgo noescape exp_exp
#cgo nocallback exp_exp
#cgo noescape exp_tanh
#cgo nocallback exp_tanh
#cgo noescape exp_sigmoid
#cgo nocallback exp_sigmoid
#cgo noescape exp_relu
#cgo nocallback exp_relu
#cgo noescape exp_additive_terms
#cgo nocallback exp_additive_terms
#cgo noescape exp_gelu
#cgo nocallback exp_gelu
#cgo noescape exp_tanh_backward
#cgo nocallback exp_tanh_backward
#cgo noescape exp_sigmoid_backward
#cgo nocallback exp_sigmoid_backward
#cgo noescape exp_relu_backward
#cgo nocallback exp_relu_backward
#cgo noescape exp_gelu_backward
#cgo nocallback exp_gelu_backward
#include "activation.h"
*/
import "C"

// The functions of this file work on n = len(dst) or len(dx) elements, of which
// the other slices have at least as many. The destination may be one of them,
// but must not overlap one in part.

var activations calls[activation]

// activation is one of the functions that take long enough to be shared.
type activation struct {
	f         func(n C.int64_t, dst, a, b *C.float)
	dst, a, b *C.float
}

// Range computes elements.
func (o activation) Range(from, to int) {
	o.f(C.int64_t(to-from), at(o.dst, from), at(o.a, from), at(o.b, from))
}

func tanhNative(n C.int64_t, dst, src, _ *C.float)       { C.exp_tanh(n, dst, src) }
func sigmoidNative(n C.int64_t, dst, src, _ *C.float)    { C.exp_sigmoid(n, dst, src) }
func termsNative(n C.int64_t, dst, src, _ *C.float)      { C.exp_additive_terms(n, dst, src) }
func geluNative(n C.int64_t, dst, src, _ *C.float)       { C.exp_gelu(n, dst, src) }
func geluBackwardNative(n C.int64_t, dx, dy, x *C.float) { C.exp_gelu_backward(n, dx, dy, x) }

// Exp is dst = eˣ: for i < len(dst)
//
//	dst[i] = exp(src[i])
func Exp[F Float](dst, src []F) {
	checkLength("Exp", "src", len(src), len(dst))
	if native[F]() {
		C.exp_exp(C.int64_t(len(dst)), ptr(dst), ptr(src))
		return
	}
	expReference(dst, src)
}

func expReference[F Float](dst, src []F) {
	for i := range dst {
		dst[i] = exp(src[i])
	}
}

// Tanh is the hyperbolic tangent: for i < len(dst)
//
//	dst[i] = tanh(src[i])
func Tanh[F Float](dst, src []F) {
	checkLength("Tanh", "src", len(src), len(dst))
	if native[F]() {
		activations.parallel(len(dst), len(dst), activation{tanhNative, ptr(dst), ptr(src), nil})
		return
	}
	tanhReference(dst, src)
}

func tanhReference[F Float](dst, src []F) {
	for i := range dst {
		dst[i] = tanh(src[i])
	}
}

// TanhBackward accumulates in dx the gradient of Tanh, whose result was y: for
// i < len(dx)
//
//	dx[i] = fma(dy[i], 1 - y[i]*y[i], dx[i])    with the difference rounded once
func TanhBackward[F Float](dx, dy, y []F) {
	checkLength("TanhBackward", "dy", len(dy), len(dx))
	checkLength("TanhBackward", "y", len(y), len(dx))
	if native[F]() {
		C.exp_tanh_backward(C.int64_t(len(dx)), ptr(dx), ptr(dy), ptr(y))
		return
	}
	tanhBackwardReference(dx, dy, y)
}

func tanhBackwardReference[F Float](dx, dy, y []F) {
	for i := range dx {
		dx[i] = fma(dy[i], fma(-y[i], y[i], 1), dx[i])
	}
}

// Sigmoid is the logistic function: for i < len(dst)
//
//	dst[i] = 1 / (1 + exp(-src[i]))
func Sigmoid[F Float](dst, src []F) {
	checkLength("Sigmoid", "src", len(src), len(dst))
	if native[F]() {
		activations.parallel(len(dst), len(dst), activation{sigmoidNative, ptr(dst), ptr(src), nil})
		return
	}
	sigmoidReference(dst, src)
}

func sigmoidReference[F Float](dst, src []F) {
	for i := range dst {
		dst[i] = sigmoid(src[i])
	}
}

// SigmoidBackward accumulates in dx the gradient of Sigmoid, whose result was
// y: for i < len(dx)
//
//	dx[i] = fma(dy[i], y[i] - y[i]*y[i], dx[i])    with the difference rounded once
func SigmoidBackward[F Float](dx, dy, y []F) {
	checkLength("SigmoidBackward", "dy", len(dy), len(dx))
	checkLength("SigmoidBackward", "y", len(y), len(dx))
	if native[F]() {
		C.exp_sigmoid_backward(C.int64_t(len(dx)), ptr(dx), ptr(dy), ptr(y))
		return
	}
	sigmoidBackwardReference(dx, dy, y)
}

func sigmoidBackwardReference[F Float](dx, dy, y []F) {
	for i := range dx {
		dx[i] = fma(dy[i], fma(-y[i], y[i], y[i]), dx[i])
	}
}

// Relu is the positive part: for i < len(dst)
//
//	dst[i] = src[i] < 0 ? 0 : src[i]
func Relu[F Float](dst, src []F) {
	checkLength("Relu", "src", len(src), len(dst))
	if native[F]() {
		C.exp_relu(C.int64_t(len(dst)), ptr(dst), ptr(src))
		return
	}
	reluReference(dst, src)
}

func reluReference[F Float](dst, src []F) {
	for i := range dst {
		x := src[i]
		if x < 0 { // false for a NaN, which stays
			x = 0
		}
		dst[i] = x
	}
}

// ReluBackward accumulates in dx the gradient of Relu, whose result was y: for
// i < len(dx)
//
//	dx[i] = dx[i] + (y[i] > 0 ? dy[i] : 0)
func ReluBackward[F Float](dx, dy, y []F) {
	checkLength("ReluBackward", "dy", len(dy), len(dx))
	checkLength("ReluBackward", "y", len(y), len(dx))
	if native[F]() {
		C.exp_relu_backward(C.int64_t(len(dx)), ptr(dx), ptr(dy), ptr(y))
		return
	}
	reluBackwardReference(dx, dy, y)
}

func reluBackwardReference[F Float](dx, dy, y []F) {
	for i := range dx {
		var d F
		if y[i] > 0 {
			d = dy[i]
		}
		dx[i] += d
	}
}

// Gelu is the Gaussian error linear unit in its exact form (Hendrycks and
// Gimpel 2016), with Φ the normal distribution function: for i < len(dst)
//
//	dst[i] = src[i] * Φ(src[i])    where Φ(x) = (1 + erf(x/√2)) / 2
func Gelu[F Float](dst, src []F) {
	checkLength("Gelu", "src", len(src), len(dst))
	if native[F]() {
		activations.parallel(len(dst), 2*len(dst), activation{geluNative, ptr(dst), ptr(src), nil})
		return
	}
	geluReference(dst, src)
}

func geluReference[F Float](dst, src []F) {
	for i := range dst {
		dst[i] = gelu(src[i])
	}
}

// GeluBackward accumulates in dx the gradient of Gelu at x, with φ the normal
// density: for i < len(dx)
//
//	dx[i] = fma(dy[i], Φ(x[i]) + x[i]*φ(x[i]), dx[i])
func GeluBackward[F Float](dx, dy, x []F) {
	checkLength("GeluBackward", "dy", len(dy), len(dx))
	checkLength("GeluBackward", "x", len(x), len(dx))
	if native[F]() {
		activations.parallel(len(dx), 2*len(dx), activation{geluBackwardNative, ptr(dx), ptr(dy), ptr(x)})
		return
	}
	geluBackwardReference(dx, dy, x)
}

func geluBackwardReference[F Float](dx, dy, x []F) {
	for i := range dx {
		dx[i] = fma(dy[i], geluSlope(x[i]), dx[i])
	}
}
