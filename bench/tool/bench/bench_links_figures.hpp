// What every figure of a benchmark of links needs: memory, streams, the gate, its part of the time, and one way to measure.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench_links_memory.hpp"
#include "bench_links_sampler.hpp"
#include "bench_sampler.hpp"

namespace tool {

using link_flows = std::vector<link_flow>;

/// The first flow's rate while the others interfere; both flows' rates, added; all bytes by all time; all flows' rates within
/// the window that they share.
enum class link_figure : std::uint8_t { first, sum, total, window };

struct link_plan {
    std::string row, column, from, to, issuer;
    link_figure what = link_figure::first;
    bool gated = true;
    std::uint64_t bytes = 0;  ///< 0: whole buffers
    unsigned most_copies = 0; ///< 0: what was asked for
    bool may_miss = true;     ///< where time is short; nvbandwidth's go before
};

/// Uses the listed GPUs alone, and gives no other one a context. Throws what keeps it from going on; what fails at one figure
/// is noted in the report, and the others are measured. Borrows the report.
class links_figures {
public:
    links_figures(const barelink::machine& m, links_report& into)
        : report_(into), asked_(into.asked), began_us_(wall_us()), runtime_(m, options_of(into.asked)),
          gpus_(shown(runtime_, into)), first_(runtime_.device_of(gpus_.front())), gate_(runtime_, gpus_),
          spots_(runtime_, links_memory::near(m, gpus_.front())), sampler_(runtime_, gate_) {
        asked_.gate = gate_.why_not().empty() ? "spin kernel" : "none: " + gate_.why_not();
        asked_.bytes =
            links_memory::fitting(runtime_, gpus_, asked_.bytes_asked, asked_.memory_bytes, report_.facts.simulated);
        if (asked_.bytes != asked_.bytes_asked)
            report_.notes.push_back(fmt::format("buffers are {} and not {}, so that all of them fit into free memory",
                                                barelink::format_bytes(asked_.bytes),
                                                barelink::format_bytes(asked_.bytes_asked)));
        progress(fmt::format("making {} of pinned memory, {} on each GPU",
                             barelink::format_bytes(2 * gpus_.size() * asked_.bytes),
                             barelink::format_bytes(2 * asked_.bytes)));
        memory_.emplace(runtime_, gpus_, asked_.bytes, spots_, report_.placements);
    }

    [[nodiscard]] links_report& report() noexcept { return report_; }
    [[nodiscard]] const links_report& report() const noexcept { return report_; }
    [[nodiscard]] const links_parameters& asked() const noexcept { return asked_; }
    [[nodiscard]] barelink::cuda::runtime& on() noexcept { return runtime_; }
    [[nodiscard]] const std::vector<barelink::node_index>& gpus() const noexcept { return gpus_; }
    [[nodiscard]] const links_memory& memory() const noexcept { return *memory_; }
    [[nodiscard]] const link_spots& spots() const noexcept { return spots_; }
    [[nodiscard]] links_sampler& sampler() noexcept { return sampler_; }
    [[nodiscard]] double seconds_so_far() const { return (wall_us() - began_us_) * 1e-6; }

    /// For people at a terminal alone.
    static void progress(const std::string& said) {
        if (::isatty(STDERR_FILENO) == 1) std::fprintf(stderr, "\r\x1b[K%s", said.c_str());
    }
    [[nodiscard]] const barelink::machine& machine() const { return runtime_.topology(); }
    [[nodiscard]] std::string id(std::size_t gpu) const { return machine().at(gpus_[gpu]).id(); }
    [[nodiscard]] std::size_t count() const noexcept { return gpus_.size(); }
    [[nodiscard]] std::vector<std::string> ids() const {
        std::vector<std::string> found;
        for (std::size_t i = 0; i < count(); ++i) found.push_back(id(i));
        return found;
    }
    [[nodiscard]] std::string host_of(std::size_t gpu) const {
        return machine().at(links_memory::near(machine(), gpus_[gpu])).id();
    }
    [[nodiscard]] bool wants(const std::string& row) const {
        return std::find(asked_.rows.begin(), asked_.rows.end(), row) != asked_.rows.end();
    }
    [[nodiscard]] bool has_gate() const { return gate_.why_not().empty(); }
    [[nodiscard]] std::vector<barelink::node_index> hosts() const { return machine().all(barelink::node_kind::memory); }

    // Flows. GPUs by their position in the list. Each direction has its own buffers.

