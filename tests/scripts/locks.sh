# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Locks. tests/scripts.sh runs these.
# shellcheck disable=SC2016,SC2154  # scripts for an inner shell; the variables of tests/scripts.sh

start_waiter() { # start_waiter SCRIPT: returns when it waits for the lock; its input is fd 6, its output fd 9
    coproc waiter { lib "$1" 2>&1; }
    exec 9<&"${waiter[0]}" 6>&"${waiter[1]}"
    read -r line <&9
    [[ $line == *"waiting for it to end" ]] || { echo "the waiter said: $line" && return 1; }
}

test_clean_refuses_while_a_build_runs() {
    start_holder
    unchanged "$tmp/build" fails_with 'another make is at work' clean_env make -s clean BUILD="$tmp/build"
    fails_with 'another make is using' clean_env make -s distclean BUILD="$tmp/other"
    echo true >&7
    wait "$!"
}

test_a_removed_lock_file_locks_nothing() {
    start_holder
    start_waiter "$holder"
    # As make clean does while the other waits.
    echo 'rm -rf "$BUILD"' >&7
    read -r line <&9
    [[ $line == held ]]
    # The waiter has locked the new file.
    not flock -n "$tmp/build/.my_rng-build" true
    echo 'test -d "$LOG" && echo whole' >&6
    read -r line <&9
    [[ $line == whole ]]
}

test_a_failing_flock_is_an_error() {
    # It fails at once; or another holds the lock, and waiting fails.
    program "$tmp/bin/flock" 'exit 71'
    fails_with 'could not be locked' lib 'lock_build; echo built' PATH="$tmp/bin:$PATH"
    program "$tmp/bin/flock" '[ "$1" = -n ] && exit 1' 'exit 71'
    lib 'lock_build; echo built' PATH="$tmp/bin:$PATH" >"$tmp/said" 2>&1 && return 1
    grep -q 'could not be locked' -- "$tmp/said"
    not grep -q built -- "$tmp/said"
}

test_a_script_shares_the_locks_of_its_caller() {
    lib 'lock_build; bash -c ". $ROOT/scripts/lib.sh; lock_build; echo inner"; exec flock -n "$MARKER" echo twice' \
        >"$tmp/said" && return 1
    [[ $(<"$tmp/said") == inner ]]
    # In another folder it takes a lock of its own.
    lib 'lock_build; MY_RNG_BUILD=$BUILD.2 bash -c ". $ROOT/scripts/lib.sh; lock_build"; flock -n "$MARKER.2" true || true
        MY_RNG_BUILD=$BUILD.2 bash -c ". $ROOT/scripts/lib.sh; lock_build; flock -n \$MARKER true || echo locked"' >"$tmp/said"
    [[ $(<"$tmp/said") == locked ]]
}

test_become_releases_locks() {
    start_holder
    echo 'lock_cache debian; become sh -c "echo became; exec cat"' >&7
    read -r line <&8
    [[ $line == became ]]
    flock -n "$tmp/build/.my_rng-build" true
    flock -n "$tmp/home/.cache/my_rng/lock" true
    flock -n "$tmp/home/.cache/my_rng/lock-debian" true
    exec 7>&-
    wait "$!"
}

test_the_cache_has_a_lock_for_each_kind_of_download() {
    lib 'lock_cache debian; flock -n "$CACHE/lock-debian" true || echo one
        flock -n "$CACHE/lock" true || echo two; flock -n -s "$CACHE/lock" echo three' >"$tmp/said"
    [[ $(<"$tmp/said") == $'one\ntwo\nthree' ]]
}

test_a_daemon_started_by_a_step_keeps_no_lock() {
    lib 'lock_build; lock_cache tools
        daemon() { setsid sleep 1000000 & echo "$!" >"$BUILD/daemon"; }
        step daemon "Starting a daemon" daemon
        flock -n "$MARKER" true || echo locked' >"$tmp/said"
    trap 'kill "$(<"$tmp/build/daemon")"' EXIT
    kill -0 "$(<"$tmp/build/daemon")"
    [[ $(<"$tmp/said") == locked ]]
    flock -n "$tmp/build/.my_rng-build" true
    flock -n "$tmp/home/.cache/my_rng/lock" true
    flock -n "$tmp/home/.cache/my_rng/lock-tools" true
}

test_a_script_does_not_release_its_callers_lock() {
    # The inner script ends, or becomes another program; the outer still has its lock.
    lib 'lock_build; bash -c ". $ROOT/scripts/lib.sh; lock_build"; flock -n "$MARKER" true || echo locked' >"$tmp/said"
    [[ $(<"$tmp/said") == locked ]]
    lib 'lock_build; (bash -c ". $ROOT/scripts/lib.sh; lock_build; become true"); flock -n "$MARKER" true || echo locked' >"$tmp/said"
    [[ $(<"$tmp/said") == locked ]]
}

test_become_removes_only_its_own_files() {
    lib 'new_tmp "$LOG"; bash -c ". $ROOT/scripts/lib.sh; become true"; [[ -d $tmp ]] && echo kept' >"$tmp/said"
    [[ $(<"$tmp/said") == kept ]]
    lib 'new_tmp "$LOG"; become ls -A "$LOG"' >"$tmp/said"
    [[ -z $(<"$tmp/said") ]]
}

test_every_top_level_script_locks() {
    local script
    for script in build test bench matrix fuzz check-kernels check-new-device check-debug-kernel check-libvirt \
        check-bare-debian debian-vm stock-disk build-extra; do
        grep -q '^lock_build$' "scripts/$script.sh" || { echo "$script.sh takes no lock" && return 1; }
    done
    # Only files.sh calls flock, where its status is checked.
    not grep -n --exclude=files.sh '\bflock -\|\bflock "' scripts/*.sh
}
