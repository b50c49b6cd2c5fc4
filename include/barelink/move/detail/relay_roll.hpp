// The relays that a mover may use, less those that turned out to have no room. Private to move.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include <barelink/core/error.hpp>
#include <barelink/machine/node.hpp>
#include <barelink/plan/request.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

class relay_roll {
public:
    explicit relay_roll(const gpu_set& allowed) noexcept : allowed_(allowed), now_(allowed) {}

    [[nodiscard]] const gpu_set& now() const noexcept { return now_; }

    /// Leaves a GPU out until `try_again`. False when it is no relay.
    [[nodiscard]] bool leave_out(const node& full, const error& failure, std::uint64_t bytes) {
        if (full.kind != node_kind::gpu || !now_.contains(gpu_id{full.index})) return false;
        gpu_set others;
        for (std::int32_t i = 0; i < gpu_set::capacity; ++i)
            if (i != full.index && now_.contains(gpu_id{i})) others.insert(gpu_id{i});
        now_ = others;
        left_out_.push_back({bytes, full.id() + " has no room for a ring and relays nothing: " + failure.what()});
        return true;
    }
    void try_again() noexcept {
        now_ = allowed_;
        over_ = left_out_.size();
    }
    /// Of the relays that a copy of this size does without. The notes stay where they are.
    template <class Found>
    void each_note(std::uint64_t bytes, Found found) const {
        for (std::size_t i = over_; i < left_out_.size(); ++i)
            if (bytes >= left_out_[i].bytes) found(left_out_[i].note);
    }

private:
    struct entry {
        std::uint64_t bytes = 0; ///< of the smallest copy that wanted it
        std::string note;
    };
    gpu_set allowed_, now_;
    std::deque<entry> left_out_; ///< addresses stay: tickets refer to the notes
    std::size_t over_ = 0;       ///< those before were given another chance
};

} // namespace detail
BARELINK_END_NAMESPACE
