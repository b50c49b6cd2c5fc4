// Host mappings: sizes, where their stripes are bound, what is said when the system does not let them.
#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <support/catch.hpp>

#include <barelink/move/host_mapping.hpp>

#if defined(__x86_64__) && defined(__linux__)
#define CAN_STAND_IN_FOR_SYSCALL 1
#else
#define CAN_STAND_IN_FOR_SYSCALL 0
#endif

namespace {

/// What the NUMA calls are made to do while one of these lives; everything else goes to the kernel as it is.
struct numa_stand_in {
    struct bound {
        std::uintptr_t at;
        std::uint64_t bytes;
        int policy;
        std::uint64_t nodes;
        unsigned long bits;
    };
    int mbind_errno = 0, move_pages_errno = 0, get_mempolicy_errno = 0;
    std::vector<int> pages_on; ///< nodes that sampled pages are said to lie on, in turn; empty: the kernel's answer
    std::vector<bound> binds;  ///< as they were asked for
    std::uint64_t refuse_from = ~0u; ///< mbind calls before this one succeed

    static inline numa_stand_in* active = nullptr;
    numa_stand_in() { active = this; }
    numa_stand_in(const numa_stand_in&) = delete;
    ~numa_stand_in() { active = nullptr; }
};

} // namespace

#if CAN_STAND_IN_FOR_SYSCALL
namespace {

long answer(long code) {
    if (code == 0) return 0;
    errno = static_cast<int>(code);
    return -1;
}

} // namespace

// Reads six arguments whatever the call has, as the C library's does: not for an address sanitizer.
extern "C" __attribute__((no_sanitize("address"))) long syscall(long number, ...) noexcept {
    long a[6];
    std::va_list given;
    va_start(given, number);
    for (long& each : a) each = va_arg(given, long);
    va_end(given);
    if (numa_stand_in* in = numa_stand_in::active) {
        if (number == SYS_mbind) {
            in->binds.push_back({static_cast<std::uintptr_t>(a[0]), static_cast<std::uint64_t>(a[1]),
                                 static_cast<int>(a[2]), *reinterpret_cast<const unsigned long*>(a[3]),
                                 static_cast<unsigned long>(a[4])});
            return answer(in->mbind_errno != 0 && in->binds.size() > in->refuse_from ? in->mbind_errno : 0);
        }
        if (number == SYS_move_pages && in->move_pages_errno != 0) return answer(in->move_pages_errno);
        if (number == SYS_move_pages && !in->pages_on.empty()) {
            auto* nodes = reinterpret_cast<int*>(a[4]);
            for (long i = 0; i < a[1]; ++i) nodes[i] = in->pages_on[static_cast<std::size_t>(i) % in->pages_on.size()];
            return 0;
        }
        if (number == SYS_get_mempolicy && in->get_mempolicy_errno != 0) return answer(in->get_mempolicy_errno);
    }
    long code;
    asm volatile("mov %[four], %%r10\n\t"
                 "mov %[five], %%r8\n\t"
                 "mov %[six], %%r9\n\t"
                 "syscall"
                 : "=a"(code)
                 : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), [four] "m"(a[3]), [five] "m"(a[4]), [six] "m"(a[5])
                 : "rcx", "r8", "r9", "r10", "r11", "memory");
    return code < 0 ? answer(-code) : code;
}
#endif

using namespace barelink;

namespace {

const std::uint64_t page = detail::system_page_bytes();

bool all_zero(const host_mapping& m) {
    const char* at = static_cast<const char*>(m.data());
    return at[0] == 0 && std::memcmp(at, at + 1, m.bytes() - 1) == 0;
}
/// Pages that are there, by the kernel's count.
std::uint64_t resident(const host_mapping& m) {
    std::vector<unsigned char> there(m.bytes() / page);
    REQUIRE(::mincore(m.data(), m.bytes(), there.data()) == 0);
    return static_cast<std::uint64_t>(
        std::count_if(there.begin(), there.end(), [](unsigned char one) { return (one & 1) != 0; }));
}
bool mentions(const std::vector<std::string>& notes, const char* what) {
    return std::any_of(notes.begin(), notes.end(),
                       [&](const std::string& note) { return note.find(what) != std::string::npos; });
}

} // namespace

