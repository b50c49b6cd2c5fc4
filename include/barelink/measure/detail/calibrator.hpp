// The order of a calibration's measurements, and what is made of them. Private to measure/calibrate.hpp.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/calibration.hpp>
#include <barelink/measure/detail/cost_probe.hpp>
#include <barelink/measure/detail/duplex_fit.hpp>
#include <barelink/measure/detail/link_fit.hpp>
#include <barelink/measure/detail/load_sets.hpp>
#include <barelink/measure/rate_probe.hpp>
#include <barelink/move/delivery_proof.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// A rate as people read it: hundredths of a GB/s.
[[nodiscard]] inline double readable(double gb_s) noexcept {
    return std::round(gb_s * 100) / 100;
}
[[nodiscard]] inline std::string gb_s_text(double gb_s) {
    const auto tenths = std::llround(gb_s * 10);
    return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10) + " GB/s";
}

/// In any order.
[[nodiscard]] inline bool same_copies(const seen_set& one, const seen_set& other) {
    return one.size() == other.size() && std::all_of(one.begin(), one.end(), [&](const seen_load& a) {
               return std::any_of(other.begin(), other.end(),
                                  [&](const seen_load& b) { return a.from == b.from && a.to == b.to; });
           });
}

/// One calibration. Borrows all it is given.
template <runtime Runtime, class Progress>
class calibrator {
public:
    calibrator(Runtime& on, const machine& assumed, const calibrate_options& options, Progress& progress)
        : runtime_(on), machine_(assumed), options_(options), progress_(progress),
          probe_(on, {options.memory_bytes, false}), fit_(assumed), begun_us_(on.clock_us()) {}

    [[nodiscard]] result<calibration> run() {
        if (auto fine = check(); !fine) return fine.error();
        found_.calibrated = machine_;
        status done = measure_staging();
        if (done) done = measure_alone();
        if (done) done = measure_sets();
        if (done) done = measure_everyone();
        if (!done) return done.error();
        set_rates();
        if (done) done = measure_both_ways();
        if (done) done = measure_costs();
        if (!done) return done.error();
        explain();
        for (const machine_note& each : found_.notes) found_.calibrated.notes.push_back(each);
        found_.calibrated.connect();
        found_.took_us = runtime_.clock_us() - begun_us_;
        progress_(1.0, "done");
        return std::move(found_);
    }

private:
    static constexpr int copies_alone = 4, copies_together = 6;
    /// Of a copy from or to host memory: CPU caches should not hold what is copied again and again. Project choice.
    static constexpr std::uint64_t least_host_bytes = 64 * MiB;
    static constexpr double copy_us = 2000; ///< about what one copy should take, so that its start is below a percent

    [[nodiscard]] status check();
    [[nodiscard]] status measure_staging();
    [[nodiscard]] status measure_alone();
    [[nodiscard]] status measure_sets();
    [[nodiscard]] status measure_everyone();
    [[nodiscard]] status measure_both_ways();
    [[nodiscard]] status measure_costs();
    void set_rates();
    void explain();

