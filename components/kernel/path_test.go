package kernel

import "testing"

// usePath runs the rest of the test on path p, or skips where this machine
// cannot.
func usePath(t testing.TB, p path) {
	t.Helper()
	if p == pathAVX2 && !hasAVX2 {
		t.Skip("this processor lacks AVX2 or FMA")
	}
	before := active
	setPath(p)
	t.Cleanup(func() { setPath(before) })
}

func TestChoosePath(t *testing.T) {
	for _, c := range []struct {
		name    string
		hasAVX2 bool
		want    string
	}{
		{"", true, "avx2"},
		{"", false, "portable"},
		{"avx2", true, "avx2"},
		{"avx2", false, "EXP_KERNEL=avx2: this processor lacks AVX2 or FMA; use portable or reference"},
		{"portable", true, "portable"},
		{"reference", true, "reference"},
		{"AVX2", true, `EXP_KERNEL="AVX2": no such path; use avx2, portable or reference, or unset it`},
	} {
		p, err := choosePath(c.name, c.hasAVX2)
		got := p.String()
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("choosePath(%q, %v): got %s, want %s", c.name, c.hasAVX2, got, c.want)
		}
	}
}

func TestPathNamesActive(t *testing.T) {
	for _, p := range []path{pathAVX2, pathPortable, pathReference} {
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
