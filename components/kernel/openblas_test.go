//go:build openblas

package kernel

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// BenchmarkOpenBLAS times products here and by OpenBLAS in turn, so that both
// see the same machine, and reports the medians and their ratio: above 1 is
// faster than OpenBLAS. Packed products are the sizes of a recurrent step and of
// layers; the batched one is an attention head, rows strided over four heads.
//
//	go test -tags openblas -run - -bench OpenBLAS ./components/kernel
func BenchmarkOpenBLAS(b *testing.B) {
	type size struct{ m, n, k int }
	large := []size{{64, 256, 64}, {64, 1024, 256}, {64, 2048, 512}, {1280, 1024, 256}, {1280, 8000, 256}, {1280, 256, 256}}
	for _, s := range large {
		b.Run(fmt.Sprintf("packed/%dx%dx%d", s.m, s.n, s.k), func(b *testing.B) {
			x, w, c := make([]float32, s.m*s.k), make([]float32, s.k*s.n), make([]float32, s.m*s.n)
			var p Packed[float32]
			p.Pack(false, s.k, s.n, w, s.n)
			compare(b, 2*float64(s.m*s.n*s.k),
				func() { GemmPacked(false, s.m, x, s.k, &p, c, s.n, nil, false) },
				func() { openblasGemm(false, false, s.m, s.n, s.k, x, s.k, w, s.n, c, s.n) })
		})
	}
	for _, t := range []struct {
		name           string
		transA, transB bool
	}{{"NT", false, true}, {"TN", true, false}} {
		for _, s := range []size{{64, 256, 64}, {1024, 256, 1280}, {256, 256, 1280}, {1280, 256, 1024}, {8000, 256, 1280}} {
			b.Run(fmt.Sprintf("%s/%dx%dx%d", t.name, s.m, s.n, s.k), func(b *testing.B) {
				lda, ldb := s.k, s.n
				if t.transA {
					lda = s.m
				}
				if t.transB {
					ldb = s.k
				}
				x, w, c := make([]float32, s.m*s.k), make([]float32, s.k*s.n), make([]float32, s.m*s.n)
				compare(b, 2*float64(s.m*s.n*s.k),
					func() { Gemm(t.transA, t.transB, s.m, s.n, s.k, x, lda, w, ldb, c, s.n, nil, false) },
					func() { openblasGemm(t.transA, t.transB, s.m, s.n, s.k, x, lda, w, ldb, c, s.n) })
			})
		}
	}
	for _, transB := range []bool{false, true} {
		const m, n, k, heads, batch = 20, 20, 64, 4, 64
		b.Run(fmt.Sprintf("batched/transB=%v/%dx%dx%d", transB, m, n, k), func(b *testing.B) {
			ld := heads * max(n, k)
			x, w, c := make([]float32, batch*m*ld), make([]float32, batch*k*ld), make([]float32, batch*heads*m*n)
			var products []Product
			for i := range batch * heads {
				products = append(products, Product{m, n, k, int64(i/heads*m*ld + i%heads*k), int64(i/heads*k*ld + i%heads*n), int64(i * m * n)})
			}
			compare(b, 2*float64(m*n*k*heads*batch),
				func() { GemmBatch(false, transB, products, x, ld, w, ld, c, n, false) },
				func() { openblasGemmBatch(false, transB, products, x, ld, w, ld, c, n) })
		})
	}
}

// compare runs ours and theirs in turn, each for about a millisecond at a time.
func compare(b *testing.B, flop float64, ours, theirs func()) {
	repeat := int(1e8/flop) + 1
	run := func(f func()) float64 {
		begin := time.Now()
		for range repeat {
			f()
		}
		return flop * float64(repeat) / float64(time.Since(begin).Nanoseconds())
	}
	var a, o []float64
	for b.Loop() {
		a, o = append(a, run(ours)), append(o, run(theirs))
	}
	slices.Sort(a)
	slices.Sort(o)
	b.ReportMetric(a[len(a)/2], "GFLOP/s")
	b.ReportMetric(o[len(o)/2], "OpenBLAS-GFLOP/s")
	b.ReportMetric(a[len(a)/2]/o[len(o)/2], "ratio")
	b.ReportMetric(0, "ns/op")
}
