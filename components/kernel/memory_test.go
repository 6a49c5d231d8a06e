package kernel

import (
	"testing"
	"unsafe"
)

// Memory is zero and starts at a cache line, also where it was used before, and ends
// before what comes next.
func TestMemory(t *testing.T) {
	for range 50 {
		for _, n := range []int{0, 1, 15, 16, 17, 1 << 10, 1<<20 + 1} {
			x := Memory[float32](n)
			if len(x) != n || cap(x) != n {
				t.Fatalf("%d elements with room for %d, want %d", len(x), cap(x), n)
			}
			if at := uintptr(unsafe.Pointer(unsafe.SliceData(x))); n > 0 && at%64 != 0 {
				t.Fatalf("%d elements start %d bytes into a cache line", n, at%64)
			}
			for i := range x {
				if x[i] != 0 {
					t.Fatalf("element %d of %d is %g", i, n, x[i])
				}
				x[i] = 1
			}
		}
	}
}
