// exp, tanh, sigmoid, GELU and log, an element or eight at a time, and the
// functions over slices that Go calls, see activation.go. activation_reference.go
// is the same in Go and says why each step is as it is.

#ifndef EXP_ACTIVATION_H
#define EXP_ACTIVATION_H

#include "kernel.h"

void exp_exp(int64_t n, float *dst, const float *src);
void exp_tanh(int64_t n, float *dst, const float *src);
void exp_tanh_backward(int64_t n, float *dx, const float *dy, const float *y);
void exp_sigmoid(int64_t n, float *dst, const float *src);
void exp_sigmoid_backward(int64_t n, float *dx, const float *dy, const float *y);
void exp_relu(int64_t n, float *dst, const float *src);
void exp_relu_backward(int64_t n, float *dx, const float *dy, const float *y);
void exp_gelu(int64_t n, float *dst, const float *src);
void exp_gelu_backward(int64_t n, float *dx, const float *dy, const float *x);
void exp_additive_terms(int64_t n, float *dst, const float *src);

#define EXP_LOG2E 0x1.715476p+0f
#define EXP_LN2_HIGH 0x1.62e43p-1f
#define EXP_LN2_LOW -0x1.05c61p-29f
#define EXP_ROUND 0x1.8p+23f
#define EXP_MIN -87.5f
#define EXP_MAX 89.0f

#define EXP_E2 0x1.fffffcp-2f
#define EXP_E3 0x1.555492p-3f
#define EXP_E4 0x1.5558d2p-5f
#define EXP_E5 0x1.1239dp-7f
#define EXP_E6 0x1.6a2472p-10f

#define EXP_TANH_MIN -20.0f

#define EXP_GELU_MAX 14.0f
#define EXP_GELU_P0 0x1p-1f
#define EXP_GELU_P1 0x1.bfbcap-2f
#define EXP_GELU_P2 0x1.75aafep-3f
#define EXP_GELU_P3 0x1.4ab5fcp-5f
#define EXP_GELU_P4 0x1.0b32e6p-8f
#define EXP_GELU_Q0 1.0f
#define EXP_GELU_Q1 0x1.ac2080p+0f
#define EXP_GELU_Q2 0x1.330300p+0f
#define EXP_GELU_Q3 0x1.dea0f8p-2f
#define EXP_GELU_Q4 0x1.9e8332p-4f
#define EXP_GELU_Q5 0x1.4ee13ep-7f
#define EXP_DENSITY 0x1.988454p-2f

EXP_INLINE uint32_t exp_bits(float x) {
	uint32_t bits;
	memcpy(&bits, &x, sizeof bits);
	return bits;
}

EXP_INLINE float exp_from_bits(uint32_t bits) {
	float x;
	memcpy(&x, &bits, sizeof x);
	return x;
}

// exp_reduce1 returns r and sets *scale to 2^(n+bias-127), where x = n ln 2 + r.
EXP_INLINE float exp_reduce1(float x, int bias, float *scale) {
	const float round = EXP_ROUND + (float)bias;
	float t = exp_fmaf(x, EXP_LOG2E, round);
	*scale = exp_from_bits(exp_bits(t) << 23);
	float n = t - round;
	return exp_fmaf(-n, EXP_LN2_LOW, exp_fmaf(-n, EXP_LN2_HIGH, x));
}

EXP_INLINE float exp_clamp1(float x) {
	x = EXP_MAX < x ? EXP_MAX : x;
	return EXP_MIN > x ? EXP_MIN : x;
}

EXP_INLINE float exp_scaled1(float r, float half) {
	float p = exp_fmaf(2 * EXP_E6, r, 2 * EXP_E5);
	p = exp_fmaf(p, r, 2 * EXP_E4);
	p = exp_fmaf(p, r, 2 * EXP_E3);
	p = exp_fmaf(p, r, 2 * EXP_E2);
	p = exp_fmaf(p, r, 2);
	p = exp_fmaf(p, r, 2);
	return p * half;
}

EXP_INLINE float exp_exp1(float x) {
	float half, r = exp_reduce1(exp_clamp1(x), 126, &half);
	return exp_scaled1(r, half);
}

