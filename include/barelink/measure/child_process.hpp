// A program run as a child with a time limit: what may hang or crash is kept out of this process.
#pragma once

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <barelink/core/result.hpp>

BARELINK_BEGIN_NAMESPACE

/// How a child ended and what it said. Exactly one of: it exited (`signal` 0, not timed out), a signal ended it, or its time
/// was up and it was killed.
struct child_end {
    int exit = -1;  ///< exit status; -1 when a signal or the time limit ended it
    int signal = 0; ///< that ended it by itself; 0 otherwise
    bool timed_out = false;
    /// False when it did not go even when killed (it hangs in the kernel): it is left behind.
    bool gone = true;
    double seconds = 0;
    std::string output;      ///< its standard output, cut at `most_output`
    std::string errors;      ///< its standard error, likewise
    bool output_cut = false; ///< there was more
    static constexpr std::size_t most_output = std::size_t{64} << 20;

    [[nodiscard]] bool succeeded() const noexcept { return exit == 0 && signal == 0 && !timed_out; }
    /// `exited with status 1`, `was ended by signal 11 (Segmentation fault)`, `did not end within 5 s and was killed`.
    [[nodiscard]] std::string said() const;
};

/// The path of the program that runs, for starting it again: the kernel's own link, or, where /proc is masked, the name it
/// was started by (right as long as the working folder has not changed).
[[nodiscard]] inline std::string own_program() {
    if (::access("/proc/self/exe", X_OK) == 0) return "/proc/self/exe";
    const auto name = ::getauxval(AT_EXECFN);
    return name == 0 ? std::string() : reinterpret_cast<const char*>(name);
}

/// Runs `arguments[0]`, a path, with the rest; blocks until it has ended or `limit_s` seconds are over, when it is killed with
/// everything it started that stayed in its process group. Standard input is empty; the environment is this process's. The
/// child dies with the thread that called. Threads: any. Errors: invalid_argument without a program, io when pipes or
/// processes run out, not_found or not_permitted when the program cannot be started.
[[nodiscard]] result<child_end> run_child(const std::vector<std::string>& arguments, double limit_s);

namespace detail {

[[nodiscard]] inline double monotonic_s() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// A descriptor that is closed with its scope.
class child_descriptor {
public:
    explicit child_descriptor(int number = -1) noexcept : number_(number) {}
    child_descriptor(const child_descriptor&) = delete;
    child_descriptor& operator=(const child_descriptor&) = delete;
    ~child_descriptor() { close(); }
    void close() noexcept {
        if (number_ >= 0) ::close(number_);
        number_ = -1;
    }
    [[nodiscard]] int get() const noexcept { return number_; }
    void set(int number) noexcept {
        close();
        number_ = number;
    }

private:
    int number_;
};

struct child_pipe {
    child_descriptor read, write;

    [[nodiscard]] bool open() noexcept {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) return false;
        read.set(ends[0]);
        write.set(ends[1]);
        return true;
    }
};

/// Between fork and exec: only what is safe after a fork of a process with threads. Does not return.
[[noreturn]] inline void become_child(char* const* arguments, int input, int output, int errors, int failure,
                                      pid_t parent) noexcept {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127); // it died before it could be told to
    if (::dup2(input, STDIN_FILENO) >= 0 && ::dup2(output, STDOUT_FILENO) >= 0 && ::dup2(errors, STDERR_FILENO) >= 0) {
        sigset_t none;
        ::sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        ::execv(arguments[0], arguments);
    }
    const int native = errno;
    if (::write(failure, &native, sizeof native) < 0) ::_exit(126);
    ::_exit(127);
}

/// Takes what a pipe holds; false at its end.
[[nodiscard]] inline bool drain_pipe(int from, std::string& into, bool& cut) {
    char block[65536];
    const ssize_t got = ::read(from, block, sizeof block);
    if (got == 0) return false;
    if (got < 0) return errno == EINTR || errno == EAGAIN;
    const std::size_t room = child_end::most_output - into.size();
    const std::size_t size = static_cast<std::size_t>(got);
    into.append(block, size < room ? size : room);
    cut = cut || size > room;
    return true;
}

/// Waits for a process to end until `until`, and leaves it to be reaped: its number stays its own. True when it has ended.
[[nodiscard]] inline bool wait_for_child(pid_t child, double until) noexcept {
    for (;;) {
        siginfo_t about{};
        if (::waitid(P_PID, static_cast<id_t>(child), &about, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            about.si_pid == child)
            return true;
        if (monotonic_s() >= until) return false;
        ::poll(nullptr, 0, 2);
    }
}

} // namespace detail

