// Softmax over rows, see softmax.go, and what cross-entropy shares with it.

#ifndef EXP_SOFTMAX_H
#define EXP_SOFTMAX_H

#include "kernel.h"

void exp_softmax_rows(int64_t rows, int64_t n, float *x, int64_t ld, const int32_t *valid);
void exp_softmax_rows_backward(int64_t rows, int64_t n, float *dx, const float *y, const float *dy, int64_t ld,
                               float scale);
void exp_log_softmax_rows(int64_t rows, int64_t n, float *dst, const float *x);
void exp_argmax_rows(int64_t rows, int64_t v, const float *x, int32_t *dst);

// exp_softmax_row makes x the softmax of scale*x, and says the largest of these
// and one over the sum of the exponentials; exp_softmax_row_again makes it so
// again, with the same bits.
void exp_softmax_row(int64_t n, float *x, float scale, float *top, float *inverse);
void exp_softmax_row_again(int64_t n, float *x, float scale, float top, float inverse);

// exp_largest is the largest element but for NaN, -INFINITY of none.
float exp_largest(int64_t n, const float *x);

// exp_exp_sum is the sum of exp(x[j] - top) in lanes; dst receives the terms,
// unless it is NULL, and may be x.
float exp_exp_sum(int64_t n, float *dst, const float *x, float top);

#endif
