// The costs of a calibration, and what the links do not explain. Private to measure/calibrate.hpp.
#pragma once

#include <barelink/machine/driver_staging.hpp>
#include <barelink/measure/detail/calibrator.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// The time of a hand-over with which the driver's staging reaches a rate; by bisection, because more time is always slower.
[[nodiscard]] inline double staging_us_of(machine m, node_index from, node_index to, double gb_s) {
    double low = 0, high = 1000;
    for (int round = 0; round < 50; ++round) {
        m.costs.driver_staging_us = (low + high) / 2;
        (driver_staging_of(m, from, to).gb_s > gb_s ? low : high) = m.costs.driver_staging_us;
    }
    return (low + high) / 2;
}

template <runtime Runtime, class Progress>
status calibrator<Runtime, Progress>::measure_costs() {
    machine& m = found_.calibrated;
    const seen_load* near = best_alone(gpus_.front(), true);
    if (!near || late()) return {};
    const double gb_s = near->gb_s, latency_us = m.path(near->from, near->to)->latency_us;
    bool all = true; // of copy_costs
    const auto set = [&](const char* cost, double& into, const result<double>& us, double least = 0) -> bool {
        if (!us || *us <= 0) return false;
        const double value = std::round(std::max(*us, least) * 1e4) / 1e4;
        found_.costs.push_back({cost, into, value});
        into = value;
        return true;
    };
    const auto keep = [](double us) { return result<double>(us); };
    // Small copies: one stream has each wait for the one before, many streams keep the engine busy.
    constexpr std::uint64_t small = 4 * KiB;
    progress_(0.86, "small copies");
    const double small_us = transfer_us(small, gb_s);
    const auto chained_us = [&](const seen_load& path) -> result<double> {
        auto seen = probe_.measure(copy_load{path.from, path.to, small, 200});
        if (!seen) return seen.error();
        return seen->whole_us / seen->copies - transfer_us(small, path.gb_s);
    };
    std::vector<copy_load> many(12, copy_load{near->from, near->to, small, 32});
    auto busy = probe_.measure(many);
    if (!busy) return busy.error();
    double together = 0;
    for (const load_rate& each : *busy) together += each.gb_s;
    const auto read_us = chained_us(*near);
    if (!read_us) return read_us.error();
    all &= set("engine_us", m.costs.engine_us, keep(std::min(transfer_us(small, together) - small_us, *read_us)));
    // Latencies of links stay as assumed: what a copy waits for the one before is all that shows from outside.
    const auto set_chain = [&](const char* cost, double& into, const seen_load& path, const result<double>& us) {
        if (us) all &= set(cost, into, keep(*us - m.costs.engine_us - m.path(path.from, path.to)->latency_us));
    };
    set_chain("chain_read_us", m.costs.chain_read_us, *near, read_us);
    if (const seen_load* out = best_alone(gpus_.front(), false))
        set_chain("chain_posted_us", m.costs.chain_posted_us, *out, chained_us(*out));
    for (const seen_load& pair : alone_)
        if (machine_.at(pair.from).kind == node_kind::gpu && machine_.at(pair.to).kind == node_kind::gpu &&
            machine_.links[pair.slots.back() / 2].kind == link_kind::nvlink) {
            set_chain("chain_nvlink_us", m.costs.chain_nvlink_us, pair, chained_us(pair));
            break; // one pair stands for all
        }
    for (std::uint64_t bytes = 4 * KiB; bytes <= 64 * MiB && !late(); bytes *= 4) {
        auto rate = probe_.measure(copy_load{near->from, near->to, bytes, bytes < 1 * MiB ? 64 : copies_alone});
        if (!rate) return rate.error();
        found_.sizes.push_back({bytes, rate->whole_us / rate->copies});
    }
    if (late()) return {};

    progress_(0.9, "costs of calls");
    cost_probe<Runtime> probe(runtime_, near->to, near->from, options_.memory_bytes / 4);
    if (auto made = probe.make(); !made) return made;
    all &= set("submit_us", m.costs.submit_us, probe.submit_us());
    all &= set("event_us", m.costs.event_us, probe.event_us());
    if (auto hop = probe.hop_us(); hop && *hop > 0)
        all &= set("wake_us", m.costs.wake_us, keep(*hop - small_us - m.costs.engine_us - latency_us));
    // Where the memory is what host threads wait for, what they could do stays as it was.
    if (auto rate = probe.host_gb_s(); rate && m.costs.host_threads > 0) {
        double memory_gb_s = fair_share::unlimited;
        for (const link& each : m.links)
            if (each.kind == link_kind::dram && (each.a == near->from || each.b == near->from))
                memory_gb_s = std::min({memory_gb_s, each.gb_s_ab, each.gb_s_ba});
        const double threads_gb_s = m.costs.host_copy_gb_s * m.costs.host_threads;
        const bool memory_limits = threads_gb_s >= memory_gb_s && *rate >= memory_gb_s * (1 - fit_.tolerance());
        all &= memory_limits || set("host_copy_gb_s", m.costs.host_copy_gb_s, keep(*rate / m.costs.host_threads));
    }
    if (staged_.gb_s > 0) {
        const double us = staging_us_of(m, staged_.from, staged_.to, staged_.gb_s);
        if (us < 999) set("driver_staging_us", m.costs.driver_staging_us, keep(us));
    }
    if (all) m.costs.source = evidence::measured;
    if (late()) return {};

    progress_(0.95, "scattered blocks");
    constexpr std::size_t few = 64, lots = 1024;
    const double each_us = transfer_us(cost_probe<Runtime>::block_bytes, gb_s);
    const auto mark = [&](block_cost cost, bool measured) {
        if (measured) m.blocks.measured |= block_costs::bit(cost);
    };
    const auto slope = [&](const result<double>& a, const result<double>& b) {
        return a && b && *a > 0 && *b > 0 ? (*b - *a) / (lots - few) - each_us : 0;
    };
    if (probe.can_batch()) {
        mark(block_cost::batch_us, set("batch_us", m.blocks.batch_us, probe.batch_us()));
        const auto a = probe.list_us(few), b = probe.list_us(lots);
        mark(block_cost::batch_block_us, set("batch_block_us", m.blocks.batch_block_us, keep(slope(a, b))));
    } else {
        note("batch_us", "this runtime has no batch copy: its costs stay assumed");
    }
    const auto a = probe.rows_us(few), b = probe.rows_us(lots);
    mark(block_cost::row_us, set("row_us", m.blocks.row_us, keep(slope(a, b))));
    const std::uint64_t within = std::min(options_.most_copy_bytes, options_.memory_bytes / 8);
    auto local = probe_.measure(copy_load{near->to, near->to, within, copies_alone});
    if (!local) return local.error();
    const double local_us = local->whole_us / local->copies - m.costs.engine_us;
    mark(block_cost::device_gb_s,
         set("device_gb_s", m.blocks.device_gb_s, keep(rate_gb_s(static_cast<double>(within), local_us))));
    if (!probe.has_kernel()) {
        note("kernel_us", "this program has no copy kernel: its costs stay assumed");
        return {};
    }
    // Three lists give the start, what a block costs and what a byte costs; one multiprocessor alone gives its rate.
    constexpr std::uint64_t large = 128 * KiB;
    constexpr int plenty = 64;
    const auto one = probe.kernel_us(few, small, plenty), two = probe.kernel_us(lots, small, plenty),
               three = probe.kernel_us(few, large, plenty), four = probe.kernel_us(few, large, 1);
    if (!one || !two || !three || !four || *one <= 0 || *two <= *one || *three <= *one || *four <= 0) return {};
    const double byte_us = (*three - *one) / (few * static_cast<double>(large - small));
    const double block_us = (*two - *one) / (lots - few) - byte_us * small;
    const double start_us = *one - few * (block_us + byte_us * small) - latency_us;
    mark(block_cost::kernel_us, set("kernel_us", m.blocks.kernel_us, keep(start_us)));
    mark(block_cost::kernel_block_us, set("kernel_block_us", m.blocks.kernel_block_us, keep(block_us)));
    mark(block_cost::kernel_link_share,
         set("kernel_link_share", m.blocks.kernel_link_share, keep(std::min(1.0, 1e-3 / byte_us / gb_s))));
    const double alone_us = *four - start_us - few * block_us - latency_us;
    mark(block_cost::kernel_multiprocessor_gb_s, set("kernel_multiprocessor_gb_s", m.blocks.kernel_multiprocessor_gb_s,
                                                     keep(rate_gb_s(few * static_cast<double>(large), alone_us))));
    return {};
}

