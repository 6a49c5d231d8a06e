//go:build openblas

package kernel

/*
#cgo LDFLAGS: -lopenblas
#cgo noescape cblas_sgemm
#cgo nocallback cblas_sgemm
#cgo noescape gemm_batch
#cgo nocallback gemm_batch
enum { row_major = 101, no_trans = 111, trans = 112 };
void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda,
                 const float *b, int ldb, float beta, float *c, int ldc);
void openblas_set_num_threads(int n);

struct product { long m, n, k, a, b, c; };

static void gemm_batch(int trans_a, int trans_b, int count, const void *products, const float *a, int lda, const float *b, int ldb,
                       float *c, int ldc) {
	for (const struct product *p = products; count > 0; count--, p++) {
		cblas_sgemm(row_major, trans_a, trans_b, p->m, p->n, p->k, 1, a + p->a, lda, b + p->b, ldb, 0, c + p->c, ldc);
	}
}
*/
import "C"

import "unsafe"

func openblasOrder(trans bool) C.int {
	if trans {
		return C.trans
	}
	return C.no_trans
}

// openblasGemm is [Gemm] by OpenBLAS on one thread, for the benchmark beside it.
func openblasGemm(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
	C.cblas_sgemm(C.row_major, openblasOrder(transA), openblasOrder(transB), C.int(m), C.int(n), C.int(k), 1, ptr(a), C.int(lda), ptr(b), C.int(ldb), 0, ptr(c), C.int(ldc))
}

// openblasGemmBatch is [GemmBatch] by a loop in C, so that Go's calls weigh on neither.
func openblasGemmBatch(transA, transB bool, products []Product, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
	C.gemm_batch(openblasOrder(transA), openblasOrder(transB), C.int(len(products)), unsafe.Pointer(unsafe.SliceData(products)),
		ptr(a), C.int(lda), ptr(b), C.int(ldb), ptr(c), C.int(ldc))
}

func init() { C.openblas_set_num_threads(1) }
