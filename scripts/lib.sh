# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the scripts share: where things are, messages, and the runner of long steps.
# Sourced, never run. Environment that it reads (the Makefile sets MY_RNG_BUILD if it is told BUILD=, and so on):
#   MY_RNG_BUILD    where everything is built          (default: build/ in this checkout)
#   XDG_CACHE_HOME  downloads are kept in its my_rng/   (default: ~/.cache)
#   MY_RNG_JOBS     how many jobs at once              (default: one for each processor)
#   MY_RNG_LIMIT    a step that takes longer is ended  (default: 10800 seconds)
# A script that must not write to the build folder sets looks_only=1 before it sources this file.

set -euo pipefail
export LC_ALL=C.UTF-8

# ---- where things are ----

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
BUILD=${MY_RNG_BUILD:-$ROOT/build}
[[ $BUILD == /* ]] || BUILD=$PWD/$BUILD
case ${XDG_CACHE_HOME:-} in
    # The XDG specification tells programs to ignore a relative path.
    /*) CACHE=$XDG_CACHE_HOME/my_rng ;;
    *) CACHE=${HOME:-$BUILD}/.cache/my_rng ;;
esac
JOBS=${MY_RNG_JOBS:-$(nproc)}
# Says that this project made the folder, and is what its lock is taken on.
MARKER=$BUILD/.my_rng-build
LOG=$BUILD/log
STAMPS=$BUILD/stamp
# shellcheck disable=SC2034  # for the scripts that source this file
QEMU_TREE=$BUILD/qemu/src QEMU_PREFIX=$BUILD/qemu/prefix \
    LINUX_TREE=$BUILD/linux/src LINUX_OUT=$BUILD/linux/out
export MY_RNG_BUILD=$BUILD MY_RNG_JOBS=$JOBS
# All that the scripts make in the build folder, and in the cache. Anything else there is the user's.
# shellcheck disable=SC2034  # for the scripts that source this file
built=(asan-qemu bare-debian bench bin debian fuzz guest initramfs.cpio linux linux-debug log matrix module module-clippy
    new-device qemu share stamp test-qemu where) \
    cached=(accel debian distribution pypi tmp tools upstream)

# rustup's installer puts its folder into PATH only for shells that are started later.
if [[ -x ${CARGO_HOME:-${HOME:-}/.cargo}/bin/rustup ]] && ! command -v rustup >/dev/null; then
    PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
fi
# kmod's and pciutils' programs are here, where a plain user's PATH does not look.
PATH=$PATH:/usr/sbin:/sbin

# ---- messages ----

# The time since the start is that of the script that was started first.
if [[ -z ${MY_RNG_NOW:-} ]] || ! [[ -d /proc/$MY_RNG_TOP ]]; then
    export MY_RNG_TOP=$$ MY_RNG_START=$EPOCHSECONDS MY_RNG_NOW=$BUILD/log/.now.$$
    # make passes on what ends it, except for what cannot be caught: then its end is noticed.
    export MY_RNG_MAKE=${MAKELEVEL:+$PPID}
fi
# What the make that called us was told is not for the makes that we call.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES GNUMAKEFLAGS MAKE_TERMOUT MAKE_TERMERR

duration() { # duration SECONDS: as people write it
    if (($1 >= 60)); then printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); else printf '%d s' "$1"; fi
}

say() { # a line about what is being done, with the time since the start
    local t=$((EPOCHSECONDS - MY_RNG_START)) wipe=
    [[ -t 2 ]] && wipe=$'\r\e[K'
    printf '%s[%2d:%02d] %s\n' "$wipe" $((t / 60)) $((t % 60)) "$*" >&2
}

loudly() { # a line that must not be overlooked
    say "*** $* ***"
}

die() { # one sentence: what is wrong, and how to fix it
    local wipe=
    [[ -t 2 ]] && wipe=$'\r\e[K'
    printf '%serror: %s\n' "$wipe" "$*" >&2
    exit 1
}

# QEMU's and Linux's own builds split such paths in pieces.
case $ROOT$BUILD in
    *[[:space:]:]*)
        die "neither QEMU nor Linux can be built in a path with a space or a colon (${ROOT} or ${BUILD}):" \
            "move this checkout (or point BUILD=) to a path without."
        ;;
esac

[[ $JOBS =~ ^[1-9][0-9]*$ ]] || die "JOBS=$JOBS is no number of jobs: say JOBS=2, for example, or leave it out."

is_empty() { [[ -d $1 && -z $(ls -A -- "$1") ]]; } # is_empty FOLDER

claim() { # claim FOLDER: marks a new or empty folder as a build folder; refuses one with other things in it
    local marker=$1/${MARKER##*/}
    [[ ! -e $marker ]] || return 0
    # Looked for once more, for another script may be claiming the folder right now.
    if [[ -e $1 || -L $1 ]] && ! is_empty "$1" && [[ ! -e $marker ]]; then
        die "$1 holds files that are not of this project's build: say BUILD=DIR with a new or an empty folder."
    fi
    { mkdir -p -- "$1" && : >>"$marker"; } 2>/dev/null ||
        die "$1 cannot be written: give it to yourself, or say BUILD=DIR with a folder that you may write."
}