    [[nodiscard]] link_flow up(std::size_t gpu, unsigned times = 1) const {
        return {memory_->on_host(gpu, 0), memory_->on_gpu(gpu, 0), gpus_[gpu], times, false};
    }
    [[nodiscard]] link_flow down(std::size_t gpu, unsigned times = 1) const {
        return {memory_->on_gpu(gpu, 1), memory_->on_host(gpu, 1), gpus_[gpu], times, false};
    }
    [[nodiscard]] link_flow push(std::size_t from, std::size_t to) const {
        return {memory_->on_gpu(from, 1), memory_->on_gpu(to, 0), gpus_[from], 1, false};
    }
    [[nodiscard]] link_flow pull(std::size_t from, std::size_t to) const {
        return {memory_->on_gpu(from, 1), memory_->on_gpu(to, 0), gpus_[to], 1, false};
    }
    /// Into memory of its own, for those that write to one GPU together. Throws when there is none.
    [[nodiscard]] link_flow into_own(link_flow flow, std::deque<bench_memory>& own) {
        flow.to = own.emplace_back(runtime_, flow.to.where.node, false, asked_.bytes).memory();
        return flow;
    }
    /// Why so many more buffers do not fit on a GPU; empty when they do.
    [[nodiscard]] std::string too_large(std::size_t gpu, std::size_t buffers) const {
        std::size_t left = 0, all = 0;
        const barelink::cuda::detail::device_scope scope(runtime_.device_of(gpus_[gpu]));
        barelink::cuda::check(cudaMemGetInfo(&left, &all), "asking for free GPU memory").value();
        if (report_.facts.simulated) left = std::min<std::size_t>(left, barelink::detail::fillable_bytes());
        const std::uint64_t wanted = buffers * asked_.bytes + barelink::GiB;
        return left >= wanted ? std::string()
                              : fmt::format("{} has {} left, {} are needed: take smaller --bytes", id(gpu),
                                            barelink::format_bytes(left), barelink::format_bytes(wanted));
    }
    [[nodiscard]] link_flow staged(std::size_t from, std::size_t to) const {
        link_flow flow = push(from, to);
        flow.staged = true;
        return flow;
    }

    /// Every fourth power of two from 4 B on, and the whole buffer.
    [[nodiscard]] std::vector<std::uint64_t> sizes() const {
        std::vector<std::uint64_t> found;
        for (std::uint64_t size = 4; size < asked_.bytes; size *= 4) found.push_back(size);
        found.push_back(asked_.bytes);
        return found;
    }

    // Time: every figure may take its part of what is left; copies are left out for that, and figures in the end.

    [[nodiscard]] std::size_t cells_of(const std::string& row) const {
        const std::size_t gpus = count(), pairs = gpus * (gpus - 1);
        if (row == "staged") return pairs;
        if (row == "pageable") return 2 * gpus;
        if (row == "numa") return hosts().size() > 1 ? 2 * gpus * hosts().size() : 0;
        if (row == "sizes") return sizes().size() * (gpus > 1 ? 6 : 2);
        if (row == "concurrent") return 5;
        if (row == "multi_path") return 3;
        return row.rfind("device_to_device", 0) == 0 ? pairs : gpus;
    }
    void expect(const std::string& row) { weight_left_ += weight_of(row) * static_cast<double>(cells_of(row)); }
    /// Figures that are not measured leave their time to the others.
    void skip(const std::string& row, std::size_t cells = 1) {
        weight_left_ = std::max(0.0, weight_left_ - weight_of(row) * static_cast<double>(cells));
    }
    [[nodiscard]] double allowance_us(const std::string& row) {
        const double left = asked_.seconds * 1e6 - (wall_us() - began_us_);
        const double part = left * weight_of(row) / std::max(weight_left_, weight_of(row));
        skip(row);
        return part;
    }

    [[nodiscard]] links_metric& metric(const std::string& name, const std::string& meaning,
                                       std::vector<std::string> rows, std::vector<std::string> columns) {
        for (links_metric& each : report_.metrics)
            if (each.name == name) return each;
        links_metric made;
        made.name = name;
        made.meaning = meaning;
        made.rows = std::move(rows);
        made.columns = std::move(columns);
        report_.metrics.push_back(std::move(made));
        return report_.metrics.back();
    }
    void absent(const std::string& name, const std::string& cell, const std::string& why) {
        report_.absent.push_back({name, cell, why});
    }
    /// One after the other, and the rest not at all once a GPU answers nothing but errors.
    void guard(const std::string& name, const std::function<void()>& work) {
        constexpr std::size_t hopeless = 8;
        if (report_.failures.size() > hopeless) return;
        try {
            work();
        } catch (const barelink::error& failure) {
            report_.failures.push_back(name + ": " + failure.what());
            if (report_.failures.size() > hopeless)
                report_.notes.push_back("after this many failures nothing more was measured");
        }
    }