TEST_CASE("A mapping has the size that was asked for in whole pages, all of them there and zero") {
    for (const std::uint64_t bytes :
         {std::uint64_t{1}, page - 1, page, page + 1, 2 * MiB - 1, 2 * MiB, 2 * MiB + 1, 37 * MiB + 5})
        for (const auto pages : {host_mapping_options::huge_pages::never, host_mapping_options::huge_pages::transparent,
                                 host_mapping_options::huge_pages::reserved_or_transparent}) {
            const auto made = host_mapping::make(bytes, {{numa_id{0}}}, {.pages = pages});
            REQUIRE(made);
            CHECK(made->bytes() == round_up(bytes, made->page_bytes()));
            CHECK(made->page_bytes() >= page);
            CHECK(resident(*made) == made->bytes() / page);
            CHECK(all_zero(*made));
            if (bytes >= 2 * MiB) CHECK(reinterpret_cast<std::uintptr_t>(made->data()) % (2 * MiB) == 0);
            std::memset(made->data(), 0x5a, made->bytes());
        }
}

TEST_CASE("Any number of threads fills a mapping, striped or not") {
    for (const unsigned threads : {0u, 1u, 2u, 7u, 64u})
        for (const std::uint64_t bytes : {5 * page, 16 * MiB + page, 61 * MiB}) {
            const auto made = host_mapping::make(bytes, {{}, 32 * MiB}, {.threads = threads});
            REQUIRE(made);
            CHECK(resident(*made) == bytes / page);
            CHECK(made->notes().empty());
            CHECK_FALSE(made->check().known); // nothing was asked for
            const auto striped =
                host_mapping::make(bytes, {{numa_id{0}, numa_id{0}, numa_id{0}}, 2 * page}, {.threads = threads});
            REQUIRE(striped);
            CHECK(resident(*striped) == bytes / page);
        }
}

TEST_CASE("Slices of all parts cover every byte once and end at stripes") {
    for (const std::uint64_t parts : {1u, 2u, 3u, 8u})
        for (const std::uint64_t stripe : {page, 3 * page, 8 * MiB, 20 * MiB})
            for (const std::uint64_t bytes : {page, 8 * MiB, 33 * MiB + page, 100 * MiB}) {
                const detail::slice_deal deal(bytes, stripe, parts);
                std::uint64_t sum = 0;
                std::vector<std::pair<std::uint64_t, std::uint64_t>> all;
                for (std::uint64_t part = 0; part < parts; ++part)
                    for (std::uint64_t i = 0; deal.at(part, i).bytes > 0; ++i) {
                        const auto slice = deal.at(part, i);
                        if (parts > 1) {
                            REQUIRE(slice.offset / stripe % parts == part);
                            REQUIRE(slice.offset / stripe == (slice.offset + slice.bytes - 1) / stripe);
                        }
                        all.emplace_back(slice.offset, slice.bytes);
                        sum += slice.bytes;
                    }
                std::sort(all.begin(), all.end());
                for (std::size_t i = 1; i < all.size(); ++i)
                    REQUIRE(all[i - 1].first + all[i - 1].second == all[i].first);
                CHECK(sum == bytes);
            }
}

