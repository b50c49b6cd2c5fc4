// The host's side of loading a file: a cold cache, the process's memory, what the storage does alone.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fmt/format.h>

#include <barelink/move/detail/file_uring.hpp>
#include <barelink/move/host_mapping.hpp>
#include <barelink/move/source_file.hpp>

#include "pattern.hpp"

namespace tool {

/// A mapping of a whole file; nothing is read by making it.
class mapped_file {
public:
    explicit mapped_file(const barelink::source_file& file) : bytes_(file.bytes()) {
        data_ = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file.descriptor(), 0);
        if (data_ == MAP_FAILED)
            barelink::detail::raise(barelink::detail::file_error(file.path(), "cannot be mapped", errno));
    }
    mapped_file(const mapped_file&) = delete;
    mapped_file& operator=(const mapped_file&) = delete;
    ~mapped_file() { ::munmap(data_, bytes_); }
    [[nodiscard]] const char* data() const noexcept { return static_cast<const char*>(data_); }

    /// The part of it that is in the page cache.
    [[nodiscard]] double cached() const {
        const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
        std::vector<unsigned char> pages((bytes_ + page - 1) / page);
        if (pages.empty() || ::mincore(data_, bytes_, pages.data()) != 0) return 0;
        const auto there = std::count_if(pages.begin(), pages.end(), [](unsigned char p) { return (p & 1) != 0; });
        return static_cast<double>(there) / static_cast<double>(pages.size());
    }

private:
    std::uint64_t bytes_;
    void* data_;
};

/// Empties the page cache of a file; returns the part of it that stays there all the same. Root drops all caches then.
[[nodiscard]] inline double make_cold(const barelink::source_file& file) {
    (void)::fdatasync(file.descriptor());
    (void)::posix_fadvise(file.descriptor(), 0, 0, POSIX_FADV_DONTNEED);
    double left = mapped_file(file).cached();
    if (left > 0.001) {
        std::ofstream("/proc/sys/vm/drop_caches") << "1";
        left = mapped_file(file).cached();
    }
    return left;
}

/// Bytes that the process has in memory: now, and at most since `forget_peak`.
[[nodiscard]] inline double memory_line(const char* name) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.rfind(name, 0) == 0) return std::strtod(line.c_str() + std::strlen(name), nullptr) * 1024;
    return 0;
}
inline void forget_peak() {
    std::ofstream("/proc/self/clear_refs") << "5";
}

/// As a ring has it: with huge pages where there are any, because disks take fewer and larger requests then.
[[nodiscard]] inline barelink::host_mapping reading_memory(std::uint64_t bytes) {
    barelink::host_layout layout;
    layout.nodes = {barelink::numa_id{0}};
    return barelink::host_mapping::make(bytes, layout).value();
}

/// Reads all of a file past the page cache with several threads into memory of their own, one chunk after another. Without
/// direct access through the cache.
inline void read_alone(const barelink::source_file& file, std::uint64_t chunk, unsigned threads) {
    std::atomic<std::uint64_t> next{0};
    std::atomic<int> failed{0};
    const barelink::host_mapping memory = reading_memory(threads * chunk);
    std::atomic<unsigned> started{0};
    const auto work = [&] {
        char* const mine = static_cast<char*>(memory.data()) + started.fetch_add(1) * chunk;
        const bool direct = file.direct_descriptor() >= 0;
        for (std::uint64_t at = 0; (at = next.fetch_add(chunk)) < file.bytes();)
            for (std::uint64_t done = 0, wanted = std::min(chunk, file.bytes() - at); done < wanted;) {
                const ssize_t got = ::pread(direct ? file.direct_descriptor() : file.descriptor(), mine + done,
                                            direct ? chunk - done : wanted - done, static_cast<off_t>(at + done));
                if (got < 0 && errno == EINTR) continue;
                if (got <= 0) {
                    failed = got < 0 ? errno : EIO;
                    return;
                }
                done += static_cast<std::uint64_t>(got);
            }
    };
    std::vector<std::thread> crew;
    for (unsigned t = 1; t < threads; ++t) crew.emplace_back(work);
    work();
    for (std::thread& each : crew) each.join();
    if (failed != 0) barelink::detail::raise(barelink::detail::file_error(file.path(), "cannot be read", failed));
}

