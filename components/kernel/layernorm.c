#include "layernorm.h"
#include "activation.h"
#include "lanes.h"

static void forward_portable(int64_t d, float *dst, const float *x, const float *gain, const float *bias, float eps,
                             float *mean, float *rstd) {
	float sum[EXP_LANES] = {0}, squares[EXP_LANES] = {0};
	for (int64_t j = 0; j < d; j++) sum[j % EXP_LANES] += x[j];
	float mu = exp_join(sum) / (float)d;
	for (int64_t j = 0; j < d; j++) {
		float *lane = squares + j % EXP_LANES;
		*lane = exp_fmaf(x[j] - mu, x[j] - mu, *lane);
	}
	float scale = 1 / sqrtf(exp_join(squares) / (float)d + eps);
	*mean = mu;
	*rstd = scale;
	for (int64_t j = 0; j < d; j++) dst[j] = exp_fmaf((x[j] - mu) * scale, gain[j], bias[j]);
}

static void backward_portable(int64_t d, float *dx, float *d_gain, float *d_bias, const float *dy, const float *x,
                              const float *gain, float mu, float scale) {
	float sum_g[EXP_LANES] = {0}, sum_gy[EXP_LANES] = {0};
	for (int64_t j = 0; j < d; j++) {
		float y = (x[j] - mu) * scale, g = dy[j] * gain[j];
		d_gain[j] = exp_fmaf(dy[j], y, d_gain[j]);
		d_bias[j] += dy[j];
		sum_g[j % EXP_LANES] += g;
		sum_gy[j % EXP_LANES] = exp_fmaf(g, y, sum_gy[j % EXP_LANES]);
	}
	float a = exp_join(sum_g) / (float)d, b = exp_join(sum_gy) / (float)d;
	for (int64_t j = 0; j < d; j++) {
		float y = (x[j] - mu) * scale, g = dy[j] * gain[j];
		dx[j] = exp_fmaf(scale, exp_fmaf(-y, b, g - a), dx[j]);
	}
}

#ifdef EXP_X86

// With whole, the next eight elements are all there; else the first rest.
EXP_INLINE EXP_AVX2 __m256 load(const float *src, const int whole, int64_t rest) {
	return whole ? _mm256_loadu_ps(src) : exp_load_first(src, rest);
}

EXP_INLINE EXP_AVX2 void store(float *dst, __m256 v, const int whole, int64_t rest) {
	if (whole) {
		_mm256_storeu_ps(dst, v);
	} else {
		exp_store_first(dst, v, rest);
	}
}

// add_deviations adds the squared deviations of eight elements to eight lanes.
EXP_INLINE EXP_AVX2 __m256 add_deviations(__m256 sum, const float *x, __m256 mu, const int whole, int64_t rest) {
	__m256 v = _mm256_sub_ps(load(x, whole, rest), mu);
	if (!whole) v = _mm256_and_ps(v, _mm256_castsi256_ps(exp_mask(rest)));
	return _mm256_fmadd_ps(v, v, sum);
}

EXP_INLINE EXP_AVX2 void forward_8(float *dst, const float *x, const float *gain, const float *bias, __m256 mu,
                                   __m256 scale, const int whole, int64_t rest) {
	__m256 y = _mm256_mul_ps(_mm256_sub_ps(load(x, whole, rest), mu), scale);
	store(dst, _mm256_fmadd_ps(y, load(gain, whole, rest), load(bias, whole, rest)), whole, rest);
}

