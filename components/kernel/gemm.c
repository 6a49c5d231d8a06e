// Blocks and packing of matrix products. No choice made here can change a bit:
// whatever the blocks, an element of C is one chain in ascending k, which a
// block after the first resumes from C.

#include "gemm.h"

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

// parts is the fewest parts of at most limit that make n.
static int64_t parts(int64_t n, int64_t limit) { return (n + limit - 1) / limit; }

// even splits n into the fewest parts of at most limit, and returns their size
// (the last may be smaller); at least 1, so that empty ranges make one step.
static int64_t even(int64_t n, int64_t limit) { return n == 0 ? 1 : parts(n, parts(n, limit)); }

// groups is how often the tiles of a block prepare what comes next, at least 1.
static int64_t groups(int64_t m, int64_t n, int64_t k) {
	int64_t all = parts(m, EXP_TILE_AVX512) * parts(n, 2 * EXP_PANEL) * (k / EXP_GROUP);
	return all == 0 ? 1 : all;
}

void exp_transpose(int64_t rows, int64_t cols, const float *src, int64_t lds, float *dst, int64_t ldd) {
#ifdef EXP_X86
	if (exp_path <= EXP_PATH_AVX2) {
		exp_transpose_avx2(rows, cols, src, lds, dst, ldd);
		return;
	}
#endif
#ifdef EXP_NEON
	if (exp_path == EXP_PATH_NEON) {
		exp_transpose_neon(rows, cols, src, lds, dst, ldd);
		return;
	}
#endif
	exp_transpose_portable(rows, cols, src, lds, dst, ldd);
}

typedef void columns_func(const struct exp_block *t, int64_t m, int64_t cols, const float *a, const float *b, float *c,
                          const float *bias);

void exp_multiply_block(const struct exp_block *t, int64_t m, int64_t n, const float *a, const float *b, float *c,
                        const float *bias) {
	columns_func *columns = exp_columns_portable;
	int64_t panels = 1;
#ifdef EXP_X86
	if (exp_path == EXP_PATH_AVX512) {
		exp_multiply_block_avx512(t, m, n, a, b, c, bias);
		return;
	}
	if (exp_path == EXP_PATH_AVX2) columns = exp_columns_avx2, panels = m <= EXP_THIN_AVX2 ? 2 : 1;
#endif
#ifdef EXP_NEON
	if (exp_path == EXP_PATH_NEON) columns = exp_columns_neon, panels = m <= EXP_THIN_NEON ? 2 : 1;
#endif
	for (int64_t j = 0; j < n; j += panels * EXP_PANEL) {
		int64_t cols = min64(n - j, panels * EXP_PANEL);
		columns(t, m, cols, a, b + j / EXP_PANEL * t->panel_b, c + j, bias ? bias + j : NULL);
	}
}

// pack_by_rows is pack of B[K,N] with all panels of a row at a time, while the next rows,
// and where they go, are on their way.
static void pack_by_rows(int64_t k, int64_t n, const float *b, int64_t ldb, float *dst, int64_t panel) {
	const int64_t ahead = 4, step = panel * EXP_PANEL;
	for (int64_t p = 0; p < k; p++, b += ldb, dst += EXP_PANEL) {
		float *d = dst;
		int64_t j = 0;
		for (; j + EXP_PANEL <= n; j += EXP_PANEL, d += step) {
			__builtin_prefetch(b + ahead * ldb + j);
			__builtin_prefetch(d + ahead * EXP_PANEL);
			memcpy(d, b + j, EXP_PANEL * sizeof(float));
		}
		for (int64_t q = j; q < j + EXP_PANEL && j < n; q++) d[q - j] = q < n ? b[q] : 0;
	}
}

