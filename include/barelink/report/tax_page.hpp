// The tax comparison as one HTML page that needs nothing else: no script, no other file, no network.
#pragma once

#include <string>

#include <barelink/measure/tax_comparison.hpp>
#include <barelink/report/detail/tax_page_writer.hpp>

BARELINK_BEGIN_NAMESPACE

/// The whole page, UTF-8, well-formed as XML too: the five rows as intervals against the article's claims, the money, what doctor found
/// on one machine only, every quantity with its method and samples, the spread of times. Light, dark and on paper by the
/// reader's settings; each drawing's figures are also in a table. `a` and `b` are the reports that were compared; samples,
/// methods and findings come from them. Names and sentences of the reports are escaped: a report is not trusted.
[[nodiscard]] inline std::string tax_page(const tax_comparison& c, const tax_report& a, const tax_report& b) {
    return detail::tax_page_writer(c, a, b).str();
}

BARELINK_END_NAMESPACE
