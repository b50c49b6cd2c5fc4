#include <barelink/barelink.hpp>

double plan_in_another_unit(const barelink::machine& m) {
    barelink::request asked;
    asked.from = barelink::endpoint::host(barelink::numa_id{0});
    asked.to = barelink::endpoint::gpu(barelink::gpu_id{0});
    asked.bytes = barelink::GiB;
    return barelink::default_planner(m).make(asked).value().predicted_gb_s();
}
