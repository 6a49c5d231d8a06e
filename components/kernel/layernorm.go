package kernel

/*
#cgo noescape exp_layer_norm
#cgo nocallback exp_layer_norm
#cgo noescape exp_layer_norm_backward
#cgo nocallback exp_layer_norm_backward
#include "layernorm.h"
*/
import "C"

import "math"

// LayerNorm normalises each row of x [rows,D] to mean 0 and variance 1, then
// multiplies by gain [D] and adds bias [D] (Ba et al. 2016, "Layer
// Normalization"); the variance is the biased one. For each row
//
//	mean[r] = sum(x[j]) / d
//	rstd[r] = 1 / sqrt(sum((x[j]-mean[r])^2)/d + eps)
//	dst[j] = fma((x[j]-mean[r])*rstd[r], gain[j], bias[j])
//
// with both sums in sixteen lanes, the second of fused multiply-adds. dst
// [rows,D] may be x; mean and rstd are [rows], kept for the backward pass.
func LayerNorm[F Float](rows, d int, dst, x, gain, bias []F, eps F, mean, rstd []F) {
	const op = "LayerNorm"
	checkSizes(op, rows, d)
	checkLength(op, "dst", len(dst), rows*d)
	checkLength(op, "x", len(x), rows*d)
	checkLength(op, "gain", len(gain), d)
	checkLength(op, "bias", len(bias), d)
	checkLength(op, "mean", len(mean), rows)
	checkLength(op, "rstd", len(rstd), rows)
	if d == 0 {
		return
	}
	if native[F]() {
		layerNorms.parallel(rows, rows*d/2, layerNorm{d, ptr(dst), ptr(x), ptr(gain), ptr(bias), C.float(eps), ptr(mean), ptr(rstd)})
		return
	}
	layerNormReference(rows, d, dst, x, gain, bias, eps, mean, rstd)
}

var layerNorms calls[layerNorm]

type layerNorm struct {
	d                  int
	dst, x, gain, bias *C.float
	eps                C.float
	mean, rstd         *C.float
}

// Range normalises rows.
func (l layerNorm) Range(from, to int) {
	C.exp_layer_norm(C.int64_t(to-from), C.int64_t(l.d), at(l.dst, from*l.d), at(l.x, from*l.d), l.gain, l.bias, l.eps, at(l.mean, from), at(l.rstd, from))
}

func layerNormReference[F Float](rows, d int, dst, x, gain, bias []F, eps F, mean, rstd []F) {
	for r := range rows {
		row := x[r*d : (r+1)*d]
		var sum, squares lanes[F]
		for j, v := range row {
			sum[j%numLanes] += v
		}
		mu := sum.join() / F(d)
		for j, v := range row {
			squares[j%numLanes] = fma(v-mu, v-mu, squares[j%numLanes])
		}
		variance := squares.join() / F(d)
		scale := 1 / F(math.Sqrt(float64(variance+eps)))
		mean[r], rstd[r] = mu, scale
		for j, v := range row {
			dst[r*d+j] = fma((v-mu)*scale, gain[j], bias[j])
		}
	}
}

// LayerNormBackward accumulates the gradients of LayerNorm for dy [rows,D], the
// gradient of its output, in dx [rows,D], dGain [D] and dBias [D]. For each row,
// in ascending order, with
//
//	y[j] = (x[j]-mean[r]) * rstd[r]
//	g[j] = dy[j] * gain[j]
//
// and the sums in sixteen lanes, the second of fused multiply-adds,
//
//	dGain[j] = fma(dy[j], y[j], dGain[j])
//	dBias[j] = dBias[j] + dy[j]
//	a, b = sum(g[j])/d, sum(g[j]*y[j])/d
//	dx[j] = fma(rstd[r], fma(-y[j], b, g[j]-a), dx[j])
//
// The slices written must not overlap others.
func LayerNormBackward[F Float](rows, d int, dx, dGain, dBias, dy, x, gain, mean, rstd []F) {
	const op = "LayerNormBackward"
	checkSizes(op, rows, d)
	checkLength(op, "dx", len(dx), rows*d)
	checkLength(op, "dGain", len(dGain), d)
	checkLength(op, "dBias", len(dBias), d)
	checkLength(op, "dy", len(dy), rows*d)
	checkLength(op, "x", len(x), rows*d)
	checkLength(op, "gain", len(gain), d)
	checkLength(op, "mean", len(mean), rows)
	checkLength(op, "rstd", len(rstd), rows)
	if d == 0 {
		return
	}
	if native[F]() {
		C.exp_layer_norm_backward(C.int64_t(rows), C.int64_t(d), ptr(dx), ptr(dGain), ptr(dBias), ptr(dy), ptr(x), ptr(gain), ptr(mean), ptr(rstd))
		return
	}
	layerNormBackwardReference(rows, d, dx, dGain, dBias, dy, x, gain, mean, rstd)
}

func layerNormBackwardReference[F Float](rows, d int, dx, dGain, dBias, dy, x, gain, mean, rstd []F) {
	for r := range rows {
		mu, scale := mean[r], rstd[r]
		x, dy, dx := x[r*d:(r+1)*d], dy[r*d:(r+1)*d], dx[r*d:(r+1)*d]
		var sumG, sumGY lanes[F]
		for j := range d {
			y, g := F((x[j]-mu)*scale), F(dy[j]*gain[j])
			dGain[j] = fma(dy[j], y, dGain[j])
			dBias[j] += dy[j]
			sumG[j%numLanes] += g
			sumGY[j%numLanes] = fma(g, y, sumGY[j%numLanes])
		}
		a, b := sumG.join()/F(d), sumGY.join()/F(d)
		for j := range d {
			y, g := F((x[j]-mu)*scale), F(dy[j]*gain[j])
			dx[j] = fma(scale, fma(-y, b, g-a), dx[j])
		}
	}
}
