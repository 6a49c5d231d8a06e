// Adding and copying of rows that an index names, see gather.go.

#ifndef EXP_GATHER_H
#define EXP_GATHER_H

#include "kernel.h"

// exp_add_indexed is dst[to[r]] += src[from[r]] for r < rows, where NULL names row r and
// -1 none.
void exp_add_indexed(int64_t rows, int64_t d, float *dst, int64_t ld_dst, const int32_t *to, const float *src, int64_t ld_src,
                     const int32_t *from);
// exp_copy_indexed is dst[to[r]] = src[from[r]] likewise, and zeros where from has -1.
void exp_copy_indexed(int64_t rows, int64_t d, float *dst, int64_t ld_dst, const int32_t *to, const float *src, int64_t ld_src,
                      const int32_t *from);

#endif
