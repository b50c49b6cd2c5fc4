// Files to simulated GPUs and back: real files, real bytes, whatever reads them.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <sys/stat.h>

#include <barelink/machine/builtin.hpp>
#include <barelink/move/file.hpp>
#include <barelink/move/sim_runtime.hpp>

#include <support/catch.hpp>
#include <support/file_scenarios.hpp>
#include <support/forwarding_runtime.hpp>

using namespace barelink;
using file_scenarios::memory;

namespace {

struct box {
    explicit box(const char* name = "hgx-h100-8") : on(builtin::find(name).value()) {}
    [[nodiscard]] node_index gpu(int index) const { return on.topology().gpu(gpu_id{index}); }
    [[nodiscard]] sim::stream stream(int index = 0) { return on.make_stream(gpu(index)).value(); }
    sim::runtime on;
    temporary_folder folder;
};

bool any_note(const file_job<sim::runtime>& job, const char* what) {
    const auto notes = job.notes();
    return std::any_of(notes.begin(), notes.end(), [&](const std::string& n) { return n.find(what) != n.npos; });
}

file_options small(file_options::direct_reads direct = file_options::direct_reads::automatic) {
    file_options o;
    o.chunk_bytes = 64 * KiB;
    o.ring_bytes = 1 * MiB;
    o.workers = 2;
    o.direct = direct;
    return o;
}

std::string what(const status& failed) {
    REQUIRE_FALSE(failed);
    return failed.error().what();
}

} // namespace

TEST_CASE("Ranges of any size and alignment arrive in any memory, whatever reads them") {
    for (const char* name : {"hgx-h100-8", "dgx1-v100", "gh200", "azure-nd-h100-v5-vm"})
        for (const file_options& way : file_scenarios::ways()) {
            INFO(name << ", direct " << static_cast<int>(way.direct) << ", engine " << static_cast<int>(way.reads));
            sim::runtime on(builtin::find(name).value());
            file_scenarios::loads_everything(on, way);
            CHECK(on.races() == 0);
        }
}

TEST_CASE("Columns of a matrix go to several GPUs from one reading") {
    for (const file_options& way : file_scenarios::ways()) {
        sim::runtime on(builtin::find("hgx-h100-8").value());
        file_scenarios::shards_a_matrix(on, way);
        CHECK(on.races() == 0);
    }
}

TEST_CASE("What is stored is on the disk under its name when the job is over") {
    for (const file_options& way : file_scenarios::ways()) {
        sim::runtime on(builtin::find("hgx-h100-8").value());
        file_scenarios::stores_and_loads_back(on, way);
        CHECK(on.races() == 0);
    }
}

TEST_CASE("Nothing is written before the stream's work, and the stream's later work sees the bytes") {
    box b;
    const std::string path = b.folder.file("f", 300 * KiB, 3);
    const source_file file = source_file::open(path.c_str()).value();
    memory<sim::runtime> to(b.on, b.gpu(2), file.bytes()), seen(b.on, b.gpu(2), file.bytes()),
        host(b.on, b.on.topology().all(node_kind::memory).front(), file.bytes());
    const sim::stream stream = b.stream(2);
    struct check_context {
        const char *gpu, *host;
        std::uint64_t bytes;
        bool untouched;
    } context{to.data(), host.data(), file.bytes(), false};
    b.on.launch(
        stream, 1e5,
        [](void* c) {
            auto* in = static_cast<check_context*>(c);
            in->untouched = patterned::guarded(in->gpu, in->bytes) && patterned::guarded(in->host, in->bytes);
        },
        &context);
    file_mover moves(b.on, small());
    const file_range ranges[] = {{&file, 0, file.bytes(), to.data()}, {&file, 0, file.bytes(), host.data()}};
    const auto job = moves.load(ranges, stream).value();
    REQUIRE(job.wait());
    REQUIRE(b.on.copy(seen.data(), to.data(), file.bytes(), stream));
    const auto event = b.on.make_event(b.gpu(2)).value();
    REQUIRE(b.on.record(event, stream));
    REQUIRE(b.on.synchronize(event));
    CHECK(context.untouched);
    CHECK(patterned::holds(seen.data(), file.bytes(), 3));
    CHECK(patterned::holds(host.data(), file.bytes(), 3));
    // A store reads what the stream's work leaves behind.
    b.on.launch(
        stream, 1e5, [](void* c) { patterned::fill(c, 300 * KiB, 99); }, to.data());
    target_file target = target_file::create((b.folder / "out").c_str()).value();
    const stored_range range{&target, 0, file.bytes(), to.data()};
    REQUIRE(moves.store({&range, 1}, stream).value().wait());
    const std::string stored = temporary_folder::read(b.folder / "out");
    CHECK(patterned::holds(stored.data(), stored.size(), 99));
}

