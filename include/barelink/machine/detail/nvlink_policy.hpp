// NVLinks and C2C from what a source lists, capped by what the GPU's model has; or from how a product is always built.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include <barelink/machine/detail/nvlink_census.hpp>
#include <barelink/machine/detail/pcie_policy.hpp>
#include <barelink/machine/detail/sketch.hpp>
#include <barelink/machine/link_latency.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// One NVLink, one direction: as hwloc's matrices add it up, and as copies reach it. Of a model that is not in the table
/// by compute capability, after the models that are.
struct nvlink_speed {
    double nominal_gb_s;
    double copy_gb_s;
};

/// Nominal: data sheets. GA102 cards (8.6) have links of four lanes, 14.06.
[[nodiscard]] inline nvlink_speed nvlink_speed_of(const gpu_model* model, int sm) noexcept {
    if (model) sm = model->sm;
    const double nominal = sm == 0 ? 25 : sm < 70 ? 20 : sm == 86 ? 14.0625 : sm >= 100 ? 50 : 25;
    if (model && model->nvlink_gb_s > 0) return {nominal, model->nvlink_gb_s};
    return {nominal, 0.88 * nominal};
}

/// Copies over one Grace's C2C, published on GH200: 377 to 380 GB/s towards the GPU, 297 to 298 back. Of 450 nominal.
inline constexpr double c2c_to_gpu_gb_s = 378, c2c_to_host_gb_s = 297, c2c_nominal_gb_s = 450;

/// Adds the NVLinks and C2C links of a sketch to a machine. `nodes` maps the sketch's devices, `packages` its packages,
/// to nodes.
class nvlink_assembler {
public:
    nvlink_assembler(machine& made, const machine_sketch& seen, const std::vector<node_index>& nodes,
                     const std::vector<node_index>& packages)
        : made_(made), seen_(seen), nodes_(nodes), packages_(packages), models_(seen.devices.size()) {
        for (std::size_t d = 0; d < seen.devices.size(); ++d)
            if (seen.devices[d].kind == node_kind::gpu) models_[d] = model_of(seen.devices[d]);
    }

    void run() {
        add_listed();
        if (!seen_.nvlinks_told) assume_nvswitch();
        assume_c2c();
    }

private:
    struct bundle {
        int to = 0; ///< device, package; -1 is the NVSwitch
        nvlink_target target = nvlink_target::gpu;
        double links = 0;
        evidence source = evidence::read;
    };

    [[nodiscard]] std::string id_of(int device) const { return made_.at(node_of(device)).id(); }
    [[nodiscard]] node_index node_of(int device) const { return nodes_[static_cast<std::size_t>(device)]; }
    [[nodiscard]] const gpu_model* model(int device) const { return models_[static_cast<std::size_t>(device)]; }
    [[nodiscard]] nvlink_speed speed(int gpu) const {
        return nvlink_speed_of(model(gpu), seen_.devices[static_cast<std::size_t>(gpu)].sm);
    }

    void join(link_kind kind, node_index a, node_index b, double ab, double ba, evidence source) {
        for (const link& each : made_.links)
            if (each.kind == kind && ((each.a == a && each.b == b) || (each.a == b && each.b == a))) return;
        made_.add(link{kind, a, b, ab, ba, default_latency_us(kind), source});
    }

    node_index hub() {
        node_index found = made_.find(node_kind::nvswitch, 0);
        if (found != no_node) return found;
        node added;
        added.kind = node_kind::nvswitch;
        std::size_t chips = 0;
        for (const sketched_device& each : seen_.devices) chips += each.kind == node_kind::nvswitch;
        added.name = chips > 1 ? std::to_string(chips) + " NVSwitches" : "NVSwitch";
        return made_.add(std::move(added));
    }

    /// What one GPU's listed links come to, target by target, self-links dropped and counts capped.
    [[nodiscard]] std::vector<bundle> bundles_of(int gpu) {
        std::vector<bundle> bundles;
        double total = 0, own = 0;
        for (const sketched_nvlink& each : seen_.nvlinks) {
            if (each.gpu != gpu || each.coherent_c2c) continue;
            const double links = each.links > 0 ? each.links : each.nominal_gb_s / speed(gpu).nominal_gb_s;
            if (each.target == nvlink_target::gpu && each.to == gpu) {
                own += links;
                continue;
            }
            const int to = each.target == nvlink_target::nvswitch ? -1 : each.to;
            bundle* known = nullptr;
            for (bundle& other : bundles)
                if (other.target == each.target && other.to == to) known = &other;
            if (known)
                known->links += links;
            else
                bundles.push_back({to, each.target, links, each.source});
            total += links;
        }
        if (own > 0)
            made_.note(id_of(gpu), figure(own) + " NVLinks from this GPU to itself were dropped: no GPU has them");
        if (const gpu_model* known = model(gpu); known && total > known->nvlinks + 0.01) {
            made_.note(id_of(gpu), figure(total) + " NVLinks are listed and " + known->name + " has " +
                                       std::to_string(known->nvlinks) + ": scaled down to that");
            for (bundle& each : bundles) each.links *= known->nvlinks / total;
        }
        return bundles;
    }