/// Sets the links against what was seen, and says where they fall short.
template <runtime Runtime, class Progress>
void calibrator<Runtime, Progress>::explain() {
    const double unexplained = 1 - std::max(0.05, 2 * fit_.tolerance());
    constexpr int most_notes = 24;
    int notes = 0;
    const auto tell = [&](std::string object, std::string said) {
        if (++notes <= most_notes) note(std::move(object), std::move(said));
    };
    for (const seen_load& each : alone_) {
        seen_load without = each;
        without.alone_gb_s = fair_share::unlimited;
        const double expected = duplex_rates(found_.calibrated, {without}).front();
        seen_load alone = each;
        alone.alone_gb_s = each.gb_s;
        found_.alone.push_back(told({alone}, {expected}));
        if (each.gb_s < unexplained * expected)
            tell(name(each), "reaches " + gb_s_text(each.gb_s) + ", though each of its links carries at least " +
                                 gb_s_text(expected) +
                                 " for others: plans that use this path will be slower than they say");
    }
    for (const seen_set& set : together_) {
        const std::vector<double> expected = duplex_rates(found_.calibrated, set);
        found_.together.push_back(told(set, expected));
        double reached = 0;
        std::string who;
        for (const seen_load& each : set) {
            reached += each.gb_s;
            who += (who.empty() ? "" : ", ") + name(each);
        }
        if (reached < unexplained * total_of(expected))
            tell(who, "share something that the machine does not show: together they reach " + gb_s_text(reached) +
                          " where its links allow " + gb_s_text(total_of(expected)));
    }
    if (notes > most_notes)
        note("calibration", std::to_string(notes - most_notes) + " more findings of this kind are left out");
}

} // namespace detail
BARELINK_END_NAMESPACE
