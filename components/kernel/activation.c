#include "activation.h"
#include "lanes.h"

EXP_INLINE float exp_relu1(float x) { return x < 0 ? 0 : x; }

EXP_INLINE float exp_tanh_backward1(float dx, float dy, float y) { return exp_fmaf(dy, exp_one_minus_square1(y), dx); }
EXP_INLINE float exp_sigmoid_backward1(float dx, float dy, float y) { return exp_fmaf(dy, exp_minus_square1(y), dx); }
EXP_INLINE float exp_relu_backward1(float dx, float dy, float y) { return dx + (y > 0 ? dy : 0); }
EXP_INLINE float exp_gelu_backward1(float dx, float dy, float x) { return exp_fmaf(dy, exp_gelu_slope1(x), dx); }

#define EXP_TERM_MAX 43.0f // the exponential of twice it, and of its negative, is a normal number

EXP_INLINE float exp_additive_terms1(float x) {
	x = EXP_TERM_MAX < x ? EXP_TERM_MAX : x;
	x = -EXP_TERM_MAX > x ? -EXP_TERM_MAX : x;
	return exp_exp1(x + x);
}

#ifdef EXP_X86

EXP_INLINE EXP_AVX2 __m256 exp_relu8(__m256 x) { return _mm256_max_ps(_mm256_setzero_ps(), x); } // x if it is a NaN

EXP_INLINE EXP_AVX2 __m256 exp_tanh_backward8(__m256 dx, __m256 dy, __m256 y) {
	return _mm256_fmadd_ps(dy, exp_one_minus_square8(y), dx);
}

EXP_INLINE EXP_AVX2 __m256 exp_sigmoid_backward8(__m256 dx, __m256 dy, __m256 y) {
	return _mm256_fmadd_ps(dy, exp_minus_square8(y), dx);
}

EXP_INLINE EXP_AVX2 __m256 exp_relu_backward8(__m256 dx, __m256 dy, __m256 y) {
	return _mm256_add_ps(dx, _mm256_and_ps(dy, _mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_GT_OQ)));
}

EXP_INLINE EXP_AVX2 __m256 exp_gelu_backward8(__m256 dx, __m256 dy, __m256 x) {
	return _mm256_fmadd_ps(dy, exp_gelu_slope8(x), dx);
}

EXP_INLINE EXP_AVX2 __m256 exp_additive_terms8(__m256 x) {
	x = _mm256_max_ps(exp_splat(-EXP_TERM_MAX), _mm256_min_ps(exp_splat(EXP_TERM_MAX), x));
	return exp_exp8(_mm256_add_ps(x, x));
}

EXP_INLINE EXP_AVX512 __m512 exp_additive_terms16(__m512 x) {
	x = _mm512_max_ps(_mm512_set1_ps(-EXP_TERM_MAX), _mm512_min_ps(_mm512_set1_ps(EXP_TERM_MAX), x));
	return exp_exp16(_mm512_add_ps(x, x));
}

#define UNARY_AVX2(name)                                                                                     \
	static EXP_AVX2 void name##_avx2(int64_t n, float *dst, const float *src) {                              \
		int64_t i = 0;                                                                                       \
		for (; i + 8 <= n; i += 8) _mm256_storeu_ps(dst + i, name##8(_mm256_loadu_ps(src + i)));             \
		if (i < n) exp_store_first(dst + i, name##8(exp_load_first(src + i, n - i)), n - i);                 \
	}
#define UNARY_AVX512(name)                                                                                   \
	static EXP_AVX512 void name##_avx512(int64_t n, float *dst, const float *src) {                          \
		EXP_VECTORS(i, n, { _mm512_mask_storeu_ps(dst + i, some, name##16(_mm512_maskz_loadu_ps(some, src + i))); }); \
	}
#define TERNARY_AVX2(name)                                                                                   \
	static EXP_AVX2 void name##_avx2(int64_t n, float *dx, const float *dy, const float *y) {                \
		int64_t i = 0;                                                                                       \
		for (; i + 8 <= n; i += 8) {                                                                         \
			__m256 x = _mm256_loadu_ps(dx + i);                                                              \
			_mm256_storeu_ps(dx + i, name##8(x, _mm256_loadu_ps(dy + i), _mm256_loadu_ps(y + i)));           \
		}                                                                                                    \
		if (i == n) return;                                                                                  \
		__m256 x = exp_load_first(dx + i, n - i);                                                            \
		x = name##8(x, exp_load_first(dy + i, n - i), exp_load_first(y + i, n - i));                         \
		exp_store_first(dx + i, x, n - i);                                                                   \
	}

#else
#define UNARY_AVX2(name)
#define UNARY_AVX512(name)
#define TERNARY_AVX2(name)
#endif

// UNARY and TERNARY make of name1 and name8, functions of an element and of
// eight, the function name over slices; UNARY_WIDE of name16 too.

#define UNARY(name)                                                                                          \
	UNARY_AVX2(name)                                                                                         \
	void name(int64_t n, float *dst, const float *src) {                                                     \
		EXP_IF_AVX2(name##_avx2(n, dst, src))                                                                \
		for (int64_t i = 0; i < n; i++) dst[i] = name##1(src[i]);                                            \
	}
#define UNARY_WIDE(name)                                                                                     \
	UNARY_AVX2(name)                                                                                         \
	UNARY_AVX512(name)                                                                                       \
	void name(int64_t n, float *dst, const float *src) {                                                     \
		EXP_IF_AVX512(name##_avx512(n, dst, src))                                                            \
		EXP_IF_AVX2(name##_avx2(n, dst, src))                                                                \
		for (int64_t i = 0; i < n; i++) dst[i] = name##1(src[i]);                                            \
	}
#define TERNARY(name)                                                                                        \
	TERNARY_AVX2(name)                                                                                       \
	void name(int64_t n, float *dx, const float *dy, const float *y) {                                       \
		EXP_IF_AVX2(name##_avx2(n, dx, dy, y))                                                               \
		for (int64_t i = 0; i < n; i++) dx[i] = name##1(dx[i], dy[i], y[i]);                                 \
	}

UNARY_WIDE(exp_exp)
UNARY_WIDE(exp_tanh)
UNARY_WIDE(exp_sigmoid)
UNARY_WIDE(exp_additive_terms)
UNARY(exp_relu)
UNARY(exp_gelu)
TERNARY(exp_tanh_backward)
TERNARY(exp_sigmoid_backward)
TERNARY(exp_relu_backward)
TERNARY(exp_gelu_backward)
