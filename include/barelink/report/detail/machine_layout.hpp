// Where every node of a machine lies in a picture. Private to the report layer.
//
// Packages side by side; below each its tree, every node a bar that spans what hangs below it, so that host links are straight
// vertical lines. GPUs share one line at the bottom; NVLink lies below them: a bar for NVSwitch, curves for pairs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <barelink/report/detail/host_tree.hpp>
#include <barelink/report/detail/layout_types.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

class machine_layout {
public:
    machine_layout(const machine& m, const host_tree& tree, const layout_sizes& sizes = {})
        : boxes(m.nodes.size()), hanging(m.links.size(), 40.0), m_(m), tree_(tree), size_(sizes),
          row_of_(m.nodes.size()) {
        hub_ = m.count(node_kind::nvswitch) > 0 ? m.all(node_kind::nvswitch).front() : no_node;
        group_alike();
        measure_levels();
        place_rows();
    }

    std::vector<layout_box> boxes;         ///< per node
    std::vector<layout_box> cards;         ///< one per root of the tree
    std::vector<layout_box> hub_bars;      ///< the NVSwitch: one bar for each line of packages
    layout_box spine;                      ///< joins them when there is more than one
    std::vector<std::uint32_t> group_size; ///< per node: 1, the number it stands for, or 0 when another stands for it
    double width = 0, bottom = 0;
    double gpu_width = 0;
    std::vector<double> hanging; ///< per link of two GPUs, how deep its curve hangs below them

    [[nodiscard]] const layout_sizes& sizes() const noexcept { return size_; }
    /// Which line of packages a node is in.
    [[nodiscard]] std::uint32_t row_of(node_index n) const noexcept { return row_of_[n.value]; }
    /// Height at which traffic within a package, and between packages, flows.
    [[nodiscard]] double package_lane(node_index package) const noexcept {
        const layout_box& box = boxes[package.value];
        return box.y + size_.package_text + (box.height - size_.package_text) / 2;
    }
    [[nodiscard]] double hub_lane(std::uint32_t row) const noexcept {
        return hub_bars[row].y + (hub_bars[row].height - size_.hub_text) / 2;
    }

    [[nodiscard]] node_index hub() const noexcept { return hub_; }
    /// Above this, only links between neighbouring packages are drawn.
    static constexpr std::size_t most_cpu_links = 28;

    /// A link says its rate unless the next one down carries the same alone.
    [[nodiscard]] bool says_rate(node_index below) const noexcept {
        const auto& place = tree_.at(below);
        if (place.link == no_link) return false;
        if (place.below.size() != 1) return true;
        const node_index child = place.below.front();
        return m_.gb_s(tree_.down(m_, below)) != m_.gb_s(tree_.down(m_, child)) ||
               m_.gb_s(tree_.up(m_, below)) != m_.gb_s(tree_.up(m_, child)) ||
               m_.links[place.link].kind != m_.links[tree_.at(child).link].kind;
    }
    [[nodiscard]] std::size_t card_of(node_index n) const noexcept {
        const node_index root = tree_.root_of(n);
        return static_cast<std::size_t>(std::find(tree_.roots.begin(), tree_.roots.end(), root) - tree_.roots.begin());
    }
    [[nodiscard]] double card_distance(const link& l) const noexcept {
        const double a = static_cast<double>(card_of(l.a)), b = static_cast<double>(card_of(l.b));
        return a < b ? b - a : a - b;
    }
    [[nodiscard]] bool joins_pair(const link& l) const noexcept {
        return l.kind == link_kind::nvlink && l.a != hub_ && l.b != hub_ && l.a != l.b;
    }

private:
    static bool is_leaf(node_kind kind) noexcept {
        return kind == node_kind::gpu || kind == node_kind::nic || kind == node_kind::disk;
    }
    [[nodiscard]] double leaf_width(node_kind kind) const noexcept { return kind == node_kind::gpu ? gpu_width : 68; }
    [[nodiscard]] double memory_width() const noexcept { return 92; }

