// What one thread of the block kernel does. Plain C++, so that a CPU runs the very same code in tests. Private to kernels.cuh.
#pragma once

#include <cstdint>

#include <barelink/move/block.hpp>

#if defined(__CUDACC__) // the policies of a GPU are called from the GPU alone, those of a CPU from the CPU
#define BARELINK_UNCHECKED _Pragma("nv_exec_check_disable")
#define BARELINK_HOST_DEVICE __host__ __device__
#else
#define BARELINK_UNCHECKED
#define BARELINK_HOST_DEVICE
#endif

BARELINK_BEGIN_NAMESPACE
namespace detail::block_kernel {

/// Threads that run together: lanes of a warp read and write neighbouring words.
inline constexpr std::uint32_t warp_threads = 32;
/// What a warp moves before it looks for more: four loads of 16 bytes a lane in flight, which is what hides 1 to 2 us of PCIe with
/// few multiprocessors (32 warps of one hold 64 KiB in flight; 55 GB/s times 1.5 us are 80 KiB).
inline constexpr std::uint32_t part_bytes = 2048;
/// Parts start where the destination is a multiple of this: whole lines are written, and whole packets over PCIe.
inline constexpr std::uint32_t line_bytes = 128;
/// Entries that a thread block looks at together. More would spread uneven lists less evenly.
inline constexpr std::uint32_t window_entries = 64;

/// Sixteen bytes that move in one access.
struct alignas(16) vector_word {
    std::uint64_t low, high;
};

/// Words of `Word` size, `first` and every `step`-th. Precondition: both addresses are multiples of the word's size.
BARELINK_UNCHECKED
template <class Word, class Memory>
BARELINK_HOST_DEVICE void move_words(char* to, const char* from, std::uint32_t words, std::uint32_t first,
                                     std::uint32_t step, const Memory& memory) {
    auto* out = reinterpret_cast<Word*>(to);
    const auto* in = reinterpret_cast<const Word*>(from);
    std::uint32_t i = first;
    for (; i + 3 * step < words; i += 4 * step) { // all four loads before the first store waits for one
        const Word a = memory.load(in + i), b = memory.load(in + i + step);
        const Word c = memory.load(in + i + 2 * step), d = memory.load(in + i + 3 * step);
        memory.store(out + i, a);
        memory.store(out + i + step, b);
        memory.store(out + i + 2 * step, c);
        memory.store(out + i + 3 * step, d);
    }
    for (; i < words; i += step) memory.store(out + i, memory.load(in + i));
}

/// The ends that no whole word covers byte by byte, the middle in words. Precondition: both addresses are equal modulo the word's size.
BARELINK_UNCHECKED
template <class Word, class Memory>
BARELINK_HOST_DEVICE void move_aligned(char* to, const char* from, std::uint32_t bytes, std::uint32_t lane,
                                       const Memory& memory) {
    constexpr auto size = static_cast<std::uint32_t>(sizeof(Word));
    const auto past = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(to) % size);
    std::uint32_t head = past == 0 ? 0 : size - past;
    if (head > bytes) head = bytes;
    const std::uint32_t words = (bytes - head) / size, tail = head + words * size;
    if (lane < head) memory.store(to + lane, memory.load(from + lane));
    move_words<Word>(to + head, from + head, words, lane, warp_threads, memory);
    if (tail + lane < bytes) memory.store(to + tail + lane, memory.load(from + tail + lane));
}

/// At most `part_bytes` by the lanes of one warp, in the widest words that fit both addresses.
BARELINK_UNCHECKED
template <class Memory>
BARELINK_HOST_DEVICE void move_part(char* to, const char* from, std::uint32_t bytes, std::uint32_t lane,
                                    const Memory& memory) {
    const std::uintptr_t apart = reinterpret_cast<std::uintptr_t>(to) ^ reinterpret_cast<std::uintptr_t>(from);
    if (apart % 16 == 0) return move_aligned<vector_word>(to, from, bytes, lane, memory);
    if (apart % 8 == 0) return move_aligned<std::uint64_t>(to, from, bytes, lane, memory);
    if (apart % 4 == 0) return move_aligned<std::uint32_t>(to, from, bytes, lane, memory);
    move_words<char>(to, from, bytes, lane, warp_threads, memory);
}

