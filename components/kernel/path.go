package kernel

/*
#cgo CFLAGS: -O3 -std=c11
#cgo !windows LDFLAGS: -lm
#cgo noescape exp_set_path
#cgo nocallback exp_set_path
#cgo noescape exp_is_far
#cgo nocallback exp_is_far
#cgo noescape exp_runs_path
#cgo nocallback exp_runs_path
#include "kernel.h"
*/
import "C"

import (
	"fmt"
	"os"
	"slices"
	"unsafe"
)

// Float is an element type. float32 runs at speed; float64 runs the reference.
type Float interface{ float32 | float64 }

// A path is one implementation of the float32 operations.
type path int

const (
	pathAVX512    path = C.EXP_PATH_AVX512
	pathAVX2      path = C.EXP_PATH_AVX2
	pathNEON      path = C.EXP_PATH_NEON
	pathPortable  path = C.EXP_PATH_PORTABLE
	pathReference path = C.EXP_PATH_REFERENCE
)

var pathNames = [...]string{pathAVX512: "avx512", pathAVX2: "avx2", pathNEON: "neon", pathPortable: "portable", pathReference: "reference"}

func (p path) String() string { return pathNames[p] }

// active is the path in use. setPath alone writes it.
var active path

// available are the paths that this processor runs, the fastest first.
var available = func() (paths []path) {
	for p := range path(len(pathNames)) {
		if C.exp_runs_path(C.int(p)) != 0 {
			paths = append(paths, p)
		}
	}
	return paths
}()

// Path names the implementation that float32 operations run: "avx512", "avx2",
// "neon", "portable" or "reference".
func Path() string { return active.String() }

func init() {
	p, err := choosePath(os.Getenv("EXP_KERNEL"), available)
	if err != nil {
		panic(err)
	}
	setPath(p)
}

// choosePath is the one of the paths available that the value of EXP_KERNEL asks
// for, or if it is empty the first.
func choosePath(name string, available []path) (path, error) {
	if name == "" {
		return available[0], nil
	}
	p := path(slices.Index(pathNames[:], name))
	if p < 0 {
		return 0, fmt.Errorf("EXP_KERNEL=%q: no such path; use one of %q, or unset it", name, available)
	}
	if !slices.Contains(available, p) {
		return 0, fmt.Errorf("EXP_KERNEL=%s: this processor does not run it; use one of %q, or unset it", name, available)
	}
	return p, nil
}

// setPath selects the path for Go and C. It must not run beside an operation.
func setPath(p path) { setPathFar(p, p == pathAVX512 && C.exp_is_far() != 0) }

// setPathFar is setPath for a processor that is, or is not, far from what its caches
// have lost: AVX-512 then fetches ahead.
func setPathFar(p path, far bool) {
	active = p
	C.exp_set_path(C.int(p), cBool(far))
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

// at is the address of element i of x, nil of nil.
func at(x *C.float, i int) *C.float {
	if x == nil {
		return nil
	}
	return (*C.float)(unsafe.Add(unsafe.Pointer(x), unsafe.Sizeof(*x)*uintptr(i)))
}
