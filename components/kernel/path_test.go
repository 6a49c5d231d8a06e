package kernel

import "testing"

// usePath runs the rest of the test on path p, or skips where this machine
// cannot.
func usePath(t testing.TB, p path) {
	t.Helper()
	if p < fastest {
		t.Skipf("this processor does not run %v", p)
	}
	before := active
	setPath(p)
	t.Cleanup(func() { setPath(before) })
}

func TestChoosePath(t *testing.T) {
	for _, c := range []struct {
		name    string
		fastest path
		want    string
	}{
		{"", pathAVX512, "avx512"},
		{"", pathAVX2, "avx2"},
		{"", pathPortable, "portable"},
		{"avx512", pathAVX512, "avx512"},
		{"avx2", pathAVX512, "avx2"},
		{"avx512", pathAVX2, `EXP_KERNEL=avx512: this processor does not run it; use one of ["avx2" "portable" "reference"], or unset it`},
		{"avx2", pathPortable, `EXP_KERNEL=avx2: this processor does not run it; use one of ["portable" "reference"], or unset it`},
		{"portable", pathAVX2, "portable"},
		{"reference", pathAVX2, "reference"},
		{"AVX2", pathAVX512, `EXP_KERNEL="AVX2": no such path; use one of ["avx512" "avx2" "portable" "reference"], or unset it`},
	} {
		p, err := choosePath(c.name, c.fastest)
		got := p.String()
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("choosePath(%q, %v): got %s, want %s", c.name, c.fastest, got, c.want)
		}
	}
}

func TestPathNamesActive(t *testing.T) {
	for _, p := range []path{pathAVX512, pathAVX2, pathPortable, pathReference} {
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
