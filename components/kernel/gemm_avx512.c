// The inner loops of matrix products with AVX-512.

#include "gemm.h"

#ifdef EXP_X86

// Tiles of at least so many rows fetch into the second-level cache what comes
// next: they take long enough for it. These are the panels of B after theirs
// (a matrix of weights that no longer lies there, as each step of a recurrence
// walks through several, would hold them up by a quarter; panels past the last
// are fetched in vain), and, a row every FETCH_STEPS of k, C: where chains start
// from it the rows of the tile below, which would have to wait for them, else
// those that the tile will write.
// Into the first-level cache goes the part of A that is A_STEPS of k ahead: where A is
// transposed, each k has it in another line, at a distance that no processor foresees.
enum { FETCHING = 8, FETCH_STEPS = 8, A_STEPS = 8 };

// tile_step adds the products of one k to a tile. Every third row of A has a
// pointer, the others are at an index times 4 or 8 from it; every second vector
// of B has one.
EXP_INLINE EXP_AVX512 void tile_step(const int rows, const int vectors, const struct exp_block *t, __mmask16 rest,
                                     const float *as[5], const float *bs[2], __m512 acc[14][4]) {
	__m512 x[4];
	EXP_UNROLL(4)
	for (int v = 0; v < vectors; v++) {
		const float *q = bs[v / 2] + v % 2 * t->panel_b;
		x[v] = v < vectors - 1 ? _mm512_loadu_ps(q) : _mm512_maskz_loadu_ps(rest, q);
		if (rows >= FETCHING) _mm_prefetch((const char *)(q + vectors * t->panel_b), _MM_HINT_T1);
	}
	if (rows >= FETCHING && t->step_a != 1) {
		_mm_prefetch((const char *)(as[0] + A_STEPS * t->step_a), _MM_HINT_T0);
		_mm_prefetch((const char *)(as[4] + A_STEPS * t->step_a), _MM_HINT_T0);
	}
	EXP_UNROLL(14)
	for (int r = 0; r < rows; r++) {
		__m512 y = _mm512_set1_ps(as[r / 3][r % 3 * t->row_a]);
		EXP_UNROLL(4)
		for (int v = 0; v < vectors; v++) acc[r][v] = _mm512_fmadd_ps(y, x[v], acc[r][v]);
	}
	EXP_UNROLL(5)
	for (int i = 0; i < 5; i++) as[i] += t->step_a;
	bs[0] += t->row_b, bs[1] += t->row_b;
}

// fetch_ahead fetches two lines of what the next block reads of A: all of it is there in
// time where C has 16 panels of columns or more.
EXP_INLINE EXP_AVX512 void fetch_ahead(struct exp_ahead *f) {
	EXP_UNROLL(2)
	for (int i = 0; i < 2; i++) {
		if (f->rows == 0) return;
		_mm_prefetch((const char *)(f->row + f->at), _MM_HINT_T1);
		f->at += 16;
		if (f->at >= f->cols) {
			f->at = 0;
			if (--f->rows > 0) f->row += f->ld;
		}
	}
}

