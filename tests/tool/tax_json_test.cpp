// Tax reports as files: what is written is read again, what is wrong is refused in one line; pieces of processes put together;
// the decode proxy's memory.
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <tool/tax/decode_layout.hpp>
#include <tool/tax/tax_json.hpp>
#include <tool/tax/tax_measure.hpp>

#include "../support/catch.hpp"
#include "../support/temporary_folder.hpp"

namespace tax_json_test {

using barelink::severity;
using barelink::tax_report;
using barelink::tax_row;
using barelink::tax_unit;

tax_report sample() {
    tax_report r;
    r.name = "metal \"A\"\n\t\u2192";
    r.taken = "2026-01-02T03:04:05Z";
    r.tool = "barelink 0.1.0";
    r.subject = {"NVIDIA H100 80GB HBM3", 8,      "580.95.05", "13.0", "on", "off", "unknown",
                 "0123456789abcdef",      "EPYC", "KVM",       true};
    r.clock_ns = 21.375;
    r.processes = 2;
    r.series.push_back({"host_link/h2d/gpu:0",
                        tax_row::host_link,
                        "up",
                        "16 copies",
                        tax_unit::gb_s,
                        true,
                        1,
                        0,
                        {{{55.123, 55.2, 54.9}}, {{55.001}}}});
    r.series.push_back(
        {"latency/step", tax_row::latency, "step", "closed loop", tax_unit::us, false, 100, 0, {{{412.125}}}});
    r.series.push_back({"inference/14GB/kv10/graph",
                        tax_row::inference,
                        "proxy",
                        "",
                        tax_unit::gb_s,
                        true,
                        10,
                        1.4e10,
                        {{{2871.5, 1e-3, 1.0 / 3}}}});
    r.absent.push_back({tax_row::nvlink, "", "one GPU: there is no pair"});
    r.absent.push_back({tax_row::memory, "numa:1 memory", "too little of it is free"});
    r.findings.push_back({"VRT-05", "clock", severity::fail, "numa:1", "hpet", "150 ns", "1.5 us", "use tsc", "none"});
    r.findings.push_back({"P2P-01", "matrix", severity::unknown, "", "", "", "", "", ""});
    return r;
}

std::string written() {
    return tool::tax_json(sample()).value();
}

/// What reading says of the text in which `from`, which must be there, became `to`.
std::string refusal(const std::string& from, const std::string& to) {
    std::string text = written();
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
    const auto read = tool::parse_tax_report(text, "b.json");
    REQUIRE(!read);
    CHECK(read.error().code() == barelink::errc::parse);
    const std::string said = read.error().what();
    CHECK(said.rfind("'b.json' is no usable tax report: ", 0) == 0);
    CHECK(said.find('\n') == std::string::npos);
    return said.substr(std::string("'b.json' is no usable tax report: ").size());
}

tax_report piece_of(const std::string& id, tax_row row, double sample) {
    tax_report piece;
    piece.subject.gpu = "GPU";
    piece.processes = 1;
    piece.clock_ns = sample;
    piece.series.push_back({id, row, "what of " + id, "", tax_unit::gb_s, false, 1, 0, {{{sample}}}});
    return piece;
}

TEST_CASE("a tax report survives writing and reading", "[tool]") {
    const std::string text = written();
    INFO(text);
    CHECK(tool::parse_tax_report(text, "a.json").value() == sample());
    CHECK(text.rfind("{\n \"barelink_tax_report\": 1,\n", 0) == 0);
    CHECK(text.find("[[55.123,55.2,54.9],[55.001]]") != std::string::npos); // compact
    const temporary_folder folder;
    CHECK(tool::read_tax_report(folder.file("a.json", text)).value() == sample());

    // What a newer tool may add is left aside.
    std::string more = text;
    more.replace(more.find("\"taken\""), 7, "\"new\": [{}], \"taken\"");
    CHECK(tool::parse_tax_report(more, "a.json").value() == sample());

    tax_report wild = sample();
    wild.name = "\xff\xfe";
    CHECK(tool::parse_tax_report(tool::tax_json(wild).value(), "a.json"));
}

TEST_CASE("ten processes of ten thousand steps stay below 3 MB with three such series", "[tool]") {
    tax_report r = sample();
    r.processes = 10;
    r.series.clear();
    for (int s = 0; s < 3; ++s) {
        barelink::tax_series series{
            "latency/" + std::to_string(s), tax_row::latency, "", "", tax_unit::us, true, 100, 0, {}};
        for (int run = 0; run < 10; ++run) {
            series.runs.emplace_back();
            for (int i = 0; i < 10'000; ++i)
                series.runs.back().samples.push_back(tool::rounded_sample(400 + i * 0.0371234));
        }
        r.series.push_back(series);
    }
    CHECK(tool::tax_json(r).value().size() < 3'000'000);
}

TEST_CASE("a report that was cut short, or is none, is refused", "[tool]") {
    const std::string text = written();
    for (const std::size_t bytes :
         {std::size_t{0}, std::size_t{1}, text.size() / 3, text.size() / 2, text.size() - 2}) {
        const auto read = tool::parse_tax_report(text.substr(0, bytes), "b.json");
        REQUIRE(!read);
        INFO(read.error().what());
        CHECK(std::string(read.error().what())
                  .find("'b.json' is no usable tax report: it ends early, after " + std::to_string(bytes) + " bytes") ==
              0);
    }
    const auto why = [](const std::string& content) {
        const auto read = tool::parse_tax_report(content, "b.json");
        REQUIRE(!read);
        return std::string(read.error().what());
    };
    CHECK(why("<html>").find("no JSON from byte 1 on") != std::string::npos);
    CHECK(why(text + "{").find("no JSON from byte") != std::string::npos);
    for (const char* other : {"[]", "{}", "3", "null", "{\"bench\": \"copies\"}"})
        CHECK(why(other).find("no field 'barelink_tax_report'") != std::string::npos);

    const temporary_folder folder;
    const auto absent = tool::read_tax_report(folder / "absent.json");
    REQUIRE(!absent);
    CHECK(absent.error().code() == barelink::errc::io);
    CHECK(std::string(absent.error().what()).find("absent.json': No such file") != std::string::npos);
    CHECK(tool::read_tax_report(folder.path()).error().code() == barelink::errc::io); // a folder
}

TEST_CASE("a report with a field that is missing or wrong is refused by the field's name", "[tool]") {
    CHECK(refusal("\"barelink_tax_report\": 1", "\"barelink_tax_report\": 2").find("it has version 2") == 0);
    CHECK(refusal("\"barelink_tax_report\": 1", "\"barelink_tax_report\": \"1\"") ==
          "'barelink_tax_report' is not a whole number");
    CHECK(refusal("\"taken\"", "\"token\"") == "it lacks 'taken'");
    CHECK(refusal("\"driver\":\"580.95.05\"", "\"driver\":580") == "'subject.driver' is not text");
    CHECK(refusal("\"ecc\":\"on\",", "") == "it lacks 'subject.ecc'");
    CHECK(refusal("\"simulated\":true", "\"simulated\":\"no\"") == "'subject.simulated' is not true or false");
    CHECK(refusal("\"gpus\":8", "\"gpus\":-8").find("'subject.gpus' is not between 0 and") == 0);
    CHECK(refusal("\"gpus\":8", "\"gpus\":18446744073709551615").find("'subject.gpus' is not between 0 and") == 0);
    CHECK(refusal("\"processes\": 2", "\"processes\": 1") ==
          "'series[0].runs' has more runs than 'processes' says: 2 of 1");
    CHECK(refusal("\"processes\": 2", "\"processes\": 2.5") == "'processes' is not a whole number");
    CHECK(refusal("\"clock_ns\": 21.375", "\"clock_ns\": null").find("'clock_ns' has no value") == 0);
    CHECK(refusal("\"row\":\"latency\"", "\"row\":\"lateness\"").find("'series[1].row' is 'lateness'") == 0);
    CHECK(refusal("\"unit\":\"us\"", "\"unit\":\"ms\"").find("'series[1].unit' is 'ms'") == 0);
    CHECK(refusal("\"severity\":\"fail\"", "\"severity\":3") == "'findings[0].severity' is not text");
    CHECK(refusal("\"id\":\"latency/step\"", "\"id\":\"host_link/h2d/gpu:0\"") ==
          "'series[1].id' is there twice: 'host_link/h2d/gpu:0'");
    CHECK(refusal("\"id\":\"latency/step\"", "\"id\":\"\"") == "'series[1].id' is empty");
    CHECK(refusal("\"block\":100", "\"block\":0").find("'series[1].block' is not between 1") == 0);
    CHECK(refusal("[55.001]", "[]").find("'series[0].runs[1]' has no samples") == 0);
    CHECK(refusal("[[412.125]]", "[]") == "'series[1].runs' is empty");
    CHECK(refusal("[[412.125]]", "{}") == "'series[1].runs' is not an array");
}

TEST_CASE("a report with a figure that no measurement gives is refused", "[tool]") {
    CHECK(refusal("55.2", "-55.2") == "'series[0].runs[0][1]' is negative: -55.2");
    CHECK(refusal("55.2", "0").find("'series[0].runs[0][1]' is 0") == 0);
    CHECK(refusal("55.2", "null").find("'series[0].runs[0][1]' has no value") == 0);
    CHECK(refusal("55.2", "\"NaN\"") == "'series[0].runs[0][1]' is not a number");
    CHECK(refusal("55.2", "1e999") == "a number in it is not finite");
    CHECK(refusal("55.2", "NaN").find("it is no JSON from byte") == 0);
    CHECK(refusal("\"bytes_per_token\":14000000000.0", "\"bytes_per_token\":-1") ==
          "'series[2].bytes_per_token' is negative: -1");

    for (const double wrong :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), -1.0, 0.0}) {
        tax_report r = sample();
        r.series[0].runs[0].samples[2] = wrong;
        const auto made = tool::tax_json(r);
        REQUIRE(!made);
        CHECK(made.error().code() == barelink::errc::invalid_argument);
        CHECK(std::string(made.error().what()).find("'series[0].runs[0][2]'") != std::string::npos);
    }
}

