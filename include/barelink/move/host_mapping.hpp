// Host memory that lies where it is asked to: mapped, bound to NUMA nodes, filled, checked.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <barelink/core/result.hpp>
#include <barelink/move/detail/numa_calls.hpp>
#include <barelink/move/detail/prefault.hpp>

BARELINK_BEGIN_NAMESPACE

/// Where a mapping lies. One node: all of it there. Several: stripes in turn, the first on the first. None: wherever the
/// kernel puts it.
struct host_layout {
    std::vector<numa_id> nodes;
    std::uint64_t stripe_bytes = 32 * MiB; ///< a multiple of the page size; of 2 MiB, or there are no huge pages

    /// The node that a byte is to lie on; unknown without nodes.
    [[nodiscard]] numa_id node_at(std::uint64_t offset) const noexcept {
        if (nodes.empty()) return unknown_numa;
        return nodes.size() == 1 ? nodes[0] : nodes[offset / stripe_bytes % nodes.size()];
    }
};

struct host_mapping_options {
    /// Threads that fill it, over all nodes. 0: what the nodes' CPUs allow, at most 32 (published: 16 to 32 threads fill
    /// 8 GiB and register it in 0.92 to 1.03 s, where cudaHostAlloc takes 2.8 s).
    unsigned threads = 0;
    /// Huge pages make pinning and address translation cheaper. `reserved` ones are those set aside in vm.nr_hugepages. On a
    /// host whose memory is fragmented the kernel may take long to make transparent ones: `never` is the way out.
    enum class huge_pages : std::uint8_t { never, transparent, reserved_or_transparent };
    huge_pages pages = huge_pages::reserved_or_transparent;
};

/// What a look at a sample of pages found.
struct placement_check {
    bool known = false; ///< false where the kernel does not say, or nothing particular was asked for
    std::uint64_t pages_checked = 0;
    std::uint64_t pages_elsewhere = 0;
};

/// The node that the page of an address lies on; the page is read in when it is not there yet.
/// Errors: invalid_argument (not an address of this process), not_permitted (a container's seccomp profile).
[[nodiscard]] inline result<numa_id> node_of(const void* at) {
    int node = -1;
    const int code = detail::node_of_page(at, node);
    if (code == 0) return numa_id{node};
    if (code == EFAULT || code == EINVAL)
        return error(errc::invalid_argument, "there is no memory at this address").natively(code);
    return error(errc::not_permitted,
                 "the kernel does not say where memory lies: containers need CAP_SYS_NICE for that")
        .natively(code);
}

/// Owns one contiguous private mapping, every page of it there. Not pinned yet: see `pinned_pool`. Movable; the address
/// stays. A forked child shares the pages until one of the two writes.
///
/// Nodes are preferred, not commanded: when one is full, pages come from the next and `check` says how many. A strict
/// binding would have the kernel kill processes for want of memory on that one node.
class host_mapping {
public:
    /// Maps `bytes`, rounded up to pages, and returns when all are filled with zeros. Blocks for as long as that takes: 0.3 to
    /// 1 s for 4 GiB with two threads on a 2-core VM. What could not be done as asked is in `notes`; nothing is kept on failure.
    /// Errors: invalid_argument (no bytes, stripes that are not whole pages, a node below 0 or above 1023), out_of_memory
    /// (more than the machine or the container has left, or the kernel runs out while the pages are filled).
    [[nodiscard]] static result<host_mapping> make(std::uint64_t bytes, const host_layout& layout,
                                                   const host_mapping_options& options = {});
    host_mapping(host_mapping&& other) noexcept { swap(other); }
    host_mapping& operator=(host_mapping other) noexcept {
        swap(other);
        return *this;
    }
    ~host_mapping() { release(); }

    [[nodiscard]] void* data() const noexcept { return base_; }
    /// What is mapped: what was asked for, rounded up to pages.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    /// 2 MiB for reserved huge pages, else the system's; transparent huge pages do not show.
    [[nodiscard]] std::uint64_t page_bytes() const noexcept { return page_bytes_; }
    [[nodiscard]] const host_layout& layout() const noexcept { return layout_; }
    /// Asks the kernel where at most 512 pages lie, spread over the mapping.
    [[nodiscard]] placement_check check() const;
    /// What could not be done as asked, one sentence each; empty when everything was.
    [[nodiscard]] const std::vector<std::string>& notes() const noexcept { return notes_; }
    /// Gives the memory back now; `data` is null afterwards.
    void release() noexcept {
        if (base_) ::munmap(base_, bytes_);
        base_ = nullptr;
        bytes_ = 0;
    }
    /// Gives the memory up without giving it back: for what a driver still holds, and might write when it is somebody else's.
    void abandon() noexcept {
        base_ = nullptr;
        bytes_ = 0;
    }

private:
    host_mapping() noexcept = default;
    void swap(host_mapping& other) noexcept {
        std::swap(base_, other.base_);
        std::swap(bytes_, other.bytes_);
        std::swap(page_bytes_, other.page_bytes_);
        std::swap(layout_, other.layout_);
        std::swap(notes_, other.notes_);
    }
    [[nodiscard]] bool map_reserved(std::uint64_t bytes) noexcept;
    [[nodiscard]] int map(std::uint64_t bytes, bool huge) noexcept;
    [[nodiscard]] int place_and_fill(const host_mapping_options& options);
    [[nodiscard]] std::vector<detail::prefault_part> bind(const host_mapping_options& options);
    [[nodiscard]] std::uint64_t bytes_on(std::uint64_t part) const noexcept;
    void look();

