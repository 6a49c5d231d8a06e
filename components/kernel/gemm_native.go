package kernel

/*
#cgo noescape exp_gemm
#cgo nocallback exp_gemm
#cgo noescape exp_gemm_packed
#cgo nocallback exp_gemm_packed
#cgo noescape exp_pack
#cgo nocallback exp_pack
#include "gemm.h"
*/
import "C"

import "sync"

// panelSize is the number of columns of a panel of Packed.
const panelSize = C.EXP_PANEL

// scratchPool holds what products pack their operands into, *[C.EXP_SCRATCH]float32.
var scratchPool = sync.Pool{New: func() any { return new([C.EXP_SCRATCH]C.float) }}

// directB is the number of rows of C up to which reading B where it lies beats
// packing it first.
const directB = 24

// directStride is the leading dimension up to which the same holds for any B,
// and for a transposed A, whose columns a product walks along: at more, and
// worst at a power of two, they fall into few sets of the cache.
const directStride = 256

func gemmNative(transA, transB bool, m, n, k int, a *C.float, lda int, b *C.float, ldb int, c *C.float, ldc int, accumulate bool) {
	packA := transA && lda > directStride
	packB := transB || m > directB && ldb > directStride
	if !packA && !packB {
		C.exp_gemm(cBool(transA), 0, C.int64_t(m), C.int64_t(n), C.int64_t(k), a, C.int64_t(lda), b, C.int64_t(ldb), c, C.int64_t(ldc), cBool(accumulate), 0, 0, nil)
		return
	}
	scratch := scratchPool.Get().(*[C.EXP_SCRATCH]C.float)
	C.exp_gemm(cBool(transA), cBool(transB), C.int64_t(m), C.int64_t(n), C.int64_t(k), a, C.int64_t(lda), b, C.int64_t(ldb), c, C.int64_t(ldc), cBool(accumulate), cBool(packA), cBool(packB), &scratch[0])
	scratchPool.Put(scratch)
}

func gemmPackedNative(m, n, k int, a *C.float, lda int, b, c *C.float, ldc int, bias *C.float, accumulate bool) {
	C.exp_gemm_packed(C.int64_t(m), C.int64_t(n), C.int64_t(k), a, C.int64_t(lda), b, c, C.int64_t(ldc), bias, cBool(accumulate))
}

func packNative(trans bool, k, n int, b *C.float, ldb int, dst *C.float) {
	C.exp_pack(cBool(trans), C.int64_t(k), C.int64_t(n), b, C.int64_t(ldb), dst)
}

func cBool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
