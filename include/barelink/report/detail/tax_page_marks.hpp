// Marks that several sections of the tax page use: verdicts and severities. Private to the report layer.
#pragma once

#include <fmt/format.h>

#include <barelink/measure/tax_comparison.hpp>
#include <barelink/report/detail/html.hpp>
#include <barelink/report/detail/tax_words.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// CSS class of a verdict's chip and bar.
[[nodiscard]] constexpr const char* verdict_class(tax_verdict verdict) noexcept {
    switch (verdict) {
    case tax_verdict::no_tax: return "v-none";
    case tax_verdict::tax: return "v-tax";
    case tax_verdict::faster: return "v-faster";
    case tax_verdict::inconclusive: return "v-open";
    case tax_verdict::not_measured: return "v-gone";
    }
    return "v-gone";
}

inline void write_chip(html_writer& page, tax_verdict verdict, double margin) {
    page.element("span", verdict_text(verdict, margin), fmt::format("class=\"chip {}\"", verdict_class(verdict)));
}
inline void write_level(html_writer& page, severity level) {
    page.element("span", to_string(level), fmt::format("class=\"level l-{}\"", to_string(level)));
}

} // namespace detail
BARELINK_END_NAMESPACE
