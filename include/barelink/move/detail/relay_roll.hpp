// The relays that a mover may use, less those that turned out to have no room. Private to move.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include <barelink/core/error.hpp>
#include <barelink/machine/node.hpp>
#include <barelink/plan/request.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

class relay_roll {
public:
    explicit relay_roll(const gpu_set& allowed) noexcept : allowed_(allowed), now_(allowed) {}

    [[nodiscard]] const gpu_set& now() const noexcept { return now_; }

    /// Leaves a GPU out until `try_again`, or `for_now` until `welcome_back`. False when it is no relay.
    [[nodiscard]] bool leave_out(const node& full, const error& failure, std::uint64_t bytes, bool for_now) {
        if (full.kind != node_kind::gpu || !now_.contains(gpu_id{full.index})) return false;
        if (for_now && passing_.empty()) usual_ = now_;
        now_.erase(gpu_id{full.index});
        if (for_now) {
            passing_.push_back(full.id() + " relays nothing of this copy: " + failure.what());
            return true;
        }
        if (!passing_.empty()) usual_.erase(gpu_id{full.index});
        left_out_.push_back({bytes, full.id() + " has no room for a ring and relays nothing: " + failure.what()});
        return true;
    }
    /// Those that were left out for one copy are there for the next.
    void welcome_back() noexcept {
        if (passing_.empty()) return;
        now_ = usual_;
        passing_.clear();
    }
    /// About those that are left out for the copy that is being submitted.
    [[nodiscard]] const std::vector<std::string>& passing() const noexcept { return passing_; }
    void try_again() noexcept {
        passing_.clear();
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
    gpu_set allowed_, now_, usual_; ///< usual: without those that are only left out for now
    std::vector<std::string> passing_;
    std::deque<entry> left_out_; ///< addresses stay: tickets refer to the notes
    std::size_t over_ = 0;       ///< those before were given another chance
};

} // namespace detail
BARELINK_END_NAMESPACE