TEST_CASE("What cannot be mapped is refused, with the bytes and the way out") {
    CHECK(host_mapping::make(0, {}).error().code() == errc::invalid_argument);
    CHECK(host_mapping::make(page, {{numa_id{0}, numa_id{1}}, 0}).error().code() == errc::invalid_argument);
    const auto odd = host_mapping::make(page, {{numa_id{0}, numa_id{1}}, page + 1});
    REQUIRE_FALSE(odd);
    CHECK(std::strstr(odd.error().what(), std::to_string(page).c_str()));
    CHECK(host_mapping::make(page, {{numa_id{-1}}}).error().code() == errc::invalid_argument);
    CHECK(std::string(host_mapping::make(page, {{numa_id{1024}}}).error().object()) == "numa:1024");
    for (const std::uint64_t bytes :
         {max_transfer_bytes + 1, max_transfer_bytes, ~std::uint64_t{0}, std::uint64_t{1} << 46}) {
        const auto made = host_mapping::make(bytes, {{numa_id{0}}});
        REQUIRE_FALSE(made);
        CHECK(made.error().code() == errc::out_of_memory);
        CHECK(made.error().bytes() == bytes);
        CHECK(std::strstr(made.error().what(), std::to_string(bytes).c_str()));
    }
}

TEST_CASE("A mapping moves with its address and goes when it is released") {
    auto first = host_mapping::make(3 * page, {{numa_id{0}}});
    REQUIRE(first);
    void* const at = first->data();
    host_mapping second = *std::move(first);
    CHECK(first->data() == nullptr);
    CHECK(second.data() == at);
    CHECK(second.bytes() == 3 * page);
    second = *host_mapping::make(page, {});
    CHECK(second.bytes() == page);
    second.release();
    CHECK(second.data() == nullptr);
    CHECK(second.bytes() == 0);
    second.release();
}

TEST_CASE("Pages are filled by a call that can say no, or by touching them") {
    const auto made = host_mapping::make(4 * page, {});
    REQUIRE(made);
    char* const at = static_cast<char*>(made->data());
    REQUIRE(::madvise(at, 4 * page, MADV_DONTNEED) == 0);
    const bool can = detail::can_populate(at);
    CHECK(resident(*made) == 0);
    CHECK(detail::fill(at, 3 * page, page, detail::fill_mode::touch) == 0);
    CHECK(resident(*made) == 3);
    if (!can) return; // a kernel before 5.14
    CHECK(detail::fill(at, 4 * page, page, detail::fill_mode::populate) == 0);
    CHECK(resident(*made) == 4);
    REQUIRE(::munmap(at + 2 * page, page) == 0);
    CHECK(detail::populate(at, 4 * page) == ENOMEM);
}

TEST_CASE("Lists of CPUs read as the kernel writes them") {
    const auto count = [](const char* text) { return detail::read_cpu_list(text).count(); };
    CHECK(count("0-1\n") == 2);
    CHECK(count("0-15,32-47,80\n") == 33);
    CHECK(detail::read_cpu_list("0-15,32-47,80\n").has(80));
    CHECK_FALSE(detail::read_cpu_list("0-15,32-47,80\n").has(16));
    CHECK(count("\n") == 0);
    CHECK(count("") == 0);
    CHECK(count("7") == 1);
    CHECK(count("3-") == 0);
    CHECK(count("99999999") == 0);
    CHECK(detail::cpus_of(unknown_numa).count() == 0);
    CHECK(detail::cpus_of(numa_id{1000}).count() == 0);
    CHECK(detail::allowed_cpus().count() >= 1);
}

#if CAN_STAND_IN_FOR_SYSCALL