// tile computes rows by cols of C, where cols fills vectors vectors, the last
// perhaps in part: a vector is a row of a panel. The constants are chosen so
// that rows*vectors accumulators, the vectors of B and one element of A stay in
// the 32 registers.
EXP_INLINE EXP_AVX512 void tile(const int rows, const int vectors, const struct exp_block *t, int64_t cols,
                                const float *a, const float *b, float *c, const float *bias) {
	__m512 acc[14][4];
	const int64_t row_a = t->row_a, panel_b = t->panel_b, ldc = t->ldc;
	const int last = vectors - 1;
	const __mmask16 rest = (__mmask16)(0xffff >> (EXP_PANEL * vectors - cols)); // columns in the last vector

	if (t->from == EXP_FROM_C) {
		EXP_UNROLL(14)
		for (int r = 0; r < rows; r++) {
			EXP_UNROLL(4)
			for (int v = 0; v < vectors; v++) {
				const float *p = c + r * ldc + EXP_PANEL * v;
				acc[r][v] = v < last ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(rest, p);
			}
		}
	} else {
		EXP_UNROLL(4)
		for (int v = 0; v < vectors; v++) {
			__m512 x = _mm512_setzero_ps();
			if (t->from == EXP_FROM_BIAS) x = _mm512_maskz_loadu_ps(v < last ? 0xffff : rest, bias + EXP_PANEL * v);
			EXP_UNROLL(14)
			for (int r = 0; r < rows; r++) acc[r][v] = x;
		}
	}

	const float *as[5], *bs[2] = {b, b + 2 * panel_b};
	EXP_UNROLL(5)
	for (int i = 0; i < 5; i++) as[i] = a + 3 * i * row_a;
	int64_t p = t->k;
	if (rows >= FETCHING && p >= rows * FETCH_STEPS) {
		p -= rows * FETCH_STEPS;
		const float *next = t->from == EXP_FROM_C ? c + rows * ldc : c;
		for (int r = 0; r < rows; r++, next += ldc) {
			EXP_UNROLL(4)
			for (int v = 0; v < vectors; v++) _mm_prefetch((const char *)(next + EXP_PANEL * v), _MM_HINT_T1);
			if (t->ahead) fetch_ahead(t->ahead);
			for (int i = 0; i < FETCH_STEPS; i++) tile_step(rows, vectors, t, rest, as, bs, acc);
		}
	}
	for (; p > 0; p--) tile_step(rows, vectors, t, rest, as, bs, acc);

	EXP_UNROLL(14)
	for (int r = 0; r < rows; r++) {
		EXP_UNROLL(4)
		for (int v = 0; v < vectors; v++) {
			float *p = c + r * ldc + EXP_PANEL * v;
			if (v < last) {
				_mm512_storeu_ps(p, acc[r][v]);
			} else {
				_mm512_mask_storeu_ps(p, rest, acc[r][v]);
			}
		}
	}
}

typedef void tile_func(const struct exp_block *t, int64_t cols, const float *a, const float *b, float *c,
                       const float *bias);

#define TILE(rows, vectors)                                                                                  \
	static EXP_AVX512 void tile_##rows##_##vectors(const struct exp_block *t, int64_t cols, const float *a,  \
	                                               const float *b, float *c, const float *bias) {            \
		tile(rows, vectors, t, cols, a, b, c, bias);                                                         \
	}
#define TILES(rows) TILE(rows, 1) TILE(rows, 2)
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6) TILES(7)
TILES(8) TILES(9) TILES(10) TILES(11) TILES(12) TILES(13) TILES(14)
TILE(1, 3) TILE(2, 3) TILE(3, 3) TILE(4, 3) TILE(5, 3) TILE(6, 3) TILE(7, 3)
TILE(1, 4) TILE(2, 4) TILE(3, 4) TILE(4, 4) TILE(5, 4) TILE(6, 4) TILE(7, 4)

#define SEVEN(vectors)                                                                                       \
	tile_1_##vectors, tile_2_##vectors, tile_3_##vectors, tile_4_##vectors, tile_5_##vectors,                \
	    tile_6_##vectors, tile_7_##vectors
#define FOURTEEN(vectors)                                                                                    \
	SEVEN(vectors), tile_8_##vectors, tile_9_##vectors, tile_10_##vectors, tile_11_##vectors,                \
	    tile_12_##vectors, tile_13_##vectors, tile_14_##vectors
// tiles[vectors][rows]
static tile_func *const tiles[5][15] = {
    [1] = {[1] = FOURTEEN(1)}, [2] = {[1] = FOURTEEN(2)}, [3] = {[1] = SEVEN(3)}, [4] = {[1] = SEVEN(4)}};
static const int64_t max_rows[5] = {0, 14, 14, EXP_THIN_AVX512, EXP_THIN_AVX512};

void exp_columns_avx512(const struct exp_block *t, int64_t m, int64_t cols, const float *a, const float *b, float *c,
                        const float *bias) {
	int64_t vectors = (cols + EXP_PANEL - 1) / EXP_PANEL;
	if (m == 0) return;
	int64_t parts = (m + max_rows[vectors] - 1) / max_rows[vectors]; // tiles of near equal height
	int64_t rows = m / parts, taller = m % parts;                    // of which the first are a row taller
	for (rows += taller > 0; parts > 0; parts--) {
		tiles[vectors][rows](t, cols, a, b, c, bias);
		a += rows * t->row_a;
		c += rows * t->ldc;
		rows -= --taller == 0;
	}
}

