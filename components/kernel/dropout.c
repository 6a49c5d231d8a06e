#include "dropout.h"

// The constants of Philox4x32-10, see dropout.go.
#define ROUNDS 10
#define MULTIPLIER_0 0xD2511F53u
#define MULTIPLIER_1 0xCD9E8D57u
#define WEYL_0 0x9E3779B9u
#define WEYL_1 0xBB67AE85u

static void philox(uint64_t key, uint64_t block, uint32_t x[4]) {
	uint32_t key_0 = (uint32_t)key, key_1 = (uint32_t)(key >> 32);
	x[0] = (uint32_t)block, x[1] = (uint32_t)(block >> 32), x[2] = 0, x[3] = 0;
	for (int r = 0; r < ROUNDS; r++, key_0 += WEYL_0, key_1 += WEYL_1) {
		uint64_t p0 = (uint64_t)x[0] * MULTIPLIER_0, p1 = (uint64_t)x[2] * MULTIPLIER_1;
		uint32_t x0 = (uint32_t)(p1 >> 32) ^ x[1] ^ key_0, x2 = (uint32_t)(p0 >> 32) ^ x[3] ^ key_1;
		x[0] = x0, x[1] = (uint32_t)p1, x[2] = x2, x[3] = (uint32_t)p0;
	}
}

// What is done with an element and whether it is kept.
enum pass { FORWARD, BACKWARD };

EXP_INLINE void apply(enum pass pass, float *dst, const float *src, int kept, float scale) {
	if (pass == FORWARD) {
		*dst = kept ? *src * scale : 0;
	} else if (kept) {
		*dst = exp_fmaf(*src, scale, *dst);
	}
}

// each_portable also ends and, up to a multiple of four, starts each_avx2.
EXP_INLINE void each_portable(enum pass pass, int64_t n, float *dst, const float *src, uint32_t threshold, float scale,
                              uint64_t key, uint64_t offset) {
	for (int64_t i = 0; i < n;) {
		uint32_t x[4];
		philox(key, (offset + (uint64_t)i) / 4, x);
		for (uint64_t word = (offset + (uint64_t)i) % 4; word < 4 && i < n; word++, i++) {
			apply(pass, dst + i, src + i, x[word] >> 8 >= threshold, scale);
		}
	}
}

#ifdef EXP_X86

// The keys of the rounds, in all lanes.
struct schedule {
	__m256i keys[ROUNDS][2];
};

EXP_INLINE EXP_AVX2 void expand(struct schedule *s, uint64_t key) {
	uint32_t key_0 = (uint32_t)key, key_1 = (uint32_t)(key >> 32);
	for (int r = 0; r < ROUNDS; r++, key_0 += WEYL_0, key_1 += WEYL_1) {
		s->keys[r][0] = _mm256_set1_epi32((int)key_0);
		s->keys[r][1] = _mm256_set1_epi32((int)key_1);
	}
}

// BLOCKS is the number of blocks at a time: twice four, whose rounds overlap.
enum { BLOCKS = 8 };

