// Scaled dot-product attention. The scores of a block of queries to all keys
// are held at a time, and computed again in the backward pass from each row's
// maximum and sum: memory grows with the length, not with its square.

#include "attention.h"
#include "gemm.h"
#include "softmax.h"

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

// ld_scores is the distance of rows of scores to n keys: not a power of two
// where a column of a block would fall into one set of the cache.
static int64_t ld_scores(int64_t n) { return (exp_panels(n) + (n > 128)) * EXP_PANEL; }

int64_t exp_attention_scratch(const struct exp_attention *t, int backward) {
	int64_t keys = exp_panels(t->max_keys) * EXP_PANEL, scores = EXP_ATTENTION_BLOCK * ld_scores(t->max_keys);
	return keys * t->key_size + scores + (backward ? keys * t->value_size + scores : 0);
}

// visible is the number of keys that query i sees.
static int64_t visible(const struct exp_attention *t, const struct exp_attention_rows *r, int64_t i) {
	return t->causal ? min64(r->keys, i + 1) : r->keys;
}

// attend_one is exp_attention of a sequence of one query, as a step of decoding has it: each
// head has little to do, and much to wait for. So scores, softmax and context are computed
// of some heads together, for the processor to go on with another head meanwhile.
static void attend_one(const struct exp_attention *t, const struct exp_attention_rows *r, const float *q, const float *k,
                       const float *v, float *y, float *stats, float *packed, float *w) {
	const int64_t size = t->key_size, width = t->value_size, keys = visible(t, r, 0), ld = ld_scores(r->keys);
	q += r->query * t->ld_q, k += r->key * t->ld_k, v += r->key * t->ld_v, y += r->query * t->ld_y;
	stats += r->query * t->heads * 2;
	for (int64_t from = 0; from < t->heads; from += EXP_ATTENTION_BLOCK) {
		const int64_t to = min64(from + EXP_ATTENTION_BLOCK, t->heads);
		for (int64_t n = from; n < to; n++) {
			exp_multiply_row(keys, size, q + n * size, k + n * size, t->ld_k, w + (n - from) * ld, packed);
		}
		for (int64_t n = from; n < to; n++) exp_softmax_row(keys, w + (n - from) * ld, t->scale, stats + 2 * n, stats + 2 * n + 1);
		for (int64_t n = from; n < to; n++) {
			exp_multiply_rows(0, EXP_FROM_ZERO, 1, width, keys, w + (n - from) * ld, ld, v + n * width, t->ld_v, y + n * width, t->ld_y);
		}
	}
}

void exp_attention(const struct exp_attention *t, int64_t sequences, const struct exp_attention_rows *rows,
                   const float *q, const float *k, const float *v, float *y, float *stats, float *scratch) {
	const int64_t size = t->key_size, width = t->value_size;
	for (int64_t s = 0; s < sequences; s++) {
		const struct exp_attention_rows *r = rows + s;
		const int64_t ld = ld_scores(r->keys);
		float *packed = scratch, *w = packed + exp_panels(r->keys) * EXP_PANEL * size;
		if (r->queries == 1) {
			attend_one(t, r, q, k, v, y, stats, packed, w);
			continue;
		}
		for (int64_t n = 0; n < t->heads; n++) {
			exp_pack(1, size, r->keys, k + r->key * t->ld_k + n * size, t->ld_k, packed, size);
			for (int64_t i = 0; i < r->queries; i += EXP_ATTENTION_BLOCK) {
				const int64_t m = min64(r->queries - i, EXP_ATTENTION_BLOCK), limit = visible(t, r, i + m - 1);
				const int64_t row = r->query + i;
				exp_multiply_packed(m, limit, size, q + row * t->ld_q + n * size, t->ld_q, packed, w, ld);
				for (int64_t j = 0; j < m; j++) {
					int64_t count = visible(t, r, i + j);
					float *stat = stats + ((row + j) * t->heads + n) * 2;
					exp_softmax_row(count, w + j * ld, t->scale, stat, stat + 1);
					memset(w + j * ld + count, 0, (size_t)(limit - count) * sizeof *w);
				}
				exp_multiply_rows(0, EXP_FROM_ZERO, m, width, limit, w, ld, v + r->key * t->ld_v + n * width, t->ld_v,
				        y + row * t->ld_y + n * width, t->ld_y);
			}
		}
	}
}

void exp_attention_backward(const struct exp_attention *t, int64_t sequences, const struct exp_attention_rows *rows,
                            const float *q, const float *k, const float *v, const float *dy, const float *stats,
                            float *dq, float *dk, float *dv, float *scratch) {
	const int64_t size = t->key_size, width = t->value_size;
	for (int64_t s = 0; s < sequences; s++) {
		const struct exp_attention_rows *r = rows + s;
		const int64_t ld = ld_scores(r->keys), keys = exp_panels(r->keys) * EXP_PANEL;
		float *packed = scratch, *packed_v = packed + keys * size, *w = packed_v + keys * width;
		float *ds = w + EXP_ATTENTION_BLOCK * ld;
		for (int64_t n = 0; n < t->heads; n++) {
			const int64_t at_k = r->key * t->ld_k + n * size, at_v = r->key * t->ld_v + n * width;
			exp_pack(1, size, r->keys, k + at_k, t->ld_k, packed, size);
			exp_pack(1, width, r->keys, v + at_v, t->ld_v, packed_v, width);
			for (int64_t i = 0; i < r->queries; i += EXP_ATTENTION_BLOCK) {
				const int64_t m = min64(r->queries - i, EXP_ATTENTION_BLOCK), limit = visible(t, r, i + m - 1);
				const int64_t row = r->query + i, at_q = row * t->ld_q + n * size;
				const float *dyi = dy + row * t->ld_y + n * width;
				exp_multiply_packed(m, limit, size, q + at_q, t->ld_q, packed, w, ld);
				exp_multiply_packed(m, limit, width, dyi, t->ld_y, packed_v, ds, ld);
				for (int64_t j = 0; j < m; j++) {
					int64_t count = visible(t, r, i + j);
					const float *stat = stats + ((row + j) * t->heads + n) * 2;
					exp_softmax_row_again(count, w + j * ld, t->scale, stat[0], stat[1]);
					exp_softmax_rows_backward(1, count, ds + j * ld, w + j * ld, ds + j * ld, ld, t->scale);
					memset(w + j * ld + count, 0, (size_t)(limit - count) * sizeof *w);
					memset(ds + j * ld + count, 0, (size_t)(limit - count) * sizeof *ds);
				}
				if (dv) exp_multiply_rows(1, EXP_FROM_C, limit, width, m, w, ld, dyi, t->ld_y, dv + at_v, t->ld_v);
				if (dq) exp_multiply_rows(0, EXP_FROM_C, m, size, limit, ds, ld, k + at_k, t->ld_k, dq + at_q, t->ld_q);
				if (dk) exp_multiply_rows(1, EXP_FROM_C, limit, size, m, ds, ld, q + at_q, t->ld_q, dk + at_k, t->ld_k);
			}
		}
	}
}
