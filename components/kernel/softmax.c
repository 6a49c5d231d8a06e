#include "softmax.h"
#include "activation.h"
#include "lanes.h"

static float largest_portable(int64_t n, const float *x) {
	float top = -INFINITY;
	for (int64_t j = 0; j < n; j++) top = x[j] > top ? x[j] : top;
	return top;
}

static float exp_sum_portable(int64_t n, float *dst, const float *x, float top) {
	float lane[EXP_LANES] = {0}, e[EXP_LANES];
	for (int64_t j = 0; j < n; j += EXP_LANES) {
		int64_t count = n - j < EXP_LANES ? n - j : EXP_LANES;
		for (int64_t l = 0; l < count; l++) {
			e[l] = exp_exp1(x[j + l] - top);
			lane[l] += e[l];
		}
		if (dst != NULL) memcpy(dst + j, e, (size_t)count * sizeof *e);
	}
	return exp_join(lane);
}

static void scale_portable(int64_t n, float *x, float scale) {
	for (int64_t j = 0; j < n; j++) x[j] *= scale;
}

static void again_portable(int64_t n, float *x, float scale, float top, float inverse) {
	for (int64_t j = 0; j < n; j++) x[j] = exp_exp1(x[j] * scale - top) * inverse;
}

static void backward_portable(int64_t n, float *dx, const float *y, const float *dy, float scale) {
	float lane[EXP_LANES] = {0};
	for (int64_t j = 0; j < n; j += EXP_LANES) {
		int64_t count = n - j < EXP_LANES ? n - j : EXP_LANES;
		for (int64_t l = 0; l < count; l++) lane[l] = exp_fmaf(dy[j + l], y[j + l], lane[l]);
	}
	float sum = exp_join(lane);
	for (int64_t j = 0; j < n; j++) dx[j] = scale * y[j] * (dy[j] - sum);
}

static void log_softmax_portable(int64_t n, float *dst, const float *x, float top, float log_sum) {
	for (int64_t j = 0; j < n; j++) dst[j] = (x[j] - top) - log_sum;
}

static int64_t find_portable(int64_t n, const float *x, float value) {
	for (int64_t j = 0; j < n; j++) {
		if (x[j] == value) return j;
	}
	return 0;
}

#ifdef EXP_X86

static EXP_AVX2 float largest_avx2(int64_t n, const float *x) {
	const __m256 least = exp_splat(-INFINITY);
	__m256 a = least, b = least;
	int64_t j = 0;
	for (; j + 16 <= n; j += 16) { // max returns its second operand where one is a NaN
		a = _mm256_max_ps(_mm256_loadu_ps(x + j), a);
		b = _mm256_max_ps(_mm256_loadu_ps(x + j + 8), b);
	}
	for (; j < n; j += 8) {
		__m256 some = _mm256_blendv_ps(least, exp_load_first(x + j, n - j), _mm256_castsi256_ps(exp_mask(n - j)));
		a = _mm256_max_ps(some, a);
	}
	a = _mm256_max_ps(a, b);
	__m128 m = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
	m = _mm_max_ps(m, _mm_movehl_ps(m, m));
	m = _mm_max_ss(m, _mm_movehdup_ps(m));
	return _mm_cvtss_f32(m);
}

static EXP_AVX2 float exp_sum_avx2(int64_t n, float *dst, const float *x, float top) {
	const __m256 t = exp_splat(top);
	__m256 low = _mm256_setzero_ps(), high = low;
	int64_t j = 0;
	for (; j + 16 <= n; j += 16) {
		__m256 a = exp_exp8(_mm256_sub_ps(_mm256_loadu_ps(x + j), t));
		__m256 b = exp_exp8(_mm256_sub_ps(_mm256_loadu_ps(x + j + 8), t));
		if (dst != NULL) {
			_mm256_storeu_ps(dst + j, a);
			_mm256_storeu_ps(dst + j + 8, b);
		}
		low = _mm256_add_ps(low, a);
		high = _mm256_add_ps(high, b);
	}
	for (__m256 *sum = &low; j < n; j += 8, sum = &high) {
		__m256 a = exp_exp8(_mm256_sub_ps(exp_load_first(x + j, n - j), t));
		if (dst != NULL) exp_store_first(dst + j, a, n - j);
		*sum = _mm256_add_ps(*sum, _mm256_and_ps(a, _mm256_castsi256_ps(exp_mask(n - j))));
	}
	return exp_join_avx2(low, high);
}

