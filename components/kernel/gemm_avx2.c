// The inner loops of matrix products with AVX2 and FMA.

#include "gemm.h"

#ifdef EXP_X86

// Masks of the first n of 8 lanes start at lanes + 8 - n.
static const int32_t lanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

EXP_INLINE EXP_AVX2 __m256i mask_of(int64_t n) { return _mm256_loadu_si256((const __m256i *)(lanes + 8 - n)); }

// store_first stores the first n < 8 lanes (a masked store is slow on AMD).
EXP_INLINE EXP_AVX2 void store_first(float *dst, __m256 v, int64_t n) {
	__m128 x = _mm256_castps256_ps128(v);
	if (n & 4) {
		_mm_storeu_ps(dst, x);
		dst += 4;
		x = _mm256_extractf128_ps(v, 1);
	}
	if (n & 2) {
		_mm_storel_pi((__m64 *)dst, x);
		dst += 2;
		x = _mm_movehl_ps(x, x);
	}
	if (n & 1) _mm_store_ss(dst, x);
}

// Tiles of at least so many rows fetch the panel that comes next and, a row
// every FETCH_STEPS of k, C, see gemm_avx512.c.
enum { FETCHING = 4, FETCH_STEPS = 16 };

// tile_step adds the products of one k to a tile. Every third row of A has a
// pointer, the others are at an index times 4 or 8 from it; every second vector
// of B has one.
EXP_INLINE EXP_AVX2 void tile_step(const int rows, const int vectors, const int partial, const struct exp_block *t,
                                   __m256i mask, const float *as[4], const float *bs[2], __m256 acc[12][4]) {
	__m256 x[4];
	EXP_UNROLL(4)
	for (int v = 0; v < vectors; v++) {
		const float *q = bs[v / 2] + v % 2 * 8;
		x[v] = v < vectors - 1 || !partial ? _mm256_loadu_ps(q) : _mm256_maskload_ps(q, mask);
	}
	if (rows >= FETCHING) _mm_prefetch((const char *)bs[1], _MM_HINT_T1);
	EXP_UNROLL(12)
	for (int r = 0; r < rows; r++) {
		__m256 y = _mm256_broadcast_ss(as[r / 3] + r % 3 * t->row_a);
		EXP_UNROLL(4)
		for (int v = 0; v < vectors; v++) acc[r][v] = _mm256_fmadd_ps(y, x[v], acc[r][v]);
	}
	EXP_UNROLL(4)
	for (int i = 0; i < 4; i++) as[i] += t->step_a;
	bs[0] += t->row_b, bs[1] += t->row_b;
}

// tile computes rows by cols of C, where cols fills vectors vectors, the last
// perhaps in part. The constants are chosen so that rows*vectors accumulators
// stay in registers, and are at least 8 where they can be: two multiply-adds
// start in a cycle, and one takes four. partial: the last vector of B may not
// be read whole.
EXP_INLINE EXP_AVX2 void tile(const int rows, const int vectors, const int partial, const struct exp_block *t,
                              int64_t cols, const float *a, const float *b, float *c, const float *bias) {
	__m256 acc[12][4];
	const int64_t ldc = t->ldc;
	const int64_t rest = cols - 8 * (vectors - 1); // columns in the last vector
	const __m256i mask = mask_of(rest);
	const int last = vectors - 1;

	if (t->from == EXP_FROM_C) {
		EXP_UNROLL(12)
		for (int r = 0; r < rows; r++) {
			EXP_UNROLL(4)
			for (int v = 0; v < vectors; v++) {
				const float *p = c + r * ldc + 8 * v;
				acc[r][v] = v < last ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, mask);
			}
		}
	} else {
		EXP_UNROLL(4)
		for (int v = 0; v < vectors; v++) {
			__m256 x = _mm256_setzero_ps();
			if (t->from == EXP_FROM_BIAS) x = v < last ? _mm256_loadu_ps(bias + 8 * v) : _mm256_maskload_ps(bias + 8 * v, mask);
			EXP_UNROLL(12)
			for (int r = 0; r < rows; r++) acc[r][v] = x;
		}
	}

	const float *as[4], *bs[2] = {b, b + t->panel_b};
	EXP_UNROLL(4)
	for (int i = 0; i < 4; i++) as[i] = a + 3 * i * t->row_a;
	int64_t p = t->k;
	if (rows >= FETCHING && p >= rows * FETCH_STEPS) {
		p -= rows * FETCH_STEPS;
		const float *next = t->from == EXP_FROM_C ? c + rows * ldc : c;
		for (int r = 0; r < rows; r++, next += ldc) {
			_mm_prefetch((const char *)next, _MM_HINT_T1);
			for (int i = 0; i < FETCH_STEPS; i++) tile_step(rows, vectors, partial, t, mask, as, bs, acc);
		}
	}
	for (; p > 0; p--) tile_step(rows, vectors, partial, t, mask, as, bs, acc);

	EXP_UNROLL(12)
	for (int r = 0; r < rows; r++) {
		EXP_UNROLL(4)
		for (int v = 0; v < vectors; v++) {
			float *p = c + r * ldc + 8 * v;
			if (v < last || rest == 8) {
				_mm256_storeu_ps(p, acc[r][v]);
			} else {
				store_first(p, acc[r][v], rest);
			}
		}
	}
}

