// Two reports compared: one machine twice is never a tax, a slow row is found and only there, and what cannot be compared is
// refused by name.
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/tax_compare.hpp>

#include <measure/statistics_noise.hpp>
#include <support/catch.hpp>

namespace tax_comparison_test {

using namespace barelink;
using statistics_noise::normal_numbers;
using statistics_noise::quantity;

/// What a made-up machine is like. A row's figures are slower by its `slow`: 0.12 is 12 %.
struct machine_speed {
    std::array<double, 5> slow{};
    int runs = 10;
    double between = 0.01;
};

tax_report empty_report(const std::string& name) {
    tax_report report;
    report.name = name;
    report.taken = "2026-03-01T10:00:00Z";
    report.subject = {
        "NVIDIA H100 80GB HBM3", 8, "580.95.05", "13.0", "on", "off", "unknown", "", "a CPU", "none", false};
    report.clock_ns = 25;
    report.processes = 10;
    return report;
}

tax_series& add_series(tax_report& report, const std::string& id, tax_row row, tax_unit unit, bool headline,
                       std::vector<tax_run> runs) {
    tax_series series;
    series.id = id;
    series.row = row;
    series.what = "what " + id + " is";
    series.method = "a method";
    series.unit = unit;
    series.headline = headline;
    series.runs = std::move(runs);
    report.series.push_back(std::move(series));
    return report.series.back();
}

/// A report of a machine: two headline links, the others one headline each, and some that are only shown.
tax_report a_report(const std::string& name, const machine_speed& speed, std::uint64_t seed) {
    tax_report report = empty_report(name);
    normal_numbers noise(seed);
    const auto rate = [&](const char* id, tax_row row, double gb_s, bool headline) {
        quantity q;
        q.typical = gb_s * (1 - speed.slow[static_cast<std::size_t>(row)]);
        q.runs = speed.runs;
        q.between = speed.between;
        q.samples = 9;
        add_series(report, id, row, tax_unit::gb_s, headline, statistics_noise::measure(q, noise)).block = 3;
    };
    rate("host_link/h2d/gpu:0", tax_row::host_link, 55.3, true);
    rate("host_link/d2h/gpu:0", tax_row::host_link, 55.1, true);
    rate("host_link/both/gpu:0", tax_row::host_link, 86, false);
    rate("memory/hbm_read/gpu:0", tax_row::memory, 2900, true);
    rate("memory/dram/numa:0", tax_row::memory, 250, false);
    rate("inference/14GB/kv10/graph", tax_row::inference, 2500, true);
    rate("inference/14GB/kv10/plain", tax_row::inference, 2300, false);
    rate("nvlink/gpu:0-gpu:1", tax_row::nvlink, 395, true);
    quantity step;
    step.typical = 400 / (1 - speed.slow[static_cast<std::size_t>(tax_row::latency)]);
    step.runs = speed.runs;
    step.between = speed.between;
    step.samples = 400;
    step.within = 0.005;
    step.spikes = 0.02;
    step.spike_size = 0.02;
    add_series(report, "latency/step", tax_row::latency, tax_unit::us, true, statistics_noise::measure(step, noise))
        .block = 20;
    return report;
}

/// Every process measured exactly this.
std::vector<tax_run> exactly(double value, int runs = 3, std::size_t samples = 4) {
    return std::vector<tax_run>(static_cast<std::size_t>(runs), tax_run{std::vector<double>(samples, value)});
}

const tax_row_result& row_of(const tax_comparison& c, tax_row row) {
    return c.rows[static_cast<std::size_t>(row)];
}

const tax_line* find_line(const tax_comparison& c, const std::string& id, tax_statistic statistic) {
    for (const tax_line& line : c.lines)
        if (line.id == id && line.statistic == statistic) return &line;
    return nullptr;
}

tax_compare_options quick() {
    tax_compare_options options;
    options.resamples = 300; // the code of 10,000, faster
    return options;
}

bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST_CASE("One machine measured twice is never a tax") {
    int no_tax = 0, inconclusive = 0;
    for (std::uint64_t seed = 0; seed < 120; ++seed) {
        const tax_report a = a_report("A", {}, 2 * seed), b = a_report("B", {}, 2 * seed + 1);
        const auto made = compare(a, b, quick());
        REQUIRE(made);
        for (const tax_line& line : made->lines) {
            INFO(seed << " " << line.id << " " << line.kept.low << ".." << line.kept.high);
            REQUIRE(line.verdict != tax_verdict::tax);
            REQUIRE(line.verdict != tax_verdict::faster);
            REQUIRE((line.verdict != tax_verdict::inconclusive || line.more_runs > 0));
        }
        for (const tax_row_result& row : made->rows) {
            REQUIRE(row.shown);
            REQUIRE((row.verdict == tax_verdict::no_tax || row.verdict == tax_verdict::inconclusive));
            no_tax += row.verdict == tax_verdict::no_tax;
            inconclusive += row.verdict == tax_verdict::inconclusive;
        }
    }
    // One report against itself: the ratio is 1, and no surer than of two reports, for the sides are drawn independently.
    const tax_report a = a_report("A", {}, 1);
    const auto itself = compare(a, a, quick());
    REQUIRE(itself);
    for (const tax_line& line : itself->lines) {
        if (line.verdict == tax_verdict::not_measured) continue;
        CHECK(line.ratio.mid == 1);
        CHECK(line.ratio.low < 0.999);
        CHECK(line.ratio.high > 1.001);
    }
    // Ten processes that differ by 1 % tell most rows apart from a tax of 2 %.
    INFO(no_tax << " no tax, " << inconclusive << " inconclusive");
    CHECK(no_tax > 480); // of 600
}

TEST_CASE("Machines that differ by chance alone are seldom a tax, however loud and however many series") {
    // Noise of 10 % and the margin nearly nothing: every claim of a tax is by chance. Thirty headline series in a report.
    int taxed = 0, comparisons = 300;
    tax_compare_options options = quick();
    options.rate_margin = 1e-9;
    for (int i = 0; i < comparisons; ++i) {
        tax_report a = empty_report("A"), b = empty_report("B");
        normal_numbers noise(77, static_cast<std::uint64_t>(i));
        quantity loud;
        loud.between = 0.1;
        loud.samples = 1;
        for (int s = 0; s < 30; ++s)
            for (tax_report* report : {&a, &b})
                add_series(*report, "host_link/" + std::to_string(s), tax_row::host_link, tax_unit::gb_s, true,
                           statistics_noise::measure(loud, noise));
        options.resamples = 100;
        const auto made = compare(a, b, options);
        REQUIRE(made);
        taxed += row_of(*made, tax_row::host_link).verdict == tax_verdict::tax;
    }
    INFO(taxed << " of " << comparisons);
    CHECK(taxed <= comparisons / 20 + 11); // 5 %, and three standard deviations
    CHECK(taxed > 0);                      // the limit is used, not avoided
}

TEST_CASE("A row that is 12 % slower is found, and no other") {
    for (const tax_row slow : tax_rows)
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            machine_speed slower;
            slower.slow[static_cast<std::size_t>(slow)] = 0.12;
            const auto made =
                compare(a_report("A", {}, 1000 + 2 * seed), a_report("B", slower, 1001 + 2 * seed), quick());
            REQUIRE(made);
            for (const tax_row_result& row : made->rows) {
                INFO(to_string(slow) << " is slow, seed " << seed << ", row " << to_string(row.claim.row));
                REQUIRE((row.verdict == tax_verdict::tax) == (row.claim.row == slow));
                REQUIRE(row.verdict != tax_verdict::faster);
            }
            const tax_line& worst = made->lines[*row_of(*made, slow).shown];
            INFO(worst.id << " " << worst.kept.low << ".." << worst.kept.high);
            REQUIRE(worst.kept.low > 0.84);
            REQUIRE(worst.kept.high < 0.92);
        }
}

