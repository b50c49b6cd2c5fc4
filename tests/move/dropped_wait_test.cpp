// Every wait, record and synchronize of the mover in turn is forgotten; each time something must go visibly wrong.
// What can be left out without anybody noticing is useless, or the tests cannot see.
#include <cstdint>
#include <string>
#include <vector>

#include <support/catch.hpp>
#include <support/dropping_runtime.hpp>
#include <support/ordering_runtime.hpp>
#include <support/simulated_box.hpp>
#include <support/transfer_scenarios.hpp>

using namespace barelink;

namespace {

using checked_runtime = ordering_runtime<sim::runtime>;
using forgetful_runtime = dropping_runtime<checked_runtime>;

struct rehearsal {
    std::uint64_t calls = 0; ///< of the kind that was to be forgotten
    std::string dropped;     ///< where
    std::string why;         ///< how it was noticed; empty when it was not
    bool by_order = false;   ///< the order of accesses was broken, whatever the bytes
};

/// A server, a stream, and one copy between a kernel that makes its source and a kernel that checks its destination. Both
/// kernels also write what the copy must not see: the first the destination, the last the source.
class stage {
public:
    stage(const transfer_scenario& s, const std::vector<link_direction>& slow)
        : s_(s), server_(builtin::find(s.machine).value()), order_(server_), on_(order_),
          src_(server_, s.from, s.bytes, 0, s.stripe_bytes), dst_(server_, s.to, s.bytes, 0, s.stripe_bytes) {
        sim::faults weather;
        for (const link_direction where : slow)
            weather.links.push_back({where, 0, server_.topology().gb_s(where) / 100});
        server_.inject(weather);
    }

    [[nodiscard]] rehearsal run(forgotten what, std::uint64_t number) {
        const auto stream = server_.make_stream(simulated::gpu_of(server_.topology(), s_.from, s_.to)).value();
        rehearsal found;
        {
            mover<forgetful_runtime> moves(on_, s_.options());
            on_.drop(what, number);
            copy_once(moves, stream, found.why);
            // Destroyed with the copy still on its way: everything must have an order with that as well.
        }
        found.calls = on_.seen();
        found.dropped = on_.dropped();
        finish(stream, found);
        return found;
    }

private:
    static void notice(std::string& why, bool fine, const char* what) {
        if (!fine && why.empty()) why = what;
    }

    void copy_once(mover<forgetful_runtime>& moves, sim::stream stream, std::string& why) {
        const bool from_pageable = s_.from.where == endpoint::place::pageable;
        const bool to_pageable = s_.to.where == endpoint::place::pageable;
        src_.fill(from_pageable ? 2 : 1);
        if (from_pageable) order_.thread_writes(src_.data(), s_.bytes);
        server_.launch(stream, 400, first_kernel, this);
        if (!from_pageable) order_.kernel_writes(stream, src_.data(), s_.bytes);
        if (!to_pageable) order_.kernel_writes(stream, dst_.data(), s_.bytes);

        const auto started = moves.copy(dst_.data(), src_.data(), s_.bytes, stream);
        notice(why, started.has_value(), "the copy failed");
        if (to_pageable) {
            order_.thread_reads(dst_.data(), s_.bytes);
            notice(why, dst_.holds(2), "returned before the bytes had arrived");
        }
        if (from_pageable) { // the caller may reuse it as soon as `copy` returns
            order_.thread_writes(src_.data(), s_.bytes);
            src_.fill(3);
        }
        server_.launch(stream, 0, last_kernel, this);
        if (!to_pageable) order_.kernel_reads(stream, dst_.data(), s_.bytes);
        if (!from_pageable) order_.kernel_writes(stream, src_.data(), s_.bytes);
        if (!started) return;
        if (watch_) {
            // A caller that waits for the ticket and asks how long it took.
            notice(why, bool(started->wait()), "waiting failed");
            order_.thread_reads(dst_.data(), s_.bytes);
            const auto us = started->elapsed_us();
            notice(why, us && *us > 0, "the ticket does not know how long it took");
            for (std::size_t r = 0; r < started->routes(); ++r) {
                const auto route_us = started->route_us(r);
                notice(why, route_us && *route_us > 0 && *route_us <= *us, "a route's time is wrong");
            }
        }
    }

