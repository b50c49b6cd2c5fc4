// What nvbandwidth leaves out: pageable memory, pairs without peer access, other NUMA nodes, sizes, copies together, many paths.
#pragma once

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "bench_links_figures.hpp"
#include "copy/cuda_copy.hpp"

namespace tool {

class links_beyond {
public:
    explicit links_beyond(links_figures& on) : f_(on) {}

    void run_staged() {
        if (f_.count() < 2) return f_.absent("staged", {}, "one GPU");
        links_metric& into = f_.metric(
            "staged_device_to_device",
            "GPU(row) to GPU(column) with peer access off: the driver stages through the host", f_.ids(), f_.ids());
        for (std::size_t row = 0; row < f_.count(); ++row)
            for (std::size_t column = 0; column < f_.count(); ++column) {
                if (row == column) continue;
                link_plan plan;
                plan.row = plan.from = plan.issuer = f_.id(row);
                plan.column = plan.to = f_.id(column);
                plan.gated = false; // such a copy may wait in the call
                plan.most_copies = f_.few();
                f_.measure("staged", into, plan, {f_.staged(row, column)});
            }
    }
    void run_pageable() {
        const auto one = [&](bool upwards) {
            return &f_.metric(upwards ? "pageable_host_to_device" : "pageable_device_to_host",
                              upwards ? "pageable memory to GPU(column)" : "GPU(column) to pageable memory", {"host"},
                              f_.ids());
        };
        (void)one(true);
        (void)one(false);
        for (std::size_t gpu = 0; gpu < f_.count(); ++gpu)
            f_.guard("pageable " + f_.id(gpu), [&] {
                const barelink::node_index near = links_memory::near(f_.machine(), f_.gpus()[gpu]);
                f_.progress("making " + barelink::format_bytes(f_.asked().bytes) + " of pageable memory");
                const bench_memory host(f_.on(), near, true, f_.asked().bytes);
                f_.spots().fill(host.memory());
                f_.report().placements.push_back(placement_of("pageable beside " + f_.id(gpu),
                                                              f_.machine().at(near).index, host.memory().base,
                                                              f_.asked().bytes));
                for (const bool upwards : {true, false}) {
                    link_plan plan;
                    plan.row = "host";
                    plan.column = plan.issuer = f_.id(gpu);
                    plan.from = upwards ? "pageable:" + std::to_string(f_.machine().at(near).index) : f_.id(gpu);
                    plan.to = upwards ? f_.id(gpu) : "pageable:" + std::to_string(f_.machine().at(near).index);
                    plan.gated = false; // such a copy waits in the call
                    plan.most_copies = f_.few();
                    const barelink::region& on_gpu = f_.memory().on_gpu(gpu, upwards ? 0 : 1);
                    const link_flow flow{upwards ? host.memory() : on_gpu, upwards ? on_gpu : host.memory(),
                                         f_.gpus()[gpu], 1, false};
                    f_.measure("pageable", *one(upwards), plan, {flow});
                }
            });
    }
    void run_numa() {
        if (f_.hosts().size() < 2) return f_.absent("numa", {}, "one NUMA node");
        std::vector<std::string> nodes;
        for (const barelink::node_index host : f_.hosts()) nodes.push_back(f_.machine().at(host).id());
        const auto one = [&](bool upwards) {
            return &f_.metric(upwards ? "numa_host_to_device" : "numa_device_to_host",
                              upwards ? "pinned memory of a NUMA node (row) to GPU(column)"
                                      : "GPU(column) to pinned memory of a NUMA node (row)",
                              nodes, f_.ids());
        };
        (void)one(true);
        (void)one(false);
        for (const barelink::node_index host : f_.hosts()) {
            const std::string name = f_.machine().at(host).id();
            f_.guard("numa " + name, [&] {
                f_.progress("pinning " + barelink::format_bytes(f_.asked().bytes) + " on " + name);
                const bench_memory there(f_.on(), host, false, f_.asked().bytes);
                f_.spots().fill(there.memory());
                const links_placement& where = f_.report().placements.emplace_back(placement_of(
                    "pinned on " + name, f_.machine().at(host).index, there.memory().base, f_.asked().bytes));
                const std::string checked =
                    where.pages_checked == 0 ? "the kernel does not say where the pages lie"
                    : where.pages_elsewhere > 0
                        ? fmt::format("{} of {} pages lie on another node", where.pages_elsewhere, where.pages_checked)
                        : std::string();
                for (std::size_t gpu = 0; gpu < f_.count(); ++gpu)
                    for (const bool upwards : {true, false}) {
                        link_plan plan;
                        plan.row = name;
                        plan.column = plan.issuer = f_.id(gpu);
                        plan.from = upwards ? name : f_.id(gpu);
                        plan.to = upwards ? f_.id(gpu) : name;
                        plan.most_copies = f_.few();
                        const barelink::region& on_gpu = f_.memory().on_gpu(gpu, upwards ? 0 : 1);
                        links_metric& into = *one(upwards);
                        const std::size_t before = into.cells.size();
                        f_.measure("numa", into, plan,
                                   {{upwards ? there.memory() : on_gpu, upwards ? on_gpu : there.memory(),
                                     f_.gpus()[gpu], 1, false}});
                        if (into.cells.size() > before && !checked.empty()) into.cells.back().note = checked;
                    }
            });
        }
    }