EXP_INLINE float exp_sigmoid1(float x) { return 1 / (1 + exp_exp1(-x)); }

EXP_INLINE float exp_tanh1(float x) {
	float y = -2 * fabsf(x);
	y = EXP_TANH_MIN > y ? EXP_TANH_MIN : y;
	float scale, r = exp_reduce1(y, 127, &scale);
	float p = exp_fmaf(EXP_E6, r, EXP_E5);
	p = exp_fmaf(p, r, EXP_E4);
	p = exp_fmaf(p, r, EXP_E3);
	p = exp_fmaf(p, r, EXP_E2);
	p = exp_fmaf(r * r, p, r);
	float e = exp_fmaf(p, scale, scale - 1);
	return copysignf(e / (2 + e), x);
}

// exp_tail1 returns exp(-t*t/2), and sets *t to |x|, at most EXP_GELU_MAX, and
// *ratio + *rest to Φ(-t) / exp(-t*t/2).
EXP_INLINE float exp_tail1(float x, float *t, float *ratio, float *rest) {
	float a = fabsf(x);
	a = EXP_GELU_MAX < a ? EXP_GELU_MAX : a;
	*t = a;
	float square = a * a, square_rest = exp_fmaf(a, a, -square);
	float half, r = exp_reduce1(exp_clamp1(-0.5f * square), 126, &half);
	float e = exp_scaled1(exp_fmaf(-0.5f, square_rest, r), half);

	float p1 = exp_fmaf(EXP_GELU_P4, a, EXP_GELU_P3);
	p1 = exp_fmaf(p1, a, EXP_GELU_P2);
	p1 = exp_fmaf(p1, a, EXP_GELU_P1);
	float p = exp_fmaf(p1, a, EXP_GELU_P0), p_rest = exp_fmaf(p1, a, EXP_GELU_P0 - p);
	float q1 = exp_fmaf(EXP_GELU_Q5, a, EXP_GELU_Q4);
	q1 = exp_fmaf(q1, a, EXP_GELU_Q3);
	q1 = exp_fmaf(q1, a, EXP_GELU_Q2);
	q1 = exp_fmaf(q1, a, EXP_GELU_Q1);
	float q = exp_fmaf(q1, a, EXP_GELU_Q0), q_rest = exp_fmaf(q1, a, EXP_GELU_Q0 - q);
	float inverse = 1 / q;
	*ratio = p * inverse;
	*rest = (exp_fmaf(-*ratio, q, p) + exp_fmaf(-*ratio, q_rest, p_rest)) * inverse;
	return e;
}

EXP_INLINE float exp_gelu1(float x) {
	float t, ratio, rest, e = exp_tail1(x, &t, &ratio, &rest);
	t = t * e;
	return exp_fmaf(-t, ratio, exp_fmaf(-t, rest, x > 0 ? x : 0));
}

EXP_INLINE float exp_gelu_slope1(float x) {
	float t, ratio, rest, e = exp_tail1(x, &t, &ratio, &rest);
	float d = e * exp_fmaf(-EXP_DENSITY, t, ratio);
	return x > 0 ? 1 - d : d;
}

// exp_log1 is log(x) for x >= 1, finite, or a NaN. It works in double
// precision, once a row.
EXP_INLINE float exp_log1(float x) {
	if (!(x >= 1)) return NAN;
	double m = x;
	uint64_t bits;
	memcpy(&bits, &m, sizeof bits);
	double n = (double)((int64_t)(bits >> 52) - 1023);
	bits = (bits & 0xfffffffffffffu) | 0x3ff0000000000000u;
	memcpy(&m, &bits, sizeof m);
	if (m > 0x1.6a09e667f3bcdp+0) {
		m = m / 2;
		n = n + 1;
	}
	double f = (m - 1) / (m + 1), s = f * f;
	double p = s / 13 + 1. / 11;
	p = p * s + 1. / 9;
	p = p * s + 1. / 7;
	p = p * s + 1. / 5;
	p = p * s + 1. / 3;
	p = p * s + 1;
	return (float)(n * 0x1.62e42fefa39efp-1 + 2 * f * p);
}