/// Everything that thread `thread` of thread block `index` has to do. The list is cut into windows, which go round the thread
/// blocks; a window's bytes are cut into parts, which go round the warps of its thread block. So work is split by bytes, down
/// to 2 KiB, and each thread block reads its own part of the list, once. With fewer entries than thread blocks several of
/// those share an entry; with more, one entry is never more than one thread block's work.
///
/// All threads of a thread block call `windows.fetch(from, entries, thread, threads)` and later `windows.open(entries, thread,
/// threads)`, which waits for all of them and gives them the entries fetched last. Precondition: `threads` is a multiple of 32.
BARELINK_UNCHECKED
template <class Windows, class Memory>
BARELINK_HOST_DEVICE void run(const block* list, std::uint32_t count, std::uint32_t index, std::uint32_t blocks,
                              std::uint32_t thread, std::uint32_t threads, Windows& windows, const Memory& memory) {
    if (count == 0) return;
    const std::uint32_t sharing = count < blocks ? blocks / count : 1; // thread blocks that work on one window
    const std::uint32_t teams = count < blocks ? count : blocks, team = index / sharing;
    if (team >= teams) return; // left over: every thread of this block leaves
    std::uint32_t entries = count / teams;
    if (entries > window_entries) entries = window_entries;

    const std::uint32_t warps = threads / warp_threads, all_warps = warps * sharing;
    const std::uint32_t warp = (index % sharing) * warps + thread / warp_threads, lane = thread % warp_threads;
    std::uint32_t turn = 0; // the warp whose turn it is to take the next part
    const std::uint64_t stride = static_cast<std::uint64_t>(teams) * entries;
    const auto size_at = [&](std::uint64_t first) {
        return first >= count ? 0u : count - first < entries ? static_cast<std::uint32_t>(count - first) : entries;
    };
    std::uint64_t first = static_cast<std::uint64_t>(team) * entries;
    if (first < count) windows.fetch(list + first, size_at(first), thread, threads);
    for (; first < count; first += stride) {
        const std::uint32_t here = size_at(first), ahead = size_at(first + stride);
        const block* window = windows.open(here, thread, threads);
        if (ahead > 0) windows.fetch(list + first + stride, ahead, thread, threads);
        for (std::uint32_t i = 0; i < here; ++i) {
            const std::uint64_t bytes = window[i].bytes;
            if (bytes == 0) continue;
            auto* to = static_cast<char*>(window[i].to);
            const auto* from = static_cast<const char*>(window[i].from);
            const std::uint64_t lead = reinterpret_cast<std::uintptr_t>(to) % line_bytes;
            const std::uint64_t parts = (bytes + lead + part_bytes - 1) / part_bytes;
            for (std::uint64_t part = warp >= turn ? warp - turn : warp + all_warps - turn; part < parts;
                 part += all_warps) {
                const std::uint64_t start = part == 0 ? 0 : part * part_bytes - lead;
                const std::uint64_t end =
                    (part + 1) * part_bytes - lead < bytes ? (part + 1) * part_bytes - lead : bytes;
                move_part(to + start, from + start, static_cast<std::uint32_t>(end - start), lane, memory);
            }
            turn += static_cast<std::uint32_t>(parts < all_warps ? parts : parts % all_warps);
            if (turn >= all_warps) turn -= all_warps;
        }
    }
}

/// A window is the list itself, accesses are plain ones: what a CPU uses.
class plain_windows {
public:
    void fetch(const block* from, std::uint32_t, std::uint32_t, std::uint32_t) noexcept { next_ = from; }
    [[nodiscard]] const block* open(std::uint32_t, std::uint32_t, std::uint32_t) const noexcept { return next_; }

private:
    const block* next_ = nullptr;
};
struct plain_memory {
    template <class Word>
    [[nodiscard]] Word load(const Word* from) const noexcept {
        Word value;
        __builtin_memcpy(&value, from, sizeof value);
        return value;
    }
    template <class Word>
    void store(Word* to, Word value) const noexcept {
        __builtin_memcpy(to, &value, sizeof value);
    }
};

/// One thread's work on a CPU.
inline void run_on_cpu(const block* list, std::uint32_t count, std::uint32_t index, std::uint32_t blocks,
                       std::uint32_t thread, std::uint32_t threads) {
    plain_windows windows;
    run(list, count, index, blocks, thread, threads, windows, plain_memory{});
}

} // namespace detail::block_kernel
BARELINK_END_NAMESPACE

#undef BARELINK_HOST_DEVICE
#undef BARELINK_UNCHECKED
