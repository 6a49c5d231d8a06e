package kernel

/*
#cgo noescape exp_sum_rows
#cgo nocallback exp_sum_rows
#cgo noescape exp_dot
#cgo nocallback exp_dot
#cgo noescape exp_sum_squares
#cgo nocallback exp_sum_squares
#cgo noescape exp_all_finite
#cgo nocallback exp_all_finite
#include "reduce.h"
*/
import "C"

import "sync/atomic"

// SumRows accumulates the sum of the rows of src [rows,n], of leading dimension
// ld, in dst [n]: for j < n
//
//	for r := 0; r < rows; r++ {
//		dst[j] = dst[j] + src[r*ld+j]
//	}
//
// dst must not overlap src.
func SumRows[F Float](dst []F, rows, n int, src []F, ld int) {
	checkSizes("SumRows", rows, n)
	checkLength("SumRows", "dst", len(dst), n)
	checkMatrix("SumRows", "src", false, rows, n, ld, len(src))
	if n == 0 {
		return
	}
	if native[F]() {
		rowSums.parallel(units(n, unitColumns), rows*n/4, rowSum{ptr(dst), rows, n, ptr(src), ld})
		return
	}
	sumRowsReference(dst, rows, n, src, ld)
}

var rowSums calls[rowSum]

type rowSum struct {
	dst     *C.float
	rows, n int
	src     *C.float
	ld      int
}

// Range sums units of columns.
func (s rowSum) Range(from, to int) {
	from, to = from*unitColumns, min(to*unitColumns, s.n)
	C.exp_sum_rows(at(s.dst, from), C.int64_t(s.rows), C.int64_t(to-from), at(s.src, from), C.int64_t(s.ld))
}

func sumRowsReference[F Float](dst []F, rows, n int, src []F, ld int) {
	for r := range rows {
		for j, x := range src[r*ld : r*ld+n] {
			dst[j] += x
		}
	}
}

// Dot is the inner product of a and the first len(a) elements of b, in sixteen
// lanes joined by the tree that the package comment tells of:
//
//	lane[i%16] = fma(a[i], b[i], lane[i%16])
func Dot[F Float](a, b []F) F {
	checkLength("Dot", "b", len(b), len(a))
	if native[F]() {
		return F(C.exp_dot(C.int64_t(len(a)), ptr(a), ptr(b)))
	}
	return dotReference(a, b)
}

func dotReference[F Float](a, b []F) F {
	var sum lanes[F]
	for i, x := range a {
		sum[i%numLanes] = fma(x, b[i], sum[i%numLanes])
	}
	return sum.join()
}

// SumSquares is the sum of the squares of x, in sixteen lanes of float64
// whatever F is:
//
//	lane[i%16] += float64(x[i]) * float64(x[i])
func SumSquares[F Float](x []F) float64 {
	if native[F]() {
		return float64(C.exp_sum_squares(C.int64_t(len(x)), ptr(x)))
	}
	return sumSquaresReference(x)
}

func sumSquaresReference[F Float](x []F) float64 {
	var sum lanes[float64]
	for i, v := range x {
		sum[i%numLanes] += float64(float64(v) * float64(v))
	}
	return sum.join()
}

// AllFinite reports whether no element of x is NaN or infinite.
func AllFinite[F Float](x []F) bool {
	if native[F]() {
		found := newFinding()
		searches.parallel(units(len(x), unitElements), len(x)/16, search{len(x), ptr(x), found})
		return !found.end()
	}
	return allFiniteReference(x)
}

var searches calls[search]

// A finding is whether any of the parts of an operation has found something.
type finding struct{ atomic.Bool }

var findings freeList[finding]

func newFinding() *finding {
	f := findings.take()
	if f == nil {
		f = new(finding)
	}
	f.Store(false)
	return f
}

// end reports it, and gives f back.
func (f *finding) end() bool {
	found := f.Load()
	findings.give(f)
	return found
}

// unitElements is how many elements a unit has of operations that look at each, and
// perhaps have just written it: it is in a cache then.
const unitElements = 4096

// search is AllFinite of so many elements, which tells found if they are not.
type search struct {
	n     int
	x     *C.float
	found *finding
}

// Range searches units of x.
func (s search) Range(from, to int) {
	from, to = from*unitElements, min(to*unitElements, s.n)
	if C.exp_all_finite(C.int64_t(to-from), at(s.x, from)) == 0 {
		s.found.Store(true)
	}
}

func allFiniteReference[F Float](x []F) bool {
	for _, v := range x {
		if v-v != 0 {
			return false
		}
	}
	return true
}
