// libc's syscall and munmap, in front of libc's own: what concerns NUMA placement is the simulation's, the rest the kernel's.
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include <sys/syscall.h>

#include "environment.hpp"
#include "numa.hpp"
#include "numa_calls.hpp"
#include "simcuda.hpp"

namespace {

long kernel(long number, const long (&with)[6]) noexcept {
#if defined(__x86_64__)
    long answer;
    register long r10 asm("r10") = with[3];
    register long r8 asm("r8") = with[4];
    register long r9 asm("r9") = with[5];
    asm volatile("syscall"
                 : "=a"(answer)
                 : "a"(number), "D"(with[0]), "S"(with[1]), "d"(with[2]), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return answer;
#elif defined(__aarch64__)
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = with[0];
    register long x1 asm("x1") = with[1];
    register long x2 asm("x2") = with[2];
    register long x3 asm("x3") = with[3];
    register long x4 asm("x4") = with[4];
    register long x5 asm("x5") = with[5];
    asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
#else
#error "simcuda knows the system calls of x86-64 and aarch64"
#endif
}

long settle(long answer) noexcept {
    if (answer < 0 && answer >= -4095) {
        errno = static_cast<int>(-answer);
        return -1;
    }
    return answer;
}

bool about_placement(long number) noexcept {
    return number == SYS_mbind || number == SYS_set_mempolicy || number == SYS_get_mempolicy ||
           number == SYS_move_pages;
}

long placement(long number, const long (&with)[6]) {
    using namespace simcuda;
    const auto address = [&](int i) { return static_cast<std::uintptr_t>(with[i]); };
    const auto words = [&](int i) { return reinterpret_cast<unsigned long*>(with[i]); };
    const auto count = [&](int i) { return static_cast<unsigned long>(with[i]); };
    switch (number) {
    case SYS_mbind:
        return numa::mbind(address(0), count(1), with[2], words(3), count(4), static_cast<unsigned>(with[5]));
    case SYS_set_mempolicy: return numa::set_mempolicy(static_cast<int>(with[0]), words(1), count(2));
    case SYS_get_mempolicy:
        return numa::get_mempolicy(reinterpret_cast<int*>(with[0]), words(1), count(2), address(3), count(4));
    default:
        return numa::move_pages(count(1), reinterpret_cast<void* const*>(with[2]),
                                reinterpret_cast<const int*>(with[3]), reinterpret_cast<int*>(with[4]));
    }
}

} // namespace

extern "C" {

/// Takes six arguments whatever the number passed, as libc does: the rest is rubbish that nobody looks at.
[[gnu::no_sanitize_address]] SIMCUDA_API long syscall(long number, ...) noexcept {
    long with[6];
    va_list more;
    va_start(more, number);
    for (long& each : with) each = va_arg(more, long);
    va_end(more);
    if (about_placement(number) && simcuda::simulated_system()) return settle(placement(number, with));
    return settle(kernel(number, with));
}

/// Addresses come back for other memory: what was bound there is bound no longer.
SIMCUDA_API int munmap(void* at, std::size_t bytes) noexcept {
    const long with[6] = {reinterpret_cast<long>(at), static_cast<long>(bytes)};
    const long answer = settle(kernel(SYS_munmap, with));
    if (answer == 0 && simcuda::simulated_system()) simcuda::numa::forget(reinterpret_cast<std::uintptr_t>(at), bytes);
    return static_cast<int>(answer);
}

} // extern "C"
