// What a widely read article claims that a layer between code and hardware costs, as data: a claim for each row.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <barelink/measure/tax_report.hpp>

BARELINK_BEGIN_NAMESPACE

/// What a claim's numbers count.
enum class tax_claim_kind : std::uint8_t {
    kept,    ///< the share of A's performance that B keeps: 0.85 is a loss of 15 %
    added_us ///< microseconds that B adds to A's
};

struct tax_claim {
    tax_row row = tax_row::host_link;
    const char* title = ""; ///< the row's, for people
    const char* text = "";  ///< the claim, in the article's figures
    tax_claim_kind kind = tax_claim_kind::kept;
    double low = 0;
    double high = 0;
    const char* remark = ""; ///< what public measurements say of the figures; empty: nothing
};

/// The article's table, in the order of `tax_rows`.
inline constexpr std::array<tax_claim, 5> tax_claims{{
    {tax_row::host_link, "Host link", "PCIe Gen 5: 256 against 217 to 230 GB/s", tax_claim_kind::kept, 217.0 / 256,
     230.0 / 256, "a Gen 5 x16 link is 63 GB/s in a direction: 256 GB/s is four links"},
    {tax_row::memory, "Memory bandwidth", "3.35 against 2.8 to 3.0 TB/s", tax_claim_kind::kept, 2.8 / 3.35, 3.0 / 3.35,
     "an H100 of 3.35 TB/s on paper measures 2.90 on bare metal too"},
    {tax_row::inference, "Inference", "100 % against 70 to 85 %", tax_claim_kind::kept, 0.70, 0.85, ""},
    {tax_row::nvlink, "NVLink", "20 to 25 % lost", tax_claim_kind::kept, 0.75, 0.80, ""},
    {tax_row::latency, "Latency", "P99 3 to 8 ms longer", tax_claim_kind::added_us, 3000, 8000, ""},
}};

[[nodiscard]] constexpr const tax_claim& claim_of(tax_row row) noexcept {
    return tax_claims[static_cast<std::size_t>(row)];
}

BARELINK_END_NAMESPACE
