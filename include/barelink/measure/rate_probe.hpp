// How fast copies are that run at the same time: each again and again in a stream of its own, all behind one gate.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <barelink/measure/detail/probe_memory.hpp>
#include <barelink/move/detail/event_shelf.hpp>
#include <barelink/move/runtime.hpp>

BARELINK_BEGIN_NAMESPACE

/// One copy, repeated back to back in a stream of its own. At least one end is a GPU, or both are the same GPU.
struct copy_load {
    node_index from;
    node_index to;
    std::uint64_t bytes = 0;     ///< of each copy
    int copies = 16;             ///< counted after a first one, which warms up
    node_index issuer = no_node; ///< the GPU whose engine copies; `no_node`: the GPU of host copies, a pair's source
    friend bool operator==(const copy_load&, const copy_load&) noexcept = default;
};

/// What one load of a measurement reached. GB/s of payload in its direction.
struct load_rate {
    double gb_s = 0;       ///< while all loads ran; for a load that ran alone, the same as `whole_gb_s`
    double whole_gb_s = 0; ///< from the end of its own first copy to the end of its last
    /// How long all loads ran. 0: too short for a copy of this one, and `gb_s` is a guess from its first copies.
    double window_us = 0;
    double whole_us = 0;
    int copies = 0; ///< that were counted: fast loads get more than they asked for
    /// A pair of GPUs that peer access was opened for. Otherwise the driver staged the copies through host memory.
    bool direct = false;
};

struct rate_probe_options {
    /// Memory that the probe holds at most, all GPUs and the host together.
    std::uint64_t memory_bytes = 8 * GiB;
    /// Open peer access where the machine allows it. It stays open: what the driver does without it must be measured first.
    bool open_peers = true;
    /// Fast loads are not repeated more often than this. Project choice: half of the 1024 commands that a stream holds before
    /// submitting to it blocks.
    int most_copies = 500;
    /// A measurement is good when all loads ran together for this share of the longest. Project choice.
    double least_window = 0.7;
};

/// Measures rates of copies, alone or together. Works on any runtime; borrows it. Memory, streams and events are kept from one
/// measurement to the next and freed at the end. One thread at a time.
///
/// A load alone is measured as nvbandwidth does: its copies back to back in one stream, between two events after a first copy.
/// Several loads wait for one gate, an event behind a plug of copies that lasts until everything is submitted; when the gate
/// was open before that, the plug is doubled and the measurement is made again. Each stream times its own copies from the gate
/// on, because events of two GPUs cannot be subtracted: streams start within some microseconds of each other, and measurements should
/// last a hundred times that. Where loads differ in speed, the fast ones get more copies until all last about equally long.
template <runtime Runtime>
class rate_probe {
public:
    explicit rate_probe(Runtime& on, rate_probe_options chosen = {})
        : runtime_(on), options_(chosen), memory_(on, chosen.memory_bytes), events_(on, true) {}
    rate_probe(const rate_probe&) = delete;
    rate_probe& operator=(const rate_probe&) = delete;
    ~rate_probe() {
        for (const lane& each : lanes_) (void)runtime_.destroy(each.stream);
    }

    /// Blocks until all copies are done; a copy that never ends blocks for good: prove a pair's delivery first. Creates contexts
    /// on the GPUs of the loads and on no other. One rate for each load, in their order.
    /// Errors: invalid_argument (no load, no bytes, no GPU at either end), out_of_memory, unsupported when work submitted is
    /// always done before the next call returns (CUDA_LAUNCH_BLOCKING), and what the runtime says.
    [[nodiscard]] result<std::vector<load_rate>> measure(std::span<const copy_load> loads) {
        if (auto ready = prepare(loads); !ready) return ready.error();
        std::vector<load_rate> rates;
        for (int round = 0;; ++round) {
            auto done = run_gated();
            if (!done) {
                abandon();
                return done.error();
            }
            if (auto read = read_rates(rates); !read) return read.error();
            constexpr int rounds = 4;
            if (round + 1 == rounds || !balance(rates)) return rates;
        }
    }
    [[nodiscard]] result<load_rate> measure(const copy_load& alone) {
        auto rates = measure(std::span(&alone, 1));
        if (!rates) return rates.error();
        return rates->front();
    }

    [[nodiscard]] std::uint64_t memory_bytes() const noexcept { return memory_.bytes(); }

private:
    using stream_type = typename Runtime::stream_type;
    using event_type = typename Runtime::event_type;
    static constexpr int marks = 16; ///< times taken along each load: events after some of its copies

