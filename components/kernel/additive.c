#include "additive.h"
#include "activation.h"
#include "gemm.h"
#include "lanes.h"
#include "softmax.h"

#define EXP_MOST 0x1p60f // of which the reciprocal does not count beside 1

// exp_half1 is (1 - tanh(x + y))/2 for q and k the terms of x and y.
EXP_INLINE float exp_half1(float q, float k) {
	float b = exp_fmaf(q, k, 1);
	b = EXP_MOST < b ? EXP_MOST : b;
	return 1 / exp_from_bits(exp_bits(b) & ~1u);
}

EXP_INLINE float score1(int64_t a, const float *q, const float *k, const float *v, const float *total) {
	float lane[EXP_LANES] = {0};
	for (int64_t x = 0; x < a; x += EXP_LANES) {
		int64_t count = a - x < EXP_LANES ? a - x : EXP_LANES;
		for (int64_t l = 0; l < count; l++) lane[l] = exp_fmaf(v[x + l], exp_half1(q[x + l], k[x + l]), lane[l]);
	}
	for (int64_t l = 0; l < EXP_LANES; l++) lane[l] = exp_fmaf(-2, lane[l], total[l]);
	return exp_join(lane);
}

static void scores_portable(int64_t t, int64_t s, int64_t a, const float *q, const float *k, const float *v,
                            float *scores, int64_t ld) {
	float total[EXP_LANES] = {0};
	for (int64_t x = 0; x < a; x++) total[x % EXP_LANES] += v[x];
	for (int64_t i = 0; i < t; i++) {
		for (int64_t j = 0; j < s; j++) scores[i * ld + j] = score1(a, q + i * a, k + j * a, v, total);
	}
}

static void backward_portable(int64_t t, int64_t s, int64_t a, int64_t lda, const float *q, const float *k, const float *v,
                              const float *dscores, int64_t ld, float *dq, float *dk, float *dv) {
	for (int64_t x = 0; x < a; x++) {
		float total = 0, sum = 0;
		for (int64_t i = 0; i < t; i++) {
			for (int64_t j = 0; j < s; j++) {
				float d = dscores[i * ld + j];
				if (d == 0) continue;
				float half = exp_half1(q[i * lda + x], k[j * lda + x]);
				float g = d * (4 * v[x]) * exp_minus_square1(half);
				total += d;
				sum = exp_fmaf(d, half, sum);
				dq[i * lda + x] += g;
				dk[j * lda + x] += g;
			}
		}
		dv[x] += exp_fmaf(-2, sum, total);
	}
}

// fetching is what to fetch while something else is computed: stretches of memory, from at to end.
struct fetching {
	const float *at[3], *end[3];
};

#ifdef EXP_X86

EXP_INLINE EXP_AVX2 __m256 exp_half8(__m256 q, __m256 k) {
	__m256 b = _mm256_min_ps(exp_splat(EXP_MOST), _mm256_fmadd_ps(q, k, exp_splat(1)));
	return _mm256_div_ps(exp_splat(1), _mm256_and_ps(b, _mm256_castsi256_ps(_mm256_set1_epi32(~1))));
}

EXP_INLINE EXP_AVX2 float score8(int64_t a, const float *q, const float *k, const float *v, __m256 total_low, __m256 total_high) {
	__m256 low = _mm256_setzero_ps(), high = low;
	const __m256 minus2 = exp_splat(-2);
	int64_t x = 0;
	for (; x + 16 <= a; x += 16) {
		__m256 y = exp_half8(_mm256_loadu_ps(q + x), _mm256_loadu_ps(k + x));
		__m256 z = exp_half8(_mm256_loadu_ps(q + x + 8), _mm256_loadu_ps(k + x + 8));
		low = _mm256_fmadd_ps(_mm256_loadu_ps(v + x), y, low);
		high = _mm256_fmadd_ps(_mm256_loadu_ps(v + x + 8), z, high);
	}
	for (__m256 *sum = &low; x < a; x += 8, sum = &high) {
		__m256 y = exp_half8(exp_load_first(q + x, a - x), exp_load_first(k + x, a - x));
		__m256 next = _mm256_fmadd_ps(exp_load_first(v + x, a - x), y, *sum);
		// A lane may have become -0 by underflow: the others must not take in a +0.
		*sum = _mm256_blendv_ps(*sum, next, _mm256_castsi256_ps(exp_mask(a - x)));
	}
	return exp_join_avx2(_mm256_fmadd_ps(minus2, low, total_low), _mm256_fmadd_ps(minus2, high, total_high));
}

