// Layer normalisation, see layernorm.go.

#ifndef EXP_LAYERNORM_H
#define EXP_LAYERNORM_H

#include "kernel.h"

void exp_layer_norm(int64_t rows, int64_t d, float *dst, const float *x, const float *gain, const float *bias,
                    float eps, float *mean, float *rstd);
void exp_layer_norm_backward(int64_t rows, int64_t d, float *dx, float *d_gain, float *d_bias, const float *dy,
                             const float *x, const float *gain, const float *mean, const float *rstd);

#endif
