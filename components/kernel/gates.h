// The fused gates of recurrent layers, see gates.go.

#ifndef EXP_GATES_H
#define EXP_GATES_H

#include "kernel.h"

void exp_lstm_forward(int64_t rows, int64_t h, float *gates, int64_t ld, const float *c_prev, float *c, float *h_out);
void exp_lstm_backward(int64_t rows, int64_t h, float *gates, int64_t ld, const float *c_prev, const float *c,
                       const float *dh, float *dc);
void exp_gru_forward(int64_t rows, int64_t h, float *gi, const float *gh, const float *h_prev, float *h_out);
void exp_gru_backward(int64_t rows, int64_t h, float *gi, float *gh, const float *h_prev, const float *dh, float *dh_prev);
void exp_tanh_grad(int64_t n, float *dg, const float *dh, const float *h);
void exp_relu_grad(int64_t n, float *dg, const float *dh, const float *h);

#endif
