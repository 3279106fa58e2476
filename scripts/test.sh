#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/test.sh [PART...]: every test; the parts, in this order: fmt shellcheck clippy unit build overlay
# clippy-qemu e2e. A part that fails does not keep the others from being run; the last line counts them.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust
cd -- "$ROOT"

check_fmt() {
    cargo fmt --all --check
    # The module is built by Kbuild, which cargo knows nothing of.
    rustfmt --check --edition 2021 guest-module/my_rng.rs
}

check_shell() {
    shellcheck scripts/*.sh .ci/run vm/run
}

check_clippy() {
    cargo clippy --workspace --all-targets --locked --jobs "$JOBS" -- -D warnings
}

check_clippy_qemu() { # the layer that is compiled against QEMU's headers only
    LIBCLANG_PATH=$("$ROOT/scripts/toolchain.sh" libclang)
    export LIBCLANG_PATH QEMU_BUILD_DIR=$QEMU_TREE/build
    cargo clippy -p my-rng-dev --features qemu --all-targets --locked --jobs "$JOBS" -- -D warnings
}

unit_tests() {
    cargo test --locked --jobs "$JOBS"
}

e2e_tests() {
    cargo test --locked --jobs "$JOBS" -p my-rng-e2e
}

listing() { # listing TREE: every file, with its mode and contents
    (
        cd -- "$1"
        find . -printf '%P %y %m %l\n' | sort
        find . -type f -print0 | sort -z | xargs -0 sha256sum
    )
}

overlay_on_and_off() { # overlay_on_and_off FOLDER, which holds a pristine tree
    local tree=$1/tree overlay=$BUILD/bin/qemu-overlay
    listing "$tree" >"$1/before"
    "$overlay" apply "$tree"
    "$overlay" status "$tree"
    listing "$tree" >"$1/on"
    if cmp -s -- "$1/before" "$1/on"; then echo "laying the overlay on changed nothing" && return 1; fi
    "$overlay" apply "$tree"
    listing "$tree" | diff -- "$1/on" - || { echo "laying it on twice made this difference" && return 1; }
    "$overlay" remove "$tree"
    listing "$tree" | diff -- "$1/before" - || { echo "taking it off left this difference" && return 1; }
    if "$overlay" status "$tree"; then echo "the overlay is said to be on a tree that it was taken off" && return 1; fi
    local foreign
    for foreign in not-qemu other-series; do
        mkdir -p -- "$1/$foreign"
        if [[ $foreign == other-series ]]; then
            (cd -- "$tree" && cp --parents VERSION include/qemu/osdep.h hw/misc/Kconfig hw/misc/meson.build "$1/$foreign")
            echo 9.1.0 >"$1/$foreign/VERSION"
        fi
        listing "$1/$foreign" >"$1/before"
        if "$overlay" apply "$1/$foreign"; then echo "$foreign was not refused" && return 1; fi
        listing "$1/$foreign" | diff -- "$1/before" - || { echo "$foreign was changed" && return 1; }
    done
}

overlay_tests() {
    local tmp id
    # The very source that was built, even where it is not given any more.
    id=$(sed -n 's/^id=//p' -- "$QEMU_TREE.source")
    case $id in
        tree:*)
            id=${id#tree:}
            export QEMU_SRC=${id%:*}
            ;;
        tarball:*)
            id=${id#tarball:}
            id=${id%:*}
            export QEMU_TARBALL=${id%:*}
            ;;
    esac
    need_space "$BUILD" 1000 "the test of the overlay"
    new_tmp "$BUILD"
    sub "$ROOT/scripts/fetch.sh" qemu "$tmp/tree"
    part overlay "Laying the overlay on a pristine tree, twice, and taking it off" overlay_on_and_off "$tmp"
    rm -rf -- "$tmp"
}

passed=0 failures=()
part() { # part NAME WHAT COMMAND...: as step, but a failure is only counted
    local status took name=$1
    run_step "$@"
    # The runners' own words and counts.
    grep -E -e '^(test |running |test result:)|^ +(Running|Doc-tests) ' -- "$LOG/$name.log" |
        grep -v -e '^running 0 tests' -e '^test result: ok. 0 passed' || true
    if ((status == 0)); then
        passed=$((passed + 1))
        say "   $name: passed in $(duration "$took")"
    else
        failures+=("$name")
        printf 'FAILED: %s (exit status %s). The last lines of its log:\n' "$name" "$status" >&2
        tail -n 80 -- "$LOG/$name.log" | sed 's/^/    /' >&2
        printf 'The whole log: %s\n' "$LOG/$name.log" >&2
        disk_full_sentence "$LOG/$name.log"
    fi
}

(($#)) || set -- fmt shellcheck clippy unit build overlay clippy-qemu e2e
sub "$ROOT/scripts/packages.sh" test
sub "$ROOT/scripts/toolchain.sh"
for name; do
    case $name in
        fmt) part fmt "Checking the format of the Rust code" check_fmt ;;
        shellcheck) part shellcheck "Checking the scripts with shellcheck" check_shell ;;
        clippy) part clippy "Checking the Rust code with clippy" check_clippy ;;
        unit) part unit "Running the unit tests" unit_tests ;;
        # Without what is built, the rest has nothing to test.
        build) sub "$ROOT/scripts/build.sh" all ;;
        overlay) overlay_tests ;;
        clippy-qemu) part clippy-qemu "Checking the layer between the device and QEMU with clippy" check_clippy_qemu ;;
        e2e) part e2e "Running the end-to-end tests" e2e_tests ;;
        *) die "there is no part $name: see the head of scripts/test.sh." ;;
    esac
done
stop_ticker
((${#failures[@]} == 0)) || printf 'FAILED: %s\n' "${failures[*]}"
printf 'parts: %d passed, %d failed\n' "$passed" "${#failures[@]}"
((${#failures[@]} == 0))
