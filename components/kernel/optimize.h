// The updates of the optimizers, see optimize.go.

#ifndef EXP_OPTIMIZE_H
#define EXP_OPTIMIZE_H

#include "kernel.h"

// What exp_adam_step multiplies by.
struct exp_adam {
	float grad_scale, gain1, gain2, keep2, step, root, eps;
};

void exp_adam_step(int64_t n, float *w, const float *g, float *m, float *v, struct exp_adam a);

// velocity may be NULL.
void exp_sgd_step(int64_t n, float *w, const float *g, float *velocity, float lr, float momentum, int nesterov,
                  float grad_scale);

#endif
