//go:build !linux

package tracking

import (
	"errors"
	"os"
	"syscall"
)

// machine names what a process id means something in.
func machine() string {
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	return host
}

// processStart is 0: when a process started is not cheaply known here.
func processStart(int) int64 { return 0 }

// ended reports whether the process pid is known to be no more.
func ended(pid int, _ int64) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	return errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}