TEST_CASE("B that is faster is said to be") {
    machine_speed faster;
    faster.slow.fill(-0.1);
    const auto made = compare(a_report("A", {}, 5), a_report("B", faster, 6), quick());
    REQUIRE(made);
    for (const tax_row_result& row : made->rows) CHECK(row.verdict == tax_verdict::faster);
}

TEST_CASE("Lines hold what was measured") {
    tax_report a = empty_report("A"), b = empty_report("B");
    add_series(a, "host_link/h2d", tax_row::host_link, tax_unit::gb_s, true, exactly(50));
    add_series(b, "host_link/h2d", tax_row::host_link, tax_unit::gb_s, true, exactly(45, 5));
    add_series(a, "latency/step", tax_row::latency, tax_unit::us, true, exactly(100, 3, 400));
    add_series(b, "latency/step", tax_row::latency, tax_unit::us, true, exactly(125, 3, 400)).method = "another";
    const auto made = compare(a, b, quick());
    REQUIRE(made);
    REQUIRE(made->lines.size() == 4);
    const tax_line& link = made->lines[0];
    CHECK(link.id == "host_link/h2d");
    CHECK(link.what == "what host_link/h2d is");
    CHECK(link.statistic == tax_statistic::rate);
    CHECK(link.headline);
    CHECK(link.level == 0.98);
    CHECK(link.a == 50);
    CHECK(link.b == 45);
    CHECK(link.ratio == tax_interval{0.9, 0.9, 0.9});
    CHECK(link.kept == link.ratio);
    CHECK_FALSE(link.added_us);
    CHECK_FALSE(link.noise);
    CHECK(link.margin == 0.02);
    CHECK(link.verdict == tax_verdict::tax);
    CHECK(link.runs_a == 3);
    CHECK(link.runs_b == 5);
    CHECK(link.samples_b == 20);

    const tax_line& p50 = made->lines[1];
    CHECK(p50.statistic == tax_statistic::p50);
    CHECK_FALSE(p50.headline);
    CHECK(p50.level == 0.90);
    CHECK(p50.ratio.mid == Approx(1.25));
    CHECK(p50.kept.mid == Approx(0.8));
    CHECK(p50.margin == 0.02);
    CHECK(says(p50.note, "different methods"));
    const tax_line& p99 = made->lines[2];
    CHECK(p99.statistic == tax_statistic::p99);
    CHECK(p99.headline);
    CHECK(p99.margin == 0.05);
    CHECK(p99.verdict == tax_verdict::tax);
    REQUIRE(p99.added_us);
    CHECK(p99.added_us->mid == Approx(25));
    CHECK(says(p99.note, "few samples: 1200 of the 10000"));
    const tax_line& rare = made->lines[3];
    CHECK(rare.statistic == tax_statistic::p99_9);
    CHECK(rare.verdict == tax_verdict::not_measured);
    CHECK(says(rare.note, "n too small: 400 samples in a process, P99.9 needs 3688"));
    CHECK(rare.a == 0);

    CHECK(made->a.name == "A");
    CHECK(made->b.processes == 10);
    CHECK(says(made->method, "300 resamples"));
    CHECK(compare(a, b, quick()).value() == *made); // the same every time
}