inline std::string child_end::said() const {
    if (timed_out) {
        const std::string limit = std::to_string(seconds);
        return "did not end within " + limit.substr(0, limit.find('.') + 2) + " s and was killed" +
               (gone ? "" : ", which it did not heed");
    }
    if (signal != 0) {
        const char* name = ::strsignal(signal);
        return "was ended by signal " + std::to_string(signal) + (name ? std::string(" (") + name + ")" : "");
    }
    return "exited with status " + std::to_string(exit);
}

inline result<child_end> run_child(const std::vector<std::string>& arguments, double limit_s) {
    if (arguments.empty() || arguments[0].empty())
        return error(errc::invalid_argument, "a child process needs a program to run");
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (const std::string& each : arguments) argv.push_back(const_cast<char*>(each.c_str()));
    argv.push_back(nullptr);
    const auto fail = [&](errc code, int native) {
        return error(code, text::join({"cannot start ", argv[0], ": ", std::strerror(native)}))
            .about(argv[0])
            .natively(native);
    };
    detail::child_pipe output, errors, failure;
    detail::child_descriptor input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (input.get() < 0) { // /dev may be empty: a pipe without a writer is as empty
        detail::child_pipe nothing;
        if (!nothing.open()) return fail(errc::io, errno);
        input.set(::fcntl(nothing.read.get(), F_DUPFD_CLOEXEC, 0));
    }
    if (input.get() < 0 || !output.open() || !errors.open() || !failure.open()) return fail(errc::io, errno);

    const double start = detail::monotonic_s(), until = start + limit_s;
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) return fail(errc::io, errno);
    if (child == 0)
        detail::become_child(argv.data(), input.get(), output.write.get(), errors.write.get(), failure.write.get(),
                             parent);
    ::setpgid(child, child); // both do it: whoever is first
    output.write.close();
    errors.write.close();
    failure.write.close();
    int native = 0;
    ssize_t told = 0;
    while ((told = ::read(failure.read.get(), &native, sizeof native)) < 0 && errno == EINTR) {
    }
    int how = 0;
    if (told > 0) {
        while (::waitpid(child, &how, 0) < 0 && errno == EINTR) {
        }
        return fail(native == ENOENT                      ? errc::not_found
                    : native == EACCES || native == EPERM ? errc::not_permitted
                                                          : errc::io,
                    native);
    }

    child_end end;
    bool ended = false;
    for (bool open[2] = {true, true}; !ended;) {
        // A grandchild may keep a pipe open after the child has gone: the child is what is waited for.
        if (open[0] || open[1]) {
            pollfd waited[2] = {{open[0] ? output.read.get() : -1, POLLIN, 0},
                                {open[1] ? errors.read.get() : -1, POLLIN, 0}};
            if (::poll(waited, 2, 20) > 0) {
                if (waited[0].revents != 0) open[0] = detail::drain_pipe(output.read.get(), end.output, end.output_cut);
                if (waited[1].revents != 0) open[1] = detail::drain_pipe(errors.read.get(), end.errors, end.output_cut);
                if (detail::monotonic_s() < until) continue;
            }
        }
        ended = detail::wait_for_child(child, open[0] || open[1] ? 0 : until);
        if (ended || detail::monotonic_s() < until) continue;
        end.timed_out = true;
        ::kill(-child, SIGKILL);
        end.gone = detail::wait_for_child(child, detail::monotonic_s() + 2);
        break;
    }
    for (const bool first : {true, false}) { // what was written just before the end
        const int from = first ? output.read.get() : errors.read.get();
        ::fcntl(from, F_SETFL, O_NONBLOCK);
        pollfd left{from, POLLIN, 0};
        while (::poll(&left, 1, 0) > 0 && (left.revents & POLLIN) != 0)
            if (!detail::drain_pipe(from, first ? end.output : end.errors, end.output_cut)) break;
    }
    ::kill(-child, SIGKILL); // whatever it left running
    if (end.gone)
        while (::waitpid(child, &how, 0) < 0 && errno == EINTR) {
        }
    end.seconds = detail::monotonic_s() - start;
    if (!end.timed_out && WIFEXITED(how)) end.exit = WEXITSTATUS(how);
    if (!end.timed_out && WIFSIGNALED(how)) end.signal = WTERMSIG(how);
    return end;
}

BARELINK_END_NAMESPACE