    /// Measures one figure and adds it to the metric, or says why not.
    void measure(const std::string& name, links_metric& into, link_plan plan, const link_flows& all) {
        const std::string title = name + " " + plan.row + ", " + plan.column;
        const double allowed = allowance_us(name);
        if (allowed <= 0) return absent(name, plan.row + ", " + plan.column, "the time of --seconds was over");
        progress(title);
        guard(title, [&] {
            links_cell cell;
            cell.row = plan.row;
            cell.column = plan.column;
            cell.from = plan.from;
            cell.to = plan.to;
            cell.issuer = plan.issuer;
            cell.bytes = plan.bytes > 0 ? plan.bytes : fitting_bytes(name, all, allowed);
            cell.gated = plan.gated && has_gate();
            cell.copies = copies_for(name, all, cell, plan, allowed);
            if (cell.copies == 0)
                return absent(name, plan.row + ", " + plan.column,
                              "not even two copies fit into its part of --seconds");
            const unsigned full = plan.most_copies > 0 ? plan.most_copies : asked_.copies;
            if (plan.bytes == 0 && (cell.copies < full || cell.bytes < asked_.bytes))
                cell.note = fmt::format("{} copies of {} and not {} of {}, for time", cell.copies,
                                        barelink::format_bytes(cell.bytes), full, barelink::format_bytes(asked_.bytes));
            for (const link_flow& each : all) spots_.wipe(each.to, written(each, cell));
            std::vector<std::vector<double>> rates(all.size());
            for (unsigned round = 0; round < asked_.rounds; ++round) {
                const link_sample sample = sampler_.take(all, cell.bytes, cell.copies, asked_.warm_up_copies,
                                                         cell.gated, plan.what == link_figure::window);
                add(sample, all, plan.what, cell, rates);
            }
            cell.verified = true;
            for (const link_flow& each : all) {
                if (spots_.hold(each.to, written(each, cell))) continue;
                cell.verified = false;
                spots_.fill(each.to);
            }
            for (std::size_t i = 0; plan.what != link_figure::first && i < all.size(); ++i)
                cell.parts.emplace_back(name_of(all[i]), median(rates[i]));
            into.cells.push_back(std::move(cell));
        });
    }
    /// Whole buffers, or where two copies of those do not fit into the time, going by an earlier figure of the metric, parts of
    /// 32 MiB at least: on the links that are slow enough for this to matter their rate is the same within a percent.
    [[nodiscard]] std::uint64_t fitting_bytes(const std::string& name, const link_flows& all, double allowed_us) const {
        constexpr std::uint64_t least = 32 * barelink::MiB;
        const auto known = copy_us_.find({name, asked_.bytes});
        if (known == copy_us_.end()) return asked_.bytes;
        double us = known->second * asked_.rounds * (asked_.warm_up_copies + 2 * times_of(all));
        std::uint64_t size = asked_.bytes;
        for (; us > allowed_us && size / 2 >= least; us /= 2) size = size / 2 / 8 * 8;
        return size;
    }
    [[nodiscard]] static unsigned times_of(const link_flows& all) {
        unsigned times = 1;
        for (const link_flow& each : all) times = std::max(times, each.times);
        return times;
    }
    /// As many as asked for, or as fit into the time allowed by the wall clock; two at least, but none where those would take
    /// far more than that and nvbandwidth has no such figure. Also warms up.
    [[nodiscard]] unsigned copies_for(const std::string& name, const link_flows& all, const links_cell& cell,
                                      const link_plan& plan, double allowed_us) {
        constexpr double far_more = 4;
        const unsigned most = plan.most_copies > 0 ? plan.most_copies : asked_.copies, warm = asked_.warm_up_copies;
        const unsigned times = times_of(all);
        const auto misses = [&](double copy_us) {
            return plan.may_miss && copy_us * asked_.rounds * (warm + 2 * times) > far_more * allowed_us;
        };
        double& known_us = copy_us_[{name, cell.bytes}]; // of a figure of the same kind: a look costs time as well
        if (misses(known_us)) return 0;
        double fitting = 0;
        for (int look = 0; look < 2 && fitting < most; ++look) { // the first one may pay for what is done once
            const double before = wall_us();
            (void)sampler_.take(all, cell.bytes, 1, warm, cell.gated);
            const double us = (wall_us() - before) / (warm + times);
            fitting = (allowed_us / (asked_.rounds * us) - warm) / times;
            const bool first = known_us <= 0;
            if (look == 1 || !first) known_us = us;
            if (!first) break;
        }
        if (misses(known_us)) return 0;
        return fitting >= most ? most : std::max(std::min(2u, most), static_cast<unsigned>(std::max(fitting, 0.0)));
    }

