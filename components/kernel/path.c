#include "kernel.h"

int exp_path = EXP_PATH_PORTABLE;

void exp_set_path(int path) { exp_path = path; }

int exp_fastest_path(void) {
#ifdef EXP_X86
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
		if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
		    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
			return EXP_PATH_AVX512;
		}
		return EXP_PATH_AVX2;
	}
#endif
	return EXP_PATH_PORTABLE;
}
