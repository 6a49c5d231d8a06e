#include "crossentropy.h"
#include "activation.h"
#include "lanes.h"
#include "softmax.h"

// sum_below is the sum of x[j] - top in lanes.
static float sum_below_portable(int64_t n, const float *x, float top) {
	float lane[EXP_LANES] = {0};
	for (int64_t j = 0; j < n; j += EXP_LANES) {
		int64_t count = n - j < EXP_LANES ? n - j : EXP_LANES;
		for (int64_t l = 0; l < count; l++) lane[l] += x[j + l] - top;
	}
	return exp_join(lane);
}

static void multiply_add_portable(int64_t n, float *x, float factor, float offset) {
	for (int64_t j = 0; j < n; j++) x[j] = exp_fmaf(x[j], factor, offset);
}

#ifdef EXP_X86

static EXP_AVX2 float sum_below_avx2(int64_t n, const float *x, float top) {
	const __m256 t = exp_splat(top);
	__m256 low = _mm256_setzero_ps(), high = low;
	int64_t j = 0;
	for (; j + 16 <= n; j += 16) {
		low = _mm256_add_ps(low, _mm256_sub_ps(_mm256_loadu_ps(x + j), t));
		high = _mm256_add_ps(high, _mm256_sub_ps(_mm256_loadu_ps(x + j + 8), t));
	}
	for (__m256 *sum = &low; j < n; j += 8, sum = &high) {
		__m256 below = _mm256_sub_ps(exp_load_first(x + j, n - j), t);
		*sum = _mm256_add_ps(*sum, _mm256_and_ps(below, _mm256_castsi256_ps(exp_mask(n - j))));
	}
	return exp_join_avx2(low, high);
}

static EXP_AVX2 void multiply_add_avx2(int64_t n, float *x, float factor, float offset) {
	const __m256 f = exp_splat(factor), o = exp_splat(offset);
	int64_t j = 0;
	for (; j + 8 <= n; j += 8) _mm256_storeu_ps(x + j, _mm256_fmadd_ps(_mm256_loadu_ps(x + j), f, o));
	if (j < n) exp_store_first(x + j, _mm256_fmadd_ps(exp_load_first(x + j, n - j), f, o), n - j);
}

#endif

void exp_cross_entropy(int64_t rows, int64_t v, const float *logits, int64_t ld, const int32_t *targets, int32_t ignore,
                       float smoothing, float scale, float *dlogits, float *losses) {
	const float offset = -scale * smoothing / (float)v, at_target = scale * (1 - smoothing);
	for (int64_t r = 0; r < rows; r++) {
		const float *x = logits + r * ld;
		float *dx = dlogits == NULL ? NULL : dlogits + r * ld;
		if (targets[r] == ignore) {
			if (dx != NULL) memset(dx, 0, (size_t)v * sizeof *dx);
			if (losses != NULL) losses[r] = 0;
			continue;
		}
		float top = exp_largest(v, x), shifted = x[targets[r]] - top;
		float below = smoothing != 0 && losses != NULL ? EXP_CALL(sum_below, v, x, top) : 0;
		float sum = exp_exp_sum(v, dx, x, top);
		if (losses != NULL) {
			float log_sum = exp_log1(sum), loss = log_sum - shifted;
			if (smoothing != 0) loss = (1 - smoothing) * loss + smoothing * (log_sum - below / (float)v);
			losses[r] = loss;
		}
		if (dx != NULL) {
			EXP_CALL(multiply_add, v, dx, scale / sum, offset);
			dx[targets[r]] -= at_target;
		}
	}
}