TEST_CASE("P99 begins at 368 samples in a process") {
    for (const std::size_t n : {std::size_t{367}, std::size_t{368}}) {
        tax_report a = empty_report("A"), b = empty_report("B");
        add_series(a, "latency/step", tax_row::latency, tax_unit::us, true, exactly(100, 3, 5000));
        add_series(b, "latency/step", tax_row::latency, tax_unit::us, true, exactly(100, 3, 5000));
        b.series[0].runs[1].samples.resize(n);
        const auto made = compare(a, b, quick());
        REQUIRE(made);
        const tax_line* p99 = find_line(*made, "latency/step", tax_statistic::p99);
        REQUIRE(p99);
        CHECK((p99->verdict == tax_verdict::not_measured) == (n == 367));
        CHECK((row_of(*made, tax_row::latency).verdict == tax_verdict::not_measured) == (n == 367));
        if (n == 367) CHECK(says(row_of(*made, tax_row::latency).why, "n too small: 367"));
        CHECK(find_line(*made, "latency/step", tax_statistic::p50)->verdict == tax_verdict::no_tax);
    }
}

TEST_CASE("A control pair gives the noise floor, and holds a tax to it") {
    machine_speed slower;
    slower.slow[0] = 0.12;
    const tax_report a = a_report("A", {}, 31), again = a_report("A again", {}, 32), b = a_report("B", slower, 33);
    const auto made = compare(a, b, quick(), tax_control_pair{a, again});
    REQUIRE(made);
    for (const tax_line& line : made->lines) {
        if (line.verdict == tax_verdict::not_measured) continue;
        REQUIRE(line.noise);
        CHECK(line.noise->low < line.noise->mid);
        CHECK(line.noise->mid == Approx(1).margin(0.02));
    }
    CHECK(row_of(*made, tax_row::host_link).verdict == tax_verdict::tax);

    machine_speed drifted; // A itself was 20 % slower the other day
    drifted.slow[0] = 0.20;
    const tax_report other_day = a_report("A the other day", drifted, 34);
    const auto doubtful = compare(a, b, quick(), tax_control_pair{a, other_day});
    REQUIRE(doubtful);
    CHECK(row_of(*doubtful, tax_row::host_link).verdict == tax_verdict::inconclusive);
    CHECK(says(doubtful->lines[*row_of(*doubtful, tax_row::host_link).shown].note, "two reports of A"));

    tax_report elsewhere = again;
    elsewhere.subject.gpu = "NVIDIA A100";
    const auto refused = compare(a, b, quick(), tax_control_pair{a, elsewhere});
    REQUIRE_FALSE(refused);
    CHECK(says(refused.error().what(), "control pair"));
}

