#!/usr/bin/env bash
# From a fresh Debian 12 to a running demo, passing tests or a clean lint: installs what is missing, configures, builds, runs.
set -euo pipefail

usage() {
    cat <<'END'
usage: cmake/bootstrap.sh demo | test [CMAKE OPTION...] | lint | clean

  demo   build the tool; draw a server, plan a transfer over several links, run it simulated with its bytes verified
  test   build everything and run all tests
  lint   check formatting and run clang-tidy over the library and the examples
  clean  remove the build folders

Environment: BUILD_DIR (build), CXX (the system's g++), JOBS (all cores), BARELINK_NO_INSTALL=1 (never call apt-get)
END
}

cd "$(dirname "$0")/.."
build=${BUILD_DIR:-build}
jobs=${JOBS:-$(nproc)}

# install_missing PACKAGE...: only what is not there, and only if we may.
install_missing() {
    local missing=()
    command -v dpkg-query >/dev/null || return 0 # not Debian: cmake says what it lacks
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
    if [ "${BARELINK_NO_INSTALL:-0}" = 1 ] || { [ ${#as_root[@]} -gt 0 ] && ! command -v sudo >/dev/null; }; then
        echo "bootstrap: missing packages; run: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    echo "bootstrap: installing ${missing[*]}"
    local log
    log=$(mktemp)
    if ! { "${as_root[@]}" apt-get update && DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "bootstrap: apt-get failed; see above" >&2
        exit 1
    fi
    rm -f "$log"
}

toolchain() {
    local compiler=g++
    case "${CXX:-}" in *clang*) compiler=clang ;; esac
    install_missing "$compiler" cmake ninja-build pkg-config libhwloc-dev libfmt-dev libpugixml-dev libcli11-dev nlohmann-json3-dev liburing-dev
}

configure() {
    local log
    log=$(mktemp)
    if ! cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release "$@" >"$log" 2>&1; then
        cat "$log" >&2
        exit 1
    fi
    grep 'barelink:' "$log" || true
    rm -f "$log"
}

case "${1:-}" in
demo)
    toolchain
    configure
    cmake --build "$build" --parallel "$jobs" --target barelink_tool
    "$build/bin/barelink" demo --out "$build/demo" tests/fixtures/four-a100-nvlink.nccl.xml
    ;;
test)
    toolchain
    install_missing catch2
    # One test looks at the tax report's page in a browser. It is large: without it that test is skipped.
    (install_missing chromium fonts-liberation) || echo "bootstrap: no Chromium: the page of the tax report is not looked at" >&2
    # Everything is compiled anyway: several files a unit take a third of the time.
    configure -DBARELINK_WERROR=ON -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=6 "${@:2}"
    cmake --build "$build" --parallel "$jobs"
    ctest --test-dir "$build" --parallel "$jobs" --output-on-failure
    ;;
lint)
    toolchain
    install_missing clang-format clang-tidy catch2
    git ls-files -z '*.hpp' '*.cpp' | xargs -0 clang-format --dry-run -Werror
    configure -DCMAKE_EXPORT_COMPILE_COMMANDS=ON -DCMAKE_UNITY_BUILD=OFF # the linter asks for files by their own names
    # One translation unit that sees the whole library, and the examples.
    git ls-files -z 'tests/headers/whole_library.cpp' 'tests/headers/whole_cuda.cpp' 'examples/*.cpp' |
        if command -v nvcc >/dev/null || [ -d /usr/local/cuda ]; then cat; else grep -zvE 'cuda|drop_in|preload'; fi |
        xargs -0 -n 1 -P "$jobs" clang-tidy --quiet --extra-arg=-Wno-unknown-warning-option -p "$build"
    echo "lint: clean"
    ;;
clean)
    rm -rf "$build"
    ;;
*)
    usage >&2
    exit 2
    ;;
esac