    [[nodiscard]] bool late() {
        if (runtime_.clock_us() - begun_us_ <= options_.time_limit_us) return false;
        if (found_.complete)
            note("calibration", "the time limit came before all was measured: what is missing keeps its assumed value");
        found_.complete = false;
        return true;
    }
    void note(std::string object, std::string said) { found_.notes.push_back({std::move(object), std::move(said)}); }
    [[nodiscard]] std::string name(const seen_load& load) const {
        return machine_.at(load.from).id() + " -> " + machine_.at(load.to).id();
    }
    [[nodiscard]] seen_load load_of(node_index from, node_index to) const {
        seen_load load;
        load.from = from;
        load.to = to;
        load.issuer = machine_.at(from).kind == node_kind::gpu ? from : to;
        if (const dma_path* path = machine_.path(from, to))
            for (const link_direction hop : machine_.hops(*path)) load.slots.push_back(hop.slot());
        return load;
    }
    /// Rates of copies at the same time, into the loads.
    [[nodiscard]] status measure(seen_set& set, int copies) {
        std::vector<copy_load> loads;
        std::uint64_t all = 0;
        for (const seen_load& each : set) {
            const double gb_s =
                each.alone_gb_s < fair_share::unlimited ? each.alone_gb_s : machine_.path(each.from, each.to)->gb_s;
            const auto wanted = static_cast<std::uint64_t>(std::min(gb_s, 1e6) * 1e3 * copy_us);
            const bool pair = machine_.at(each.from).kind == machine_.at(each.to).kind;
            const std::uint64_t least = std::min(pair ? 1 * MiB : least_host_bytes, options_.most_copy_bytes);
            const std::uint64_t bytes = std::bit_floor(std::clamp(wanted, least, options_.most_copy_bytes));
            loads.push_back({each.from, each.to, bytes, copies, each.issuer});
            all += 2 * bytes;
        }
        for (; all > options_.memory_bytes / 2; all /= 2)
            for (copy_load& each : loads) each.bytes = std::max<std::uint64_t>(each.bytes / 2, 64 * KiB);
        auto rates = probe_.measure(loads);
        if (!rates) return rates.error();
        for (std::size_t i = 0; i < set.size(); ++i) set[i].gb_s = (*rates)[i].gb_s;
        return {};
    }
    /// The memory that reaches a GPU fastest; among equals its own.
    [[nodiscard]] const seen_load* best_alone(node_index gpu, bool to_gpu) const {
        const seen_load* best = nullptr;
        for (const seen_load& each : alone_) {
            const node_index host = to_gpu ? each.from : each.to;
            if ((to_gpu ? each.to : each.from) != gpu || machine_.at(host).kind != node_kind::memory) continue;
            const bool own = machine_.at(host).numa == machine_.at(gpu).numa;
            if (!best || each.gb_s > best->gb_s * (own ? 1 - fit_.tolerance() : 1 + fit_.tolerance())) best = &each;
        }
        return best;
    }
    [[nodiscard]] calibrated_set told(const seen_set& set, const std::vector<double>& explained) const {
        calibrated_set told;
        for (std::size_t i = 0; i < set.size(); ++i)
            told.copies.push_back({set[i].from, set[i].to, set[i].alone_gb_s, set[i].gb_s, explained[i]});
        return told;
    }

    Runtime& runtime_;
    const machine& machine_;
    const calibrate_options& options_;
    Progress& progress_;
    rate_probe<Runtime> probe_;
    link_fit fit_;
    calibration found_;
    std::vector<node_index> gpus_;
    std::vector<seen_load> alone_;
    std::vector<seen_set> together_;
    struct staged_pair {
        node_index from = no_node, to = no_node;
        double gb_s = 0;
    } staged_;
    double begun_us_;
};

template <runtime Runtime, class Progress>
status calibrator<Runtime, Progress>::check() {
    const machine& real = runtime_.topology();
    bool same = real.nodes.size() == machine_.nodes.size();
    for (std::uint32_t n = 0; same && n < real.nodes.size(); ++n)
        same = real.nodes[n].kind == machine_.nodes[n].kind && real.nodes[n].index == machine_.nodes[n].index;
    if (!same)
        return error(errc::invalid_argument,
                     "the machine to calibrate and the machine of the runtime do not have the same nodes");
    if (machine_.count(node_kind::memory) == 0)
        return error(errc::unsupported, text::join({machine_.name.c_str(), " has no host memory to copy from"}));
    gpus_ = options_.gpus;
    for (const node_index gpu : gpus_)
        if (gpu.value >= machine_.nodes.size() || machine_.at(gpu).kind != node_kind::gpu || !machine_.at(gpu).cuda)
            return error(errc::invalid_argument, "calibration needs GPUs that CUDA can drive");
    if (gpus_.empty())
        for (const node_index gpu : machine_.all(node_kind::gpu))
            if (machine_.at(gpu).cuda) gpus_.push_back(gpu);
    if (gpus_.empty())
        return error(errc::unsupported, text::join({machine_.name.c_str(), " has no GPU that CUDA can drive"}));
    return {};
}

