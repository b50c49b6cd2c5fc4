// NVLinks from what CUDA says of GPU pairs: it has no query that lists them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <barelink/machine/detail/nvlink_census.hpp>
#include <barelink/machine/detail/sketch.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Two GPUs that may reach each other and whose atomics all work over the way between them are joined by NVLink: over
/// PCIe they do not. How many links that are comes from the model's number of them, split over the GPUs that each is
/// joined to, and from the performance rank: on the hybrid cube mesh of V100 it reads 0 for pairs of two links and 1
/// for pairs of one (published topologyQuery output). Modules that are all joined alike share an NVSwitch, unless so
/// few of them stand on bare metal without one that direct links reach (4-GPU boards). Everything is `assumed`.
class nvlink_inference {
public:
    explicit nvlink_inference(machine_sketch& seen) : seen_(seen), count_(seen) {}

    void run() {
        if (seen_.nvlinks_told || seen_.pairs.empty()) return;
        find_joined();
        if (joined_.empty()) {
            rule_out();
        } else {
            if (switched())
                add_hub();
            else
                add_direct();
            seen_.nvlinks_told = true;
        }
    }

private:
    struct pair {
        int a, b, rank;
    };

    [[nodiscard]] const sketched_device& at(int device) const {
        return seen_.devices[static_cast<std::size_t>(device)];
    }
    [[nodiscard]] const sketched_pair* find(int from, int to) const {
        for (const sketched_pair& each : seen_.pairs)
            if (each.from == from && each.to == to) return &each;
        return nullptr;
    }
    [[nodiscard]] int neighbours(int gpu) const {
        int found = 0;
        for (const pair& each : joined_) found += each.a == gpu || each.b == gpu;
        return found;
    }

    void find_joined() {
        for (const sketched_pair& out : seen_.pairs) {
            granted_ += out.allowed == 1;
            asked_ += out.atomics >= 0;
            const sketched_pair* back = out.from < out.to ? find(out.to, out.from) : nullptr;
            if (!back || out.allowed != 1 || back->allowed != 1 || out.atomics != 1 || back->atomics != 1) continue;
            if (nvlinks_of(at(out.from)) == 0 || nvlinks_of(at(out.to)) == 0) continue;
            joined_.push_back({out.from, out.to, out.rank > back->rank ? out.rank : back->rank});
        }
        for (int gpu = 0; gpu < static_cast<int>(seen_.devices.size()); ++gpu)
            if (neighbours(gpu) > 0) ends_.push_back(gpu);
        bool ranked = true;
        for (const pair& each : joined_) {
            best_ = best_ < 0 || each.rank < best_ ? each.rank : best_;
            uniform_ = uniform_ && each.rank == joined_.front().rank;
            ranked = ranked && each.rank >= 0;
        }
        uniform_ = uniform_ || !ranked;
    }

    /// No pair has NVLink's attributes. Where copies are granted all the same, that is an answer; where they are not,
    /// it may be the fabric that is down, and how the product is built still says more.
    void rule_out() {
        if (count_.modules > 1 && granted_ == 0)
            seen_.note("nvlink", "CUDA grants no direct copy between these GPUs: check nvidia-fabricmanager, MIG and "
                                 "the IOMMU");
        if (granted_ == 0 || asked_ == 0) return;
        seen_.nvlinks_told = true;
        if (count_.modules + count_.bridgeable > 1)
            seen_.note("nvlink", "CUDA grants direct copies without the attributes of NVLink: none assumed");
    }

    [[nodiscard]] bool switched() const {
        const int others = static_cast<int>(ends_.size()) - 1;
        const bool complete = static_cast<int>(joined_.size()) * 2 == others * (others + 1);
        const bool module = [&] {
            for (const int gpu : ends_)
                if (const gpu_model* model = model_of(at(gpu)); model && model->form == gpu_form::card) return false;
            return true;
        }();
        if (!module) return false;
        if (count_.chips > 0) return true;
        if (!complete || !uniform_) return false;
        if (count_.switched() || others > nvlinks_of(at(ends_.front()))) return true;
        bool ports = false;
        for (const sketched_device& each : seen_.devices)
            ports = ports || each.kind == node_kind::root_port || each.kind == node_kind::pcie_switch;
        return at(ends_.front()).sm > 70 && (seen_.virtualized || !ports);
    }

    void add_hub() {
        for (const int gpu : ends_) {
            sketched_nvlink added;
            added.gpu = gpu;
            added.target = nvlink_target::nvswitch;
            added.links = nvlinks_of(at(gpu));
            added.source = evidence::assumed;
            seen_.nvlinks.push_back(added);
        }
        seen_.note("nvswitch", count_.chips ? "NVLink inferred from CUDA's peer attributes and the NVSwitches that are "
                                              "there, rate from the model table"
                                            : "NVLink inferred from CUDA's peer attributes, rate from the model table; "
                                              "no NVSwitch is shown, and one is assumed because all are joined alike");
    }

    void add_direct() {
        for (const pair& each : joined_) {
            const double one = links_of(each.a, each.rank), other = links_of(each.b, each.rank);
            for (const bool back : {false, true}) {
                sketched_nvlink added;
                added.gpu = back ? each.b : each.a;
                added.to = back ? each.a : each.b;
                added.links = one < other ? one : other;
                added.source = evidence::assumed;
                seen_.nvlinks.push_back(added);
            }
        }
        seen_.note("nvlink", "inferred from CUDA's peer attributes; each GPU's links, which are the model table's, are "
                             "split over the GPUs it is joined to: calibrate to know");
    }

    /// Links of a GPU to a neighbour whose pair has that rank.
    [[nodiscard]] double links_of(int gpu, int rank) const {
        const int near = neighbours(gpu);
        // GPUs that this process does not see take links too. No module before NVSwitch was joined to more than four.
        int all = near;
        if (const gpu_model* model = model_of(at(gpu)); model && model->form != gpu_form::card) {
            const int modules = static_cast<int>(count_.modules) - 1;
            if (modules > static_cast<int>(ends_.size()) - 1) all = modules > 4 ? 4 : modules;
            if (all < near) all = near;
        }
        const double budget = static_cast<double>(nvlinks_of(at(gpu))) * near / all;
        int fast = 0;
        for (const pair& each : joined_) fast += (each.a == gpu || each.b == gpu) && each.rank == best_;
        if (uniform_) return budget / near;
        // Whole links: some to slow pairs, more and at most twice as many to fast ones, and as many in all as there are.
        int slow_links = 0, fast_links = 0, most = 0;
        for (int few = 1; few <= 8; ++few)
            for (int many = few + 1; many <= 2 * few; ++many)
                if (const int sum = few * (near - fast) + many * fast; sum <= budget + 0.01 && sum > most) {
                    most = sum;
                    slow_links = few;
                    fast_links = many;
                }
        if (most == 0) return budget / near;
        return rank == best_ ? fast_links : slow_links;
    }

    machine_sketch& seen_;
    const nvlink_census count_;
    std::vector<pair> joined_; ///< a < b
    std::vector<int> ends_;    ///< GPUs of at least one pair
    std::size_t granted_ = 0, asked_ = 0;
    int best_ = -1;
    bool uniform_ = true;
};

/// Fills a sketch's NVLinks from its pairs, unless its source listed them.
inline void infer_nvlinks(machine_sketch& seen) {
    nvlink_inference(seen).run();
}

} // namespace detail
BARELINK_END_NAMESPACE
