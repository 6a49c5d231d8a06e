package kernel

/*
#cgo noescape exp_transpose
#cgo nocallback exp_transpose
#include "gemm.h"
*/
import "C"

// Transpose copies the matrix src [rows,cols] to dst [cols,rows]: for r < rows
// and c < cols
//
//	dst[c][r] = src[r][c]
//
// dst must not overlap src.
func Transpose[F Float](rows, cols int, src []F, lds int, dst []F, ldd int) {
	checkSizes("Transpose", rows, cols)
	checkMatrix("Transpose", "src", false, rows, cols, lds, len(src))
	checkMatrix("Transpose", "dst", true, rows, cols, ldd, len(dst))
	if native[F]() {
		C.exp_transpose(C.int64_t(rows), C.int64_t(cols), ptr(src), C.int64_t(lds), ptr(dst), C.int64_t(ldd))
		return
	}
	transposeReference(rows, cols, src, lds, dst, ldd)
}

func transposeReference[F Float](rows, cols int, src []F, lds int, dst []F, ldd int) {
	for r := range rows {
		for c := range cols {
			dst[c*ldd+r] = src[r*lds+c]
		}
	}
}
