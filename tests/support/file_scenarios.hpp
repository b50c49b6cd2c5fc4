// Loads and stores that every runtime must get right; the tests of sim::runtime and of cuda::runtime share them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <barelink/move/file.hpp>

#include "catch.hpp"
#include "patterned_bytes.hpp"
#include "temporary_folder.hpp"

namespace file_scenarios {

/// Memory of a node with guards around; freed with it. What GPUs hold is memory that tests can read.
template <class Runtime>
class memory {
public:
    memory(Runtime& on, barelink::node_index node, std::uint64_t bytes, std::uint64_t lead = 0)
        : on_(on), bytes_(bytes), lead_(lead + guard_bytes),
          base_(static_cast<char*>(on.allocate(node, bytes + lead_ + guard_bytes).value())) {
        patterned::fill_guard(base_, bytes_ + lead_ + guard_bytes);
    }
    memory(const memory&) = delete;
    memory& operator=(const memory&) = delete;
    ~memory() { (void)on_.release(base_); }
    [[nodiscard]] char* data() const noexcept { return base_ + lead_; }
    [[nodiscard]] std::uint64_t size() const noexcept { return bytes_; }
    [[nodiscard]] bool untouched() const noexcept { return patterned::guarded(data(), bytes_); }
    [[nodiscard]] bool guarded() const noexcept {
        return patterned::guarded(base_, lead_) && patterned::guarded(data() + bytes_, guard_bytes);
    }

private:
    static constexpr std::uint64_t guard_bytes = 256;
    Runtime& on_;
    std::uint64_t bytes_, lead_;
    char* base_;
};

/// Options that reach every way of reading: with and without the page cache, io_uring where it is compiled in, small chunks.
[[nodiscard]] inline std::vector<barelink::file_options> ways() {
    using o = barelink::file_options;
    std::vector<o> all;
    for (const auto direct : {o::direct_reads::always, o::direct_reads::never, o::direct_reads::automatic})
        for (const auto reads : {o::engine::automatic, o::engine::threads}) {
            o one;
            one.direct = direct;
            one.reads = reads;
            one.chunk_bytes = 256 * barelink::KiB;
            one.ring_bytes = 4 * barelink::MiB;
            one.workers = 3;
            all.push_back(one);
        }
    return all;
}

/// Ranges of every alignment and size, out of order, several files, several GPUs, host memory, some parts twice.
template <class Runtime>
void loads_everything(Runtime& on, const barelink::file_options& options) {
    using namespace barelink;
    const temporary_folder folder;
    const machine& m = on.topology();
    std::vector<std::string> contents;
    std::vector<source_file> files;
    for (std::uint64_t f = 0; f < 3; ++f) {
        const std::string path = folder.file("f" + std::to_string(f), (3 + f) * MiB + 777 * f, 100 + f);
        contents.push_back(temporary_folder::read(path));
        files.push_back(source_file::open(path.c_str()).value());
    }
    const std::vector<node_index> gpus = m.all(node_kind::gpu), hosts = m.all(node_kind::memory);
    struct wanted {
        std::uint64_t file, offset, bytes;
        node_index to;
    };
    std::vector<wanted> list;
    std::uint64_t state = 1;
    const auto random = [&](std::uint64_t below) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return (state >> 33) % below;
    };
    for (int i = 0; i < 60; ++i) {
        const std::uint64_t file = random(3), size = contents[file].size();
        const std::uint64_t offset = random(4) == 0 ? random(size / 4096) * 4096 : random(size);
        const std::uint64_t longest = random(3) == 0 ? 2 * MiB : random(2) == 0 ? 5000 : 64 * KiB;
        const std::uint64_t bytes = std::min(random(longest), size - offset);
        const bool host = random(8) == 0;
        list.push_back({file, offset, bytes, host ? hosts[random(hosts.size())] : gpus[random(gpus.size())]});
    }
    list.push_back({0, 0, contents[0].size(), gpus.front()});    // all of it
    list.push_back({1, contents[1].size() - 1, 1, gpus.back()}); // the last byte
    list.push_back({2, contents[2].size(), 0, gpus.back()});     // nothing, at the end

    std::vector<std::unique_ptr<memory<Runtime>>> memories;
    std::vector<file_range> ranges;
    for (std::size_t i = 0; i < list.size(); ++i) {
        memories.push_back(std::make_unique<memory<Runtime>>(on, list[i].to, list[i].bytes, i % 7));
        ranges.push_back({&files[list[i].file], list[i].offset, list[i].bytes, memories.back()->data()});
    }
    const auto stream = on.make_stream(gpus.front()).value();
    file_mover<Runtime> moves(on, options);
    const auto started = moves.load(ranges, stream);
    REQUIRE(started);
    const auto over = started->wait();
    if (!over) UNSCOPED_INFO(over.error().what());
    REQUIRE(over);
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
        INFO("range " << i << ": file " << list[i].file << " from " << list[i].offset << ", " << list[i].bytes
                      << " bytes");
        CHECK(std::memcmp(memories[i]->data(), contents[list[i].file].data() + list[i].offset, list[i].bytes) == 0);
        CHECK(memories[i]->guarded());
        total += list[i].bytes;
    }
    const file_progress end = started->progress();
    CHECK(end.arrived == total);
    CHECK(end.total == total);
    CHECK(end.file_bytes == end.file_bytes_total);
    CHECK(end.file_bytes_total < total); // what two ranges want is read once
    CHECK(moves.ring_bytes() <= options.ring_bytes);
    CHECK(started->poll().value());
}

