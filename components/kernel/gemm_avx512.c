// The inner loops of matrix products with AVX-512.

#include "gemm.h"

#ifdef EXP_X86

// A tile of at least so many rows takes long enough to prepare what comes next. Before
// every EXP_GROUP steps of k it does a little of it, for the processor waits for few lines
// of memory at once, and those that a tile needs itself come behind them.
enum { PREPARING = 8 };

// Into the first-level cache a tile fetches the part of a transposed A that is so many
// steps of k ahead: each step has it in another line, at a distance that no processor
// foresees.
enum { STEPS_AHEAD = 8 };

// What the steps of a tile walk along, with strides in bytes.
struct walk {
	const char *a[5]; // every third row of A; the others are at its index times 4 or 8
	const char *b[2]; // every second panel of B
	int64_t row_a, step_a, row_b, panel_b;
};

// tile_step adds the products of one k to a tile.
EXP_INLINE EXP_AVX512 void tile_step(const int rows, const int vectors, const int transposed, struct walk *w, __mmask16 rest,
                                     __m512 acc[14][4]) {
	if (rows >= PREPARING) { // or the compiler leaves some of these in memory, and reads them in every step
		__asm__("" : "+r"(w->a[0]), "+r"(w->a[1]), "+r"(w->a[2]), "+r"(w->a[3]), "+r"(w->a[4]), "+r"(w->b[0]),
		        "+r"(w->row_a), "+r"(w->step_a), "+r"(w->row_b), "+r"(w->panel_b));
	}
	__m512 x[4];
	EXP_UNROLL(4)
	for (int v = 0; v < vectors; v++) {
		const float *q = (const float *)(w->b[v / 2] + v % 2 * w->panel_b);
		x[v] = v < vectors - 1 ? _mm512_loadu_ps(q) : _mm512_maskz_loadu_ps(rest, q);
	}
	if (transposed) {
		_mm_prefetch(w->a[0] + STEPS_AHEAD * w->step_a, _MM_HINT_T0);
		_mm_prefetch(w->a[(rows - 1) / 3] + STEPS_AHEAD * w->step_a, _MM_HINT_T0);
	}
	EXP_UNROLL(14)
	for (int r = 0; r < rows; r++) {
		__m512 y = _mm512_set1_ps(*(const float *)(w->a[r / 3] + r % 3 * w->row_a));
		EXP_UNROLL(4)
		for (int v = 0; v < vectors; v++) acc[r][v] = _mm512_fmadd_ps(y, x[v], acc[r][v]);
	}
	EXP_UNROLL(5)
	for (int i = 0; i < 5; i++) w->a[i] += w->step_a;
	w->b[0] += w->row_b, w->b[1] += w->row_b;
}

// The panels of B that come next, of which tiles fetch pace rows at a time.
struct panels {
	const float *row; // the next, of the first panel
	int64_t rows, pace;
};

EXP_INLINE EXP_AVX512 void fetch_panels(const int vectors, const struct exp_block *t, struct panels *next) {
	for (int64_t n = next->pace; n > 0 && next->rows > 0; n--, next->rows--, next->row += t->row_b) {
		EXP_UNROLL(4)
		for (int v = 0; v < vectors; v++) _mm_prefetch((const char *)(next->row + v * t->panel_b), _MM_HINT_T1);
	}
}

// go_ahead packs some of what the next block reads of A, and fetches the same a row
// further, or where that is not to be packed fetches some of it.
EXP_INLINE EXP_AVX512 void go_ahead(struct exp_ahead *f) {
	if (f->rows == 0) return;
	const float *p = f->next;
	float *q = f->packed;
	int64_t left = f->left;
	for (int64_t n = f->pace; n > 0; n--) {
		if (q) {
			const __mmask16 some = left == 1 ? f->last : 0xffff;
			_mm_prefetch((const char *)(p + f->ld), _MM_HINT_T1);
			_mm512_storeu_ps(q, _mm512_maskz_loadu_ps(some, p)); // there is room after a row
			q += EXP_PANEL;
		} else {
			_mm_prefetch((const char *)p, _MM_HINT_T1);
		}
		p += EXP_PANEL;
		if (--left > 0) continue;
		left = f->vectors;
		p += f->ld - EXP_PANEL * left;
		if (q) q += f->ld_packed - EXP_PANEL * left;
		if (--f->rows == 0) break;
	}
	f->next = p, f->packed = q, f->left = left;
}

