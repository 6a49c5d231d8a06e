// Additive attention, see additive.go.

#ifndef EXP_ADDITIVE_H
#define EXP_ADDITIVE_H

#include "attention.h"
#include "kernel.h"

void exp_additive_scores(int64_t t, int64_t s, int64_t a, const float *q, const float *k, const float *v,
                         float *scores, int64_t ld);
void exp_additive_scores_backward(int64_t t, int64_t s, int64_t a, int64_t lda, const float *q, const float *k, const float *v,
                                  const float *dscores, int64_t ld, float *dq, float *dk, float *dv);

// w, and ds, hold the [queries, keys] of one sequence after the other. Unless y is
// NULL, the contexts are computed too.
void exp_additive_attention(int64_t a, int64_t d, int64_t sequences, const struct exp_attention_rows *rows, const float *q,
                            const float *k, const float *v, const float *values, float *w, float *y);
// exp_additive_attention_backward is what dy implies for the values, and for the
// scores; dvalues or ds may be NULL. transposed holds each sequence's values as
// [d, keys], one after the other, or is NULL. scratch is [EXP_SCRATCH]. Unless dv is NULL,
// it is exp_additive_gradients of the scores too.
void exp_additive_attention_backward(int64_t a, int64_t d, int64_t sequences, const struct exp_attention_rows *rows, const float *q,
                                     const float *k, const float *v, const float *values, const float *transposed, const float *w,
                                     const float *dy, float *ds, float *dq, float *dk, float *dv, float *dvalues, float *scratch);
// exp_additive_gradients is what ds implies for a of the lda columns of q and k.
void exp_additive_gradients(int64_t a, int64_t lda, int64_t sequences, const struct exp_attention_rows *rows, const float *q,
                            const float *k, const float *v, const float *ds, float *dq, float *dk, float *dv);

#endif
