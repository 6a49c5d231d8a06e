package kernel

/*
#cgo noescape exp_lstm_forward
#cgo nocallback exp_lstm_forward
#cgo noescape exp_lstm_backward
#cgo nocallback exp_lstm_backward
#cgo noescape exp_gru_forward
#cgo nocallback exp_gru_forward
#cgo noescape exp_gru_backward
#cgo nocallback exp_gru_backward
#cgo noescape exp_tanh_grad
#cgo nocallback exp_tanh_grad
#cgo noescape exp_relu_grad
#cgo nocallback exp_relu_grad
#include "gates.h"
*/
import "C"

// vanished is what the gradient of a state, or of an activation, must reach: one that is
// smaller counts as zero to the backward passes of this file. Over thousands of steps whose outputs
// nobody reads gradients shrink to subnormal numbers, which mean nothing and whose
// products some processors take a hundred times as long to compute; what is above
// this has products with activations and weights that are not subnormal yet.
const vanished = 0x1p-100

func live[F Float](gradient F) F { return unlessBelow(gradient, vanished) }

// LSTMForward computes a step of an LSTM (Hochreiter and Schmidhuber 1997, with
// the forget gate of Gers et al. 2000) for rows of a batch, each of h units.
// gates is [rows, 4h], rows ld apart, the pre-activations of i, f, g and o one after
// the other, and is overwritten with the activations; cPrev, c and hOut are [rows, h].
// For each row and unit, σ being [Sigmoid],
//
//	i, f, g, o = σ(i), σ(f), tanh(g), σ(o)
//	c    = fma(f, cPrev, i*g)
//	hOut = o * tanh(c)
//
// c may be cPrev.
func LSTMForward[F Float](rows, h int, gates []F, ld int, cPrev, c, hOut []F) {
	checkSizes("LSTMForward", rows, h)
	checkMatrix("LSTMForward", "gates", false, rows, 4*h, ld, len(gates))
	checkLength("LSTMForward", "cPrev", len(cPrev), rows*h)
	checkLength("LSTMForward", "c", len(c), rows*h)
	checkLength("LSTMForward", "hOut", len(hOut), rows*h)
	if native[F]() {
		lstmForwards.parallel(rows, rows*h*4, lstmForward{h, ptr(gates), ld, ptr(cPrev), ptr(c), ptr(hOut)})
		return
	}
	lstmForwardReference(rows, h, gates, ld, cPrev, c, hOut)
}

var lstmForwards calls[lstmForward]

type lstmForward struct {
	h             int
	gates         *C.float
	ld            int
	cPrev, c, out *C.float
}

// Range computes rows.
func (l lstmForward) Range(from, to int) {
	row := from * l.h
	C.exp_lstm_forward(C.int64_t(to-from), C.int64_t(l.h), at(l.gates, from*l.ld), C.int64_t(l.ld), at(l.cPrev, row), at(l.c, row), at(l.out, row))
}

func lstmForwardReference[F Float](rows, h int, gates []F, ld int, cPrev, c, hOut []F) {
	for r := range rows {
		for u := r * h; u < (r+1)*h; u++ {
			at := u + r*(ld-h) // of i; f, g, o are h apart
			i, f, g, o := sigmoid(gates[at]), sigmoid(gates[at+h]), tanh(gates[at+2*h]), sigmoid(gates[at+3*h])
			gates[at], gates[at+h], gates[at+2*h], gates[at+3*h] = i, f, g, o
			c[u] = fma(f, cPrev[u], F(i*g))
			hOut[u] = o * tanh(c[u])
		}
	}
}

// LSTMBackward is the gradient of LSTMForward: gates holds the activations and is
// overwritten with the gradients of the pre-activations, c is the new cell state, dh
// [rows, h] the gradient of hOut. dc [rows, h] is the gradient of c from later steps
// and is overwritten with that of cPrev. For each row and unit, with differences of
// the form a - b*c rounded once, and dh and dc as zero where they have vanished (below
// 2^-100),
//
//	t  = tanh(c)
//	dc = fma(dh*o, 1 - t*t, dc)
//	i, f, g, o = dc*g * (i - i*i), dc*cPrev * (f - f*f), dc*i * (1 - g*g), dh*t * (o - o*o)
//	dc = dc * f    with f as it was
func LSTMBackward[F Float](rows, h int, gates []F, ld int, cPrev, c, dh, dc []F) {
	checkSizes("LSTMBackward", rows, h)
	checkMatrix("LSTMBackward", "gates", false, rows, 4*h, ld, len(gates))
	checkLength("LSTMBackward", "cPrev", len(cPrev), rows*h)
	checkLength("LSTMBackward", "c", len(c), rows*h)
	checkLength("LSTMBackward", "dh", len(dh), rows*h)
	checkLength("LSTMBackward", "dc", len(dc), rows*h)
	if native[F]() {
		lstmBackwards.parallel(rows, rows*h*2, lstmBackward{h, ptr(gates), ld, ptr(cPrev), ptr(c), ptr(dh), ptr(dc)})
		return
	}
	lstmBackwardReference(rows, h, gates, ld, cPrev, c, dh, dc)
}

