package standard_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestARM64 builds the tests of this package for arm64 and trains under emulation
// what [TestBits] trains; with EXP_LONG=1 it also runs the tests of the kernels that
// compare bits, which takes minutes. It wants gcc-aarch64-linux-gnu
// and qemu-user, as Debian calls them; the emulator finds the C library of the
// former by -L.
func TestARM64(t *testing.T) {
	const compiler, emulator, system = "aarch64-linux-gnu-gcc", "qemu-aarch64", "/usr/aarch64-linux-gnu"
	if testing.Short() {
		t.Skip("builds for arm64 and emulates it")
	}
	if runtime.GOOS == "linux" && runtime.GOARCH == "arm64" {
		t.Skip("the other tests run on arm64 already")
	}
	for _, program := range []string{compiler, emulator} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%v: it is needed to build for arm64 and to emulate it", err)
		}
	}
	run := func(t *testing.T, folder string, env []string, name string, arg ...string) string {
		t.Helper()
		cmd := exec.Command(name, arg...)
		cmd.Dir, cmd.Env = folder, append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%v: %s", cmd, err, out)
		}
		return string(out)
	}
	build := func(t *testing.T, folder string) (binary string) {
		binary = filepath.Join(t.TempDir(), "arm64.test")
		run(t, folder, []string{"GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=1", "CC=" + compiler}, "go", "test", "-c", "-o", binary, ".")
		return binary
	}
	t.Run("kernel", func(t *testing.T) {
		if os.Getenv("EXP_LONG") != "1" {
			t.Skip("takes minutes: EXP_LONG=1 runs it")
		}
		folder := filepath.Join("..", "kernel")
		out := run(t, folder, nil, emulator, "-L", system, build(t, folder), "-test.v", "-test.run=(Bits$|EqualReference|EqualsReference|SpecialValues)/neon")
		for _, want := range []string{"--- PASS: TestProductsEqualReference/neon", "--- PASS: TestBits/neon"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
	})
	t.Run("training", func(t *testing.T) {
		want, err := os.ReadFile(bitsFile)
		if err != nil {
			t.Fatal(err)
		}
		got := run(t, ".", []string{printBits + "=1", "EXP_KERNEL=neon"}, emulator, "-L", system, build(t, "."), "-test.run=^TestBits$")
		if got, _, _ = strings.Cut(got, "PASS"); got != string(want) {
			t.Errorf("got\n%swant, in %s,\n%s", got, bitsFile, want)
		}
	})
}
