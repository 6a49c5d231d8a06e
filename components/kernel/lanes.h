// Reductions of unbounded length: sixteen lanes and a fixed tree. Element i is
// added to lane i % 16 in ascending order, then lane i takes in lane i + 8, then
// i + 4, i + 2 and i + 1. Lanes start at +0 and so are never -0: adding a zero
// to the lanes past the end changes nothing. lanes.go is the same in Go.

#ifndef EXP_LANES_H
#define EXP_LANES_H

#include "kernel.h"

enum { EXP_LANES = 16 };

// exp_join is the sum of the lanes, [EXP_LANES], which it overwrites.
EXP_INLINE float exp_join(float *lane) {
	for (int half = EXP_LANES / 2; half > 0; half /= 2) {
		for (int i = 0; i < half; i++) lane[i] += lane[i + half];
	}
	return lane[0];
}

#ifdef EXP_X86

// exp_mask has the first n of 8 lanes set: none for n <= 0, all for n >= 8.
EXP_INLINE EXP_AVX2 __m256i exp_mask(int64_t n) {
	return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

// exp_load_first loads the first n elements and zeros for the others; n as in
// exp_mask.
EXP_INLINE EXP_AVX2 __m256 exp_load_first(const float *src, int64_t n) {
	return _mm256_maskload_ps(src, exp_mask(n));
}

// exp_store_first stores the first n elements, n as in exp_mask (a masked store
// is slow on AMD).
EXP_INLINE EXP_AVX2 void exp_store_first(float *dst, __m256 v, int64_t n) {
	if (n >= 8) {
		_mm256_storeu_ps(dst, v);
		return;
	}
	if (n <= 0) return;
	__m128 x = _mm256_castps256_ps128(v);
	if (n & 4) {
		_mm_storeu_ps(dst, x);
		dst += 4;
		x = _mm256_extractf128_ps(v, 1);
	}
	if (n & 2) {
		_mm_storel_pi((__m64 *)dst, x);
		dst += 2;
		x = _mm_movehl_ps(x, x);
	}
	if (n & 1) _mm_store_ss(dst, x);
}

// exp_join_avx2 is the sum of the lanes 0 to 7 of low and 8 to 15 of high.
EXP_INLINE EXP_AVX2 float exp_join_avx2(__m256 low, __m256 high) {
	__m256 eight = _mm256_add_ps(low, high);
	__m128 x = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
	x = _mm_add_ps(x, _mm_movehl_ps(x, x));
	x = _mm_add_ss(x, _mm_movehdup_ps(x));
	return _mm_cvtss_f32(x);
}

// exp_first has the first n of 16 lanes set, all for n >= 16.
EXP_INLINE __mmask16 exp_first(int64_t n) { return (__mmask16)(n >= EXP_LANES ? 0xffff : (1 << n) - 1); }

// EXP_VECTORS does something for each vector of n elements: for the lanes some of the
// elements from j on. Where the mask does not change in the loop the processor waits
// for less.
#define EXP_VECTORS(j, n, ...)                                                                               \
	do {                                                                                                     \
		int64_t j = 0;                                                                                       \
		for (const __mmask16 some = 0xffff; j + EXP_LANES <= (n); j += EXP_LANES) __VA_ARGS__                \
		const __mmask16 some = exp_first((n) - j);                                                           \
		if (j < (n)) __VA_ARGS__                                                                             \
	} while (0)

// exp_join_avx512 is the sum of the lanes.
EXP_INLINE EXP_AVX512 float exp_join_avx512(__m512 lanes) {
	return exp_join_avx2(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps(lanes, 1));
}

#endif

#endif