EXP_INLINE float exp_one_minus_square1(float y) { return exp_fmaf(-y, y, 1); } // 1 - y*y
EXP_INLINE float exp_minus_square1(float y) { return exp_fmaf(-y, y, y); }     // y - y*y

#ifdef EXP_X86

// EXP_IF_AVX2 runs call and returns where the path is AVX2 or AVX-512.
#define EXP_IF_AVX2(call)               \
	if (exp_path <= EXP_PATH_AVX2) {    \
		call;                           \
		return;                         \
	}

// EXP_IF_AVX512 runs call and returns where the path is AVX-512.
#define EXP_IF_AVX512(call)             \
	if (exp_path == EXP_PATH_AVX512) {  \
		call;                           \
		return;                         \
	}

// EXP_CALL calls name_avx2 where the path is AVX2 or AVX-512, else name_portable.
#define EXP_CALL(name, ...) (exp_path <= EXP_PATH_AVX2 ? name##_avx2(__VA_ARGS__) : name##_portable(__VA_ARGS__))

// EXP_CALL_WIDE calls name_avx512 where the path is AVX-512, else as EXP_CALL.
#define EXP_CALL_WIDE(name, ...) (exp_path == EXP_PATH_AVX512 ? name##_avx512(__VA_ARGS__) : EXP_CALL(name, __VA_ARGS__))

EXP_INLINE EXP_AVX2 __m256 exp_splat(float x) { return _mm256_set1_ps(x); }
EXP_INLINE EXP_AVX2 __m256 exp_abs8(__m256 x) { return _mm256_andnot_ps(exp_splat(-0.0f), x); }
EXP_INLINE EXP_AVX2 __m256 exp_neg8(__m256 x) { return _mm256_xor_ps(exp_splat(-0.0f), x); }

EXP_INLINE EXP_AVX2 __m256 exp_reduce8(__m256 x, int bias, __m256 *scale) {
	const __m256 round = exp_splat(EXP_ROUND + (float)bias);
	__m256 t = _mm256_fmadd_ps(x, exp_splat(EXP_LOG2E), round);
	*scale = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(t), 23));
	__m256 n = _mm256_sub_ps(t, round);
	return _mm256_fnmadd_ps(n, exp_splat(EXP_LN2_LOW), _mm256_fnmadd_ps(n, exp_splat(EXP_LN2_HIGH), x));
}

// min and max return their second operand where one is a NaN.
EXP_INLINE EXP_AVX2 __m256 exp_clamp8(__m256 x) {
	return _mm256_max_ps(exp_splat(EXP_MIN), _mm256_min_ps(exp_splat(EXP_MAX), x));
}

EXP_INLINE EXP_AVX2 __m256 exp_scaled8(__m256 r, __m256 half) {
	__m256 p = _mm256_fmadd_ps(exp_splat(2 * EXP_E6), r, exp_splat(2 * EXP_E5));
	p = _mm256_fmadd_ps(p, r, exp_splat(2 * EXP_E4));
	p = _mm256_fmadd_ps(p, r, exp_splat(2 * EXP_E3));
	p = _mm256_fmadd_ps(p, r, exp_splat(2 * EXP_E2));
	p = _mm256_fmadd_ps(p, r, exp_splat(2));
	p = _mm256_fmadd_ps(p, r, exp_splat(2));
	return _mm256_mul_ps(p, half);
}

EXP_INLINE EXP_AVX2 __m256 exp_exp8(__m256 x) {
	__m256 half, r = exp_reduce8(exp_clamp8(x), 126, &half);
	return exp_scaled8(r, half);
}

EXP_INLINE EXP_AVX2 __m256 exp_sigmoid8(__m256 x) {
	const __m256 one = exp_splat(1);
	return _mm256_div_ps(one, _mm256_add_ps(one, exp_exp8(exp_neg8(x))));
}

