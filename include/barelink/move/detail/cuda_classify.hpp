// What CUDA and the kernel know about an address. Private to move/cuda.
#pragma once

#include <cerrno>
#include <cstdint>

#include <sys/syscall.h>
#include <unistd.h>

#include <barelink/machine/cuda_error.hpp>
#include <barelink/move/detail/cuda_driver.hpp>
#include <barelink/move/host_mapping.hpp>
#include <barelink/move/memory_extent.hpp>

BARELINK_BEGIN_NAMESPACE
namespace cuda::detail {

/// Can this process read the eight bytes around an address? CUDA calls every address that it does not know "unregistered", a
/// freed one as well; reading such a one would end the program. An invalid `how` makes the kernel look at the set first and
/// refuse then: EFAULT or EINVAL.
[[nodiscard]] inline bool is_readable(const void* at) noexcept {
    const auto aligned = reinterpret_cast<std::uintptr_t>(at) & ~std::uintptr_t{7};
    const int before = errno;
    const bool fault =
        ::syscall(SYS_rt_sigprocmask, ~0, reinterpret_cast<const void*>(aligned), nullptr, 8) != 0 && errno == EFAULT;
    errno = before;
    return !fault;
}

/// Start and size of the allocation or registration that an address is in; false where the driver does not say.
[[nodiscard]] inline bool allocation_of(const void* at, std::uintptr_t& start, std::uint64_t& bytes) noexcept {
    const driver& d = driver::get();
    unsigned long long base = 0;
    std::size_t size = 0;
    const auto address = static_cast<unsigned long long>(reinterpret_cast<std::uintptr_t>(at));
    if (!d.pointer_attribute || d.pointer_attribute(&base, driver::range_start, address) != 0 ||
        d.pointer_attribute(&size, driver::range_size, address) != 0 || size == 0)
        return false;
    start = static_cast<std::uintptr_t>(base);
    bytes = size;
    return true;
}

[[nodiscard]] inline error mixed_range(std::uint64_t bytes) {
    return error(errc::invalid_argument,
                 "the range is only partly page-locked, or leaves its allocation: register all of it or none, or split "
                 "the copy there")
        .asking(bytes);
}

/// Page-locked memory registered in pieces: no command may straddle two. Pieces of one size, as pools make them, are
/// described; others must be copied one by one.
[[nodiscard]] inline status note_pieces(const char* first, std::uint64_t bytes, placement& where) {
    std::uintptr_t start = 0;
    std::uint64_t size = 0;
    const auto address = reinterpret_cast<std::uintptr_t>(first);
    if (!allocation_of(first, start, size) || address + bytes <= start + size) return {};
    where.stripe_bytes = size;
    where.stripe_phase = address - start;
    for (std::uintptr_t next = start + size; next < address + bytes;) {
        std::uintptr_t piece_start = 0;
        std::uint64_t piece_size = 0;
        if (!allocation_of(reinterpret_cast<const void*>(next), piece_start, piece_size) || piece_start != next)
            return mixed_range(bytes);
        const bool last = next + piece_size >= address + bytes;
        if (piece_size != size && !last)
            return error(errc::invalid_argument,
                         "the range spans registrations of different sizes: split the copy where they meet")
                .asking(bytes);
        next += piece_size;
    }
    return {};
}

/// Kind, and for page-locked memory the pieces; `device` is CUDA's number of the GPU that owns device memory.
struct address_facts {
    placement where;
    int device = -1;
};

/// Errors: invalid_argument (freed, partly registered, managed memory is unsupported), and CUDA's own.
[[nodiscard]] inline result<address_facts> ask_cuda(const void* at, std::uint64_t bytes) {
    const auto* first = static_cast<const char*>(at);
    const char* last = first + (bytes > 0 ? bytes - 1 : 0);
    cudaPointerAttributes begin{}, end{};
    if (auto asked = check(cudaPointerGetAttributes(&begin, first), "asking CUDA about an address"); !asked)
        return asked.error();
    if (first != last)
        if (auto asked = check(cudaPointerGetAttributes(&end, last), "asking CUDA about an address"); !asked)
            return asked.error();
    if (first != last && (begin.type != end.type || (begin.type == cudaMemoryTypeDevice && begin.device != end.device)))
        return mixed_range(bytes);
    address_facts facts;
    switch (begin.type) {
    case cudaMemoryTypeUnregistered:
        if (!is_readable(first) || !is_readable(last))
            return error(errc::invalid_argument,
                         "there is no memory at this address: it was freed, or never was this process's")
                .asking(bytes);
        return facts;
    case cudaMemoryTypeHost:
        facts.where.kind = memory_kind::pinned;
        if (auto noted = note_pieces(first, bytes, facts.where); !noted) return noted.error();
        return facts;
    case cudaMemoryTypeDevice:
        facts.where.kind = memory_kind::device;
        facts.device = begin.device;
        return facts;
    default:
        return error(errc::unsupported,
                     "managed memory moves by itself: prefetch it with cudaMemPrefetchAsync, or copy it with "
                     "cudaMemcpyAsync");
    }
}

/// What CUDA knows about the whole of what an address lies in. `bytes` is 0 for pageable memory, and where the driver does
/// not say: then ranges must be asked about one by one.
struct extent_facts {
    address_facts facts;
    std::uintptr_t base = 0;
    std::uint64_t bytes = 0;
    std::uint64_t device_offset = 0;
};

/// Errors: as for `ask_cuda`.
[[nodiscard]] inline result<extent_facts> ask_extent(const void* at) {
    auto facts = ask_cuda(at, 1);
    if (!facts) return std::move(facts).error();
    extent_facts all{*facts, 0, 0, 0};
    if (facts->where.kind == memory_kind::pageable) return all;
    if (!allocation_of(at, all.base, all.bytes)) all.bytes = 0;
    if (facts->where.kind != memory_kind::pinned) return all;
    cudaPointerAttributes asked{};
    if (auto done = check(cudaPointerGetAttributes(&asked, at), "asking CUDA about an address"); !done)
        return done.error();
    if (asked.devicePointer)
        all.device_offset =
            reinterpret_cast<std::uintptr_t>(asked.devicePointer) - reinterpret_cast<std::uintptr_t>(at);
    return all;
}

} // namespace cuda::detail
BARELINK_END_NAMESPACE
