#include "elementwise.h"
#include "lanes.h"

// The operations on a, b and dst; where b is a constant, it is alpha.
enum op { ADD, MUL, MUL_ADD, SCALE, AXPY };

EXP_INLINE float apply(enum op op, float a, float b, float dst) {
	switch (op) {
	case ADD: return a + b;
	case MUL: case SCALE: return a * b;
	default: return exp_fmaf(a, b, dst);
	}
}

EXP_INLINE void each_portable(enum op op, int64_t n, float *dst, const float *a, const float *b, float alpha) {
	for (int64_t i = 0; i < n; i++) dst[i] = apply(op, a[i], op == SCALE || op == AXPY ? alpha : b[i], dst[i]);
}

#ifdef EXP_X86

EXP_INLINE EXP_AVX2 __m256 apply_avx2(enum op op, __m256 a, __m256 b, __m256 dst) {
	switch (op) {
	case ADD: return _mm256_add_ps(a, b);
	case MUL: case SCALE: return _mm256_mul_ps(a, b);
	default: return _mm256_fmadd_ps(a, b, dst);
	}
}

EXP_INLINE EXP_AVX2 void each_avx2(enum op op, int64_t n, float *dst, const float *a, const float *b, float alpha) {
	const int constant = op == SCALE || op == AXPY, reads = op == MUL_ADD || op == AXPY;
	const __m256 y = _mm256_set1_ps(alpha), zero = _mm256_setzero_ps();
	int64_t i = 0;
#pragma GCC unroll 4
	for (; i + 8 <= n; i += 8) {
		__m256 x = apply_avx2(op, _mm256_loadu_ps(a + i), constant ? y : _mm256_loadu_ps(b + i),
		                      reads ? _mm256_loadu_ps(dst + i) : zero);
		_mm256_storeu_ps(dst + i, x);
	}
	if (i < n) {
		int64_t rest = n - i;
		__m256 x = apply_avx2(op, exp_load_first(a + i, rest), constant ? y : exp_load_first(b + i, rest),
		                      reads ? exp_load_first(dst + i, rest) : zero);
		exp_store_first(dst + i, x, rest);
	}
}

#define EACH(op)                                                                                         \
	static EXP_AVX2 void op##_avx2(int64_t n, float *dst, const float *a, const float *b, float alpha) { \
		each_avx2(op, n, dst, a, b, alpha);                                                              \
	}
EACH(ADD) EACH(MUL) EACH(MUL_ADD) EACH(SCALE) EACH(AXPY)

#define RUN(op, n, dst, a, b, alpha)             \
	do {                                         \
		if (exp_path <= EXP_PATH_AVX2) {         \
			op##_avx2(n, dst, a, b, alpha);      \
			return;                              \
		}                                        \
		each_portable(op, n, dst, a, b, alpha);  \
	} while (0)

#else

#define RUN(op, n, dst, a, b, alpha) each_portable(op, n, dst, a, b, alpha)

#endif

void exp_add(int64_t n, float *dst, const float *a, const float *b) { RUN(ADD, n, dst, a, b, 0); }

void exp_mul(int64_t n, float *dst, const float *a, const float *b) { RUN(MUL, n, dst, a, b, 0); }

void exp_mul_add(int64_t n, float *dst, const float *a, const float *b) { RUN(MUL_ADD, n, dst, a, b, 0); }

void exp_scale(int64_t n, float *dst, float alpha, const float *src) { RUN(SCALE, n, dst, src, NULL, alpha); }

void exp_axpy(int64_t n, float *dst, float alpha, const float *src) { RUN(AXPY, n, dst, src, NULL, alpha); }

void exp_add_rows(float *dst, int64_t rows, int64_t n, const float *bias) {
	for (int64_t r = 0; r < rows; r++) exp_add(n, dst + r * n, dst + r * n, bias);
}