template <runtime Runtime, class Progress>
status calibrator<Runtime, Progress>::measure_alone() {
    std::vector<std::pair<node_index, node_index>> pairs;
    for (const node_index gpu : gpus_)
        for (const node_index host : machine_.all(node_kind::memory)) {
            if (machine_.path(host, gpu)) pairs.emplace_back(host, gpu);
            if (machine_.path(gpu, host)) pairs.emplace_back(gpu, host);
        }
    for (const node_index from : gpus_)
        for (const node_index to : gpus_) {
            const dma_path* path = runtime_.topology().path(from, to);
            if (from == to || !machine_.path(from, to) || !path || !path->allowed) continue;
            if (late()) return {};
            delivery proof = path->proof;
            if (proof == delivery::unproved) {
                auto proved = prove_delivery(runtime_, from, to);
                if (!proved) return proved.error();
                proof = *proved;
            }
            if (proof == delivery::failed) {
                note(name(load_of(from, to)), "bytes do not arrive over this direct path: not measured");
                continue;
            }
            if (auto opened = runtime_.open_peer(from, to); !opened) {
                if (opened.error().code() != errc::not_permitted) return opened;
                note(name(load_of(from, to)), "peer access was refused: not measured");
                continue;
            }
            pairs.emplace_back(from, to);
        }
    // How much the same copy differs from time to time decides what counts as a difference.
    constexpr int repeats = 5;
    double least = fair_share::unlimited, most = 0;
    for (int round = 0; round < repeats && !pairs.empty() && !late(); ++round) {
        seen_set one{load_of(pairs.front().first, pairs.front().second)};
        if (auto done = measure(one, copies_alone); !done) return done;
        least = std::min(least, one.front().gb_s);
        most = std::max(most, one.front().gb_s);
    }
    if (least < most) fit_.set_spread(1 - least / most);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        if (late()) return {};
        seen_set one{load_of(pairs[i].first, pairs[i].second)};
        progress_(0.05 + 0.4 * static_cast<double>(i) / static_cast<double>(pairs.size()), name(one.front()).c_str());
        if (auto done = measure(one, copies_alone); !done) return done;
        fit_.add(one);
        alone_.push_back(one.front());
    }
    return {};
}

template <runtime Runtime, class Progress>
status calibrator<Runtime, Progress>::measure_sets() {
    constexpr int rounds = 5;
    for (int round = 0; round < rounds; ++round) {
        fit_.solve();
        bool learned = false;
        for (std::uint32_t s = 0; s < fit_.size(); ++s) {
            bool first = fit_.seen_gb_s(s) > 0 && (!fit_.is_bound(s) || fit_.is_chosen(s));
            for (std::uint32_t other = 0; first && other < s; ++other) first = !fit_.alike(s, other);
            if (!first) continue;
            seen_set set = set_through(machine_, fit_, alone_, s);
            const auto same = [&](const seen_set& known) { return same_copies(known, set); };
            if (set.empty() || std::any_of(together_.begin(), together_.end(), same)) continue;
            if (late()) break;
            progress_(0.45 + 0.05 * round + 0.05 * static_cast<double>(s) / fit_.size(),
                      machine_.id(link_index{s / 2}).c_str());
            if (auto done = measure(set, copies_together); !done) return done;
            fit_.add(set);
            together_.push_back(std::move(set));
            learned = true;
        }
        if (!learned) break;
    }
    fit_.solve();
    return {};
}