static EXP_AVX2 void scale_avx2(int64_t n, float *x, float scale) {
	const __m256 s = exp_splat(scale);
	int64_t j = 0;
	for (; j + 8 <= n; j += 8) _mm256_storeu_ps(x + j, _mm256_mul_ps(_mm256_loadu_ps(x + j), s));
	if (j < n) exp_store_first(x + j, _mm256_mul_ps(exp_load_first(x + j, n - j), s), n - j);
}

static EXP_AVX2 void again_avx2(int64_t n, float *x, float scale, float top, float inverse) {
	const __m256 s = exp_splat(scale), t = exp_splat(top), i = exp_splat(inverse);
	for (int64_t j = 0; j < n; j += 8) {
		__m256 e = exp_exp8(_mm256_sub_ps(_mm256_mul_ps(exp_load_first(x + j, n - j), s), t));
		exp_store_first(x + j, _mm256_mul_ps(e, i), n - j);
	}
}

static EXP_AVX2 void backward_avx2(int64_t n, float *dx, const float *y, const float *dy, float scale) {
	__m256 low = _mm256_setzero_ps(), high = low;
	int64_t j = 0;
	for (; j + 16 <= n; j += 16) {
		low = _mm256_fmadd_ps(_mm256_loadu_ps(dy + j), _mm256_loadu_ps(y + j), low);
		high = _mm256_fmadd_ps(_mm256_loadu_ps(dy + j + 8), _mm256_loadu_ps(y + j + 8), high);
	}
	for (__m256 *sum = &low; j < n; j += 8, sum = &high) {
		__m256 next = _mm256_fmadd_ps(exp_load_first(dy + j, n - j), exp_load_first(y + j, n - j), *sum);
		// A lane may have become -0 by underflow: the others must not take in a +0.
		*sum = _mm256_blendv_ps(*sum, next, _mm256_castsi256_ps(exp_mask(n - j)));
	}
	const __m256 sum = exp_splat(exp_join_avx2(low, high)), s = exp_splat(scale);
	for (j = 0; j + 8 <= n; j += 8) {
		__m256 d = _mm256_sub_ps(_mm256_loadu_ps(dy + j), sum);
		_mm256_storeu_ps(dx + j, _mm256_mul_ps(_mm256_mul_ps(s, _mm256_loadu_ps(y + j)), d));
	}
	if (j == n) return;
	__m256 d = _mm256_sub_ps(exp_load_first(dy + j, n - j), sum);
	exp_store_first(dx + j, _mm256_mul_ps(_mm256_mul_ps(s, exp_load_first(y + j, n - j)), d), n - j);
}

static EXP_AVX2 void log_softmax_avx2(int64_t n, float *dst, const float *x, float top, float log_sum) {
	const __m256 t = exp_splat(top), l = exp_splat(log_sum);
	int64_t j = 0;
	for (; j + 8 <= n; j += 8) {
		_mm256_storeu_ps(dst + j, _mm256_sub_ps(_mm256_sub_ps(_mm256_loadu_ps(x + j), t), l));
	}
	if (j < n) exp_store_first(dst + j, _mm256_sub_ps(_mm256_sub_ps(exp_load_first(x + j, n - j), t), l), n - j);
}

static EXP_AVX2 int64_t find_avx2(int64_t n, const float *x, float value) {
	const __m256 v = exp_splat(value);
	int64_t j = 0;
	for (; j + 8 <= n; j += 8) {
		int equal = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(x + j), v, _CMP_EQ_OQ));
		if (equal) return j + __builtin_ctz((unsigned)equal);
	}
	for (; j < n; j++) {
		if (x[j] == value) return j;
	}
	return 0;
}

EXP_INLINE EXP_AVX512 float largest_of(__m512 v) {
	__m256 m = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
	__m128 h = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
	h = _mm_max_ps(h, _mm_movehl_ps(h, h));
	h = _mm_max_ss(h, _mm_movehdup_ps(h));
	return _mm_cvtss_f32(h);
}

