// What a consumer writes: used by every consumer project beside this folder.
#include <barelink/barelink.hpp>

#include <cstdio>

int main() {
    const auto m = barelink::builtin::find("hgx-h100-8");
    if (!m) return 1;
    barelink::request asked;
    asked.from = barelink::endpoint::host_all();
    asked.to = barelink::endpoint::gpu(barelink::gpu_id{0});
    asked.bytes = barelink::GiB;
    asked.relays = barelink::gpu_set::all();
    const auto planned = barelink::default_planner(*m).make(asked);
    if (!planned) return 1;
    std::printf("%.1f GB/s of %.1f\n", planned->predicted_gb_s(), planned->bound_gb_s);
    return planned->predicted_gb_s() > 400 ? 0 : 1;
}