EXP_INLINE EXP_AVX2 __m256 exp_tanh8(__m256 x) {
	__m256 y = _mm256_or_ps(exp_splat(-0.0f), x); // -|x|
	y = _mm256_max_ps(exp_splat(EXP_TANH_MIN), _mm256_add_ps(y, y));
	__m256 scale, r = exp_reduce8(y, 127, &scale);
	__m256 p = _mm256_fmadd_ps(exp_splat(EXP_E6), r, exp_splat(EXP_E5));
	p = _mm256_fmadd_ps(p, r, exp_splat(EXP_E4));
	p = _mm256_fmadd_ps(p, r, exp_splat(EXP_E3));
	p = _mm256_fmadd_ps(p, r, exp_splat(EXP_E2));
	p = _mm256_fmadd_ps(_mm256_mul_ps(r, r), p, r);
	__m256 e = _mm256_fmadd_ps(p, scale, _mm256_sub_ps(scale, exp_splat(1)));
	__m256 sign = _mm256_and_ps(exp_splat(-0.0f), x);
	return _mm256_or_ps(exp_abs8(_mm256_div_ps(e, _mm256_add_ps(exp_splat(2), e))), sign);
}

EXP_INLINE EXP_AVX2 __m256 exp_tail8(__m256 x, __m256 *t, __m256 *ratio, __m256 *rest) {
	__m256 a = _mm256_min_ps(exp_splat(EXP_GELU_MAX), exp_abs8(x));
	*t = a;
	__m256 square = _mm256_mul_ps(a, a), square_rest = _mm256_fmsub_ps(a, a, square);
	__m256 half, r = exp_reduce8(exp_clamp8(_mm256_mul_ps(exp_splat(-0.5f), square)), 126, &half);
	__m256 e = exp_scaled8(_mm256_fmadd_ps(exp_splat(-0.5f), square_rest, r), half);

	const __m256 p0 = exp_splat(EXP_GELU_P0), q0 = exp_splat(EXP_GELU_Q0);
	__m256 p1 = _mm256_fmadd_ps(exp_splat(EXP_GELU_P4), a, exp_splat(EXP_GELU_P3));
	p1 = _mm256_fmadd_ps(p1, a, exp_splat(EXP_GELU_P2));
	p1 = _mm256_fmadd_ps(p1, a, exp_splat(EXP_GELU_P1));
	__m256 p = _mm256_fmadd_ps(p1, a, p0), p_rest = _mm256_fmadd_ps(p1, a, _mm256_sub_ps(p0, p));
	__m256 q1 = _mm256_fmadd_ps(exp_splat(EXP_GELU_Q5), a, exp_splat(EXP_GELU_Q4));
	q1 = _mm256_fmadd_ps(q1, a, exp_splat(EXP_GELU_Q3));
	q1 = _mm256_fmadd_ps(q1, a, exp_splat(EXP_GELU_Q2));
	q1 = _mm256_fmadd_ps(q1, a, exp_splat(EXP_GELU_Q1));
	__m256 q = _mm256_fmadd_ps(q1, a, q0), q_rest = _mm256_fmadd_ps(q1, a, _mm256_sub_ps(q0, q));
	__m256 inverse = _mm256_div_ps(exp_splat(1), q);
	*ratio = _mm256_mul_ps(p, inverse);
	__m256 lost = _mm256_add_ps(_mm256_fnmadd_ps(*ratio, q, p), _mm256_fnmadd_ps(*ratio, q_rest, p_rest));
	*rest = _mm256_mul_ps(lost, inverse);
	return e;
}

EXP_INLINE EXP_AVX2 __m256 exp_gelu8(__m256 x) {
	__m256 t, ratio, rest, e = exp_tail8(x, &t, &ratio, &rest);
	t = _mm256_mul_ps(t, e);
	return _mm256_fnmadd_ps(t, ratio, _mm256_fnmadd_ps(t, rest, _mm256_max_ps(x, _mm256_setzero_ps())));
}