    void run_sizes(bool open) {
        std::vector<std::string> rows;
        for (const std::uint64_t size : f_.sizes()) rows.push_back(barelink::format_bytes(size));
        links_metric& into = f_.metric("sizes", "rates over the size of a copy (row), one after the other", rows, {});
        const auto column = [&](const std::string& from, const std::string& to, const link_flow& flow, bool gated,
                                const char* how) {
            const std::string name = from + " -> " + to + how;
            into.columns.push_back(name);
            for (const std::uint64_t size : f_.sizes()) {
                link_plan plan;
                plan.row = barelink::format_bytes(size);
                plan.column = name;
                plan.from = from;
                plan.to = to;
                plan.issuer = f_.machine().at(flow.issuer).id();
                plan.gated = gated;
                plan.bytes = size;
                plan.most_copies = copies_of(size);
                f_.measure("sizes", into, plan, {flow});
            }
        };
        if (!open) {
            if (f_.count() < 2) return;
            column(f_.id(0), f_.id(1), f_.staged(0, 1), false, ", staged");
            column(f_.id(1), f_.id(0), f_.staged(1, 0), false, ", staged");
            return;
        }
        column(f_.host_of(0), f_.id(0), f_.up(0), true, "");
        column(f_.id(0), f_.host_of(0), f_.down(0), true, "");
        for (const std::size_t from : {std::size_t{0}, std::size_t{1}}) {
            if (f_.count() < 2) break;
            if (f_.may_access(from, 1 - from)) {
                column(f_.id(from), f_.id(1 - from), f_.push(from, 1 - from), true, "");
                continue;
            }
            f_.skip("sizes", f_.sizes().size());
            f_.absent("sizes", f_.id(from) + " -> " + f_.id(1 - from), "no peer access: see staged");
        }
    }
    /// More of the small ones, for the resolution of events; fewer than a stream takes before a call waits for room, which behind
    /// the gate would be for ever.
    [[nodiscard]] unsigned copies_of(std::uint64_t size) const {
        constexpr std::uint64_t most = 256;
        return static_cast<unsigned>(std::clamp<std::uint64_t>(f_.few() * (f_.asked().bytes / size), f_.few(), most));
    }