typedef void tile_func(const struct exp_block *t, int64_t cols, const float *a, const float *b, float *c,
                       const float *bias);

#define TILE(rows, vectors, partial)                                                                        \
	static EXP_AVX2 void tile_##rows##_##vectors##_##partial(const struct exp_block *t, int64_t cols,        \
	                                                         const float *a, const float *b, float *c,       \
	                                                         const float *bias) {                            \
		tile(rows, vectors, partial, t, cols, a, b, c, bias);                                                \
	}
#define TILES(rows, vectors) TILE(rows, vectors, 0) TILE(rows, vectors, 1)
TILES(1, 1) TILES(2, 1) TILES(3, 1) TILES(4, 1) TILES(5, 1) TILES(6, 1)
TILES(7, 1) TILES(8, 1) TILES(9, 1) TILES(10, 1) TILES(11, 1) TILES(12, 1)
TILES(1, 2) TILES(2, 2) TILES(3, 2) TILES(4, 2) TILES(5, 2) TILES(6, 2)
TILES(1, 3) TILES(2, 3) TILES(3, 3)
TILES(1, 4) TILES(2, 4) TILES(3, 4)

#define NAME(rows, vectors) {tile_##rows##_##vectors##_0, tile_##rows##_##vectors##_1}
// tiles[vectors][rows][partial]
static tile_func *const tiles[5][13][2] = {
    [1] = {[1] = NAME(1, 1), NAME(2, 1), NAME(3, 1), NAME(4, 1), NAME(5, 1), NAME(6, 1), NAME(7, 1), NAME(8, 1),
           NAME(9, 1), NAME(10, 1), NAME(11, 1), NAME(12, 1)},
    [2] = {[1] = NAME(1, 2), NAME(2, 2), NAME(3, 2), NAME(4, 2), NAME(5, 2), NAME(6, 2)},
    [3] = {[1] = NAME(1, 3), NAME(2, 3), NAME(3, 3)},
    [4] = {[1] = NAME(1, 4), NAME(2, 4), NAME(3, 4)},
};
static const int64_t max_rows[5] = {0, 12, 6, EXP_THIN_AVX2, EXP_THIN_AVX2};

void exp_columns_avx2(const struct exp_block *t, int64_t m, int64_t cols, const float *a, const float *b, float *c,
                      const float *bias) {
	int64_t vectors = (cols + 7) / 8;
	int partial = !t->padded && cols % 8 != 0;
	if (m == 0) return;
	int64_t parts = (m + max_rows[vectors] - 1) / max_rows[vectors]; // tiles of near equal height
	int64_t rows = m / parts, taller = m % parts;                    // of which the first are a row taller
	for (rows += taller > 0; parts > 0; parts--) {
		tiles[vectors][rows][partial](t, cols, a, b, c, bias);
		a += rows * t->row_a;
		c += rows * t->ldc;
		rows -= --taller == 0;
	}
}

// transpose_8 transposes 8 by 8 elements.
EXP_INLINE EXP_AVX2 void transpose_8(const float *src, int64_t lds, float *dst, int64_t ldd) {
	__m256 r[8], s[8];
	EXP_UNROLL(4)
	for (int i = 0; i < 4; i++) { // rows i and i+4 in the low and high half, columns 0-3 and 4-7
		const float *p = src + i * lds, *q = src + (i + 4) * lds;
		r[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(q), 1);
		r[i + 4] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p + 4)), _mm_loadu_ps(q + 4), 1);
	}
	EXP_UNROLL(2)
	for (int i = 0; i < 8; i += 4) { // four by four within each half
		s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
		s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
		s[i + 2] = _mm256_unpacklo_ps(r[i + 2], r[i + 3]);
		s[i + 3] = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
		_mm256_storeu_ps(dst + i * ldd, _mm256_shuffle_ps(s[i], s[i + 2], 0x44));
		_mm256_storeu_ps(dst + (i + 1) * ldd, _mm256_shuffle_ps(s[i], s[i + 2], 0xee));
		_mm256_storeu_ps(dst + (i + 2) * ldd, _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44));
		_mm256_storeu_ps(dst + (i + 3) * ldd, _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xee));
	}
}

EXP_AVX2 void exp_transpose_avx2(int64_t rows, int64_t cols, const float *src, int64_t lds, float *dst, int64_t ldd) {
	int64_t r = 0;
	for (; r + 8 <= rows; r += 8) {
		int64_t q = 0;
		for (; q + 8 <= cols; q += 8) transpose_8(src + r * lds + q, lds, dst + q * ldd + r, ldd);
		exp_transpose_portable(8, cols - q, src + r * lds + q, lds, dst + q * ldd + r, ldd);
	}
	exp_transpose_portable(rows - r, cols, src + r * lds, lds, dst + r, ldd);
}

#endif
