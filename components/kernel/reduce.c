#include "reduce.h"
#include "lanes.h"

// ROWS is the number of rows of src that a pass over dst takes in.
enum { ROWS = 8 };

static void sum_rows_portable(float *dst, int64_t rows, int64_t n, const float *src, int64_t ld) {
	for (int64_t r = 0; r < rows; r++) {
		for (int64_t j = 0; j < n; j++) dst[j] += src[r * ld + j];
	}
}

static float dot_portable(int64_t n, const float *a, const float *b) {
	float lane[EXP_LANES] = {0};
	int64_t i = 0;
	for (; i + EXP_LANES <= n; i += EXP_LANES) {
		for (int l = 0; l < EXP_LANES; l++) lane[l] = exp_fmaf(a[i + l], b[i + l], lane[l]);
	}
	for (int l = 0; i + l < n; l++) lane[l] = exp_fmaf(a[i + l], b[i + l], lane[l]);
	return exp_join(lane);
}

// The square of a float is exact in a double, so it makes no difference whether
// it fuses into the sum.
static double sum_squares_portable(int64_t n, const float *x) {
	double lane[EXP_LANES] = {0};
	int64_t i = 0;
	for (; i + EXP_LANES <= n; i += EXP_LANES) {
		for (int l = 0; l < EXP_LANES; l++) lane[l] += (double)x[i + l] * (double)x[i + l];
	}
	for (int l = 0; i + l < n; l++) lane[l] += (double)x[i + l] * (double)x[i + l];
	for (int half = EXP_LANES / 2; half > 0; half /= 2) {
		for (int l = 0; l < half; l++) lane[l] += lane[l + half];
	}
	return lane[0];
}

// A float is finite unless all bits of its exponent are set.
static const uint32_t exponent = 0x7f800000;

static int all_finite_portable(int64_t n, const float *x) {
	int finite = 1;
	for (int64_t i = 0; i < n; i++) {
		uint32_t bits;
		memcpy(&bits, x + i, sizeof bits);
		finite &= (bits & exponent) != exponent;
	}
	return finite;
}

#ifdef EXP_X86

// add_rows adds rows rows to vectors vectors of dst, the last of which has rest
// elements.
EXP_INLINE EXP_AVX2 void add_rows(const int vectors, int64_t rest, float *dst, int64_t rows, const float *src,
                                  int64_t ld) {
	__m256 sum[4];
	EXP_UNROLL(4)
	for (int v = 0; v < vectors; v++) sum[v] = exp_load_first(dst + 8 * v, v < vectors - 1 ? 8 : rest);
	for (int64_t r = 0; r < rows; r++, src += ld) {
		EXP_UNROLL(4)
		for (int v = 0; v < vectors; v++) {
			sum[v] = _mm256_add_ps(sum[v], exp_load_first(src + 8 * v, v < vectors - 1 ? 8 : rest));
		}
	}
	EXP_UNROLL(4)
	for (int v = 0; v < vectors; v++) exp_store_first(dst + 8 * v, sum[v], v < vectors - 1 ? 8 : rest);
}

static EXP_AVX2 void sum_rows_avx2(float *dst, int64_t rows, int64_t n, const float *src, int64_t ld) {
	for (int64_t r = 0; r < rows; r += ROWS, src += ROWS * ld) {
		int64_t count = rows - r < ROWS ? rows - r : ROWS, j = 0;
		for (; j + 32 <= n; j += 32) add_rows(4, 8, dst + j, count, src + j, ld);
		for (; j < n; j += 8) add_rows(1, n - j, dst + j, count, src + j, ld);
	}
}

static EXP_AVX2 float dot_avx2(int64_t n, const float *a, const float *b) {
	__m256 low = _mm256_setzero_ps(), high = low;
	int64_t i = 0;
	for (; i + 16 <= n; i += 16) {
		low = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), low);
		high = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), high);
	}
	int64_t rest = n - i;
	if (rest > 0) {
		low = _mm256_fmadd_ps(exp_load_first(a + i, rest), exp_load_first(b + i, rest), low);
		high = _mm256_fmadd_ps(exp_load_first(a + i + 8, rest - 8), exp_load_first(b + i + 8, rest - 8), high);
	}
	return exp_join_avx2(low, high);
}

// add_squares adds the squares of eight elements to eight lanes.
EXP_INLINE EXP_AVX2 void add_squares(__m256d sum[2], __m256 x) {
	__m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(x)), high = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
	sum[0] = _mm256_fmadd_pd(low, low, sum[0]);
	sum[1] = _mm256_fmadd_pd(high, high, sum[1]);
}

static EXP_AVX2 double sum_squares_avx2(int64_t n, const float *x) {
	__m256d low[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()}, high[2] = {low[0], low[0]};
	int64_t i = 0;
	for (; i + 16 <= n; i += 16) {
		exp_fetch(x + i);
		add_squares(low, _mm256_loadu_ps(x + i));
		add_squares(high, _mm256_loadu_ps(x + i + 8));
	}
	int64_t rest = n - i;
	if (rest > 0) {
		add_squares(low, exp_load_first(x + i, rest));
		add_squares(high, exp_load_first(x + i + 8, rest - 8));
	}
	__m256d four = _mm256_add_pd(_mm256_add_pd(low[0], high[0]), _mm256_add_pd(low[1], high[1]));
	__m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
	return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

static EXP_AVX2 int all_finite_avx2(int64_t n, const float *x) {
	const __m256i mask = _mm256_set1_epi32((int)exponent);
	__m256i infinite = _mm256_setzero_si256();
	for (int64_t i = 0; i < n; i += 8) {
		__m256 v = n - i < 8 ? exp_load_first(x + i, n - i) : _mm256_loadu_ps(x + i);
		__m256i bits = _mm256_and_si256(_mm256_castps_si256(v), mask);
		infinite = _mm256_or_si256(infinite, _mm256_cmpeq_epi32(bits, mask));
	}
	return _mm256_testz_si256(infinite, infinite);
}

#endif

void exp_sum_rows(float *dst, int64_t rows, int64_t n, const float *src, int64_t ld) {
#ifdef EXP_X86
	if (exp_path <= EXP_PATH_AVX2) {
		sum_rows_avx2(dst, rows, n, src, ld);
		return;
	}
#endif
	sum_rows_portable(dst, rows, n, src, ld);
}

float exp_dot(int64_t n, const float *a, const float *b) {
#ifdef EXP_X86
	if (exp_path <= EXP_PATH_AVX2) return dot_avx2(n, a, b);
#endif
	return dot_portable(n, a, b);
}

double exp_sum_squares(int64_t n, const float *x) {
#ifdef EXP_X86
	if (exp_path <= EXP_PATH_AVX2) return sum_squares_avx2(n, x);
#endif
	return sum_squares_portable(n, x);
}

int exp_all_finite(int64_t n, const float *x) {
#ifdef EXP_X86
	if (exp_path <= EXP_PATH_AVX2) return all_finite_avx2(n, x);
#endif
	return all_finite_portable(n, x);
}