/// One matrix to several GPUs: rows, columns, and all of it; from the ring in one reading.
template <class Runtime>
void shards_a_matrix(Runtime& on, const barelink::file_options& options) {
    using namespace barelink;
    const temporary_folder folder;
    const machine& m = on.topology();
    constexpr std::uint64_t lead = 1234, rows = 1003, row_bytes = 4 * 700; // rows that no chunk is a multiple of
    const std::string path = folder.file("matrix", lead + rows * row_bytes + 99, 5);
    const std::string content = temporary_folder::read(path);
    const source_file file = source_file::open(path.c_str()).value();
    const std::vector<node_index> gpus = m.all(node_kind::gpu);
    constexpr std::uint64_t parts = 4, column_bytes = row_bytes / parts, pitch = column_bytes + 60;
    std::vector<std::unique_ptr<memory<Runtime>>> memories;
    std::vector<file_range> ranges;
    for (std::uint64_t p = 0; p < parts; ++p) {
        const node_index gpu = gpus[p % gpus.size()];
        memories.push_back(std::make_unique<memory<Runtime>>(on, gpu, (rows - 1) * pitch + column_bytes, p));
        ranges.push_back({&file,
                          lead,
                          rows * row_bytes,
                          memories.back()->data(),
                          {row_bytes, p * column_bytes, column_bytes, p % 2 == 0 ? pitch : 0}});
    }
    memories.push_back(std::make_unique<memory<Runtime>>(on, m.all(node_kind::memory).back(), rows * column_bytes, 0));
    ranges.push_back(
        {&file, lead, rows * row_bytes, memories.back()->data(), {row_bytes, column_bytes, column_bytes, 0}});
    file_mover<Runtime> moves(on, options);
    const auto job = moves.load(ranges, on.make_stream(gpus.front()).value());
    REQUIRE(job);
    REQUIRE(job->wait());
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        const file_rows& grid = ranges[i].rows;
        const std::uint64_t to_pitch = grid.memory_pitch > 0 ? grid.memory_pitch : column_bytes;
        bool right = memories[i]->guarded();
        for (std::uint64_t r = 0; r < rows; ++r) {
            const char* const got = memories[i]->data() + r * to_pitch;
            right &= std::memcmp(got, content.data() + lead + r * row_bytes + grid.offset, column_bytes) == 0;
            if (to_pitch > column_bytes && r + 1 < rows)
                right &= patterned::guarded(got + column_bytes, to_pitch - column_bytes);
        }
        INFO("shard " << i);
        CHECK(right);
    }
    CHECK(job->progress().file_bytes_total == rows * row_bytes);
    CHECK(job->progress().arrived == (parts + 1) * rows * column_bytes);
}

/// Memory of GPUs and of the host into files of any layout, and what is on the disk then.
template <class Runtime>
void stores_and_loads_back(Runtime& on, const barelink::file_options& options) {
    using namespace barelink;
    const temporary_folder folder;
    const machine& m = on.topology();
    const std::vector<node_index> gpus = m.all(node_kind::gpu);
    const std::string a = folder / "a", b = folder.file("b", "what was there before");
    target_file to_a = target_file::create(a.c_str()).value(), to_b = target_file::create(b.c_str()).value();
    std::vector<std::unique_ptr<memory<Runtime>>> memories;
    std::vector<stored_range> ranges;
    std::string expected_a, expected_b;
    for (int i = 0; i < 12; ++i) {
        const node_index from =
            i % 5 == 4 ? m.all(node_kind::memory).back() : gpus[static_cast<std::size_t>(i) % gpus.size()];
        const std::uint64_t bytes = i % 3 == 0 ? 1 * MiB + 13 : i % 3 == 1 ? 5 : 8192;
        memories.push_back(std::make_unique<memory<Runtime>>(on, from, bytes, static_cast<std::uint64_t>(i)));
        patterned::fill(memories.back()->data(), bytes, static_cast<std::uint64_t>(i));
        std::string& expected = i % 2 == 0 ? expected_a : expected_b;
        if (i % 4 == 3) expected.append(333, '\0'); // a hole
        ranges.push_back({i % 2 == 0 ? &to_a : &to_b, expected.size(), bytes, memories.back()->data()});
        expected.append(memories.back()->data(), bytes);
    }
    file_mover<Runtime> moves(on, options);
    const auto job = moves.store(ranges, on.make_stream(gpus.front()).value());
    REQUIRE(job);
    CHECK(temporary_folder::read(b) == "what was there before");
    const auto over = job->wait();
    if (!over) UNSCOPED_INFO(over.error().what());
    REQUIRE(over);
    CHECK(temporary_folder::read(a) == expected_a);
    CHECK(temporary_folder::read(b) == expected_b);
    CHECK_FALSE(std::filesystem::exists(a + ".partial"));
    CHECK_FALSE(std::filesystem::exists(b + ".partial"));
    CHECK_FALSE(to_a.is_open());
    CHECK(job->progress().arrived == job->progress().total);
}

} // namespace file_scenarios
