#include "gather.h"
#include "elementwise.h"

void exp_add_indexed(int64_t rows, int64_t d, float *dst, int64_t ld_dst, const int32_t *to, const float *src, int64_t ld_src,
                  const int32_t *from) {
	for (int64_t r = 0; r < rows; r++) {
		int64_t i = to ? to[r] : r, j = from ? from[r] : r;
		if (i >= 0 && j >= 0) exp_add(d, dst + i * ld_dst, dst + i * ld_dst, src + j * ld_src);
	}
}