    void open_peers() {
        access_.assign(count() * count(), 0);
        for (std::size_t row = 0; row < count(); ++row)
            for (std::size_t column = 0; column < count(); ++column) {
                const barelink::dma_path* path = machine().path(gpus_[row], gpus_[column]);
                if (row == column || !path || !path->allowed) continue;
                if (const auto opened = runtime_.open_peer(gpus_[row], gpus_[column]))
                    access_[row * count() + column] = 1;
                else
                    report_.notes.push_back(id(row) + " -> " + id(column) + ": " + opened.error().what());
            }
    }
    [[nodiscard]] bool may_access(std::size_t accessor, std::size_t peer) const {
        return access_[accessor * count() + peer] != 0;
    }
    /// Copies where nobody's figures are to be laid beside: these are slow or many.
    [[nodiscard]] unsigned few() const { return std::min(asked_.copies, 4u); }

private:
    [[nodiscard]] static barelink::cuda::options options_of(const links_parameters& asked) {
        barelink::cuda::options options;
        options.register_bytes = barelink::max_transfer_bytes; // a raw call cannot straddle two registrations
        options.home = barelink::gpu_id{asked.gpus.front()};
        return options;
    }
    /// Those of the list that CUDA shows this process. Errors: not_found when it is none.
    [[nodiscard]] static std::vector<barelink::node_index> shown(const barelink::cuda::runtime& on,
                                                                 links_report& report) {
        std::vector<barelink::node_index> found;
        std::vector<int> numbers;
        for (const int each : report.asked.gpus) {
            const barelink::node_index gpu = on.topology().gpu(barelink::gpu_id{each});
            if (on.device_of(gpu) < 0) {
                report.notes.push_back("gpu:" + std::to_string(each) +
                                       " is none of those that CUDA shows this process");
                continue;
            }
            found.push_back(gpu);
            numbers.push_back(each);
        }
        if (found.empty())
            barelink::detail::raise(barelink::error(
                barelink::errc::not_found, "CUDA shows this process none of the GPUs: look at CUDA_VISIBLE_DEVICES"));
        report.asked.gpus = numbers;
        return found;
    }
    /// What one figure takes beside the others: milliseconds on eight H100s with the default parameters, from published rates.
    [[nodiscard]] static double weight_of(const std::string& row) {
        if (row == "staged") return 220;
        if (row == "pageable") return 800;
        if (row == "numa") return 150;
        if (row == "sizes") return 60;
        if (row == "concurrent" || row == "multi_path") return 1000;
        if (row == "device_local_copy") return 30;
        if (row.rfind("device_to_device", 0) == 0) return 100;
        return row == "host_to_device_memcpy_ce" || row == "device_to_host_memcpy_ce" ||
                       row.find("_one_") < row.size() || row.rfind("one_", 0) == 0
                   ? 500
                   : 1000;
    }
    [[nodiscard]] std::string name_of(const link_flow& flow) const {
        return machine().at(flow.from.where.node).id() + " -> " + machine().at(flow.to.where.node).id();
    }
    /// What the copies of a sample write, from the target's beginning on.
    [[nodiscard]] static std::uint64_t written(const link_flow& flow, const links_cell& cell) {
        const std::uint64_t parts = std::max<std::uint64_t>(flow.from.bytes / cell.bytes, 1);
        return std::min<std::uint64_t>(parts, cell.copies) * cell.bytes;
    }
    static void add(const link_sample& sample, const link_flows& all, link_figure what, links_cell& into,
                    std::vector<std::vector<double>>& rates) {
        const auto bytes = static_cast<double>(into.bytes * into.copies);
        std::vector<double> each;
        double total = 0;
        if (what == link_figure::window) {
            const common_window window = window_of(sample.done_us, into.bytes);
            each = window.gb_s;
            total = window.total();
        } else {
            for (std::size_t i = 0; i < all.size(); ++i)
                each.push_back(barelink::rate_gb_s(bytes * all[i].times, sample.us[i]));
            if (what == link_figure::first) total = each.front();
            if (what == link_figure::sum)
                for (const double rate : each) total += rate;
            if (what == link_figure::total)
                total = barelink::rate_gb_s(bytes * static_cast<double>(all.size()), sample.all_us);
        }
        into.gb_s.push_back(total);
        for (std::size_t i = 0; i < all.size(); ++i) rates[i].push_back(each[i]);
    }

    links_report& report_;
    links_parameters& asked_;
    double began_us_;
    barelink::cuda::runtime runtime_;
    std::vector<barelink::node_index> gpus_;
    barelink::cuda::detail::device_scope first_; // so that no other GPU gets a context
    links_gate gate_;
    link_spots spots_;
    links_sampler sampler_;
    std::optional<links_memory> memory_;
    std::vector<std::uint8_t> access_; ///< per pair of the list: the first may access the second's memory
    double weight_left_ = 0;
    std::map<std::pair<std::string, std::uint64_t>, double> copy_us_; ///< by metric and bytes, when last looked at
};

} // namespace tool
