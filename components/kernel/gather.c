#include "gather.h"
#include "elementwise.h"

void exp_scatter_add(int64_t rows, int64_t d, float *dst, int64_t ld_dst, const float *src, int64_t ld_src,
                     const int32_t *index) {
	for (int64_t r = 0; r < rows; r++) {
		if (index[r] < 0) continue;
		float *row = dst + index[r] * ld_dst;
		exp_add(d, row, row, src + r * ld_src);
	}
}

void exp_gather_add(int64_t rows, int64_t d, float *dst, int64_t ld_dst, const float *src, int64_t ld_src,
                    const int32_t *index) {
	for (int64_t r = 0; r < rows; r++) {
		float *row = dst + r * ld_dst;
		if (index[r] >= 0) exp_add(d, row, row, src + index[r] * ld_src);
	}
}
