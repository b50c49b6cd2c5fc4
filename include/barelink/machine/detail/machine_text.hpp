// The parts of a machine as words: what a machine file stores in its info attributes. Doubles in their shortest form
// that reads back as the same bits; text percent-coded, so that no XML parser changes it.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include <barelink/machine/machine.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Writes words with single spaces between.
class word_writer {
public:
    word_writer& word(std::string_view plain) {
        if (!words_.empty()) words_ += ' ';
        words_ += plain;
        return *this;
    }
    template <class Number>
    requires std::is_arithmetic_v<Number> word_writer& number(Number value) {
        char digits[32];
        const std::to_chars_result end = std::to_chars(digits, digits + sizeof digits, value);
        return word({digits, static_cast<std::size_t>(end.ptr - digits)});
    }
    /// Any bytes; empty text is a lone `-`.
    word_writer& coded(std::string_view bytes) {
        constexpr const char* hex = "0123456789abcdef";
        std::string safe;
        for (const char c : bytes) {
            const auto byte = static_cast<unsigned char>(c);
            if (byte > 0x20 && byte < 0x7f && c != '%' && c != '&' && c != '<' && c != '>' && c != '"' && c != '\'')
                safe += c;
            else
                (safe += '%') += {hex[byte >> 4], hex[byte & 0xf]};
        }
        return word(safe.empty() ? "-" : safe == "-" ? "%2d" : std::string_view(safe));
    }
    [[nodiscard]] std::string take() && { return std::move(words_); }

private:
    std::string words_;
};

/// Reads them back. Every call fails after the first failure; `done` is success with nothing left over.
class word_reader {
public:
    explicit word_reader(std::string_view words) : rest_(words) {}

    [[nodiscard]] std::string_view word() {
        const std::size_t end = rest_.find(' ');
        const std::string_view taken = rest_.substr(0, end);
        rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
        good_ = good_ && !taken.empty();
        return taken;
    }
    template <class Number>
    [[nodiscard]] Number number() {
        const std::string_view digits = word();
        Number value{};
        const std::from_chars_result end = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        good_ = good_ && end.ec == std::errc() && end.ptr == digits.data() + digits.size();
        return good_ ? value : Number{};
    }
    /// A rate, a time or a size: finite and not negative.
    [[nodiscard]] double amount() {
        const double value = number<double>();
        good_ = good_ && value >= 0 && value < 1e18;
        return good_ ? value : 0;
    }
    [[nodiscard]] bool flag() {
        const int value = number<int>();
        good_ = good_ && (value == 0 || value == 1);
        return value == 1;
    }
    /// A value of an enumeration whose last one is `last`, by its `to_string`.
    template <class Enum>
    [[nodiscard]] Enum named(Enum last) {
        const std::string_view name = word();
        for (int value = 0; value <= static_cast<int>(last); ++value)
            if (name == to_string(static_cast<Enum>(value))) return static_cast<Enum>(value);
        good_ = false;
        return Enum{};
    }
    [[nodiscard]] std::string coded() {
        const std::string_view safe = word();
        std::string bytes;
        if (safe == "-") return bytes;
        for (std::size_t at = 0; at < safe.size(); ++at) {
            unsigned byte = 0;
            if (safe[at] != '%') {
                bytes += safe[at];
                continue;
            }
            const std::from_chars_result end =
                at + 2 < safe.size() ? std::from_chars(safe.data() + at + 1, safe.data() + at + 3, byte, 16)
                                     : std::from_chars_result{safe.data(), std::errc::invalid_argument};
            good_ = good_ && end.ec == std::errc() && end.ptr == safe.data() + at + 3;
            bytes += static_cast<char>(byte);
            at += 2;
        }
        return bytes;
    }
    /// Words are left: what a newer file adds.
    [[nodiscard]] bool more() const noexcept { return good_ && !rest_.empty(); }
    [[nodiscard]] bool good() const noexcept { return good_; }
    [[nodiscard]] bool done() const noexcept { return good_ && rest_.empty(); }

private:
    std::string_view rest_;
    bool good_ = true;
};

/// `POSITION KIND INDEX NUMA PCI|- BYTES VENDOR DEVICE CUDA NAME`
[[nodiscard]] inline std::string node_words(std::size_t position, const node& n) {
    word_writer words;
    words.number(position).word(to_string(n.kind)).number(n.index).number(n.numa.value);
    words.number(int{n.pci.known}).number(n.pci.domain).number(unsigned{n.pci.bus}).number(unsigned{n.pci.device});
    words.number(unsigned{n.pci.function}).number(n.bytes).number(n.vendor).number(n.device).number(int{n.cuda});
    return std::move(words.coded(n.name)).take();
}
[[nodiscard]] inline bool read_node(std::string_view written, std::size_t& position, node& n) {
    word_reader words(written);
    position = words.number<std::size_t>();
    n.kind = words.named(node_kind::disk);
    n.index = words.number<std::int32_t>();
    n.numa = numa_id{words.number<std::int32_t>()};
    n.pci.known = words.flag();
    n.pci.domain = words.number<std::uint32_t>();
    n.pci.bus = words.number<std::uint8_t>();
    n.pci.device = words.number<std::uint8_t>();
    n.pci.function = words.number<std::uint8_t>();
    n.bytes = words.number<std::uint64_t>();
    n.vendor = words.number<std::uint16_t>();
    n.device = words.number<std::uint16_t>();
    n.cuda = words.flag();
    n.name = words.coded();
    return words.done();
}