// pack copies B[K,N], or with trans B[N,K], into the first rows of panels of so many.
static void pack(int trans, int64_t k, int64_t n, const float *b, int64_t ldb, float *dst, int64_t panel) {
	if (!trans && exp_far) {
		pack_by_rows(k, n, b, ldb, dst, panel);
		return;
	}
	for (int64_t j = 0; j < n; j += EXP_PANEL, dst += panel * EXP_PANEL) {
		int64_t cols = min64(n - j, EXP_PANEL);
#ifdef EXP_X86
		if (trans && exp_path == EXP_PATH_AVX512) {
			exp_pack_transposed_avx512(cols, k, b + j * ldb, ldb, dst);
			continue;
		}
#endif
		if (trans) {
			if (cols < EXP_PANEL) memset(dst, 0, (size_t)(k * EXP_PANEL) * sizeof(float));
			exp_transpose(cols, k, b + j * ldb, ldb, dst, EXP_PANEL);
		} else if (cols == EXP_PANEL) {
			for (int64_t p = 0; p < k; p++) memcpy(dst + p * EXP_PANEL, b + p * ldb + j, EXP_PANEL * sizeof(float));
		} else {
			for (int64_t p = 0; p < k; p++) {
				for (int64_t q = 0; q < EXP_PANEL; q++) dst[p * EXP_PANEL + q] = q < cols ? b[p * ldb + j + q] : 0;
			}
		}
	}
}

void exp_pack(int trans, int64_t k, int64_t n, const float *b, int64_t ldb, float *dst, int64_t panel) {
	pack(trans, k, n, b, ldb, dst, panel);
}

void exp_multiply_row(int64_t n, int64_t k, const float *a, const float *b, int64_t ldb, float *c, float *packed) {
#ifdef EXP_X86
	if (exp_path == EXP_PATH_AVX512) { // which transposes in registers
		exp_multiply_row_avx512(n, k, a, b, ldb, c);
		return;
	}
#endif
	pack(1, k, n, b, ldb, packed, k);
	exp_multiply_packed(1, n, k, a, k, packed, c, n);
}

// part_of is rows by k of A, which start at a, as it is stored.
static struct exp_ahead part_of(int trans_a, const float *a, int64_t lda, int64_t rows, int64_t k) {
	struct exp_ahead part = {.next = a, .ld = lda, .rows = trans_a ? k : rows, .cols = trans_a ? rows : k};
	if (part.cols == 0) part.rows = 0;
	part.vectors = part.left = parts(part.cols, EXP_PANEL);
	part.last = 0xffff >> (EXP_PANEL * part.vectors - part.cols);
	return part;
}

// pack_rest packs what has not been packed yet.
static void pack_rest(struct exp_ahead *part) {
	for (; part->rows > 0; part->rows--, part->left = part->vectors) {
		int64_t done = (part->vectors - part->left) * EXP_PANEL;
		memcpy(part->packed, part->next, (size_t)(part->cols - done) * sizeof(float));
		part->next += part->ld - done, part->packed += part->ld_packed - done;
	}
}

