#include "optimize.h"
#include "activation.h"
#include "lanes.h"
#include <float.h>

// or_zero is x, or 0 where x is subnormal, see optimize.go.
EXP_INLINE float or_zero(float x) { return exp_unless_below1(x, FLT_MIN); }

EXP_INLINE float gradient(float g, float w, float scale, float decay) {
	float d = g * scale;
	return decay != 0 ? exp_fmaf(decay, w, d) : d;
}

static void adam_portable(int64_t n, float *w, const float *g, float *m, float *v, struct exp_adam a) {
	for (int64_t i = 0; i < n; i++) {
		float d = gradient(g[i], w[i], a.grad_scale, a.decay);
		float mean = or_zero(m[i]), square = or_zero(v[i]);
		m[i] = exp_fmaf(a.gain1, d - mean, mean);
		v[i] = exp_fmaf(a.gain2 * d, d, a.keep2 * square);
		w[i] = exp_fmaf(a.step, m[i] / exp_fmaf(sqrtf(v[i]), a.root, a.eps), a.keep * w[i]);
	}
}

static void sgd_portable(int64_t n, float *w, const float *g, float *velocity, struct exp_sgd a) {
	for (int64_t i = 0; i < n; i++) {
		float d = gradient(g[i], w[i], a.grad_scale, a.decay);
		if (velocity) {
			velocity[i] = exp_fmaf(a.momentum, or_zero(velocity[i]), d);
			d = a.nesterov ? exp_fmaf(a.momentum, velocity[i], d) : velocity[i];
		}
		w[i] = exp_fmaf(-a.lr, d, w[i]);
	}
}

static void adagrad_portable(int64_t n, float *w, const float *g, float *sum, struct exp_adagrad a) {
	for (int64_t i = 0; i < n; i++) {
		float d = gradient(g[i], w[i], a.grad_scale, a.decay);
		sum[i] = exp_fmaf(d, d, sum[i]);
		w[i] = exp_fmaf(-a.lr, d / (sqrtf(sum[i]) + a.eps), w[i]);
	}
}

static void rmsprop_portable(int64_t n, float *w, const float *g, float *square, float *mean, float *velocity,
                             struct exp_rmsprop a) {
	for (int64_t i = 0; i < n; i++) {
		float d = gradient(g[i], w[i], a.grad_scale, a.decay);
		square[i] = exp_fmaf(a.gain * d, d, a.keep * or_zero(square[i]));
		float variance = square[i];
		if (mean) {
			float m = or_zero(mean[i]);
			mean[i] = exp_fmaf(a.gain, d - m, m);
			variance = exp_fmaf(-mean[i], mean[i], variance);
			if (0 > variance) variance = 0;
		}
		d /= sqrtf(variance) + a.eps;
		if (velocity) {
			velocity[i] = exp_fmaf(a.momentum, or_zero(velocity[i]), d);
			d = velocity[i];
		}
		w[i] = exp_fmaf(-a.lr, d, w[i]);
	}
}

static void clamp_portable(int64_t n, float *x, float limit) {
	for (int64_t i = 0; i < n; i++) {
		if (-limit > x[i]) x[i] = -limit;
		if (limit < x[i]) x[i] = limit;
	}
}

#ifdef EXP_X86

// Each of these updates eight elements, or the first rest of them.

// load_or_zero loads the first rest of eight elements as or_zero has them.
EXP_INLINE EXP_AVX2 __m256 load_or_zero(const float *x, int64_t rest) {
	return exp_unless_below8(exp_load_first(x, rest), _mm256_set1_ps(FLT_MIN));
}

EXP_INLINE EXP_AVX2 __m256 gradient_8(__m256 g, __m256 w, float scale, float decay) {
	__m256 d = _mm256_mul_ps(g, _mm256_set1_ps(scale));
	return decay != 0 ? _mm256_fmadd_ps(_mm256_set1_ps(decay), w, d) : d;
}

EXP_INLINE EXP_AVX2 void adam_8(int64_t rest, float *w, const float *g, float *m, float *v, const struct exp_adam *a) {
	__m256 weight = exp_load_first(w, rest);
	__m256 d = gradient_8(exp_load_first(g, rest), weight, a->grad_scale, a->decay);
	__m256 mean = load_or_zero(m, rest), square = load_or_zero(v, rest);
	mean = _mm256_fmadd_ps(_mm256_set1_ps(a->gain1), _mm256_sub_ps(d, mean), mean);
	square = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_set1_ps(a->gain2), d), d,
	                         _mm256_mul_ps(_mm256_set1_ps(a->keep2), square));
	__m256 root = _mm256_fmadd_ps(_mm256_sqrt_ps(square), _mm256_set1_ps(a->root), _mm256_set1_ps(a->eps));
	weight = _mm256_fmadd_ps(_mm256_set1_ps(a->step), _mm256_div_ps(mean, root),
	                         _mm256_mul_ps(_mm256_set1_ps(a->keep), weight));
	exp_store_first(m, mean, rest);
	exp_store_first(v, square, rest);
	exp_store_first(w, weight, rest);
}

static EXP_AVX2 void adam_avx2(int64_t n, float *w, const float *g, float *m, float *v, struct exp_adam a) {
	int64_t i = 0;
	for (; i + 16 <= n; i += 16) {
		exp_fetch(w + i), exp_fetch(g + i), exp_fetch(m + i), exp_fetch(v + i);
		adam_8(8, w + i, g + i, m + i, v + i, &a);
		adam_8(8, w + i + 8, g + i + 8, m + i + 8, v + i + 8, &a);
	}
	for (; i + 8 <= n; i += 8) adam_8(8, w + i, g + i, m + i, v + i, &a);
	if (i < n) adam_8(n - i, w + i, g + i, m + i, v + i, &a);
}

