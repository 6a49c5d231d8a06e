#include "kernel.h"

int exp_path = EXP_PATH_PORTABLE, exp_far;

void exp_set_path(int path, int far) { exp_path = path, exp_far = far; }

int exp_is_far(void) {
#ifdef EXP_X86
	__builtin_cpu_init();
	return __builtin_cpu_is("intel") != 0;
#else
	return 0;
#endif
}

int exp_runs_path(int path) {
	switch (path) {
#ifdef EXP_X86
	case EXP_PATH_AVX512:
		return exp_runs_path(EXP_PATH_AVX2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
		       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
	case EXP_PATH_AVX2:
		__builtin_cpu_init();
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
#ifdef EXP_NEON
	case EXP_PATH_NEON: // every arm64 processor has it
#endif
	case EXP_PATH_PORTABLE:
	case EXP_PATH_REFERENCE:
		return 1;
	}
	return 0;
}