EXP_INLINE EXP_AVX2 __m256 exp_gelu_slope8(__m256 x) {
	__m256 t, ratio, rest, e = exp_tail8(x, &t, &ratio, &rest);
	__m256 d = _mm256_mul_ps(e, _mm256_fnmadd_ps(exp_splat(EXP_DENSITY), t, ratio));
	__m256 positive = _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_GT_OQ);
	return _mm256_blendv_ps(d, _mm256_sub_ps(exp_splat(1), d), positive);
}

EXP_INLINE EXP_AVX2 __m256 exp_one_minus_square8(__m256 y) { return _mm256_fnmadd_ps(y, y, exp_splat(1)); }
EXP_INLINE EXP_AVX2 __m256 exp_minus_square8(__m256 y) { return _mm256_fnmadd_ps(y, y, y); }

EXP_INLINE EXP_AVX512 __m512 exp_exp16(__m512 x) {
	const __m512 round = _mm512_set1_ps(EXP_ROUND + 126);
	x = _mm512_max_ps(_mm512_set1_ps(EXP_MIN), _mm512_min_ps(_mm512_set1_ps(EXP_MAX), x));
	__m512 t = _mm512_fmadd_ps(x, _mm512_set1_ps(EXP_LOG2E), round);
	__m512 half = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(t), 23)), n = _mm512_sub_ps(t, round);
	__m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(EXP_LN2_LOW), _mm512_fnmadd_ps(n, _mm512_set1_ps(EXP_LN2_HIGH), x));
	__m512 p = _mm512_fmadd_ps(_mm512_set1_ps(2 * EXP_E6), r, _mm512_set1_ps(2 * EXP_E5));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2 * EXP_E4));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2 * EXP_E3));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2 * EXP_E2));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2));
	return _mm512_mul_ps(p, half);
}

// exp_tanh16 computes with halves of y, r and e, which are as exact, and spares a doubling.
EXP_INLINE EXP_AVX512 __m512 exp_tanh16(__m512 x) {
	const __m512 round = _mm512_set1_ps(EXP_ROUND + 127), minus = _mm512_set1_ps(-0.0f), half = _mm512_set1_ps(0.5f);
	__m512 y = _mm512_max_ps(_mm512_set1_ps(EXP_TANH_MIN / 2), _mm512_or_ps(minus, x));
	__m512 t = _mm512_fmadd_ps(y, _mm512_set1_ps(2 * EXP_LOG2E), round);
	__m512 scale = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(t), 23)), n = _mm512_sub_ps(t, round);
	__m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(EXP_LN2_LOW / 2), _mm512_fnmadd_ps(n, _mm512_set1_ps(EXP_LN2_HIGH / 2), y));
	__m512 p = _mm512_fmadd_ps(_mm512_set1_ps(32 * EXP_E6), r, _mm512_set1_ps(16 * EXP_E5));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8 * EXP_E4));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4 * EXP_E3));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2 * EXP_E2));
	p = _mm512_fmadd_ps(_mm512_mul_ps(r, r), p, r);
	__m512 e = _mm512_fmadd_ps(p, scale, _mm512_fmsub_ps(scale, half, half));
	__m512i size = _mm512_castps_si512(_mm512_div_ps(e, _mm512_add_ps(_mm512_set1_ps(1), e)));
	return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(minus), _mm512_castps_si512(x), size, 0xca)); // x's sign
}

EXP_INLINE EXP_AVX512 __m512 exp_sigmoid16(__m512 x) {
	const __m512 one = _mm512_set1_ps(1);
	return _mm512_div_ps(one, _mm512_add_ps(one, exp_exp16(_mm512_xor_ps(_mm512_set1_ps(-0.0f), x))));
}

EXP_INLINE EXP_AVX512 __m512 exp_minus_square16(__m512 y) { return _mm512_fnmadd_ps(y, y, y); }
EXP_INLINE EXP_AVX512 __m512 exp_one_minus_square16(__m512 y) { return _mm512_fnmadd_ps(y, y, _mm512_set1_ps(1)); }

#else
#define EXP_IF_AVX512(call)
#define EXP_IF_AVX2(call)
#define EXP_CALL(name, ...) name##_portable(__VA_ARGS__)
#define EXP_CALL_WIDE EXP_CALL
#endif

#endif
