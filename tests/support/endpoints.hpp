// Short names for the ends of transfers.
#pragma once

#include <cstdint>

#include <barelink/plan/endpoint.hpp>

namespace test {

inline barelink::endpoint gpu(std::int32_t index) {
    return barelink::endpoint::gpu(barelink::gpu_id{index});
}
inline barelink::endpoint host(std::int32_t index) {
    return barelink::endpoint::host(barelink::numa_id{index});
}

} // namespace test