static EXP_AVX2 void forward_avx2(int64_t d, float *dst, const float *x, const float *gain, const float *bias,
                                  float eps, float *mean, float *rstd) {
	__m256 low = _mm256_setzero_ps(), high = low;
	const int64_t whole = d / EXP_LANES * EXP_LANES, rest = d - whole;
	for (int64_t j = 0; j < whole; j += EXP_LANES) {
		low = _mm256_add_ps(low, _mm256_loadu_ps(x + j));
		high = _mm256_add_ps(high, _mm256_loadu_ps(x + j + 8));
	}
	if (rest > 0) {
		low = _mm256_add_ps(low, exp_load_first(x + whole, rest));
		high = _mm256_add_ps(high, exp_load_first(x + whole + 8, rest - 8));
	}
	*mean = exp_join_avx2(low, high) / (float)d;

	const __m256 mu = _mm256_set1_ps(*mean);
	low = high = _mm256_setzero_ps();
	for (int64_t j = 0; j < whole; j += EXP_LANES) {
		low = add_deviations(low, x + j, mu, 1, 8);
		high = add_deviations(high, x + j + 8, mu, 1, 8);
	}
	if (rest > 0) {
		low = add_deviations(low, x + whole, mu, 0, rest);
		high = add_deviations(high, x + whole + 8, mu, 0, rest - 8);
	}
	*rstd = 1 / sqrtf(exp_join_avx2(low, high) / (float)d + eps);

	const __m256 scale = _mm256_set1_ps(*rstd);
	int64_t j = 0;
	for (; j + 8 <= d; j += 8) forward_8(dst + j, x + j, gain + j, bias + j, mu, scale, 1, 8);
	if (j < d) forward_8(dst + j, x + j, gain + j, bias + j, mu, scale, 0, d - j);
}

// backward_sums adds eight elements to dGain, dBias and eight lanes of the two
// sums. Past the end dy and g are 0, but y may be infinite or NaN and is masked.
EXP_INLINE EXP_AVX2 void backward_sums(__m256 *sum_g, __m256 *sum_gy, float *d_gain, float *d_bias, const float *dy,
                                       const float *x, const float *gain, __m256 mu, __m256 scale, const int whole,
                                       int64_t rest) {
	__m256 v = load(dy, whole, rest);
	__m256 y = _mm256_mul_ps(_mm256_sub_ps(load(x, whole, rest), mu), scale);
	if (!whole) y = _mm256_and_ps(y, _mm256_castsi256_ps(exp_mask(rest)));
	__m256 g = _mm256_mul_ps(v, load(gain, whole, rest));
	store(d_gain, _mm256_fmadd_ps(v, y, load(d_gain, whole, rest)), whole, rest);
	store(d_bias, _mm256_add_ps(load(d_bias, whole, rest), v), whole, rest);
	*sum_g = _mm256_add_ps(*sum_g, g);
	*sum_gy = _mm256_fmadd_ps(g, y, *sum_gy);
}

EXP_INLINE EXP_AVX2 void backward_8(float *dx, const float *dy, const float *x, const float *gain, __m256 mu,
                                    __m256 scale, __m256 a, __m256 b, const int whole, int64_t rest) {
	__m256 y = _mm256_mul_ps(_mm256_sub_ps(load(x, whole, rest), mu), scale);
	__m256 g = _mm256_mul_ps(load(dy, whole, rest), load(gain, whole, rest));
	__m256 v = _mm256_fnmadd_ps(y, b, _mm256_sub_ps(g, a));
	store(dx, _mm256_fmadd_ps(scale, v, load(dx, whole, rest)), whole, rest);
}

static EXP_AVX2 void backward_avx2(int64_t d, float *dx, float *d_gain, float *d_bias, const float *dy, const float *x,
                                   const float *gain, float mean, float rstd) {
	const __m256 mu = _mm256_set1_ps(mean), scale = _mm256_set1_ps(rstd);
	__m256 g_low = _mm256_setzero_ps(), g_high = g_low, gy_low = g_low, gy_high = g_low;
	int64_t j = 0;
	for (; j + EXP_LANES <= d; j += EXP_LANES) {
		backward_sums(&g_low, &gy_low, d_gain + j, d_bias + j, dy + j, x + j, gain + j, mu, scale, 1, 8);
		int64_t k = j + 8;
		backward_sums(&g_high, &gy_high, d_gain + k, d_bias + k, dy + k, x + k, gain + k, mu, scale, 1, 8);
	}
	if (j < d) {
		backward_sums(&g_low, &gy_low, d_gain + j, d_bias + j, dy + j, x + j, gain + j, mu, scale, 0, d - j);
		int64_t k = j + 8;
		backward_sums(&g_high, &gy_high, d_gain + k, d_bias + k, dy + k, x + k, gain + k, mu, scale, 0, d - k);
	}
	const __m256 a = _mm256_set1_ps(exp_join_avx2(g_low, g_high) / (float)d);
	const __m256 b = _mm256_set1_ps(exp_join_avx2(gy_low, gy_high) / (float)d);
	for (j = 0; j + 8 <= d; j += 8) backward_8(dx + j, dy + j, x + j, gain + j, mu, scale, a, b, 1, 8);
	if (j < d) backward_8(dx + j, dy + j, x + j, gain + j, mu, scale, a, b, 0, d - j);
}

