// "512MiB" -> bytes. For command lines and environment variables; not on any hot path.
#pragma once

#include <cstdint>

#include <barelink/core/result.hpp>
#include <barelink/core/units.hpp>

BARELINK_BEGIN_NAMESPACE

/// Reads a size: digits, an optional fraction, and B, KB, MB, GB (powers of ten) or K, KiB, M, MiB, G, GiB (powers of
/// two); no unit is bytes. Case matters only where people's does not differ: `4kib` is accepted.
/// Errors: invalid_argument for anything else, for zero-length text and for sizes above `max_transfer_bytes`.
[[nodiscard]] inline result<std::uint64_t> parse_size(const char* chars) {
    const auto refuse = [&](const char* why) {
        return error(errc::invalid_argument, text::join({"'", chars ? chars : "", "' is not a size: ", why}))
            .about(chars ? chars : "");
    };
    const char* at = chars;
    if (!at || *at < '0' || *at > '9') return refuse("write a number and a unit, such as 4KiB, 512MiB or 4GiB");
    long double number = 0;
    for (; *at >= '0' && *at <= '9'; ++at) number = number * 10 + (*at - '0');
    if (*at == '.') {
        long double place = 0.1L;
        if (*++at < '0' || *at > '9') return refuse("digits must follow the point");
        for (; *at >= '0' && *at <= '9'; ++at, place /= 10) number += place * (*at - '0');
    }
    struct unit {
        const char* name;
        long double bytes;
    };
    constexpr unit units[] = {{"", 1},        {"b", 1},         {"k", 0x1p10L},   {"kib", 0x1p10L}, {"kb", 1e3L},
                              {"m", 0x1p20L}, {"mib", 0x1p20L}, {"mb", 1e6L},     {"g", 0x1p30L},   {"gib", 0x1p30L},
                              {"gb", 1e9L},   {"t", 0x1p40L},   {"tib", 0x1p40L}, {"tb", 1e12L}};
    const auto same = [](const char* a, const char* b) {
        for (; *a && *b; ++a, ++b)
            if ((*a >= 'A' && *a <= 'Z' ? *a - 'A' + 'a' : *a) != *b) return false;
        return *a == *b;
    };
    long double scale = 0;
    for (const unit& candidate : units)
        if (same(at, candidate.name)) scale = candidate.bytes;
    if (scale == 0) return refuse("the units are B, KB, KiB, MB, MiB, GB, GiB, TB, TiB");
    const long double bytes = number * scale;
    if (bytes > static_cast<long double>(max_transfer_bytes)) return refuse("the largest transfer is 2^62 bytes");
    return static_cast<std::uint64_t>(bytes + 0.5L); // decimal fractions are not exact in binary
}

BARELINK_END_NAMESPACE
