// FROM TO BYTES and what the transfer may use: the arguments of `plan` and `copy`.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include <barelink/core/size_text.hpp>
#include <barelink/plan/broadcast_plan.hpp>

namespace tool {

namespace detail {

/// A list of GPUs such as `1,2,gpu:5`. `what` the user calls it and `forms` it may have are for errors: invalid_argument,
/// not_found.
inline barelink::gpu_set parse_gpus(const barelink::machine& m, const std::string& written, const char* what,
                                    const char* forms) {
    const auto refuse = [&](barelink::errc code, const std::string& why) {
        barelink::detail::raise(
            barelink::error(code, barelink::text::join({what, written.c_str(), ": ", why.c_str()})));
    };
    barelink::gpu_set found;
    for (std::size_t at = 0; at <= written.size();) {
        const std::size_t comma = std::min(written.find(',', at), written.size());
        std::string one = written.substr(at, comma - at);
        if (one.rfind("gpu:", 0) != 0) one = "gpu:" + one;
        const auto gpu = barelink::parse_endpoint(one);
        if (!gpu) refuse(barelink::errc::invalid_argument, forms);
        if (m.gpu(barelink::gpu_id{gpu->index}) == barelink::no_node)
            refuse(barelink::errc::not_found, one + " does not exist on " + m.name);
        found.insert(barelink::gpu_id{gpu->index});
        at = comma + 1;
    }
    return found;
}

/// `all`, `none`, or a list of GPUs. Errors: as above.
inline barelink::gpu_set parse_relays(const barelink::machine& m, const std::string& written) {
    if (written == "all") return barelink::gpu_set::all();
    if (written == "none") return barelink::gpu_set::none();
    return parse_gpus(m, written, "--allow-relay ", "write all, none or GPU numbers such as 1,2,5");
}

} // namespace detail

struct transfer_argument {
    std::string from, to, bytes;
    std::string relays = "none";
    bool trust_unproved = false;

    void add_to(CLI::App& command) {
        command
            .add_option("FROM", from, "host:NODE, host:all (striped over the NUMA nodes), pageable:NODE or gpu:INDEX")
            ->required();
        command
            .add_option("TO", to, "The same forms; gpu:all or a list such as gpu:0,2,5: the same bytes to each of them")
            ->required();
        command.add_option("BYTES", bytes, "A size, such as 4KiB, 512MiB or 4GiB; to many GPUs, what each receives")
            ->required();
        command
            .add_option("--allow-relay", relays,
                        "GPUs whose memory and links may carry these bytes: all, none or a list such as 1,2,5")
            ->type_name("GPUS");
        command.add_flag("--trust-unproved", trust_unproved,
                         "Use GPU pairs whose peer access was granted but never proved by delivery");
    }
    /// The same bytes to many GPUs.
    [[nodiscard]] bool is_broadcast() const {
        return to == "gpu:all" || (to.rfind("gpu:", 0) == 0 && to.find(',') != std::string::npos);
    }
    /// Precondition: `is_broadcast()`. Errors: as for `read`; not_found also for GPUs that are not there.
    [[nodiscard]] barelink::broadcast_request read_broadcast(const barelink::machine& m) const {
        barelink::broadcast_request asked;
        asked.from = barelink::parse_endpoint(from).value();
        asked.to = to == "gpu:all" ? barelink::gpu_set::all()
                                   : detail::parse_gpus(m, to.substr(4), "gpu:", "write gpu:all or gpu:0,2,5");
        asked.bytes = barelink::parse_size(bytes.c_str()).value();
        asked.relays = detail::parse_relays(m, relays);
        asked.trust_unproved = trust_unproved;
        return asked;
    }
    /// The request. Errors: invalid_argument for text that cannot be read, not_found for relays that are not there.
    [[nodiscard]] barelink::request read(const barelink::machine& m) const {
        barelink::request asked;
        asked.from = barelink::parse_endpoint(from).value();
        asked.to = barelink::parse_endpoint(to).value();
        asked.bytes = barelink::parse_size(bytes.c_str()).value();
        asked.relays = detail::parse_relays(m, relays);
        asked.trust_unproved = trust_unproved;
        return asked;
    }
};

} // namespace tool
