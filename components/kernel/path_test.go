package kernel

import (
	"slices"
	"testing"
)

// usePath runs the rest of the test on path p, or skips where this machine
// cannot.
func usePath(t testing.TB, p path) {
	t.Helper()
	if !slices.Contains(available, p) {
		t.Skipf("this processor does not run %v", p)
	}
	before := active
	setPath(p)
	t.Cleanup(func() { setPath(before) })
}

func TestChoosePath(t *testing.T) {
	all := []path{pathAVX512, pathAVX2, pathPortable, pathReference}
	arm := []path{pathNEON, pathPortable, pathReference}
	for _, c := range []struct {
		name      string
		available []path
		want      string
	}{
		{"", all, "avx512"},
		{"", all[1:], "avx2"},
		{"", all[2:], "portable"},
		{"", arm, "neon"},
		{"avx512", all, "avx512"},
		{"avx2", all, "avx2"},
		{"neon", arm, "neon"},
		{"neon", all, `EXP_KERNEL=neon: this processor does not run it; use one of ["avx512" "avx2" "portable" "reference"], or unset it`},
		{"avx512", all[1:], `EXP_KERNEL=avx512: this processor does not run it; use one of ["avx2" "portable" "reference"], or unset it`},
		{"avx2", all[2:], `EXP_KERNEL=avx2: this processor does not run it; use one of ["portable" "reference"], or unset it`},
		{"portable", all[1:], "portable"},
		{"reference", arm, "reference"},
		{"AVX2", all, `EXP_KERNEL="AVX2": no such path; use one of ["avx512" "avx2" "portable" "reference"], or unset it`},
	} {
		p, err := choosePath(c.name, c.available)
		got := p.String()
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("choosePath(%q, %v): got %s, want %s", c.name, c.available, got, c.want)
		}
	}
}

func TestPathNamesActive(t *testing.T) {
	for _, p := range available {
		t.Run(p.String(), func(t *testing.T) {
			usePath(t, p)
			if got := Path(); got != pathNames[p] {
				t.Errorf("Path() = %q, want %q", got, pathNames[p])
			}
			if got, want := native[float32](), p != pathReference; got != want {
				t.Errorf("native[float32]() = %v, want %v", got, want)
			}
			if native[float64]() {
				t.Error("native[float64]() = true")
			}
		})
	}
}
