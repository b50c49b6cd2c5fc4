// How the kernel lists CPUs and NUMA nodes.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <string>
#include <vector>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// The numbers of `0-3,8`, at most `most`. Empty for what is no list.
[[nodiscard]] inline std::vector<int> numbers_in(const std::string& list, std::size_t most = 8192) {
    std::vector<int> numbers;
    const char* at = list.c_str();
    while (*at >= '0' && *at <= '9') {
        char* end = nullptr;
        const long first = std::strtol(at, &end, 10);
        long last = first;
        if (*end == '-') last = std::strtol(end + 1, &end, 10);
        for (long each = first; each <= last && numbers.size() < most; ++each)
            numbers.push_back(static_cast<int>(each));
        at = *end == ',' ? end + 1 : end;
    }
    return numbers;
}

} // namespace detail
BARELINK_END_NAMESPACE