TEST_CASE("The ring is what it costs: on the GPUs' own nodes, within the budget, kept for the next job") {
    box b;
    const std::string path = b.folder.file("f", 6 * MiB, 4);
    const source_file file = source_file::open(path.c_str()).value();
    memory<sim::runtime> near(b.on, b.gpu(0), 3 * MiB), far(b.on, b.gpu(7), 3 * MiB);
    const node_index first = detail::nearest_memory(b.on.topology(), b.gpu(0)),
                     second = detail::nearest_memory(b.on.topology(), b.gpu(7));
    REQUIRE(first != second);
    const std::uint64_t before = b.on.allocated_bytes(first) + b.on.allocated_bytes(second);
    {
        file_mover moves(b.on, small());
        const file_range ranges[] = {{&file, 0, 3 * MiB, near.data()}, {&file, 3 * MiB, 3 * MiB, far.data()}};
        for (int round = 0; round < 3; ++round) {
            REQUIRE(moves.load(ranges, b.stream()).value().wait());
            CHECK(b.on.allocated_bytes(first) == 512 * KiB);
            CHECK(b.on.allocated_bytes(second) == 512 * KiB);
            CHECK(moves.ring_bytes() == 1 * MiB);
        }
        // One GPU alone may have all of it; the other ring goes.
        REQUIRE(moves.load({ranges, 1}, b.stream()).value().wait());
        CHECK(b.on.allocated_bytes(first) == 1 * MiB);
        CHECK(b.on.allocated_bytes(second) == 0);
        CHECK(patterned::holds(near.data(), 3 * MiB, 4));
    }
    CHECK(b.on.allocated_bytes(first) + b.on.allocated_bytes(second) == before);
}

TEST_CASE("Where pinned memory runs out the ring is smaller, and the job says so") {
    for (const std::uint64_t room : {5 * 64 * KiB, 2 * 64 * KiB, 1 * 64 * KiB}) {
        box full;
        machine small_machine = full.on.topology();
        for (node& each : small_machine.nodes)
            if (each.kind == node_kind::memory) each.bytes = room;
        sim::runtime on(small_machine);
        const std::string path = full.folder.file("f", 4 * MiB, 4);
        const source_file file = source_file::open(path.c_str()).value();
        void* const to = on.allocate(on.topology().gpu(gpu_id{0}), file.bytes()).value();
        file_options o = small();
        o.chunk_bytes = 64 * KiB;
        file_mover moves(on, o);
        const file_range range{&file, 0, file.bytes(), to};
        const auto job = moves.load({&range, 1}, on.make_stream(on.topology().gpu(gpu_id{0})).value());
        INFO(room);
        if (room < 2 * 64 * KiB) {
            REQUIRE_FALSE(job);
            CHECK(job.error().code() == errc::out_of_memory);
            continue;
        }
        REQUIRE(job);
        REQUIRE(job->wait());
        CHECK(patterned::holds(to, file.bytes(), 4));
        CHECK(any_note(*job, "the ring on numa:0 has"));
        CHECK(moves.ring_bytes() <= room);
    }
}

