// result<T> and status: a value or an error, and no third state.
#pragma once

#include <new>
#include <type_traits>
#include <utility>

#include <barelink/core/error.hpp>

BARELINK_BEGIN_NAMESPACE

/// Either a `T` or an `error`. Every fallible function returns one; ignoring it is a warning.
/// `value()` throws the error (aborts with its message under -fno-exceptions); `*` and `->` require success.
template <class T>
class [[nodiscard]] result {
    static_assert(!std::is_reference_v<T> && !std::is_void_v<T>,
                  "barelink::result<T> holds a value: use status for functions that return nothing");

public:
    using value_type = T;

    result(T value) : has_value_(true) { ::new (static_cast<void*>(&value_)) T(std::move(value)); }
    result(barelink::error failure) : has_value_(false) {
        ::new (static_cast<void*>(&error_)) barelink::error(std::move(failure));
    }
    result(const result& other) : has_value_(other.has_value_) { construct(other); }
    result(result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) : has_value_(other.has_value_) {
        construct(std::move(other));
    }
    result& operator=(result other) {
        destroy();
        has_value_ = other.has_value_;
        construct(std::move(other));
        return *this;
    }
    ~result() { destroy(); }

    [[nodiscard]] bool has_value() const noexcept { return has_value_; }
    [[nodiscard]] explicit operator bool() const noexcept { return has_value_; }

    [[nodiscard]] T& operator*() & noexcept { return value_; }
    [[nodiscard]] const T& operator*() const& noexcept { return value_; }
    [[nodiscard]] T&& operator*() && noexcept { return std::move(value_); }
    [[nodiscard]] T* operator->() noexcept { return &value_; }
    [[nodiscard]] const T* operator->() const noexcept { return &value_; }

    T& value() & {
        require();
        return value_;
    }
    const T& value() const& {
        require();
        return value_;
    }
    T&& value() && {
        require();
        return std::move(value_);
    }
    template <class U>
    [[nodiscard]] T value_or(U&& fallback) const& {
        return has_value_ ? value_ : static_cast<T>(std::forward<U>(fallback));
    }

    /// The error; requires failure.
    [[nodiscard]] const barelink::error& error() const& noexcept { return error_; }
    [[nodiscard]] barelink::error&& error() && noexcept { return std::move(error_); }

private:
    void require() const {
        if (!has_value_) detail::raise(error_);
    }
    template <class Other>
    void construct(Other&& other) {
        if (has_value_)
            ::new (static_cast<void*>(&value_)) T(std::forward<Other>(other).value_);
        else
            ::new (static_cast<void*>(&error_)) barelink::error(std::forward<Other>(other).error_);
    }
    void destroy() noexcept {
        if (has_value_)
            value_.~T();
        else
            error_.~error();
    }

    union {
        T value_;
        barelink::error error_;
    };
    bool has_value_;
};

/// Success or an `error`. `return {};` is success.
class [[nodiscard]] status {
public:
    status() noexcept = default;
    status(barelink::error failure) : failure_(new (std::nothrow) barelink::error(std::move(failure))), failed_(true) {}
    status(const status& other)
        : failure_(other.failure_ ? new (std::nothrow) barelink::error(*other.failure_) : nullptr),
          failed_(other.failed_) {}
    status(status&& other) noexcept
        : failure_(std::exchange(other.failure_, nullptr)), failed_(std::exchange(other.failed_, false)) {}
    /// Returns nothing: nvcc takes an assignment's value for a call's that is ignored, and warns.
    void operator=(status other) noexcept {
        std::swap(failure_, other.failure_);
        std::swap(failed_, other.failed_);
    }
    ~status() { delete failure_; }

    [[nodiscard]] explicit operator bool() const noexcept { return !failed_; }
    void value() const {
        if (failed_) detail::raise(error());
    }
    /// Becomes `next`, unless it is a failure already: the first of several is the one to report.
    void keep_first(status next) noexcept {
        if (failed_) return;
        std::swap(failure_, next.failure_);
        std::swap(failed_, next.failed_);
    }
    /// The error; requires failure.
    [[nodiscard]] barelink::error error() const {
        if (failure_) return *failure_;
        return {errc::out_of_memory, "an operation failed and there was no memory left to say how"};
    }

private:
    barelink::error* failure_ = nullptr;
    bool failed_ = false;
};

BARELINK_END_NAMESPACE