TEST_CASE("The gate refuses what is not alike, by name") {
    const tax_report a = a_report("metal", {}, 1);
    struct change {
        std::string tax_subject::*fact;
        const char* named;
    };
    for (const change& c : {change{&tax_subject::gpu, "GPU model"}, change{&tax_subject::driver, "driver"},
                            change{&tax_subject::cuda, "CUDA"}, change{&tax_subject::ecc, "ECC"},
                            change{&tax_subject::mig, "MIG"}, change{&tax_subject::power_cap, "power cap"}}) {
        tax_report reference = a, b = a_report("guest", {}, 2);
        reference.subject.power_cap = "700 W";
        b.subject.power_cap = "700 W";
        b.subject.*c.fact = "something else";
        const auto refused = compare(reference, b, quick());
        INFO(c.named);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code() == errc::invalid_argument);
        CHECK(says(refused.error().what(), c.named));
        CHECK(says(refused.error().what(), "something else"));
        CHECK(says(refused.error().what(), "metal and guest"));

        tax_compare_options options = quick();
        options.anyway = true;
        const auto made = compare(reference, b, options);
        REQUIRE(made);
        REQUIRE(made->watermark.size() == 1);
        CHECK(says(made->watermark[0], c.named));
        b.subject.*c.fact = "unknown"; // which is no difference
        const auto unknown = compare(reference, b, quick());
        REQUIRE(unknown);
        CHECK(unknown->watermark.empty());
        REQUIRE_FALSE(unknown->cautions.empty());
        CHECK(says(unknown->cautions.back(), c.named));
    }
    tax_report simulated = a_report("a simulation", {}, 3);
    simulated.subject.simulated = true;
    const auto refused = compare(a, simulated, quick());
    REQUIRE_FALSE(refused);
    CHECK(says(refused.error().what(), "simulated"));
    const auto both = compare(simulated, simulated, quick());
    REQUIRE(both);
    CHECK(both->simulated);
    CHECK(both->watermark.empty());
}

TEST_CASE("The title claims one host only where both say so") {
    tax_report a = a_report("A", {}, 1), b = a_report("B", {}, 2);
    CHECK(compare(a, b, quick())->title == "gap between two machines"); // both unknown
    a.subject.host = b.subject.host = "d1gest";
    CHECK(compare(a, b, quick())->one_host);
    CHECK_FALSE(says(compare(a, b, quick())->title, "two machines"));
    b.subject.host = "another";
    CHECK_FALSE(compare(a, b, quick())->one_host);
    b.subject.gpus = 4;
    CHECK(says(compare(a, b, quick())->cautions.front(), "A has 8 GPUs, B has 4"));
}

