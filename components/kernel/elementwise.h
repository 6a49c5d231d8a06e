// Elementwise operations, see elementwise.go.

#ifndef EXP_ELEMENTWISE_H
#define EXP_ELEMENTWISE_H

#include "kernel.h"

void exp_add(int64_t n, float *dst, const float *a, const float *b);
void exp_mul(int64_t n, float *dst, const float *a, const float *b);
void exp_mul_add(int64_t n, float *dst, const float *a, const float *b);
void exp_scale(int64_t n, float *dst, float alpha, const float *src);
void exp_axpy(int64_t n, float *dst, float alpha, const float *src);
void exp_add_rows(float *dst, int64_t rows, int64_t n, const float *bias);

#endif
