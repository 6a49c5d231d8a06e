package kernel

/*
#cgo noescape exp_dropout
#cgo nocallback exp_dropout
#cgo noescape exp_dropout_backward
#cgo nocallback exp_dropout_backward
#include "dropout.h"
*/
import "C"

import (
	"fmt"
	"math"
)

// Dropout zeroes each element of src with probability p, in [0, 1), and scales
// the others so that the mean stays (Srivastava et al. 2014, in the inverted
// form): for i < len(dst)
//
//	dst[i] = uniform(key, offset+i) >= p ? src[i] * F(1/(1-p)) : 0
//
// uniform is counter-based, so a mask is never stored: element n of the stream
// of key is the upper 24 bits, as a fraction, of word n%4 of block n/4 of
// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as
// 1, 2, 3"), whose key is key and whose counter is the number of the block, both
// with the lower word first. offset+i wraps around. dst may be src.
func Dropout[F Float](dst, src []F, p float64, key, offset uint64) {
	checkLength("Dropout", "src", len(src), len(dst))
	threshold, scale := dropoutScale("Dropout", p)
	if native[F]() {
		dropouts.parallel(len(dst), len(dst), dropout{ptr(dst), ptr(src), threshold, C.float(scale), key, offset, false})
		return
	}
	dropoutReference(dst, src, threshold, F(scale), key, offset)
}

var dropouts calls[dropout]

type dropout struct {
	dst, src    *C.float // or dx and dy
	threshold   uint32
	scale       C.float
	key, offset uint64
	backward    bool
}

// Range computes elements.
func (d dropout) Range(from, to int) {
	n, dst, src, offset := C.int64_t(to-from), at(d.dst, from), at(d.src, from), C.uint64_t(d.offset+uint64(from))
	if d.backward {
		C.exp_dropout_backward(n, dst, src, C.uint32_t(d.threshold), d.scale, C.uint64_t(d.key), offset)
	} else {
		C.exp_dropout(n, dst, src, C.uint32_t(d.threshold), d.scale, C.uint64_t(d.key), offset)
	}
}

func dropoutReference[F Float](dst, src []F, threshold uint32, scale F, key, offset uint64) {
	for i := range dst {
		if kept(threshold, key, offset+uint64(i)) {
			dst[i] = src[i] * scale
		} else {
			dst[i] = 0
		}
	}
}

// DropoutBackward accumulates the gradient of Dropout for dy, the gradient of
// its output, in dx, with the mask of the same p, key and offset: for i < len(dx)
//
//	if uniform(key, offset+i) >= p {
//		dx[i] = fma(dy[i], F(1/(1-p)), dx[i])
//	}
//
// dx must not overlap dy.
func DropoutBackward[F Float](dx, dy []F, p float64, key, offset uint64) {
	checkLength("DropoutBackward", "dy", len(dy), len(dx))
	threshold, scale := dropoutScale("DropoutBackward", p)
	if native[F]() {
		dropouts.parallel(len(dx), len(dx), dropout{ptr(dx), ptr(dy), threshold, C.float(scale), key, offset, true})
		return
	}
	dropoutBackwardReference(dx, dy, threshold, F(scale), key, offset)
}

func dropoutBackwardReference[F Float](dx, dy []F, threshold uint32, scale F, key, offset uint64) {
	for i := range dx {
		if kept(threshold, key, offset+uint64(i)) {
			dx[i] = fma(dy[i], scale, dx[i])
		}
	}
}

// dropoutScale is the least 24-bit integer that is kept, and what is kept is
// multiplied by.
func dropoutScale(op string, p float64) (threshold uint32, scale float64) {
	if !(p >= 0 && p < 1) {
		panic(fmt.Sprintf("kernel: %s: p is %g; want at least 0 and less than 1", op, p))
	}
	return uint32(math.Ceil(p * (1 << 24))), 1 / (1 - p)
}

// kept reports whether element n of the stream of key is kept.
func kept(threshold uint32, key, n uint64) bool {
	return philox(key, n/4)[n%4]>>8 >= threshold
}

// philox is block number block of the stream of key.
func philox(key, block uint64) [4]uint32 {
	return philox4x32([4]uint32{uint32(block), uint32(block >> 32)}, [2]uint32{uint32(key), uint32(key >> 32)})
}

// philox4x32 is Philox4x32-10, a bijection of counters for each key.
func philox4x32(x [4]uint32, key [2]uint32) [4]uint32 {
	for range 10 {
		p0, p1 := uint64(x[0])*0xD2511F53, uint64(x[2])*0xCD9E8D57
		x = [4]uint32{uint32(p1>>32) ^ x[1] ^ key[0], uint32(p1), uint32(p0>>32) ^ x[3] ^ key[1], uint32(p0)}
		key[0] += 0x9E3779B9 // the golden ratio
		key[1] += 0xBB67AE85 // the square root of 3, less 1
	}
	return x
}