    struct lane {
        node_index gpu;
        stream_type stream;
        bool taken = false;
    };
    struct running {
        copy_load load;
        std::size_t lane = 0;
        void* to = nullptr;
        const void* from = nullptr;
        int copies = 0;
        bool direct = false;
        event_type opened{}, warm{};
        std::array<event_type, marks> done{};
        /// After the gate, us: end of the first copy, then of those that were marked.
        double warm_us = 0;
        std::array<double, marks> done_us{};
        [[nodiscard]] int marked() const noexcept { return copies < marks ? copies : marks; }
        /// How many copies were counted at a mark.
        [[nodiscard]] int count_at(int mark) const noexcept {
            return static_cast<int>(static_cast<std::int64_t>(copies) * (mark + 1) / marked());
        }
        [[nodiscard]] double end_us() const noexcept { return done_us[static_cast<std::size_t>(marked() - 1)]; }
        /// Rate in copies a microsecond over those that lie wholly between two moments; 0 when none does. Copies that are cut by
        /// an end of the window do not count: they ran in other company in part.
        [[nodiscard]] double rate_between(double begin_us, double end_us) const noexcept {
            double first_us = warm_us, first = 0, last_us = 0, last = 0;
            bool begun = warm_us >= begin_us;
            for (int mark = 0; mark < marked(); ++mark) {
                const double us = done_us[static_cast<std::size_t>(mark)], count = count_at(mark);
                if (us > end_us) break;
                if (!begun && us >= begin_us) {
                    first_us = us;
                    first = count;
                    begun = true;
                } else if (begun) {
                    last_us = us;
                    last = count;
                }
            }
            return last > first && last_us > first_us ? (last - first) / (last_us - first_us) : 0;
        }
        /// The same from the gate on, where all loads start, and with the first copy: of that alone, if it has to be.
        [[nodiscard]] double rate_until(double end_us) const noexcept {
            double last_us = warm_us, last = 1;
            for (int mark = 0; mark < marked() && done_us[static_cast<std::size_t>(mark)] <= end_us; ++mark) {
                last_us = done_us[static_cast<std::size_t>(mark)];
                last = 1 + count_at(mark);
            }
            return last_us > 0 ? last / last_us : 0;
        }
    };

    [[nodiscard]] status prepare(std::span<const copy_load> loads);
    [[nodiscard]] result<std::size_t> take_lane(node_index gpu);
    [[nodiscard]] status run_gated();
    [[nodiscard]] status submit(event_type gate, int plugs);
    [[nodiscard]] status submit(running& each, event_type gate);
    [[nodiscard]] status read_rates(std::vector<load_rate>& rates);
    [[nodiscard]] bool balance(const std::vector<load_rate>& rates);
    void abandon();

    Runtime& runtime_;
    rate_probe_options options_;
    detail::probe_memory<Runtime> memory_;
    barelink::detail::event_shelf<Runtime> events_;
    std::vector<lane> lanes_;
    std::vector<running> running_;
    void* plug_to_ = nullptr;
    const void* plug_from_ = nullptr;
    double plug_gb_s_ = 0;
    double plug_factor_ = 2; ///< doubled whenever a plug was too short
    /// Of one plug copy. Project choice: 150 us over a Gen5 link, and more than ten submissions over any link there is.
    static constexpr std::uint64_t plug_bytes = 8 * MiB;
};

