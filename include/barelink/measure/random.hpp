// Random numbers that are the same on every platform and standard library: what a fixed seed means.
#pragma once

#include <cstdint>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): turns any seed, 0 too, into
/// the state of a larger generator.
class split_mix {
public:
    explicit constexpr split_mix(std::uint64_t seed) noexcept : state_(seed) {}

    constexpr std::uint64_t next() noexcept {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }

private:
    std::uint64_t state_;
};

/// xoshiro256++ 1.0 (Blackman and Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 2021). Not for secrets.
/// A value: a copy goes on with the same numbers.
class random_numbers {
public:
    /// Streams of one seed have nothing to do with each other.
    explicit constexpr random_numbers(std::uint64_t seed, std::uint64_t stream = 0) noexcept {
        split_mix mix(seed ^ split_mix(stream).next());
        for (std::uint64_t& word : state_) word = mix.next();
    }
    /// The generator in a given state, which must not be all zeros.
    constexpr random_numbers(std::uint64_t s0, std::uint64_t s1, std::uint64_t s2, std::uint64_t s3) noexcept
        : state_{s0, s1, s2, s3} {}

    constexpr std::uint64_t next() noexcept {
        const std::uint64_t value = rotate(state_[0] + state_[3], 23) + state_[0];
        const std::uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = rotate(state_[3], 45);
        return value;
    }

    /// From 0 to `bound` - 1. By multiplication (Lemire, ACM TOMACS 2019) without its rejection step: the bias is below
    /// bound / 2^32, a millionth for bounds of thousands, and no draw takes longer than another.
    constexpr std::uint32_t below(std::uint32_t bound) noexcept {
        return static_cast<std::uint32_t>(((next() >> 32) * bound) >> 32);
    }

    /// From 0 to below 1, in steps of 2^-53.
    constexpr double uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }

private:
    static constexpr std::uint64_t rotate(std::uint64_t x, int by) noexcept { return (x << by) | (x >> (64 - by)); }

    std::uint64_t state_[4]{};
};

BARELINK_END_NAMESPACE
