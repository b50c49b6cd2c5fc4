// An immutable owned string, for messages. It exists because <string> costs more preprocessed lines than all of `core`.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

/// Owned, zero-terminated, never modified after construction. Allocates unless empty; an allocation failure leaves the
/// text empty rather than throwing, because it happens while an error is being reported.
class text {
public:
    text() noexcept = default;
    text(const char* chars) : text(chars, chars ? std::strlen(chars) : 0) {}
    text(const char* chars, std::size_t size) { assign(chars, size); }
    text(const text& other) : text(other.chars_, other.size_) {}
    text(text&& other) noexcept : chars_(std::exchange(other.chars_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    text& operator=(text other) noexcept {
        std::swap(chars_, other.chars_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~text() { delete[] chars_; }

    [[nodiscard]] const char* c_str() const noexcept { return chars_ ? chars_ : ""; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    /// Joins C strings: `text::join({"gpu:9", " is not on ", name})`.
    template <std::size_t N>
    [[nodiscard]] static text join(const char* const (&parts)[N]) {
        std::size_t size = 0;
        for (const char* part : parts) size += part ? std::strlen(part) : 0;
        text joined;
        joined.chars_ = new (std::nothrow) char[size + 1];
        if (!joined.chars_) return joined;
        joined.size_ = size;
        char* out = joined.chars_;
        for (const char* part : parts) {
            if (!part) continue;
            const std::size_t length = std::strlen(part);
            std::memcpy(out, part, length);
            out += length;
        }
        *out = '\0';
        return joined;
    }

    friend bool operator==(const text& a, const text& b) noexcept {
        return a.size_ == b.size_ && (a.size_ == 0 || std::memcmp(a.chars_, b.chars_, a.size_) == 0);
    }

private:
    void assign(const char* chars, std::size_t size) {
        if (size == 0) return;
        chars_ = new (std::nothrow) char[size + 1];
        if (!chars_) return;
        std::memcpy(chars_, chars, size);
        chars_[size] = '\0';
        size_ = size;
    }

    char* chars_ = nullptr;
    std::size_t size_ = 0;
};

BARELINK_END_NAMESPACE