static EXP_AVX2 void scores_avx2(int64_t t, int64_t s, int64_t a, const float *q, const float *k, const float *v,
                                 float *scores, int64_t ld) {
	float total[EXP_LANES] = {0};
	for (int64_t x = 0; x < a; x++) total[x % EXP_LANES] += v[x];
	const __m256 low = _mm256_loadu_ps(total), high = _mm256_loadu_ps(total + 8);
	for (int64_t i = 0; i < t; i++) {
		for (int64_t j = 0; j < s; j++) scores[i * ld + j] = score8(a, q + i * a, k + j * a, v, low, high);
	}
}

// backward_columns is the part of the columns from 0 to 7, or with whole false
// to rest-1: the order of additions to an element does not depend on how the
// columns are parted, and so what goes to dv stays in a register, and dq over a row.
EXP_INLINE EXP_AVX2 void backward_columns(const int whole, int64_t rest, int64_t t, int64_t s, int64_t lda,
                                          const float *q, const float *k, const float *v, const float *dscores,
                                          int64_t ld, float *dq, float *dk, float *dv) {
#define LOAD(p) (whole ? _mm256_loadu_ps(p) : exp_load_first(p, rest))
	const __m256 weight = _mm256_mul_ps(exp_splat(4), LOAD(v));
	__m256 sum = _mm256_setzero_ps();
	float total = 0;
	for (int64_t i = 0; i < t; i++) {
		const __m256 query = LOAD(q + i * lda);
		__m256 query_sum = LOAD(dq + i * lda);
		for (int64_t j = 0; j < s; j++) {
			float score = dscores[i * ld + j];
			if (score == 0) continue;
			const __m256 d = exp_splat(score);
			__m256 half = exp_half8(query, LOAD(k + j * lda));
			__m256 g = _mm256_mul_ps(_mm256_mul_ps(d, weight), exp_minus_square8(half));
			total += score;
			sum = _mm256_fmadd_ps(d, half, sum);
			query_sum = _mm256_add_ps(query_sum, g);
			exp_store_first(dk + j * lda, _mm256_add_ps(LOAD(dk + j * lda), g), whole ? 8 : rest);
		}
		exp_store_first(dq + i * lda, query_sum, whole ? 8 : rest);
	}
	sum = _mm256_fmadd_ps(exp_splat(-2), sum, exp_splat(total));
	exp_store_first(dv, _mm256_add_ps(LOAD(dv), sum), whole ? 8 : rest);
#undef LOAD
}

static EXP_AVX2 void backward_avx2(int64_t t, int64_t s, int64_t a, int64_t lda, const float *q, const float *k, const float *v,
                                   const float *dscores, int64_t ld, float *dq, float *dk, float *dv) {
	int64_t x = 0;
	for (; x + 8 <= a; x += 8) {
		backward_columns(1, 8, t, s, lda, q + x, k + x, v + x, dscores, ld, dq + x, dk + x, dv + x);
	}
	if (x < a) backward_columns(0, a - x, t, s, lda, q + x, k + x, v + x, dscores, ld, dq + x, dk + x, dv + x);
}

// exp_half16 divides by Newton's method from an approximation by Intel's table or AMD's,
// within 2^-14: two steps round as a division does where the divisor is not the number
// before a power of two (Markstein 1990), as none is whose last bit is 0.
EXP_INLINE EXP_AVX512 __m512 exp_half16(__m512 q, __m512 k) {
	const __m512 one = _mm512_set1_ps(1);
	__m512 b = _mm512_min_ps(_mm512_set1_ps(EXP_MOST), _mm512_fmadd_ps(q, k, one));
	b = _mm512_castsi512_ps(_mm512_and_epi32(_mm512_castps_si512(b), _mm512_set1_epi32(~1)));
	__m512 y = _mm512_rcp14_ps(b);
	y = _mm512_fmadd_ps(y, _mm512_fnmadd_ps(b, y, one), y);
	return _mm512_fmadd_ps(y, _mm512_fnmadd_ps(b, y, one), y);
}

