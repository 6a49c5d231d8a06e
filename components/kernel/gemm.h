// Matrix products: the functions that Go calls, and the inner loops behind them.

#ifndef EXP_GEMM_H
#define EXP_GEMM_H

#include "kernel.h"

enum {
	EXP_PANEL = 16,     // columns of a packed panel
	EXP_BLOCK_K = 256,  // summed indices a block: a panel of B, 16 KiB, stays in the first-level cache
	EXP_BLOCK_M = 192,  // rows of A a block: 192 KiB, stays in the second-level cache
	EXP_BLOCK_N = 1024, // columns of B packed at a time
	// Divides the leading dimensions at which the rows that a tile reads of A fall into
	// one set of the first-level cache.
	EXP_ALIASING = 1024,
	// A packed block of A, and of a transposed one, whose rows fall in all sets of the cache.
	EXP_LD_A = EXP_BLOCK_K + 16,
	EXP_LD_TRANSPOSED_A = EXP_BLOCK_M + 16,
	EXP_PACKED_A = EXP_BLOCK_K * EXP_LD_TRANSPOSED_A,           // floats of such a block, at most
	EXP_SCRATCH = EXP_BLOCK_K * EXP_BLOCK_N + 2 * EXP_PACKED_A, // floats that exp_gemm packs into
};

// How exp_gemm reads A.
enum {
	EXP_A_STORED,  // where it lies
	EXP_A_PACK,    // after packing it
	EXP_A_PACKED,  // the same, but the first block has been packed on the way, to the first place for one
	EXP_A_PACKED2, // to the second place
};

// How exp_gemm reads B.
enum {
	EXP_B_STORED, // where it lies
	EXP_B_PACK,   // after packing it
	EXP_B_PACKED, // which exp_pack has packed into panels of ldb rows; trans_b has no meaning
};

// See gemm.go. rest is how many summed indices come after these K, in the next call: it
// is to be given the how_a that this one returns. scratch is [EXP_SCRATCH] where A or B is
// to be packed.
int exp_gemm(int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
             int64_t ldb, float *c, int64_t ldc, const float *bias, int accumulate, int how_a, int how_b, int64_t rest,
             float *scratch);

// A product of a batch: its sizes, and where its operands begin.
struct exp_product {
	int64_t m, n, k, a, b, c;
};

// exp_gemm_batch is exp_gemm of so many small products. scratch is [EXP_SCRATCH].
void exp_gemm_batch(int trans_a, int trans_b, int64_t count, const struct exp_product *products, const float *a, int64_t lda,
                    const float *b, int64_t ldb, float *c, int64_t ldc, int accumulate, float *scratch);

void exp_pack(int trans, int64_t k, int64_t n, const float *b, int64_t ldb, float *dst, int64_t panel);

// Where the chain of an element of C starts.
enum { EXP_FROM_ZERO, EXP_FROM_C, EXP_FROM_BIAS };

// What the next block reads of A, which tiles pack, or else fetch, while they multiply:
// rows of cols elements, in so many vectors of EXP_PANEL, of which some are left of the
// first row, from next on.
struct exp_ahead {
	const float *next;
	int64_t ld, rows, cols, vectors, left;
	int last;      // mask of the elements in a row's last vector
	float *packed; // where next goes, NULL: it is to be fetched alone
	int64_t ld_packed;
	int64_t pace; // vectors at a time
};

// A block of a product: the strides and the range of k that its tiles share.
struct exp_block {
	int64_t k;
	int64_t row_a, step_a; // A[i][p] is a[i*row_a + p*step_a]
	int64_t row_b;         // B[p][j] is b[p*row_b + j] within a panel of EXP_PANEL columns
	int64_t panel_b;       // from one panel of B to the next
	int64_t ldc;
	int from;
	int more;                // summed indices come after these
	int padded;              // B may be read up to the end of a panel
	struct exp_ahead *ahead; // NULL: nothing
};

// Tiles have so many rows of C with AVX-512, and prepare what comes next before every
// EXP_GROUP steps of k.
enum { EXP_TILE_AVX512 = 14, EXP_GROUP = 8 };

