// The last few results of a function that is dear to call, by its argument. Private to move.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

template <class Key, class Value>
class recent {
public:
    /// nullptr when it is not among them. Valid until the next `keep`.
    template <class Asked>
    [[nodiscard]] const Value* find(const Asked& key) const noexcept {
        for (const auto& [known, value] : entries_)
            if (known == key) return &value;
        return nullptr;
    }
    const Value& keep(Key key, Value value) {
        if (entries_.size() < most) {
            entries_.emplace_back(std::move(key), std::move(value));
            return entries_.back().second;
        }
        auto& oldest = entries_[next_++ % most];
        oldest = {std::move(key), std::move(value)};
        return oldest.second;
    }
    void clear() noexcept { entries_.clear(); }

    static constexpr std::size_t most = 16;

private:
    std::vector<std::pair<Key, Value>> entries_;
    std::size_t next_ = 0;
};

} // namespace detail
BARELINK_END_NAMESPACE
