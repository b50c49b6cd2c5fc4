// The row of NVLink: every pair of GPUs, one way and both; what the pairs should reach; which are interrupted.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <barelink/machine/gpu_model.hpp>
#include <barelink/measure/order_statistics.hpp>

#include "tax_bench.hpp"

namespace tool {

class tax_nvlink {
public:
    explicit tax_nvlink(tax_bench& bench, double share) : bench_(bench), share_(share) {}

    void run() {
        if (bench_.gpus.size() < 2) return bench_.collect->absent(row, "", "one GPU: there is no pair");
        for (std::size_t a = 0; a < bench_.gpus.size(); ++a)
            for (std::size_t b = a + 1; b < bench_.gpus.size(); ++b) look_at(bench_.gpus[a], bench_.gpus[b]);
        if (pairs_.empty()) {
            if (!missing_) bench_.collect->absent(row, "", "these GPUs have no NVLink");
            return;
        }
        const tax_effort effort = bench_.effort(share_, 3 * pairs_.size());
        barelink::rate_probe<barelink::cuda::runtime> probe(bench_.on);
        for (const pair& each : pairs_) {
            run(probe, each.a, each.b, effort);
            run(probe, each.b, each.a, effort);
            run_both(probe, each, effort);
        }
        summarize();
        judge();
    }

private:
    static constexpr barelink::tax_row row = barelink::tax_row::nvlink;
    struct pair {
        barelink::node_index a, b;
    };
    /// What one direction of a pair reached.
    struct found_rate {
        std::vector<double> samples;
        double expected = 0;
        bool direct = false;
    };

    [[nodiscard]] bool by_nvlink(barelink::node_index from, barelink::node_index to) const {
        const barelink::dma_path* path = bench_.machine().path(from, to);
        if (!path || !path->allowed) return false;
        const auto hops = bench_.machine().hops(*path);
        return std::any_of(hops.begin(), hops.end(), [&](barelink::link_direction hop) {
            return bench_.machine().at(hop.link).kind == barelink::link_kind::nvlink;
        });
    }
    [[nodiscard]] bool should_have_nvlink(barelink::node_index gpu) const {
        const barelink::node& n = bench_.machine().at(gpu);
        const barelink::gpu_model* model = barelink::find_gpu_model(n.vendor, n.device);
        if (!model) model = barelink::find_gpu_model(n.name.c_str());
        return model && model->nvlinks > 0 && model->form != barelink::gpu_form::card; // a card may have no bridge
    }
    void look_at(barelink::node_index a, barelink::node_index b) {
        if (by_nvlink(a, b) && by_nvlink(b, a)) return pairs_.push_back({a, b});
        if (!should_have_nvlink(a) || !should_have_nvlink(b)) return;
        missing_ = true;
        bench_.collect->absent(
            row, bench_.id(a) + " and " + bench_.id(b),
            "interrupted: both GPUs have NVLink, and there is no peer path over it in both directions "
            "(or, on a partial mesh, no link between these two)");
    }

    [[nodiscard]] std::uint64_t bytes() const noexcept {
        if (bench_.asked.simulated) return 16 * barelink::MiB;
        return bench_.asked.quick ? 64 * barelink::MiB : 256 * barelink::MiB;
    }
    [[nodiscard]] int copies() const noexcept { return bench_.asked.simulated ? 3 : 8; }

    [[nodiscard]] std::string method(const char* how, double expected) const {
        return fmt::format(
            "{} copies of {} back to back{}, after one that is not counted, pushed by the source; timed by "
            "the GPU's events; {:.0f} GB/s are what such a pair reaches (0.88 of nominal, or published)",
            copies(), barelink::format_bytes(bytes()), how, expected);
    }
    [[nodiscard]] double expected(barelink::node_index from, barelink::node_index to) const {
        return bench_.machine().path(from, to)->gb_s;
    }

