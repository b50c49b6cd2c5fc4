// memcpy past the caches: for bytes that a copy engine, not this CPU, reads next. Private to move.
#pragma once

#include <cstdint>
#include <cstring>

#include <barelink/core/units.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// A hint to the core that it waits for another one.
inline void pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield" ::: "memory");
#endif
}

#if defined(__x86_64__)

/// 128 bytes a turn, `blocks` > 0 of them, to a 64-byte aligned address. Written out because <immintrin.h> costs 47,000
/// lines. AVX-512 is no faster on the machine below, so there are only these two.
inline void stream_blocks_avx(char* to, const char* from, std::uint64_t blocks) noexcept {
    asm volatile("1:\n\t"
                 "prefetcht0 1024(%[from])\n\t"
                 "prefetcht0 1088(%[from])\n\t"
                 "vmovdqu (%[from]), %%ymm0\n\t"
                 "vmovdqu 32(%[from]), %%ymm1\n\t"
                 "vmovdqu 64(%[from]), %%ymm2\n\t"
                 "vmovdqu 96(%[from]), %%ymm3\n\t"
                 "vmovntdq %%ymm0, (%[to])\n\t"
                 "vmovntdq %%ymm1, 32(%[to])\n\t"
                 "vmovntdq %%ymm2, 64(%[to])\n\t"
                 "vmovntdq %%ymm3, 96(%[to])\n\t"
                 "add $128, %[from]\n\t"
                 "add $128, %[to]\n\t"
                 "dec %[blocks]\n\t"
                 "jnz 1b\n\t"
                 "vzeroupper" // which empties the upper half of every one of them
                 : [to] "+r"(to), [from] "+r"(from), [blocks] "+r"(blocks)
                 :
                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                   "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
}
inline void stream_blocks_sse(char* to, const char* from, std::uint64_t blocks) noexcept {
    blocks *= 2;
    asm volatile("1:\n\t"
                 "movdqu (%[from]), %%xmm0\n\t"
                 "movdqu 16(%[from]), %%xmm1\n\t"
                 "movdqu 32(%[from]), %%xmm2\n\t"
                 "movdqu 48(%[from]), %%xmm3\n\t"
                 "movntdq %%xmm0, (%[to])\n\t"
                 "movntdq %%xmm1, 16(%[to])\n\t"
                 "movntdq %%xmm2, 32(%[to])\n\t"
                 "movntdq %%xmm3, 48(%[to])\n\t"
                 "add $64, %[from]\n\t"
                 "add $64, %[to]\n\t"
                 "dec %[blocks]\n\t"
                 "jnz 1b"
                 : [to] "+r"(to), [from] "+r"(from), [blocks] "+r"(blocks)
                 :
                 : "xmm0", "xmm1", "xmm2", "xmm3", "memory", "cc");
}

/// Copies with stores that leave the caches alone, every size and alignment; the bytes are visible to every other core and
/// to devices when it returns. Ranges must not overlap. Both ends are ordinary copies, so that sanitizers see overruns.
inline void stream_copy(void* to, const void* from, std::uint64_t bytes) noexcept {
    constexpr std::uint64_t line = 64, block = 128;
    auto* target = static_cast<char*>(to);
    const auto* source = static_cast<const char*>(from);
    if (bytes < 4 * block) {
        if (bytes > 0) std::memcpy(target, source, bytes);
        return;
    }
    const std::uint64_t head = line - reinterpret_cast<std::uintptr_t>(target) % line;
    const std::uint64_t blocks = (bytes - head - 1) / block, tail = bytes - head - blocks * block;
    std::memcpy(target, source, head);
    static const bool has_avx = __builtin_cpu_supports("avx2") != 0;
    (has_avx ? stream_blocks_avx : stream_blocks_sse)(target + head, source + head, blocks);
    std::memcpy(target + bytes - tail, source + bytes - tail, tail);
    __builtin_ia32_sfence();
}

#else

/// An ordinary copy: the C library's is as good here.
inline void stream_copy(void* to, const void* from, std::uint64_t bytes) noexcept {
    if (bytes > 0) std::memcpy(to, from, bytes);
}

#endif

/// Copies of fewer bytes go through the caches. Measured with host_copy_bench on a 2-core VM (AMD EPYC, Zen 4, 32 MiB of
/// L3), one thread, from new bytes into a ring of 16 MiB, std::memcpy against stream_copy: 64 KiB 15.2 and 18.9 GB/s,
/// 256 KiB 15.6 and 20.4, 1 MiB 9.7 and 18.9, 64 MiB 9.9 and 19.5. Bytes that are in the cache at both ends are the other
/// way round (256 KiB: 54 and 26 GB/s), which small copies may well be and large ones are not.
inline constexpr std::uint64_t stream_from_bytes = 256 * KiB;

/// Copies the way that is faster for the size.
inline void copy_bytes(void* to, const void* from, std::uint64_t bytes) noexcept {
    if (bytes >= stream_from_bytes)
        stream_copy(to, from, bytes);
    else if (bytes > 0)
        std::memcpy(to, from, bytes);
}

} // namespace detail
BARELINK_END_NAMESPACE