// scores_fetching_avx512 fetches the d elements of each of these values, and those of the
// next s keys, while it computes with a key; NULL are none.
static EXP_AVX512 void scores_fetching_avx512(int64_t t, int64_t s, int64_t a, const float *q, const float *k, const float *v,
                                              float *scores, int64_t ld, int64_t d, const float *values, const float *next) {
	__m512 total = _mm512_setzero_ps();
	EXP_VECTORS(x, a, { total = _mm512_mask_add_ps(total, some, total, _mm512_maskz_loadu_ps(some, v + x)); });
	for (int64_t i = 0; i < t; i++, q += a) {
		for (int64_t j = 0; j < s; j++) {
			const float *key = k + j * a;
			if (i == 0 && values) exp_fetch_row(values + j * d, d);
			if (i == 0 && next) exp_fetch_row(next + j * a, a);
			__m512 sum = _mm512_setzero_ps(), y[4];
			int64_t x = 0;
			for (; x + 4 * EXP_LANES <= a; x += 4 * EXP_LANES) {
				EXP_UNROLL(4)
				for (int l = 0; l < 4; l++) {
					y[l] = exp_half16(_mm512_loadu_ps(q + x + EXP_LANES * l), _mm512_loadu_ps(key + x + EXP_LANES * l));
				}
				EXP_UNROLL(4)
				for (int l = 0; l < 4; l++) sum = _mm512_fmadd_ps(_mm512_loadu_ps(v + x + EXP_LANES * l), y[l], sum);
			}
			for (; x < a; x += EXP_LANES) {
				const __mmask16 some = exp_first(a - x);
				__m512 half = exp_half16(_mm512_maskz_loadu_ps(some, q + x), _mm512_maskz_loadu_ps(some, key + x));
				sum = _mm512_mask3_fmadd_ps(_mm512_maskz_loadu_ps(some, v + x), half, sum, some);
			}
			scores[i * ld + j] = exp_join_avx512(_mm512_fmadd_ps(_mm512_set1_ps(-2), sum, total));
		}
	}
}

static EXP_AVX512 void scores_avx512(int64_t t, int64_t s, int64_t a, const float *q, const float *k, const float *v,
                                     float *scores, int64_t ld) {
	scores_fetching_avx512(t, s, a, q, k, v, scores, ld, 0, NULL, NULL);
}

// WIDTH is how many vectors a strip holds, for enough independent divisions.
enum { WIDTH = 4 };

// fetch_some fetches as many lines of each stretch as a strip reads with a key.
EXP_INLINE void fetch_some(struct fetching *f) {
	for (int i = 0; i < 3; i++) {
		for (int n = 0; n < WIDTH && f->at[i] < f->end[i]; n++, f->at[i] += EXP_LANES) __builtin_prefetch(f->at[i], 0, 2);
	}
}

