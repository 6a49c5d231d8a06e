package kernel

/*
#cgo noescape exp_softmax_rows
#cgo nocallback exp_softmax_rows
#cgo noescape exp_softmax_rows_backward
#cgo nocallback exp_softmax_rows_backward
#cgo noescape exp_log_softmax_rows
#cgo nocallback exp_log_softmax_rows
#cgo noescape exp_argmax_rows
#cgo nocallback exp_argmax_rows
#include "softmax.h"
*/
import "C"

import (
	"fmt"
	"math"
	"unsafe"
)

// SoftmaxRows overwrites rows of length n, ld apart, with their softmax over
// the first valid[r] elements, all n if valid is nil; the others become 0. For
// each row r with n' = valid[r] > 0
//
//	top  = max of x[r][0..n')
//	e[j] = exp(x[r][j] - top)
//	x[r][j] = e[j] * (1/sum of e)    in lanes, see the package comment
//
// A valid of 0 or less makes the whole row 0. A NaN among the valid elements,
// an infinite maximum too, makes them all NaN.
func SoftmaxRows[F Float](rows, n int, x []F, ld int, valid []int32) {
	checkSizes("SoftmaxRows", rows, n)
	checkMatrix("SoftmaxRows", "x", false, rows, n, ld, len(x))
	if valid != nil {
		checkLength("SoftmaxRows", "valid", len(valid), rows)
		for r, v := range valid[:rows] {
			if int(v) > n {
				panic(fmt.Sprintf("kernel: SoftmaxRows: valid[%d] is %d for rows of %d elements", r, v, n))
			}
		}
	}
	if rows == 0 || n == 0 {
		return
	}
	if native[F]() {
		C.exp_softmax_rows(C.int64_t(rows), C.int64_t(n), ptr(x), C.int64_t(ld), intPtr(valid))
		return
	}
	softmaxRowsReference(rows, n, x, ld, valid)
}

func softmaxRowsReference[F Float](rows, n int, x []F, ld int, valid []int32) {
	for r := range rows {
		count := n
		if valid != nil {
			count = max(int(valid[r]), 0)
		}
		row := x[r*ld:][:n]
		clear(row[count:])
		row = row[:count]
		scale := 1 / expSum(row, row, largest(row))
		for j := range row {
			row[j] *= scale
		}
	}
}

// SoftmaxRowsBackward is the gradient of scale*x from that of y = softmax(x)
// over rows of length n, ld apart in all three: for each row
//
//	sum = sum of fma(dy[j], y[j], ·)    in lanes, see the package comment
//	dx[j] = scale*y[j] * (dy[j] - sum)
//
// dx is overwritten, and may be dy.
func SoftmaxRowsBackward[F Float](rows, n int, dx, y, dy []F, ld int, scale F) {
	checkSizes("SoftmaxRowsBackward", rows, n)
	checkMatrix("SoftmaxRowsBackward", "dx", false, rows, n, ld, len(dx))
	checkMatrix("SoftmaxRowsBackward", "y", false, rows, n, ld, len(y))
	checkMatrix("SoftmaxRowsBackward", "dy", false, rows, n, ld, len(dy))
	if rows == 0 || n == 0 {
		return
	}
	if native[F]() {
		C.exp_softmax_rows_backward(C.int64_t(rows), C.int64_t(n), ptr(dx), ptr(y), ptr(dy), C.int64_t(ld), C.float(scale))
		return
	}
	softmaxRowsBackwardReference(rows, n, dx, y, dy, ld, scale)
}

func softmaxRowsBackwardReference[F Float](rows, n int, dx, y, dy []F, ld int, scale F) {
	for r := range rows {
		var l lanes[F]
		for j := range n {
			l[j%numLanes] = fma(dy[r*ld+j], y[r*ld+j], l[j%numLanes])
		}
		sum := l.join()
		for i := r * ld; i < r*ld+n; i++ {
			dx[i] = F(scale*y[i]) * (dy[i] - sum)
		}
	}
}

// LogSoftmaxRows is the logarithm of the softmax of rows [rows, n], in nats:
// for each row
//
//	top = max of x[j]
//	sum = sum of exp(x[j] - top)    in lanes, see the package comment
//	dst[j] = (x[j] - top) - log(sum)
//
// dst may be x.
func LogSoftmaxRows[F Float](rows, n int, dst, x []F) {
	checkSizes("LogSoftmaxRows", rows, n)
	checkLength("LogSoftmaxRows", "dst", len(dst), rows*n)
	checkLength("LogSoftmaxRows", "x", len(x), rows*n)
	if native[F]() {
		C.exp_log_softmax_rows(C.int64_t(rows), C.int64_t(n), ptr(dst), ptr(x))
		return
	}
	logSoftmaxRowsReference(rows, n, dst, x)
}

func logSoftmaxRowsReference[F Float](rows, n int, dst, x []F) {
	for r := range rows {
		row := x[r*n : (r+1)*n]
		top := largest(row)
		logSum := log(expSum(nil, row, top))
		for j, v := range row {
			dst[r*n+j] = (v - top) - logSum
		}
	}
}

// largest is the largest element, -Inf of none. A NaN is passed over: what
// subtracts the result meets it again.
func largest[F Float](x []F) F {
	top := F(math.Inf(-1))
	for _, v := range x {
		if v > top {
			top = v
		}
	}
	return top
}

// expSum is the sum of exp(x[j] - top) in lanes; dst receives the terms unless
// it is nil.
func expSum[F Float](dst, x []F, top F) F {
	var l lanes[F]
	for j, v := range x {
		e := exp(v - top)
		if dst != nil {
			dst[j] = e
		}
		l[j%numLanes] += e
	}
	return l.join()
}

// ArgmaxRows finds the largest element of each row of x [rows, v]: dst[r] is
// the first index of row r at which it stands. A NaN is passed over; a row of
// nothing else gets 0. v must not be 0 if rows is not.
func ArgmaxRows[F Float](rows, v int, x []F, dst []int32) {
	checkSizes("ArgmaxRows", rows, v)
	if rows > 0 && v == 0 {
		panic(fmt.Sprintf("kernel: ArgmaxRows: %d rows of 0 elements have no largest", rows))
	}
	checkLength("ArgmaxRows", "x", len(x), rows*v)
	checkLength("ArgmaxRows", "dst", len(dst), rows)
	if native[F]() {
		C.exp_argmax_rows(C.int64_t(rows), C.int64_t(v), ptr(x), intPtr(dst))
		return
	}
	argmaxRowsReference(rows, v, x, dst)
}

func argmaxRowsReference[F Float](rows, v int, x []F, dst []int32) {
	for r := range rows {
		row := x[r*v : (r+1)*v]
		top := largest(row)
		dst[r] = 0
		for j, value := range row {
			if value == top {
				dst[r] = int32(j)
				break
			}
		}
	}
}

// intPtr is ptr for int32.
func intPtr(x []int32) *C.int32_t {
	return (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(x)))
}