TEST_CASE("Files that cannot be loaded are refused by name, before anything happens") {
    box b;
    const std::string path = b.folder.file("short.bin", 1000, 1);
    const source_file file = source_file::open(path.c_str()).value();
    CHECK(source_file::open((b.folder / "missing").c_str()).error().code() == errc::not_found);
    CHECK(std::string(source_file::open((b.folder / "missing").c_str()).error().what()).find("missing") !=
          std::string::npos);
    CHECK(source_file::open(b.folder.path().c_str()).error().code() == errc::io);
    CHECK(source_file::open("/dev/null").error().code() == errc::io);
    CHECK(source_file::open("").error().code() == errc::invalid_argument);
    REQUIRE(::mkfifo((b.folder / "pipe").c_str(), 0600) == 0);
    CHECK(source_file::open((b.folder / "pipe").c_str()).error().code() == errc::io); // and does not wait for a writer

    memory<sim::runtime> to(b.on, b.gpu(0), 1000);
    std::vector<char> pageable(1000);
    file_mover moves(b.on, small());
    const auto refused = [&](const file_range& bad, errc code, const char* says) {
        const file_range ranges[] = {{&file, 0, 10, to.data()}, bad};
        const auto job = moves.load(ranges, b.stream());
        REQUIRE_FALSE(job);
        INFO(job.error().what());
        CHECK(job.error().code() == code);
        CHECK(std::string(job.error().what()).find(says) != std::string::npos);
    };
    refused({&file, 1, 1000, to.data()}, errc::io, "short.bin has 1000 bytes: range 1 wants 1000 from byte 1");
    refused({&file, ~0ull, 2, to.data()}, errc::io, "range 1");
    refused({nullptr, 0, 1, to.data()}, errc::invalid_argument, "range 1 names no file");
    refused({&file, 0, 1, nullptr}, errc::invalid_argument, "range 1");
    refused({&file, 0, 10, pageable.data()}, errc::invalid_argument, "range 1: the memory is pageable");
    refused({&file, 0, 1000, to.data() + 8000}, errc::invalid_argument, "range 1: "); // past the allocation
    refused({&file, 0, 10, to.data(), {3, 0, 3, 0}}, errc::invalid_argument, "range 1 is no whole number of rows");
    refused({&file, 0, 10, to.data(), {5, 3, 3, 0}}, errc::invalid_argument, "range 1 wants columns");
    refused({&file, 0, 10, to.data(), {5, 0, 0, 0}}, errc::invalid_argument, "range 1 wants columns");
    refused({&file, 0, 10, to.data(), {5, 0, 3, 2}}, errc::invalid_argument, "range 1 has rows that overlap");
    refused({&file, 0, 10, to.data(), {5, 0, 3, ~0ull}}, errc::invalid_argument, "range 1 is too large");
    CHECK(to.untouched());
    CHECK(moves.load({}, b.stream()).value().wait()); // nothing to do is no error
}

TEST_CASE("A file that shrinks while it is read is an error that says what was there, and nothing passes for loaded") {
    for (const auto direct : {file_options::direct_reads::always, file_options::direct_reads::never})
        for (const auto engine : {file_options::engine::automatic, file_options::engine::threads}) {
            box b;
            const std::string path = b.folder.file("shrinks.bin", 4 * MiB, 1);
            const source_file file = source_file::open(path.c_str()).value();
            memory<sim::runtime> to(b.on, b.gpu(0), file.bytes());
            file_options o = small(direct);
            o.reads = engine;
            file_mover moves(b.on, o);
            const file_range range{&file, 0, file.bytes(), to.data()};
            REQUIRE(::truncate(path.c_str(), 3 * MiB + 100) == 0);
            const auto job = moves.load({&range, 1}, b.stream()).value();
            const std::string said = what(job.wait());
            INFO(said);
            CHECK(said.find("shrinks.bin became shorter: of 65536 bytes from byte 3") != said.npos);
            CHECK(said.find("it had 4194304 bytes when it was opened, now 3145828") != said.npos);
            CHECK(job.poll().error().code() == errc::io);
            CHECK(job.progress().arrived < file.bytes());
            CHECK(job.progress().arrived <= 3 * MiB + 100);
            // The mover is good for the next job.
            const file_range rest{&file, 0, 3 * MiB, to.data()};
            REQUIRE(moves.load({&rest, 1}, b.stream()).value().wait());
            CHECK(patterned::holds(to.data(), 3 * MiB, 1));
        }
}

