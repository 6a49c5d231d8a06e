package tracking

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// asOther runs f with the rights of a user who owns nothing.
func asOther(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := syscall.Setfsuid(65534); err != nil {
			t.Error(err)
			return
		}
		f()
	})
	wait.Wait()
}

func TestReadOnlyDirectory(t *testing.T) {
	path := tempPath(t)
	s, err := Open(path)
	check(t, err)
	register(t, s, grid("copy", 1, 1))
	check(t, s.Close())
	dir := filepath.Dir(path)
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		check(t, os.Chmod(d, 0o755)) // let others look
	}
	check(t, os.Chmod(dir, 0o555))
	defer os.Chmod(dir, 0o755)
	read := func(when string) {
		asOther(t, func() {
			if err := os.WriteFile(filepath.Join(dir, "probe"), nil, 0o644); err == nil {
				t.Error("the directory is not read-only")
			}
			r, err := OpenReadOnly(path)
			if err != nil {
				t.Errorf("%s: %v", when, err)
				return
			}
			defer r.Close()
			experiments, err := r.Experiments(context.Background())
			if err != nil || len(experiments) != 1 {
				t.Errorf("%s: got %v, %v, want one experiment", when, experiments, err)
			}
		})
	}
	read("at rest")
	check(t, os.WriteFile(path+"-wal", nil, 0o644)) // as a reader leaves it
	read("with an empty WAL")
	check(t, os.Remove(path+"-wal"), os.Chmod(dir, 0o755))
	s = openTest(t, path)
	register(t, s, grid("copy", 1, 1))
	check(t, os.Chmod(dir, 0o555))
	read("while written")
}