static EXP_AVX512 float largest_avx512(int64_t n, const float *x) {
	const __m512 least = _mm512_set1_ps(-INFINITY);
	__m512 top[4] = {least, least, least, least}; // max returns its second operand where one is a NaN
	for (; n >= 4 * EXP_LANES; n -= 4 * EXP_LANES, x += 4 * EXP_LANES) {
		EXP_UNROLL(4)
		for (int l = 0; l < 4; l++) top[l] = _mm512_max_ps(_mm512_loadu_ps(x + EXP_LANES * l), top[l]);
	}
	EXP_VECTORS(j, n, { top[0] = _mm512_mask_max_ps(top[0], some, _mm512_maskz_loadu_ps(some, x + j), top[0]); });
	return largest_of(_mm512_max_ps(_mm512_max_ps(top[0], top[1]), _mm512_max_ps(top[2], top[3])));
}

static EXP_AVX512 int64_t find_avx512(int64_t n, const float *x, float value) {
	const __m512 v = _mm512_set1_ps(value);
	EXP_VECTORS(j, n, {
		__mmask16 equal = _mm512_mask_cmp_ps_mask(some, _mm512_maskz_loadu_ps(some, x + j), v, _CMP_EQ_OQ);
		if (equal) return j + __builtin_ctz(equal);
	});
	return 0;
}

// store_first stores the first n of sixteen elements. A masked store would do, but for
// what lies after them: a load of the next row waits for all that it might have written.
EXP_INLINE EXP_AVX512 void store_first(float *dst, __m512 v, int64_t n) {
	if (n < 8) {
		exp_store_first(dst, _mm512_castps512_ps256(v), n);
		return;
	}
	_mm256_storeu_ps(dst, _mm512_castps512_ps256(v));
	exp_store_first(dst + 8, _mm512_extractf32x8_ps(v, 1), n - 8);
}

// SHORT is how many vectors a row may have to stay in registers.
enum { SHORT = 4 };

// short_row is exp_softmax_row of a row that so many vectors hold. Going through memory for
// each part would take several times as long.
EXP_INLINE EXP_AVX512 void short_row(const int vectors, int64_t n, float *x, float scale, float *top, float *inverse) {
	const __mmask16 rest = exp_first(n - EXP_LANES * (vectors - 1));
	__m512 v[SHORT], most = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();
	EXP_UNROLL(4)
	for (int l = 0; l < vectors; l++) {
		const __mmask16 some = l < vectors - 1 ? 0xffff : rest;
		v[l] = _mm512_mul_ps(_mm512_maskz_loadu_ps(some, x + EXP_LANES * l), _mm512_set1_ps(scale));
		most = _mm512_mask_max_ps(most, some, v[l], most);
	}
	*top = largest_of(most);
	EXP_UNROLL(4)
	for (int l = 0; l < vectors; l++) {
		v[l] = exp_exp16(_mm512_sub_ps(v[l], _mm512_set1_ps(*top)));
		sum = _mm512_mask_add_ps(sum, l < vectors - 1 ? 0xffff : rest, sum, v[l]);
	}
	*inverse = 1 / exp_join_avx512(sum);
	EXP_UNROLL(4)
	for (int l = 0; l < vectors; l++) {
		v[l] = _mm512_mul_ps(v[l], _mm512_set1_ps(*inverse));
		if (l < vectors - 1) {
			_mm512_storeu_ps(x + EXP_LANES * l, v[l]);
		} else {
			store_first(x + EXP_LANES * l, v[l], n - EXP_LANES * l);
		}
	}
}

static EXP_AVX512 void short_avx512(int64_t n, float *x, float scale, float *top, float *inverse) {
	if (n <= EXP_LANES) {
		short_row(1, n, x, scale, top, inverse);
	} else if (n <= 2 * EXP_LANES) {
		short_row(2, n, x, scale, top, inverse);
	} else if (n <= 3 * EXP_LANES) {
		short_row(3, n, x, scale, top, inverse);
	} else {
		short_row(4, n, x, scale, top, inverse);
	}
}

static EXP_AVX512 float exp_sum_avx512(int64_t n, float *dst, const float *x, float top) {
	const __m512 t = _mm512_set1_ps(top);
	__m512 sum = _mm512_setzero_ps();
	EXP_VECTORS(j, n, {
		__m512 e = exp_exp16(_mm512_sub_ps(_mm512_maskz_loadu_ps(some, x + j), t));
		if (dst != NULL) _mm512_mask_storeu_ps(dst + j, some, e);
		sum = _mm512_mask_add_ps(sum, some, sum, e);
	});
	return exp_join_avx512(sum);
}

