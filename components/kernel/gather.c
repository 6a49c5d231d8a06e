#include "gather.h"
#include "elementwise.h"

EXP_INLINE int64_t named(const int32_t *index, int64_t r) { return index ? index[r] : r; }

EXP_INLINE void fetch_row(int64_t d, const float *x, int64_t ld, const int32_t *index, int64_t r) {
	const int64_t i = named(index, r);
	for (int64_t p = 0; i >= 0 && p < d; p += 16) __builtin_prefetch(x + i * ld + p);
}

// rows_indexed adds rows, or copies them. Neither they nor where they go lie in the cache
// mostly: both are fetched some rows ahead.
EXP_INLINE void rows_indexed(const int add, int64_t rows, int64_t d, float *dst, int64_t ld_dst, const int32_t *to, const float *src,
                             int64_t ld_src, const int32_t *from) {
	const int64_t ahead = 2;
	for (int64_t r = 0; r < rows; r++) {
		if (r + ahead < rows) {
			fetch_row(d, src, ld_src, from, r + ahead);
			fetch_row(d, dst, ld_dst, to, r + ahead);
		}
		const int64_t i = named(to, r), j = named(from, r);
		if (i < 0) continue;
		float *row = dst + i * ld_dst;
		if (add) {
			if (j >= 0) exp_add(d, row, row, src + j * ld_src);
		} else if (j >= 0) {
			memcpy(row, src + j * ld_src, (size_t)d * sizeof(float));
		} else {
			memset(row, 0, (size_t)d * sizeof(float));
		}
	}
}

void exp_add_indexed(int64_t rows, int64_t d, float *dst, int64_t ld_dst, const int32_t *to, const float *src, int64_t ld_src,
                     const int32_t *from) {
	rows_indexed(1, rows, d, dst, ld_dst, to, src, ld_src, from);
}

void exp_copy_indexed(int64_t rows, int64_t d, float *dst, int64_t ld_dst, const int32_t *to, const float *src, int64_t ld_src,
                      const int32_t *from) {
	rows_indexed(0, rows, d, dst, ld_dst, to, src, ld_src, from);
}