// tile computes rows by cols of C, where cols fills vectors vectors, the last
// perhaps in part: a vector is a row of a panel. The constants are chosen so
// that rows*vectors accumulators, the vectors of B and one element of A stay in
// the 32 registers.
EXP_INLINE EXP_AVX512 void tile(const int rows, const int vectors, const struct exp_block *t, int64_t cols,
                                const float *a, const float *b, float *c, const float *bias, struct panels *panels) {
	__m512 acc[14][4];
	const int64_t panel_b = t->panel_b, ldc = t->ldc, size = sizeof(float);
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

	struct walk w = {.b = {(const char *)b, (const char *)(b + 2 * panel_b)},
	                 .row_a = t->row_a * size, .step_a = t->step_a * size, .row_b = t->row_b * size, .panel_b = panel_b * size};
	EXP_UNROLL(5)
	for (int i = 0; i < 5; i++) w.a[i] = (const char *)(a + 3 * i * t->row_a);
	int64_t p = t->k;
	if (rows >= PREPARING) {
		// Where chains start from C the rows of the tile below would have to be waited for.
		const float *next = t->from == EXP_FROM_C ? c + rows * ldc : c;
		for (int r = 0; p >= EXP_GROUP; p -= EXP_GROUP, r++, next += ldc) {
			if (r < rows) {
				EXP_UNROLL(4)
				for (int v = 0; v < vectors; v++) _mm_prefetch((const char *)(next + EXP_PANEL * v), _MM_HINT_T1);
			}
			fetch_panels(vectors, t, panels);
			if (t->ahead) go_ahead(t->ahead);
			if (t->step_a == 1) {
				for (int i = 0; i < EXP_GROUP; i++) tile_step(rows, vectors, 0, &w, rest, acc);
			} else {
				for (int i = 0; i < EXP_GROUP; i++) tile_step(rows, vectors, 1, &w, rest, acc);
			}
		}
	}
	for (; p > 0; p--) tile_step(rows, vectors, 0, &w, rest, acc);

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
                       const float *bias, struct panels *panels);