    void run_concurrent() {
        const std::vector<std::string> columns = {"total", "alone, added", "slowest", "fastest"};
        links_metric& into =
            f_.metric("concurrent_totals",
                      "rates of all copies within the window in which all of them run; beside it what the "
                      "same copies do alone, added up",
                      {}, columns);
        struct set {
            std::string name, from, to;
            link_flows all;
        };
        std::deque<bench_memory> targets; // each GPU receives twice in the last set
        std::vector<set> sets = {{"host -> all GPUs", "host", "gpus", {}},
                                 {"all GPUs -> host", "gpus", "host", {}},
                                 {"host <-> all GPUs", "host and gpus", "gpus and host", {}},
                                 {"GPUs in a ring", "gpus", "gpus", {}},
                                 {"GPUs in a ring, both ways", "gpus", "gpus", {}}};
        for (std::size_t i = 0; i < f_.count(); ++i) {
            sets[0].all.push_back(f_.up(i));
            sets[1].all.push_back(f_.down(i));
            sets[2].all.push_back(f_.up(i));
            sets[2].all.push_back(f_.down(i));
            const std::size_t next = (i + 1) % f_.count();
            if (next == i || !f_.may_access(i, next)) continue;
            sets[3].all.push_back(f_.push(i, next));
            sets[4].all.push_back(f_.push(i, next));
            if (f_.count() > 2 && f_.may_access(next, i) && f_.too_large(i, 1).empty())
                sets[4].all.push_back(f_.into_own(f_.push(next, i), targets));
        }
        for (const set& each : sets) {
            const bool ring = each.from == each.to, both = &each == &sets[4] || &each == &sets[2];
            if (f_.count() < 2 ? each.all.size() < 2
                               : each.all.size() < f_.count() * (both ? 2 : 1) || (ring && both && f_.count() < 3)) {
                f_.skip("concurrent");
                f_.absent("concurrent", each.name,
                          f_.count() < 2 ? "one GPU"
                          : both && f_.count() < 3
                              ? "two GPUs"
                              : "not every pair of the ring has peer access, or room for its buffers");
                continue;
            }
            into.rows.push_back(each.name);
            link_plan plan;
            plan.row = each.name;
            plan.column = "total";
            plan.from = each.from;
            plan.to = each.to;
            plan.issuer = "gpus";
            plan.what = link_figure::window;
            const std::size_t before = into.cells.size();
            f_.measure("concurrent", into, plan, each.all);
            if (into.cells.size() > before) add_beside(into, each.all);
        }
    }
    /// Beside a total: what the link_flows do alone, and how far they are apart together.
    void add_beside(links_metric& into, const link_flows& all) {
        const links_cell total = into.cells.back();
        double alone = 0;
        bool known = true;
        for (const link_flow& each : all) {
            const double rate = alone_gb_s(each);
            known = known && rate > 0;
            alone += rate;
        }
        double slowest = total.parts.front().second, fastest = slowest;
        for (const auto& [name, rate] : total.parts) {
            slowest = std::min(slowest, rate);
            fastest = std::max(fastest, rate);
        }
        for (const auto& [column, rate] : {std::pair<std::string, double>{"alone, added", known ? alone : 0},
                                           {"slowest", slowest},
                                           {"fastest", fastest}}) {
            if (rate <= 0) continue;
            links_cell beside = total;
            beside.column = column;
            beside.gb_s = {rate};
            beside.parts.clear();
            beside.note = column == "alone, added" ? "the medians of the single copies, added up"
                                                   : "of the copies together, median over the rounds";
            into.cells.push_back(std::move(beside));
        }
    }
    [[nodiscard]] double alone_gb_s(const link_flow& flow) const {
        const std::string from = f_.machine().at(flow.from.where.node).id(),
                          to = f_.machine().at(flow.to.where.node).id();
        const bool up_to = flow.from.where.kind != barelink::memory_kind::device;
        const bool down_to = flow.to.where.kind != barelink::memory_kind::device;
        const links_metric* single = f_.report().find(up_to     ? "host_to_device_memcpy_ce"
                                                      : down_to ? "device_to_host_memcpy_ce"
                                                                : "device_to_device_memcpy_write_ce");
        const links_cell* cell = !single   ? nullptr
                                 : up_to   ? single->find("host", to)
                                 : down_to ? single->find("host", from)
                                           : single->find(from, to);
        return cell ? median(cell->gb_s) : 0;
    }

