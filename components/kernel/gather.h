// Adding of rows that an index names, see gather.go (copying them, Go does).

#ifndef EXP_GATHER_H
#define EXP_GATHER_H

#include "kernel.h"

void exp_scatter_add(int64_t rows, int64_t d, float *dst, int64_t ld_dst, const float *src, int64_t ld_src,
                     const int32_t *index);
void exp_gather_add(int64_t rows, int64_t d, float *dst, int64_t ld_dst, const float *src, int64_t ld_src,
                    const int32_t *index);

#endif
