// What one machine measured: the five rows of the tax report, their samples by process, and what doctor found.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <barelink/measure/finding.hpp>

BARELINK_BEGIN_NAMESPACE

enum class tax_row : std::uint8_t { host_link, memory, inference, nvlink, latency };
inline constexpr std::array<tax_row, 5> tax_rows{tax_row::host_link, tax_row::memory, tax_row::inference,
                                                 tax_row::nvlink, tax_row::latency};

/// As in JSON and in the ids of series: `host_link`, `memory`, `inference`, `nvlink`, `latency`.
[[nodiscard]] constexpr const char* to_string(tax_row row) noexcept {
    switch (row) {
    case tax_row::host_link: return "host_link";
    case tax_row::memory: return "memory";
    case tax_row::inference: return "inference";
    case tax_row::nvlink: return "nvlink";
    case tax_row::latency: return "latency";
    }
    return "row";
}

/// What must be alike before two reports say anything about each other, and what tells whether it was one host.
struct tax_subject {
    std::string gpu; ///< model, as CUDA names it
    int gpus = 0;
    std::string driver;    ///< such as `580.95.05`
    std::string cuda;      ///< runtime the tool was built with, such as `13.0`
    std::string ecc;       ///< `on`, `off`, `unknown`
    std::string mig;       ///< `on`, `off`, `unknown`
    std::string power_cap; ///< `unknown`: nothing but NVIDIA's own tools say
    std::string host;      ///< a digest that two reports of one host share; empty when unknown
    std::string cpu;
    std::string hypervisor; ///< as doctor's VRT-01 says; `none`
    bool simulated = false; ///< the GPUs were the simulator's: no figure is a measurement

    friend bool operator==(const tax_subject&, const tax_subject&) = default;
};

enum class tax_unit : std::uint8_t {
    gb_s, ///< larger is better; a sample is one measurement's rate
    us    ///< smaller is better; a sample is one step's or one copy's time, in the order they happened
};

/// What one process measured: samples in order. Those of one block (`tax_series::block` of them) may depend on each other.
struct tax_run {
    std::vector<double> samples;

    friend bool operator==(const tax_run&, const tax_run&) = default;
};

/// One quantity, measured in every process.
struct tax_series {
    std::string
        id; ///< unique in a report and equal between reports: `host_link/h2d/gpu:0`, `inference/14GB/kv10/graph`
    tax_row row = tax_row::host_link;
    std::string what;   ///< for people: `pinned memory to gpu:0, alone`
    std::string method; ///< sizes, counts, what was timed by what
    tax_unit unit = tax_unit::gb_s;
    /// The row's verdict rests on these; the others are shown.
    bool headline = false;
    std::uint32_t block = 1; ///< samples that belong together for the bootstrap
    /// Bytes that a token of the decode proxy reads, 0 elsewhere: tokens a second are bandwidth over this.
    double bytes_per_token = 0;
    std::vector<tax_run> runs;

    friend bool operator==(const tax_series&, const tax_series&) = default;
};

/// Why a row, or one quantity of it, has no figure.
struct tax_absence {
    tax_row row = tax_row::host_link;
    std::string what; ///< empty: the whole row
    std::string why;

    friend bool operator==(const tax_absence&, const tax_absence&) = default;
};

/// A plain value, written and read as JSON by the tool.
struct tax_report {
    static constexpr int version = 1;

    std::string name;  ///< what the user calls the machine
    std::string taken; ///< date and time, ISO 8601 with zone
    std::string tool;  ///< version of what measured
    tax_subject subject;
    double clock_ns = 0; ///< what reading the clock costs
    int processes = 0;
    std::vector<tax_series> series;
    std::vector<tax_absence> absent;
    std::vector<finding> findings;

    friend bool operator==(const tax_report&, const tax_report&) = default;
};

BARELINK_END_NAMESPACE