    void run_multi_path() {
        if (f_.count() < 2) return f_.absent("multi_path", {}, "one GPU: there is no other path");
        links_metric& into =
            f_.metric("multi_path",
                      "one copy (row) over its own link, by one call; and by Barelink over every path that "
                      "the listed GPUs have",
                      {}, {"one link", "all paths"});
        barelink::mover_options options;
        for (const int each : f_.asked().gpus) options.relays.insert(barelink::gpu_id{each});
        f_.guard("multi_path", [&] {
            cuda_mover mover(f_.on(), options);
            f_.progress("pinning " + barelink::format_bytes(f_.asked().bytes) + " over all NUMA nodes");
            const cuda_end host(f_.on(), barelink::endpoint::host_all(), f_.asked().bytes);
            f_.spots().fill(host.memory());
            host.add_notes(f_.report().notes);
            struct way {
                std::string from, to;
                link_flow one;
                barelink::region source, target;
                bool possible;
            };
            for (const way& each :
                 {way{"host:all", f_.id(0), f_.up(0), host.memory(), f_.memory().on_gpu(0, 0), true},
                  way{f_.id(0), "host:all", f_.down(0), f_.memory().on_gpu(0, 1), host.memory(), true},
                  way{f_.id(0), f_.id(1), f_.push(0, 1), f_.memory().on_gpu(0, 1), f_.memory().on_gpu(1, 0),
                      f_.may_access(0, 1)}}) {
                const std::string row = each.from + " -> " + each.to;
                const double allowed = f_.allowance_us("multi_path");
                if (allowed <= 0 || !each.possible) {
                    f_.absent("multi_path", row, each.possible ? "the time of --seconds was over" : "no peer access");
                    continue;
                }
                into.rows.push_back(row);
                f_.guard("multi_path " + row, [&] {
                    measure_paths(into, row, each.from, each.to, each.one, each.source, each.target, mover, allowed);
                });
            }
            if (mover.counters().fallbacks > 0)
                f_.report().notes.push_back(
                    fmt::format("multi_path: {} copies did not go as planned", mover.counters().fallbacks));
        });
    }
    /// The two ways in turn, so that both meet the same machine.
    void measure_paths(links_metric& into, const std::string& row, const std::string& from, const std::string& to,
                       const link_flow& one, const barelink::region& source, const barelink::region& target,
                       cuda_mover& mover, double allowed_us) {
        f_.progress("multi_path " + row);
        links_cell raw;
        raw.row = row;
        raw.column = "one link";
        raw.from = f_.machine().at(one.from.where.node).id();
        raw.to = f_.machine().at(one.to.where.node).id();
        raw.issuer = f_.machine().at(one.issuer).id();
        raw.bytes = f_.asked().bytes;
        raw.gated = f_.has_gate();
        link_plan plan;
        plan.may_miss = false;
        plan.most_copies = f_.few();
        raw.copies = f_.copies_for("multi_path", {one}, raw, plan, allowed_us / 2);
        links_cell all = raw;
        all.column = "all paths";
        all.from = from;
        all.to = to;
        all.gated = false;
        (void)move_us(mover, target, source, one.issuer, 1); // proofs, plans, rings
        const double before = wall_us();
        (void)move_us(mover, target, source, one.issuer, 1);
        const double fitting = allowed_us / 2 / (f_.asked().rounds * (wall_us() - before));
        all.copies = fitting >= f_.few() ? f_.few() : std::max(1u, static_cast<unsigned>(fitting));
        for (unsigned round = 0; round < f_.asked().rounds; ++round) {
            links_cell* const first = round % 2 == 0 ? &raw : &all;
            for (links_cell* const now : {first, first == &raw ? &all : &raw}) {
                const double us = now == &all
                                      ? move_us(mover, target, source, one.issuer, all.copies)
                                      : f_.sampler()
                                            .take({one}, raw.bytes, raw.copies, f_.asked().warm_up_copies, raw.gated)
                                            .us.front();
                now->gb_s.push_back(barelink::rate_gb_s(static_cast<double>(now->bytes) * now->copies, us));
            }
        }
        for (links_cell* const now : {&raw, &all}) { // each by itself: both may write to the same memory
            const barelink::region& written = now == &all ? target : one.to;
            f_.spots().wipe(written, written.bytes);
            if (now == &all)
                (void)move_us(mover, target, source, one.issuer, 1);
            else
                (void)f_.sampler().take({one}, raw.bytes, 1, 0, raw.gated);
            now->verified = f_.spots().hold(written, written.bytes);
            if (!now->verified) f_.spots().fill(written);
        }
        if (median(raw.gb_s) > 0) all.note = fmt::format("{:.2f} times one link", median(all.gb_s) / median(raw.gb_s));
        into.cells.push_back(std::move(raw));
        into.cells.push_back(std::move(all));
    }
    /// One after the other in one stream, between two events of its GPU.
    [[nodiscard]] double move_us(cuda_mover& mover, const barelink::region& target, const barelink::region& source,
                                 barelink::node_index gpu, unsigned copies) {
        struct guard_of {
            barelink::cuda::runtime& on;
            barelink::cuda::stream stream;
            barelink::cuda::event begin, end;
            ~guard_of() {
                if (begin.handle) (void)on.destroy(begin);
                if (end.handle) (void)on.destroy(end);
                (void)on.destroy(stream);
            }
        } own{f_.on(), f_.on().make_stream(gpu).value(), {}, {}};
        own.begin = f_.on().make_event(gpu, true).value();
        own.end = f_.on().make_event(gpu, true).value();
        f_.on().record(own.begin, own.stream).value();
        for (unsigned n = 0; n < copies; ++n) mover.enqueue(target, source, own.stream).value();
        f_.on().record(own.end, own.stream).value();
        f_.on().synchronize(own.end).value();
        return f_.on().elapsed_us(own.begin, own.end).value();
    }

    links_figures& f_;
};

} // namespace tool
