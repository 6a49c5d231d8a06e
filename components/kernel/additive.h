// Additive attention, see additive.go.

#ifndef EXP_ADDITIVE_H
#define EXP_ADDITIVE_H

#include "kernel.h"

void exp_additive_scores(int64_t t, int64_t s, int64_t a, const float *q, const float *k, const float *v,
                         float *scores, int64_t ld);
void exp_additive_scores_backward(int64_t t, int64_t s, int64_t a, int64_t lda, const float *q, const float *k, const float *v,
                                  const float *dscores, int64_t ld, float *dq, float *dk, float *dv);

#endif
