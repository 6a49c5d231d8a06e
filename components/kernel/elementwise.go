package kernel

/*
#cgo noescape exp_add
#cgo nocallback exp_add
#cgo noescape exp_mul
#cgo nocallback exp_mul
#cgo noescape exp_mul_add
#cgo nocallback exp_mul_add
#cgo noescape exp_scale
#cgo nocallback exp_scale
#cgo noescape exp_axpy
#cgo nocallback exp_axpy
#cgo noescape exp_add_rows
#cgo nocallback exp_add_rows
#include "elementwise.h"
*/
import "C"

import "fmt"

// The functions of this file work on n = len(dst) elements, of which the other
// slices have at least as many. dst may be one of them, but must not overlap
// one in part.

// Add is dst = a + b: for i < len(dst)
//
//	dst[i] = a[i] + b[i]
func Add[F Float](dst, a, b []F) {
	n := len(dst)
	checkLength("Add", "a", len(a), n)
	checkLength("Add", "b", len(b), n)
	if native[F]() {
		C.exp_add(C.int64_t(n), ptr(dst), ptr(a), ptr(b))
		return
	}
	addReference(dst, a, b)
}

func addReference[F Float](dst, a, b []F) {
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

// AddTo accumulates src in dst: for i < len(dst)
//
//	dst[i] = dst[i] + src[i]
func AddTo[F Float](dst, src []F) {
	checkLength("AddTo", "src", len(src), len(dst))
	if native[F]() {
		C.exp_add(C.int64_t(len(dst)), ptr(dst), ptr(dst), ptr(src))
		return
	}
	addReference(dst, dst, src)
}

// Axpy accumulates alpha src in dst: for i < len(dst)
//
//	dst[i] = fma(alpha, src[i], dst[i])
func Axpy[F Float](dst []F, alpha F, src []F) {
	checkLength("Axpy", "src", len(src), len(dst))
	if native[F]() {
		C.exp_axpy(C.int64_t(len(dst)), ptr(dst), C.float(alpha), ptr(src))
		return
	}
	axpyReference(dst, alpha, src)
}

func axpyReference[F Float](dst []F, alpha F, src []F) {
	for i := range dst {
		dst[i] = fma(alpha, src[i], dst[i])
	}
}

// Scale is dst = alpha src: for i < len(dst)
//
//	dst[i] = alpha * src[i]
func Scale[F Float](dst []F, alpha F, src []F) {
	checkLength("Scale", "src", len(src), len(dst))
	if native[F]() {
		C.exp_scale(C.int64_t(len(dst)), ptr(dst), C.float(alpha), ptr(src))
		return
	}
	scaleReference(dst, alpha, src)
}

func scaleReference[F Float](dst []F, alpha F, src []F) {
	for i := range dst {
		dst[i] = alpha * src[i]
	}
}

// Mul is the elementwise product of a and b: for i < len(dst)
//
//	dst[i] = a[i] * b[i]
func Mul[F Float](dst, a, b []F) {
	n := len(dst)
	checkLength("Mul", "a", len(a), n)
	checkLength("Mul", "b", len(b), n)
	if native[F]() {
		C.exp_mul(C.int64_t(n), ptr(dst), ptr(a), ptr(b))
		return
	}
	mulReference(dst, a, b)
}

func mulReference[F Float](dst, a, b []F) {
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

// MulAdd accumulates the elementwise product of a and b in dst: for i < len(dst)
//
//	dst[i] = fma(a[i], b[i], dst[i])
func MulAdd[F Float](dst, a, b []F) {
	n := len(dst)
	checkLength("MulAdd", "a", len(a), n)
	checkLength("MulAdd", "b", len(b), n)
	if native[F]() {
		C.exp_mul_add(C.int64_t(n), ptr(dst), ptr(a), ptr(b))
		return
	}
	mulAddReference(dst, a, b)
}

func mulAddReference[F Float](dst, a, b []F) {
	for i := range dst {
		dst[i] = fma(a[i], b[i], dst[i])
	}
}

// AddRows adds bias [n] to every row of dst [rows,n]: for r < rows, j < n
//
//	dst[r*n+j] = dst[r*n+j] + bias[j]
//
// bias must not overlap dst.
func AddRows[F Float](dst []F, rows, n int, bias []F) {
	checkSizes("AddRows", rows, n)
	checkLength("AddRows", "dst", len(dst), rows*n)
	checkLength("AddRows", "bias", len(bias), n)
	if native[F]() {
		C.exp_add_rows(ptr(dst), C.int64_t(rows), C.int64_t(n), ptr(bias))
		return
	}
	addRowsReference(dst, rows, n, bias)
}

func addRowsReference[F Float](dst []F, rows, n int, bias []F) {
	for r := range rows {
		row := dst[r*n : (r+1)*n]
		addReference(row, row, bias)
	}
}

// checkLength panics unless the slice in role has at least want elements.
func checkLength(op, role string, length, want int) {
	if length < want {
		panic(fmt.Sprintf("kernel: %s: %s has %d elements; want at least %d", op, role, length, want))
	}
}

// checkSizes panics if a number of rows or the size of one is negative.
func checkSizes(op string, rows, size int) {
	if rows < 0 || size < 0 {
		panic(fmt.Sprintf("kernel: %s: %d rows of %d elements; neither must be negative", op, rows, size))
	}
}
