#include "work.hpp"

#include "captures.hpp"

namespace simcuda {

CUstream_st make_stream(process& p, int device, unsigned flags, int priority, cudaError_t& code) {
    CUstream_st made{};
    made.device = device;
    made.flags = flags;
    made.priority = priority;
    made.id = p.next_id++;
    const auto lane = p.server.make_stream(p.gpu(device));
    const auto mark = lane ? p.server.make_event(p.gpu(device)) : barelink::result<sim::event>(lane.error());
    code = mark ? cudaSuccess : code_of(mark.error());
    if (!mark) return made;
    made.lane = *lane;
    made.mark = *mark;
    return made;
}

CUstream_st* find_stream(process& p, cudaStream_t handle) {
    const bool per_thread = handle == cudaStreamPerThread;
    if (handle != nullptr && handle != cudaStreamLegacy && !per_thread) {
        const auto found = p.streams.find(handle);
        return found == p.streams.end() ? nullptr : found->second.get();
    }
    const int device = current_device(p);
    auto& stream = p.default_streams[{per_thread ? this_thread().number : 0, device}];
    if (stream) return stream.get();
    cudaError_t code = cudaSuccess;
    CUstream_st made = make_stream(p, device, cudaStreamDefault, 0, code);
    if (code != cudaSuccess) return nullptr;
    made.legacy = !per_thread;
    stream = std::make_unique<CUstream_st>(std::move(made));
    return stream.get();
}

CUevent_st* find_event(process& p, cudaEvent_t handle) {
    const auto found = p.events.find(handle);
    return found == p.events.end() ? nullptr : found->second.get();
}

std::vector<CUstream_st*> streams_of(process& p, int device) {
    std::vector<CUstream_st*> found;
    for (const auto& [handle, each] : p.streams)
        if (device < 0 || each->device == device) found.push_back(each.get());
    for (const auto& [key, each] : p.default_streams)
        if (each && (device < 0 || each->device == device)) found.push_back(each.get());
    return found;
}

cudaError_t order_with_legacy(process& p, CUstream_st& stream) {
    if (!stream.blocking()) return cudaSuccess;
    std::vector<CUstream_st*> before;
    if (stream.legacy) {
        for (CUstream_st* each : streams_of(p, stream.device))
            if (each->blocking() && !each->legacy) before.push_back(each);
        for (CUstream_st* each : before)
            if (each->capturing) return spoil(*each->capturing, cudaErrorStreamCaptureImplicit);
    } else {
        const auto legacy = p.default_streams.find({0, stream.device});
        if (legacy != p.default_streams.end()) before.push_back(legacy->second.get());
    }
    const uncharged free_of_cost(p);
    cudaError_t code = cudaSuccess;
    for (CUstream_st* each : before) {
        if (code != cudaSuccess || p.server.is_idle(each->lane)) continue;
        code = code_of(p.server.record(each->mark, each->lane));
        if (code == cudaSuccess) code = code_of(p.server.wait(stream.lane, each->mark));
    }
    return code;
}

cudaError_t submit(process& p, CUstream_st& stream, cudaGraphNodeType type, const command& work) {
    reap(p);
    if (stream.capturing) return add_node(p, stream, type, work);
    const cudaError_t ordered = order_with_legacy(p, stream);
    return ordered == cudaSuccess ? work(p, stream.lane) : ordered;
}

cudaError_t wait_for(process& p, sim::event recording) {
    const barelink::status done = p.server.synchronize(recording);
    if (done) return p.sticky; // which a kernel may have set meanwhile
    if (done.error().code() != barelink::errc::device) return code_of(done);
    // Failed, or still to come with nothing left that could bring it about: CUDA's watchdog would end that some day.
    const auto state = p.server.is_done(recording);
    p.sticky = state ? cudaErrorLaunchTimeout : cudaErrorLaunchFailure;
    return p.sticky;
}

cudaError_t wait_for(process& p, CUstream_st& stream) {
    const uncharged free_of_cost(p);
    const cudaError_t marked = code_of(p.server.record(stream.mark, stream.lane));
    return marked == cudaSuccess ? wait_for(p, stream.mark) : marked;
}

cudaError_t wait_for_device(process& p, int device) {
    for (CUstream_st* each : streams_of(p, device)) {
        const cudaError_t done = wait_for(p, *each);
        if (done != cudaSuccess) return done;
    }
    reap(p);
    return cudaSuccess;
}

void reap(process& p) {
    if (p.staged.empty()) return;
    const uncharged free_of_cost(p);
    std::erase_if(p.staged, [&](staged_bytes& each) {
        const auto read = p.server.is_done(each.read);
        if (read && !*read) return false;
        (void)p.server.unpin(each.bytes.get());
        (void)p.server.destroy(each.read);
        return true;
    });
}

std::function<void()>* keep(process& p, std::function<void()> chore) {
    p.chores.push_back(std::move(chore));
    return &p.chores.back();
}

void run_chore(void* kept) {
    auto* chore = static_cast<std::function<void()>*>(kept);
    (*chore)();
    auto& chores = the_world().running->chores;
    chores.remove_if([&](const std::function<void()>& each) { return &each == chore; });
}

} // namespace simcuda