/// `KIND A B GB_S_AB GB_S_BA LATENCY_US EVIDENCE [LOST_AB LOST_BA]`; A and B are positions of nodes.
[[nodiscard]] inline std::string link_words(const link& l) {
    word_writer words;
    words.word(to_string(l.kind)).number(l.a.value).number(l.b.value).number(l.gb_s_ab).number(l.gb_s_ba);
    words.number(l.latency_us).word(to_string(l.source));
    if (l.lost_ab != 0 || l.lost_ba != 0) words.number(l.lost_ab).number(l.lost_ba);
    return std::move(words).take();
}
[[nodiscard]] inline bool read_link(std::string_view written, std::size_t nodes, link& l) {
    word_reader words(written);
    l.kind = words.named(link_kind::c2c);
    l.a.value = words.number<std::uint32_t>();
    l.b.value = words.number<std::uint32_t>();
    l.gb_s_ab = words.amount();
    l.gb_s_ba = words.amount();
    l.latency_us = words.amount();
    l.source = words.named(evidence::measured);
    if (words.more()) {
        l.lost_ab = words.amount();
        l.lost_ba = words.amount();
    }
    return words.done() && l.lost_ab <= 1 && l.lost_ba <= 1 && l.a.value < nodes && l.b.value < nodes && l.a != l.b;
}

/// `FROM TO ALLOWED PROOF`
[[nodiscard]] inline std::string grant_words(const peer_grant& g) {
    word_writer words;
    return std::move(words.number(g.from.value).number(g.to.value).number(int{g.allowed}).word(to_string(g.proof)))
        .take();
}
[[nodiscard]] inline bool read_grant(std::string_view written, std::size_t nodes, peer_grant& g) {
    word_reader words(written);
    g.from.value = words.number<std::uint32_t>();
    g.to.value = words.number<std::uint32_t>();
    g.allowed = words.flag();
    g.proof = words.named(delivery::failed);
    return words.done() && g.from.value < nodes && g.to.value < nodes;
}

[[nodiscard]] inline std::string note_words(const machine_note& n) {
    word_writer words;
    return std::move(words.coded(n.object).coded(n.said)).take();
}
[[nodiscard]] inline bool read_note(std::string_view written, machine_note& n) {
    word_reader words(written);
    n.object = words.coded();
    n.said = words.coded();
    return words.done();
}

/// The members of `copy_costs` in their order. Files written before the last five keep the priors.
[[nodiscard]] inline std::string cost_words(const copy_costs& c) {
    word_writer words;
    words.number(c.submit_us).number(c.engine_us).number(c.event_us).number(c.wake_us).number(c.host_copy_gb_s);
    words.number(c.host_threads).number(c.driver_staging_bytes).number(c.driver_staging_us);
    words.word(to_string(c.source)).number(c.chain_read_us).number(c.chain_posted_us).number(c.chain_nvlink_us);
    words.number(c.chain_nvlink_pull_us);
    words.number(c.driver_staging_start_us);
    return std::move(words).take();
}
[[nodiscard]] inline bool read_costs(std::string_view written, copy_costs& c) {
    word_reader words(written);
    c.submit_us = words.amount();
    c.engine_us = words.amount();
    c.event_us = words.amount();
    c.wake_us = words.amount();
    c.host_copy_gb_s = words.amount();
    c.host_threads = words.number<int>();
    c.driver_staging_bytes = words.amount();
    c.driver_staging_us = words.amount();
    c.source = words.named(evidence::measured);
    if (words.more()) {
        c.chain_read_us = words.amount();
        c.chain_posted_us = words.amount();
        c.chain_nvlink_us = words.amount();
        c.chain_nvlink_pull_us = words.amount();
        c.driver_staging_start_us = words.amount();
    }
    return words.done() && c.host_threads >= 0;
}

/// The members of `block_costs` in their order. Files written before there were any keep the priors.
[[nodiscard]] inline std::string cost_words(const block_costs& c) {
    word_writer words;
    words.number(c.batch_us).number(c.batch_block_us).number(c.row_us).number(c.kernel_us).number(c.kernel_block_us);
    words.number(c.kernel_multiprocessor_gb_s).number(c.kernel_link_share);
    words.number(c.device_gb_s).number(c.host_block_us).word(to_string(c.source));
    if (c.measured != 0) words.number(c.measured);
    return std::move(words).take();
}
[[nodiscard]] inline bool read_costs(std::string_view written, block_costs& c) {
    word_reader words(written);
    for (double* each : {&c.batch_us, &c.batch_block_us, &c.row_us, &c.kernel_us, &c.kernel_block_us,
                         &c.kernel_multiprocessor_gb_s, &c.kernel_link_share, &c.device_gb_s, &c.host_block_us})
        *each = words.amount();
    c.source = words.named(evidence::measured);
    if (words.more()) c.measured = words.number<std::uint32_t>();
    return words.done() && c.measured < 2 * block_costs::bit(block_cost::host_block_us);
}

} // namespace detail
BARELINK_END_NAMESPACE
