// Softmax cross-entropy, see crossentropy.go.

#ifndef EXP_CROSSENTROPY_H
#define EXP_CROSSENTROPY_H

#include "kernel.h"

void exp_cross_entropy(int64_t rows, int64_t v, const float *logits, int64_t ld, const int32_t *targets, int32_t ignore,
                       float smoothing, float scale, float *dlogits, float *losses);

#endif
