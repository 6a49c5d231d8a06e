#include "gather.h"
#include "elementwise.h"

EXP_INLINE int64_t named(const int32_t *index, int64_t r) { return index ? index[r] : r; }

void exp_index_rows(int add, int64_t rows, int64_t d, float *dst, int64_t ld_dst, const int32_t *to, const float *src, int64_t ld_src,
                    const int32_t *from) {
	const int64_t ahead = 2; // neither the rows nor where they go lie in the cache mostly
	for (int64_t r = 0; r < rows; r++) {
		if (r + ahead < rows) {
			const int64_t i = named(to, r + ahead), j = named(from, r + ahead);
			if (j >= 0) exp_fetch_row(src + j * ld_src, d);
			if (i >= 0) exp_fetch_row(dst + i * ld_dst, d);
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
