// The inner loops of matrix products in plain C: the fallback.

#include "gemm.h"

// tile computes rows by cols of C. Both are constants where it is inlined, but
// for the columns at C's edge.
EXP_INLINE void tile(int rows, int64_t cols, const struct exp_block *t, const float *restrict a,
                     const float *restrict b, float *restrict c, const float *restrict bias) {
	float acc[4][EXP_PANEL];
	for (int r = 0; r < rows; r++) {
		for (int64_t j = 0; j < cols; j++) {
			acc[r][j] = t->from == EXP_FROM_C ? c[r * t->ldc + j] : t->from == EXP_FROM_BIAS ? bias[j] : 0;
		}
	}
	for (int64_t p = 0; p < t->k; p++) {
		for (int r = 0; r < rows; r++) {
			float x = a[r * t->row_a + p * t->step_a];
			for (int64_t j = 0; j < cols; j++) acc[r][j] = exp_fmaf(x, b[p * t->row_b + j], acc[r][j]);
		}
	}
	for (int r = 0; r < rows; r++) {
		for (int64_t j = 0; j < cols; j++) c[r * t->ldc + j] = acc[r][j];
	}
}

void exp_columns_portable(const struct exp_block *t, int64_t m, int64_t cols, const float *a, const float *b, float *c,
                          const float *bias) {
	int64_t i = 0;
	if (cols == EXP_PANEL) {
		for (; i + 4 <= m; i += 4) tile(4, EXP_PANEL, t, a + i * t->row_a, b, c + i * t->ldc, bias);
	}
	for (; i < m; i++) tile(1, cols, t, a + i * t->row_a, b, c + i * t->ldc, bias);
}

void exp_transpose_portable(int64_t rows, int64_t cols, const float *src, int64_t lds, float *dst, int64_t ldd) {
	for (int64_t r = 0; r < rows; r++) {
		for (int64_t q = 0; q < cols; q++) dst[q * ldd + r] = src[r * lds + q];
	}
}
