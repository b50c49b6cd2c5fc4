// What a calibration belongs to, where it is kept, and what is taken from it.
#include <barelink/measure/adopt_rates.hpp>
#include <barelink/measure/calibration_cache.hpp>
#include <barelink/measure/hardware_key.hpp>

#include <cstdlib>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

#include <barelink/machine/builtin.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace calibration_cache_test {

using namespace barelink;

[[nodiscard]] inline hardware_key key_of(const machine& m, const char* driver = "580.95.05") {
    return hardware_key_of(m, driver, "13000");
}
/// With rates that no built-in machine has.
[[nodiscard]] inline machine calibrated(machine m) {
    const hardware_key hardware = key_of(m);
    for (barelink::link& each : m.links) {
        each.gb_s_ab *= 0.9;
        each.gb_s_ba *= 0.8;
        each.source = evidence::measured;
    }
    m.costs.submit_us = 3;
    m.measured_on = hardware.text();
    m.connect();
    return m;
}
[[nodiscard]] inline unsigned mode_of(const std::string& path) {
    struct stat about {};
    return ::lstat(path.c_str(), &about) == 0 ? about.st_mode & 0777u : 0u;
}

} // namespace calibration_cache_test

using namespace calibration_cache_test;

TEST_CASE("a hardware key says what differs, and finds its file again after a driver update") {
    const machine m = builtin::hgx_h100_8();
    const hardware_key key = key_of(m);
    CHECK(key.facts.size() == 8 + 2 + 4);
    CHECK(parse_hardware_key(key.text()) == key);
    CHECK(difference(key, key).empty());
    CHECK(difference(key, key_of(m, "590.1")) == "driver was 580.95.05, is 590.1");
    CHECK(key.digest() == key_of(m, "590.1").digest());
    CHECK(key.digest().size() == 16);

    machine other = m;
    other.nodes[other.gpu(gpu_id{3}).value].name = "NVIDIA H200";
    CHECK(key_of(other).digest() != key.digest());
    CHECK(difference(key, key_of(other)).find("is 10de:2330 NVIDIA H200") != std::string::npos);
    machine moved = m;
    moved.nodes[moved.gpu(gpu_id{0}).value].pci.bus ^= 0x80;
    CHECK(difference(key, key_of(moved)).find(" is gone") != std::string::npos);
    machine more = m;
    more.add(node{node_kind::memory, 2, {}, numa_id{2}, {}, 0, 0, 0, false});
    CHECK(difference(key, key_of(more)) == "numa was 0,1, is 0,1,2");
    // CUDA shows the GPUs in another order: still the same hardware.
    machine shuffled = m;
    std::swap(shuffled.nodes[shuffled.gpu(gpu_id{0}).value].index, shuffled.nodes[shuffled.gpu(gpu_id{7}).value].index);
    CHECK(key_of(shuffled) == key);
    machine rude = m;
    rude.nodes[rude.gpu(gpu_id{0}).value].name = "two\nlines: x";
    CHECK(parse_hardware_key(key_of(rude).text()) == key_of(rude));
}

TEST_CASE("rates are taken over by what nodes are, and from nothing else's calibration") {
    const machine assumed = builtin::hgx_h100_8(), known = calibrated(assumed);
    machine live = assumed;
    std::swap(live.nodes[live.gpu(gpu_id{0}).value].index, live.nodes[live.gpu(gpu_id{7}).value].index);
    live.name = "here";
    live.connect();
    REQUIRE(adopt_rates(live, known, key_of(live)));
    CHECK(live.name == "here");
    CHECK(live.links == known.links);
    CHECK(live.costs.submit_us == 3);
    CHECK(live.measured_on == known.measured_on);
    CHECK(live.path(live.memory(numa_id{0}), live.gpu(gpu_id{7}))->gb_s ==
          known.path(known.memory(numa_id{0}), known.gpu(gpu_id{0}))->gb_s);

    const auto refused = [](const machine& here, const machine& from, const hardware_key& key, const char* why) {
        machine m = here;
        const status taken = adopt_rates(m, from, key);
        REQUIRE_FALSE(taken);
        INFO(taken.error().what());
        CHECK(taken.error().code() == errc::invalid_argument);
        CHECK(std::string(taken.error().what()).find(why) != std::string::npos);
        CHECK(m == here);
    };
    refused(assumed, known, key_of(assumed, "590.1"), "driver was 580.95.05, is 590.1");
    refused(assumed, assumed, key_of(assumed), "does not say");
    refused(builtin::gh200(), known, key_of(builtin::gh200()), "cpu package:0 was");
    machine fewer = known;
    fewer.links.pop_back();
    refused(assumed, fewer, key_of(assumed), "34 links, this machine 35");
    machine other = known;
    other.links.back().kind = link_kind::c2c;
    refused(assumed, other, key_of(assumed), "it has no link nvlink:gpu:7-nvswitch");
}

