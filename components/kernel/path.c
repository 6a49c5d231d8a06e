#include "kernel.h"

int exp_path = EXP_PATH_PORTABLE;

void exp_set_path(int path) { exp_path = path; }

int exp_has_avx2(void) {
#ifdef EXP_X86
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
	return 0;
#endif
}