TEST_CASE("Money comes from the decode proxy alone, as an interval") {
    tax_compare_options options = quick();
    options.monthly_bill = 100000;
    tax_report a = empty_report("A"), b = empty_report("B");
    add_series(a, "inference/14GB", tax_row::inference, tax_unit::gb_s, true, exactly(2000));
    add_series(b, "inference/14GB", tax_row::inference, tax_unit::gb_s, true, exactly(1700));
    const auto exact = compare(a, b, options);
    REQUIRE(exact);
    REQUIRE(exact->money);
    CHECK(exact->money->lost.mid == Approx(0.15));
    CHECK(exact->money->more.mid == Approx(17647.06)); // TAX.md: 15 % lost needs 17.6 % more
    CHECK(exact->money->from == "inference/14GB");

    // As times of steps it is the same: 1/0.85 longer.
    a.series[0].unit = b.series[0].unit = tax_unit::us;
    a.series[0].runs = exactly(850);
    b.series[0].runs = exactly(1000);
    const auto timed = compare(a, b, options);
    REQUIRE(timed);
    REQUIRE(timed->money);
    CHECK(timed->money->more.mid == Approx(17647.06));

    machine_speed slower;
    slower.slow[static_cast<std::size_t>(tax_row::inference)] = 0.15;
    const auto noisy = compare(a_report("A", {}, 8), a_report("B", slower, 9), options);
    REQUIRE(noisy);
    REQUIRE(noisy->money);
    CHECK(noisy->money->more.low > 14000);
    CHECK(noisy->money->more.high < 21000);
    CHECK(noisy->money->more.low < noisy->money->more.mid);
    CHECK(noisy->money->more.mid < noisy->money->more.high);
    CHECK(noisy->money->level == 0.98);

    machine_speed faster;
    faster.slow[static_cast<std::size_t>(tax_row::inference)] = -0.1;
    CHECK(compare(a_report("A", {}, 8), a_report("B", faster, 9), options)->money->more.high < 0);

    // The other rows cost nothing that a bill could be told.
    machine_speed links;
    links.slow = {0.2, 0.2, 0, 0.2, 0.2};
    CHECK(compare(a_report("A", {}, 8), a_report("B", links, 9), options)->money->more.high < 3000);
    CHECK_FALSE(compare(a_report("A", {}, 8), a_report("B", links, 9), quick())->money); // no bill

    b.series.clear();
    b.absent.push_back({tax_row::inference, "", "no kernels"});
    const auto without = compare(a, b, options);
    REQUIRE(without);
    CHECK_FALSE(without->money);
    CHECK_FALSE(without->no_money.empty());
    tax_report one = a_report("A", {}, 8), single = a_report("B", {}, 9);
    for (tax_series& series : single.series) series.runs.resize(1);
    const auto unsure = compare(one, single, options);
    REQUIRE(unsure);
    CHECK_FALSE(unsure->money);
    for (const tax_row_result& row : unsure->rows) CHECK(row.verdict == tax_verdict::inconclusive);
    CHECK(says(unsure->lines[0].note, "one process"));
    CHECK(unsure->lines[0].more_runs > 0);
}

TEST_CASE("What a machine cannot give is not measured, and says why") {
    tax_report a = a_report("A", {}, 1), b = a_report("B", {}, 2);
    const auto without_nvlink = [](tax_report& report) {
        std::erase_if(report.series, [](const tax_series& s) { return s.row == tax_row::nvlink; });
    };
    without_nvlink(b);
    b.absent.push_back({tax_row::nvlink, "", "one GPU"});
    const auto made = compare(a, b, quick());
    REQUIRE(made);
    const tax_row_result& nvlink = row_of(*made, tax_row::nvlink);
    CHECK(nvlink.verdict == tax_verdict::not_measured);
    CHECK(nvlink.why == "B: one GPU");
    CHECK(nvlink.against_claim == tax_against_claim::not_measured);
    CHECK_FALSE(nvlink.shown);
    REQUIRE(nvlink.lines.size() == 1);
    CHECK(made->lines[nvlink.lines[0]].note == "only in A");
    CHECK(made->lines[nvlink.lines[0]].verdict == tax_verdict::not_measured);
    CHECK(row_of(*made, tax_row::memory).verdict == tax_verdict::no_tax);

    without_nvlink(a);
    a.absent.push_back({tax_row::nvlink, "", "one GPU"});
    CHECK(row_of(*compare(a, b, quick()), tax_row::nvlink).why == "one GPU");
    a.absent[0].why = "no peer access";
    CHECK(row_of(*compare(a, b, quick()), tax_row::nvlink).why == "A: no peer access; B: one GPU");
    a.absent.clear();
    b.absent.clear();
    CHECK_FALSE(row_of(*compare(a, b, quick()), tax_row::nvlink).why.empty());

    tax_report nothing = empty_report("B");
    for (const tax_row row : tax_rows) nothing.absent.push_back({row, "", "the GPUs are simulated"});
    const auto all = compare(a, nothing, quick());
    REQUIRE(all);
    for (const tax_row_result& row : all->rows) CHECK(row.verdict == tax_verdict::not_measured);
    CHECK(row_of(*all, tax_row::memory).note.empty());
}

