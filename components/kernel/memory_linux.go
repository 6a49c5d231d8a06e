package kernel

import (
	"syscall"
	"unsafe"
)

const hugePage = 2 << 20 // bytes

// adviseHuge asks for huge pages for those that lie in this memory whole. It is no more
// than advice: a system without them has the same results.
func adviseHuge(start unsafe.Pointer, bytes uintptr) {
	if bytes < 2*hugePage {
		return
	}
	from := (uintptr(start) + hugePage - 1) &^ (hugePage - 1)
	to := (uintptr(start) + bytes) &^ (hugePage - 1)
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_HUGEPAGE)
}