    void finish(sim::stream stream, rehearsal& found) {
        const auto end = server_.make_event(server_.issuer(stream)).value();
        for (const double us : {0.0, 1e6}) {
            server_.launch(stream, us);
            (void)order_.record(end, stream);
            (void)order_.synchronize(end);
        }
        found.by_order = order_.violations() > 0;
        notice(found.why, seen_right_, "a later kernel saw wrong bytes");
        notice(found.why, dst_.holds(2), "wrong bytes");
        notice(found.why, dst_.guarded(), "bytes beside the destination changed");
        notice(found.why, server_.races() == 0, "copies raced");
        notice(found.why, !found.by_order, order_.first().c_str());
    }

    static void first_kernel(void* context) {
        const auto& self = *static_cast<stage*>(context);
        if (self.s_.from.where != endpoint::place::pageable) self.src_.fill(2);
        if (self.s_.to.where != endpoint::place::pageable) self.dst_.fill(4);
    }
    static void last_kernel(void* context) {
        auto& self = *static_cast<stage*>(context);
        self.seen_right_ = self.dst_.holds(2);
        if (self.s_.from.where != endpoint::place::pageable) self.src_.fill(5);
    }

    const transfer_scenario& s_;
    sim::runtime server_;
    checked_runtime order_;
    forgetful_runtime on_;
    const simulated::buffer src_, dst_;
    bool seen_right_ = false;

public:
    bool watch_ = false;
};

/// Nominal rates, then for every leg of every route its links slow, then all but them.
std::vector<std::vector<link_direction>> weathers(const transfer_scenario& s) {
    const machine m = builtin::find(s.machine).value();
    request asked = places::request(s.from, s.to, s.bytes, s.options().relays);
    asked.scratch_bytes = s.scratch_bytes;
    const plan p = default_planner(m).make(asked).value();
    std::vector<std::vector<link_direction>> all(1);
    for (const route& r : p.routes)
        for (const leg& l : r.path()) {
            all.emplace_back(p.hops_of(l).begin(), p.hops_of(l).end());
            if (r.leg_count < 2) continue;
            std::vector<link_direction> others;
            for (const leg& other : r.path())
                if (&other != &l) others.insert(others.end(), p.hops_of(other).begin(), p.hops_of(other).end());
            all.push_back(others);
        }
    return all;
}

rehearsal rehearse(const transfer_scenario& s, forgotten what, std::uint64_t number,
                   const std::vector<link_direction>& slow, bool watch) {
    stage here(s, slow);
    here.watch_ = watch;
    return here.run(what, number);
}

} // namespace

TEST_CASE("probe") {
    for (const transfer_scenario& s : transfer_scenarios) {
        for (const auto what : {forgotten::wait, forgotten::record, forgotten::synchronize}) {
            rehearsal clean = rehearse(s, what, ~0ull, {}, false);
            INFO(s.name);
            CHECK(clean.why == "");
            std::string missed;
            int simmed = 0;
            for (std::uint64_t n = 0; n < clean.calls; ++n) {
                rehearsal a = rehearse(s, what, n, {}, false), b = rehearse(s, what, n, {}, true);
                if (a.why.empty() && b.why.empty())
                    missed += std::to_string(n) + " of " + std::to_string(clean.calls) + " " + a.dropped + "\n";
                bool sim = false;
                for (const auto& sky : weathers(s))
                    if (!sim) {
                        auto r = rehearse(s, what, n, sky, false);
                        sim = !r.why.empty() && !(r.why.find("have no order") != std::string::npos);
                        if (sim && !r.by_order) std::printf("sim only: %s\n", r.why.c_str());
                    }
                simmed += sim;
            }
            std::printf("== %s kind %d tried %llu sim caught %d\n%s", s.name, (int)what,
                        (unsigned long long)clean.calls, simmed, missed.c_str());
        }
    }
}