TEST_CASE("A cancelled job stops, says how much arrived, and what it says is there") {
    box b;
    const std::string path = b.folder.file("f", 4 * MiB, 1);
    const source_file file = source_file::open(path.c_str()).value();
    for (const std::uint64_t after : {0 * KiB, 300 * KiB, 1 * MiB}) {
        memory<sim::runtime> to(b.on, b.gpu(0), file.bytes());
        file_mover moves(b.on, small());
        const file_range range{&file, 0, file.bytes(), to.data()};
        const auto job = moves.load({&range, 1}, b.stream()).value();
        while (job.progress().arrived < after) REQUIRE(job.poll());
        const std::uint64_t before = job.progress().arrived;
        job.cancel();
        const auto over = job.wait();
        REQUIRE_FALSE(over);
        CHECK(over.error().code() == errc::cancelled);
        const file_progress end = job.progress();
        CHECK(end.arrived >= before);
        CHECK(end.arrived < end.total);
        CHECK(end.arrived <= before + 1 * MiB); // the ring and no more
        CHECK(std::string(over.error().what()).find(std::to_string(end.arrived) + " of 4194304") != std::string::npos);
        std::uint64_t there = 0; // chunk by chunk
        for (std::uint64_t at = 0; at < file.bytes(); at += 64 * KiB)
            there += patterned::guarded(to.data() + at, 64 * KiB) ? 0 : 64 * KiB;
        CHECK(there == end.arrived);
    }
    // After the last byte there is nothing to cancel.
    memory<sim::runtime> to(b.on, b.gpu(0), file.bytes());
    file_mover moves(b.on, small());
    const file_range range{&file, 0, file.bytes(), to.data()};
    const auto job = moves.load({&range, 1}, b.stream()).value();
    REQUIRE(job.wait());
    job.cancel();
    CHECK(job.poll().value());
    // A store that is cancelled leaves nothing behind.
    target_file target = target_file::create((b.folder / "out").c_str()).value();
    const stored_range stored{&target, 0, file.bytes(), to.data()};
    const auto store = moves.store({&stored, 1}, b.stream()).value();
    store.cancel();
    CHECK(store.wait().error().code() == errc::cancelled);
    CHECK_FALSE(std::filesystem::exists(b.folder / "out"));
    CHECK_FALSE(std::filesystem::exists(b.folder / "out.partial"));
}

TEST_CASE("A file without room, beyond the largest size or in no folder leaves nothing half written") {
    box b;
    memory<sim::runtime> from(b.on, b.gpu(0), 4 * MiB);
    file_mover moves(b.on, small());
    CHECK(target_file::create((b.folder / "no/such/folder").c_str()).error().code() == errc::not_found);
    CHECK(target_file::create(b.folder.path().c_str()).error().code() == errc::io);
    CHECK(target_file::create("/dev/null").error().code() == errc::io);
    const std::string path = b.folder.file("out", "before");
    // The limit of the process stands for a full disk: writes beyond it fail.
    rlimit usual{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &usual) == 0);
    const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit tight{1 * MiB, usual.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &tight) == 0);
    target_file target = target_file::create(path.c_str()).value();
    const stored_range range{&target, 0, from.size(), from.data()};
    const auto job = moves.store({&range, 1}, b.stream());
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &usual) == 0);
    std::signal(SIGXFSZ, ignored);
    REQUIRE_FALSE(job); // the room is reserved before the first byte
    CHECK(job.error().native() == EFBIG);
    CHECK(std::string(job.error().what()).find("out has no room") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(path + ".partial"));
    CHECK(temporary_folder::read(path) == "before");
    CHECK_FALSE(target.is_open());
}