var lstmBackwards calls[lstmBackward]

type lstmBackward struct {
	h                int
	gates            *C.float
	ld               int
	cPrev, c, dh, dc *C.float
}

// Range computes rows.
func (l lstmBackward) Range(from, to int) {
	row := from * l.h
	C.exp_lstm_backward(C.int64_t(to-from), C.int64_t(l.h), at(l.gates, from*l.ld), C.int64_t(l.ld), at(l.cPrev, row), at(l.c, row), at(l.dh, row), at(l.dc, row))
}

func lstmBackwardReference[F Float](rows, h int, gates []F, ld int, cPrev, c, dh, dc []F) {
	for r := range rows {
		for u := r * h; u < (r+1)*h; u++ {
			at := u + r*(ld-h)
			i, f, g, o := gates[at], gates[at+h], gates[at+2*h], gates[at+3*h]
			t, dy := tanh(c[u]), live(dh[u])
			d := fma(F(dy*o), fma(-t, t, 1), live(dc[u]))
			gates[at] = F(d*g) * fma(-i, i, i)
			gates[at+h] = F(d*cPrev[u]) * fma(-f, f, f)
			gates[at+2*h] = F(d*i) * fma(-g, g, 1)
			gates[at+3*h] = F(dy*t) * fma(-o, o, o)
			dc[u] = d * f
		}
	}
}

// GRUForward computes a step of a GRU (Cho et al. 2014, with r after the
// product, as PyTorch and cuDNN) for rows of a batch, each of h units. gi and gh
// are [rows, 3h], r, z and n one after the other: gi is W x + b and is
// overwritten with the activations, gh is U hPrev + b'; hPrev and hOut are
// [rows, h]. For each row and unit, σ being [Sigmoid],
//
//	r, z = σ(giR + ghR), σ(giZ + ghZ)
//	n    = tanh(fma(r, ghN, giN))
//	hOut = fma(z, hPrev - n, n)    that is (1-z)*n + z*hPrev
//
// hOut may be hPrev.
func GRUForward[F Float](rows, h int, gi, gh, hPrev, hOut []F) {
	checkSizes("GRUForward", rows, h)
	checkLength("GRUForward", "gi", len(gi), rows*3*h)
	checkLength("GRUForward", "gh", len(gh), rows*3*h)
	checkLength("GRUForward", "hPrev", len(hPrev), rows*h)
	checkLength("GRUForward", "hOut", len(hOut), rows*h)
	if native[F]() {
		gruForwards.parallel(rows, rows*h*3, gruForward{h, ptr(gi), ptr(gh), ptr(hPrev), ptr(hOut)})
		return
	}
	gruForwardReference(rows, h, gi, gh, hPrev, hOut)
}

var gruForwards calls[gruForward]

type gruForward struct {
	h                  int
	gi, gh, hPrev, out *C.float
}

// Range computes rows.
func (g gruForward) Range(from, to int) {
	at := func(x *C.float, width int) *C.float { return at(x, from*width*g.h) }
	C.exp_gru_forward(C.int64_t(to-from), C.int64_t(g.h), at(g.gi, 3), at(g.gh, 3), at(g.hPrev, 1), at(g.out, 1))
}

func gruForwardReference[F Float](rows, h int, gi, gh, hPrev, hOut []F) {
	for row := range rows {
		for u := row * h; u < (row+1)*h; u++ {
			at := u + 2*row*h // of r; z, n are h apart
			r, z := sigmoid(gi[at]+gh[at]), sigmoid(gi[at+h]+gh[at+h])
			n := tanh(fma(r, gh[at+2*h], gi[at+2*h]))
			gi[at], gi[at+h], gi[at+2*h] = r, z, n
			hOut[u] = fma(z, hPrev[u]-n, n)
		}
	}
}