    char* base_ = nullptr;
    std::uint64_t bytes_ = 0, page_bytes_ = 0;
    host_layout layout_;
    std::vector<std::string> notes_;
};

inline result<host_mapping> host_mapping::make(std::uint64_t bytes, const host_layout& layout,
                                               const host_mapping_options& options) {
    using huge_pages = host_mapping_options::huge_pages;
    const std::uint64_t page = detail::system_page_bytes();
    if (bytes == 0) return error(errc::invalid_argument, "a mapping of no bytes was asked for");
    if (layout.nodes.size() > 1 && (layout.stripe_bytes == 0 || layout.stripe_bytes % page != 0))
        return error(errc::invalid_argument,
                     text::join({"stripes of ", std::to_string(layout.stripe_bytes).c_str(),
                                 " bytes cannot lie on different nodes: take a multiple of the page size, ",
                                 std::to_string(page).c_str()}));
    for (const numa_id node : layout.nodes)
        if (!detail::node_mask::holds(node))
            return error(errc::invalid_argument, "NUMA nodes are counted from 0 to 1023")
                .about(("numa:" + std::to_string(node.value)).c_str());

    host_mapping made;
    made.layout_ = layout;
    const bool huge = options.pages != huge_pages::never &&
                      (layout.nodes.size() < 2 || layout.stripe_bytes % detail::huge_page_bytes == 0);
    if (huge && options.pages == huge_pages::reserved_or_transparent && made.map_reserved(bytes)) {
        if (made.place_and_fill(options) == 0) {
            made.look();
            return result<host_mapping>(std::move(made));
        }
        made.release(); // some pages were gone after all: ordinary ones will do
        made.notes_.clear();
    }
    const std::uint64_t left = detail::fillable_bytes();
    const auto refuse = [&](const char* what, int code) {
        return error(errc::out_of_memory,
                     text::join({what, ": ", std::to_string(bytes).c_str(), " bytes of host memory asked for, ",
                                 left == ~std::uint64_t{0} ? "an unknown number" : std::to_string(left).c_str(),
                                 " left; ask for less, or stop what holds the rest"}))
            .asking(bytes)
            .natively(code);
    };
    if (bytes > left || bytes > max_transfer_bytes) return refuse("there is not enough memory", ENOMEM);
    if (const int code = made.map(round_up(bytes, page), huge); code != 0)
        return refuse("the kernel gives no addresses (see vm.overcommit_memory and ulimit -v)", code);
    if (const int code = made.place_and_fill(options); code != 0)
        return refuse("the kernel ran out of pages while it filled the mapping", code);
    made.look();
    return result<host_mapping>(std::move(made)); // by name: nvcc 13.0 does not move into the result by itself
}

/// Maps reserved huge pages when there are enough of them, on every node that is asked for.
inline bool host_mapping::map_reserved(std::uint64_t bytes) noexcept {
    constexpr std::uint64_t page = detail::huge_page_bytes;
    constexpr int size_2_mib = 21 << 26; // MAP_HUGE_2MB
    if (bytes > max_transfer_bytes || divide_up(bytes, page) > detail::free_huge_pages()) return false;
    bytes_ = round_up(bytes, page);
    page_bytes_ = page;
    bool enough = true;
    for (std::uint64_t part = 0; part < layout_.nodes.size(); ++part)
        enough &= detail::free_huge_pages(layout_.nodes[part]) * page >= bytes_on(part);
    void* at = !enough ? MAP_FAILED
                       : ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | size_2_mib, -1, 0);
    if (at == MAP_FAILED) {
        bytes_ = 0;
        return false;
    }
    base_ = static_cast<char*>(at);
    return true;
}

