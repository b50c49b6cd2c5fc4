// How long reading a machine takes next to hwloc's own loading of the same file: the budget is twice as long.
//
//     read_machine_bench FILE.xml... [--rounds N]
//
// Both are timed in turn, so that a busy machine slows both; medians are compared. hwloc loads with the same I/O
// filters. Two ratios are printed: to hwloc_topology_load alone, which finds the file already parsed, and to all that
// hwloc needs to load a file, which decides the exit status.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <hwloc.h>

#include <barelink/machine/hwloc.hpp>

#include "timing.hpp"

namespace {

/// Loads with hwloc alone; returns the microseconds of hwloc_topology_load, negative when it fails.
double load(const char* path, double& whole_us) {
    const clock_type::time_point start = clock_type::now();
    hwloc_topology_t topology = nullptr;
    if (hwloc_topology_init(&topology) != 0) return -1;
    hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    hwloc_topology_set_type_filter(topology, HWLOC_OBJ_BRIDGE, HWLOC_TYPE_FILTER_KEEP_ALL);
    if (hwloc_topology_set_xml(topology, path) != 0) return -1;
    const clock_type::time_point loading = clock_type::now();
    const bool loaded = hwloc_topology_load(topology) == 0;
    const double us = us_since(loading);
    hwloc_topology_destroy(topology);
    whole_us = us_since(start);
    return loaded ? us : -1;
}

bool compare(const char* path, int rounds) {
    std::vector<double> load_us, whole_us, read_us;
    for (int round = 0; round < rounds + 3; ++round) {
        double whole = 0;
        const double loaded = load(path, whole);
        const clock_type::time_point start = clock_type::now();
        const barelink::result<barelink::machine> read = barelink::read_hwloc_xml(path);
        const double us = us_since(start);
        if (loaded < 0 || !read) {
            std::fprintf(stderr, "%s\n", read ? "hwloc cannot load the file" : read.error().what());
            return false;
        }
        if (round < 3) continue; // caches and the first plugin load
        load_us.push_back(loaded);
        whole_us.push_back(whole);
        read_us.push_back(us);
    }
    const double loading = median(load_us), whole = median(whole_us), reading = median(read_us);
    std::printf("%-60s hwloc_topology_load %6.0f us, with init, set_xml and destroy %6.0f us, read_hwloc_xml %6.0f us: "
                "%.2f and "
                "%.2f times\n",
                path, loading, whole, reading, reading / loading, reading / whole);
    return reading <= 2 * whole;
}

} // namespace

int main(int count, char** arguments) {
    int rounds = 51;
    std::vector<const char*> files;
    for (int a = 1; a < count; ++a) {
        if (std::strcmp(arguments[a], "--rounds") == 0 && a + 1 < count)
            rounds = std::max(1, std::atoi(arguments[++a]));
        else
            files.push_back(arguments[a]);
    }
    if (files.empty()) {
        std::fprintf(stderr, "usage: read_machine_bench FILE.xml... [--rounds N]\n");
        return 2;
    }
    bool within = true;
    for (const char* file : files) within = compare(file, rounds) && within;
    return within ? 0 : 1;
}
