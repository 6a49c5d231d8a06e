package kernel

/*
#cgo CFLAGS: -O3 -std=c11
#cgo !windows LDFLAGS: -lm
#cgo noescape exp_set_path
#cgo nocallback exp_set_path
#cgo noescape exp_has_avx2
#cgo nocallback exp_has_avx2
#include "kernel.h"
*/
import "C"

import (
	"fmt"
	"os"
	"unsafe"
)

// Float is an element type. float32 runs at speed; float64 runs the reference.
type Float interface{ float32 | float64 }

// A path is one implementation of the float32 operations.
type path int

const (
	pathAVX2      path = C.EXP_PATH_AVX2
	pathPortable  path = C.EXP_PATH_PORTABLE
	pathReference path = C.EXP_PATH_REFERENCE
)

var pathNames = [...]string{pathAVX2: "avx2", pathPortable: "portable", pathReference: "reference"}

func (p path) String() string { return pathNames[p] }

// active is the path in use. setPath alone writes it.
var active path

// hasAVX2 reports whether this processor has AVX2 and FMA.
var hasAVX2 = C.exp_has_avx2() != 0

// Path names the implementation that float32 operations run: "avx2",
// "portable" or "reference".
func Path() string { return active.String() }

func init() {
	p, err := choosePath(os.Getenv("EXP_KERNEL"), hasAVX2)
	if err != nil {
		panic(err)
	}
	setPath(p)
}

// choosePath is the path that the value of EXP_KERNEL asks for, or if it is
// empty the fastest that this processor runs.
func choosePath(name string, hasAVX2 bool) (path, error) {
	switch name {
	case "":
		if hasAVX2 {
			return pathAVX2, nil
		}
		return pathPortable, nil
	case "avx2":
		if !hasAVX2 {
			return 0, fmt.Errorf("EXP_KERNEL=avx2: this processor lacks AVX2 or FMA; use portable or reference")
		}
		return pathAVX2, nil
	case "portable":
		return pathPortable, nil
	case "reference":
		return pathReference, nil
	}
	return 0, fmt.Errorf("EXP_KERNEL=%q: no such path; use avx2, portable or reference, or unset it", name)
}

// setPath selects the path for Go and C. It must not run beside an operation.
func setPath(p path) {
	active = p
	C.exp_set_path(C.int(p))
}

// native reports whether operations on F run in C.
func native[F Float]() bool {
	return unsafe.Sizeof(F(0)) == 4 && active != pathReference
}

// ptr is the address of x's first element for C, nil if x has no memory. It is
// for native element types only.
func ptr[F Float](x []F) *C.float {
	return (*C.float)(unsafe.Pointer(unsafe.SliceData(x)))
}
