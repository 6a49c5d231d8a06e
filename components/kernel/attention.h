// Scaled dot-product attention, see attention.go.

#ifndef EXP_ATTENTION_H
#define EXP_ATTENTION_H

#include "kernel.h"

enum { EXP_ATTENTION_BLOCK = 28 }; // queries whose scores are held at a time: two tiles of rows

struct exp_attention {
	int64_t heads, key_size, value_size;
	int64_t ld_q, ld_k, ld_v, ld_y;
	int64_t causal;
	int64_t max_keys; // of a sequence
	float scale;
};

// Where a sequence's queries and keys lie: the first row of each, and how many.
struct exp_attention_rows {
	int32_t query, queries, key, keys;
};

// exp_attention_scratch is how many floats the others work in.
int64_t exp_attention_scratch(const struct exp_attention *t, int backward);

void exp_attention(const struct exp_attention *t, int64_t sequences, const struct exp_attention_rows *rows,
                   const float *q, const float *k, const float *v, float *y, float *stats, float *scratch);
void exp_attention_backward(const struct exp_attention *t, int64_t sequences, const struct exp_attention_rows *rows,
                            const float *q, const float *k, const float *v, const float *dy, const float *stats,
                            float *dq, float *dk, float *dv, float *scratch);

#endif