/// Returns 0 or an errno. Larger mappings start where a huge page could.
inline int host_mapping::map(std::uint64_t bytes, bool huge) noexcept {
    constexpr std::uint64_t aligned = detail::huge_page_bytes;
    const std::uint64_t more = bytes >= aligned ? aligned : 0;
    void* at = ::mmap(nullptr, bytes + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return errno;
    char* const start = static_cast<char*>(at);
    const std::uint64_t skipped =
        more == 0 ? 0 : (aligned - reinterpret_cast<std::uintptr_t>(start) % aligned) % aligned;
    if (skipped > 0) ::munmap(start, skipped);
    if (more > skipped) ::munmap(start + skipped + bytes, more - skipped);
    base_ = start + skipped;
    bytes_ = bytes;
    page_bytes_ = detail::system_page_bytes();
    if (huge && more > 0 && detail::may_advise_huge_pages()) (void)::madvise(base_, bytes_, MADV_HUGEPAGE);
    return 0;
}

/// Returns 0 or an errno.
inline int host_mapping::place_and_fill(const host_mapping_options& options) {
    const auto parts = bind(options);
    detail::fill_mode how = detail::fill_mode::populate;
    if (!detail::can_populate(base_)) {
        // An older kernel. A reserved page that is not there would be a signal, so there are none of those then.
        if (page_bytes_ == detail::huge_page_bytes) return EINVAL;
        how = detail::fill_mode::touch;
    }
    return detail::prefault(base_, detail::slice_deal(bytes_, layout_.stripe_bytes, parts.size()), parts, page_bytes_,
                            how);
}

/// The bytes whose stripes fall to a node.
inline std::uint64_t host_mapping::bytes_on(std::uint64_t part) const noexcept {
    if (layout_.nodes.size() < 2) return bytes_;
    const std::uint64_t round = layout_.stripe_bytes * layout_.nodes.size(), begin = part * layout_.stripe_bytes;
    const std::uint64_t rest = bytes_ % round > begin ? bytes_ % round - begin : 0;
    return bytes_ / round * layout_.stripe_bytes + (rest < layout_.stripe_bytes ? rest : layout_.stripe_bytes);
}

/// Tells the kernel, stripe by stripe, and says who is to fill what.
inline std::vector<detail::prefault_part> host_mapping::bind(const host_mapping_options& options) {
    const std::uint64_t count = layout_.nodes.size();
    std::vector<int> refused(count, 0);
    for (std::uint64_t part = 0; part < count; ++part) {
        detail::node_mask mask;
        mask.add(layout_.nodes[part]);
        const std::uint64_t stripe = count > 1 ? layout_.stripe_bytes : bytes_;
        for (std::uint64_t at = part * stripe; at < bytes_ && refused[part] == 0; at += count * stripe)
            refused[part] = detail::bind_pages(base_ + at, stripe < bytes_ - at ? stripe : bytes_ - at,
                                               detail::memory_policy::preferred, mask);
    }

    const detail::cpu_mask allowed = detail::allowed_cpus();
    const unsigned most = options.threads > 0 ? options.threads : 32;
    std::vector<detail::prefault_part> parts(count > 0 ? count : 1);
    for (std::uint64_t part = 0; part < parts.size(); ++part) {
        const numa_id node = count > 0 ? layout_.nodes[part] : unknown_numa;
        const detail::cpu_mask near = detail::cpus_of(node) & allowed;
        const bool by_first_touch = count > 0 && refused[part] != 0;
        // Below 8 MiB a thread costs more than it saves, unless it has to be on the node.
        std::uint64_t threads = bytes_on(part) / (8 * MiB);
        const unsigned cpus = near.count() > 0 ? near.count() : allowed.count();
        const unsigned share = most / static_cast<unsigned>(parts.size());
        if (threads > cpus && options.threads == 0) threads = cpus;
        if (threads > share) threads = share;
        if (threads == 0 && (parts.size() > 1 || (by_first_touch && near.count() > 0))) threads = 1;
        parts[part] = {near, static_cast<unsigned>(threads)};
        if (!by_first_touch || bytes_on(part) == 0) continue;

        detail::cpu_mask only;
        only.add(static_cast<std::uint64_t>(node.value));
        if (detail::nodes_online() == only) continue; // it can be nowhere else
        notes_.push_back("memory could not be bound to numa:" + std::to_string(node.value) + " (" +
                         detail::why_not_bound(refused[part]) +
                         (near.count() > 0 ? "); it was first touched by threads on that node's CPUs instead"
                                           : "); no CPU of that node could touch it first either"));
    }
    return parts;
}

inline placement_check host_mapping::check() const {
    constexpr std::uint64_t most = 512;
    placement_check found;
    if (layout_.nodes.empty() || !base_) return found;
    const std::uint64_t pages = bytes_ / page_bytes_, count = pages < most ? pages : most;
    std::vector<void*> at(count);
    std::vector<int> node(count, -1);
    std::uint64_t random = 1; // so that the samples do not keep step with the stripes
    for (std::uint64_t i = 0; i < count; ++i) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        const std::uint64_t first = i * pages / count, behind = (i + 1) * pages / count;
        at[i] = base_ + (first + (random >> 33) % (behind - first)) * page_bytes_;
    }
    if (detail::nodes_of_pages(at.data(), count, node.data()) != 0) return found;
    for (std::uint64_t i = 0; i < count; ++i) {
        if (node[i] < 0) continue;
        ++found.pages_checked;
        const auto offset = static_cast<std::uint64_t>(static_cast<char*>(at[i]) - base_);
        found.pages_elsewhere += node[i] != layout_.node_at(offset).value;
    }
    found.known = found.pages_checked > 0;
    return found;
}

/// Checks once, for the notes.
inline void host_mapping::look() {
    const placement_check found = check();
    if (found.pages_elsewhere > 0)
        notes_.push_back(std::to_string(found.pages_elsewhere) + " of " + std::to_string(found.pages_checked) +
                         " pages checked lie on another NUMA node than asked");
}

BARELINK_END_NAMESPACE