/// GPUs by twos from the same memory, and all at once, one direction at a time: shows what is shared and not among the machine's
/// links.
template <runtime Runtime, class Progress>
status calibrator<Runtime, Progress>::measure_everyone() {
    std::vector<seen_set> all(2), wanted;
    for (const node_index gpu : gpus_)
        for (const bool to_gpu : {true, false})
            if (const seen_load* best = best_alone(gpu, to_gpu)) all[to_gpu ? 0 : 1].push_back(*best);
    for (const seen_set& set : all)
        for (std::size_t a = 0; a < set.size(); ++a)
            for (std::size_t b = a + 1; b < set.size(); ++b)
                if (set[a].from == set[b].from || set[a].to == set[b].to) wanted.push_back({set[a], set[b]});
    seen_set ring;
    for (std::size_t g = 0; g < gpus_.size(); ++g)
        for (const seen_load& each : alone_)
            if (each.from == gpus_[g] && each.to == gpus_[(g + 1) % gpus_.size()]) ring.push_back(each);
    all.push_back(std::move(ring));
    for (seen_set& set : all)
        if (set.size() > 2) wanted.push_back(std::move(set));
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        seen_set& set = wanted[i];
        if (std::any_of(together_.begin(), together_.end(),
                        [&](const seen_set& known) { return same_copies(known, set); }))
            continue;
        if (late()) break;
        for (seen_load& each : set) each.alone_gb_s = each.gb_s;
        progress_(0.7 + 0.1 * static_cast<double>(i) / static_cast<double>(wanted.size()), "GPUs together");
        if (auto done = measure(set, set.size() > 2 ? copies_together : copies_alone); !done) return done;
        fit_.add(set);
        together_.push_back(std::move(set));
    }
    fit_.solve();
    return {};
}

template <runtime Runtime, class Progress>
void calibrator<Runtime, Progress>::set_rates() {
    std::vector<link>& links = found_.calibrated.links;
    for (std::uint32_t l = 0; l < links.size(); ++l) {
        bool measured = true, crossed = false;
        for (const bool reverse : {false, true}) {
            const link_direction where{link_index{l}, reverse};
            calibrated_link told{where, machine_.gb_s(where), machine_.gb_s(where), fit_.seen_gb_s(where.slot())};
            if (fit_.is_bound(where.slot())) {
                told.known = link_knowledge::measured;
                told.gb_s = readable(fit_.full_gb_s(where.slot()));
                told.chosen = fit_.is_chosen(where.slot());
            } else if (told.seen_gb_s > 0) {
                told.known = link_knowledge::at_least;
                told.gb_s = std::max(told.before_gb_s, readable(told.seen_gb_s));
            }
            measured &= told.known == link_knowledge::measured;
            crossed |= told.known != link_knowledge::unseen;
            (reverse ? links[l].gb_s_ba : links[l].gb_s_ab) = told.gb_s;
            found_.links.push_back(told);
        }
        if (measured && crossed) links[l].source = evidence::measured;
    }
    found_.calibrated.connect();
}

template <runtime Runtime, class Progress>
status calibrator<Runtime, Progress>::measure_both_ways() {
    for (const node_index gpu : gpus_) {
        const seen_load *in = best_alone(gpu, true), *out = best_alone(gpu, false);
        if (!in || !out) continue;
        if (late()) return {};
        progress_(0.82, "both directions at once");
        seen_set both{*in, *out};
        for (seen_load& each : both) each.alone_gb_s = each.gb_s;
        if (auto done = measure(both, copies_together); !done) return done;
        fit_losses(found_.calibrated, both, fit_.tolerance());
        found_.both_ways.push_back(told(both, duplex_rates(found_.calibrated, both)));
    }
    return {};
}

template <runtime Runtime, class Progress>
status calibrator<Runtime, Progress>::measure_staging() {
    for (const node_index from : gpus_)
        for (const node_index to : gpus_) {
            const dma_path* path = runtime_.topology().path(from, to);
            if (from == to || (path && path->allowed && !options_.peers_closed)) continue;
            progress_(0.02, "copies that the driver stages");
            auto seen = probe_.measure(copy_load{from, to, 64 * MiB, copies_alone});
            if (!seen) return seen.error();
            staged_ = {from, to, seen->gb_s};
            return {}; // one pair stands for all
        }
    return {};
}

} // namespace detail
BARELINK_END_NAMESPACE