TEST_CASE("A write that fails halfway removes the file, and names it") {
    // No reserved room on this one: the failure comes while writing.
    box b;
    memory<sim::runtime> from(b.on, b.gpu(0), 4 * MiB);
    const std::string path = b.folder / "out";
    for (const auto direct : {file_options::direct_reads::always, file_options::direct_reads::never}) {
        file_mover moves(b.on, small(direct));
        target_file target = target_file::create(path.c_str()).value();
        const stored_range range{&target, 0, from.size(), from.data()};
        const auto job = moves.store({&range, 1}, b.stream()).value();
        rlimit usual{};
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &usual) == 0);
        const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
        const rlimit tight{1 * MiB, usual.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &tight) == 0);
        const auto over = job.wait();
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &usual) == 0);
        std::signal(SIGXFSZ, ignored);
        REQUIRE_FALSE(over);
        INFO(over.error().what());
        CHECK(over.error().native() == EFBIG);
        CHECK(std::string(over.error().what()).find("out cannot be written at byte") != std::string::npos);
        CHECK_FALSE(std::filesystem::exists(path));
        CHECK_FALSE(std::filesystem::exists(path + ".partial"));
        CHECK_FALSE(target.is_open());
    }
}

TEST_CASE("A file that nobody completes leaves nothing, one that is moved lives on") {
    const temporary_folder folder;
    const std::string path = folder / "out";
    {
        target_file first = target_file::create(path.c_str()).value();
        CHECK(std::filesystem::exists(path + ".partial"));
        target_file second = std::move(first);
        CHECK(second.is_open());
        CHECK_FALSE(first.is_open()); // NOLINT(bugprone-use-after-move)
    }
    CHECK_FALSE(std::filesystem::exists(path + ".partial"));
    target_file again = target_file::create(path.c_str()).value();
    REQUIRE(again.commit());
    CHECK(again.commit().error().code() == errc::invalid_argument);
    CHECK(std::filesystem::exists(path));
}

TEST_CASE("One job at a time; a later one ends the use of the earlier handle") {
    box b;
    const std::string path = b.folder.file("f", 1 * MiB, 1);
    const source_file file = source_file::open(path.c_str()).value();
    memory<sim::runtime> to(b.on, b.gpu(0), file.bytes());
    file_mover moves(b.on, small());
    const file_range range{&file, 0, file.bytes(), to.data()};
    const auto first = moves.load({&range, 1}, b.stream()).value();
    CHECK(moves.load({&range, 1}, b.stream()).error().code() == errc::invalid_argument);
    REQUIRE(first.wait());
    const auto second = moves.load({&range, 1}, b.stream()).value();
    CHECK(first.poll().error().code() == errc::invalid_argument);
    CHECK(first.progress().total == 0);
    REQUIRE(second.wait());
    // A mover may go while its job is under way: nothing is written any more after that.
    {
        file_mover hurried(b.on, small());
        (void)hurried.load({&range, 1}, b.stream()).value();
    }
    CHECK(b.on.races() == 0);
}

TEST_CASE("Reading from the page cache instead of the disk is noted") {
    box b;
    const std::string path = b.folder.file("f", 1 * MiB, 1);
    const source_file file = source_file::open(path.c_str()).value();
    memory<sim::runtime> to(b.on, b.gpu(0), file.bytes());
    file_mover moves(b.on, small());
    const file_range range{&file, 0, file.bytes(), to.data()};
    const auto job = moves.load({&range, 1}, b.stream()).value();
    REQUIRE(job.wait());
    // It was written a moment ago; on a file system that is all memory it is read directly, or cannot be.
    if (file.direct_descriptor() < 0)
        CHECK(any_note(job, "no direct access"));
    else if (detail::is_cached(file.descriptor(), 0, file.bytes()))
        CHECK(any_note(job, "read from the page cache"));
    file_mover never(b.on, small(file_options::direct_reads::never));
    const auto asked = never.load({&range, 1}, b.stream()).value();
    REQUIRE(asked.wait());
    CHECK(asked.notes().empty()); // what was asked for is no fallback
}