TEST_CASE("Every stripe is bound to its node, preferring it and no more") {
    for (const std::uint64_t bytes : {2 * MiB, 10 * MiB + page, 12 * MiB}) {
        numa_stand_in kernel;
        kernel.pages_on = {-ENOENT};
        const auto made = host_mapping::make(bytes, {{numa_id{3}, numa_id{0}, numa_id{9}}, 2 * MiB});
        REQUIRE(made);
        CHECK(made->notes().empty());
        const auto base = reinterpret_cast<std::uintptr_t>(made->data());
        std::sort(kernel.binds.begin(), kernel.binds.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
        REQUIRE(kernel.binds.size() == divide_up(bytes, 2 * MiB));
        const std::uint64_t nodes[] = {1u << 3, 1u << 0, 1u << 9};
        for (std::size_t i = 0; i < kernel.binds.size(); ++i) {
            CHECK(kernel.binds[i].at == base + i * 2 * MiB);
            CHECK(kernel.binds[i].bytes == std::min(2 * MiB, bytes - i * 2 * MiB));
            CHECK(kernel.binds[i].policy == 1); // MPOL_PREFERRED
            CHECK(kernel.binds[i].nodes == nodes[i % 3]);
            CHECK(kernel.binds[i].bits == 1025);
        }
    }
    numa_stand_in kernel;
    kernel.pages_on = {7};
    const auto whole = host_mapping::make(50 * MiB, {{numa_id{7}}, 0});
    REQUIRE(whole);
    REQUIRE(kernel.binds.size() == 1);
    CHECK(kernel.binds[0].bytes == 50 * MiB);
    CHECK(kernel.binds[0].nodes == 1u << 7);
    CHECK(whole->check().known);
    CHECK(whole->check().pages_checked == std::min<std::uint64_t>(512, whole->bytes() / whole->page_bytes()));
    CHECK(whole->check().pages_elsewhere == 0);
    kernel.binds.clear();
    REQUIRE(host_mapping::make(page, {}));
    CHECK(kernel.binds.empty());
}

TEST_CASE("A binding that is refused is a note, and the memory is there all the same") {
    const std::pair<int, const char*> reasons[] = {{EPERM, "CAP_SYS_NICE"},
                                                   {ENOSYS, "no mbind"},
                                                   {EINVAL, "no such node"},
                                                   {ENOMEM, "max_map_count"},
                                                   {EIO, "mbind failed"}};
    for (const auto& [code, words] : reasons)
        for (const std::uint64_t granted : {0u, 2u}) {
            numa_stand_in kernel;
            kernel.mbind_errno = code;
            kernel.refuse_from = granted;
            kernel.move_pages_errno = EPERM;
            const auto made = host_mapping::make(8 * MiB, {{numa_id{0}, numa_id{900}}, MiB});
            REQUIRE(made);
            CHECK(resident(*made) == 8 * MiB / page);
            CHECK(mentions(made->notes(), words));
            CHECK(mentions(made->notes(), "numa:900"));
            CHECK(mentions(made->notes(), "no CPU of that node"));
            CHECK_FALSE(made->check().known);
        }
}

TEST_CASE("Pages on other nodes are counted") {
    numa_stand_in kernel;
    kernel.pages_on = {5, 5, 5, 2};
    const auto made = host_mapping::make(8 * MiB, {{numa_id{5}}}, {.pages = host_mapping_options::huge_pages::never});
    REQUIRE(made);
    CHECK(made->check().pages_checked == 512);
    CHECK(made->check().pages_elsewhere == 128);
    REQUIRE(made->notes().size() == 1);
    CHECK(made->notes()[0] == "128 of 512 pages checked lie on another NUMA node than asked");
    kernel.pages_on = {5, -ENOENT};
    CHECK(made->check().pages_checked == 256);
    CHECK(made->check().pages_elsewhere == 0);
}

TEST_CASE("The node of an address is the kernel's answer or an error that says why not") {
    const auto made = host_mapping::make(page, {{numa_id{0}}});
    REQUIRE(made);
    {
        numa_stand_in kernel;
        for (const int code : {EPERM, ENOSYS}) {
            kernel.get_mempolicy_errno = code;
            const auto denied = node_of(made->data());
            REQUIRE_FALSE(denied);
            CHECK(denied.error().code() == errc::not_permitted);
            CHECK(denied.error().native() == code);
        }
        kernel.get_mempolicy_errno = EFAULT;
        CHECK(node_of(made->data()).error().code() == errc::invalid_argument);
    }
    if (const auto answered = node_of(made->data())) {
        CHECK(answered->value >= 0);
        CHECK(node_of(nullptr).error().code() == errc::invalid_argument);
    } else {
        CHECK(answered.error().code() == errc::not_permitted); // this test runs where the kernel does not say
    }
}

#endif