TEST_CASE("what processes wrote becomes one report", "[tool]") {
    tool::tax_merger merger;
    tax_report absent = piece_of("memory/hbm", tax_row::memory, 9);
    absent.series.clear();
    absent.absent = {{tax_row::memory, "", "no kernels"}, {tax_row::latency, "what of latency/x", "timed out"}};
    absent.findings = {{"TAX-02", "", severity::warn, "a", "first", "", "", "", ""}};
    merger.add({piece_of("latency/x", tax_row::latency, 3), piece_of("host_link/x", tax_row::host_link, 1), absent});
    absent.findings[0].evidence = "second";
    merger.add({piece_of("host_link/x", tax_row::host_link, 2), absent});
    merger.add({});
    const tax_report whole = merger.take();
    CHECK(whole.processes == 2);
    CHECK(whole.clock_ns == 3); // of 1, 2, 3, 9, 9
    CHECK(whole.subject.gpu == "GPU");
    REQUIRE(whole.series.size() == 2);
    CHECK(whole.series[0].id == "host_link/x");
    CHECK(whole.series[0].runs == std::vector<barelink::tax_run>{{{1}}, {{2}}});
    CHECK(whole.series[1].runs.size() == 1);
    CHECK(whole.absent == std::vector<barelink::tax_absence>{{tax_row::memory, "", "no kernels"}});
    REQUIRE(whole.findings.size() == 1);
    CHECK(whole.findings[0].evidence == "first");
    CHECK(tool::tax_json(whole));
}

