// nvbandwidth's metrics: which copies run, in whose stream, what is timed, as its version 0.8 defines them.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "bench_links_figures.hpp"

namespace tool {

class links_rows {
public:
    explicit links_rows(links_figures& on) : f_(on) {}

    void run(const std::string& name) {
        const bool pairs = name.rfind("device_to_device", 0) == 0;
        const bool both = name.find("bidirectional") != std::string::npos;
        if (pairs || name.find("_one_") != std::string::npos || name.rfind("one_", 0) == 0) {
            if (f_.count() < 2) {
                f_.skip(name, f_.cells_of(name));
                return f_.absent(name, {}, "one GPU");
            }
        }
        const std::string shown = pairs && both ? name + "_total" : name;
        links_metric& into =
            f_.metric(shown, meaning_of(name), pairs ? f_.ids() : std::vector<std::string>{"host"}, f_.ids());
        into.in_nvbandwidth = true;
        if (name == "device_local_copy" || name.rfind("all_to_one", 0) == 0 || name.rfind("one_to_all", 0) == 0)
            into.rows = {"gpu"};
        for (std::size_t row = 0; row < (pairs ? f_.count() : 1); ++row)
            for (std::size_t column = 0; column < f_.count(); ++column) {
                if (pairs && row == column) continue;
                if (pairs)
                    measure_pair(name, into, row, column);
                else
                    measure_gpu(name, into, column);
            }
    }

private:
    void measure_pair(const std::string& name, links_metric& into, std::size_t row, std::size_t column) {
        const bool read = name.find("_read_") != std::string::npos;
        const bool both = name.find("bidirectional") != std::string::npos;
        if (!f_.may_access(row, column) || (both && !f_.may_access(column, row))) {
            f_.skip(name);
            return f_.absent(name, f_.id(row) + ", " + f_.id(column), "no peer access: see staged");
        }
        link_plan plan;
        plan.may_miss = false;
        plan.row = f_.id(row);
        plan.column = f_.id(column);
        plan.issuer = f_.id(row);
        plan.from = read ? f_.id(column) : f_.id(row);
        plan.to = read ? f_.id(row) : f_.id(column);
        if (!both) return f_.measure(name, into, plan, {read ? f_.pull(column, row) : f_.push(row, column)});
        plan.what = link_figure::sum;
        plan.issuer = f_.id(row) + " and " + f_.id(column);
        f_.measure(name, into, plan,
                   read ? link_flows{f_.pull(column, row), f_.pull(row, column)}
                        : link_flows{f_.push(column, row), f_.push(row, column)});
    }
    void measure_gpu(const std::string& name, links_metric& into, std::size_t gpu) {
        link_plan plan;
        plan.may_miss = false;
        plan.row = into.rows.front();
        plan.column = plan.issuer = f_.id(gpu);
        link_flows all;
        const auto other_gpus = [&](const std::function<void(std::size_t)>& add) {
            for (std::size_t i = 0; i < f_.count(); ++i)
                if (i != gpu) add(i);
        };
        if (name == "device_local_copy") {
            plan.from = plan.to = f_.id(gpu);
            return f_.measure(name, into, plan,
                              {{f_.memory().on_gpu(gpu, 1), f_.memory().on_gpu(gpu, 0), f_.gpus()[gpu], 1, false}});
        }
        if (name.rfind("all_to_one", 0) == 0 || name.rfind("one_to_all", 0) == 0) {
            const bool own = name.rfind("one_to_all", 0) == 0, read = name.find("_read_") != std::string::npos;
            const bool in = own == read; // others write to this GPU, or it reads from them
            std::deque<bench_memory> targets;
            std::string why = in && f_.count() > 2 ? f_.too_large(gpu, f_.count() - 2) : std::string();
            if (why.empty())
                other_gpus([&](std::size_t i) {
                    if (!f_.may_access(own ? gpu : i, own ? i : gpu)) return;
                    const link_flow flow =
                        own ? (read ? f_.pull(i, gpu) : f_.push(gpu, i)) : (read ? f_.pull(gpu, i) : f_.push(i, gpu));
                    all.push_back(in && !all.empty() ? f_.into_own(flow, targets) : flow);
                });
            if (all.empty()) {
                f_.skip(name);
                return f_.absent(name, f_.id(gpu), why.empty() ? "no peer access" : why);
            }
            plan.what = link_figure::total;
            plan.from = in ? "gpus" : f_.id(gpu);
            plan.to = in ? f_.id(gpu) : "gpus";
            plan.issuer = own ? f_.id(gpu) : "gpus";
            return f_.measure(name, into, plan, all);
        }
        const bool upwards = name.rfind("host_to", 0) == 0, both = name.find("bidirectional") != std::string::npos;
        plan.from = upwards ? f_.host_of(gpu) : f_.id(gpu);
        plan.to = upwards ? f_.id(gpu) : f_.host_of(gpu);
        // Interference is to outlast what is timed: nvbandwidth doubles its buffers for that, here copies are doubled.
        all.push_back(upwards ? f_.up(gpu) : f_.down(gpu));
        if (both) all.push_back(upwards ? f_.down(gpu, 2) : f_.up(gpu, 2));
        if (name.find("_all_") != std::string::npos || name.rfind("all_", 0) == 0)
            other_gpus([&](std::size_t i) {
                if (both || upwards) all.push_back(f_.up(i, 2));
                if (both || !upwards) all.push_back(f_.down(i, 2));
            });
        f_.measure(name, into, plan, all);
    }
    [[nodiscard]] static std::string meaning_of(const std::string& name) {
        const bool both = name.find("bidirectional") != std::string::npos;
        if (name == "device_local_copy") return "within a GPU, bytes copied (each is read and written)";
        if (name.rfind("all_to_one_write", 0) == 0) return "all GPUs write to GPU(column), total";
        if (name.rfind("all_to_one_read", 0) == 0) return "all GPUs read from GPU(column), total";
        if (name.rfind("one_to_all_write", 0) == 0) return "GPU(column) writes to all GPUs, total";
        if (name.rfind("one_to_all_read", 0) == 0) return "GPU(column) reads from all GPUs, total";
        if (name.rfind("device_to_device", 0) == 0) {
            const bool read = name.find("_read_") != std::string::npos;
            if (both)
                return read ? "both GPUs read from each other, both rates added"
                            : "both GPUs write to each other, both rates added";
            return read ? "GPU(row) reads from GPU(column)" : "GPU(row) writes to GPU(column)";
        }
        std::string said = name.rfind("host_to", 0) == 0 ? "host memory to GPU(column)" : "GPU(column) to host memory";
        if (both) said += ", that direction's rate while the other one is busy as well";
        if (name.rfind("host_to_all", 0) == 0 || name.rfind("all_to_host", 0) == 0)
            said += ", that GPU's rate while all others do the same";
        return said;
    }

    links_figures& f_;
};

} // namespace tool
