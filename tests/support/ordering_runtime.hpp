// A runtime that checks the order of all accesses to memory, whatever the timing: two accesses to the same bytes, one of
// them writing, must be ordered by streams, events or the calling thread. What a simulation shows only when a copy
// happens to be slow, this shows always.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "forwarding_runtime.hpp"

/// Vector clocks (Fidge 1988, Mattern 1989): one component per stream, and one, the first, for the calling thread.
template <class Inner>
class ordering_runtime : public forwarding_runtime<Inner> {
    using base = forwarding_runtime<Inner>;
    using clock = std::vector<std::uint64_t>;

public:
    using base::base;
    using typename base::event_type;
    using typename base::stream_type;

    /// Accesses without an order so far, and the first of them in words.
    [[nodiscard]] std::uint64_t violations() const { return violations_; }
    [[nodiscard]] const std::string& first() const { return first_; }
    /// Calls of `release` that failed: what they were for is still allocated.
    [[nodiscard]] std::size_t failed_releases() const { return failed_releases_; }
    /// Work of the user's own: a kernel in a stream, or the calling thread itself.
    void kernel_reads(stream_type s, const void* at, std::uint64_t bytes) { in_stream(s, {{at, bytes, false}}); }
    void kernel_writes(stream_type s, const void* at, std::uint64_t bytes) { in_stream(s, {{at, bytes, true}}); }
    void thread_reads(const void* at, std::uint64_t bytes) { access(host_, 0, {at, bytes, false}); }
    void thread_writes(const void* at, std::uint64_t bytes) { access(host_, 0, {at, bytes, true}); }

    [[nodiscard]] barelink::status release(void* at) {
        // Nobody may be at work on it any more.
        for (const block& b : blocks_)
            if (b.at == at) thread_writes(at, b.bytes);
        std::erase_if(blocks_, [&](const block& b) { return b.at == at; });
        auto released = base::release(at);
        if (!released) ++failed_releases_;
        return released;
    }
    [[nodiscard]] barelink::result<void*> allocate(barelink::node_index where, std::uint64_t bytes) {
        auto made = base::allocate(where, bytes);
        if (!made) return made;
        blocks_.push_back({*made, bytes});
        const auto begin = reinterpret_cast<std::uintptr_t>(*made);
        // The address may have been somebody else's before.
        std::erase_if(past_, [&](const past& p) { return p.begin < begin + bytes && begin < p.end; });
        return made;
    }
    [[nodiscard]] barelink::result<stream_type> make_stream(barelink::node_index gpu) {
        auto made = base::make_stream(gpu);
        if (made) (void)of(*made);
        return made;
    }
    /// A stream must be empty when it is destroyed, as far as the calling thread can know.
    [[nodiscard]] barelink::status destroy(stream_type s) {
        for (const past& p : past_)
            if (p.who == s.number + 1u && (host_.size() <= p.who || host_[p.who] < p.tick))
                violate("stream " + std::to_string(s.number) + " is destroyed before its work is known to be done");
        return base::destroy(s);
    }
    [[nodiscard]] barelink::status destroy(event_type e) { return base::destroy(e); }
    [[nodiscard]] barelink::result<event_type> make_event(barelink::node_index gpu, bool timed) {
        auto made = base::make_event(gpu, timed);
        if (!made) return made;
        if (gpus_.size() <= made->number) gpus_.resize(made->number + 1u, barelink::no_node);
        gpus_[made->number] = gpu;
        return made;
    }
    [[nodiscard]] barelink::status record(event_type e, stream_type s) {
        // "cudaEventRecord() will fail if the input event and input stream are associated to different devices" (CUDA
        // programming guide).
        if (e.number < gpus_.size() && gpus_[e.number] != barelink::no_node && gpus_[e.number] != base::issuer(s))
            violate("an event of one GPU is recorded in a stream of another");
        merge(of(s), host_);
        event_of(e) = of(s);
        return base::record(e, s);
    }
    [[nodiscard]] barelink::status wait(stream_type s, event_type e) {
        merge(of(s), host_);
        merge(of(s), event_of(e));
        return base::wait(s, e);
    }
    [[nodiscard]] barelink::status copy(void* to, const void* from, std::uint64_t bytes, stream_type s) {
        in_stream(s, {{from, bytes, false}, {to, bytes, true}});
        return base::copy(to, from, bytes, s);
    }
    [[nodiscard]] barelink::status copy_2d(void* to, std::uint64_t to_pitch, const void* from, std::uint64_t from_pitch,
                                           std::uint64_t row_bytes, std::uint64_t rows, stream_type s) {
        std::vector<range> touched;
        for (std::uint64_t row = 0; row < rows; ++row) {
            touched.push_back({static_cast<const char*>(from) + row * from_pitch, row_bytes, false});
            touched.push_back({static_cast<const char*>(to) + row * to_pitch, row_bytes, true});
        }
        in_stream(s, touched);
        return base::copy_2d(to, to_pitch, from, from_pitch, row_bytes, rows, s);
    }
    [[nodiscard]] barelink::status copy_many(const barelink::block* list, std::size_t count, stream_type s) {
        in_stream(s, ranges_of(list, count));
        return base::copy_many(list, count, s);
    }
    /// The kernel reads its list, too.
    [[nodiscard]] barelink::status copy_blocks(const barelink::block* list, std::size_t count, int multiprocessors,
                                               stream_type s) {
        auto touched = ranges_of(list, count);
        touched.push_back({list, count * sizeof *list, false});
        in_stream(s, touched);
        return base::copy_blocks(list, count, multiprocessors, s);
    }
    [[nodiscard]] barelink::status host_copy(void* to, const void* from, std::uint64_t bytes,
                                             barelink::node_index near) {
        thread_reads(from, bytes);
        thread_writes(to, bytes);
        return base::host_copy(to, from, bytes, near);
    }
    [[nodiscard]] barelink::result<bool> is_done(event_type e) {
        auto done = base::is_done(e);
        if (done && *done) thread_learns(e);
        return done;
    }
    [[nodiscard]] barelink::status synchronize(event_type e) {
        auto done = base::synchronize(e);
        if (done) thread_learns(e);
        return done;
    }

private:
    struct range {
        const void* at;
        std::uint64_t bytes;
        bool writes;
    };
    struct past {
        std::uintptr_t begin, end;
        std::size_t who;
        std::uint64_t tick;
        bool writes;
    };
    struct block {
        void* at;
        std::uint64_t bytes;
    };

