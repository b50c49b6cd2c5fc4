// Events.
#include "captures.hpp"
#include "work.hpp"

namespace simcuda {
namespace {

cudaError_t create(process& p, cudaEvent_t* out, unsigned flags) {
    constexpr unsigned known = cudaEventBlockingSync | cudaEventDisableTiming | cudaEventInterprocess;
    if (!out || (flags & ~known) != 0) return cudaErrorInvalidValue;
    const int device = current_device(p);
    const auto recording = p.server.make_event(p.gpu(device), (flags & cudaEventDisableTiming) == 0);
    if (!recording) return code_of(recording.error());
    auto made = std::make_unique<CUevent_st>();
    made->device = device;
    made->flags = flags;
    made->recording = *recording;
    *out = made.get();
    p.events.emplace(*out, std::move(made));
    return cudaSuccess;
}

cudaError_t record(process& p, CUevent_st& event, CUstream_st& stream, unsigned flags) {
    if (event.device != stream.device) return cudaErrorInvalidResourceHandle;
    const command now = [handle = &event](process& q, sim::stream lane) {
        CUevent_st* e = find_event(q, handle); // in a graph it may be gone by now
        if (!e) return cudaErrorInvalidResourceHandle;
        e->recorded = true;
        e->captured_in = 0;
        return code_of(q.server.record(e->recording, lane));
    };
    if (flags == cudaEventRecordExternal) {
        if (!stream.capturing) return cudaErrorIllegalState;
        return submit(p, stream, cudaGraphNodeTypeEventRecord, now);
    }
    if (flags != cudaEventRecordDefault) return cudaErrorInvalidValue;
    if (!stream.capturing) return submit(p, stream, cudaGraphNodeTypeEventRecord, now);
    if (stream.capturing->invalid) return cudaErrorStreamCaptureInvalidated;
    event.captured_in = stream.capturing->number;
    event.after = stream.tail;
    return cudaSuccess;
}

cudaError_t wait(process& p, CUstream_st& stream, CUevent_st& event, unsigned flags) {
    const command now = [handle = &event](process& q, sim::stream lane) {
        CUevent_st* e = find_event(q, handle);
        return e ? code_of(q.server.wait(lane, e->recording)) : cudaErrorInvalidResourceHandle;
    };
    if (flags == cudaEventWaitExternal) {
        if (!stream.capturing) return cudaErrorIllegalState;
        return submit(p, stream, cudaGraphNodeTypeWaitEvent, now);
    }
    if (flags != cudaEventWaitDefault) return cudaErrorInvalidValue;
    if (stream.capturing && stream.capturing->invalid) return cudaErrorStreamCaptureInvalidated;
    if (event.captured_in == 0) {
        if (stream.capturing) return spoil(*stream.capturing, cudaErrorStreamCaptureIsolation);
        return submit(p, stream, cudaGraphNodeTypeWaitEvent, now);
    }
    capture* its = find_capture(p, event.captured_in);
    if (!its) return cudaErrorCapturedEvent;
    if (its->invalid) return cudaErrorStreamCaptureInvalidated;
    if (stream.capturing && stream.capturing != its) {
        its->invalid = true;
        return spoil(*stream.capturing, cudaErrorStreamCaptureMerge);
    }
    if (stream.legacy) return spoil(*its, cudaErrorStreamCaptureImplicit);
    stream.capturing = its;
    for (const cudaGraphNode_t node : event.after) {
        bool known = false;
        for (const cudaGraphNode_t each : stream.tail) known |= each == node;
        if (!known) stream.tail.push_back(node);
    }
    return cudaSuccess;
}

/// Neither asking nor waiting is possible for an event that was only written down.
cudaError_t may_ask(process& p, const CUevent_st& event) {
    if (event.captured_in != 0) {
        capture* its = find_capture(p, event.captured_in);
        return its ? spoil(*its, cudaErrorCapturedEvent) : cudaErrorCapturedEvent;
    }
    return forbid_while_capturing(p);
}

cudaError_t query(process& p, const CUevent_st& event) {
    if (const cudaError_t code = may_ask(p, event); code != cudaSuccess) return code;
    const auto done = p.server.is_done(event.recording);
    if (done) return *done ? cudaSuccess : cudaErrorNotReady;
    p.sticky = cudaErrorLaunchFailure; // a copy before it failed
    return p.sticky;
}

cudaError_t elapsed(process& p, const CUevent_st& from, const CUevent_st& to, float& ms) {
    const bool timed = ((from.flags | to.flags) & cudaEventDisableTiming) == 0;
    if (!timed || !from.recorded || !to.recorded || from.device != to.device) return cudaErrorInvalidResourceHandle;
    if (from.captured_in != 0 || to.captured_in != 0) return cudaErrorCapturedEvent;
    const auto us = p.server.elapsed_us(from.recording, to.recording);
    if (!us) return cudaErrorNotReady;
    ms = static_cast<float>(*us / 1000);
    return cudaSuccess;
}

} // namespace
} // namespace simcuda

using simcuda::call;
using simcuda::process;

extern "C" {

cudaError_t cudaEventCreate(cudaEvent_t* out) {
    return call(__func__, [&](process& p) { return simcuda::create(p, out, cudaEventDefault); });
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned flags) {
    return call(__func__, [&](process& p) { return simcuda::create(p, out, flags); });
}

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
    return call(__func__, [&](process& p) {
        const auto found = p.events.find(handle);
        if (found == p.events.end()) return cudaErrorInvalidResourceHandle;
        (void)p.server.destroy(found->second->recording);
        p.events.erase(found);
        return cudaSuccess;
    });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    return call(__func__, [&](process& p) {
        CUevent_st* e = simcuda::find_event(p, event);
        CUstream_st* s = simcuda::find_stream(p, stream);
        return e && s ? simcuda::record(p, *e, *s, cudaEventRecordDefault) : cudaErrorInvalidResourceHandle;
    });
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
    return call(__func__, [&](process& p) {
        CUevent_st* e = simcuda::find_event(p, event);
        CUstream_st* s = simcuda::find_stream(p, stream);
        return e && s ? simcuda::record(p, *e, *s, flags) : cudaErrorInvalidResourceHandle;
    });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
    return call(__func__, [&](process& p) {
        CUevent_st* e = simcuda::find_event(p, event);
        CUstream_st* s = simcuda::find_stream(p, stream);
        return e && s ? simcuda::wait(p, *s, *e, flags) : cudaErrorInvalidResourceHandle;
    });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    return call(__func__, [&](process& p) {
        const CUevent_st* e = simcuda::find_event(p, event);
        return e ? simcuda::query(p, *e) : cudaErrorInvalidResourceHandle;
    });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    return call(__func__, [&](process& p) {
        const CUevent_st* e = simcuda::find_event(p, event);
        if (!e) return cudaErrorInvalidResourceHandle;
        const cudaError_t may = simcuda::may_ask(p, *e);
        return may == cudaSuccess ? simcuda::wait_for(p, e->recording) : may;
    });
}

cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
    return call(__func__, [&](process& p) {
        const CUevent_st *a = simcuda::find_event(p, from), *b = simcuda::find_event(p, to);
        if (!ms) return cudaErrorInvalidValue;
        return a && b ? simcuda::elapsed(p, *a, *b, *ms) : cudaErrorInvalidResourceHandle;
    });
}

} // extern "C"
