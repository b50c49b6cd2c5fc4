// Pages, bindings and policies of the simulated process.
#include "numa.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <utility>

#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <unistd.h>

#include "numa_calls.hpp"

namespace simcuda::numa {
namespace {

/// Bound memory: on one node, or page by page over several.
struct binding {
    std::uintptr_t end;
    std::vector<std::int32_t> nodes;
};

struct table {
    std::recursive_mutex gate; ///< looking at pages may unmap one
    std::map<std::uintptr_t, binding> bindings;
    std::vector<std::int32_t> nodes; ///< of the machine
};

table& the_table() {
    static table* const only = new table;
    return *only;
}

constinit std::atomic<bool> denied{false};
constinit std::atomic<std::uint64_t> generation{1};

struct policy {
    std::uint64_t made = 0;
    int mode = MPOL_DEFAULT;
    std::vector<std::int32_t> nodes;
};
policy& thread_policy() {
    thread_local policy mine;
    if (mine.made != generation) mine = {generation, MPOL_DEFAULT, {}};
    return mine;
}

std::uintptr_t page_bytes() {
    static const auto bytes = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    return bytes;
}

/// Ends every binding at an address, so that what is before and behind it can be changed on its own.
void cut(table& t, std::uintptr_t at) {
    auto after = t.bindings.upper_bound(at);
    if (after == t.bindings.begin()) return;
    auto& [base, bound] = *std::prev(after);
    if (base == at || bound.end <= at) return;
    t.bindings.emplace(at, bound);
    bound.end = at;
}

void assign(table& t, std::uintptr_t base, std::uint64_t bytes, const std::vector<std::int32_t>& nodes) {
    if (bytes == 0) return;
    const std::uintptr_t page = page_bytes();
    const std::uintptr_t first = base / page * page, end = (base + bytes + page - 1) / page * page;
    cut(t, first);
    cut(t, end);
    t.bindings.erase(t.bindings.lower_bound(first), t.bindings.lower_bound(end));
    if (!nodes.empty()) t.bindings.emplace(first, binding{end, nodes});
}

std::int32_t node_in(const binding& bound, std::uintptr_t address) {
    return bound.nodes[address / page_bytes() % bound.nodes.size()];
}

/// The nodes of a mask. False when one of them is not in the machine.
bool nodes_of(const table& t, const unsigned long* mask, unsigned long bits, std::vector<std::int32_t>& found) {
    constexpr unsigned long word = 8 * sizeof(unsigned long);
    for (unsigned long n = 0; mask && n + 1 < bits; ++n) { // the kernel ignores the last bit
        if ((mask[n / word] >> (n % word) & 1) == 0) continue;
        found.push_back(static_cast<std::int32_t>(n));
        if (std::find(t.nodes.begin(), t.nodes.end(), found.back()) == t.nodes.end()) return false;
    }
    return true;
}

bool write_mask(const std::vector<std::int32_t>& nodes, unsigned long* mask, unsigned long bits) {
    constexpr unsigned long word = 8 * sizeof(unsigned long);
    for (unsigned long n = 0; n < (bits + word - 1) / word; ++n) mask[n] = 0;
    for (const std::int32_t node : nodes) {
        const auto n = static_cast<unsigned long>(node);
        if (n >= bits) return false;
        mask[n / word] |= 1ul << (n % word);
    }
    return true;
}

/// What a policy comes to: one node for those that name a first choice, all of them where pages alternate, none by default.
std::vector<std::int32_t> placing(int mode, std::vector<std::int32_t> nodes) {
    constexpr int weighted_interleave = 6;
    if (mode == MPOL_DEFAULT || mode == MPOL_LOCAL) return {};
    if (mode != MPOL_INTERLEAVE && mode != weighted_interleave && nodes.size() > 1)
        nodes.erase(nodes.begin() + 1, nodes.end()); // not resize: g++ 12 warns of bounds where there is nothing wrong
    return nodes;
}

constexpr int mode_of(long mode) {
    return static_cast<int>(mode & 0xfff); // the rest are flags
}

/// Whether each page of a range has been touched, by mincore; empty where some of it is not mapped.
std::vector<unsigned char> touched_pages(std::uintptr_t first, std::uint64_t bytes) {
    std::vector<unsigned char> pages((bytes + page_bytes() - 1) / page_bytes());
    if (mincore(reinterpret_cast<void*>(first), bytes, pages.data()) != 0) pages.clear();
    return pages;
}

/// Some sandboxes call every page touched. Not to be asked under the table's lock: it maps memory.
bool touch_shows() {
    static const bool shows = [] {
        void* const fresh = mmap(nullptr, page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (fresh == MAP_FAILED) return false;
        const auto page = touched_pages(reinterpret_cast<std::uintptr_t>(fresh), page_bytes());
        ::munmap(fresh, page_bytes());
        return page.size() == 1 && (page[0] & 1) == 0;
    }();
    return shows;
}

std::int32_t node_at(const table& t, std::uintptr_t address) {
    const auto after = t.bindings.upper_bound(address);
    const bool bound = after != t.bindings.begin() && std::prev(after)->second.end > address;
    return bound ? node_in(std::prev(after)->second, address) : local_node();
}

/// Pages that are there stay where they are.
void assign_untouched(table& t, std::uintptr_t base, std::uint64_t bytes, const std::vector<std::int32_t>& nodes) {
    const std::vector<unsigned char> touched = touched_pages(base, bytes);
    std::vector<std::pair<std::uintptr_t, std::int32_t>> stay;
    for (std::size_t i = 0; i < touched.size(); ++i)
        if (touched[i] & 1) stay.emplace_back(base + i * page_bytes(), node_at(t, base + i * page_bytes()));
    assign(t, base, bytes, nodes);
    for (std::size_t i = 0; i < stay.size();) { // neighbours on one node together
        std::size_t end = i + 1;
        while (end < stay.size() && stay[end].second == stay[i].second &&
               stay[end].first == stay[i].first + (end - i) * page_bytes())
            ++end;
        assign(t, stay[i].first, (end - i) * page_bytes(), {stay[i].second});
        i = end;
    }
}

} // namespace

void set_nodes(const barelink::machine& m) {
    table& t = the_table();
    const std::lock_guard held(t.gate);
    t.nodes.clear();
    for (const barelink::node& each : m.nodes)
        if (each.kind == barelink::node_kind::memory) t.nodes.push_back(each.index);
}

void deny(bool now) {
    denied = now;
}

void forget_all() {
    table& t = the_table();
    const std::lock_guard held(t.gate);
    t.bindings.clear();
    denied = false;
    ++generation;
}

void place(std::uintptr_t base, std::uint64_t bytes, std::int32_t node) {
    table& t = the_table();
    const std::lock_guard held(t.gate);
    assign(t, base, bytes, {node});
}

void forget(std::uintptr_t base, std::uint64_t bytes) {
    table& t = the_table();
    const std::lock_guard held(t.gate);
    assign(t, base, bytes, {});
}

std::int32_t local_node() {
    const std::vector<std::int32_t> asked = placing(thread_policy().mode, thread_policy().nodes);
    if (!asked.empty()) return asked.front();
    const table& t = the_table();
    return t.nodes.empty() ? 0 : t.nodes.front();
}

std::int32_t node_of(std::uintptr_t address) {
    table& t = the_table();
    const std::lock_guard held(t.gate);
    return node_at(t, address);
}

std::vector<run> runs_of(std::uintptr_t base, std::uint64_t bytes) {
    table& t = the_table();
    const std::lock_guard held(t.gate);
    std::vector<run> found;
    const auto add = [&](std::uintptr_t end, std::int32_t node) {
        if (!found.empty() && found.back().node == node)
            found.back().end = end;
        else
            found.push_back({end, node});
    };
    const std::uintptr_t limit = base + bytes, page = page_bytes();
    for (std::uintptr_t at = base; at < limit;) {
        const auto after = t.bindings.upper_bound(at);
        const bool bound = after != t.bindings.begin() && std::prev(after)->second.end > at;
        std::uintptr_t end = after == t.bindings.end() ? limit : std::min(limit, after->first);
        if (!bound) {
            add(end, local_node());
        } else {
            const binding& here = std::prev(after)->second;
            end = std::min(limit, here.end);
            if (here.nodes.size() > 1) end = std::min(end, (at / page + 1) * page);
            add(end, node_in(here, at));
        }
        at = end;
    }
    return found;
}

long mbind(std::uintptr_t base, unsigned long bytes, long mode, const unsigned long* mask, unsigned long bits,
           unsigned flags) {
    table& t = the_table();
    if (denied) return -EPERM;
    if (base % page_bytes() != 0) return -EINVAL;
    const bool moves = (flags & (MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)) != 0 || !touch_shows();
    const std::lock_guard held(t.gate);
    std::vector<std::int32_t> nodes;
    if (!nodes_of(t, mask, bits, nodes)) return -EINVAL;
    const bool needs_none = mode_of(mode) == MPOL_DEFAULT || mode_of(mode) == MPOL_LOCAL;
    if (needs_none ? !nodes.empty() : nodes.empty() && mode_of(mode) != MPOL_PREFERRED) return -EINVAL;
    if (moves)
        assign(t, base, bytes, placing(mode_of(mode), std::move(nodes)));
    else
        assign_untouched(t, base, bytes, placing(mode_of(mode), std::move(nodes)));
    return 0;
}

long set_mempolicy(long mode, const unsigned long* mask, unsigned long bits) {
    table& t = the_table();
    if (denied) return -EPERM;
    const std::lock_guard held(t.gate);
    std::vector<std::int32_t> nodes;
    if (!nodes_of(t, mask, bits, nodes)) return -EINVAL;
    const bool needs_none = mode_of(mode) == MPOL_DEFAULT || mode_of(mode) == MPOL_LOCAL;
    if (needs_none ? !nodes.empty() : nodes.empty() && mode_of(mode) != MPOL_PREFERRED) return -EINVAL;
    thread_policy().mode = mode_of(mode);
    thread_policy().nodes = std::move(nodes);
    return 0;
}

long get_mempolicy(int* mode, unsigned long* mask, unsigned long bits, std::uintptr_t address, unsigned long flags) {
    table& t = the_table();
    if (denied) return -EPERM;
    if (flags & MPOL_F_MEMS_ALLOWED) {
        const std::lock_guard held(t.gate);
        return !mask || write_mask(t.nodes, mask, bits) ? 0 : -EINVAL;
    }
    if ((flags & MPOL_F_ADDR) == 0) {
        if (address != 0) return -EINVAL;
        if (mode) *mode = (flags & MPOL_F_NODE) ? local_node() : thread_policy().mode;
        return !mask || write_mask(thread_policy().nodes, mask, bits) ? 0 : -EINVAL;
    }
    if (touched_pages(address / page_bytes() * page_bytes(), 1).empty()) return -EFAULT;
    if (flags & MPOL_F_NODE) {
        if (mode) *mode = node_of(address);
        return 0;
    }
    const std::lock_guard held(t.gate);
    const auto after = t.bindings.upper_bound(address);
    const bool bound = after != t.bindings.begin() && std::prev(after)->second.end > address;
    const std::vector<std::int32_t> nodes = bound ? std::prev(after)->second.nodes : std::vector<std::int32_t>{};
    if (mode) *mode = !bound ? MPOL_DEFAULT : nodes.size() > 1 ? MPOL_INTERLEAVE : MPOL_BIND;
    return !mask || write_mask(nodes, mask, bits) ? 0 : -EINVAL;
}

long move_pages(unsigned long count, void* const* pages, const int* nodes, int* status) {
    if (denied) return -EPERM;
    table& t = the_table();
    for (unsigned long i = 0; i < count; ++i) {
        const auto page = reinterpret_cast<std::uintptr_t>(pages[i]) / page_bytes() * page_bytes();
        const std::vector<unsigned char> touched = touched_pages(page, 1);
        if (touched.empty() || (touched[0] & 1) == 0) {
            status[i] = touched.empty() ? -EFAULT : -ENOENT; // a page that nobody has touched lies nowhere yet
            continue;
        }
        if (nodes) {
            const std::lock_guard held(t.gate);
            const bool known = std::find(t.nodes.begin(), t.nodes.end(), nodes[i]) != t.nodes.end();
            if (known) assign(t, page, page_bytes(), {nodes[i]});
            status[i] = known ? nodes[i] : -ENODEV;
        } else {
            status[i] = node_of(page);
        }
    }
    return 0;
}

} // namespace simcuda::numa