TEST_CASE("Rows are held against the article's claim") {
    machine_speed slower;
    slower.slow = {0.13, 0, 0.22, 0.4, 0.1};
    const auto made = compare(a_report("A", {}, 41), a_report("B", slower, 42), quick());
    REQUIRE(made);
    CHECK(row_of(*made, tax_row::host_link).against_claim == tax_against_claim::allowed); // 10 to 15 % lost
    CHECK(row_of(*made, tax_row::memory).against_claim == tax_against_claim::less);
    CHECK(row_of(*made, tax_row::inference).against_claim == tax_against_claim::allowed);
    CHECK(row_of(*made, tax_row::nvlink).against_claim == tax_against_claim::more);
    CHECK(row_of(*made, tax_row::latency).against_claim == tax_against_claim::less); // 44 us of 3 to 8 ms
    CHECK(claim_of(tax_row::host_link).low == Approx(0.848).margin(0.001));
    CHECK(claim_of(tax_row::memory).high == Approx(0.896).margin(0.001));

    tax_report a = empty_report("A"), b = empty_report("B");
    add_series(a, "latency/step", tax_row::latency, tax_unit::us, true, exactly(10000, 3, 400));
    add_series(b, "latency/step", tax_row::latency, tax_unit::us, true, exactly(15000, 3, 400));
    CHECK(row_of(*compare(a, b, quick()), tax_row::latency).against_claim == tax_against_claim::allowed);
    b.series[0].runs = exactly(19000, 3, 400);
    CHECK(row_of(*compare(a, b, quick()), tax_row::latency).against_claim == tax_against_claim::more);
}

finding a_finding(const char* id, severity level, const char* object = "", const char* evidence = "read") {
    finding f;
    f.id = id;
    f.level = level;
    f.object = object;
    f.evidence = evidence;
    return f;
}

TEST_CASE("Findings that differ stand beside the row they may explain") {
    machine_speed slower;
    slower.slow[static_cast<std::size_t>(tax_row::nvlink)] = 0.12;
    slower.slow[static_cast<std::size_t>(tax_row::memory)] = 0.12;
    tax_report a = a_report("A", {}, 51), b = a_report("B", slower, 52);
    a.findings = {a_finding("CPU-01", severity::warn),
                  a_finding("P2P-02", severity::ok, "gpu:0 -> gpu:1"),
                  a_finding("GPU-02", severity::warn),
                  a_finding("VRT-03", severity::ok),
                  a_finding("VRT-01", severity::info, "", "none"),
                  a_finding("XYZ-01", severity::fail)};
    b.findings = {a_finding("CPU-01", severity::ok), a_finding("P2P-02", severity::fail, "gpu:0 -> gpu:1"),
                  a_finding("GPU-02", severity::warn), a_finding("VRT-03", severity::unknown),
                  a_finding("VRT-01", severity::info, "", "KVM")};
    b.subject.hypervisor = "KVM";
    const auto made = compare(a, b, quick());
    REQUIRE(made);
    const tax_row_result& nvlink = row_of(*made, tax_row::nvlink);
    REQUIRE(nvlink.only_b.size() == 1);
    CHECK(nvlink.only_b[0].id == "P2P-02");
    CHECK(nvlink.only_a.empty());
    CHECK_FALSE(nvlink.unexplained);
    const tax_row_result& latency = row_of(*made, tax_row::latency);
    REQUIRE(latency.only_a.size() == 2); // the governor, and which hypervisor; both GPUs' ECC is alike
    CHECK(latency.only_a[0].id == "CPU-01");
    CHECK(latency.only_a[1].id == "VRT-01");
    REQUIRE(latency.only_b.size() == 1);
    CHECK(latency.only_b[0].evidence == "KVM");
    // A check that the table does not know is not dropped.
    REQUIRE(made->only_a.size() == 1);
    CHECK(made->only_a[0].id == "XYZ-01");

    const tax_row_result& memory = row_of(*made, tax_row::memory);
    CHECK(memory.verdict == tax_verdict::tax);
    CHECK(memory.unexplained);
    CHECK(says(memory.note, "negative control"));
    CHECK(says(made->cautions.front(), "negative control"));
    CHECK_FALSE(latency.unexplained); // there is nothing to explain
}

