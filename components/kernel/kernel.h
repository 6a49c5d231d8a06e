// What every C file of the package shares: the path in use, the attribute of
// AVX2 functions, and a fused multiply-add that is exact on every machine.

#ifndef EXP_KERNEL_H
#define EXP_KERNEL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

// Multiplications and additions fuse only where fma is written: the bits must
// not depend on the compiler. For gcc -std=c11 says so.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#if defined(__x86_64__)
#define EXP_X86 1
#include <immintrin.h>
// EXP_AVX2 and EXP_AVX512 let a function use these instructions whatever the
// build's baseline.
#define EXP_AVX2 __attribute__((target("avx2,fma")))
#define EXP_AVX512 __attribute__((target("avx2,fma,avx512f,avx512vl,avx512dq,avx512bw")))
#endif

#if defined(__aarch64__)
#define EXP_NEON 1
#include <arm_neon.h>
#endif

// EXP_UNROLL(n) unrolls the loop that follows, of at most n steps. Clang must be
// told to do it wholly, or it comes too late for arrays to stay in registers.
#define EXP_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define EXP_UNROLL(n) EXP_PRAGMA(clang loop unroll(full))
#else
#define EXP_UNROLL(n) EXP_PRAGMA(GCC unroll n)
#endif

#define EXP_INLINE static inline __attribute__((always_inline))

// exp_fetch fetches what lies 2 KiB after p, if anything does, for a loop that reads
// more memory than it computes: what the processor fetches by itself ends with the page.
EXP_INLINE void exp_fetch(const float *p) { __builtin_prefetch((const void *)((uintptr_t)p + 2048)); }

// exp_fetch_row fetches n elements.
EXP_INLINE void exp_fetch_row(const float *row, int64_t n) {
	for (int64_t i = 0; i < n; i += 16) __builtin_prefetch(row + i);
}

enum { EXP_PATH_AVX512, EXP_PATH_AVX2, EXP_PATH_NEON, EXP_PATH_PORTABLE, EXP_PATH_REFERENCE };

// exp_path is what C functions switch on; it is never EXP_PATH_REFERENCE, which
// runs in Go.
extern int exp_path;

// exp_far says that it takes long to get back what the second-level cache has lost, but
// that it holds much: products and additive attention fetch ahead, and products copy
// less. exp_is_far reports it of this processor: Intel's servers have 2 MiB of that cache
// a core, with the next 70 ns behind.
extern int exp_far;
int exp_is_far(void);

void exp_set_path(int path, int far);

// exp_runs_path reports whether this processor runs a path.
int exp_runs_path(int path);

// exp_fmaf is x*y + z rounded once. Without fmaf in hardware it rounds the sum
// to odd in double precision first, which makes the second rounding, to float,
// exact (Boldo and Melquiond 2008): the product is exact in a double, err is
// what the addition lost, and an even sum that lost something steps to its odd
// neighbour on the side of the loss.
EXP_INLINE float exp_fmaf(float x, float y, float z) {
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__aarch64__)
	return __builtin_fmaf(x, y, z);
#else
	double p = (double)x * (double)y;
	double s = p + (double)z;
	double t = s - p;
	double err = (p - (s - t)) + ((double)z - t);
	if (err > 0 || err < 0) {
		int64_t bits;
		memcpy(&bits, &s, sizeof bits);
		if ((bits & 1) == 0) bits += (err > 0) == (s > 0) ? 1 : -1;
		memcpy(&s, &bits, sizeof bits);
	}
	return (float)s;
#endif
}

// exp_unless_below1 is x, or 0 where |x| < least; exp_unless_below8 is the same of eight.
EXP_INLINE float exp_unless_below1(float x, float least) { return fabsf(x) < least ? 0 : x; }

#ifdef EXP_X86
EXP_INLINE EXP_AVX2 __m256 exp_unless_below8(__m256 x, __m256 least) {
	__m256 magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
	return _mm256_and_ps(x, _mm256_cmp_ps(magnitude, least, _CMP_NLT_UQ));
}
#endif

#endif
