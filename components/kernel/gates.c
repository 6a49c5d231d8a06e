#include "gates.h"
#include "activation.h"
#include "lanes.h"

// A function's name_step1 works on one unit, name_step8 on eight, name_step16 on
// sixteen: their slices start at the unit, in its row, and the gates are h apart.
// whole says that all eight are there, else the first rest are; some are those of
// sixteen that are.

// What a gradient must reach, or it has vanished and counts as 0, see gates.go.
#define EXP_VANISHED 0x1p-100f

EXP_INLINE float live1(float gradient) { return exp_unless_below1(gradient, EXP_VANISHED); }

EXP_INLINE void lstm_forward_step1(int64_t h, float *gates, const float *c_prev, float *c, float *h_out) {
	float i = exp_sigmoid1(gates[0]), f = exp_sigmoid1(gates[h]);
	float g = exp_tanh1(gates[2 * h]), o = exp_sigmoid1(gates[3 * h]);
	gates[0] = i, gates[h] = f, gates[2 * h] = g, gates[3 * h] = o;
	*c = exp_fmaf(f, *c_prev, i * g);
	*h_out = o * exp_tanh1(*c);
}

EXP_INLINE void lstm_backward_step1(int64_t h, float *gates, const float *c_prev, const float *c, const float *dh, float *dc) {
	float i = gates[0], f = gates[h], g = gates[2 * h], o = gates[3 * h];
	float t = exp_tanh1(*c), dy = live1(*dh);
	float d = exp_fmaf(dy * o, exp_one_minus_square1(t), live1(*dc));
	gates[0] = d * g * exp_minus_square1(i);
	gates[h] = d * *c_prev * exp_minus_square1(f);
	gates[2 * h] = d * i * exp_one_minus_square1(g);
	gates[3 * h] = dy * t * exp_minus_square1(o);
	*dc = d * f;
}

EXP_INLINE void gru_forward_step1(int64_t h, float *gi, const float *gh, const float *h_prev, float *h_out) {
	float r = exp_sigmoid1(gi[0] + gh[0]), z = exp_sigmoid1(gi[h] + gh[h]);
	float n = exp_tanh1(exp_fmaf(r, gh[2 * h], gi[2 * h]));
	gi[0] = r, gi[h] = z, gi[2 * h] = n;
	*h_out = exp_fmaf(z, *h_prev - n, n);
}

EXP_INLINE void gru_backward_step1(int64_t h, float *gi, float *gh, const float *h_prev, const float *dh, float *dh_prev) {
	float r = gi[0], z = gi[h], n = gi[2 * h], d = live1(*dh);
	float dn = d * (1 - z) * exp_one_minus_square1(n);
	float dr = dn * gh[2 * h] * exp_minus_square1(r);
	float dz = d * (*h_prev - n) * exp_minus_square1(z);
	gi[0] = dr, gi[h] = dz, gi[2 * h] = dn;
	gh[0] = dr, gh[h] = dz, gh[2 * h] = dn * r;
	*dh_prev = d * z;
}

EXP_INLINE float tanh_grad1(float dh, float h) { return live1(dh) * exp_one_minus_square1(h); }
EXP_INLINE float relu_grad1(float dh, float h) { return h > 0 ? live1(dh) : 0; }

#ifdef EXP_X86

EXP_INLINE EXP_AVX2 __m256 load(const float *p, const int whole, int64_t rest) {
	return whole ? _mm256_loadu_ps(p) : exp_load_first(p, rest);
}

EXP_INLINE EXP_AVX2 void store(float *p, __m256 v, const int whole, int64_t rest) {
	if (whole) {
		_mm256_storeu_ps(p, v);
	} else {
		exp_store_first(p, v, rest);
	}
}

EXP_INLINE EXP_AVX2 __m256 live8(__m256 gradient) { return exp_unless_below8(gradient, exp_splat(EXP_VANISHED)); }

#define LOAD(p) load(p, whole, rest)
#define STORE(p, v) store(p, v, whole, rest)

EXP_INLINE EXP_AVX2 void lstm_forward_step8(const int whole, int64_t rest, int64_t h, float *gates,
                                            const float *c_prev, float *c, float *h_out) {
	__m256 i = exp_sigmoid8(LOAD(gates)), f = exp_sigmoid8(LOAD(gates + h));
	__m256 g = exp_tanh8(LOAD(gates + 2 * h)), o = exp_sigmoid8(LOAD(gates + 3 * h));
	STORE(gates, i);
	STORE(gates + h, f);
	STORE(gates + 2 * h, g);
	STORE(gates + 3 * h, o);
	__m256 cell = _mm256_fmadd_ps(f, LOAD(c_prev), _mm256_mul_ps(i, g));
	STORE(c, cell);
	STORE(h_out, _mm256_mul_ps(o, exp_tanh8(cell)));
}