TEST_CASE("Reports that cannot be true are refused by the name of the series") {
    const tax_report good = a_report("A", {}, 1);
    CHECK(validate(good));
    struct fault {
        double sample;
        const char* said;
    };
    for (const fault& f :
         {fault{std::nan(""), "is not a number"}, fault{std::numeric_limits<double>::infinity(), "infinite"},
          fault{-std::numeric_limits<double>::infinity(), "infinite"}, fault{-3, "is negative"}, fault{0, "is zero"},
          fault{1e-300, "too small"}, fault{1e300, "too large"}}) {
        tax_report bad = a_report("guest", {}, 2);
        bad.series[3].runs[4].samples[5] = f.sample;
        INFO(f.said);
        for (const auto& refused : {compare(good, bad, quick()), compare(bad, good, quick()),
                                    compare(good, good, quick(), tax_control_pair{good, bad})}) {
            REQUIRE_FALSE(refused);
            const std::string what = refused.error().what();
            CHECK(refused.error().code() == errc::invalid_argument);
            CHECK(says(what, "guest: series memory/hbm_read/gpu:0: sample 6 of run 5 "));
            CHECK(says(what, f.said));
            CHECK_FALSE(says(what, "\n"));
        }
    }
    const auto said = [&](auto damage) {
        tax_report bad = good;
        damage(bad);
        const status refused = validate(bad);
        REQUIRE_FALSE(refused);
        return std::string(refused.error().what());
    };
    CHECK(says(said([](tax_report& r) { r.series[2].runs.clear(); }), "series host_link/both/gpu:0: has no runs"));
    CHECK(says(said([](tax_report& r) { r.series[2].runs[1].samples.clear(); }), "run 2 has no samples"));
    CHECK(says(said([](tax_report& r) { r.series[2].id = r.series[0].id; }),
               "two series have the id host_link/h2d/gpu:0"));
    CHECK(says(said([](tax_report& r) { r.series[2].id.clear(); }), "no id"));
    CHECK(says(said([](tax_report& r) { r.series[2].block = 0; }), "blocks of 0"));
    CHECK(says(said([](tax_report& r) { r.series[2].bytes_per_token = -1; }), "bytes per token"));
    CHECK(says(said([](tax_report& r) { r.series[2].unit = static_cast<tax_unit>(9); }), "no known unit"));
    CHECK(says(said([](tax_report& r) { r.series[2].row = static_cast<tax_row>(9); }), "no row"));
    CHECK(says(said([](tax_report& r) { r.series.clear(); }), "no series"));
    CHECK(says(said([](tax_report& r) { r.clock_ns = std::nan(""); }), "clock"));
    CHECK(says(said([](tax_report& r) { r.processes = -1; }), "processes"));

    const auto mismatch = [&](auto damage) {
        tax_report other = good;
        damage(other.series[1]);
        const auto refused = compare(good, other, quick());
        REQUIRE_FALSE(refused);
        return std::string(refused.error().what());
    };
    CHECK(says(mismatch([](tax_series& s) { s.unit = tax_unit::us; }), "series host_link/d2h/gpu:0 is in GB/s in one"));
    CHECK(says(mismatch([](tax_series& s) { s.row = tax_row::nvlink; }), "belongs to row host_link in one"));
    CHECK(says(mismatch([](tax_series& s) { s.bytes_per_token = 7; }), "bytes for a token"));

    for (const double margin : {0.0, -0.1, 0.5, std::nan("")}) {
        tax_compare_options options = quick();
        options.tail_margin = margin;
        CHECK_FALSE(compare(good, good, options));
    }
    tax_compare_options options = quick();
    options.monthly_bill = -1;
    CHECK_FALSE(compare(good, good, options));
}

} // namespace tax_comparison_test