// backward_strip is the part of the columns from 0 on that vectors vectors hold,
// the last perhaps in part: see backward_columns. The wider a strip is, the fewer
// times the keys are walked through.
EXP_INLINE EXP_AVX512 void backward_strip(const int vectors, int64_t cols, int64_t t, int64_t s, int64_t lda, const float *q,
                                          const float *k, const float *v, const float *dscores, int64_t ld, float *dq,
                                          float *dk, float *dv, struct fetching *next) {
#define SOME(l) (l < vectors - 1 ? 0xffff : exp_first(cols - EXP_LANES * l))
#define LOAD(p, l) _mm512_maskz_loadu_ps(SOME(l), (p) + EXP_LANES * l)
	__m512 weight[WIDTH], sum[WIDTH], query_sum[WIDTH];
	float total = 0;
	EXP_UNROLL(4)
	for (int l = 0; l < vectors; l++) weight[l] = _mm512_mul_ps(_mm512_set1_ps(4), LOAD(v, l)), sum[l] = _mm512_setzero_ps();
	for (int64_t i = 0; i < t; i++) {
		const float *query = q + i * lda;
		EXP_UNROLL(4)
		for (int l = 0; l < vectors; l++) query_sum[l] = LOAD(dq + i * lda, l);
		for (int64_t j = 0; j < s; j++) {
			float score = dscores[i * ld + j];
			if (score == 0) continue;
			fetch_some(next);
			const __m512 d = _mm512_set1_ps(score);
			const float *key = k + j * lda;
			float *key_sum = dk + j * lda;
			total += score;
			__m512 g[WIDTH]; // stored when all are there, for a store keeps loads that come after it where they are
			EXP_UNROLL(4)
			for (int l = 0; l < vectors; l++) {
				__m512 half = exp_half16(LOAD(query, l), LOAD(key, l));
				g[l] = _mm512_mul_ps(_mm512_mul_ps(d, weight[l]), exp_minus_square16(half));
				sum[l] = _mm512_fmadd_ps(d, half, sum[l]);
				query_sum[l] = _mm512_add_ps(query_sum[l], g[l]);
				g[l] = _mm512_add_ps(LOAD(key_sum, l), g[l]);
			}
			EXP_UNROLL(4)
			for (int l = 0; l < vectors; l++) _mm512_mask_storeu_ps(key_sum + EXP_LANES * l, SOME(l), g[l]);
		}
		EXP_UNROLL(4)
		for (int l = 0; l < vectors; l++) _mm512_mask_storeu_ps(dq + i * lda + EXP_LANES * l, SOME(l), query_sum[l]);
	}
	EXP_UNROLL(4)
	for (int l = 0; l < vectors; l++) {
		sum[l] = _mm512_fmadd_ps(_mm512_set1_ps(-2), sum[l], _mm512_set1_ps(total));
		_mm512_mask_storeu_ps(dv + EXP_LANES * l, SOME(l), _mm512_add_ps(LOAD(dv, l), sum[l]));
	}
#undef LOAD
#undef SOME
}

static EXP_AVX512 void backward_avx512(int64_t t, int64_t s, int64_t a, int64_t lda, const float *q, const float *k, const float *v,
                                       const float *dscores, int64_t ld, float *dq, float *dk, float *dv, struct fetching *next) {
	const int64_t strip = WIDTH * EXP_LANES;
	int64_t x = 0;
	for (; x + strip <= a; x += strip) {
		backward_strip(WIDTH, strip, t, s, lda, q + x, k + x, v + x, dscores, ld, dq + x, dk + x, dv + x, next);
	}
	for (; x < a; x += EXP_LANES) {
		backward_strip(1, a - x, t, s, lda, q + x, k + x, v + x, dscores, ld, dq + x, dk + x, dv + x, next);
	}
}

#endif

void exp_additive_scores(int64_t t, int64_t s, int64_t a, const float *q, const float *k, const float *v,
                         float *scores, int64_t ld) {
	EXP_CALL_WIDE(scores, t, s, a, q, k, v, scores, ld);
}

// scores_backward is exp_additive_scores_backward, and with AVX-512 fetches next
// meanwhile.
static void scores_backward(int64_t t, int64_t s, int64_t a, int64_t lda, const float *q, const float *k, const float *v, const float *dscores,
                            int64_t ld, float *dq, float *dk, float *dv, struct fetching *next) {
#ifdef EXP_X86
	if (exp_path == EXP_PATH_AVX512) {
		backward_avx512(t, s, a, lda, q, k, v, dscores, ld, dq, dk, dv, next);
		return;
	}
#endif
	EXP_CALL(backward, t, s, a, lda, q, k, v, dscores, ld, dq, dk, dv);
}

void exp_additive_scores_backward(int64_t t, int64_t s, int64_t a, int64_t lda, const float *q, const float *k, const float *v,
                                  const float *dscores, int64_t ld, float *dq, float *dk, float *dv) {
	struct fetching none = {0};
	scores_backward(t, s, a, lda, q, k, v, dscores, ld, dq, dk, dv, &none);
}

