// The updates of the optimizers, see optimize.go.

#ifndef EXP_OPTIMIZE_H
#define EXP_OPTIMIZE_H

#include "kernel.h"

// What the updates multiply by.
struct exp_adam {
	float grad_scale, decay, gain1, gain2, keep2, step, root, eps, keep;
};
struct exp_sgd {
	float grad_scale, decay, lr, momentum;
	int nesterov;
};
struct exp_adagrad {
	float grad_scale, decay, lr, eps;
};
struct exp_rmsprop {
	float grad_scale, decay, lr, keep, gain, eps, momentum;
};

void exp_adam_step(int64_t n, float *w, const float *g, float *m, float *v, struct exp_adam a);

// velocity may be NULL.
void exp_sgd_step(int64_t n, float *w, const float *g, float *velocity, struct exp_sgd a);

void exp_adagrad_step(int64_t n, float *w, const float *g, float *sum, struct exp_adagrad a);

// mean and velocity may be NULL.
void exp_rmsprop_step(int64_t n, float *w, const float *g, float *square, float *mean, float *velocity,
                      struct exp_rmsprop a);

void exp_clamp(int64_t n, float *x, float limit);

#endif