    /// Three or more NICs, or disks, side by side at one rate are one box.
    void group_alike() {
        group_size.assign(m_.nodes.size(), 1);
        for (const host_tree::place& place : tree_.places)
            for (std::size_t i = 0; i < place.below.size(); ++i) {
                const node_index first = place.below[i];
                const node_kind kind = m_.at(first).kind;
                if ((kind != node_kind::nic && kind != node_kind::disk) || group_size[first.value] != 1) continue;
                std::vector<node_index> alike{first};
                for (std::size_t j = i + 1; j < place.below.size(); ++j) {
                    const node_index other = place.below[j];
                    const link &a = m_.links[tree_.at(first).link], &b = m_.links[tree_.at(other).link];
                    if (m_.at(other).kind == kind && a.gb_s_ab == b.gb_s_ab && a.gb_s_ba == b.gb_s_ba &&
                        a.source == b.source)
                        alike.push_back(other);
                }
                if (alike.size() < 3) continue;
                for (const node_index each : alike) group_size[each.value] = 0;
                group_size[first.value] = static_cast<std::uint32_t>(alike.size());
            }
    }

    /// The line of the picture that a node belongs on: packages 0, leaves last.
    [[nodiscard]] std::uint32_t line_of(node_index n) const noexcept {
        if (is_leaf(m_.at(n).kind)) return lines_;
        const bool below_package = m_.at(tree_.root_of(n)).kind == node_kind::package;
        return tree_.at(n).level + (below_package ? 0 : 1);
    }
    void measure_levels() {
        const std::size_t gpus = m_.count(node_kind::gpu);
        gpu_width = gpus <= 4 ? 124 : gpus <= 8 ? 108 : gpus <= 16 ? 90 : 84;
        std::uint32_t deepest = 0;
        bool leaves = false;
        for (std::uint32_t n = 0; n < m_.nodes.size(); ++n) {
            const node_kind kind = m_.nodes[n].kind;
            if (kind == node_kind::nvswitch || kind == node_kind::memory) continue;
            if (is_leaf(kind))
                leaves = true;
            else
                deepest = std::max(deepest, line_of(node_index{n}));
        }
        lines_ = deepest + (leaves ? 1 : 0);
        std::vector<bool> labelled(lines_ + 1u, false), needed(lines_ + 1u, false);
        for (std::uint32_t n = 0; n < m_.nodes.size(); ++n) {
            const node_kind kind = m_.nodes[n].kind;
            if (kind == node_kind::nvswitch || kind == node_kind::memory) continue;
            needed[line_of(node_index{n})] = true;
            if (says_rate(node_index{n})) labelled[line_of(node_index{n})] = true;
        }
        const double memory = size_.memory_height + size_.link_gap;
        line_y_.assign(lines_ + 1u, 0);
        line_y_[0] = size_.pad + (m_.count(node_kind::memory) > 0 ? memory : 0);
        double y = line_y_[0] + size_.package_height;
        for (std::uint32_t line = 1; line <= lines_; ++line) {
            y += labelled[line] ? size_.link_gap : size_.bare_gap;
            line_y_[line] = y;
            y += line == lines_ && leaves ? size_.gpu_height : size_.switch_height;
        }
        card_height_ = y + size_.pad;
    }

    [[nodiscard]] double width_of(node_index n) const {
        if (group_size[n.value] == 0) return 0;
        if (is_leaf(m_.at(n).kind)) return leaf_width(m_.at(n).kind);
        double sum = 0;
        for (const node_index child : tree_.at(n).below) sum += width_of(child);
        if (tree_.at(n).above != no_node || m_.at(n).kind != node_kind::package) return std::max(sum, 76.0);
        const double memories = memory_width() * static_cast<double>(tree_.at(n).memories.size());
        return std::max({sum, memories, 210.0}) + 2 * size_.pad;
    }

