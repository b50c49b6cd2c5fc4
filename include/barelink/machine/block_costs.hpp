// What scattered copies cost besides their bytes, by the way they go. Machine-wide like `copy_costs`, and measured with them.
#pragma once

#include <cstdint>

#include <barelink/machine/evidence.hpp>

BARELINK_BEGIN_NAMESPACE

/// The members of `block_costs` in their order.
enum class block_cost : std::uint8_t {
    batch_us,
    batch_block_us,
    row_us,
    kernel_us,
    kernel_block_us,
    kernel_multiprocessor_gb_s,
    kernel_link_share,
    device_gb_s,
    host_block_us
};

/// Times in microseconds, rates in GB/s. The defaults are priors (`assumed`) for an H100, each with its source. Where one
/// way overtakes another is computed from these and from nothing else.
struct block_costs {
    /// One call of the batch copy, whatever its length. Project choice: a copy call and the driver's look at the list.
    double batch_us = 4.0;
    /// Each entry of a batch besides its bytes. Published: 30 to 33 GB/s for blocks of 32 KiB on an H100, whose link moves
    /// 55.3: 32 KiB / 31.5 GB/s - 32 KiB / 55.3 GB/s.
    double batch_block_us = 0.45;
    /// Each row of a strided (2D) copy besides its bytes. Project choice: the engine walks the rows by itself.
    double row_us = 0.05;
    /// Start of the copy kernel: its launch, and the first look at a list in host memory. Published: below about 32 blocks
    /// the batch copy wins; for 1 KiB blocks the two are then equal at 32.
    double kernel_us = 12.0;
    /// Each entry of the kernel's list besides its bytes. Published: for 256 blocks of 1 to 24 KiB the kernel is 2 to 4.5
    /// times faster than the batch copy; the model says 4.9 at 1 KiB and 1.6 at 24 KiB.
    double kernel_block_us = 0.03;
    /// What one multiprocessor moves over a link. Project choice: half of what 32 KiB in flight give at 2.5 us a round trip.
    double kernel_multiprocessor_gb_s = 6.5;
    /// Share of a copy engine's rate that loads and stores of multiprocessors reach on the same link. Project choice.
    double kernel_link_share = 0.9;
    /// What a GPU's copy engines move within its own memory. Project choice: each byte is read and written, and the
    /// published 2.90 TB/s of an H100's memory allow 1450.
    double device_gb_s = 1000.0;
    /// Each block that a host thread gathers or scatters, besides its bytes. Project choice: two cache misses and a call.
    double host_block_us = 0.2;
    /// What the costs rest on that were not measured one by one.
    evidence source = evidence::assumed;
    /// Those that were measured on this machine, a bit each.
    std::uint32_t measured = 0;

    [[nodiscard]] static constexpr std::uint32_t bit(block_cost cost) noexcept {
        return 1u << static_cast<unsigned>(cost);
    }
    [[nodiscard]] constexpr evidence of(block_cost cost) const noexcept {
        return (measured & bit(cost)) != 0 ? evidence::measured : source;
    }

    friend bool operator==(const block_costs&, const block_costs&) noexcept = default;
};

BARELINK_END_NAMESPACE
