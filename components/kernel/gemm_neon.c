// The inner loops of matrix products with NEON.

#include "gemm.h"

#ifdef EXP_NEON

// load_first loads the first n elements, 1 to 4, and zeros for the others.
EXP_INLINE float32x4_t load_first(const float *src, int64_t n) {
	if (n == 4) return vld1q_f32(src);
	float32x4_t v = vsetq_lane_f32(src[0], vdupq_n_f32(0), 0);
	if (n > 1) v = vsetq_lane_f32(src[1], v, 1);
	if (n > 2) v = vsetq_lane_f32(src[2], v, 2);
	return v;
}

// store_first stores the first n elements, 1 to 4.
EXP_INLINE void store_first(float *dst, float32x4_t v, int64_t n) {
	if (n == 4) {
		vst1q_f32(dst, v);
		return;
	}
	vst1q_lane_f32(dst, v, 0);
	if (n > 1) vst1q_lane_f32(dst + 1, v, 1);
	if (n > 2) vst1q_lane_f32(dst + 2, v, 2);
}

// tile computes rows by cols of C, where cols fills vectors vectors, the last
// perhaps in part. The constants are chosen so that rows*vectors accumulators,
// the vectors of B and an element of A stay in the 32 registers. partial: the
// last vector of B may not be read whole.
EXP_INLINE void tile(const int rows, const int vectors, const int partial, const struct exp_block *t, int64_t cols,
                     const float *a, const float *b, float *c, const float *bias) {
	float32x4_t acc[5][8];
	const int64_t row_a = t->row_a, step_a = t->step_a, row_b = t->row_b, ldc = t->ldc;
	const int64_t rest = cols - 4 * (vectors - 1); // columns in the last vector
	const int last = vectors - 1;

	EXP_UNROLL(8)
	for (int v = 0; v < vectors; v++) {
		float32x4_t x = vdupq_n_f32(0);
		if (t->from == EXP_FROM_BIAS) x = load_first(bias + 4 * v, v < last ? 4 : rest);
		EXP_UNROLL(5)
		for (int r = 0; r < rows; r++) {
			acc[r][v] = t->from == EXP_FROM_C ? load_first(c + r * ldc + 4 * v, v < last ? 4 : rest) : x;
		}
	}

	const float *b2 = b + t->panel_b;
	for (int64_t p = t->k; p > 0; p--) {
		float32x4_t x[8];
		EXP_UNROLL(8)
		for (int v = 0; v < vectors; v++) {
			const float *q = (v < 4 ? b : b2) + v % 4 * 4;
			x[v] = v < last || !partial ? vld1q_f32(q) : load_first(q, rest);
		}
		EXP_UNROLL(5)
		for (int r = 0; r < rows; r++) {
			float y = a[r * row_a];
			EXP_UNROLL(8)
			for (int v = 0; v < vectors; v++) acc[r][v] = vfmaq_n_f32(acc[r][v], x[v], y);
		}
		a += step_a;
		b += row_b, b2 += row_b;
	}

	EXP_UNROLL(5)
	for (int r = 0; r < rows; r++) {
		EXP_UNROLL(8)
		for (int v = 0; v < vectors; v++) store_first(c + r * ldc + 4 * v, acc[r][v], v < last ? 4 : rest);
	}
}

typedef void tile_func(const struct exp_block *t, int64_t cols, const float *a, const float *b, float *c,
                       const float *bias);

#define TILE(rows, vectors, partial)                                                                               \
	static void tile_##rows##_##vectors##_##partial(const struct exp_block *t, int64_t cols, const float *a,       \
	                                                const float *b, float *c, const float *bias) {                 \
		tile(rows, vectors, partial, t, cols, a, b, c, bias);                                                      \
	}
#define TILES(rows, vectors) TILE(rows, vectors, 0) TILE(rows, vectors, 1)
#define TWO(vectors) TILES(1, vectors) TILES(2, vectors)
#define FIVE(vectors) TWO(vectors) TILES(3, vectors) TILES(4, vectors) TILES(5, vectors)
FIVE(1) FIVE(2) FIVE(3) FIVE(4) TWO(5) TWO(6) TWO(7) TWO(8)

#define NAME(rows, vectors) {tile_##rows##_##vectors##_0, tile_##rows##_##vectors##_1}
#define NAME_TWO(vectors) [1] = NAME(1, vectors), NAME(2, vectors)
#define NAME_FIVE(vectors) NAME_TWO(vectors), NAME(3, vectors), NAME(4, vectors), NAME(5, vectors)
// tiles[vectors][rows][partial]
static tile_func *const tiles[9][6][2] = {
    [1] = {NAME_FIVE(1)}, [2] = {NAME_FIVE(2)}, [3] = {NAME_FIVE(3)}, [4] = {NAME_FIVE(4)},
    [5] = {NAME_TWO(5)}, [6] = {NAME_TWO(6)}, [7] = {NAME_TWO(7)}, [8] = {NAME_TWO(8)},
};

void exp_columns_neon(const struct exp_block *t, int64_t m, int64_t cols, const float *a, const float *b, float *c,
                      const float *bias) {
	int64_t vectors = (cols + 3) / 4, max_rows = vectors <= 4 ? 5 : EXP_THIN_NEON;
	int partial = !t->padded && cols % 4 != 0;
	int64_t parts = (m + max_rows - 1) / max_rows; // tiles of near equal height
	for (int64_t rows; m > 0; m -= rows, parts--) {
		rows = (m + parts - 1) / parts;
		tiles[vectors][rows][partial](t, cols, a, b, c, bias);
		a += rows * t->row_a;
		c += rows * t->ldc;
	}
}

// transpose_4 transposes 4 by 4 elements.
EXP_INLINE void transpose_4(const float *src, int64_t lds, float *dst, int64_t ldd) {
	float32x4_t r0 = vld1q_f32(src), r1 = vld1q_f32(src + lds);
	float32x4_t r2 = vld1q_f32(src + 2 * lds), r3 = vld1q_f32(src + 3 * lds);
	float32x4x2_t low = vtrnq_f32(r0, r1), high = vtrnq_f32(r2, r3); // two by two
	vst1q_f32(dst, vcombine_f32(vget_low_f32(low.val[0]), vget_low_f32(high.val[0])));
	vst1q_f32(dst + ldd, vcombine_f32(vget_low_f32(low.val[1]), vget_low_f32(high.val[1])));
	vst1q_f32(dst + 2 * ldd, vcombine_f32(vget_high_f32(low.val[0]), vget_high_f32(high.val[0])));
	vst1q_f32(dst + 3 * ldd, vcombine_f32(vget_high_f32(low.val[1]), vget_high_f32(high.val[1])));
}

void exp_transpose_neon(int64_t rows, int64_t cols, const float *src, int64_t lds, float *dst, int64_t ldd) {
	int64_t r = 0;
	for (; r + 4 <= rows; r += 4) {
		int64_t q = 0;
		for (; q + 4 <= cols; q += 4) transpose_4(src + r * lds + q, lds, dst + q * ldd + r, ldd);
		exp_transpose_portable(4, cols - q, src + r * lds + q, lds, dst + q * ldd + r, ldd);
	}
	exp_transpose_portable(rows - r, cols, src + r * lds, lds, dst + r, ldd);
}

#endif