    void place_tree(node_index n, double x, double wide, double top) {
        const node_kind kind = m_.at(n).kind;
        layout_box& box = boxes[n.value];
        box.drawn = true;
        box.y = top + line_y_[line_of(n)];
        if (is_leaf(kind)) {
            box.width = leaf_width(kind) - 14;
            box.x = x + (wide - box.width) / 2;
            box.height = size_.gpu_height;
            return;
        }
        double sum = 0;
        for (const node_index child : tree_.at(n).below) sum += width_of(child);
        double at = x + (wide - sum) / 2, first = sum > 0 ? x + wide : x + wide / 2, last = x + wide / 2;
        for (const node_index child : tree_.at(n).below) {
            const double child_wide = width_of(child);
            if (child_wide <= 0) continue;
            place_tree(child, at, child_wide, top);
            const double middle = boxes[child.value].middle();
            first = std::min(first, middle);
            last = middle;
            at += child_wide;
        }
        const bool package = kind == node_kind::package;
        const double rim = last > first ? 28 : 34;
        box.x = package ? x + size_.pad : first - rim;
        box.width = package ? wide - 2 * size_.pad : last - first + 2 * rim;
        box.height = package ? size_.package_height : size_.switch_height;
    }

    void place_card(node_index root, double x, double wide, double top) {
        cards.push_back({x, top, wide, card_height_, true});
        if (m_.at(root).kind == node_kind::memory) {
            boxes[root.value] = {x + 8, top + size_.pad, wide - 16, size_.memory_height, true};
            return;
        }
        place_tree(root, x, wide, top);
        const auto& memories = tree_.at(root).memories;
        const double each = (wide - 2 * size_.pad) / std::max<double>(1, static_cast<double>(memories.size()));
        const double box = std::min(each - 10, 130.0);
        for (std::size_t i = 0; i < memories.size(); ++i)
            boxes[memories[i].value] = {x + size_.pad + each * (static_cast<double>(i) + 0.5) - box / 2,
                                        top + size_.pad, box, size_.memory_height, true};
    }

    void place_rows() {
        std::vector<double> wide;
        for (const node_index root : tree_.roots) wide.push_back(width_of(root));
        std::size_t fit = 0;
        double used = 0;
        for (; fit < wide.size(); ++fit) {
            used += wide[fit] + (fit > 0 ? size_.package_gap : 0);
            if (fit > 0 && used > (wide.size() > 8 ? size_.widest_rack : size_.widest)) break;
        }
        const std::size_t rows = fit == 0 ? 1 : (wide.size() + fit - 1) / fit;
        std::size_t per_row = (wide.size() + rows - 1) / rows;
        if (rows > 1 && per_row % 2 != 0 && per_row > 1) per_row = per_row + 1 <= fit ? per_row + 1 : per_row - 1;

        for (std::size_t first = 0; first < wide.size(); first += per_row) {
            double line = 2 * size_.margin - size_.package_gap;
            for (std::size_t i = first; i < std::min(first + per_row, wide.size()); ++i)
                line += wide[i] + size_.package_gap;
            width = std::max({width, line, 620.0});
        }
        double top = size_.head + arch_height();
        for (std::size_t first = 0; first < wide.size(); first += per_row) {
            const std::size_t last = std::min(first + per_row, wide.size());
            double line = -size_.package_gap;
            for (std::size_t i = first; i < last; ++i) line += wide[i] + size_.package_gap;
            const double left = rows > 1 ? size_.margin : (width - line) / 2, right = left + line;
            double x = left;
            for (std::size_t i = first; i < last; ++i) {
                place_card(tree_.roots[i], x, wide[i], top);
                x += wide[i] + size_.package_gap;
            }
            const auto row = static_cast<std::uint32_t>(first / per_row);
            for (std::uint32_t n = 0; n < m_.nodes.size(); ++n)
                if (boxes[n].drawn && boxes[n].y >= top) row_of_[n] = row;
            double below = top + card_height_ + std::max(0.0, hang_curves(row) - size_.pad);
            if (hub_ != no_node) {
                below += size_.hub_gap - size_.pad;
                hub_bars.push_back({left, below, right - left, size_.hub_height, true});
                below += size_.hub_height;
            }
            bottom = below;
            top = below + 34 + arch_height();
        }
        if (hub_bars.size() > 1) {
            width += 34;
            for (layout_box& bar : hub_bars) bar.width = width - size_.margin - bar.x;
            spine = {width - size_.margin - 22, hub_bars.front().y, 22, hub_bars.back().bottom() - hub_bars.front().y,
                     true};
        }
        if (hub_ != no_node && !hub_bars.empty()) boxes[hub_.value] = hub_bars.front();
    }