TEST_CASE("one path is made slower by links of its own, or not at all") {
    machine mesh = builtin::dgx1_v100();
    const node_index a = mesh.gpu(gpu_id{0}), b = mesh.gpu(gpu_id{1});
    const double back = mesh.path(b, a)->gb_s;
    REQUIRE(apply_rate(mesh, a, b, 7));
    CHECK(mesh.path(a, b)->gb_s == 7);
    CHECK(mesh.path(b, a)->gb_s == back);
    REQUIRE(apply_rate(mesh, a, b, 9)); // slower already
    CHECK(mesh.path(a, b)->gb_s == 7);

    machine switched = builtin::hgx_h100_8();
    const machine before = switched;
    const status refused = apply_rate(switched, switched.gpu(gpu_id{0}), switched.gpu(gpu_id{1}), 100);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == errc::unsupported);
    CHECK(switched == before);
    CHECK(apply_rate(switched, switched.gpu(gpu_id{0}), switched.memory(numa_id{0}), 1000));
    machine cards = builtin::rtx4090_pcie_8();
    cards.links.pop_back();
    cards.connect();
    CHECK(apply_rate(cards, cards.memory(numa_id{0}), cards.memory(numa_id{1}), 1).error().code() == errc::not_found);
}

TEST_CASE("calibrations are kept for the user alone, and not through links") {
    const temporary_folder folder;
    const std::string cache = folder.path() + "/cache";
    const hardware_key key = key_of(builtin::gh200());
    ::setenv("XDG_CACHE_HOME", cache.c_str(), 1);
    const std::string path = calibration_file(key);
    CHECK(path == cache + "/barelink/" + key.digest() + ".xml");
    CHECK(read_calibration(path).error().code() == errc::not_found);
    REQUIRE(write_calibration(path, "rates"));
    CHECK(read_calibration(path).value() == "rates");
    CHECK(mode_of(path) == 0600);
    CHECK(mode_of(cache + "/barelink") == 0700);
    REQUIRE(write_calibration(path, "other rates"));
    CHECK(read_calibration(path).value() == "other rates");

    // A link in the place of the file is not read, and replaced when written: what it points to stays.
    const std::string elsewhere = folder.path() + "/elsewhere";
    REQUIRE(detail::write_file(elsewhere.c_str(), "precious"));
    ::unlink(path.c_str());
    REQUIRE(::symlink(elsewhere.c_str(), path.c_str()) == 0);
    CHECK(read_calibration(path).error().code() == errc::not_permitted);
    REQUIRE(write_calibration(path, "rates"));
    CHECK(detail::read_file(elsewhere.c_str(), 100).value() == "precious");
    CHECK(read_calibration(path).value() == "rates");

    REQUIRE(::chmod((cache + "/barelink").c_str(), 0777) == 0);
    CHECK(read_calibration(path).error().code() == errc::not_permitted);
    CHECK(write_calibration(path, "rates").error().code() == errc::not_permitted);
    REQUIRE(::chmod((cache + "/barelink").c_str(), 0700) == 0);
    REQUIRE(::rename((cache + "/barelink").c_str(), (folder.path() + "/away").c_str()) == 0);
    REQUIRE(::symlink((folder.path() + "/away").c_str(), (cache + "/barelink").c_str()) == 0);
    CHECK(write_calibration(path, "rates").error().code() == errc::not_permitted);

    ::setenv("XDG_CACHE_HOME", "relative", 1);
    const char* home = std::getenv("HOME");
    if (home && *home == '/') CHECK(calibration_folder() == std::string(home) + "/.cache/barelink");
    ::unsetenv("XDG_CACHE_HOME");
}
