// Counter-based dropout, see dropout.go.

#ifndef EXP_DROPOUT_H
#define EXP_DROPOUT_H

#include "kernel.h"

void exp_dropout(int64_t n, float *dst, const float *src, uint32_t threshold, float scale, uint64_t key,
                 uint64_t offset);
void exp_dropout_backward(int64_t n, float *dx, const float *dy, uint32_t threshold, float scale, uint64_t key,
                          uint64_t offset);

#endif
