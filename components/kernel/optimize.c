#include "optimize.h"
#include "lanes.h"

static void adam_portable(int64_t n, float *w, const float *g, float *m, float *v, struct exp_adam a) {
	for (int64_t i = 0; i < n; i++) {
		float d = g[i] * a.grad_scale;
		m[i] = exp_fmaf(a.gain1, d - m[i], m[i]);
		v[i] = exp_fmaf(a.gain2 * d, d, a.keep2 * v[i]);
		w[i] = exp_fmaf(a.step, m[i] / exp_fmaf(sqrtf(v[i]), a.root, a.eps), w[i]);
	}
}

static void sgd_portable(int64_t n, float *w, const float *g, float *velocity, float lr, float momentum, int nesterov,
                         float grad_scale) {
	for (int64_t i = 0; i < n; i++) {
		float d = g[i] * grad_scale;
		if (velocity) {
			velocity[i] = exp_fmaf(momentum, velocity[i], d);
			d = nesterov ? exp_fmaf(momentum, velocity[i], d) : velocity[i];
		}
		w[i] = exp_fmaf(-lr, d, w[i]);
	}
}

#ifdef EXP_X86

// Eight elements, or the first rest of them.
EXP_INLINE EXP_AVX2 void adam_8(int64_t rest, float *w, const float *g, float *m, float *v, const struct exp_adam *a) {
	__m256 d = _mm256_mul_ps(exp_load_first(g, rest), _mm256_set1_ps(a->grad_scale));
	__m256 mean = exp_load_first(m, rest), square = exp_load_first(v, rest);
	mean = _mm256_fmadd_ps(_mm256_set1_ps(a->gain1), _mm256_sub_ps(d, mean), mean);
	square = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_set1_ps(a->gain2), d), d,
	                         _mm256_mul_ps(_mm256_set1_ps(a->keep2), square));
	__m256 root = _mm256_fmadd_ps(_mm256_sqrt_ps(square), _mm256_set1_ps(a->root), _mm256_set1_ps(a->eps));
	__m256 weight = _mm256_fmadd_ps(_mm256_set1_ps(a->step), _mm256_div_ps(mean, root), exp_load_first(w, rest));
	exp_store_first(m, mean, rest);
	exp_store_first(v, square, rest);
	exp_store_first(w, weight, rest);
}

static EXP_AVX2 void adam_avx2(int64_t n, float *w, const float *g, float *m, float *v, struct exp_adam a) {
	int64_t i = 0;
	for (; i + 8 <= n; i += 8) adam_8(8, w + i, g + i, m + i, v + i, &a);
	if (i < n) adam_8(n - i, w + i, g + i, m + i, v + i, &a);
}

EXP_INLINE EXP_AVX2 void sgd_8(int64_t rest, float *w, const float *g, float *velocity, __m256 lr, __m256 momentum,
                               int nesterov, __m256 grad_scale) {
	__m256 d = _mm256_mul_ps(exp_load_first(g, rest), grad_scale);
	if (velocity) {
		__m256 v = _mm256_fmadd_ps(momentum, exp_load_first(velocity, rest), d);
		exp_store_first(velocity, v, rest);
		d = nesterov ? _mm256_fmadd_ps(momentum, v, d) : v;
	}
	exp_store_first(w, _mm256_fnmadd_ps(lr, d, exp_load_first(w, rest)), rest);
}

static EXP_AVX2 void sgd_avx2(int64_t n, float *w, const float *g, float *velocity, float lr, float momentum,
                              int nesterov, float grad_scale) {
	const __m256 rate = _mm256_set1_ps(lr), keep = _mm256_set1_ps(momentum), scale = _mm256_set1_ps(grad_scale);
	int64_t i = 0;
	for (; i + 8 <= n; i += 8) sgd_8(8, w + i, g + i, velocity ? velocity + i : NULL, rate, keep, nesterov, scale);
	if (i < n) sgd_8(n - i, w + i, g + i, velocity ? velocity + i : NULL, rate, keep, nesterov, scale);
}

#endif

void exp_adam_step(int64_t n, float *w, const float *g, float *m, float *v, struct exp_adam a) {
#ifdef EXP_X86
	if (exp_path <= EXP_PATH_AVX2) {
		adam_avx2(n, w, g, m, v, a);
		return;
	}
#endif
	adam_portable(n, w, g, m, v, a);
}

void exp_sgd_step(int64_t n, float *w, const float *g, float *velocity, float lr, float momentum, int nesterov,
                  float grad_scale) {
#ifdef EXP_X86
	if (exp_path <= EXP_PATH_AVX2) {
		sgd_avx2(n, w, g, velocity, lr, momentum, nesterov, grad_scale);
		return;
	}
#endif
	sgd_portable(n, w, g, velocity, lr, momentum, nesterov, grad_scale);
}