    /// Room above the cards for links between packages that are not neighbours.
    [[nodiscard]] double arch_height() const {
        double most = 0;
        for (const std::uint32_t l : tree_.cpu_links) {
            const double distance = card_distance(m_.links[l]);
            if (distance > 1 && tree_.cpu_links.size() <= most_cpu_links) most = std::max(most, 14 + 22 * distance);
        }
        return most;
    }
    /// GPUs from left to right within one line of packages.
    [[nodiscard]] std::vector<node_index> gpus_in(std::uint32_t row) const {
        std::vector<node_index> found;
        for (const node_index gpu : m_.all(node_kind::gpu))
            if (boxes[gpu.value].drawn && row_of_[gpu.value] == row) found.push_back(gpu);
        std::sort(found.begin(), found.end(),
                  [&](node_index a, node_index b) { return boxes[a.value].x < boxes[b.value].x; });
        return found;
    }
    /// Decides how deep the curve of every GPU pair hangs below its line: near pairs first, and deeper where curves of one
    /// distance overlap. Returns the room that takes.
    double hang_curves(std::uint32_t row) {
        const std::vector<node_index> gpus = gpus_in(row);
        struct span {
            std::size_t left, right;
            std::uint32_t link;
        };
        std::vector<span> spans;
        for (const std::uint32_t l : tree_.nvlinks) {
            const auto a = std::find(gpus.begin(), gpus.end(), m_.links[l].a);
            const auto b = std::find(gpus.begin(), gpus.end(), m_.links[l].b);
            if (!joins_pair(m_.links[l]) || a == gpus.end() || b == gpus.end()) continue;
            spans.push_back({static_cast<std::size_t>(std::min(a, b) - gpus.begin()),
                             static_cast<std::size_t>(std::max(a, b) - gpus.begin()), l});
        }
        double depth = 36;
        for (std::size_t distance = 1; distance < gpus.size(); ++distance) {
            std::vector<std::size_t> lane_ends; ///< of each lane, where its last curve ends
            double deepest = 0;
            for (std::size_t left = 0; left + distance < gpus.size(); ++left)
                for (const span& each : spans) {
                    if (each.left != left || each.right != left + distance) continue;
                    std::size_t lane = 0;
                    while (lane < lane_ends.size() && lane_ends[lane] > left) ++lane;
                    if (lane == lane_ends.size()) lane_ends.push_back(0);
                    lane_ends[lane] = each.right;
                    hanging[each.link] = depth + 14 * static_cast<double>(lane);
                    deepest = std::max(deepest, hanging[each.link]);
                }
            if (deepest > 0) depth = deepest + 24;
        }
        return spans.empty() ? 0 : depth - 20;
    }

    const machine& m_;
    const host_tree& tree_;
    layout_sizes size_;
    std::vector<std::uint32_t> row_of_; ///< per node, the line of packages it is in
    node_index hub_ = no_node;
    std::uint32_t lines_ = 0;
    std::vector<double> line_y_;
    double card_height_ = 0;
};

} // namespace detail
BARELINK_END_NAMESPACE
