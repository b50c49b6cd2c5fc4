// The text of doctor's findings: order, what is said in full, what is said together, width, colours.
#include <sstream>
#include <string>
#include <vector>

#include <barelink/report/doctor_text.hpp>

#include "../support/catch.hpp"

namespace doctor_text_test {

using namespace barelink;

finding made(const char* id, severity level, const char* object, const char* evidence) {
    finding f;
    f.id = id;
    f.title = "what it is";
    f.level = level;
    f.object = object;
    f.evidence = evidence;
    return f;
}

std::vector<finding> some() {
    std::vector<finding> all{made("PCI-01", severity::fail, "gpu:0", "Gen2 of Gen5 while copying"),
                             made("MEM-01", severity::warn, "", "RLIMIT_MEMLOCK is 8 MiB"),
                             made("DRV-01", severity::unknown, "", "/proc/driver is not there"),
                             made("DRV-02", severity::unknown, "gpu:1", "/proc/driver is not there"),
                             made("VRT-04", severity::unknown, "", "no CPUID"),
                             made("DRV-02", severity::unknown, "gpu:2", "/proc/driver is not there"),
                             made("VRT-01", severity::info, "", "KVM: the bit is set"),
                             made("VRT-05", severity::ok, "", "fast"),
                             made("PCI-02", severity::ok, "gpu:0", "x16 of x16"),
                             made("PCI-02", severity::ok, "gpu:1", "x16 of x16")};
    all[0].limit = "the slower of what the GPU and the port above it can";
    all[0].cost = "linear";
    all[0].remedy = "reset the GPU so that the link trains again";
    all[0].reaction = "plans go by what is measured";
    return all;
}

TEST_CASE("doctor's text: worst first, the rest shorter", "[report][doctor]") {
    CHECK(doctor_text(some()) == "1 failure, 1 warning, 4 unknown, 1 note, 3 ok\n"
                                 "\n"
                                 "FAIL  PCI-01 what it is, gpu:0\n"
                                 "      found    Gen2 of Gen5 while copying\n"
                                 "      limit    the slower of what the GPU and the port above it can\n"
                                 "      cost     linear\n"
                                 "      remedy   reset the GPU so that the link trains again\n"
                                 "      barelink plans go by what is measured\n"
                                 "\n"
                                 "WARN  MEM-01 what it is\n"
                                 "      found    RLIMIT_MEMLOCK is 8 MiB\n"
                                 "\n"
                                 "unknown: could not be judged, which is not ok\n"
                                 "      DRV-01, DRV-02 (gpu:1, gpu:2): /proc/driver is not there\n"
                                 "      VRT-04: no CPUID\n"
                                 "\n"
                                 "notes\n"
                                 "      VRT-01 what it is: KVM: the bit is set\n"
                                 "\n"
                                 "ok    VRT-05, PCI-02\n");
    CHECK(doctor_text({}) == "0 failures, 0 warnings\n\n");
}

TEST_CASE("reasons that differ by an address are told once", "[report][doctor]") {
    const std::vector<finding> all{
        made("PCI-07", severity::unknown, "gpu:0", "/sys/0000:1b:00.0/resource is not there"),
        made("PCI-07", severity::unknown, "gpu:1", "/sys/0000:1c:00.0/resource is not there"),
        made("TOP-01", severity::unknown, "gpu:0", "/sys/0000:1b:00.0 is not there")};
    const std::string said = doctor_text(all);
    CHECK(said.find("      PCI-07 (gpu:0, gpu:1): /sys/*/resource is not there\n") != std::string::npos);
    CHECK(said.find("      TOP-01 (gpu:0): /sys/0000:1b:00.0 is not there\n") != std::string::npos);
    CHECK(detail::without_addresses("0000:1b:00") == "0000:1b:00");
}

TEST_CASE("doctor's text keeps to the width", "[report][doctor]") {
    std::vector<finding> all = some();
    for (int i = 0; i < 40; ++i)
        all.push_back(made(("NUM-" + std::to_string(i)).c_str(), severity::ok, "gpu:7", "near"));
    for (const std::size_t width : {48u, 60u, 100u}) {
        std::istringstream lines(doctor_text(all, {}, width));
        for (std::string line; std::getline(lines, line);) {
            INFO(line);
            CHECK(line.size() <= width);
            CHECK((line.empty() || line.back() != ' '));
        }
    }
    CHECK(detail::wrapped("aa bb cc", 2, 0, 5) == "aa bb\n  cc\n");
    CHECK(detail::wrapped("incompressible bb", 2, 0, 5) == "incompressible\n  bb\n");
    CHECK(detail::wrapped("\u00e4\u00e4 bb", 0, 0, 5) == "\u00e4\u00e4 bb\n"); // columns, not bytes
}

TEST_CASE("doctor's text has colours only when asked", "[report][doctor]") {
    CHECK(doctor_text(some()).find('\x1b') == std::string::npos);
    const std::string painted = doctor_text(some(), text_style{true});
    CHECK(painted.find("\x1b[31m\x1b[1mFAIL") != std::string::npos);
    std::string plain;
    for (std::size_t at = 0; at < painted.size(); ++at) {
        if (painted[at] == '\x1b')
            at = painted.find('m', at);
        else
            plain += painted[at];
    }
    CHECK(plain == doctor_text(some()));
}

} // namespace doctor_text_test
