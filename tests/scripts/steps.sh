# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Files and steps. tests/scripts.sh runs these.
# shellcheck disable=SC2016,SC2154  # scripts for an inner shell; the variables of tests/scripts.sh

test_sweep_removes_only_what_killed_scripts_left() {
    lib 'cd "$BUILD"; mkdir .tmp.4194305.aB3 .tmp.4194305 .tmp.$$.aB3 .tmp.notes .tmp.12x .tmp.4194305.a.b
        sweep "$BUILD"; rmdir .tmp.$$.aB3 || exit; ls -A' >"$tmp/said"
    [[ $(paste -sd ' ' "$tmp/said") == ".my_rng-build .tmp.12x .tmp.4194305.a.b .tmp.notes log stamp" ]]
}

test_only_folders_of_the_scripts_are_swept() {
    mkdir -p -- "$tmp/home/.cache/my_rng/tmp"/{tools,qemu}/.tmp.4194305.aB3 "$tmp/build"/{mine,bin,stamp}/.tmp.4194305.aB3
    : >"$tmp/build/.my_rng-build"
    : >"$tmp/build/stamp/.tmp.4194305"
    lib 'lock_build; lock_cache tools'
    [[ $(cd -- "$tmp" && find . -name '.tmp.*' | sort | paste -sd ' ') == \
        "./build/mine/.tmp.4194305.aB3 ./home/.cache/my_rng/tmp/qemu/.tmp.4194305.aB3" ]]
}

test_an_interrupted_put_is_swept() {
    # SIGKILL keeps it from removing anything itself.
    lib 'put "$STAMPS/a" sh -c "echo half; kill -KILL \$PPID"' && return 1
    [[ -n $(ls -A -- "$tmp/build/stamp") ]]
    lib 'lock_build; ls -A "$STAMPS"' >"$tmp/said"
    [[ -z $(<"$tmp/said") ]]
}

test_put_does_not_write_into_a_folder_of_that_name() {
    lib 'mkdir "$BUILD/a"; put "$BUILD/a" <<<text' 2>"$tmp/said" && return 1
    grep -q 'a could not be made' -- "$tmp/said"
    [[ -z $(ls -A -- "$tmp/build/a") ]]
}

