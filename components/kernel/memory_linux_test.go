package kernel

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// The system knows that large memory is to have huge pages.
func TestMemoryIsHuge(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("this system has no transparent huge pages")
	}
	x := Memory[float32](4 * hugePage)
	defer runtime.KeepAlive(x)
	middle := uintptr(unsafe.Pointer(&x[len(x)/2]))
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	inside := false
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			inside = from <= middle && middle < to
		}
		if flags, found := strings.CutPrefix(lines.Text(), "VmFlags:"); inside && found {
			if !slices.Contains(strings.Fields(flags), "hg") {
				t.Errorf("flags of the mapping are%s, want hg among them", flags)
			}
			return
		}
	}
	t.Error("no mapping holds the memory")
}
