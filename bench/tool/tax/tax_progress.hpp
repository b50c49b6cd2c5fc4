// A bar for people at a terminal: how much of what was planned is done, and how long it may still take.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include <unistd.h>

#include <fmt/format.h>

#include "output.hpp"
#include "tax_clock.hpp"

namespace tool {

/// Draws on standard error twice a second from a thread of its own, and wipes it out at the end. In a pipe it does nothing and
/// has no thread. While it lives nobody else writes to standard error.
class tax_progress {
public:
    /// `most_s`: when everything is over at the latest.
    tax_progress(unsigned parts, double most_s) : parts_(parts), most_s_(most_s), begin_s_(tax_clock_s()) {
        if (::isatty(STDERR_FILENO) == 1) thread_ = std::thread([this] { draw_until_done(); });
    }
    tax_progress(const tax_progress&) = delete;
    tax_progress& operator=(const tax_progress&) = delete;
    ~tax_progress() {
        {
            const std::lock_guard held(gate_);
            done_ = true;
        }
        changed_.notify_all();
        if (!thread_.joinable()) return;
        thread_.join();
        std::fputs("\r\x1b[K", stderr);
    }
    /// Part `number`, from 0, begins and takes about so long.
    void begin(unsigned number, const std::string& what, double about_s) {
        const std::lock_guard held(gate_);
        number_ = number;
        what_ = what;
        about_s_ = about_s;
        part_s_ = tax_clock_s();
    }

private:
    void draw_until_done() {
        std::unique_lock held(gate_);
        while (!done_) {
            const double now = tax_clock_s();
            const double part = about_s_ > 0 ? std::min(0.95, (now - part_s_) / about_s_) : 0;
            std::fprintf(stderr, "\r\x1b[K%s", line((number_ + part) / parts_, what_, now - begin_s_, most_s_).c_str());
            changed_.wait_for(held, std::chrono::milliseconds(500));
        }
    }

public:
    /// `[######..............] process 3 of 10: 1:05, at most 9:30`
    [[nodiscard]] static std::string line(double part, const std::string& what, double spent_s, double most_s) {
        constexpr int width = 20;
        const int full = static_cast<int>(part * width + 0.5);
        std::string bar(static_cast<std::size_t>(full), '#');
        bar.resize(width, '.');
        const auto minutes = [](double s) {
            const int whole = static_cast<int>(s);
            return fmt::format("{}:{:02}", whole / 60, whole % 60);
        };
        return fmt::format("[{}] {}: {}, at most {}", bar, what, minutes(spent_s), minutes(most_s));
    }

private:
    unsigned parts_;
    double most_s_, begin_s_;
    std::mutex gate_;
    std::condition_variable changed_;
    bool done_ = false;
    unsigned number_ = 0;
    double part_s_ = 0, about_s_ = 0;
    std::string what_ = "starting";
    std::thread thread_;
};

} // namespace tool
