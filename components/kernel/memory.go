package kernel

import "unsafe"

// Memory returns n zeros that start at a cache line, of a type without pointers; no
// two touch. Where they are large the system is asked for pages of 2 MiB: a product
// walks through more small ones than the processor keeps the addresses of. What nobody
// has written to takes no memory, but for the rest of a page.
func Memory[T any](n int) []T {
	const line = 64 // bytes
	size := unsafe.Sizeof(*new(T))
	x := make([]T, n+int(line/size))
	start := unsafe.Pointer(unsafe.SliceData(x))
	adviseHuge(start, uintptr(n)*size)
	skip := int(-uintptr(start) % line / size)
	return x[skip : skip+n : skip+n]
}
