package tracking

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// machine names what a process id means something in: this boot of this host,
// and the namespace of process ids, which each container has to itself.
func machine() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + " " + namespace
}

// processStart is when a process started, in clock ticks since boot, or 0 where
// that is not known.
func processStart(pid int) int64 {
	_, start, _ := processStat(pid)
	return start
}

// ended reports whether the process pid that started at start is known to be
// no more, though another may have its id.
func ended(pid int, start int64) bool {
	if syscall.Kill(pid, 0) == syscall.ESRCH {
		return true
	}
	state, now, err := processStat(pid)
	if err != nil {
		return false // /proc may hide the processes of others
	}
	zombie := state == 'Z' || state == 'X'
	return zombie || start != 0 && start != now
}

// processStat reads fields 3 and 22 of /proc/pid/stat. The name before them is
// in parentheses and may hold any byte.
func processStat(pid int) (state byte, start int64, err error) {
	file := fmt.Sprintf("/proc/%d/stat", pid)
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 20 {
		return 0, 0, fmt.Errorf("%s: has too few fields", file)
	}
	start, err = strconv.ParseInt(string(fields[19]), 10, 64)
	return fields[0][0], start, err
}