    static void merge(clock& into, const clock& other) {
        if (into.size() < other.size()) into.resize(other.size(), 0);
        for (std::size_t i = 0; i < other.size(); ++i) into[i] = std::max(into[i], other[i]);
    }
    clock& of(stream_type s) {
        if (streams_.size() <= s.number) streams_.resize(s.number + 1u);
        return streams_[s.number];
    }
    clock& event_of(event_type e) {
        if (events_.size() <= e.number) events_.resize(e.number + 1u);
        return events_[e.number];
    }
    [[nodiscard]] static std::vector<range> ranges_of(const barelink::block* list, std::size_t count) {
        std::vector<range> touched;
        for (std::size_t i = 0; i < count; ++i) {
            touched.push_back({list[i].from, list[i].bytes, false});
            touched.push_back({list[i].to, list[i].bytes, true});
        }
        return touched;
    }
    void in_stream(stream_type s, const std::vector<range>& touched) {
        clock& mine = of(s);
        merge(mine, host_);
        for (const range& r : touched) access(mine, s.number + 1u, r);
    }
    /// What the calling thread knows to be done comes before everything that it starts from now on.
    void thread_learns(event_type e) {
        merge(host_, event_of(e));
        std::erase_if(past_, [&](const past& p) { return p.who < host_.size() && host_[p.who] >= p.tick; });
    }
    void access(clock& mine, std::size_t who, const range& r) {
        if (mine.size() <= who) mine.resize(who + 1, 0);
        const auto begin = reinterpret_cast<std::uintptr_t>(r.at);
        for (const past& p : past_) {
            if (begin >= p.end || p.begin >= begin + r.bytes || !(r.writes || p.writes)) continue;
            if (p.who < mine.size() && mine[p.who] >= p.tick) continue;
            violate(std::string(r.writes ? "a write" : "a read") + " by " + name(who) + " and " +
                    (p.writes ? "a write" : "a read") + " by " + name(p.who) + " have no order");
        }
        past_.push_back({begin, begin + r.bytes, who, ++mine[who], r.writes});
    }
    void violate(const std::string& said) {
        if (violations_++ == 0) first_ = said;
    }
    static std::string name(std::size_t who) {
        return who == 0 ? "the calling thread" : "stream " + std::to_string(who - 1);
    }

    clock host_;
    std::vector<clock> streams_, events_;
    std::vector<barelink::node_index> gpus_; ///< of events
    std::vector<past> past_;
    std::vector<block> blocks_;
    std::uint64_t violations_ = 0;
    std::size_t failed_releases_ = 0;
    std::string first_;
};
