// What a copy costs besides its bytes. Machine-wide, because they belong to the driver and the CPU more than to a link.
#pragma once

#include <barelink/machine/evidence.hpp>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

/// Times in microseconds, rates in GB/s. The defaults are priors (`assumed`), each with its source.
struct copy_costs {
    /// CPU time of one asynchronous copy call. Fitted with `engine_us` and the latency of PCIe's links to the published
    /// V100 size curve (pinned, host to device): 16 kB 4.0, 50 kB 7.3, 100 kB 9.2, 500 kB 11.6 GB/s.
    double submit_us = 1.8;
    /// Time a copy engine is busy with one command besides moving its bytes. Project choice, within the published
    /// 2.3 us of a 16-byte copy between H100s (submit + engine + NVLink latency).
    double engine_us = 0.35;
    /// CPU time to record an event or to make a stream wait for one. Project choice, from traces of CUDA programs.
    double event_us = 0.15;
    /// From an event's completion to the start of work in another stream that waited for it. Project choice.
    double wake_us = 0.8;
    /// What one host thread copies, and how many the mover uses. Published: pageable copies of 10 GB/s on a DGX A100
    /// with the driver's own thread.
    double host_copy_gb_s = 10.0;
    int host_threads = 8;
    /// Staging by the driver when two GPUs have no peer access: a double buffer of this size, and a hand-over between
    /// its two copies. Fitted to H100 (36.7 to 38.4 GB/s); it then gives 20.8 for A100 (published: up to 20.4), 11.2
    /// for V100 (8.5 to 11.4) and 20.7 for RTX 4090 (18.4 to 20.6).
    double driver_staging_bytes = 512.0 * 1024;
    double driver_staging_us = 4.6;
    evidence source = evidence::assumed;
    /// From the end of one copy to the start of a copy right behind it in the same stream, by what has to come back first. Reads of
    /// host memory wait for their last answer. Fitted, with `engine_us` and the latencies, to the published V100 size curve to the
    /// device, which is a hundred copies in one stream: 2.7 us a copy besides its bytes.
    double chain_read_us = 1.65;
    /// Writes over PCIe are posted: nothing comes back. Fitted to the same curve to the host: 1.45 us a copy.
    double chain_posted_us = 0.4;
    /// Over NVLink. Fitted to 16 bytes between GPUs 0 and 1 of a DGX-2 and an H100 server, in one stream (2.3 and 3.3 us): the
    /// mean of the two.
    double chain_nvlink_us = 2.15;
    double chain_nvlink_pull_us = 2.15; ///< only a V100's is published: `builtin::dgx2_v100`
    /// What the first byte of a copy staged by the driver waits for, besides links. Fitted to 16 bytes between GPUs 0
    /// and 1 without peer access of an H100 (18.1 us) and an A100 server (23.6 us): the mean of the two.
    double driver_staging_start_us = 19.0;

    friend bool operator==(const copy_costs&, const copy_costs&) noexcept = default;
};

BARELINK_END_NAMESPACE