int exp_gemm(int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
             int64_t ldb, float *c, int64_t ldc, const float *bias, int accumulate, int how_a, int how_b, int64_t rest,
             float *scratch) {
	const int64_t row_a = trans_a ? 1 : lda, step_a = trans_a ? lda : 1;
	const int64_t ld_packed = trans_a ? EXP_LD_TRANSPOSED_A : EXP_LD_A;
	const int64_t block_n = how_b == EXP_B_PACK ? EXP_BLOCK_N : n, block_k = even(k, EXP_BLOCK_K), block_m = even(m, EXP_BLOCK_M);
	float *const places = scratch ? scratch + EXP_BLOCK_K * EXP_BLOCK_N : NULL; // two, for a packed block of A each
	const int fetch = how_a == EXP_A_STORED && exp_far && lda % EXP_ALIASING != 0;
	struct exp_ahead ahead = {0};
	struct exp_block t = {.row_a = row_a, .step_a = step_a, .ldc = ldc, .ahead = &ahead};
	int64_t *const packed_stride = trans_a ? &t.step_a : &t.row_a;
	for (int64_t j = 0; j < n; j += block_n) {
		int64_t nj = min64(n - j, block_n), p = 0;
		do {
			t.k = min64(k - p, block_k);
			t.more = k + rest - p > t.k;
			t.from = accumulate || p > 0 ? EXP_FROM_C : bias ? EXP_FROM_BIAS : EXP_FROM_ZERO;
			const float *bp;
			if (how_b == EXP_B_PACKED) {
				bp = b + p * EXP_PANEL, t.row_b = EXP_PANEL, t.panel_b = ldb * EXP_PANEL, t.padded = 1;
			} else if (how_b == EXP_B_PACK) {
				pack(trans_b, t.k, nj, trans_b ? b + j * ldb + p : b + p * ldb + j, ldb, scratch, t.k);
				bp = scratch, t.row_b = EXP_PANEL, t.panel_b = t.k * EXP_PANEL, t.padded = 1;
			} else {
				bp = b + p * ldb + j, t.row_b = ldb, t.panel_b = EXP_PANEL, t.padded = 0;
			}
			for (int64_t i = 0; i < m; i += block_m) {
				const int64_t mi = min64(m - i, block_m);
				const float *ap = a + i * row_a + p * step_a;
				if (how_a == EXP_A_STORED && !fetch) {
					ahead.rows = 0;
				} else if (i + mi < m) {
					ahead = part_of(trans_a, ap + mi * row_a, lda, min64(m - i - mi, block_m), t.k);
				} else if (t.more) { // the first rows again, of the indices that come next
					ahead = part_of(trans_a, a + (p + t.k) * step_a, lda, min64(m, block_m), min64(k + rest - p - t.k, block_k));
				} else {
					ahead.rows = 0;
				}
				if (how_a != EXP_A_STORED) {
					if (how_a == EXP_A_PACK) {
						struct exp_ahead part = part_of(trans_a, ap, lda, mi, t.k);
						part.packed = places, part.ld_packed = ld_packed;
						pack_rest(&part);
					}
					const int second = how_a == EXP_A_PACKED2;
					ap = places + (second ? EXP_PACKED_A : 0), *packed_stride = ld_packed;
					ahead.packed = places + (second ? 0 : EXP_PACKED_A), ahead.ld_packed = ld_packed;
					how_a = ahead.rows == 0 ? EXP_A_PACK : second ? EXP_A_PACKED : EXP_A_PACKED2;
				}
				ahead.pace = ahead.rows == 0 ? 0 : parts(ahead.rows * ahead.vectors, groups(mi, nj, t.k));
				exp_multiply_block(&t, mi, nj, ap, bp, c + i * ldc + j, bias ? bias + j : NULL);
				if (how_a != EXP_A_STORED) pack_rest(&ahead);
			}
			p += t.k;
		} while (p < k);
	}
	return how_a;
}

void exp_gemm_batch(int trans_a, int trans_b, int64_t count, const struct exp_product *products, const float *a, int64_t lda,
                    const float *b, int64_t ldb, float *c, int64_t ldc, int accumulate, float *scratch) {
	struct exp_block t = {.row_a = trans_a ? 1 : lda, .step_a = trans_a ? lda : 1, .row_b = ldb, .panel_b = EXP_PANEL,
	                      .ldc = ldc, .from = accumulate ? EXP_FROM_C : EXP_FROM_ZERO};
	for (const struct exp_product *p = products; p < products + count; p++) {
		if (p->m == 0 || p->n == 0) continue;
		const float *pa = a + p->a, *pb = b + p->b;
		if (p->m > EXP_BLOCK_M || p->n > EXP_BLOCK_N || p->k > EXP_BLOCK_K) {
			exp_gemm(trans_a, trans_b, p->m, p->n, p->k, pa, lda, pb, ldb, c + p->c, ldc, NULL, accumulate, EXP_A_STORED,
			         trans_b ? EXP_B_PACK : EXP_B_STORED, 0, scratch);
			continue;
		}
		t.k = p->k;
		if (trans_b) {
			pack(1, p->k, p->n, pb, ldb, scratch, p->k);
			pb = scratch, t.row_b = EXP_PANEL, t.panel_b = p->k * EXP_PANEL, t.padded = 1;
		}
		exp_multiply_block(&t, p->m, p->n, pa, pb, c + p->c, NULL);
	}
}
