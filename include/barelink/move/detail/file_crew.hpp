// Threads that read and write files, and do nothing else. Private to move.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include <pthread.h>

#include <barelink/move/detail/file_task.hpp>
#include <barelink/move/detail/host_cpus.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Tasks in, tasks out, in the order in which they get done. Groups of threads, one near each ring. Owns its threads: the
/// destructor lets what is begun end, and joins them. `push`, `pop` and `drop_waiting` belong to one thread.
class file_crew {
public:
    file_crew() noexcept = default;
    file_crew(const file_crew&) = delete;
    file_crew& operator=(const file_crew&) = delete;
    ~file_crew() {
        lock();
        stopping_ = true;
        pthread_cond_broadcast(&more_);
        unlock();
        for (const pthread_t thread : threads_) ::pthread_join(thread, nullptr);
    }

    /// Makes the group have at least `count` threads, on the CPUs of `near` where that is known. Returns how many it has.
    [[nodiscard]] std::uint32_t staff(std::uint32_t group, numa_id near, std::uint32_t count) {
        while (group >= groups_.size()) groups_.emplace_back().crew = this;
        group_state& mine = groups_[group];
        const cpu_mask cpus = cpus_of(near) & allowed_cpus();
        for (; mine.threads < count; ++mine.threads) {
            const auto serve_group = [](void* of) -> void* {
                auto* state = static_cast<group_state*>(of);
                state->crew->serve(*state);
                return nullptr;
            };
            pthread_t thread{};
            if (make_thread(thread, cpus, serve_group, &mine) == thread_made::no) break;
            threads_.push_back(thread);
        }
        return mine.threads;
    }
    /// Precondition: its group has a thread.
    void push(file_task& task) noexcept {
        lock();
        groups_[task.group].waiting.push(task);
        ++under_way_;
        pthread_cond_broadcast(&more_);
        unlock();
    }
    /// A task that is done, nullptr when there is none: at once, or with `wait` when none is under way.
    [[nodiscard]] file_task* pop(bool wait) noexcept {
        lock();
        while (wait && !done_.first && under_way_ > 0) pthread_cond_wait(&landed_, &mutex_);
        file_task* const found = done_.pop();
        unlock();
        return found;
    }
    /// Tasks that no thread has begun come back at once, marked.
    void drop_waiting() noexcept {
        lock();
        for (group_state& each : groups_)
            while (file_task* const task = each.waiting.pop()) {
                task->dropped = true;
                --under_way_;
                done_.push(*task);
            }
        unlock();
    }

private:
    struct queue {
        file_task *first = nullptr, *last = nullptr;
        void push(file_task& task) noexcept {
            task.next = nullptr;
            (last ? last->next : first) = &task;
            last = &task;
        }
        [[nodiscard]] file_task* pop() noexcept {
            file_task* const taken = first;
            if (taken) first = taken->next;
            if (!first) last = nullptr;
            return taken;
        }
    };
    struct group_state {
        file_crew* crew = nullptr;
        queue waiting;
        std::uint32_t threads = 0;
    };

    void lock() noexcept { pthread_mutex_lock(&mutex_); }
    void unlock() noexcept { pthread_mutex_unlock(&mutex_); }
    void serve(group_state& mine) {
        for (;;) {
            lock();
            while (!mine.waiting.first && !stopping_) pthread_cond_wait(&more_, &mutex_);
            file_task* const task = stopping_ ? nullptr : mine.waiting.pop();
            unlock();
            if (!task) return;
            carry_out(*task);
            lock();
            --under_way_;
            done_.push(*task);
            pthread_cond_signal(&landed_);
            unlock();
        }
    }

    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t more_ = PTHREAD_COND_INITIALIZER, landed_ = PTHREAD_COND_INITIALIZER;
    std::deque<group_state> groups_; ///< addresses stay
    queue done_;
    std::uint64_t under_way_ = 0;
    bool stopping_ = false;
    std::vector<pthread_t> threads_;
};

} // namespace detail
BARELINK_END_NAMESPACE