TEST_CASE("a process that ended early is told by the row that it wrote nothing about", "[tool]") {
    CHECK(tool::rows_in_turn(0).front() == tax_row::host_link);
    CHECK(tool::rows_in_turn(7) == std::vector<tax_row>{tax_row::inference, tax_row::nvlink, tax_row::latency,
                                                        tax_row::host_link, tax_row::memory});
    CHECK(tool::rows_left(7, {tax_row::nvlink}, 1) ==
          std::vector<tax_row>{tax_row::latency, tax_row::host_link, tax_row::memory});
    CHECK(tool::rows_left(0, {}, 5).empty());

    const std::string one = written();
    CHECK(tool::reports_in(one + one + one.substr(0, 100), "p").size() == 2);
    CHECK(tool::reports_in("", "p").empty());
}

TEST_CASE("samples are taken after three windows that agree", "[tool]") {
    const std::vector<double> windows = {10, 20, 30, 30.1, 30.2, 50, 51, 52, 53};
    std::size_t at = 0;
    const auto found = tool::settled_samples({1e9, 3, 3}, [&] { return windows[at++]; });
    CHECK(found.settled);
    CHECK(found.values == std::vector<double>{50, 51, 52});
    at = 0;
    const auto hurried = tool::settled_samples({0, 2, 9}, [&] { return windows[at++]; });
    CHECK(!hurried.settled);
    CHECK(hurried.values == std::vector<double>{30.1, 30.2});
    CHECK(tool::rounded_sample(1e-9) == 1e-3); // what was measured is never 0
}

