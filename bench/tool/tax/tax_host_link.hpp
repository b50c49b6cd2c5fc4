// The row of the host link: pinned copies up, down and both at once; one GPU, all together, and into one over the others.
#pragma once

#include <string>
#include <vector>

#include <barelink/move/pinned_pool.hpp>

#include "tax_bench.hpp"

namespace tool {

/// Device memory of a runtime, freed with it.
class runtime_memory {
public:
    runtime_memory(barelink::cuda::runtime& on, barelink::node_index where, std::uint64_t bytes)
        : on_(on), at_(on.allocate(where, bytes).value()) {}
    runtime_memory(const runtime_memory&) = delete;
    runtime_memory& operator=(const runtime_memory&) = delete;
    ~runtime_memory() { (void)on_.release(at_); }
    [[nodiscard]] void* data() const noexcept { return at_; }

private:
    barelink::cuda::runtime& on_;
    void* at_;
};

class tax_host_link {
public:
    explicit tax_host_link(tax_bench& bench, double share) : bench_(bench), share_(share) {}

    void run() {
        const std::size_t gpus = bench_.gpus.size(), rates = 3 * gpus + (gpus > 1 ? 4 : 0);
        effort_ = bench_.effort(share_, rates);
        {
            barelink::rate_probe<barelink::cuda::runtime> probe(bench_.on);
            for (const way& each : ways) {
                for (const barelink::node_index gpu : bench_.gpus) run(probe, each, {gpu}, bench_.id(gpu));
                if (gpus > 1) run(probe, each, bench_.gpus, "all");
            }
        }
        const std::string into = bench_.id(bench_.gpus.front()) + " over relays";
        if (gpus < 2)
            bench_.collect->absent(row, into, "one GPU: there is no other whose link could help");
        else
            bench_.collect->guard(row, into, [&] { run_relays(into); });
    }

private:
    static constexpr barelink::tax_row row = barelink::tax_row::host_link;
    struct way {
        const char *id, *from, *to;
        bool up, down;
    };
    static constexpr way ways[] = {{"h2d", "pinned memory to ", "", true, false},
                                   {"d2h", "", " to pinned memory", false, true},
                                   {"both", "pinned memory to ", " and back at once", true, true}};

    [[nodiscard]] std::uint64_t bytes() const noexcept {
        if (bench_.asked.simulated) return 8 * barelink::MiB;
        return bench_.asked.quick ? 16 * barelink::MiB : 64 * barelink::MiB;
    }
    [[nodiscard]] int copies() const noexcept { return bench_.asked.simulated ? 4 : bench_.asked.quick ? 8 : 16; }

    void run(barelink::rate_probe<barelink::cuda::runtime>& probe, const way& which,
             const std::vector<barelink::node_index>& gpus, const std::string& name) {
        std::vector<barelink::copy_load> loads;
        for (const barelink::node_index gpu : gpus) {
            const barelink::node_index host = bench_.host_of(gpu);
            if (which.up) loads.push_back({host, gpu, bytes(), copies(), barelink::no_node});
            if (which.down) loads.push_back({gpu, host, bytes(), copies(), barelink::no_node});
        }
        const bool together = name == "all";
        const std::string whom = together ? fmt::format("{} GPUs together", gpus.size()) : name;
        const std::string method = fmt::format(
            "{} copies of {} back to back in a stream{}, after one that is not counted; pinned memory of the GPU's own "
            "NUMA node; timed by the GPU's events{}",
            copies(), barelink::format_bytes(bytes()), loads.size() > 1 ? " for each GPU and direction" : "",
            loads.size() > 1 ? "; rates while all copy, added up" : "");
        // The row's verdict: with several GPUs all of them together, else the one.
        const bool headline = which.up != which.down && together == (bench_.gpus.size() > 1);
        bench_.add_rates(
            rate_series(row, std::string(which.id) + "/" + name, which.from + whom + which.to, method, headline),
            effort_, [&] { return rate_together(probe, loads); });
    }

    void run_relays(const std::string& name) {
        const barelink::node_index gpu = bench_.gpus.front();
        const std::uint64_t size = bench_.asked.simulated ? 16 * barelink::MiB
                                   : bench_.asked.quick   ? 256 * barelink::MiB
                                                          : barelink::GiB;
        barelink::mover_options options;
        for (const int each : bench_.asked.gpus) options.relays.insert(barelink::gpu_id{each});
        barelink::mover<barelink::cuda::runtime> mover(bench_.on, options);
        auto pool = barelink::pinned_pool<barelink::cuda::runtime>::striped(bench_.on, {}).value();
        const barelink::region from = pool.take(size).value();
        const runtime_memory memory(bench_.on, gpu, size);
        const barelink::region to{memory.data(), size, {barelink::memory_kind::device, gpu, 0, 0}};
        const barelink::cuda::stream stream = bench_.on.make_stream(gpu).value();
        const std::size_t routes = mover.plan_for(to, from).value()->routes.size();
        if (routes < 2) {
            bench_.collect->absent(row, name, "no other GPU's link helps: the plan has one route");
        } else {
            const std::string method = fmt::format("barelink's mover, one copy of {} from pinned memory striped over "
                                                   "all NUMA nodes, by {} routes over the "
                                                   "listed GPUs; timed by the GPU's events",
                                                   barelink::format_bytes(size), routes);
            bench_.add_rates(rate_series(row, "relay/" + bench_.id(gpu), "pinned memory to " + name, method), effort_,
                             [&] {
                                 const auto ticket = mover.copy(to, from, stream).value();
                                 ticket.wait().value();
                                 return barelink::rate_gb_s(static_cast<double>(size), ticket.elapsed_us().value());
                             });
        }
        (void)bench_.on.destroy(stream);
    }

    tax_bench& bench_;
    double share_;
    tax_effort effort_;
};

} // namespace tool