TEST_CASE("One read goes on through interrupted, short and refused calls, and knows where a file ends") {
    const auto task = [](detail::file_task::kind kind) {
        detail::file_task t;
        t.what = kind;
        t.buffered = 1;
        t.direct = 2;
        t.memory = reinterpret_cast<char*>(std::uintptr_t{1} << 20);
        t.offset = 8192;
        t.bytes = 16384;
        t.needed = 10000;
        return t;
    };
    SECTION("a direct read of an aligned block, the file's end in it") {
        auto t = task(detail::file_task::kind::read);
        detail::file_part p = detail::next_part(t);
        CHECK((p.descriptor == 2 && p.direct && p.offset == 8192 && p.bytes == 16384));
        CHECK(detail::goes_on(t, p, -EINTR));
        CHECK(detail::goes_on(t, p, -EAGAIN));
        CHECK(detail::goes_on(t, p, 4096)); // short, and aligned: directly again
        p = detail::next_part(t);
        CHECK((p.descriptor == 2 && p.offset == 12288 && p.bytes == 12288));
        CHECK_FALSE(detail::goes_on(t, p, 10000 - 4096));
        CHECK((t.failure == 0 && !t.ended && !t.direct_refused));
    }
    SECTION("a short answer that is not aligned is finished through the cache") {
        auto t = task(detail::file_task::kind::read);
        CHECK(detail::goes_on(t, detail::next_part(t), 100));
        const detail::file_part p = detail::next_part(t);
        CHECK((p.descriptor == 1 && !p.direct && p.offset == 8292 && p.bytes == 9900));
        CHECK_FALSE(detail::goes_on(t, p, 0));
        CHECK(t.ended);
        CHECK(t.done == 100);
    }
    SECTION("a refused direct read goes through the cache") {
        auto t = task(detail::file_task::kind::read);
        CHECK(detail::goes_on(t, detail::next_part(t), -EINVAL));
        CHECK(t.direct_refused);
        const detail::file_part p = detail::next_part(t);
        CHECK((p.descriptor == 1 && p.offset == 8192 && p.bytes == 10000));
        CHECK_FALSE(detail::goes_on(t, p, -EINVAL)); // there it is an error
        CHECK(t.failure == EINVAL);
    }
    SECTION("an error of the disk is one") {
        auto t = task(detail::file_task::kind::read);
        CHECK_FALSE(detail::goes_on(t, detail::next_part(t), -EIO));
        CHECK(t.failure == EIO);
    }
    SECTION("memory that is not aligned is not read into directly") {
        auto t = task(detail::file_task::kind::read);
        t.memory += 512;
        CHECK_FALSE(detail::next_part(t).direct);
    }
    SECTION("a write begins and ends through the cache, and is direct in between") {
        auto t = task(detail::file_task::kind::write);
        t.offset = 8000;
        t.memory += 8000 % 4096;
        t.bytes = 192 + 8192 + 77;
        detail::file_part p = detail::next_part(t);
        CHECK((p.descriptor == 1 && p.offset == 8000 && p.bytes == 192));
        CHECK(detail::goes_on(t, p, 192));
        p = detail::next_part(t);
        CHECK((p.descriptor == 2 && p.direct && p.offset == 8192 && p.bytes == 8192));
        CHECK(detail::goes_on(t, p, 8192));
        p = detail::next_part(t);
        CHECK((p.descriptor == 1 && p.offset == 16384 && p.bytes == 77));
        CHECK_FALSE(detail::goes_on(t, p, 77));
        CHECK(t.failure == 0);
        t.done = 0;
        CHECK_FALSE(detail::goes_on(t, p, -ENOSPC));
        CHECK(t.failure == ENOSPC);
    }
}

