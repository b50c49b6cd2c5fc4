// MEM-01, MEM-02, MEM-04, MEM-05: what the system lets a process do with host memory.
#pragma once

#include <string>

#include <barelink/core/units.hpp>
#include <barelink/measure/checks/numa.hpp>
#include <barelink/measure/doctor_scene.hpp>

BARELINK_BEGIN_NAMESPACE

/// MEM-01. CUDA's own pinning is not counted against the limit; NICs, io_uring and mlock are.
[[nodiscard]] inline findings check_locked_memory(const doctor_scene& scene) {
    const result<std::uint64_t> limit = scene.system.locked_memory();
    if (!limit) return {unknown_finding("MEM-01", limit.error().what())};
    finding f = finding_of("MEM-01");
    const bool unlimited = *limit == system_view::unlimited;
    f.evidence = "RLIMIT_MEMLOCK is " + (unlimited ? std::string("unlimited") : detail::host::bytes_text(*limit));
    f.limit = "unlimited, as NCCL's documentation asks of containers; below 1 GiB is warned of (project choice)";
    f.level = unlimited ? severity::ok : *limit < GiB ? severity::warn : severity::info;
    if (f.level == severity::warn) {
        f.cost = "registering memory with NICs and io_uring fails; CUDA's own pinned memory is not limited by it";
        f.remedy = "docker run --ulimit memlock=-1; LimitMEMLOCK=infinity in a systemd unit";
    }
    return {f};
}

/// MEM-02. NCCL and loaders pass data between processes through it.
[[nodiscard]] inline findings check_shared_memory(const doctor_scene& scene) {
    const result<file_system_space> shm = scene.system.space("/dev/shm");
    if (!shm) return {unknown_finding("MEM-02", shm.error().what())};
    finding f = finding_of("MEM-02");
    f.evidence = "/dev/shm holds " + detail::host::bytes_text(shm->total) + ", " + detail::host::bytes_text(shm->free) +
                 " are free";
    f.limit = "1 GiB free, as NCCL's documentation gives to containers; Docker's default is 64 MiB";
    f.level = shm->free < GiB ? severity::warn : severity::ok;
    if (f.level == severity::warn) {
        f.cost = "NCCL and data loaders fail or crash when it is full; not quantified";
        f.remedy =
            "docker run --shm-size=1g or more, --ipc=host; in Kubernetes an emptyDir of medium Memory at /dev/shm";
    }
    return {f};
}

/// MEM-04.
[[nodiscard]] inline findings check_huge_pages(const doctor_scene& scene) {
    const std::string file = "/sys/kernel/mm/transparent_hugepage/enabled";
    const result<std::string> text = scene.system.read(file);
    const result<std::string> reserved = scene.system.read("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    long long pages = 0;
    const bool counted = reserved && detail::host::parse(*reserved, pages);
    if (!text && !(counted && pages > 0)) return {unknown_finding("MEM-04", text.error().what())};
    finding f = finding_of("MEM-04");
    f.evidence = text ? file + " is " + *text : std::string(text.error().what());
    if (counted)
        f.evidence += "; " + detail::host::counted(static_cast<std::uint64_t>(pages), "page", "pages") +
                      " of 2 MiB reserved and free";
    f.limit = "always, madvise or reserved pages (project choice)";
    const bool given =
        text && (detail::host::contains(*text, "[always]") || detail::host::contains(*text, "[madvise]"));
    const bool never = text && detail::host::contains(*text, "[never]");
    if (text && !given && !never)
        return {unknown_finding("MEM-04", file + " is " + *text + ", which is not understood")};
    f.level = given || pages > 0 ? severity::ok : severity::warn;
    if (f.level == severity::warn) {
        f.cost = "pinning and IOMMU translation work page by page: up to 20 % at 200 Gb/s behind an IOMMU (published)";
        f.remedy = "echo madvise > " + file;
        f.reaction = "pinned pools go on with small pages";
    }
    return {f};
}

/// MEM-05. Docker's default seccomp profile refuses mbind and move_pages.
[[nodiscard]] inline findings check_numa_calls(const doctor_scene& scene) {
    const status bound = scene.system.bind_memory();
    finding f = finding_of("MEM-05");
    f.limit = "allowed";
    if (bound) {
        f.level = severity::ok;
        f.evidence = "mbind and move_pages are allowed";
        return {f};
    }
    const error why = bound.error();
    if (why.code() != errc::not_permitted) return {unknown_finding("MEM-05", why.what())};
    const result<std::vector<int>> nodes = detail::host::nodes_online(scene.system);
    const bool one = nodes && nodes->size() == 1;
    f.evidence = why.what();
    if (one) f.evidence += "; the machine has one node, so nothing is lost";
    f.level = one ? severity::info : severity::warn;
    if (one) return {f};
    f.cost = "pinned memory lies where the allocating thread happens to run: 377 to 133 GB/s on dual GH200, no loss on "
             "several Gen4 servers (published)";
    f.remedy = "docker run --cap-add SYS_NICE, or a seccomp profile that allows mbind, set_mempolicy and move_pages";
    f.reaction = "pinned memory is first touched by threads on the right node instead, and its place is checked";
    return {f};
}

BARELINK_END_NAMESPACE
