// Statistics against published tables and hand-computed values, and against what they promise, by simulation.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include <barelink/measure/bootstrap.hpp>
#include <barelink/measure/clock_cost.hpp>
#include <barelink/measure/equivalence.hpp>
#include <barelink/measure/open_loop.hpp>
#include <barelink/measure/order_statistics.hpp>
#include <barelink/measure/random.hpp>
#include <barelink/measure/warm_up.hpp>

#include <measure/statistics_noise.hpp>
#include <support/catch.hpp>

namespace statistics_test {

using namespace barelink;
using statistics_noise::normal_numbers;
using statistics_noise::quantity;

std::vector<double> one_to(int n) {
    std::vector<double> numbers(static_cast<std::size_t>(n));
    std::iota(numbers.begin(), numbers.end(), 1.0);
    return numbers;
}

TEST_CASE("Random numbers are those of their authors") {
    split_mix mix(1234567); // the published test of SplitMix64
    for (const std::uint64_t expected : {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                         4593380528125082431u, 16408922859458223821u})
        CHECK(mix.next() == expected);
    random_numbers random(1, 2, 3, 4); // that of xoshiro256++, from its reference implementation
    for (const std::uint64_t expected :
         {std::uint64_t{41943041}, std::uint64_t{58720359}, std::uint64_t{3588806011781223},
          std::uint64_t{3591011842654386}, std::uint64_t{9228616714210784205u}, std::uint64_t{9973669472204895162u}})
        CHECK(random.next() == expected);

    random_numbers same(7), again(7), other(7, 1);
    CHECK(same.next() == again.next());
    CHECK(same.next() != other.next());
    std::array<int, 10> seen{};
    for (int i = 0; i < 100000; ++i) ++seen[same.below(10)];
    for (const int count : seen) CHECK(std::abs(count - 10000) < 500); // five standard deviations
    double sum = 0;
    for (int i = 0; i < 100000; ++i) sum += same.uniform();
    CHECK(sum / 100000 == Approx(0.5).margin(0.005));
}

TEST_CASE("Distributions agree with their tables") {
    using namespace barelink::detail;
    CHECK(log_gamma(1) == Approx(0).margin(1e-14));
    CHECK(log_gamma(0.5) == Approx(0.5723649429247001));            // log sqrt(pi)
    CHECK(log_gamma(11) == Approx(std::log(3628800.0)));            // 10!
    CHECK(log_gamma(101) == Approx(363.73937555556349014));         // 100!
    CHECK(binomial_cdf(2, 10, 0.5) == Approx(56.0 / 1024));         // 1 + 10 + 45
    CHECK(binomial_cdf(1, 20, 0.1) == Approx(0.3917).margin(5e-5)); // printed tables
    CHECK(binomial_cdf(5, 20, 0.25) == Approx(0.6172).margin(5e-5));
    CHECK(binomial_cdf(-1, 5, 0.3) == 0);
    CHECK(binomial_cdf(5, 5, 0.3) == 1);
    CHECK(binomial_cdf(999999, 1000000, 0.999) == Approx(1).epsilon(1e-12));
    CHECK(binomial_cdf(500000, 1000000, 0.5) == Approx(0.50039894).margin(1e-7)); // 1/2 + half of the middle's share
    // Student's t: printed tables.
    CHECK(student_t_quantile(0.05, 1) == Approx(6.3138).margin(5e-5));
    CHECK(student_t_quantile(0.025, 9) == Approx(2.2622).margin(5e-5));
    CHECK(student_t_quantile(0.05, 18) == Approx(1.7341).margin(5e-5));
    CHECK(student_t_quantile(0.01, 18) == Approx(2.5524).margin(5e-5));
    CHECK(student_t_quantile(0.005, 30) == Approx(2.7500).margin(5e-5));
    CHECK(student_t_quantile(0.025, 1e7) == Approx(1.959964).margin(1e-5));
    CHECK(student_t_above(-2.2622, 9) == Approx(0.975).margin(1e-5));
    CHECK(normal_quantile(0.05) == Approx(1.644854).margin(1e-6));
    CHECK(normal_quantile(0.01) == Approx(2.326348).margin(1e-6));
    CHECK(normal_quantile(0.5) == Approx(0).margin(1e-9));
}

TEST_CASE("Quantiles are Hyndman and Fan's second definition") {
    CHECK(median(std::vector<double>{3, 1, 2}) == 2);
    CHECK(median(std::vector<double>{4, 1, 3, 2}) == 2.5);
    CHECK(median(std::vector<double>{7}) == 7);
    const std::vector<double> ten = one_to(10);
    CHECK(quantile(ten, 0.25) == 3);  // rank 2.5: the third
    CHECK(quantile(ten, 0.2) == 2.5); // rank 2 exactly: between the second and the third
    CHECK(quantile(ten, 0.99) == 10); // rank 9.9
    CHECK(quantile(ten, 0.001) == 1);
    CHECK(quantile(one_to(1000), 0.999) == 999.5); // though 0.999 is no binary number
    CHECK(quantile(one_to(10000), 0.99) == 9900.5);
    CHECK(quantile(one_to(368), 0.99) == 365); // rank 364.32
}

TEST_CASE("Samples that a quantile needs") {
    // ln 0.025 / ln 0.99 = 367.04 and ln 0.025 / ln 0.999 = 3687.03: TAX.md's 368 and 3,688.
    CHECK(samples_needed(0.99) == 368);
    CHECK(samples_needed(0.999) == 3688);
    CHECK(samples_needed(0.5) == 6); // the smallest row of the published tables of the median's interval
    CHECK(samples_needed(0.01) == 368);
    CHECK(samples_needed(0.5, 0.99) == 8);
    CHECK(samples_needed(0.9) == 36);
    for (const double p : {0.5, 0.9, 0.99, 0.999}) {
        const auto n = static_cast<int>(samples_needed(p));
        CHECK(quantile_interval(one_to(n), p).has_value());
        CHECK_FALSE(quantile_interval(one_to(n - 1), p).has_value());
    }
}

TEST_CASE("Order-statistic intervals agree with the published tables of the median") {
    // Ranks and coverage: Le Boudec, Performance Evaluation of Computer and Communication Systems, table A.1; Conover,
    // Practical Nonparametric Statistics.
    struct row {
        int n;
        std::size_t low, high;
        double coverage;
    };
    for (const row& r : {row{6, 1, 6, 0.969}, row{10, 2, 9, 0.979}, row{20, 6, 15, 0.959}, row{25, 8, 18, 0.957}}) {
        const auto found = quantile_interval(one_to(r.n), 0.5);
        REQUIRE(found);
        INFO(r.n);
        CHECK(found->low_rank == r.low);
        CHECK(found->high_rank == r.high);
        CHECK(found->coverage == Approx(r.coverage).margin(5e-4));
        CHECK(found->low == static_cast<double>(r.low));
        CHECK(found->high == static_cast<double>(r.high));
    }
    // P99 of 368: the largest sample is the bound, and with a chance of 0.99^368 = 0.0248 it is below.
    const auto p99 = quantile_interval(one_to(368), 0.99);
    REQUIRE(p99);
    CHECK(p99->high_rank == 368);
    CHECK(p99->low_rank == 360); // P(at most 359 of 368 below) = 0.0134, of 360 0.0333
    CHECK(p99->coverage == Approx(1 - std::pow(0.99, 368) - barelink::detail::binomial_cdf(359, 368, 0.99)));
}

TEST_CASE("Order-statistic intervals hold the quantile as often as they say") {
    normal_numbers noise(11);
    int held = 0;
    const double truth = 1.2815515655; // P90 of the normal distribution
    std::vector<double> sample(100);
    for (int i = 0; i < 2000; ++i) {
        for (double& x : sample) x = noise.next();
        std::sort(sample.begin(), sample.end());
        const auto found = quantile_interval(sample, 0.9);
        REQUIRE(found);
        held += found->low <= truth && truth <= found->high;
    }
    const double stated = quantile_interval(one_to(100), 0.9)->coverage;
    CHECK(stated >= 0.95);
    CHECK(held / 2000.0 == Approx(stated).margin(0.016)); // three standard deviations and a bit
}

TEST_CASE("A resample's quantile is that of the samples drawn") {
    normal_numbers noise(5);
    random_numbers random(3);
    for (const std::size_t n : {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{100}, std::size_t{3000}})
        for (const std::size_t block : {std::size_t{1}, std::size_t{3}, std::size_t{64}, std::size_t{5000}}) {
            std::vector<double> samples(n);
            for (double& x : samples) x = std::round(noise.next() * 20) + 100; // with ties
            barelink::detail::resampled_run run(samples, block);
            const std::size_t used = std::min(n, std::max(block, (n + 249) / 250));
            for (int i = 0; i < 20; ++i) {
                random_numbers replay = random;
                run.draw(random);
                // The same draw, spelled out.
                const auto blocks = static_cast<std::uint32_t>((n + used - 1) / used);
                std::vector<double> drawn;
                for (std::uint32_t b = 0; b < blocks; ++b) {
                    const std::size_t first = replay.below(blocks) * used;
                    for (std::size_t k = first; k < std::min(first + used, n); ++k) drawn.push_back(samples[k]);
                }
                for (const double p : {0.01, 0.25, 0.5, 0.9, 0.99, 0.999}) {
                    INFO(n << " " << block << " " << p);
                    REQUIRE(run.drawn_quantile(p) == quantile(drawn, p));
                }
            }
        }
}

bootstrap_estimate estimate(const std::vector<tax_run>& runs, double p, int resamples, std::uint64_t stream,
                            std::size_t block = 8) {
    const auto seen = statistics_noise::spans(runs);
    return bootstrap_quantiles(seen, block, std::array<double, 1>{p}, {resamples, 1, stream}).front();
}

TEST_CASE("The bootstrap's error is that of the runs") {
    // Runs of one value each: 1, 2, 3, 4. Mean 2.5, variance 5/3, of the mean 5/12.
    const std::vector<tax_run> four{{{1.0}}, {{2.0}}, {{3.0}}, {{4.0}}};
    const bootstrap_estimate e = estimate(four, 0.5, 10000, 0);
    CHECK(e.value == 2.5);
    CHECK(e.runs == 4);
    CHECK(e.relative_error == Approx(std::sqrt(5.0 / 12) / 2.5));
    REQUIRE(e.deviations.size() == 10000);
    double mean = 0, squares = 0;
    for (const double d : e.deviations) mean += d / 10000;
    for (const double d : e.deviations) squares += (d - mean) * (d - mean) / 9999;
    CHECK(std::sqrt(squares) == Approx(e.relative_error));

    // The mean over runs of each run's P50, whatever the runs' lengths.
    const std::vector<tax_run> uneven{{{1, 2, 3}}, {{10, 20}}};
    CHECK(estimate(uneven, 0.5, 100, 0).value == (2 + 15) / 2.0);

    // The same seed gives the same numbers; another stream others.
    CHECK(estimate(four, 0.5, 1000, 3).deviations == estimate(four, 0.5, 1000, 3).deviations);
    CHECK(estimate(four, 0.5, 1000, 3).deviations != estimate(four, 0.5, 1000, 4).deviations);

    // Equal runs say that nothing differs, one run does not know.
    const std::vector<tax_run> equal{{{5, 6}}, {{5, 6}}};
    CHECK(estimate(equal, 0.5, 100, 0).relative_error == 0);
    const std::vector<tax_run> single{{{5, 6, 7, 8, 9, 10, 11, 12, 13}}};
    CHECK(estimate(single, 0.5, 1000, 0, 1).relative_error > 0.05);
}

TEST_CASE("Degrees of freedom are Welch's") {
    bootstrap_estimate a, b;
    a.runs = b.runs = 10;
    a.relative_error = b.relative_error = 0.01;
    CHECK(degrees_of_freedom(a, b) == Approx(18));
    b.relative_error = 0;
    CHECK(degrees_of_freedom(a, b) == Approx(9));
    b.relative_error = 0.02; // (1 + 4)^2 / (1/9 + 16/9)
    CHECK(degrees_of_freedom(a, b) == Approx(25.0 / (17.0 / 9)));
    CHECK(ratio_error(a, b) == Approx(0.01 * std::sqrt(5.0)));
}

TEST_CASE("A ratio's interval is that of Student's t where the noise is normal") {
    normal_numbers noise(21);
    quantity q;
    q.samples = 1;
    q.runs = 20;
    const auto a = estimate(statistics_noise::measure(q, noise), 0.5, 10000, 0);
    const auto b = estimate(statistics_noise::measure(q, noise), 0.5, 10000, 1);
    const double t = barelink::detail::student_t_quantile(0.05, degrees_of_freedom(a, b));
    const bootstrap_interval ratio = ratio_interval(a, b, 0.90);
    CHECK(ratio.mid == Approx(b.value / a.value));
    CHECK(std::log(ratio.high / ratio.mid) == Approx(t * ratio_error(a, b)).epsilon(0.05));
    CHECK(std::log(ratio.mid / ratio.low) == Approx(t * ratio_error(a, b)).epsilon(0.05));
    const bootstrap_interval apart = difference_interval(a, b, 0.90);
    CHECK(apart.mid == Approx(b.value - a.value));
    CHECK(apart.high - apart.low == Approx(100 * (ratio.high - ratio.low)).epsilon(0.05));
    const bootstrap_interval wider = ratio_interval(a, b, 0.98);
    CHECK(wider.high - wider.low > 1.3 * (ratio.high - ratio.low));
}

margin_case a_case(double low, double mid, double high, double margin = 0.02) {
    margin_case c;
    c.kept = {low, mid, high};
    c.error = std::log(high / low) / 2 / 2.5524; // 98 % of 18 degrees
    c.degrees = 18;
    c.runs = 10;
    c.margin = margin;
    return c;
}

TEST_CASE("Decisions go by the margin") {
    CHECK(decide(a_case(0.985, 0.995, 1.005)).verdict == margin_verdict::no_tax);
    CHECK(decide(a_case(0.981, 0.985, 0.989)).verdict ==
          margin_verdict::no_tax); // a loss, and one that does not matter
    CHECK(decide(a_case(0.93, 0.95, 0.97)).verdict == margin_verdict::tax);
    CHECK(decide(a_case(1.03, 1.05, 1.07)).verdict == margin_verdict::faster);
    CHECK(decide(a_case(1.01, 1.03, 1.05)).verdict == margin_verdict::no_tax); // maybe faster, by less than matters
    CHECK(decide(a_case(0.96, 0.99, 1.02)).verdict == margin_verdict::inconclusive);
    CHECK(decide(a_case(0.93, 0.95, 0.97, 0.05)).verdict == margin_verdict::inconclusive);
    CHECK(decide(a_case(0.95, 0.97, 0.9799)).verdict == margin_verdict::tax);
    CHECK(decide(a_case(0.95, 0.97, 0.9801)).verdict == margin_verdict::inconclusive);
    margin_case exact = a_case(1, 1, 1);
    CHECK(decide(exact).verdict == margin_verdict::no_tax);
    exact.kept = {0.9, 0.9, 0.9}; // a simulated machine has no noise at all
    exact.error = 0;
    CHECK(decide(exact).verdict == margin_verdict::tax);
}

TEST_CASE("Inconclusive comes with how many more runs would tell") {
    // From 0.99 the margin is 0.01 away, the interval reaches 0.02 and its error is 0.0078: (0.0266 / 0.01)^2 as many runs.
    const margin_decision near = decide(a_case(0.97, 0.99, 1.01));
    CHECK(near.verdict == margin_verdict::inconclusive);
    CHECK(near.more_runs >= 55);
    CHECK(near.more_runs <= 65);
    const margin_decision far = decide(a_case(0.979, 0.995, 1.011));
    CHECK(far.more_runs >= 1);
    CHECK(far.more_runs < near.more_runs);
    CHECK(decide(a_case(0.96, 0.98, 1.0)).more_runs == most_more_runs); // the loss is the margin: no number tells
    margin_case one = a_case(0.9, 0.9, 0.9);
    one.runs = 1;
    CHECK(decide(one).verdict == margin_verdict::inconclusive); // a process says nothing of the next one
    CHECK(decide(a_case(0.93, 0.95, 0.97)).more_runs == 0);
}

TEST_CASE("Many decisions together, and the noise floor, hold a tax to more") {
    margin_case wide = a_case(0.80, 0.88, 0.968);
    CHECK(decide(wide).verdict == margin_verdict::tax); // t = 3.4: chance 0.0016 with 18 degrees
    wide.family = 30;                                   // 0.05 / 30 = 0.00167
    CHECK(decide(wide).verdict == margin_verdict::tax);
    wide.family = 40;
    const margin_decision many = decide(wide);
    CHECK(many.verdict == margin_verdict::inconclusive);
    CHECK(many.by_chance);
    CHECK(many.more_runs > 0);

    margin_case noisy = a_case(0.93, 0.95, 0.97);
    noisy.noise = 0.025;
    CHECK(decide(noisy).verdict == margin_verdict::tax);
    noisy.noise = 0.035; // two reports of A differ by more than the interval shows
    CHECK(decide(noisy).verdict == margin_verdict::inconclusive);
    CHECK(decide(noisy).within_noise);
}

struct outcome {
    int comparisons = 0, held = 0, tax = 0, faster = 0, no_tax = 0;
};

/// Comparisons of B, which keeps a share of A's rate, with A, through what `compare` calls.
outcome simulate(int comparisons, const quantity& q, double share, double p, int resamples, std::uint64_t seed) {
    outcome seen;
    seen.comparisons = comparisons;
    for (int i = 0; i < comparisons; ++i) {
        normal_numbers noise(seed, static_cast<std::uint64_t>(i));
        quantity slower = q;
        slower.typical *= share;
        const auto stream = static_cast<std::uint64_t>(2 * i);
        const auto a = estimate(statistics_noise::measure(q, noise), p, resamples, stream);
        const auto b = estimate(statistics_noise::measure(slower, noise), p, resamples, stream + 1);
        const bootstrap_interval shown = ratio_interval(a, b, 0.90);
        seen.held += shown.low <= share && share <= shown.high;
        margin_case c;
        c.kept = ratio_interval(a, b, 0.98);
        c.error = ratio_error(a, b);
        c.degrees = degrees_of_freedom(a, b);
        c.runs = q.runs;
        const margin_verdict verdict = decide(c).verdict;
        seen.tax += verdict == margin_verdict::tax;
        seen.faster += verdict == margin_verdict::faster;
        seen.no_tax += verdict == margin_verdict::no_tax;
    }
    return seen;
}

std::string said(const char* what, const outcome& o) {
    const auto percent = [&](int part) { return std::to_string(100.0 * part / o.comparisons).substr(0, 5) + " %"; };
    return std::string(what) + ": " + std::to_string(o.comparisons) +
           " comparisons, 90 % interval holds the truth in " + percent(o.held) + ", tax " + percent(o.tax) +
           ", faster " + percent(o.faster) + ", no tax " + percent(o.no_tax);
}

TEST_CASE("A thousand comparisons: no difference is seldom a tax, 5 % nearly always is, intervals hold the truth") {
    // Ten runs that differ by 1 %, of steps that differ by 1 % and are alike by 0.7. 300 resamples in place of the 10,000
    // of a real comparison, for speed: the code is the same, and the hidden test below runs it with all of them.
    const outcome same = simulate(1000, quantity{}, 1, 0.5, 300, 1);
    INFO(said("no difference", same));
    CHECK(same.tax <= 50);
    CHECK(same.faster <= 50);
    CHECK(same.no_tax >= 800);
    CHECK(same.held >= 870);
    CHECK(same.held <= 930);

    const outcome slower = simulate(1000, quantity{}, 0.95, 0.5, 300, 2);
    INFO(said("5 % slower", slower));
    CHECK(slower.tax >= 900);
    CHECK(slower.held >= 870);
    CHECK(slower.held <= 930);

    // Noise so large that nothing can be said is not taken for a tax either.
    quantity wild;
    wild.between = 0.1;
    const outcome loud = simulate(500, wild, 1, 0.5, 300, 3);
    INFO(said("10 % noise", loud));
    CHECK(loud.tax <= 25);
    CHECK(loud.no_tax <= 25);
}

TEST_CASE("Figures of the simulation at full size") {
    // Minutes: `BARELINK_TEST_FIGURES=1 measure_tests "Figures of the simulation at full size"` prints them.
    if (!std::getenv("BARELINK_TEST_FIGURES")) return;
    quantity tail;
    tail.samples = 1000;
    tail.within = 0.02;
    tail.spikes = 0.02;
    WARN(said("rates, no difference", simulate(1000, quantity{}, 1, 0.5, 10000, 11)));
    WARN(said("rates, 5 % slower", simulate(1000, quantity{}, 0.95, 0.5, 10000, 12)));
    WARN(said("P99 of spiky steps, no difference", simulate(1000, tail, 1, 0.99, 2000, 13)));
    for (const int runs : {3, 5, 20}) {
        quantity few;
        few.runs = runs;
        WARN(said((std::to_string(runs) + " runs, no difference").c_str(), simulate(1000, few, 1, 0.5, 2000, 14)));
        WARN(said((std::to_string(runs) + " runs, 5 % slower").c_str(), simulate(1000, few, 0.95, 0.5, 2000, 15)));
    }
    quantity alike;
    alike.between = 0;
    WARN(said("runs do not differ, no difference", simulate(1000, alike, 1, 0.5, 2000, 16)));
    SUCCEED();
}

TEST_CASE("An open loop counts from when a step was meant to start") {
    // A step takes 0.1 interval; the fourth stalls for three. A closed loop would see one slow step.
    double now = 1000;
    const auto clock = [&] { return now += 0.001; };
    std::vector<double> latency(10);
    std::vector<double> started;
    const open_loop_outcome outcome = run_open_loop(10, latency, clock, [&](std::size_t i) {
        started.push_back(now);
        now += i == 3 ? 30 : 1;
    });
    CHECK(latency[2] == Approx(1).margin(0.05));
    CHECK(latency[3] == Approx(30).margin(0.05));
    CHECK(latency[4] == Approx(21).margin(0.05)); // meant for 10 into the stall; starts at its end, 20 late
    CHECK(latency[5] == Approx(12).margin(0.05));
    CHECK(latency[6] == Approx(3).margin(0.05)); // two steps behind the stall's end, started 2 late
    CHECK(latency[7] == Approx(1).margin(0.05));
    CHECK(outcome.late == 3);
    CHECK(outcome.behind_us == 0);
    CHECK(outcome.elapsed_us == Approx(91).margin(0.05));
    CHECK(started[0] == Approx(1010).margin(0.05)); // an interval after the call
    CHECK(started[1] - started[0] == Approx(10).margin(0.05));

    // Asked for twice what there is: every step is later than the one before, and the outcome says how far.
    now = 0;
    std::vector<double> behind(100);
    const open_loop_outcome over = run_open_loop(5, behind, clock, [&](std::size_t) { now += 10; });
    CHECK(over.behind_us == Approx(5 * 99).margin(1));
    CHECK(behind.back() == Approx(5 * 99 + 10).margin(1));
    CHECK(over.late == 99);

    const open_loop_schedule schedule{100, 2.5};
    CHECK(schedule.intended_us(4) == 110);
    CHECK(schedule.latency_us(4, 113) == 3);
}

TEST_CASE("Warm is when three windows in a row agree within 1 %") {
    warm_up windows;
    CHECK_FALSE(windows.add(100));
    CHECK_FALSE(windows.add(100));
    CHECK(windows.add(100.9));
    CHECK(windows.warm());
    CHECK_FALSE(windows.add(101.1)); // against 100: 1.1 %
    CHECK_FALSE(windows.warm());
    CHECK(windows.windows() == 4);

    warm_up drift; // each agrees with the last one, and they do not stay
    double rate = 100;
    for (int i = 0; i < 20; ++i) CHECK_FALSE(drift.add(rate *= 1.007));
    CHECK(drift.add(rate)); // within 0.7 % of the two before

    warm_up wide(0.05);
    wide.add(100);
    wide.add(104);
    CHECK(wide.add(102));
    warm_up nothing;
    nothing.add(0);
    nothing.add(0);
    CHECK_FALSE(nothing.add(0));
    warm_up broken;
    broken.add(std::nan(""));
    broken.add(100);
    CHECK_FALSE(broken.add(100));
}

TEST_CASE("A clock's cost and step are what it is made of") {
    double now = 0;
    const clock_cost steady = measure_clock_cost([&] { return now += 25; }, 100);
    CHECK(steady.read_ns == Approx(25));
    CHECK(steady.step_ns == Approx(25));
    CHECK_FALSE(steady.backward);

    std::uint64_t fine = 0; // a read costs 30 ns, and the clock shows microseconds
    const clock_cost coarse = measure_clock_cost([&] { return (fine += 30) / 1000 * 1000; }, 10000);
    CHECK(coarse.step_ns == 1000);
    CHECK(coarse.read_ns == Approx(30).margin(0.2));

    int reads = 0; // one batch in five meets an interrupt: the median does not
    double hit = 0;
    const clock_cost interrupted = measure_clock_cost([&] { return hit += ++reads % 500 == 3 ? 1e6 : 20; }, 100);
    CHECK(interrupted.read_ns == Approx(20));

    int turn = 0;
    CHECK(measure_clock_cost([&] { return ++turn == 50 ? 0.0 : turn * 10.0; }, 100).backward);
    const clock_cost still = measure_clock_cost([] { return 5.0; }, 10);
    CHECK(still.step_ns == 0);
    CHECK(still.read_ns == 0);
}

} // namespace statistics_test