#define TILE(rows, vectors)                                                                                  \
	static EXP_AVX512 void tile_##rows##_##vectors(const struct exp_block *t, int64_t cols, const float *a,  \
	                                               const float *b, float *c, const float *bias,              \
	                                               struct panels *panels) {                                  \
		tile(rows, vectors, t, cols, a, b, c, bias, panels);                                                 \
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

void exp_multiply_block_avx512(const struct exp_block *t, int64_t m, int64_t n, const float *a, const float *b, float *c,
                               const float *bias) {
	if (m == 0) return;
	const int thin = m <= EXP_THIN_AVX512; // enough for tiles of four panels
	const int64_t most = thin ? 4 : 2;
	const int64_t parts = thin ? 1 : (m + EXP_TILE_AVX512 - 1) / EXP_TILE_AVX512; // tiles of near equal height,
	const int64_t height = m / parts, taller = m % parts;                        // the first of them a row taller
	const int64_t groups = parts * (t->k / EXP_GROUP), pace = groups > 0 ? (t->k + groups - 1) / groups : 0;
	for (int64_t j = 0; j < n; j += most * EXP_PANEL) {
		const int64_t cols = n - j < most * EXP_PANEL ? n - j : most * EXP_PANEL;
		tile_func *const *const of = tiles[(cols + EXP_PANEL - 1) / EXP_PANEL];
		const float *panel = b + j / EXP_PANEL * t->panel_b, *ai = a;
		float *ci = c + j;
		struct panels next = {.pace = pace};
		if (j + cols < n) {
			next.row = panel + most * t->panel_b, next.rows = t->k;
		} else if (t->more) { // the first of the indices that are summed next
			next.row = b + t->k * t->row_b, next.rows = t->k;
		}
		for (int64_t i = 0; i < parts; i++) {
			const int64_t rows = height + (i < taller);
			of[rows](t, cols, ai, panel, ci, bias ? bias + j : NULL, &next);
			ai += rows * t->row_a;
			ci += rows * t->ldc;
		}
	}
}

// four_rows is elements 0 to 3 of rows 0, 4, 8 and 12: a load puts a quarter in its place
// without the port that all shuffles wait for.
EXP_INLINE EXP_AVX512 __m512 four_rows(const float *src, int64_t lds) {
	__m512 r = _mm512_castps128_ps512(_mm_loadu_ps(src));
	r = _mm512_mask_broadcast_f32x4(r, 0x00f0, _mm_loadu_ps(src + 4 * lds));
	r = _mm512_mask_broadcast_f32x4(r, 0x0f00, _mm_loadu_ps(src + 8 * lds));
	return _mm512_mask_broadcast_f32x4(r, 0xf000, _mm_loadu_ps(src + 12 * lds));
}

// transpose_16 makes 16 columns of the cols first elements of as many rows as fill groups
// of four: r[i] is element i of each, and what is not there is zero. The constant groups
// spares the work of those that are not there, the constant whole says that all are.
EXP_INLINE EXP_AVX512 void transpose_16(const int whole, const int groups, int64_t rows, int64_t cols, const float *src, int64_t lds,
                                        __m512 r[16]) {
	if (whole) {
		EXP_UNROLL(4)
		for (int i = 0; i < 16; i += 4) { // four by four within each quarter
			const float *p = src + i;
			__m512 a = four_rows(p, lds), b = four_rows(p + lds, lds), c = four_rows(p + 2 * lds, lds), d = four_rows(p + 3 * lds, lds);
			__m512 e = _mm512_unpacklo_ps(a, b), f = _mm512_unpackhi_ps(a, b), g = _mm512_unpacklo_ps(c, d), h = _mm512_unpackhi_ps(c, d);
			r[i] = _mm512_shuffle_ps(e, g, 0x44), r[i + 1] = _mm512_shuffle_ps(e, g, 0xee);
			r[i + 2] = _mm512_shuffle_ps(f, h, 0x44), r[i + 3] = _mm512_shuffle_ps(f, h, 0xee);
		}
		return;
	}
	const __mmask16 some = (__mmask16)(0xffff >> (16 - cols));
	const __m512 zero = _mm512_setzero_ps();
	__m512 s[16];
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
}

// pack_16 makes 16 rows of a panel of the cols columns of as many rows.
EXP_INLINE EXP_AVX512 void pack_16(const int whole, const int groups, int64_t rows, int64_t cols, const float *src, int64_t lds, float *dst) {
	__m512 r[16];
	transpose_16(whole, groups, rows, cols, src, lds, r);
	if (whole || cols == 16) {
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
			pack_16(0, 1, rows, cols, src, lds, dst);
		} else if (rows <= 8) {
			pack_16(0, 2, rows, cols, src, lds, dst);
		} else if (rows < 16 || cols < 16) {
			pack_16(0, 4, rows, cols, src, lds, dst);
		} else {
			pack_16(1, 4, 16, 16, src, lds, dst);
		}
	}
}

// dot_16 adds to sum the products of the cols first elements of a with those of each row.
EXP_INLINE EXP_AVX512 __m512 dot_16(const int whole, const int groups, int64_t rows, int64_t cols, const float *a, const float *b, int64_t ldb,
                                    __m512 sum) {
	__m512 r[16];
	transpose_16(whole, groups, rows, cols, b, ldb, r);
	EXP_UNROLL(16)
	for (int i = 0; i < 16; i++) {
		if (i < cols) sum = _mm512_fmadd_ps(_mm512_set1_ps(a[i]), r[i], sum);
	}
	return sum;
}

EXP_AVX512 void exp_multiply_row_avx512(int64_t n, int64_t k, const float *a, const float *b, int64_t ldb, float *c) {
	for (int64_t j = 0; j < n; j += EXP_PANEL, b += EXP_PANEL * ldb, c += EXP_PANEL) {
		const int64_t rows = n - j < EXP_PANEL ? n - j : EXP_PANEL;
		__m512 sum = _mm512_setzero_ps();
		int64_t p = 0;
		if (rows == EXP_PANEL) {
			for (; p + 16 <= k; p += 16) sum = dot_16(1, 4, 16, 16, a + p, b + p, ldb, sum);
			if (p < k) sum = dot_16(0, 4, 16, k - p, a + p, b + p, ldb, sum);
		} else if (rows > 8) {
			for (; p < k; p += 16) sum = dot_16(0, 4, rows, k - p < 16 ? k - p : 16, a + p, b + p, ldb, sum);
		} else if (rows > 4) {
			for (; p < k; p += 16) sum = dot_16(0, 2, rows, k - p < 16 ? k - p : 16, a + p, b + p, ldb, sum);
		} else {
			for (; p < k; p += 16) sum = dot_16(0, 1, rows, k - p < 16 ? k - p : 16, a + p, b + p, ldb, sum);
		}
		_mm512_storeu_ps(c, sum);
	}
}

#endif
