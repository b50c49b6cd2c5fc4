#include <barelink/barelink.hpp>

static_assert(!barelink::exceptions_enabled, "this unit is built with -fno-exceptions");

double plan_without_exceptions() {
    const barelink::machine m = *barelink::builtin::find("hgx-h100-8");
    barelink::request asked;
    asked.from = barelink::endpoint::host(barelink::numa_id{0});
    asked.to = barelink::endpoint::gpu(barelink::gpu_id{0});
    asked.bytes = barelink::GiB;
    const auto planned = barelink::default_planner(m).make(asked);
    return planned ? planned->predicted_gb_s() : 0;
}