/// The same by io_uring, `reads` chunks at once. False when there is none, or the file has no direct access.
[[nodiscard]] inline bool read_alone_by_uring(const barelink::source_file& file, std::uint64_t chunk, unsigned reads) {
    std::vector<barelink::detail::file_task> tasks(reads);
    const barelink::host_mapping memory = reading_memory(reads * chunk);
    barelink::detail::file_uring ring; // last: it waits for what writes to the memory
    if (!barelink::liburing_enabled || file.direct_descriptor() < 0 || ring.open(reads) != 0) return false;
    std::uint64_t next = 0, under_way = 0;
    const auto begin = [&](barelink::detail::file_task& task) {
        if (next >= file.bytes()) return;
        const auto number = static_cast<std::uint64_t>(&task - tasks.data());
        task = {};
        task.buffered = file.descriptor();
        task.direct = file.direct_descriptor();
        task.offset = next;
        task.memory = static_cast<char*>(memory.data()) + number * chunk;
        task.bytes = chunk;
        task.needed = std::min(chunk, file.bytes() - next);
        next += chunk;
        ++under_way;
        if (const int failed = ring.push(task); failed != 0)
            barelink::detail::raise(barelink::detail::file_error(file.path(), "cannot be read", failed));
    };
    for (auto& each : tasks) begin(each);
    while (under_way > 0) {
        barelink::detail::file_task* const done = ring.pop(true);
        if (!done || done->failure != 0 || done->ended)
            barelink::detail::raise(
                barelink::detail::file_error(file.path(), "cannot be read", done ? done->failure : EIO));
        --under_way;
        begin(*done);
    }
    return true;
}

/// A file of the tool's own with its pattern in it, on the disk; removed with it.
class made_file {
public:
    made_file(const std::string& folder, std::uint64_t bytes)
        : path_(fmt::format("{}/barelink-bench-load-{}", folder, ::getpid())) {
        auto target = barelink::target_file::create(path_.c_str()).value();
        target.reserve(bytes).value();
        constexpr std::uint64_t piece = 16 * barelink::MiB;
        const std::unique_ptr<void, void (*)(void*)> memory(std::aligned_alloc(4096, piece), std::free);
        for (std::uint64_t at = 0; at < bytes; at += piece) {
            const std::uint64_t part = std::min(piece, bytes - at);
            fill(memory.get(), part, at);
            for (std::uint64_t done = 0; done < part;) {
                const ssize_t got = ::pwrite(target.descriptor(), static_cast<char*>(memory.get()) + done, part - done,
                                             static_cast<off_t>(at + done));
                if (got < 0 && errno == EINTR) continue;
                if (got <= 0)
                    barelink::detail::raise(barelink::detail::file_error(path_.c_str(), "cannot be written", errno));
                done += static_cast<std::uint64_t>(got);
            }
        }
        target.commit().value();
    }
    made_file(const made_file&) = delete;
    made_file& operator=(const made_file&) = delete;
    ~made_file() { (void)::unlink(path_.c_str()); }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

/// The type of file system that a file lies on and the device below, as the kernel's mount table has them.
[[nodiscard]] inline std::pair<std::string, std::string> storage_of(const std::string& path) {
    struct stat about {};
    if (::stat(path.c_str(), &about) != 0) return {"unknown", "unknown"};
    const std::string device = fmt::format("{}:{}", major(about.st_dev), minor(about.st_dev));
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
        std::vector<std::string> words(1);
        for (const char c : line) {
            if (c == ' ')
                words.emplace_back();
            else
                words.back() += c;
        }
        const auto dash = std::find(words.begin(), words.end(), "-");
        if (words.size() > 2 && words[2] == device && words.end() - dash > 2) return {dash[1], dash[2]};
    }
    return {"unknown", device};
}

} // namespace tool
