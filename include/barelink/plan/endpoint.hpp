// Where bytes come from and go to, as the user names it: host:0, host:all, pageable:1, gpu:3.
#pragma once

#include <cstdint>
#include <string>

#include <barelink/core/result.hpp>
#include <barelink/core/units.hpp>
#include <barelink/machine/machine.hpp>

BARELINK_BEGIN_NAMESPACE

/// One end of a transfer. `host` is pinned memory on a NUMA node, `striped_host` is pinned memory spread evenly over all
/// NUMA nodes that have any, `pageable` is ordinary memory on a NUMA node.
struct endpoint {
    enum class place : std::uint8_t { host, striped_host, pageable, gpu };

    place where = place::host;
    /// NUMA node or GPU number; unused for `striped_host`.
    std::int32_t index = 0;

    [[nodiscard]] static constexpr endpoint host(numa_id node) noexcept { return {place::host, node.value}; }
    [[nodiscard]] static constexpr endpoint host_all() noexcept { return {place::striped_host, 0}; }
    [[nodiscard]] static constexpr endpoint pageable(numa_id node) noexcept { return {place::pageable, node.value}; }
    [[nodiscard]] static constexpr endpoint gpu(gpu_id id) noexcept { return {place::gpu, id.value}; }

    [[nodiscard]] constexpr bool on_host() const noexcept { return where != place::gpu; }
    friend constexpr bool operator==(const endpoint&, const endpoint&) noexcept = default;
};

/// `host:0`, `host:all`, `pageable:1`, `gpu:3`.
[[nodiscard]] inline std::string to_string(endpoint e) {
    switch (e.where) {
    case endpoint::place::striped_host: return "host:all";
    case endpoint::place::host: return "host:" + std::to_string(e.index);
    case endpoint::place::pageable: return "pageable:" + std::to_string(e.index);
    case endpoint::place::gpu: return "gpu:" + std::to_string(e.index);
    }
    return {};
}

/// Reads what `to_string` writes; `numa:0` is accepted for `host:0`.
/// Errors: invalid_argument for anything else. Whether the machine has it is checked by the planner.
[[nodiscard]] inline result<endpoint> parse_endpoint(const std::string& written) {
    const auto refuse = [&](const char* why) {
        return error(errc::invalid_argument,
                     text::join({"'", written.c_str(), "' is not a place to copy from or to: ", why}))
            .about(written.c_str());
    };
    constexpr const char* forms = "write host:NODE, host:all, pageable:NODE or gpu:INDEX";
    const std::size_t colon = written.find(':');
    if (colon == std::string::npos) return refuse(forms);
    const std::string kind = written.substr(0, colon);
    const std::string which = written.substr(colon + 1);
    if (kind == "file") return refuse("files are not planned by this version; read them into host memory first");
    const bool host = kind == "host" || kind == "numa";
    if (host && which == "all") return endpoint::host_all();
    if (!host && kind != "pageable" && kind != "gpu") return refuse(forms);
    if (which.empty() || which.size() > 6) return refuse("the number after the colon is missing or too large");
    std::int32_t number = 0;
    for (const char digit : which) {
        if (digit < '0' || digit > '9') return refuse("a number must follow the colon");
        number = number * 10 + (digit - '0');
    }
    if (host) return endpoint::host(numa_id{number});
    if (kind == "pageable") return endpoint::pageable(numa_id{number});
    return endpoint::gpu(gpu_id{number});
}

BARELINK_END_NAMESPACE