template <runtime Runtime>
status rate_probe<Runtime>::prepare(std::span<const copy_load> loads) {
    const machine& m = runtime_.topology();
    if (loads.empty()) return error(errc::invalid_argument, "no load to measure");
    memory_.rewind();
    events_.rewind();
    for (lane& each : lanes_) each.taken = false;
    running_.clear();
    for (const copy_load& load : loads) {
        running each;
        each.load = load;
        const node &from = m.at(load.from), &to = m.at(load.to);
        if (load.bytes == 0 || load.copies < 1 || !from.is_memory() || !to.is_memory() ||
            (from.kind != node_kind::gpu && to.kind != node_kind::gpu))
            return error(errc::invalid_argument, text::join({from.id().c_str(), " -> ", to.id().c_str(),
                                                             ": a load needs bytes, copies and a GPU at an end"}));
        if (each.load.issuer == no_node) each.load.issuer = from.kind == node_kind::gpu ? load.from : load.to;
        each.copies = std::min(load.copies, options_.most_copies);
        const dma_path* path = m.path(load.from, load.to);
        if (from.kind == node_kind::gpu && to.kind == node_kind::gpu && path && path->allowed &&
            path->proof != delivery::failed && options_.open_peers) {
            auto opened = runtime_.open_peer(load.from, load.to);
            if (!opened && opened.error().code() != errc::not_permitted) return opened;
            each.direct = static_cast<bool>(opened);
        }
        auto number = take_lane(each.load.issuer);
        if (!number) return number.error();
        each.lane = *number;
        auto source = memory_.take(load.from, load.bytes);
        if (!source) return source.error();
        auto target = memory_.take(load.to, load.bytes);
        if (!target) return target.error();
        each.from = *source;
        each.to = *target;
        running_.push_back(each);
    }
    // The plug: copies from host memory to the GPU that opens the gate, over the nearest path from where there is memory to be
    // had. They also wake idle links.
    const node_index gpu = running_.front().load.issuer;
    std::vector<const dma_path*> ways;
    for (const node_index host : m.all(node_kind::memory))
        if (const dma_path* path = m.path(host, gpu)) ways.push_back(path);
    if (ways.empty())
        return error(errc::unsupported, text::join({m.at(gpu).id().c_str(), ": no host memory to start from"}));
    std::stable_sort(ways.begin(), ways.end(), [](const dma_path* a, const dma_path* b) { return a->gb_s > b->gb_s; });
    status refused;
    plug_from_ = nullptr;
    for (std::size_t next = 0; !plug_from_ && next < ways.size(); ++next) {
        const auto source = memory_.take(ways[next]->from, plug_bytes);
        if (source) {
            plug_from_ = *source;
            plug_gb_s_ = ways[next]->gb_s;
        } else {
            refused.keep_first(source.error());
        }
    }
    if (!plug_from_) return refused;
    auto target = memory_.take(gpu, plug_bytes);
    if (!target) return target.error();
    plug_to_ = *target;
    return {};
}

template <runtime Runtime>
result<std::size_t> rate_probe<Runtime>::take_lane(node_index gpu) {
    for (std::size_t i = 0; i < lanes_.size(); ++i)
        if (!lanes_[i].taken && lanes_[i].gpu == gpu) {
            lanes_[i].taken = true;
            return i;
        }
    auto made = runtime_.make_stream(gpu);
    if (!made) return made.error();
    lanes_.push_back({gpu, *made, true});
    return lanes_.size() - 1;
}

/// Submits everything behind the gate and waits for the end; again with a longer plug when the gate opened too early.
template <runtime Runtime>
status rate_probe<Runtime>::run_gated() {
    int calls = 0;
    for (const running& each : running_) calls += each.copies + each.marked() + 4;
    constexpr double call_us = 4; // published: 2 to 7 us of CPU time for an asynchronous copy
    for (int attempt = 0;; ++attempt) {
        events_.rewind();
        auto gate = events_.take(running_.front().load.issuer);
        if (!gate) return gate.error();
        const double plugs = 1 + plug_factor_ * calls * call_us / transfer_us(plug_bytes, plug_gb_s_);
        if (auto sent = submit(*gate, static_cast<int>(std::min(plugs, 1e3))); !sent) return sent;
        const auto early = runtime_.is_done(*gate);
        if (!early) return early.error();
        for (running& each : running_)
            if (auto done = runtime_.synchronize(each.done[static_cast<std::size_t>(each.marked() - 1)]); !done)
                return done;
        if (!*early) return {};
        constexpr int attempts = 6;
        if (attempt == attempts)
            return error(errc::unsupported,
                         "copies end before the next ones are submitted, so none run at the same time: is "
                         "CUDA_LAUNCH_BLOCKING set?");
        plug_factor_ *= 2;
    }
}

template <runtime Runtime>
status rate_probe<Runtime>::submit(event_type gate, int plugs) {
    const stream_type first = lanes_[running_.front().lane].stream;
    for (int plug = 0; plug < plugs; ++plug)
        if (auto done = runtime_.copy(plug_to_, plug_from_, plug_bytes, first); !done) return done;
    if (auto done = runtime_.record(gate, first); !done) return done;
    for (running& each : running_)
        if (auto done = submit(each, gate); !done) return done;
    return {};
}