EXP_INLINE EXP_AVX2 void sgd_8(int64_t rest, float *w, const float *g, float *velocity, const struct exp_sgd *a) {
	__m256 weight = exp_load_first(w, rest), momentum = _mm256_set1_ps(a->momentum);
	__m256 d = gradient_8(exp_load_first(g, rest), weight, a->grad_scale, a->decay);
	if (velocity) {
		__m256 v = _mm256_fmadd_ps(momentum, load_or_zero(velocity, rest), d);
		exp_store_first(velocity, v, rest);
		d = a->nesterov ? _mm256_fmadd_ps(momentum, v, d) : v;
	}
	exp_store_first(w, _mm256_fnmadd_ps(_mm256_set1_ps(a->lr), d, weight), rest);
}

static EXP_AVX2 void sgd_avx2(int64_t n, float *w, const float *g, float *velocity, struct exp_sgd a) {
	int64_t i = 0;
	for (; i + 8 <= n; i += 8) sgd_8(8, w + i, g + i, velocity ? velocity + i : NULL, &a);
	if (i < n) sgd_8(n - i, w + i, g + i, velocity ? velocity + i : NULL, &a);
}

EXP_INLINE EXP_AVX2 void adagrad_8(int64_t rest, float *w, const float *g, float *sum, const struct exp_adagrad *a) {
	__m256 weight = exp_load_first(w, rest), total = exp_load_first(sum, rest);
	__m256 d = gradient_8(exp_load_first(g, rest), weight, a->grad_scale, a->decay);
	total = _mm256_fmadd_ps(d, d, total);
	exp_store_first(sum, total, rest);
	d = _mm256_div_ps(d, _mm256_add_ps(_mm256_sqrt_ps(total), _mm256_set1_ps(a->eps)));
	exp_store_first(w, _mm256_fnmadd_ps(_mm256_set1_ps(a->lr), d, weight), rest);
}

static EXP_AVX2 void adagrad_avx2(int64_t n, float *w, const float *g, float *sum, struct exp_adagrad a) {
	int64_t i = 0;
	for (; i + 8 <= n; i += 8) adagrad_8(8, w + i, g + i, sum + i, &a);
	if (i < n) adagrad_8(n - i, w + i, g + i, sum + i, &a);
}

EXP_INLINE EXP_AVX2 void rmsprop_8(int64_t rest, float *w, const float *g, float *square, float *mean, float *velocity,
                                   const struct exp_rmsprop *a) {
	const __m256 gain = _mm256_set1_ps(a->gain);
	__m256 weight = exp_load_first(w, rest), total = load_or_zero(square, rest);
	__m256 d = gradient_8(exp_load_first(g, rest), weight, a->grad_scale, a->decay);
	total = _mm256_fmadd_ps(_mm256_mul_ps(gain, d), d, _mm256_mul_ps(_mm256_set1_ps(a->keep), total));
	exp_store_first(square, total, rest);
	if (mean) {
		__m256 m = load_or_zero(mean, rest);
		m = _mm256_fmadd_ps(gain, _mm256_sub_ps(d, m), m);
		exp_store_first(mean, m, rest);
		total = _mm256_max_ps(_mm256_setzero_ps(), _mm256_fnmadd_ps(m, m, total));
	}
	d = _mm256_div_ps(d, _mm256_add_ps(_mm256_sqrt_ps(total), _mm256_set1_ps(a->eps)));
	if (velocity) {
		d = _mm256_fmadd_ps(_mm256_set1_ps(a->momentum), load_or_zero(velocity, rest), d);
		exp_store_first(velocity, d, rest);
	}
	exp_store_first(w, _mm256_fnmadd_ps(_mm256_set1_ps(a->lr), d, weight), rest);
}

static EXP_AVX2 void rmsprop_avx2(int64_t n, float *w, const float *g, float *square, float *mean, float *velocity,
                                  struct exp_rmsprop a) {
	for (int64_t i = 0; i < n; i += 8) {
		rmsprop_8(n - i, w + i, g + i, square + i, mean ? mean + i : NULL, velocity ? velocity + i : NULL, &a);
	}
}

static EXP_AVX2 void clamp_avx2(int64_t n, float *x, float limit) {
	const __m256 low = _mm256_set1_ps(-limit), high = _mm256_set1_ps(limit);
	for (int64_t i = 0; i < n; i += 8) {
		__m256 v = exp_load_first(x + i, n - i);
		exp_store_first(x + i, _mm256_min_ps(high, _mm256_max_ps(low, v)), n - i);
	}
}

#endif

void exp_adam_step(int64_t n, float *w, const float *g, float *m, float *v, struct exp_adam a) {
	EXP_CALL(adam, n, w, g, m, v, a);
}

void exp_sgd_step(int64_t n, float *w, const float *g, float *velocity, struct exp_sgd a) {
	EXP_CALL(sgd, n, w, g, velocity, a);
}

void exp_adagrad_step(int64_t n, float *w, const float *g, float *sum, struct exp_adagrad a) {
	EXP_CALL(adagrad, n, w, g, sum, a);
}

void exp_rmsprop_step(int64_t n, float *w, const float *g, float *square, float *mean, float *velocity,
                      struct exp_rmsprop a) {
	EXP_CALL(rmsprop, n, w, g, square, mean, velocity, a);
}

void exp_clamp(int64_t n, float *x, float limit) { EXP_CALL(clamp, n, x, limit); }