make_build_folder() {
    claim "$BUILD"
    mkdir -p -- "$LOG" "$STAMPS" || die "$BUILD cannot be written: is the disk full?"
}
[[ -n ${looks_only:-} ]] || make_build_folder

# ---- being stopped ----

# The script that was started first (the "top") shows how all the others are doing, even what builds
# in another folder, and ends them when it is ended itself.
NOW=$MY_RNG_NOW                 # a file for each step under way
running=()                      # process ids of what this script is waiting for
groups=()                       # process groups of the steps among them
temporary=()                    # files and folders to remove at the end
locks=()                        # open files, the locks on which this script took itself
ticker=

alive() { [[ -e /proc/$1/exe ]]; } # alive PID: a zombie is not

end_group() { # end_group PGID: ends a step with all that it started
    local try
    kill -TERM -- "-$1" 2>/dev/null || return 0
    for ((try = 0; try < 100; try++)); do
        kill -0 -- "-$1" 2>/dev/null || return 0
        pause 0.1
    done
    kill -KILL -- "-$1" 2>/dev/null || return 0
}

pause() { # pause SECONDS, without a process that could outlive us
    read -r -t "$1" -u "$never" || true
}
exec {never}<> <(:)

at_exit() {
    local status=$? pid
    set +e
    trap '' INT TERM HUP
    for pid in ${groups[@]+"${groups[@]}"}; do end_group "$pid"; done
    for pid in ${running[@]+"${running[@]}"}; do kill -TERM "$pid" 2>/dev/null; done
    for pid in ${running[@]+"${running[@]}"}; do wait "$pid" 2>/dev/null; done
    ((${#temporary[@]})) && rm -rf -- "${temporary[@]}"
    unlock
    # A script may define this function, to undo what else it did.
    if declare -F at_end >/dev/null; then at_end; fi
    rm -f -- "$NOW/$$"
    if [[ $MY_RNG_TOP == "$$" ]]; then
        stop_ticker
        rm -rf -- "$NOW"
        if ((status > 128 && status < 160)); then
            say "Stopped. The same command, given again, goes on from here."
        fi
    fi
    exit "$status"
}
trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

wait_for() { # wait_for PID: its status goes to $status; signals to us are acted upon at once
    status=0
    wait "$1" || status=$?
}

sub() { # sub SCRIPT [ARG...]: another script as a part of this one; ends this one if it fails
    local status
    start_ticker
    "$@" &
    running+=("$!")
    wait_for "$!"
    running=()
    ((status == 0)) || exit "$status"
}

become() { # become COMMAND [ARG...]: instead of this script, which leaves nothing behind
    local fd
    stop_ticker
    rm -rf -- "${NOW:?}/$$" ${temporary[@]+"${temporary[@]}"}
    # Otherwise it is the top's, which still shows its steps there.
    [[ $MY_RNG_TOP != "$$" ]] || rm -rf -- "$NOW"
    unlock
    for fd in ${MY_RNG_LOCK:-} ${MY_RNG_CACHE_LOCK:-} ${MY_RNG_CACHED_LOCK:-}; do exec {fd}>&-; done
    exec "$@"
}

together() { # together COMMAND...: scripts at the same time, each with its words in one argument
    local status command pid ended left
    start_ticker
    for command; do
        # shellcheck disable=SC2086  # words
        $command &
        running+=("$!")
    done
    while ((${#running[@]})); do
        status=0 ended=
        wait -n -p ended "${running[@]}" || status=$?
        # The exit ends the others.
        ((status == 0)) || exit "$status"
        left=()
        for pid in "${running[@]}"; do [[ $pid == "$ended" ]] || left+=("$pid"); done
        running=(${left[@]+"${left[@]}"})
    done
}

# ---- the runner of long steps ----

start_ticker() {
    mkdir -p "$NOW"
    [[ $MY_RNG_TOP == "$$" && -z $ticker ]] || return 0
    tick &
    ticker=$!
}

stop_ticker() {
    [[ -n $ticker ]] || return 0
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    ticker=
    if [[ -t 2 ]]; then printf '\r\e[K' >&2; fi
}

last_line() { # last_line LOG: as one plain line
    tail -c 2000 -- "$1" 2>/dev/null | tr '\r\t' '\n ' | tr -d '\000-\011\013-\037\177' |
        sed 's/\[[0-9;]*[mK]//g' | grep -v '^ *$' | tail -n 1 || true
}

read_step() { # read_step FILE: what run_step says of a step that is under way
    { read -r _ && read -r start && read -r log && read -r group && read -r limit; } 2>/dev/null <"$1"
}

tick() { # shows that the steps under way are alive, and ends one that takes too long
    trap - EXIT INT TERM HUP
    local columns=0 elapsed file line lines name start log group limit every=30 last=$EPOCHSECONDS
    if [[ -t 2 ]]; then every=1; fi
    while pause 1; do
        # A top that was killed the hard way could not end its steps: do it for it.
        if ! alive "$MY_RNG_TOP" || { [[ -n $MY_RNG_MAKE ]] && ! alive "$MY_RNG_MAKE"; }; then
            kill -TERM "$MY_RNG_TOP" 2>/dev/null || true
            for file in "$NOW"/*; do
                if read_step "$file"; then end_group "$group"; fi
            done
            rm -rf -- "$NOW"
            alive "$MY_RNG_TOP" || unlock
            exit 0
        fi
        for file in "$NOW"/*; do
            if read_step "$file" && ((EPOCHSECONDS - start >= limit)); then
                echo "It took longer than $(duration "$limit") and was ended; LIMIT=SECONDS allows more." >>"$log"
                end_group "$group"
            fi
        done
        ((EPOCHSECONDS - last >= every)) || continue
        last=$EPOCHSECONDS
        lines=()
        for file in "$NOW"/*; do
            read_step "$file" || continue
            elapsed=$((EPOCHSECONDS - start))
            ((elapsed >= every)) || continue
            name=${log##*/}
            name=${name%.log}
            if [[ -t 2 ]]; then
                lines+=("$name $((elapsed / 60)):$(printf %02d $((elapsed % 60))) $(last_line "$log")")
            else
                say "   ... $name: $(duration "$elapsed") so far: $(last_line "$log" | cut -c 1-100)"
            fi
        done
        if [[ -t 2 ]]; then
            columns=$(stty size 2>/dev/null <&2) || columns=80
            columns=${columns##* }
            ((columns > 20)) || columns=80
            # All on one line, each with the same share of it.
            printf '\r\e[K' >&2
            for line in ${lines[@]+"${lines[@]}"}; do
                printf '%-*.*s ' $((columns / ${#lines[@]} - 2)) $((columns / ${#lines[@]} - 2)) "$line" >&2
            done
        fi
    done
}

# run_step NAME WHAT COMMAND [ARG...]: runs COMMAND (a function too) in a process group of its own,
# all that it prints in build/log/NAME.log; its status goes to $status. One that never ends is ended after
# MY_RNG_LIMIT seconds, and $may_take more where a script sets that.
run_step() {
    # Not names that COMMAND, if it is a function, may look for in the script that it is from.
    local step_name=$1 step_what=$2 step_start=$EPOCHSECONDS step_log=$LOG/$1.log step_pid
    shift 2
    # In a function called as a condition, bash takes no notice of errors, and says nothing of that.
    # shellcheck disable=SC2155  # the status is not what is asked for
    local ignored=$(set -e; false; echo yes)
    [[ -z $ignored ]] || die "the step $step_name is run as a part of a condition: fix the script."
    # Killed the hard way: see tick.
    alive "$MY_RNG_TOP" || exit 143
    start_ticker
    say "$step_what"
    : >"$step_log" || die "$step_log cannot be written: is the disk full?"
    set -m
    (
        trap - EXIT INT TERM HUP
        set -euo pipefail
        "$@"
    ) >>"$step_log" 2>&1 </dev/null &
    step_pid=$!
    set +m
    groups=("$step_pid")
    printf '%s\n' "$step_what" "$step_start" "$step_log" "$step_pid" $((${MY_RNG_LIMIT:-10800} + ${may_take:-0})) >"$NOW/$$"
    wait_for "$step_pid"
    groups=()
    rm -f -- "$NOW/$$"
    if [[ -t 2 ]]; then printf '\r\e[K' >&2; fi
    took=$((EPOCHSECONDS - step_start))
    printf '%s %s %s %s\n' "$step_start" "$step_name" "$took" "$status" >>"$LOG/times" || true
}

# step NAME WHAT COMMAND [ARG...]: as above, and a failure ends this script with the log's last lines.
step() {
    local status took
    run_step "$@"
    if ((status == 0)); then
        if ((took >= 5)); then say "   $1: done in $(duration "$took")"; fi
        return 0
    fi
    failed "$1" "$status" "$took"
}

# step_may_fail ...: as step, but a failure is only told, by $status.
step_may_fail() {
    local took
    run_step "$@"
}

failed() { # failed NAME STATUS SECONDS
    local log=$LOG/$1.log
    {
        printf 'error: "%s" failed after %s (exit status %s). The last lines of its log:\n' \
            "$1" "$(duration "$3")" "$2"
        tail -n 30 -- "$log" | sed 's/^/    /'
        printf 'The whole log: %s\n' "$log"
    } >&2
    disk_full_sentence "$log"
    exit 1
}

# ---- the disk ----

free_mib() { # free_mib PATH: what is free where PATH is, or would be
    local path=$1
    until [[ -e $path ]]; do path=$(dirname -- "$path"); done
    df --output=avail -m -- "$path" | tail -n 1 | tr -d ' '
}

disk_full_sentence() { # disk_full_sentence LOG: names a full disk if that was the cause
    local path
    for path in "$BUILD" "$CACHE" "${TMPDIR:-/tmp}"; do
        if (($(free_mib "$path") < 20)); then
            die "the disk that holds $path is full: free some room there (or choose another with" \
                "BUILD=, XDG_CACHE_HOME= or TMPDIR=) and give the same command again."
        fi
    done
    if grep -q -e 'No space left on device' -e 'Disk quota exceeded' -- "$1" 2>/dev/null; then
        die "there was no room left on a disk (BUILD is $BUILD, the cache $CACHE): free some and" \
            "give the same command again."
    fi
}

need_space() { # need_space PATH MIB WHAT: stops before a long step that would fill the disk
    local free
    free=$(free_mib "$1")
    ((free >= $2)) ||
        die "$3 needs about $2 MiB in $1, where $free MiB are free: free some room (or choose another" \
            "disk with BUILD= or XDG_CACHE_HOME=) and give the same command again."
}

# ---- files ----

# A temporary folder that is removed when the script ends; its path goes to $tmp.
new_tmp() { # new_tmp PARENT: on PARENT's disk, so that a rename from it is one
    mkdir -p -- "$1" || die "$1 cannot be made: is it yours to write, and is there room?"
    tmp=$(mktemp -d -- "$1/.tmp.$$.XXXXXXXX") || die "nothing can be written in $1: is it yours, and is there room?"
    temporary+=("$tmp")
}

remove_tree() { # remove_tree WHAT TREE: TREE, and TREE.source first; what is removed half-way is no TREE
    local tmp
    [[ -e $2 ]] || return 0
    rm -f -- "$2.source"
    new_tmp "$(dirname -- "$2")"
    mv -- "$2" "$tmp/"
    step remove "$1" rm -rf -- "$tmp"
}

sweep() { # sweep FOLDER...: removes what scripts that were killed left behind there
    local folder left
    for folder; do
        for left in "$folder"/.tmp.* "$folder"/.now.*; do
            # Only names of the kind that these scripts make.
            [[ $left =~ /\.(tmp|now)\.([0-9]+)(\.[A-Za-z0-9]+)?$ ]] || continue
            [[ -d /proc/${BASH_REMATCH[2]} ]] || rm -rf -- "$left"
        done
    done
}

# put FILE [COMMAND...]: what COMMAND prints (without one, standard input) into FILE, all of it or nothing.
# Not behind a pipe: when what is before it fails, put sees the end of its input and no more.
put() {
    local part
    # A name that sweep knows.
    part=$(dirname -- "$1")/.tmp.$BASHPID
    temporary+=("$part")
    (($# > 1)) || set -- "$1" cat
    if ! { "${@:2}" >"$part" && mv -fT -- "$part" "$1"; }; then
        rm -f -- "$part"
        die "$1 could not be made with $2: is the disk full?"
    fi
}

# A tar of all files that git tracks or would add. It keeps their times, by which builds see what changed.
pack_checkout() {
    git -C "$ROOT" ls-files -z --cached --others --exclude-standard | sort -zu |
        while IFS= read -rd '' file; do
            # Not what was removed and not yet committed.
            if [[ -e $ROOT/$file || -L $ROOT/$file ]]; then printf '%s\0' "$file"; fi
        done | tar -C "$ROOT" --null --verbatim-files-from -T - -cf -
}

# ---- locks ----

# take_lock VARIABLE FILE WAITING [-s]: locks FILE (with -s, shared), for this script and all that it starts;
# says WAITING if it has to wait, or if that is empty, returns 1. VARIABLE names the open file, and is
# exported: a script that was started by the one that holds the lock has it already.
take_lock() {
    local fd status
    until [[ -n ${!1:-} && /proc/self/fd/${!1} -ef $2 ]]; do
        # clean, which held the lock, may have removed the file that we opened: open the new one.
        if [[ -n ${fd:-} ]]; then exec {fd}>&-; fi
        if [[ ${4:-} == -s && -e $2 ]]; then
            # Nothing is written to what others only read.
            exec {fd}<"$2" || die "$2 cannot be read: give the command as the user who made it, or as root."
        else
            { mkdir -p -- "${2%/*}" && exec {fd}>>"$2"; } || die "$2 cannot be written: is it yours, and is there room?"
        fi
        status=0
        flock -n "${@:4}" "$fd" || status=$?
        if ((status == 1)); then
            [[ -n $3 ]] || return 1
            say "$3: waiting for it to end"
            flock "${@:4}" "$fd" &
            running+=("$!")
            wait_for "$!"
            running=()
        fi
        ((status == 0)) || die "$2 could not be locked (flock's status: $status): use a file system that has locks."
        export "$1=$fd"
        locks+=("$fd")
    done
}

# A daemon that a step started (a compiler cache, for example) has our open files for as long as it lives. So the
# locks are taken off them, and do not wait until the last of these files is closed.
unlock() {
    local fd
    for fd in ${locks[@]+"${locks[@]}"}; do flock -u "$fd" 2>/dev/null || true; done
    locks=()
}

lock_build() { # one at a time in a build folder
    take_lock MY_RNG_LOCK "$MARKER" "Another make is at work in $BUILD"
    # make clean may have removed the folder meanwhile.
    make_build_folder
    share_cache
    sweep "$BUILD" "${built[@]/#/$BUILD/}"
}

share_cache() { # nobody removes the cache while this script is at work
    take_lock MY_RNG_CACHE_LOCK "$CACHE/lock" "make distclean is removing $CACHE" -s
}

# lock_cache WHAT: one at a time puts WHAT into the cache, which checkouts may share; the folder for what is
# not finished yet goes to $cache_tmp
lock_cache() {
    share_cache
    take_lock MY_RNG_CACHED_LOCK "$CACHE/lock-$1" "Another make is putting $1 into $CACHE"
    # What others left is not swept: they may be at work on a machine whose processes are not seen here.
    cache_tmp=$CACHE/tmp/$1
    sweep "$cache_tmp"
}

device_qtests() { # the names of the devices' qtests
    local test
    for test in "$ROOT"/qemu-8.2.9-overlay/tests/qtest/*-test.c; do basename -- "$test" .c; done
}

digest() { # digest PATH...: one hash over the contents of files, and of the files in folders
    find "$@" -type f -print0 2>/dev/null | sort -z | xargs -0r sha256sum |
        sed -e "s|  $ROOT/|  |" -e "s|  $BUILD/|  |" | sha256sum | cut -d ' ' -f 1
}

# A stamp says from which inputs something was made; it is written last.
is_made() { [[ -e $STAMPS/$1 && $(<"$STAMPS/$1") == "$2" ]]; } # is_made NAME INPUTS
made() { put "$STAMPS/$1" <<<"$2"; }                            # made NAME INPUTS
unmade() { rm -f -- "$STAMPS/$1"; }                             # unmade NAME

pinned() { # pinned KEY: what rust-toolchain.toml says of it
    sed -n "s/^$1 *= *//p" -- "$ROOT/rust-toolchain.toml" | tr -d '"[],'
}

use_rust() { # makes plain rustc and cargo, wherever they are called, those of this project
    if command -v rustup >/dev/null; then
        export RUSTUP_AUTO_INSTALL=0
        export RUSTUP_TOOLCHAIN=${RUSTUP_TOOLCHAIN:-$(pinned channel)}
    fi
}

use_bindgen() { # makes plain bindgen, with its libclang, the one with which Linux is built; its path goes to $bindgen
    bindgen=$("$ROOT/scripts/toolchain.sh" bindgen)
    LIBCLANG_PATH=$("$ROOT/scripts/toolchain.sh" libclang)
    PATH=${bindgen%/*}:$PATH
    export LIBCLANG_PATH
}

at_least() { # at_least HAVE WANT: compares versions
    [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]
}