// exp_multiply_block is C[M,N] = A[M,K] B[K,N] for one block of k, from where t
// says.
void exp_multiply_block(const struct exp_block *t, int64_t m, int64_t n, const float *a, const float *b, float *c,
                        const float *bias);

// exp_panels is how many panels hold n columns.
EXP_INLINE int64_t exp_panels(int64_t n) { return (n + EXP_PANEL - 1) / EXP_PANEL; }

// exp_multiply_packed is C[M,N] = A[M,K] B[K,N], where exp_pack has packed B, all
// of k in one block.
EXP_INLINE void exp_multiply_packed(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, float *c,
                                    int64_t ldc) {
	struct exp_block t = {.k = k, .row_a = lda, .step_a = 1, .row_b = EXP_PANEL, .panel_b = k * EXP_PANEL, .ldc = ldc,
	                      .from = EXP_FROM_ZERO, .padded = 1};
	exp_multiply_block(&t, m, n, a, b, c, NULL);
}

// exp_multiply_row is C[1,N] = A[1,K] Bᵀ, B stored [N,K]. C has room for whole panels, and
// packed [panels, K, EXP_PANEL] for those of B.
void exp_multiply_row(int64_t n, int64_t k, const float *a, const float *b, int64_t ldb, float *c, float *packed);

// exp_multiply_rows is C[M,N] = A[M,K] B[K,N], or with trans_a of A stored [K,M],
// or C += from EXP_FROM_C, all of k in one block.
EXP_INLINE void exp_multiply_rows(int trans_a, int from, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                                  const float *b, int64_t ldb, float *c, int64_t ldc) {
	struct exp_block t = {.k = k, .row_a = trans_a ? 1 : lda, .step_a = trans_a ? lda : 1, .row_b = ldb,
	                      .panel_b = EXP_PANEL, .ldc = ldc, .from = from};
	exp_multiply_block(&t, m, n, a, b, c, NULL);
}

// exp_columns_* compute m rows of C's cols columns: at most EXP_PANEL, and of
// AVX2 with m <= EXP_THIN_AVX2 two panels, of NEON with m <= EXP_THIN_NEON two.
enum { EXP_THIN_AVX2 = 3, EXP_THIN_AVX512 = 7, EXP_THIN_NEON = 2 };
void exp_columns_avx2(const struct exp_block *t, int64_t m, int64_t cols, const float *a, const float *b, float *c,
                      const float *bias);
void exp_columns_neon(const struct exp_block *t, int64_t m, int64_t cols, const float *a, const float *b, float *c,
                      const float *bias);
void exp_columns_portable(const struct exp_block *t, int64_t m, int64_t cols, const float *a, const float *b, float *c,
                          const float *bias);

// exp_multiply_block_avx512 is exp_multiply_block.
void exp_multiply_block_avx512(const struct exp_block *t, int64_t m, int64_t n, const float *a, const float *b, float *c,
                               const float *bias);

// dst[c*ldd + r] = src[r*lds + c] for r < rows, c < cols
void exp_transpose(int64_t rows, int64_t cols, const float *src, int64_t lds, float *dst, int64_t ldd);
void exp_transpose_avx2(int64_t rows, int64_t cols, const float *src, int64_t lds, float *dst, int64_t ldd);
void exp_transpose_neon(int64_t rows, int64_t cols, const float *src, int64_t lds, float *dst, int64_t ldd);
void exp_transpose_portable(int64_t rows, int64_t cols, const float *src, int64_t lds, float *dst, int64_t ldd);

// exp_pack_transposed_avx512 makes a panel [k, EXP_PANEL] of rows of k elements,
// at most EXP_PANEL, and fills it up with zeros.
void exp_pack_transposed_avx512(int64_t rows, int64_t k, const float *src, int64_t lds, float *dst);

void exp_multiply_row_avx512(int64_t n, int64_t k, const float *a, const float *b, int64_t ldb, float *c);

#endif
