// Which figure to believe for a PCIe link: what was read, or what the GPU's model says. Nothing here takes a minimum
// along a path: hypervisors invent the speeds of ports, and idle links train down.
#pragma once

#include <cmath>
#include <string>

#include <barelink/machine/detail/sketch.hpp>
#include <barelink/machine/pcie.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// What a link's rate was decided to be, and why it is not what was read (empty: it is).
struct judged_link {
    double gb_s = 0;
    evidence source = evidence::assumed;
    std::string why;
};

/// A figure for people: two decimals at most.
[[nodiscard]] inline std::string figure(double value) {
    const long long hundredths = std::llround(value * 100);
    std::string digits = std::to_string(hundredths / 100);
    const long long part = hundredths % 100;
    if (part) digits += part % 10 ? (part < 10 ? ".0" : ".") + std::to_string(part) : "." + std::to_string(part / 10);
    return digits;
}

/// `working`: signals at Gen3 or above, as a link in use does. `idle`: Gen1 or Gen2, to which links train down when
/// nothing moves; no GPU server of the last ten years works at them.
enum class signalling : std::uint8_t { unknown, idle, working };

[[nodiscard]] inline signalling signalling_of(const link_reading& read) noexcept {
    if (read.generation > 0) return read.generation >= 3 ? signalling::working : signalling::idle;
    if (!(read.raw_gb_s > 0)) return signalling::unknown;
    if (read.raw_gb_s > pcie_generations[1].raw_x16_gb_s * 1.001) return signalling::working;
    // Gen3 and later code 130 bits for 128: their rates are 0.985 GB/s times a power of two, those before are not.
    constexpr double gen3_lane = 8.0 * 128 / 130 / 8;
    for (int lanes = 1; lanes <= 8; lanes *= 2)
        if (std::fabs(read.raw_gb_s - gen3_lane * lanes) < 0.005 * gen3_lane * lanes) return signalling::working;
    return signalling::idle;
}

/// What copies reach over a link that reads so; 0 when it reads nothing. Sources round raw rates differently: one
/// within half a percent of sixteen lanes is sixteen lanes.
[[nodiscard]] inline double copy_gb_s(const link_reading& read) noexcept {
    if (read.generation > 0) return pcie_copy_gb_s(read.generation, read.lanes);
    for (const pcie_generation& each : pcie_generations)
        if (std::fabs(read.raw_gb_s - each.raw_x16_gb_s) < 0.005 * each.raw_x16_gb_s) return each.copy_x16_gb_s;
    return pcie_copy_gb_s_of_raw(read.raw_gb_s);
}

[[nodiscard]] inline std::string spoken(const link_reading& read) {
    if (read.generation > 0) {
        const int known = read.generation > 6 ? 6 : read.generation;
        return figure(pcie_generations[known - 1].gt_s) + " GT/s" +
               (read.lanes > 0 ? " x" + std::to_string(read.lanes) : std::string());
    }
    return read.raw_gb_s > 0 ? figure(read.raw_gb_s) + " GB/s" : "no speed";
}

/// The link into a GPU. `model` may be nullptr.
[[nodiscard]] inline judged_link judge_gpu_link(const gpu_model* model, const link_reading& gpu,
                                                const link_reading& port, bool virtualized) {
    const signalling level = signalling_of(gpu);
    const double said = copy_gb_s(gpu);
    judged_link judged{said, evidence::read, {}};
    const auto assume = [&](double gb_s, const std::string& because) {
        judged = {gb_s, evidence::assumed,
                  "its PCIe link reads " + spoken(gpu) + because + ": " + figure(gb_s) + " GB/s assumed"};
    };
    if (level != signalling::working) {
        const int generation = model ? model->pcie_gen : 3;
        assume(pcie_copy_gb_s(generation),
               (level == signalling::idle ? ", which is an idle link's" : std::string()) +
                   (model ? ", and the GPU is Gen" : ", and the GPU is not in the table; Gen") +
                   std::to_string(generation));
    } else if (model) {
        const double able = pcie_copy_gb_s(model->pcie_gen);
        const std::string generation = "Gen" + std::to_string(model->pcie_gen);
        if (said > able * 1.01)
            assume(able, ", more than its " + generation + " carries");
        else if (said < able * 0.99 && model->form != gpu_form::card)
            assume(able, ", and this module always trains at " + generation + " x16");
        else if (said < able * 0.99 && virtualized)
            assume(able, " in a virtual machine, and the GPU is " + generation);
    }
    // The port is the other end of the same wires. Where its lanes can be told from its generation it may narrow the
    // link.
    const bool lanes_tell = model && (model->form == gpu_form::card || model->pcie_gen == 3);
    const double of_port = copy_gb_s(port);
    if (!port.known() || of_port >= judged.gb_s * 0.99) return judged;
    std::string why = "the port above it reads " + spoken(port);
    if (virtualized)
        why += ", which a hypervisor made up: ignored";
    else if (signalling_of(port) == signalling::idle)
        why += ", which is an idle link's: ignored";
    else if (!lanes_tell)
        why += ", less than this GPU always trains at: ignored";
    else {
        why += ": " + figure(of_port) + " GB/s believed";
        judged.gb_s = of_port;
        judged.source = evidence::read;
    }
    judged.why += (judged.why.empty() ? "" : "; ") + why;
    return judged;
}

/// The link above a switch, whose fastest device below moves `fastest_below` GB/s.
[[nodiscard]] inline judged_link judge_uplink(const link_reading& own, const link_reading& port, double fastest_below,
                                              bool virtualized) {
    const link_reading& read = own.known() ? own : port;
    const double said = copy_gb_s(read);
    const bool slower = said < fastest_below * 0.99;
    const bool believed = signalling_of(read) == signalling::working && !virtualized;
    if (read.known() && (believed || !slower)) return {said, evidence::read, {}};
    if (fastest_below <= 0) return {pcie_copy_gb_s(3), evidence::assumed, {}};
    const char* because = !read.known() ? ""
                          : virtualized ? ", which a hypervisor made up"
                                        : ", which is an idle link's";
    return {fastest_below, evidence::assumed,
            "its uplink reads " + spoken(read) + because + ": raised to the fastest device below, " +
                figure(fastest_below) + " GB/s"};
}

/// The link into a NIC or a disk: what it reads, else Gen3 x16.
[[nodiscard]] inline judged_link judge_device_link(const link_reading& own, const link_reading& port) {
    const link_reading& read = own.known() ? own : port;
    if (read.known()) return {copy_gb_s(read), evidence::read, {}};
    return {pcie_copy_gb_s(3), evidence::assumed, {}};
}

} // namespace detail
BARELINK_END_NAMESPACE
