// Noise as benchmarks have it: processes differ, steps in a row are alike, and now and then one takes far longer.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include <barelink/measure/random.hpp>
#include <barelink/measure/tax_report.hpp>

namespace statistics_noise {

/// Standard normal deviates by Marsaglia's polar method.
class normal_numbers {
public:
    explicit normal_numbers(std::uint64_t seed, std::uint64_t stream = 0) : random_(seed, stream) {}

    double next() {
        if (spare_ready_) {
            spare_ready_ = false;
            return spare_;
        }
        double u = 0, v = 0, s = 0;
        do {
            u = 2 * random_.uniform() - 1;
            v = 2 * random_.uniform() - 1;
            s = u * u + v * v;
        } while (s >= 1 || s == 0);
        const double factor = std::sqrt(-2 * std::log(s) / s);
        spare_ = v * factor;
        spare_ready_ = true;
        return u * factor;
    }
    double uniform() { return random_.uniform(); }

private:
    barelink::random_numbers random_;
    double spare_ = 0;
    bool spare_ready_ = false;
};

/// What measurements of one quantity look like.
struct quantity {
    double typical = 100;
    int runs = 10; ///< the tool's default number of processes
    int samples = 40;
    double between = 0.01;   ///< standard deviation from run to run, of the logarithm
    double within = 0.01;    ///< and from step to step
    double alike = 0.7;      ///< correlation of a step with the next (AR(1))
    double spikes = 0;       ///< share of steps that take longer
    double spike_size = 0.2; ///< their mean excess, exponential
};

inline std::vector<barelink::tax_run> measure(const quantity& q, normal_numbers& noise) {
    std::vector<barelink::tax_run> runs(static_cast<std::size_t>(q.runs));
    const double fresh = std::sqrt(1 - q.alike * q.alike);
    for (barelink::tax_run& run : runs) {
        const double run_effect = q.between * noise.next();
        double step = noise.next();
        for (int i = 0; i < q.samples; ++i) {
            step = q.alike * step + fresh * noise.next();
            double log_value = run_effect + q.within * step;
            if (q.spikes > 0 && noise.uniform() < q.spikes) log_value -= q.spike_size * std::log(1 - noise.uniform());
            run.samples.push_back(q.typical * std::exp(log_value));
        }
    }
    return runs;
}

inline std::vector<std::span<const double>> spans(const std::vector<barelink::tax_run>& runs) {
    std::vector<std::span<const double>> seen;
    for (const barelink::tax_run& run : runs) seen.emplace_back(run.samples);
    return seen;
}

} // namespace statistics_noise
