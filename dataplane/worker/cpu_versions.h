// GUIDEWAY_CPU_VERSIONS: before a function's definition, compiles it once for every 64-bit x86 and once for those of x86-64-v3 (AVX2,
// BMI2, MOVBE: servers since 2013); the dynamic linker picks at start. Calls go through a pointer: for functions called once a burst.
//
// Only GCC, and not under sanitizers, whose start-up comes after the picking. Everything it inlines is compiled with it.
// Thread contract: none.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define GUIDEWAY_CPU_VERSIONS [[gnu::target_clones("default", "arch=x86-64-v3")]]
#else
#define GUIDEWAY_CPU_VERSIONS
#endif