// scores_of computes the scores of the sequence at r, after which another comes if more;
// values are wanted next, unless they are NULL.
static void scores_of(int64_t a, int64_t d, const struct exp_attention_rows *r, int more, const float *q, const float *k, const float *v,
                      const float *values, float *w) {
	const int64_t n = r->keys;
	q += r->query * a;
#ifdef EXP_X86
	if (exp_far && exp_path == EXP_PATH_AVX512) {
		const float *next = more && r[1].keys >= n ? k + r[1].key * a : NULL;
		scores_fetching_avx512(r->queries, n, a, q, k + r->key * a, v, w, n, d, values ? values + r->key * d : NULL, next);
		return;
	}
#endif
	exp_additive_scores(r->queries, n, a, q, k + r->key * a, v, w, n);
}

void exp_additive_attention(int64_t a, int64_t d, int64_t sequences, const struct exp_attention_rows *rows, const float *q,
                            const float *k, const float *v, const float *values, float *w, float *y) {
	for (const struct exp_attention_rows *r = rows; r < rows + sequences; r++) {
		const int64_t m = r->queries, n = r->keys;
		if (n > 0) {
			scores_of(a, d, r, r + 1 < rows + sequences, q, k, v, y ? values : NULL, w);
			exp_softmax_rows(m, n, w, n, NULL);
		}
		if (y) exp_multiply_rows(0, EXP_FROM_ZERO, m, d, n, w, n, values + r->key * d, d, y + r->query * d, d);
		w += m * n;
	}
}

// next_of is what the backward pass of the sequence at r will read, for the one before to fetch.
static struct fetching next_of(int64_t a, int64_t d, const struct exp_attention_rows *r, const float *k, const float *dk,
                               const float *transposed) {
	const int64_t keys = r->keys * a, at = r->key * a;
	return (struct fetching){{k + at, dk + at, transposed}, {k + at + keys, dk + at + keys, transposed ? transposed + r->keys * d : NULL}};
}

void exp_additive_attention_backward(int64_t a, int64_t d, int64_t sequences, const struct exp_attention_rows *rows, const float *q,
                                     const float *k, const float *v, const float *values, const float *transposed, const float *w,
                                     const float *dy, float *ds, float *dq, float *dk, float *dv, float *dvalues, float *scratch) {
	for (const struct exp_attention_rows *r = rows, *end = rows + sequences; r < end; r++) {
		const int64_t m = r->queries, n = r->keys;
		const float *dyr = dy + r->query * d;
		if (dvalues) exp_multiply_rows(1, EXP_FROM_C, n, d, m, w, n, dyr, d, dvalues + r->key * d, d);
		if (ds && n > 0) {
			if (transposed) {
				exp_multiply_rows(0, EXP_FROM_ZERO, m, n, d, dyr, d, transposed, n, ds, n);
				transposed += n * d;
			} else {
				exp_gemm(0, 1, m, n, d, dyr, d, values + r->key * d, d, ds, n, NULL, 0, EXP_A_STORED, EXP_B_PACK, 0, scratch);
			}
			exp_softmax_rows_backward(m, n, ds, w, ds, n, 1);
			if (dv) {
				struct fetching next = {0};
				if (exp_far && r + 1 < end) next = next_of(a, d, r + 1, k, dk, transposed);
				scores_backward(m, n, a, a, q + r->query * a, k + r->key * a, v, ds, n, dq + r->query * a, dk + r->key * a, dv, &next);
			}
			ds += m * n;
		}
		w += m * n;
	}
}

void exp_additive_gradients(int64_t a, int64_t lda, int64_t sequences, const struct exp_attention_rows *rows, const float *q,
                            const float *k, const float *v, const float *ds, float *dq, float *dk, float *dv) {
	for (const struct exp_attention_rows *r = rows; r < rows + sequences; r++) {
		const int64_t m = r->queries, n = r->keys, at_q = r->query * lda, at_k = r->key * lda;
		exp_additive_scores_backward(m, n, a, lda, q + at_q, k + at_k, v, ds, n, dq + at_q, dk + at_k, dv);
		ds += m * n;
	}
}
