// Every public header in one unit, with the templates that matter instantiated: what the linter reads.
#include <barelink/barelink.hpp>
#include <barelink/machine/hwloc.hpp>
#include <barelink/machine/nccl.hpp>
#include <barelink/machine/read.hpp>
#include <barelink/measure.hpp>
#include <barelink/report.hpp>

template class barelink::mover<barelink::sim::runtime>;
template class barelink::plan_cache<>;
template class barelink::result<barelink::machine>;
template std::uint64_t barelink::crossover_bytes<>(const barelink::machine&, barelink::request, std::uint64_t);
template class barelink::rate_probe<barelink::sim::runtime>;