static EXP_AVX512 void forward_avx512(int64_t d, float *dst, const float *x, const float *gain, const float *bias,
                                      float eps, float *mean, float *rstd) {
	__m512 sum = _mm512_setzero_ps(), squares = sum;
	EXP_VECTORS(j, d, { sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(some, x + j)); });
	*mean = exp_join_avx512(sum) / (float)d;
	const __m512 mu = _mm512_set1_ps(*mean);
	EXP_VECTORS(j, d, {
		__m512 v = _mm512_maskz_sub_ps(some, _mm512_maskz_loadu_ps(some, x + j), mu);
		squares = _mm512_fmadd_ps(v, v, squares);
	});
	*rstd = 1 / sqrtf(exp_join_avx512(squares) / (float)d + eps);
	const __m512 scale = _mm512_set1_ps(*rstd);
	EXP_VECTORS(j, d, {
		__m512 y = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(some, x + j), mu), scale);
		y = _mm512_fmadd_ps(y, _mm512_maskz_loadu_ps(some, gain + j), _mm512_maskz_loadu_ps(some, bias + j));
		_mm512_mask_storeu_ps(dst + j, some, y);
	});
}

static EXP_AVX512 void backward_avx512(int64_t d, float *dx, float *d_gain, float *d_bias, const float *dy, const float *x,
                                       const float *gain, float mean, float rstd) {
	const __m512 mu = _mm512_set1_ps(mean), scale = _mm512_set1_ps(rstd);
	__m512 sum_g = _mm512_setzero_ps(), sum_gy = sum_g;
	EXP_VECTORS(j, d, {
		__m512 v = _mm512_maskz_loadu_ps(some, dy + j);
		__m512 y = _mm512_maskz_mul_ps(some, _mm512_sub_ps(_mm512_maskz_loadu_ps(some, x + j), mu), scale);
		__m512 g = _mm512_mul_ps(v, _mm512_maskz_loadu_ps(some, gain + j));
		_mm512_mask_storeu_ps(d_gain + j, some, _mm512_fmadd_ps(v, y, _mm512_maskz_loadu_ps(some, d_gain + j)));
		_mm512_mask_storeu_ps(d_bias + j, some, _mm512_add_ps(_mm512_maskz_loadu_ps(some, d_bias + j), v));
		sum_g = _mm512_add_ps(sum_g, g);
		sum_gy = _mm512_fmadd_ps(g, y, sum_gy);
	});
	const __m512 a = _mm512_set1_ps(exp_join_avx512(sum_g) / (float)d);
	const __m512 b = _mm512_set1_ps(exp_join_avx512(sum_gy) / (float)d);
	EXP_VECTORS(j, d, {
		__m512 y = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(some, x + j), mu), scale);
		__m512 g = _mm512_mul_ps(_mm512_maskz_loadu_ps(some, dy + j), _mm512_maskz_loadu_ps(some, gain + j));
		__m512 v = _mm512_fnmadd_ps(y, b, _mm512_sub_ps(g, a));
		_mm512_mask_storeu_ps(dx + j, some, _mm512_fmadd_ps(scale, v, _mm512_maskz_loadu_ps(some, dx + j)));
	});
}

#endif

void exp_layer_norm(int64_t rows, int64_t d, float *dst, const float *x, const float *gain, const float *bias,
                    float eps, float *mean, float *rstd) {
	for (int64_t r = 0; r < rows; r++, dst += d, x += d) {
		EXP_CALL_WIDE(forward, d, dst, x, gain, bias, eps, mean + r, rstd + r);
	}
}

void exp_layer_norm_backward(int64_t rows, int64_t d, float *dx, float *d_gain, float *d_bias, const float *dy,
                             const float *x, const float *gain, const float *mean, const float *rstd) {
	for (int64_t r = 0; r < rows; r++, dx += d, dy += d, x += d) {
		EXP_CALL_WIDE(backward, d, dx, d_gain, d_bias, dy, x, gain, mean[r], rstd[r]);
	}
}
