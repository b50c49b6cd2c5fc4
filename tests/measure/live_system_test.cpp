// The real functions behind a view: on a folder that stands for another machine's files, and on this machine.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <unistd.h>

#include <barelink/measure/doctor.hpp>
#include <barelink/measure/live_system.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace live_system_test {

using namespace barelink;

TEST_CASE("files below a root", "[measure][doctor]") {
    const temporary_folder folder;
    namespace fs = std::filesystem;
    fs::create_directories(folder / "sys/devices/pci0000:10/0000:13:00.0");
    fs::create_directories(folder / "sys/bus/pci/devices");
    fs::create_directory_symlink("../../../devices/pci0000:10/0000:13:00.0",
                                 folder / "sys/bus/pci/devices/0000:13:00.0");
    (void)folder.file("sys/devices/pci0000:10/0000:13:00.0/vendor", std::string("0x10de\n"));
    (void)folder.file("sys/empty", std::string());
    const std::string root = fs::canonical(folder.path()).string();
    const system_view system = live_system(root.c_str());

    CHECK(*system.read("/sys/bus/pci/devices/0000:13:00.0/vendor") == "0x10de");
    CHECK(system.read("/sys/empty")->empty());
    CHECK(*system.list("/sys") == std::vector<std::string>{"bus", "devices", "empty"});
    CHECK(*system.resolve("/sys/bus/pci/devices/0000:13:00.0") == "/sys/devices/pci0000:10/0000:13:00.0");
    CHECK(system.find("/sys/empty"));
    CHECK(system.space("/sys")->total > 0);

    const auto missing = system.read("/sys/nothing");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code() == errc::not_found);
    CHECK(std::string(missing.error().what()) == "/sys/nothing is not there");
    CHECK(system.list("/sys/empty").error().code() == errc::not_found); // a file is no folder
    CHECK(system.resolve("/sys/nothing").error().code() == errc::not_found);
    CHECK_FALSE(system.find("/sys/nothing"));
    CHECK(system.space("/sys/nothing").error().code() == errc::not_found);
    CHECK(system.read("/sys").error().code() == errc::io); // a folder is no file
    if (::geteuid() != 0) {                                // nothing is denied to root
        fs::permissions(folder / "sys/empty", fs::perms::none);
        CHECK(system.read("/sys/empty").error().code() == errc::not_permitted);
    }
}

TEST_CASE("this machine, where it must answer", "[measure][doctor]") {
    const system_view system = live_system();
    ::setenv("BARELINK_TEST_VARIABLE", "a value", 1);
    CHECK(*system.environment("BARELINK_TEST_VARIABLE") == "a value");
    ::unsetenv("BARELINK_TEST_VARIABLE");
    CHECK(system.environment("BARELINK_TEST_VARIABLE").error().code() == errc::not_found);
    const auto cpus = system.allowed_cpus();
    REQUIRE(cpus);
    CHECK_FALSE(cpus->empty());
    CHECK(std::is_sorted(cpus->begin(), cpus->end()));
    CHECK(system.locked_memory());
#if defined(__x86_64__)
    REQUIRE(system.cpuid(0));
    CHECK(system.cpuid(0)->eax >= 1);
#else
    CHECK(system.cpuid(0).error().code() == errc::unsupported);
#endif
    if (const auto before = read_cpu_account(system)) {
        const auto after = read_cpu_account(system);
        REQUIRE(after);
        CHECK(after->wanted >= before->wanted);
    }
}

TEST_CASE("probes put things in order and the thread's CPUs back", "[measure][doctor]") {
    std::vector<double> ns;
    for (int i = 1000; i > 0; --i) ns.push_back(i);
    const probe_times times = detail::host::times_of(ns);
    CHECK(times.count == 1000);
    CHECK(times.mean_ns == Approx(500.5));
    CHECK(times.p50_ns == 501);
    CHECK(times.p99_ns == 991);
    CHECK(times.p999_ns == 1000);
    CHECK(times.max_ns == 1000);

    const system_view system = live_system();
    const auto cpus = *system.allowed_cpus();
    {
        const detail::host::affinity_scope mine;
        if (mine.pin(cpus.back())) CHECK(*system.allowed_cpus() == std::vector<int>{cpus.back()});
        CHECK_FALSE(mine.pin(-1));
        CHECK_FALSE(mine.pin(1 << 20));
    }
    CHECK(*system.allowed_cpus() == cpus);

    gap_times seen;
    detail::host::spin(2e6, 3, seen);
    CHECK(seen.cpus == 1);
    CHECK(seen.spun_ms >= 2);
    CHECK(seen.displaced <= seen.gaps);

    int calls = 0;
    const probe_times each = detail::host::time_each(50, [&] { ++calls; });
    CHECK(calls == static_cast<int>(each.count));
    CHECK(each.p50_ns <= each.p99_ns);
    CHECK(each.p999_ns <= each.max_ns);
}

} // namespace live_system_test