// philox_8 is the eight blocks from block on, modulo 2^62, as vectors of eight
// words. In x, the lower half of each 64 bits is a word of a block; the upper
// half is whatever a product left there, which the next product ignores.
EXP_INLINE EXP_AVX2 void philox_8(const struct schedule *s, uint64_t block, __m256i words[BLOCKS / 2]) {
	const __m256i m0 = _mm256_set1_epi64x(MULTIPLIER_0), m1 = _mm256_set1_epi64x(MULTIPLIER_1);
	__m256i x[2][4];
	EXP_UNROLL(2)
	for (int i = 0; i < 2; i++) {
		x[i][0] = _mm256_add_epi64(_mm256_set1_epi64x((int64_t)block + 4 * i), _mm256_setr_epi64x(0, 1, 2, 3));
		x[i][0] = _mm256_and_si256(x[i][0], _mm256_set1_epi64x(INT64_MAX / 2));
		x[i][1] = _mm256_srli_epi64(x[i][0], 32);
		x[i][2] = x[i][3] = _mm256_setzero_si256();
	}
	EXP_UNROLL(10)
	for (int r = 0; r < ROUNDS; r++) {
		EXP_UNROLL(2)
		for (int i = 0; i < 2; i++) {
			__m256i p0 = _mm256_mul_epu32(x[i][0], m0), p1 = _mm256_mul_epu32(x[i][2], m1);
			x[i][0] = _mm256_xor_si256(_mm256_srli_epi64(p1, 32), _mm256_xor_si256(x[i][1], s->keys[r][0]));
			x[i][2] = _mm256_xor_si256(_mm256_srli_epi64(p0, 32), _mm256_xor_si256(x[i][3], s->keys[r][1]));
			x[i][1] = p1, x[i][3] = p0;
		}
	}
	EXP_UNROLL(2)
	for (int i = 0; i < 2; i++) {
		__m256i x01 = _mm256_blend_epi32(x[i][0], _mm256_slli_epi64(x[i][1], 32), 0xaa);
		__m256i x23 = _mm256_blend_epi32(x[i][2], _mm256_slli_epi64(x[i][3], 32), 0xaa);
		__m256i even = _mm256_unpacklo_epi64(x01, x23), odd = _mm256_unpackhi_epi64(x01, x23); // blocks 0 and 2, 1 and 3
		words[2 * i] = _mm256_permute2x128_si256(even, odd, 0x20);
		words[2 * i + 1] = _mm256_permute2x128_si256(even, odd, 0x31);
	}
}

EXP_INLINE EXP_AVX2 void each_avx2(enum pass pass, int64_t n, float *dst, const float *src, uint32_t threshold,
                                   float scale, uint64_t key, uint64_t offset) {
	int64_t i = (int64_t)(-offset % 4);
	if (i > n) i = n;
	each_portable(pass, i, dst, src, threshold, scale, key, offset);
	struct schedule schedule;
	expand(&schedule, key);
	const __m256i last_dropped = _mm256_set1_epi32((int)threshold - 1);
	const __m256 factor = _mm256_set1_ps(scale);
	for (; i + 4 * BLOCKS <= n; i += 4 * BLOCKS) {
		__m256i words[BLOCKS / 2];
		philox_8(&schedule, (offset + (uint64_t)i) / 4, words);
		EXP_UNROLL(4)
		for (int v = 0; v < BLOCKS / 2; v++) {
			float *y = dst + i + 8 * v;
			__m256 x = _mm256_loadu_ps(src + i + 8 * v);
			__m256 kept = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_srli_epi32(words[v], 8), last_dropped));
			if (pass == FORWARD) {
				_mm256_storeu_ps(y, _mm256_and_ps(_mm256_mul_ps(x, factor), kept));
			} else {
				__m256 before = _mm256_loadu_ps(y);
				_mm256_storeu_ps(y, _mm256_blendv_ps(before, _mm256_fmadd_ps(x, factor, before), kept));
			}
		}
	}
	each_portable(pass, n - i, dst + i, src + i, threshold, scale, key, offset + (uint64_t)i);
}

static EXP_AVX2 void forward_avx2(int64_t n, float *dst, const float *src, uint32_t threshold, float scale,
                                  uint64_t key, uint64_t offset) {
	each_avx2(FORWARD, n, dst, src, threshold, scale, key, offset);
}

static EXP_AVX2 void backward_avx2(int64_t n, float *dx, const float *dy, uint32_t threshold, float scale,
                                   uint64_t key, uint64_t offset) {
	each_avx2(BACKWARD, n, dx, dy, threshold, scale, key, offset);
}

#endif

void exp_dropout(int64_t n, float *dst, const float *src, uint32_t threshold, float scale, uint64_t key,
                 uint64_t offset) {
#ifdef EXP_X86
	if (exp_path <= EXP_PATH_AVX2) {
		forward_avx2(n, dst, src, threshold, scale, key, offset);
		return;
	}
#endif
	each_portable(FORWARD, n, dst, src, threshold, scale, key, offset);
}

void exp_dropout_backward(int64_t n, float *dx, const float *dy, uint32_t threshold, float scale, uint64_t key,
                          uint64_t offset) {
#ifdef EXP_X86
	if (exp_path <= EXP_PATH_AVX2) {
		backward_avx2(n, dx, dy, threshold, scale, key, offset);
		return;
	}
#endif
	each_portable(BACKWARD, n, dx, dy, threshold, scale, key, offset);
}
