// The decode proxy's steps with kernels of the CPU, in stream order on the simulated CUDA library: what it launches, in which order,
// over which memory; and that it finds out kernels that read the wrong bytes.
#include <memory>
#include <optional>
#include <vector>

#include "../../bench/tool/tax/decode_proxy.hpp"
#include "../support/catch.hpp"
#include "../support/cuda_box.hpp"

namespace decode_proxy_test {

using tool::decode_state;

/// Does `work` when the stream comes to it; kept until the end, since a graph may launch it again.
template <class Work>
cudaError_t on_cpu(cudaStream_t stream, Work work) {
    static std::vector<std::unique_ptr<Work>> kept;
    kept.push_back(std::make_unique<Work>(work));
    return cudaLaunchHostFunc(
        stream, [](void* given) { (*static_cast<Work*>(given))(); }, kept.back().get());
}

/// How often each was launched, and what one of them does wrong.
int reads = 0, block_reads = 0, opened = 0, closed = 0;
bool skips_the_last_word = false, forgets_to_open = false;

std::uint32_t sum_of(const void* from, std::uint64_t bytes) {
    const auto* words = static_cast<const std::uint32_t*>(from);
    std::uint32_t sum = 0;
    for (std::uint64_t i = 0; i + (skips_the_last_word ? 1 : 0) < bytes / 4; ++i) sum += words[i];
    return sum;
}

tool::decode_kernels kernels() {
    tool::decode_kernels made;
    made.fill = [](void* to, std::uint64_t bytes, std::uint32_t first, cudaStream_t stream) {
        return on_cpu(stream, [=] {
            for (std::uint64_t i = 0; i < bytes / 4; ++i)
                static_cast<std::uint32_t*>(to)[i] =
                    tool::decode_word(first + static_cast<std::uint32_t>(i * 4 / tool::decode_granule_bytes));
        });
    };
    made.read = [](const void* from, std::uint64_t bytes, decode_state* state, cudaStream_t stream) {
        return on_cpu(stream, [=] {
            ++reads;
            state->sum += state->activation * sum_of(from, bytes);
        });
    };
    made.read_blocks = [](const void* from, std::uint32_t bytes, const std::uint32_t* table, std::uint32_t count,
                          decode_state* state, cudaStream_t stream) {
        return on_cpu(stream, [=] {
            ++block_reads;
            for (std::uint32_t i = 0; i < count; ++i)
                state->sum +=
                    state->activation * sum_of(static_cast<const char*>(from) + std::uint64_t{table[i]} * bytes, bytes);
        });
    };
    made.open_layer = [](decode_state* state, const std::uint32_t* token, cudaStream_t stream) {
        return on_cpu(stream, [=] {
            ++opened;
            if (token)
                state->activation = tool::next_activation(0, sum_of(token, tool::decode_token_words * 4));
            else if (!forgets_to_open)
                state->activation = tool::next_activation(state->activation, state->sum);
            state->sum = 0;
        });
    };
    made.close_layer = [](const decode_state* state, std::uint32_t* trace, std::uint32_t layer, cudaStream_t stream) {
        return on_cpu(stream, [=] {
            ++closed;
            trace[layer] = state->sum;
        });
    };
    return made;
}

struct proxy_on_gpu {
    explicit proxy_on_gpu(unsigned kv_percent) : box("hgx-h100-8"), scope(2), stream(box.stream(2)) {
        reads = block_reads = opened = closed = 0;
        skips_the_last_word = forgets_to_open = false;
        memory = tool::cuda_memory(tool::cuda_memory::kind::device, bytes);
        tool::decode_proxy::fill(kernels(), memory.data(), bytes, stream.handle);
        proxy.emplace(kernels(), memory.data(), tool::decode_layout::make(bytes, 3, kv_percent), stream.handle);
    }
    static constexpr std::uint64_t bytes = 3 * barelink::MiB;
    cuda_box::server box;
    barelink::cuda::detail::device_scope scope;
    barelink::cuda::stream stream;
    tool::cuda_memory memory;
    std::optional<tool::decode_proxy> proxy;
};

TEST_CASE("a step of the decode proxy reads every layer, its sums checked, kernel by kernel and as a graph", "[cuda]") {
    for (const unsigned percent : {0u, 50u}) {
        proxy_on_gpu on(percent);
        CHECK(on.proxy->bytes() == on.bytes);
        for (int step = 0; step < 2; ++step) {
            const tool::step_time took = on.proxy->plain_step();
            CHECK(took.device_us > 0);
            CHECK(took.host_us > 0);
        }
        CHECK(reads == 6);
        CHECK(block_reads == (percent > 0 ? 6 : 0));
        CHECK(opened == 6);
        CHECK(closed == 6);
        for (int step = 0; step < 3; ++step) (void)on.proxy->graph_step(); // another token each time
        CHECK(reads == 15);
        CHECK(closed == 15);
        CHECK(simcuda::calls("cudaGraphLaunch") == 3);
        CHECK(simcuda::contexts() == 1); // on the GPU that was asked for
        CHECK(simcuda::has_context(2));
    }
}

TEST_CASE("a decode proxy whose kernels read the wrong bytes says so", "[cuda]") {
    const auto code_of = [](auto step) {
        try {
            (void)step();
        } catch (const barelink::error& failure) {
            return failure.code();
        }
        return barelink::errc::cancelled;
    };
    proxy_on_gpu on(50);
    CHECK(code_of([&] { return on.proxy->plain_step(); }) == barelink::errc::cancelled);
    skips_the_last_word = true;
    CHECK(code_of([&] { return on.proxy->plain_step(); }) == barelink::errc::not_delivered);
    CHECK(code_of([&] { return on.proxy->graph_step(); }) == barelink::errc::not_delivered);
    skips_the_last_word = false;
    forgets_to_open = true;
    CHECK(code_of([&] { return on.proxy->plain_step(); }) == barelink::errc::not_delivered);
    forgets_to_open = false;
    on.memory.data<std::uint32_t>()[on.bytes / 4 - 1] ^= 1; // simulated GPUs keep their bytes where tests can see them
    CHECK(code_of([&] { return on.proxy->graph_step(); }) == barelink::errc::not_delivered);
}

} // namespace decode_proxy_test
