// Adding and copying of rows that an index names, see gather.go.

#ifndef EXP_GATHER_H
#define EXP_GATHER_H

#include "kernel.h"

// exp_index_rows is dst[to[r]] = src[from[r]], or with add +=, for r < rows, where NULL
// names row r. -1 names none, or where a copy is made from it zeros.
void exp_index_rows(int add, int64_t rows, int64_t d, float *dst, int64_t ld_dst, const int32_t *to, const float *src, int64_t ld_src,
                    const int32_t *from);

#endif