EXP_INLINE EXP_AVX2 void lstm_backward_step8(const int whole, int64_t rest, int64_t h, float *gates,
                                             const float *c_prev, const float *c, const float *dh, float *dc) {
	__m256 i = LOAD(gates), f = LOAD(gates + h), g = LOAD(gates + 2 * h), o = LOAD(gates + 3 * h);
	__m256 t = exp_tanh8(LOAD(c)), dy = live8(LOAD(dh));
	__m256 d = _mm256_fmadd_ps(_mm256_mul_ps(dy, o), exp_one_minus_square8(t), live8(LOAD(dc)));
	STORE(gates, _mm256_mul_ps(_mm256_mul_ps(d, g), exp_minus_square8(i)));
	STORE(gates + h, _mm256_mul_ps(_mm256_mul_ps(d, LOAD(c_prev)), exp_minus_square8(f)));
	STORE(gates + 2 * h, _mm256_mul_ps(_mm256_mul_ps(d, i), exp_one_minus_square8(g)));
	STORE(gates + 3 * h, _mm256_mul_ps(_mm256_mul_ps(dy, t), exp_minus_square8(o)));
	STORE(dc, _mm256_mul_ps(d, f));
}

EXP_INLINE EXP_AVX2 void gru_forward_step8(const int whole, int64_t rest, int64_t h, float *gi, const float *gh,
                                           const float *h_prev, float *h_out) {
	__m256 r = exp_sigmoid8(_mm256_add_ps(LOAD(gi), LOAD(gh)));
	__m256 z = exp_sigmoid8(_mm256_add_ps(LOAD(gi + h), LOAD(gh + h)));
	__m256 n = exp_tanh8(_mm256_fmadd_ps(r, LOAD(gh + 2 * h), LOAD(gi + 2 * h)));
	STORE(gi, r);
	STORE(gi + h, z);
	STORE(gi + 2 * h, n);
	STORE(h_out, _mm256_fmadd_ps(z, _mm256_sub_ps(LOAD(h_prev), n), n));
}

EXP_INLINE EXP_AVX2 void gru_backward_step8(const int whole, int64_t rest, int64_t h, float *gi, float *gh,
                                            const float *h_prev, const float *dh, float *dh_prev) {
	__m256 r = LOAD(gi), z = LOAD(gi + h), n = LOAD(gi + 2 * h), d = live8(LOAD(dh));
	__m256 dn = _mm256_mul_ps(_mm256_mul_ps(d, _mm256_sub_ps(exp_splat(1), z)), exp_one_minus_square8(n));
	__m256 dr = _mm256_mul_ps(_mm256_mul_ps(dn, LOAD(gh + 2 * h)), exp_minus_square8(r));
	__m256 dz = _mm256_mul_ps(_mm256_mul_ps(d, _mm256_sub_ps(LOAD(h_prev), n)), exp_minus_square8(z));
	STORE(gi, dr);
	STORE(gi + h, dz);
	STORE(gi + 2 * h, dn);
	STORE(gh, dr);
	STORE(gh + h, dz);
	STORE(gh + 2 * h, _mm256_mul_ps(dn, r));
	STORE(dh_prev, _mm256_mul_ps(d, z));
}

EXP_INLINE EXP_AVX512 __m512 live16(__m512 gradient) {
	const __m512 least = _mm512_set1_ps(EXP_VANISHED);
	return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(_mm512_abs_ps(gradient), least, _CMP_NLT_UQ), gradient);
}

#undef LOAD
#undef STORE
#define LOAD(p) _mm512_maskz_loadu_ps(some, p)
#define STORE(p, v) _mm512_mask_storeu_ps(p, some, v)

EXP_INLINE EXP_AVX512 void lstm_forward_step16(__mmask16 some, int64_t h, float *gates, const float *c_prev, float *c,
                                               float *h_out) {
	__m512 i = exp_sigmoid16(LOAD(gates)), f = exp_sigmoid16(LOAD(gates + h));
	__m512 g = exp_tanh16(LOAD(gates + 2 * h)), o = exp_sigmoid16(LOAD(gates + 3 * h));
	STORE(gates, i);
	STORE(gates + h, f);
	STORE(gates + 2 * h, g);
	STORE(gates + 3 * h, o);
	__m512 cell = _mm512_fmadd_ps(f, LOAD(c_prev), _mm512_mul_ps(i, g));
	STORE(c, cell);
	STORE(h_out, _mm512_mul_ps(o, exp_tanh16(cell)));
}