// pack_16 makes 16 rows of a panel of the cols columns of as many rows as fill
// groups of four; the constant groups spares the work of those that are not there.
EXP_INLINE EXP_AVX512 void pack_16(const int groups, int64_t rows, int64_t cols, const float *src, int64_t lds, float *dst) {
	const __mmask16 some = (__mmask16)(0xffff >> (16 - cols));
	const __m512 zero = _mm512_setzero_ps();
	__m512 r[16], s[16];
	EXP_UNROLL(16)
	for (int i = 0; i < 4 * groups; i++) r[i] = i < rows ? _mm512_maskz_loadu_ps(some, src + i * lds) : zero;
	EXP_UNROLL(4)
	for (int i = 0; i < 4 * groups; i += 4) { // four by four within each quarter
		__m512 a = _mm512_unpacklo_ps(r[i], r[i + 1]), b = _mm512_unpackhi_ps(r[i], r[i + 1]);
		__m512 c = _mm512_unpacklo_ps(r[i + 2], r[i + 3]), d = _mm512_unpackhi_ps(r[i + 2], r[i + 3]);
		s[i] = _mm512_shuffle_ps(a, c, 0x44), s[i + 1] = _mm512_shuffle_ps(a, c, 0xee);
		s[i + 2] = _mm512_shuffle_ps(b, d, 0x44), s[i + 3] = _mm512_shuffle_ps(b, d, 0xee);
	}
	EXP_UNROLL(4)
	for (int i = 0; i < 4; i++) { // the quarters of columns i, i+4, i+8, i+12
		if (groups == 1) {
			r[i] = _mm512_zextps128_ps512(_mm512_castps512_ps128(s[i]));
			r[i + 4] = _mm512_zextps128_ps512(_mm512_extractf32x4_ps(s[i], 1));
			r[i + 8] = _mm512_zextps128_ps512(_mm512_extractf32x4_ps(s[i], 2));
			r[i + 12] = _mm512_zextps128_ps512(_mm512_extractf32x4_ps(s[i], 3));
			continue;
		}
		__m512 a = _mm512_shuffle_f32x4(s[i], s[i + 4], 0x44), c = _mm512_shuffle_f32x4(s[i], s[i + 4], 0xee), b = zero, d = zero;
		if (groups == 4) {
			b = _mm512_shuffle_f32x4(s[i + 8], s[i + 12], 0x44), d = _mm512_shuffle_f32x4(s[i + 8], s[i + 12], 0xee);
		}
		r[i] = _mm512_shuffle_f32x4(a, b, 0x88), r[i + 4] = _mm512_shuffle_f32x4(a, b, 0xdd);
		r[i + 8] = _mm512_shuffle_f32x4(c, d, 0x88), r[i + 12] = _mm512_shuffle_f32x4(c, d, 0xdd);
	}
	if (cols == 16) {
	EXP_UNROLL(16)
		for (int i = 0; i < 16; i++) _mm512_storeu_ps(dst + i * EXP_PANEL, r[i]);
		return;
	}
	EXP_UNROLL(16)
	for (int i = 0; i < 16; i++) {
		if (i < cols) _mm512_storeu_ps(dst + i * EXP_PANEL, r[i]);
	}
}

EXP_AVX512 void exp_pack_transposed_avx512(int64_t rows, int64_t k, const float *src, int64_t lds, float *dst) {
	for (int64_t p = 0; p < k; p += 16, src += 16, dst += 16 * EXP_PANEL) {
		int64_t cols = k - p < 16 ? k - p : 16;
		if (rows <= 4) {
			pack_16(1, rows, cols, src, lds, dst);
		} else if (rows <= 8) {
			pack_16(2, rows, cols, src, lds, dst);
		} else if (rows < 16) {
			pack_16(4, rows, cols, src, lds, dst);
		} else {
			pack_16(4, 16, cols, src, lds, dst);
		}
	}
}

#endif