    void add_listed() {
        std::vector<std::vector<bundle>> all(seen_.devices.size());
        for (std::size_t g = 0; g < all.size(); ++g)
            if (seen_.devices[g].kind == node_kind::gpu && seen_.devices[g].cuda)
                all[g] = bundles_of(static_cast<int>(g));
        for (std::size_t g = 0; g < all.size(); ++g) {
            const int gpu = static_cast<int>(g);
            for (const bundle& each : all[g]) {
                const double gb_s = each.links * speed(gpu).copy_gb_s;
                if (!(gb_s > 0)) continue;
                if (each.target == nvlink_target::nvswitch) {
                    join(link_kind::nvlink, nodes_[g], hub(), gb_s, gb_s, each.source);
                } else if (each.target == nvlink_target::package) {
                    join(link_kind::c2c, packages_[static_cast<std::size_t>(each.to)], nodes_[g], gb_s, gb_s,
                         each.source);
                } else {
                    add_pair(gpu, each, all[static_cast<std::size_t>(each.to)]);
                }
            }
        }
        for (const sketched_nvlink& each : seen_.nvlinks) {
            if (!each.coherent_c2c || each.to < 0) continue;
            const double share = each.nominal_gb_s / c2c_nominal_gb_s;
            join(link_kind::c2c, packages_[static_cast<std::size_t>(each.to)], node_of(each.gpu),
                 share * c2c_to_gpu_gb_s, share * c2c_to_host_gb_s, evidence::read);
        }
    }

    void add_pair(int gpu, const bundle& out, const std::vector<bundle>& others) {
        if (!seen_.devices[static_cast<std::size_t>(out.to)].cuda) return;
        double back = 0;
        for (const bundle& each : others)
            if (each.target == nvlink_target::gpu && each.to == gpu) back = each.links;
        if (back > 0 && gpu > out.to) return; // listed at both ends: added at the first
        double links = out.links;
        if (back > 0 && std::fabs(back - links) > 0.01) {
            links = back < links ? back : links;
            made_.note(id_of(gpu) + "-" + id_of(out.to), "its two ends list " + figure(out.links) + " and " +
                                                             figure(back) + " NVLinks: the fewer are believed");
        }
        const double one = speed(gpu).copy_gb_s, other = speed(out.to).copy_gb_s;
        const double gb_s = links * (one < other ? one : other);
        join(link_kind::nvlink, node_of(gpu), node_of(out.to), gb_s, gb_s, out.source);
    }

    /// Without a list: products that are built in one way only.
    void assume_nvswitch() {
        const nvlink_census count(seen_);
        if (count.bridgeable > 1)
            made_.note("nvlink", "these cards can carry NVLink bridges, which this source does not show: none assumed");
        if (count.modules < 2) return;
        const std::string modules = std::to_string(count.modules) + " " + count.first->name;
        if (!count.switched()) {
            made_.note("nvlink",
                       "how NVLink joins these " + modules +
                           " is not shown and differs between servers: none assumed; merge a topology file or "
                           "calibrate");
            return;
        }
        made_.note("nvswitch",
                   count.chips
                       ? "NVSwitches are there and no source lists the links to them: every GPU is taken to use "
                         "all its NVLinks"
                       : "no NVSwitch is shown: assumed, because " + modules + " are always built on one");
        for (std::size_t d = 0; d < models_.size(); ++d) {
            if (!models_[d] || models_[d]->form == gpu_form::card || models_[d]->nvlinks == 0) continue;
            const double gb_s = models_[d]->nvlinks * models_[d]->nvlink_gb_s;
            join(link_kind::nvlink, nodes_[d], hub(), gb_s, gb_s, evidence::assumed);
        }
    }

    /// A superchip's GPU has no PCIe way to its CPU. The GPUs on one package part its C2C.
    void assume_c2c() {
        for (const sketched_device& each : seen_.devices) {
            if (!on_c2c(each)) continue;
            const int package = each.package < 0 ? 0 : each.package;
            int sharing = 0;
            for (const sketched_device& other : seen_.devices)
                sharing += on_c2c(other) && (other.package < 0 ? 0 : other.package) == package;
            join(link_kind::c2c, packages_[static_cast<std::size_t>(package)],
                 nodes_[static_cast<std::size_t>(&each - seen_.devices.data())], c2c_to_gpu_gb_s / sharing,
                 c2c_to_host_gb_s / sharing, evidence::assumed);
        }
    }

    machine& made_;
    const machine_sketch& seen_;
    const std::vector<node_index>& nodes_;
    const std::vector<node_index>& packages_;
    std::vector<const gpu_model*> models_;
};

} // namespace detail
BARELINK_END_NAMESPACE
