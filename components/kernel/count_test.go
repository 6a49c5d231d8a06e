package kernel

import "testing"

func TestCount(t *testing.T) {
	const m, n, k = 3, 5, 7
	a, b, c := make([]float32, m*k), make([]float32, k*n), make([]float32, m*n)
	var p Packed[float32]
	p.Pack(false, k, n, b, n)
	both := func() {
		Gemm(false, false, m, n, k, a, k, b, n, c, n, nil, false)
		GemmPacked(false, m, a, k, &p, c, n, nil, true)
		GemmPacked(false, 0, a, k, &p, c, n, nil, true)
	}
	for range 2 { // a second count begins at zero
		StartCount()
		both()
		if got := StopCount(); got != 2*m*n*k {
			t.Errorf("counted %d multiply-adds, want %d", got, 2*m*n*k)
		}
	}
	both()
	if got := StopCount(); got != 2*m*n*k {
		t.Errorf("counted %d multiply-adds, want %d: counting was off", got, 2*m*n*k)
	}
}