test_put_writes_all_or_nothing() {
    lib 'put "$BUILD/a" <<<old; put "$BUILD/a" sh -c "echo half; exit 1" || true' 2>"$tmp/said" && return 1
    [[ $(<"$tmp/build/a") == old && $(cd -- "$tmp/build" && echo a*) == a ]]
    grep -q 'a could not be made with sh' -- "$tmp/said"
    not grep -n '| *put ' scripts/*.sh
}

test_a_step_sees_the_variables_of_its_script() {
    lib 'name=1 what=2 start=3 log=4 pid=5; see() { [[ $name$what$start$log$pid == 12345 ]]; }; step looking "Looking" see'
}

test_a_hanging_step_is_ended() {
    lib 'step forever "Waiting" sleep 1000000' MY_RNG_LIMIT=1 2>"$tmp/said" && return 1
    grep -q 'It took longer than 1 s and was ended' -- "$tmp/said"
    lib 'may_take=1000; step soon "Waiting" true' MY_RNG_LIMIT=0
}

test_a_subshell_undoes_nothing_of_its_script() {
    lib 'new_tmp "$BUILD"; (at_exit); [[ -d $tmp ]]'
}

test_a_killed_script_leaves_no_process() {
    local how run step script
    mkfifo -- "$tmp/pids"
    for how in starting ended killed killed-caller; do
        run='step forever "Waiting" forever'
        # As when the signal comes before the step's process group is known.
        if [[ $how == starting ]]; then run='group=starting; set -m; forever & set +m; wait'; fi
        # With MAKELEVEL, the process that started the script stands for make.
        lib 'forever() { echo "$BASHPID $$" >"$TMPDIR/pids"; exec sleep 1000000; }; '"$run" MAKELEVEL=1 &
        read -r step script <"$tmp/pids"
        kill -0 "$step"
        case $how in
            starting | ended) kill -TERM "$script" ;;
            killed) kill -KILL "$script" ;;
            killed-caller) kill -KILL "$!" ;;
        esac
        # tail ends when the step's process has ended.
        timeout 60 tail -s 0.1 --pid="$step" -f /dev/null
        wait "$!" || true
    done
}

test_a_killed_caller_ends_what_its_script_waits_for() {
    local how program script
    mkfifo -- "$tmp/pids"
    program "$tmp/program" 'echo $$ $PPID >"$TMPDIR/pids"' 'exec sleep 1000000'
    for how in killed killed-caller; do
        lib 'child "$TMPDIR/program"; exit "$status"' MAKELEVEL=1 &
        read -r program script <"$tmp/pids"
        if [[ $how == killed ]]; then kill -KILL "$script"; else kill -KILL "$!"; fi
        timeout 60 tail -s 0.1 --pid="$program" -f /dev/null
        wait "$!" || true
    done
}

test_a_process_may_end_while_it_is_looked_at() {
    lib 'for _ in {1..1000}; do /bin/true & while is_alive "$!"; do :; done; wait "$!"; done'
    lib 'is_alive $$; if is_alive 4194305; then exit 1; fi'
}

test_scripts_that_run_together_take_turns() {
    # Many times: both may end before they are waited for.
    lib 'for _ in {1..50}; do together "printenv MY_RNG_TURN" "printenv MY_RNG_TURN"; done' >"$tmp/said"
    [[ $(sort -u -- "$tmp/said") == $'0 2\n1 2' && $(wc -l <"$tmp/said") == 100 ]]
    lib 'for _ in {1..20}; do (together false true) && exit; done; exit 7' && return 1
    (($? == 7))
}

test_bench_does_not_change_the_checkout() {
    local name checkout=$tmp/my_rng
    mkdir -p -- "$checkout"/{rust-dev/src,qemu-8.2.9-overlay/hw/misc/qemu-pci} "$tmp/build/bench"
    cp -R -- Makefile scripts rust-toolchain.toml "$checkout/"
    echo '// as the user edits it' >"$checkout/rust-dev/src/lib.rs"
    : >"$checkout/qemu-8.2.9-overlay/hw/misc/qemu-pci/cargo-staticlib.py"
    git -C "$checkout" init --quiet
    # These replace what takes long. The demo records the source that it would have built.
    for name in "$checkout"/scripts/{build,build-extra}.sh "$tmp/bin/cargo" \
        "$tmp/build/guest/$arch_rust/release/my-rng-bench"; do program "$name"; done
    program "$checkout/scripts/task.sh" "cat \"\${0%/scripts/*}/rust-dev/src/lib.rs\" >'$tmp/seen'"
    program "$tmp/build/bin/vm-demo" 'echo END MY-RNG TEST'
    : >"$tmp/build/.my_rng-build"
    : >"$tmp/build/bench/table.md"
    unchanged "$checkout" clean_env PATH="$tmp/bin:$PATH" make -s -C "$checkout" bench BUILD="$tmp/build"
    grep -q 'as the user edits it' -- "$tmp/seen"
    grep -q 'static MY_RNG_BENCH' -- "$tmp/seen"
    grep -qx 'edit [0-9.]*' -- "$tmp/build/bench/times"
    # Nor does one that is killed in the middle of the demo.
    mkfifo -- "$tmp/demo"
    program "$checkout/scripts/task.sh" "echo \$\$ \$PPID >'$tmp/demo'" 'exec sleep 1000000'
    # shellcheck disable=SC2317  # called below
    killed_bench() {
        local demo bench
        clean_env PATH="$tmp/bin:$PATH" MY_RNG_BUILD="$tmp/build" "$checkout/scripts/bench.sh" &
        read -r demo bench <"$tmp/demo"
        kill -KILL "$bench" "$demo"
        wait "$!" || true
    }
    unchanged "$checkout" killed_bench
}
