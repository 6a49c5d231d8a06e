package kernel

import (
	"fmt"
	"testing"
)

// report gives the speed of products of m by n by k, one multiply-add counting
// as two operations.
func report(b *testing.B, m, n, k int) {
	b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
}

// Sizes of a recurrent layer: the input projection [B*T, 4H, E], and a step [B, 4H, H].
func BenchmarkGemmPacked(b *testing.B) {
	for _, s := range []struct{ m, n, k int }{
		{1280, 1024, 256}, {1280, 256, 64}, {64, 256, 64}, {64, 512, 128}, {64, 1024, 256}, {64, 2048, 512}, {32, 512, 128}, {5, 1024, 256}, {1, 1024, 256},
	} {
		b.Run(fmt.Sprintf("%dx%dx%d", s.m, s.n, s.k), func(b *testing.B) {
			x, w, c := make([]float32, s.m*s.k), make([]float32, s.k*s.n), make([]float32, s.m*s.n)
			bias := make([]float32, s.n)
			var p Packed[float32]
			p.Pack(false, s.k, s.n, w, s.n)
			for b.Loop() {
				GemmPacked(false, s.m, x, s.k, &p, c, s.n, bias, false)
			}
			report(b, s.m, s.n, s.k)
		})
	}
}

// Large products, weight gradients among them (TN), and an attention head's
// small ones with rows strided over the heads.
func BenchmarkGemm(b *testing.B) {
	for _, s := range []struct {
		m, n, k, spare int
	}{
		{512, 512, 512, 0}, {1280, 1024, 256, 0}, {1024, 256, 1280, 0}, {256, 64, 1280, 0}, {64, 256, 64, 0},
		{20, 20, 64, 192}, {20, 64, 20, 192}, {20, 16, 48, 48}, {50, 50, 32, 96},
	} {
		for _, t := range []struct {
			name           string
			transA, transB bool
		}{{"NN", false, false}, {"TN", true, false}, {"NT", false, true}} {
			b.Run(fmt.Sprintf("%s/%dx%dx%d", t.name, s.m, s.n, s.k), func(b *testing.B) {
				lda, ldb, ldc := s.k+s.spare, s.n+s.spare, s.n+s.spare
				if t.transA {
					lda = s.m + s.spare
				}
				if t.transB {
					ldb = s.k + s.spare
				}
				x, w, c := make([]float32, max(s.m, s.k)*lda), make([]float32, max(s.n, s.k)*ldb), make([]float32, s.m*ldc)
				for b.Loop() {
					Gemm(t.transA, t.transB, s.m, s.n, s.k, x, lda, w, ldb, c, ldc, nil, false)
				}
				report(b, s.m, s.n, s.k)
			})
		}
	}
}

func BenchmarkPack(b *testing.B) {
	const k, n = 256, 1024
	w := make([]float32, k*n)
	for _, trans := range []bool{false, true} {
		b.Run(fmt.Sprintf("trans=%v/%dx%d", trans, k, n), func(b *testing.B) {
			var p Packed[float32]
			for b.Loop() {
				if trans {
					p.Pack(true, k, n, w, k)
				} else {
					p.Pack(false, k, n, w, n)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(k*n), "ns/element")
		})
	}
}