template <runtime Runtime>
status rate_probe<Runtime>::submit(running& each, event_type gate) {
    const stream_type in = lanes_[each.lane].stream;
    const auto mark = [&](event_type& into) -> status {
        auto event = events_.take(each.load.issuer);
        if (!event) return event.error();
        into = *event;
        return runtime_.record(into, in);
    };
    status done = runtime_.wait(in, gate);
    if (done) done = mark(each.opened);
    if (done) done = runtime_.copy(each.to, each.from, each.load.bytes, in);
    if (done) done = mark(each.warm);
    // Alone there is nothing to compare along the way, and events between copies would be timed with them.
    const bool alone = running_.size() == 1;
    for (int copy = 0, next = 0; done && copy < each.copies; ++copy) {
        done = runtime_.copy(each.to, each.from, each.load.bytes, in);
        if (!done || copy + 1 != each.count_at(next)) continue;
        if (!alone || copy + 1 == each.copies) done = mark(each.done[static_cast<std::size_t>(next)]);
        ++next;
    }
    return done;
}

template <runtime Runtime>
status rate_probe<Runtime>::read_rates(std::vector<load_rate>& rates) {
    const bool alone = running_.size() == 1;
    double begin_us = 0, end_us = 0;
    for (running& each : running_) {
        auto warm = runtime_.elapsed_us(each.opened, each.warm);
        if (!warm) return warm.error();
        each.warm_us = *warm;
        for (int mark = 0; mark < each.marked(); ++mark) {
            const auto at = static_cast<std::size_t>(mark);
            if (alone && mark + 1 < each.marked()) {
                each.done_us[at] = each.warm_us; // not timed
                continue;
            }
            auto done = runtime_.elapsed_us(alone ? each.warm : each.opened, each.done[at]);
            if (!done) return done.error();
            each.done_us[at] = *done + (alone ? each.warm_us : 0);
        }
        begin_us = std::max(begin_us, each.warm_us);
        end_us = end_us > 0 ? std::min(end_us, each.end_us()) : each.end_us();
    }
    rates.clear();
    for (const running& each : running_) {
        const auto bytes = static_cast<double>(each.load.bytes);
        load_rate rate;
        rate.copies = each.copies;
        rate.direct = each.direct;
        rate.whole_us = each.end_us() - each.warm_us;
        rate.whole_gb_s = rate_gb_s(bytes * each.copies, rate.whole_us);
        if (alone) {
            rate.window_us = rate.whole_us;
            rate.gb_s = rate.whole_gb_s;
        } else if (const double copies_us = each.rate_between(begin_us, end_us); copies_us > 0) {
            rate.window_us = end_us - begin_us;
            rate.gb_s = bytes * copies_us * 1e-3;
        } else {
            rate.gb_s = bytes * each.rate_until(end_us) * 1e-3;
        }
        rates.push_back(rate);
    }
    return {};
}

/// Gives fast loads more copies, so that all last as long as the slowest. True when that is worth another measurement.
template <runtime Runtime>
bool rate_probe<Runtime>::balance(const std::vector<load_rate>& rates) {
    double longest_us = 0, asked_us = 0, window_us = rates.front().window_us;
    for (std::size_t i = 0; i < rates.size(); ++i) {
        longest_us = std::max(longest_us, rates[i].whole_us);
        window_us = std::min(window_us, rates[i].window_us);
        const double bytes = static_cast<double>(running_[i].load.bytes) * running_[i].load.copies;
        if (rates[i].gb_s > 0) asked_us = std::max(asked_us, transfer_us(bytes, rates[i].gb_s));
    }
    if (rates.size() == 1 || window_us >= options_.least_window * longest_us) return false;
    bool changed = false;
    for (std::size_t i = 0; i < rates.size(); ++i) {
        const double wanted = asked_us * 1e3 * rates[i].gb_s / static_cast<double>(running_[i].load.bytes);
        const int least = running_[i].load.copies;
        const int copies = wanted < least ? least : static_cast<int>(std::min<double>(wanted, options_.most_copies));
        changed |= copies != running_[i].copies;
        running_[i].copies = copies;
    }
    return changed;
}

/// After a failed call: waits for what was submitted, and never uses these streams again.
template <runtime Runtime>
void rate_probe<Runtime>::abandon() {
    events_.rewind();
    for (const lane& each : lanes_) {
        auto last = events_.take(each.gpu);
        if (last && runtime_.record(*last, each.stream)) (void)runtime_.synchronize(*last);
        (void)runtime_.destroy(each.stream);
    }
    lanes_.clear();
}

BARELINK_END_NAMESPACE