TEST_CASE("Every file and every GPU gets a window before any gets a second, and each file is read in order") {
    std::vector<detail::file_extent> extents;
    for (std::uint32_t i = 0; i < 6; ++i) extents.push_back({i, i / 3, i % 3, i * 40, i * 40 + 40}); // 2 files, 3 lanes
    for (detail::file_extent& e : extents) e.end = (e.begin *= MiB) + 40 * MiB;
    auto runs = detail::join_extents(extents, {});
    CHECK(runs.size() == 6);
    detail::file_windows windows(extents, runs, 8 * MiB);
    detail::file_window w;
    std::uint64_t count = 0;
    std::vector<std::uint64_t> last(6), turns;
    while (windows.next(w, [](std::uint32_t) { return true; })) {
        const detail::file_run& r = windows.run(w.run);
        if (count < 6) turns.push_back(r.file * 3 + r.lane);
        CHECK(w.begin >= last[w.run]);
        last[w.run] = w.end;
        CHECK(w.end - w.begin == 8 * MiB);
        ++count;
    }
    std::sort(turns.begin(), turns.end());
    CHECK(turns == std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5});
    CHECK(count == 30);
    CHECK(windows.exhausted());
    // A lane without room holds nobody else up.
    detail::file_windows again(extents, runs, 8 * MiB);
    count = 0;
    while (again.next(w, [](std::uint32_t lane) { return lane != 1; })) ++count;
    CHECK(count == 20);
    CHECK_FALSE(again.exhausted());
}

TEST_CASE("Whatever call of the runtime fails, the job ends with its error and the mover goes on") {
    box b;
    const std::string path = b.folder.file("f", 1 * MiB, 1);
    const source_file file = source_file::open(path.c_str()).value();
    std::uint64_t failed = 0;
    for (const bool storing : {false, true})
        for (std::uint64_t call = 0;; ++call) {
            sim::runtime on(builtin::find("hgx-h100-8").value());
            const node_index gpu = on.topology().gpu(gpu_id{0}), host = on.topology().all(node_kind::memory).front();
            memory<sim::runtime> to(on, gpu, 700 * KiB), other(on, host, 200 * KiB);
            const std::string out = b.folder / "out";
            target_file target = target_file::create(out.c_str()).value();
            const file_range loads[] = {{&file, 0, to.size(), to.data()},
                                        {&file, 700 * KiB, other.size(), other.data()}};
            const stored_range stores[] = {{&target, 0, to.size(), to.data()},
                                           {&target, to.size(), other.size(), other.data()}};
            const auto stream = on.make_stream(gpu).value();
            const std::uint64_t allocations = on.allocations();
            bool over = false;
            {
                file_mover moves(on, small());
                const std::uint64_t first = on.calls();
                sim::faults one_call;
                one_call.failing_call = first + call;
                on.inject(one_call);
                const auto job = storing ? moves.store(stores, stream) : moves.load(loads, stream);
                const status done = job ? job->wait() : status(job.error());
                over = on.calls() <= first + call;
                on.inject({});
                if (!done) {
                    ++failed;
                    CHECK(std::string(done.error().what()).find("injected") != std::string::npos);
                    CHECK_FALSE(std::filesystem::exists(out));
                } else if (storing) {
                    CHECK(std::filesystem::exists(out));
                } else {
                    CHECK(patterned::holds(to.data(), to.size(), 1));
                }
                std::filesystem::remove(out);
                // Again, undisturbed.
                REQUIRE(moves.load(loads, stream).value().wait());
                CHECK(patterned::holds(to.data(), to.size(), 1));
            }
            CHECK(on.races() == 0);
            CHECK(on.allocations() <= allocations + 1); // a release that was told to fail
            if (over) break;
            REQUIRE(call < 1000);
        }
    CHECK(failed > 40);
}