TEST_CASE("the decode proxy reads every byte of its memory once a step", "[tool]") {
    for (const unsigned percent : {0u, 10u, 50u, 100u}) {
        const auto layout = tool::decode_layout::make(48 * barelink::MiB + 5, 7, percent);
        REQUIRE(layout.layers.size() == 7);
        CHECK(layout.bytes <= 48 * barelink::MiB);
        CHECK(layout.bytes > 48 * barelink::MiB - 7 * tool::decode_unit_bytes);
        std::uint64_t at = 0, kv = 0;
        for (std::size_t l = 0; l < layout.layers.size(); ++l) {
            const tool::decode_layer& layer = layout.layers[l];
            CHECK(layer.weights_at == at);
            CHECK(layer.kv_at == at + layer.weights_bytes);
            CHECK(layer.weights_bytes % tool::decode_unit_bytes == 0);
            at += layer.weights_bytes + layer.kv_bytes;
            kv += layer.kv_bytes;
            // Every block once, and not in order.
            std::vector<std::uint32_t> blocks(layout.table.begin() + layer.table_at,
                                              layout.table.begin() + layer.table_at + layer.kv_blocks());
            CHECK((blocks.size() < 10 || !std::is_sorted(blocks.begin(), blocks.end())));
            std::sort(blocks.begin(), blocks.end());
            for (std::uint32_t i = 0; i < blocks.size(); ++i) CHECK(blocks[i] == i);
            CHECK(layer.kv_block_bytes == (16u << (l % 3)) * 1024);
        }
        CHECK(at == layout.bytes);
        CHECK(static_cast<double>(kv) / static_cast<double>(at) == Approx(percent / 100.0).margin(0.006));
    }
    CHECK(tool::decode_layout::make(1000, 7, 10).layers.empty());

    // What the kernels do, word by word, on the CPU.
    const auto layout = tool::decode_layout::make(2 * barelink::MiB, 3, 50);
    std::vector<std::uint32_t> memory(layout.bytes / 4);
    for (std::size_t i = 0; i < memory.size(); ++i)
        memory[i] = tool::decode_word(static_cast<std::uint32_t>(i * 4 / tool::decode_granule_bytes));
    std::uint32_t activation = tool::next_activation(0, 12345), sum = 0;
    std::vector<std::uint32_t> sums;
    for (std::size_t l = 0; l < layout.layers.size(); ++l) {
        const tool::decode_layer& layer = layout.layers[l];
        if (l > 0) activation = tool::next_activation(activation, sum);
        sum = 0;
        for (std::uint64_t i = 0; i < layer.weights_bytes / 4; ++i)
            sum += activation * memory[layer.weights_at / 4 + i];
        for (std::uint32_t b = 0; b < layer.kv_blocks(); ++b)
            for (std::uint32_t i = 0; i < layer.kv_block_bytes / 4; ++i)
                sum +=
                    activation *
                    memory[(layer.kv_at + std::uint64_t{layout.table[layer.table_at + b]} * layer.kv_block_bytes) / 4 +
                           i];
        sums.push_back(sum);
    }
    CHECK(sums == layout.expected(12345));
    CHECK(sums != layout.expected(12346));
}

} // namespace tax_json_test
