// Sums over rows and over elements, see reduce.go.

#ifndef EXP_REDUCE_H
#define EXP_REDUCE_H

#include "kernel.h"

void exp_sum_rows(float *dst, int64_t rows, int64_t n, const float *src, int64_t ld);
float exp_dot(int64_t n, const float *a, const float *b);
double exp_sum_squares(int64_t n, const float *x);
int exp_all_finite(int64_t n, const float *x);

#endif