EXP_INLINE EXP_AVX512 void lstm_backward_step16(__mmask16 some, int64_t h, float *gates, const float *c_prev,
                                                const float *c, const float *dh, float *dc) {
	__m512 i = LOAD(gates), f = LOAD(gates + h), g = LOAD(gates + 2 * h), o = LOAD(gates + 3 * h);
	__m512 t = exp_tanh16(LOAD(c)), dy = live16(LOAD(dh));
	__m512 d = _mm512_fmadd_ps(_mm512_mul_ps(dy, o), exp_one_minus_square16(t), live16(LOAD(dc)));
	STORE(gates, _mm512_mul_ps(_mm512_mul_ps(d, g), exp_minus_square16(i)));
	STORE(gates + h, _mm512_mul_ps(_mm512_mul_ps(d, LOAD(c_prev)), exp_minus_square16(f)));
	STORE(gates + 2 * h, _mm512_mul_ps(_mm512_mul_ps(d, i), exp_one_minus_square16(g)));
	STORE(gates + 3 * h, _mm512_mul_ps(_mm512_mul_ps(dy, t), exp_minus_square16(o)));
	STORE(dc, _mm512_mul_ps(d, f));
}

EXP_INLINE EXP_AVX512 void gru_forward_step16(__mmask16 some, int64_t h, float *gi, const float *gh, const float *h_prev,
                                              float *h_out) {
	__m512 r = exp_sigmoid16(_mm512_add_ps(LOAD(gi), LOAD(gh)));
	__m512 z = exp_sigmoid16(_mm512_add_ps(LOAD(gi + h), LOAD(gh + h)));
	__m512 n = exp_tanh16(_mm512_fmadd_ps(r, LOAD(gh + 2 * h), LOAD(gi + 2 * h)));
	STORE(gi, r);
	STORE(gi + h, z);
	STORE(gi + 2 * h, n);
	STORE(h_out, _mm512_fmadd_ps(z, _mm512_sub_ps(LOAD(h_prev), n), n));
}

EXP_INLINE EXP_AVX512 void gru_backward_step16(__mmask16 some, int64_t h, float *gi, float *gh, const float *h_prev,
                                               const float *dh, float *dh_prev) {
	__m512 r = LOAD(gi), z = LOAD(gi + h), n = LOAD(gi + 2 * h), d = live16(LOAD(dh));
	__m512 dn = _mm512_mul_ps(_mm512_mul_ps(d, _mm512_sub_ps(_mm512_set1_ps(1), z)), exp_one_minus_square16(n));
	__m512 dr = _mm512_mul_ps(_mm512_mul_ps(dn, LOAD(gh + 2 * h)), exp_minus_square16(r));
	__m512 dz = _mm512_mul_ps(_mm512_mul_ps(d, _mm512_sub_ps(LOAD(h_prev), n)), exp_minus_square16(z));
	STORE(gi, dr);
	STORE(gi + h, dz);
	STORE(gi + 2 * h, dn);
	STORE(gh, dr);
	STORE(gh + h, dz);
	STORE(gh + 2 * h, _mm512_mul_ps(dn, r));
	STORE(dh_prev, _mm512_mul_ps(d, z));
}

// fetch fetches a vector of each of so many gates.
EXP_INLINE void fetch(const int gates, int64_t h, const float *p) {
	EXP_UNROLL(4)
	for (int g = 0; g < gates; g++) __builtin_prefetch(p + g * h);
}

EXP_INLINE EXP_AVX2 __m256 tanh_grad8(__m256 dh, __m256 h) {
	return _mm256_mul_ps(live8(dh), exp_one_minus_square8(h));
}

EXP_INLINE EXP_AVX2 __m256 relu_grad8(__m256 dh, __m256 h) {
	return _mm256_and_ps(live8(dh), _mm256_cmp_ps(h, _mm256_setzero_ps(), _CMP_GT_OQ));
}

#endif

// ROWS_WIDE makes name_avx2 of name_step8, and name_avx512 of name_step16: step(j)
// is their arguments for the units from j of row r on. Neither what an earlier step
// kept nor what this one writes is in the cache: ahead(j) fetches of both the same units
// of the next row while those of this one are computed.
#ifdef EXP_X86
#define ROWS_WIDE(name, params, step, ahead)                                                                 \
	static EXP_AVX2 void name##_avx2 params {                                                                \
		for (int64_t r = 0; r < rows; r++) {                                                                 \
			int64_t j = 0;                                                                                   \
			for (; j + 8 <= h; j += 8) name##_step8(1, 8, step(j));                                          \
			if (j < h) name##_step8(0, h - j, step(j));                                                      \
		}                                                                                                    \
	}                                                                                                        \
	static EXP_AVX512 void name##_avx512 params {                                                            \
		for (int64_t r = 0; r < rows; r++) {                                                                 \
			EXP_VECTORS(j, h, {                                                                              \
				ahead(j);                                                                                    \
				name##_step16(some, step(j));                                                                \
			});                                                                                              \
		}                                                                                                    \
	}
