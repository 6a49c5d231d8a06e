// Adding of rows that an index names, see gather.go (copying them, Go does).

#ifndef EXP_GATHER_H
#define EXP_GATHER_H

#include "kernel.h"

// exp_add_indexed is dst[to[r]] += src[from[r]] for r < rows, where NULL names row r and
// -1 none.
void exp_add_indexed(int64_t rows, int64_t d, float *dst, int64_t ld_dst, const int32_t *to, const float *src, int64_t ld_src,
                  const int32_t *from);

#endif