// GRUBackward is the gradient of GRUForward: gi holds the activations, and gi and gh
// are overwritten with their gradients as they were given. dh [rows, h] is the gradient
// of hOut, and dhPrev [rows, h] is overwritten with the part of hPrev's that does not go
// through gh. For each row and unit, with differences of the form a - b*c rounded once,
// and dh as zero where it has vanished (below 2^-100),
//
//	dn = dh * (1-z) * (1 - n*n)
//	dr = dn * ghN * (r - r*r)
//	dz = dh * (hPrev-n) * (z - z*z)
//	gi = dr, dz, dn
//	gh = dr, dz, dn*r
//	dhPrev = dh * z
//
// Products are from the left. dhPrev may be dh.
func GRUBackward[F Float](rows, h int, gi, gh, hPrev, dh, dhPrev []F) {
	checkSizes("GRUBackward", rows, h)
	checkLength("GRUBackward", "gi", len(gi), rows*3*h)
	checkLength("GRUBackward", "gh", len(gh), rows*3*h)
	checkLength("GRUBackward", "hPrev", len(hPrev), rows*h)
	checkLength("GRUBackward", "dh", len(dh), rows*h)
	checkLength("GRUBackward", "dhPrev", len(dhPrev), rows*h)
	if native[F]() {
		gruBackwards.parallel(rows, rows*h, gruBackward{h, ptr(gi), ptr(gh), ptr(hPrev), ptr(dh), ptr(dhPrev)})
		return
	}
	gruBackwardReference(rows, h, gi, gh, hPrev, dh, dhPrev)
}

var gruBackwards calls[gruBackward]

type gruBackward struct {
	h                         int
	gi, gh, hPrev, dh, dhPrev *C.float
}

// Range computes rows.
func (g gruBackward) Range(from, to int) {
	at := func(x *C.float, width int) *C.float { return at(x, from*width*g.h) }
	C.exp_gru_backward(C.int64_t(to-from), C.int64_t(g.h), at(g.gi, 3), at(g.gh, 3), at(g.hPrev, 1), at(g.dh, 1), at(g.dhPrev, 1))
}

func gruBackwardReference[F Float](rows, h int, gi, gh, hPrev, dh, dhPrev []F) {
	for row := range rows {
		for u := row * h; u < (row+1)*h; u++ {
			at := u + 2*row*h
			r, z, n, d := gi[at], gi[at+h], gi[at+2*h], live(dh[u])
			dn := F(d*(1-z)) * fma(-n, n, 1)
			dr := F(dn*gh[at+2*h]) * fma(-r, r, r)
			dz := F(d*(hPrev[u]-n)) * fma(-z, z, z)
			gi[at], gi[at+h], gi[at+2*h] = dr, dz, dn
			gh[at], gh[at+h], gh[at+2*h] = dr, dz, dn*r
			dhPrev[u] = d * z
		}
	}
}

// TanhGrad is the gradient of a layer's pre-activations from that of its result
// h = tanh(·): for i < len(dg)
//
//	dg[i] = dh[i] * (1 - h[i]*h[i])    with the difference rounded once
//
// where dh is zero if it has vanished (is below 2^-100). dg may be dh or h.
func TanhGrad[F Float](dg, dh, h []F) {
	checkLength("TanhGrad", "dh", len(dh), len(dg))
	checkLength("TanhGrad", "h", len(h), len(dg))
	if native[F]() {
		C.exp_tanh_grad(C.int64_t(len(dg)), ptr(dg), ptr(dh), ptr(h))
		return
	}
	tanhGradReference(dg, dh, h)
}

func tanhGradReference[F Float](dg, dh, h []F) {
	for i := range dg {
		dg[i] = live(dh[i]) * fma(-h[i], h[i], 1)
	}
}

// ReluGrad is the gradient of a layer's pre-activations from that of its result
// h = max(0, ·): for i < len(dg)
//
//	dg[i] = h[i] > 0 ? dh[i] : 0
//
// where dh is zero if it has vanished (is below 2^-100). dg may be dh or h.
func ReluGrad[F Float](dg, dh, h []F) {
	checkLength("ReluGrad", "dh", len(dh), len(dg))
	checkLength("ReluGrad", "h", len(h), len(dg))
	if native[F]() {
		C.exp_relu_grad(C.int64_t(len(dg)), ptr(dg), ptr(dh), ptr(h))
		return
	}
	reluGradReference(dg, dh, h)
}

func reluGradReference[F Float](dg, dh, h []F) {
	for i := range dg {
		var d F
		if h[i] > 0 {
			d = live(dh[i])
		}
		dg[i] = d
	}
}