#define BINARY_AVX2(name)                                                                                    \
	static EXP_AVX2 void name##_avx2(int64_t n, float *dg, const float *dh, const float *h) {                \
		int64_t i = 0;                                                                                       \
		for (; i + 8 <= n; i += 8) {                                                                         \
			_mm256_storeu_ps(dg + i, name##8(_mm256_loadu_ps(dh + i), _mm256_loadu_ps(h + i)));              \
		}                                                                                                    \
		if (i == n) return;                                                                                  \
		exp_store_first(dg + i, name##8(exp_load_first(dh + i, n - i), exp_load_first(h + i, n - i)), n - i); \
	}
#else
#define ROWS_WIDE(name, params, step, ahead)
#define BINARY_AVX2(name)
#endif

#define ROWS(name, params, args, step, ahead)                                                                \
	ROWS_WIDE(name, params, step, ahead)                                                                     \
	void exp_##name params {                                                                                 \
		EXP_IF_AVX512(name##_avx512 args)                                                                    \
		EXP_IF_AVX2(name##_avx2 args)                                                                        \
		for (int64_t r = 0; r < rows; r++) {                                                                 \
			for (int64_t j = 0; j < h; j++) name##_step1(step(j));                                           \
		}                                                                                                    \
	}

#define STEP(j) h, gates + r * ld + j, c_prev + r * h + j, c + r * h + j, h_out + r * h + j
#define AHEAD(j) fetch(1, h, c_prev + (r + 1) * h + j), fetch(1, h, c + (r + 1) * h + j), fetch(1, h, h_out + (r + 1) * h + j)
ROWS(lstm_forward,
     (int64_t rows, int64_t h, float *gates, int64_t ld, const float *c_prev, float *c, float *h_out),
     (rows, h, gates, ld, c_prev, c, h_out), STEP, AHEAD)
#undef STEP
#undef AHEAD

#define STEP(j) h, gates + r * ld + j, c_prev + r * h + j, c + r * h + j, dh + r * h + j, dc + r * h + j
#define AHEAD(j)                                                                                             \
	fetch(4, h, gates + (r + 1) * ld + j), fetch(1, h, c_prev + (r + 1) * h + j),                            \
	    fetch(1, h, c + (r + 1) * h + j)
ROWS(lstm_backward,
     (int64_t rows, int64_t h, float *gates, int64_t ld, const float *c_prev, const float *c, const float *dh, float *dc),
     (rows, h, gates, ld, c_prev, c, dh, dc), STEP, AHEAD)
#undef STEP
#undef AHEAD

#define STEP(j) h, gi + 3 * r * h + j, gh + 3 * r * h + j, h_prev + r * h + j, h_out + r * h + j
#define AHEAD(j) fetch(1, h, h_prev + (r + 1) * h + j), fetch(1, h, h_out + (r + 1) * h + j)
ROWS(gru_forward, (int64_t rows, int64_t h, float *gi, const float *gh, const float *h_prev, float *h_out),
     (rows, h, gi, gh, h_prev, h_out), STEP, AHEAD)
#undef STEP
#undef AHEAD

#define STEP(j)                                                                                              \
	h, gi + 3 * r * h + j, gh + 3 * r * h + j, h_prev + r * h + j, dh + r * h + j, dh_prev + r * h + j
#define AHEAD(j)                                                                                             \
	fetch(3, h, gi + 3 * (r + 1) * h + j), fetch(3, h, gh + 3 * (r + 1) * h + j),                            \
	    fetch(1, h, h_prev + (r + 1) * h + j)
ROWS(gru_backward,
     (int64_t rows, int64_t h, float *gi, float *gh, const float *h_prev, const float *dh, float *dh_prev),
     (rows, h, gi, gh, h_prev, dh, dh_prev), STEP, AHEAD)

#define BINARY(name)                                                                                         \
	BINARY_AVX2(name)                                                                                        \
	void exp_##name(int64_t n, float *dg, const float *dh, const float *h) {                                 \
		EXP_IF_AVX2(name##_avx2(n, dg, dh, h))                                                               \
		for (int64_t i = 0; i < n; i++) dg[i] = name##1(dh[i], h[i]);                                        \
	}
BINARY(tanh_grad)
BINARY(relu_grad)
