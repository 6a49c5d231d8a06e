//go:build openblas

package kernel

/*
#cgo LDFLAGS: -lopenblas
#cgo noescape cblas_sgemm
#cgo nocallback cblas_sgemm
enum { row_major = 101, no_trans = 111, trans = 112 };
void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda,
                 const float *b, int ldb, float beta, float *c, int ldc);
void openblas_set_num_threads(int n);
*/
import "C"

// openblasGemm is [Gemm] by OpenBLAS on one thread, for the benchmark beside it.
func openblasGemm(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
	order := func(t bool) C.int {
		if t {
			return C.trans
		}
		return C.no_trans
	}
	C.cblas_sgemm(C.row_major, order(transA), order(transB), C.int(m), C.int(n), C.int(k), 1, ptr(a), C.int(lda), ptr(b), C.int(ldb), 0, ptr(c), C.int(ldc))
}

func init() { C.openblas_set_num_threads(1) }