static EXP_AVX512 void scale_avx512(int64_t n, float *x, float scale) {
	const __m512 s = _mm512_set1_ps(scale);
	EXP_VECTORS(j, n, {
		_mm512_mask_storeu_ps(x + j, some, _mm512_mul_ps(_mm512_maskz_loadu_ps(some, x + j), s));
	});
}

static EXP_AVX512 void again_avx512(int64_t n, float *x, float scale, float top, float inverse) {
	const __m512 s = _mm512_set1_ps(scale), t = _mm512_set1_ps(top), i = _mm512_set1_ps(inverse);
	EXP_VECTORS(j, n, {
		__m512 e = exp_exp16(_mm512_sub_ps(_mm512_mul_ps(_mm512_maskz_loadu_ps(some, x + j), s), t));
		_mm512_mask_storeu_ps(x + j, some, _mm512_mul_ps(e, i));
	});
}

static EXP_AVX512 void backward_avx512(int64_t n, float *dx, const float *y, const float *dy, float scale) {
	__m512 lanes = _mm512_setzero_ps();
	EXP_VECTORS(j, n, {
		lanes = _mm512_mask3_fmadd_ps(_mm512_maskz_loadu_ps(some, dy + j), _mm512_maskz_loadu_ps(some, y + j), lanes, some);
	});
	const __m512 sum = _mm512_set1_ps(exp_join_avx512(lanes)), s = _mm512_set1_ps(scale);
	EXP_VECTORS(j, n, {
		__m512 d = _mm512_sub_ps(_mm512_maskz_loadu_ps(some, dy + j), sum);
		_mm512_mask_storeu_ps(dx + j, some, _mm512_mul_ps(_mm512_mul_ps(s, _mm512_maskz_loadu_ps(some, y + j)), d));
	});
}

#endif

float exp_largest(int64_t n, const float *x) { return EXP_CALL_WIDE(largest, n, x); }

float exp_exp_sum(int64_t n, float *dst, const float *x, float top) { return EXP_CALL_WIDE(exp_sum, n, dst, x, top); }

void exp_softmax_row(int64_t n, float *x, float scale, float *top, float *inverse) {
#ifdef EXP_X86
	if (exp_path == EXP_PATH_AVX512 && n > 0 && n <= SHORT * EXP_LANES) {
		short_avx512(n, x, scale, top, inverse);
		return;
	}
#endif
	if (scale != 1) EXP_CALL_WIDE(scale, n, x, scale);
	*top = exp_largest(n, x);
	*inverse = 1 / exp_exp_sum(n, x, x, *top);
	EXP_CALL_WIDE(scale, n, x, *inverse);
}

void exp_softmax_rows(int64_t rows, int64_t n, float *x, int64_t ld, const int32_t *valid) {
	for (int64_t r = 0; r < rows; r++, x += ld) {
		int64_t count = valid == NULL ? n : valid[r] > 0 ? valid[r] : 0;
		memset(x + count, 0, (size_t)(n - count) * sizeof *x);
		if (count == 0) continue;
		float top, inverse;
		exp_softmax_row(count, x, 1, &top, &inverse);
	}
}

void exp_softmax_row_again(int64_t n, float *x, float scale, float top, float inverse) {
	EXP_CALL_WIDE(again, n, x, scale, top, inverse);
}

void exp_softmax_rows_backward(int64_t rows, int64_t n, float *dx, const float *y, const float *dy, int64_t ld,
                               float scale) {
	for (int64_t r = 0; r < rows; r++) EXP_CALL_WIDE(backward, n, dx + r * ld, y + r * ld, dy + r * ld, scale);
}

void exp_log_softmax_rows(int64_t rows, int64_t n, float *dst, const float *x) {
	for (int64_t r = 0; r < rows; r++, dst += n, x += n) {
		float top = exp_largest(n, x);
		EXP_CALL(log_softmax, n, dst, x, top, exp_log1(exp_exp_sum(n, NULL, x, top)));
	}
}

void exp_argmax_rows(int64_t rows, int64_t v, const float *x, int32_t *dst) {
	for (int64_t r = 0; r < rows; r++, x += v) dst[r] = (int32_t)EXP_CALL_WIDE(find, v, x, exp_largest(v, x));
}
