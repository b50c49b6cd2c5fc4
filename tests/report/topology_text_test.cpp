#include <string>

#include <barelink/machine/builtin.hpp>
#include <barelink/report/bandwidth_matrix.hpp>
#include <barelink/report/topology_text.hpp>

#include "../support/catch.hpp"
#include "../support/generated_machines.hpp"

using namespace barelink;

namespace {

/// The line that begins with this text after its branches, spaces run together.
std::string line_of(const std::string& text, const std::string& start) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        std::string line;
        for (const char c : text.substr(at, end - at))
            if (c > ' ' || (c == ' ' && !line.empty() && line.back() != ' ')) line += c;
        if (line.rfind(start, 0) == 0) return line;
        at = end + 1;
    }
    return "no line " + start;
}

} // namespace

TEST_CASE("the tree shows every node below what carries it, with its link", "[report]") {
    const std::string text = topology_text(builtin::dgx1_v100());
    CHECK(text.rfind("dgx1-v100: 2 packages, 2 NUMA nodes, 8 GPUs\nrates in GB/s, all assumed\n", 0) == 0);
    CHECK(line_of(text, "gpu:5") == "gpu:5 Tesla V100-SXM2-16GB, 16 GiB 1 0000:1e:00.0 pcie 12.4 13.1 assumed");
    CHECK(line_of(text, "switch:0") == "switch:0 2 GPUs share the link above 0 0000:11:00.0 pcie 12.4 13.1 assumed");
    CHECK(line_of(text, "numa:1") == "numa:1 256 GiB dram 50 62 assumed");
    CHECK(line_of(text, "cpu") == "cpu 20 20 assumed package:0-package:1");
    CHECK(text.find("\u2502     \u251c\u2500 gpu:0") != std::string::npos);
    CHECK(text.find("\u2514\u2500 gpu:7") != std::string::npos);
    CHECK(line_of(text, "nvlink 48.5").find("gpu:0-gpu:3, gpu:0-gpu:4") != std::string::npos);
}

TEST_CASE("all GPUs on a switch are one line", "[report]") {
    const std::string text = topology_text(builtin::hgx_h100_8());
    CHECK(line_of(text, "nvlink") == "nvlink 395 395 assumed gpu:0 to gpu:7, each to the nvswitch");
    CHECK(text.find("share the link") == std::string::npos);
}

TEST_CASE("what differs is told apart: notes, evidence, virtual machines, GPUs without CUDA", "[report]") {
    machine m = builtin::azure_nd_h100_v5_vm();
    m.note("gpu:1", "its link count was overstated");
    m.links[0].source = evidence::measured;
    m.nodes[m.gpu(gpu_id{2}).value].cuda = false;
    m.connect();
    const std::string text = topology_text(m);
    CHECK(text.find("in a virtual machine") != std::string::npos);
    CHECK(text.find("1 measured, 26 assumed") != std::string::npos);
    CHECK(text.find("  gpu:1: its link count was overstated\n") != std::string::npos);
    CHECK(line_of(text, "gpu:2").find("not driven by CUDA") != std::string::npos);
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(topology_text(m, {true}).find("\x1b[1mazure-nd-h100-v5-vm\x1b[0m") == 0);
}

TEST_CASE("every node is in the tree once, on any machine", "[report]") {
    const auto seed = GENERATE(range(0u, 30u));
    const machine m = generated::random_machine(seed);
    const std::string text = topology_text(m);
    for (const node& each : m.nodes)
        if (each.kind != node_kind::nvswitch) CHECK(line_of(text, each.id() + " ") != "no line " + each.id() + " ");
}

TEST_CASE("the matrix holds the rates of the paths", "[report]") {
    const machine m = builtin::dgx1_v100();
    const std::string text = bandwidth_matrix(m);
    CHECK(line_of(text, "gpu:0") == "gpu:0 13.1 13.1 . 24.3 24.3 48.5 48.5 - - -");
    CHECK(line_of(text, "numa:1") == "numa:1 - . 12.4 12.4 12.4 12.4 12.4 12.4 12.4 12.4");
    CHECK(text.find("granted") == std::string::npos);
}

TEST_CASE("the matrix marks paths that no plan uses", "[report]") {
    machine m = builtin::gb200_4();
    const node_index a = m.gpu(gpu_id{0}), b = m.gpu(gpu_id{1}), c = m.gpu(gpu_id{2});
    m.set_delivery(a, b, true, delivery::unproved);
    m.set_delivery(b, a, true, delivery::failed);
    m.set_delivery(a, c, false, delivery::unproved);
    const std::string text = bandwidth_matrix(m);
    CHECK(line_of(text, "gpu:0") == "gpu:0 148 133 . 792? 792x 792");
    CHECK(line_of(text, "gpu:1") == "gpu:1 148 133 792x . 792 792");
    CHECK(text.find("--trust-unproved") != std::string::npos);
    CHECK(text.find("failed its delivery test") != std::string::npos);
}

TEST_CASE("a rack is counted instead of tabulated", "[report]") {
    const std::string text = bandwidth_matrix(generated::nvl72());
    CHECK(line_of(text, "gpu gpu") == "gpu gpu 792 5112");
    CHECK(line_of(text, "numa gpu 189") == "numa gpu 189 72");
    CHECK(text.size() < 1000);
}
