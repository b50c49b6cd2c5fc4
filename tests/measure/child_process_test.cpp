// Children that end well, badly, late and not at all.
#include <string>
#include <vector>

#include <barelink/measure/child_process.hpp>

#include "support/catch.hpp"

namespace child_process_test {

using namespace barelink;

child_end shell(const char* script, double limit_s = 20) {
    return run_child({"/bin/sh", "-c", script}, limit_s).value();
}

TEST_CASE("a child's status and output", "[measure][child]") {
    const child_end well = shell("echo said; echo complained >&2");
    CHECK(well.succeeded());
    CHECK(well.output == "said\n");
    CHECK(well.errors == "complained\n");
    const child_end badly = shell("exit 3");
    CHECK_FALSE(badly.succeeded());
    CHECK(badly.exit == 3);
    CHECK(badly.said() == "exited with status 3");
    CHECK(shell("read line || echo nothing to read").output == "nothing to read\n");
    // More than a pipe holds, on both at once.
    const child_end wordy = shell("i=0; while [ $i -lt 4000 ]; do echo 0123456789012345678901234567890123456789; "
                                  "echo 0123456789012345678901234567890123456789 >&2; i=$((i+1)); done");
    CHECK(wordy.output.size() == 4000 * 41);
    CHECK(wordy.errors.size() == 4000 * 41);
    CHECK_FALSE(wordy.output_cut);
}

TEST_CASE("a child that a signal ends", "[measure][child]") {
    const child_end ended = shell("echo before; kill -SEGV $$");
    CHECK_FALSE(ended.succeeded());
    CHECK(ended.signal == SIGSEGV);
    CHECK(ended.exit == -1);
    CHECK(ended.output == "before\n");
    CHECK(ended.said().rfind("was ended by signal 11 (", 0) == 0);
}

TEST_CASE("a child whose time is up", "[measure][child]") {
    const child_end late = shell("trap '' TERM; echo before; exec sleep 60", 0.2);
    CHECK(late.timed_out);
    CHECK(late.gone);
    CHECK_FALSE(late.succeeded());
    CHECK(late.output == "before\n");
    CHECK(late.said().rfind("did not end within ", 0) == 0);
    CHECK(shell("sleep 60 & sleep 60", 0.2).timed_out);          // and what it started
    CHECK(shell("exec >&- 2>&-; exec sleep 60", 0.2).timed_out); // silent and closed
}

TEST_CASE("what a child leaves running is not waited for", "[measure][child]") {
    const child_end quick = shell("sleep 60 & echo $!");
    CHECK(quick.succeeded());
    CHECK_FALSE(quick.timed_out);
    const int left = std::stoi(quick.output);
    bool gone = false; // ended, if not reaped yet by whoever does that here
    for (int i = 0; i < 200 && !gone; ++i) {
        const child_end state =
            shell(("cut -d' ' -f3 /proc/" + std::to_string(left) + "/stat 2>/dev/null || echo Z").c_str());
        gone = state.output == "Z\n" || state.output == "X\n";
    }
    CHECK(gone);
}

TEST_CASE("programs that cannot be started", "[measure][child]") {
    const result<child_end> nothing = run_child({"/nowhere/program"}, 1);
    REQUIRE_FALSE(nothing);
    CHECK(nothing.error().code() == errc::not_found);
    CHECK(std::string(nothing.error().what()) == "cannot start /nowhere/program: No such file or directory");
    const result<child_end> folder = run_child({"/"}, 1);
    REQUIRE_FALSE(folder);
    CHECK(folder.error().code() == errc::not_permitted);
    CHECK(run_child({}, 1).error().code() == errc::invalid_argument);
    CHECK_FALSE(own_program().empty());
}

} // namespace child_process_test