    void run(barelink::rate_probe<barelink::cuda::runtime>& probe, barelink::node_index from, barelink::node_index to,
             const tax_effort& effort) {
        const std::string name = bench_.id(from) + "-" + bench_.id(to);
        const std::string what = bench_.id(from) + " to " + bench_.id(to);
        found_rate& found = found_[{from.value, to.value}];
        found.expected = expected(from, to);
        bench_.collect->guard(row, what, [&] {
            tax_samples samples = settled_samples(effort, [&] {
                const barelink::load_rate rate =
                    probe.measure({from, to, bytes(), copies(), barelink::no_node}).value();
                found.direct = rate.direct;
                return rate.gb_s;
            });
            found.samples = samples.values;
            bench_.collect->add(rate_series(row, "one_way/" + name, what, method("", found.expected)),
                                std::move(samples));
        });
    }
    void run_both(barelink::rate_probe<barelink::cuda::runtime>& probe, pair p, const tax_effort& effort) {
        const std::vector<barelink::copy_load> loads{{p.a, p.b, bytes(), copies(), barelink::no_node},
                                                     {p.b, p.a, bytes(), copies(), barelink::no_node}};
        const std::string name = bench_.id(p.a) + "-" + bench_.id(p.b);
        bench_.add_rates(
            rate_series(row, "both/" + name, bench_.id(p.a) + " and " + bench_.id(p.b) + ", both ways at once",
                        method(" in each direction at once, rates added up", expected(p.a, p.b) + expected(p.b, p.a))),
            effort, [&] { return rate_together(probe, loads); });
    }

    /// Over all directions of all pairs, sample by sample: the mean, and the slowest, which one broken pair shows in.
    void summarize() {
        std::size_t rounds = ~std::size_t{0};
        for (const auto& each : found_) rounds = std::min(rounds, each.second.samples.size());
        tax_samples mean, slowest;
        mean.settled = slowest.settled = true;
        for (std::size_t i = 0; i < rounds; ++i) {
            double sum = 0, least = 1e300;
            for (const auto& each : found_) {
                sum += each.second.samples[i];
                least = std::min(least, each.second.samples[i]);
            }
            mean.values.push_back(rounded_sample(sum / static_cast<double>(found_.size())));
            slowest.values.push_back(least);
        }
        const std::string method =
            fmt::format("of the {} directions of pairs that were measured one way: their n-th samples", found_.size());
        bench_.collect->add(rate_series(row, "one_way/mean", "mean of all pairs, one way", method, true),
                            std::move(mean));
        bench_.collect->add(rate_series(row, "one_way/slowest", "slowest pair, one way", method, true),
                            std::move(slowest));
    }

    /// Pairs that are interrupted though they were measured. 20 % of what is usual, and of each other: project choice.
    void judge() {
        for (const auto& each : found_) {
            const auto back = found_.find({each.first.second, each.first.first});
            const found_rate& there = each.second;
            if (there.samples.empty() || back == found_.end() || back->second.samples.empty()) continue;
            const double rate = barelink::median(there.samples), other = barelink::median(back->second.samples);
            std::string wrong;
            if (!there.direct)
                wrong = "staged through host memory: peer access was refused";
            else if (rate < 0.8 * there.expected)
                wrong = "slower than NVLink";
            else if (rate < 0.8 * other)
                wrong = "asymmetric: slower than the way back";
            if (wrong.empty()) continue;
            const barelink::node_index from{each.first.first}, to{each.first.second};
            barelink::finding found;
            found.id = "TAX-02";
            found.title = "NVLink pairs are whole";
            found.level = barelink::severity::warn;
            found.object = bench_.id(from) + " -> " + bench_.id(to);
            found.evidence = fmt::format("{}; {:.1f} GB/s, {:.1f} GB/s the other way", wrong, rate, other);
            found.limit =
                fmt::format("80 % of {:.0f} GB/s (0.88 of nominal, or published) and of the way back: project choice",
                            there.expected);
            found.cost = "what is missing of that rate, for whatever goes between these two GPUs";
            found.remedy = "look at the fabric manager, at NVLink errors and at how the GPUs are passed through";
            bench_.collect->found(std::move(found));
        }
    }

    tax_bench& bench_;
    double share_;
    std::vector<pair> pairs_;
    std::map<std::pair<std::uint32_t, std::uint32_t>, found_rate> found_;
    bool missing_ = false;
};

} // namespace tool
