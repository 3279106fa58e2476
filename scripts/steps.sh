# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs what takes long. lib.sh sources this file.
#   step, step_may_fail   a command, its output in a log; shows that it is alive
#   update                a step, unless its output is up to date
#   sub, together         other scripts, as parts of this one
#   part, check, skip     what may fail and is counted: for tests; finish_parts prints the counts
# shellcheck disable=SC2030,SC2031  # wipe, in a step's subshell

# ---- ends ----

# make, the scripts that called this one, and this one. A step ends when one of them is gone: a caller that is killed
# cannot end what it started.
first=
if [[ -z ${MY_RNG_CALLERS:-} ]]; then first=1; fi
export MY_RNG_CALLERS="${MY_RNG_CALLERS:-$make_pid} $$"

children=()   # processes that this script waits for
group=        # the process group of the step under way, or "starting"
temporary=()  # files and folders to remove at the end

pause() { read -r -t "$1" <> <(:) || true; } # pause SECONDS, without a process that could outlive this one

retry() { # retry SECONDS COMMAND...: runs COMMAND until it succeeds; fails if it has not after so many seconds
    local deadline=$((SECONDS + $1))
    until "${@:2}"; do
        ((SECONDS < deadline)) || return 1
        pause 0.1
    done
}

is_alive() { # is_alive PID: a zombie is not
    local stat
    # Not by $(<FILE): if the file is missing, that ends the script, even in a condition.
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null && [[ $stat != *') Z '* ]]
}

callers_live() { # whether make, the scripts that called this one, and this one are all alive
    local pid
    for pid in $MY_RNG_CALLERS; do is_alive "$pid" || return 1; done
}

end_group() { # end_group PGID: ends a step with all that it started
    local try
    kill -TERM -- "-$1" 2>/dev/null || return 0
    for ((try = 0; try < 100; try++)); do
        kill -0 -- "-$1" 2>/dev/null || return 0
        pause 0.1
    done
    kill -KILL -- "-$1" 2>/dev/null || true
}

at_exit() {
    local status=$?
    set +e
    # A signal that comes right after a fork can bring a subshell here.
    [[ $BASHPID == "$$" ]] || exit "$status"
    trap '' INT TERM HUP
    # A signal may come before its number is known.
    if [[ $group == starting ]]; then group=${!:-}; fi
    if [[ -n $group ]]; then end_group "$group"; fi
    if ((${#children[@]})); then
        kill -TERM "${children[@]}" 2>/dev/null
        wait "${children[@]}" 2>/dev/null
    fi
    if ((${#temporary[@]})); then rm -rf -- "${temporary[@]}"; fi
    # A script may define this function, to undo what else it did.
    if declare -F at_end >/dev/null; then at_end; fi
    unlock
    if [[ -n $first ]] && ((status > 128 && status < 160)); then
        say "Stopped. Give the same command again to go on from here."
    fi
    exit "$status"
}
trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# ---- other scripts ----

# child COMMAND...: its status goes to $status. A signal ends this script at once, and the child with it; so does the
# end of a caller.
child() {
    local child watcher
    "$@" &
    child=$!
    while callers_live; do pause 1; done && kill -TERM $$ "$child" &
    watcher=$!
    children+=("$child" "$watcher")
    status=0
    wait "$child" || status=$?
    kill "$watcher" 2>/dev/null || true
    wait "$watcher" 2>/dev/null || true
    children=()
}

sub() { # sub SCRIPT [ARG...]: another script as a part of this one; ends this one if it fails
    child "$@"
    ((status == 0)) || exit "$status"
}

together() { # together COMMAND...: scripts at the same time, each with its words in one argument
    local command turn=0
    for command; do
        # shellcheck disable=SC2086  # words
        MY_RNG_TURN="$turn $#" $command &
        children+=("$!")
        turn=$((turn + 1))
    done
    while ((${#children[@]})); do
        # Its status is of no use: it misses those that have ended before. wait PID does not.
        wait -n "${children[@]}" 2>/dev/null || true
        for turn in "${!children[@]}"; do
            if is_alive "${children[turn]}"; then continue; fi
            status=0
            wait "${children[turn]}" || status=$?
            # The exit ends the others.
            ((status == 0)) || exit "$status"
            unset "children[turn]"
        done
    done
}

become() { # become COMMAND [ARG...]: runs it in place of this script, which leaves nothing behind
    local fd
    if ((${#temporary[@]})); then rm -rf -- "${temporary[@]}"; fi
    unlock
    for fd in ${MY_RNG_LOCK:-} ${MY_RNG_CACHE_LOCK:-} ${MY_RNG_CACHED_LOCK:-}; do exec {fd}>&-; done
    exec "$@"
}

# ---- steps ----

last_line() { # last_line LOG: as one plain line
    tail -c 2000 -- "$1" 2>/dev/null | tr '\r\t' '\n ' | tr -d '\000-\011\013-\037\177' |
        sed 's/\[[0-9;]*[mK]//g' | grep -v '^ *$' | tail -n 1 || true
}

# Runs beside a step: shows that it is alive, ends it after LIMIT seconds, and ends it if a caller was killed.
watch_step() { # watch_step NAME LIMIT
    local line start=$EPOCHSECONDS seconds next=30 turn turns columns log=$LOG/$1.log
    # Where steps run at the same time, they take turns on the terminal's status line.
    read -r turn turns <<<"${MY_RNG_TURN:-0 1}"
    while pause 1; do
        seconds=$((EPOCHSECONDS - start))
        if ! callers_live; then
            kill -TERM $$ 2>/dev/null || true
            end_group "$group"
            exit
        fi
        if ((seconds >= $2)); then
            echo "It took longer than $(duration "$2") and was ended; LIMIT=SECONDS allows more." >>"$log"
            end_group "$group"
            exit
        fi
        if [[ -z $wipe ]]; then
            ((seconds >= next)) || continue
            next=$((next + 30))
            say "   ... $1: $(duration "$seconds") so far: $(last_line "$log" | cut -c 1-100)"
        elif ((EPOCHSECONDS / 2 % turns == turn)); then
            columns=$(stty size <&2 2>/dev/null) || columns=80
            columns=${columns#* }
            ((columns > 20)) || columns=80
            line="$1 $((seconds / 60)):$(printf %02d $((seconds % 60))) $(last_line "$log")"
            printf '%s%.*s' "$wipe" $((columns - 1)) "$line" >&2
        fi
    done
}

# step_may_fail NAME MESSAGE COMMAND [ARG...]: runs COMMAND (a function too) in a process group of its own, with its
# output in build/log/NAME.log. Its status goes to $status, its time to $took. Its time limit is MY_RNG_LIMIT
# seconds, and $may_take more where a script sets that.
step_may_fail() {
    # Names that COMMAND, which may be a function, does not look for in its script.
    local step_name=$1 step_start=$EPOCHSECONDS step_watcher
    # bash ignores errors in functions that are called as a condition.
    # shellcheck disable=SC2155  # the status is not what is asked for
    local step_ignored=$(set -e; false; echo yes)
    [[ -z $step_ignored ]] || die "the step $1 is run as a part of a condition: fix the script."
    say "$2"
    : >"$LOG/$1.log" || die "$LOG/$1.log cannot be written: is the disk full?"
    shift 2
    group=starting
    set -m
    (
        set -euo pipefail
        wipe=
        "$@"
    ) >>"$LOG/$step_name.log" 2>&1 </dev/null &
    group=$!
    set +m
    watch_step "$step_name" $((${MY_RNG_LIMIT:-10800} + ${may_take:-0})) &
    step_watcher=$!
    children+=("$step_watcher")
    status=0
    wait "$group" || status=$?
    kill "$step_watcher" 2>/dev/null || true
    wait "$step_watcher" 2>/dev/null || true
    # It may have been ended, or have failed with others of its processes at work.
    if ((status)); then end_group "$group"; fi
    group='' children=()
    printf '%s' "$wipe" >&2
    took=$((EPOCHSECONDS - step_start))
    printf '%s %s %s %s\n' "$step_start" "$step_name" "$took" "$status" >>"$LOG/times" || true
}

show_log() { # show_log NAME [LINES]: the end of a failed step's log; exits if the disk is full
    tail -n "${2:-30}" -- "$LOG/$1.log" | sed 's/^/    /' >&2
    printf 'The whole log: %s\n' "$LOG/$1.log" >&2
    exit_if_disk_full "$LOG/$1.log"
}

step() { # step NAME MESSAGE COMMAND [ARG...]: the same; a failure ends this script
    step_may_fail "$@"
    if ((status)); then
        printf 'error: "%s" failed after %s (exit status %s). The last lines of its log:\n' \
            "$1" "$(duration "$took")" "$status" >&2
        show_log "$1"
        exit 1
    fi
    if ((took >= 5)); then say "   $1: done in $(duration "$took")"; fi
}

# update NAME INPUTS OUTPUT MIB MESSAGE COMMAND...: a step, which needs MIB on the disk, unless OUTPUT exists and was made
# from INPUTS. With MY_RNG_CHECK=1 an error instead of the step.
update() {
    if is_made "$1" "$2" && [[ -e $3 ]]; then return 0; fi
    [[ -z ${MY_RNG_CHECK:-} ]] || die "$1 is not up to date: run make."
    need_space "$BUILD" "$4" "$5"
    unmade "$1"
    step "$1" "${@:5}"
    made "$1" "$2"
}

# ---- parts ----

passed=0 failures=() skipped=() # names; with a reason
table=()                        # lines to print before the counts

count() { # count NAME: a part that ended with $status
    if ((status == 0)); then passed=$((passed + 1)); else failures+=("$1"); fi
}

part() { # part NAME MESSAGE COMMAND...: a step that may fail; shows the counts of the test runners in its log
    step_may_fail "$@"
    count "$1"
    grep -E -e '^(test |running |test result:|skipped: |vmstate: )|^ +(Running|Doc-tests) ' \
        -e '^[a-z-]+: [0-9]+ passed, |^INFO: Total: |^ *[0-9/]+ .* subtests passed' -- "$LOG/$1.log" |
        grep -v -e '^running 0 tests' -e '^test result: ok. 0 passed' || true
    if ((status == 0)); then
        say "   $1: passed in $(duration "$took")"
    else
        printf 'FAILED: %s (exit status %s). The last lines of its log:\n' "$1" "$status" >&2
        show_log "$1" 80
    fi
}

row_part() { # row_part ROW NAME MESSAGE COMMAND...: the part ROW-NAME; its result is added to $row
    part "$1-$2" "${@:3}"
    if ((status == 0)); then row+=" $2"; else row+=" $2:FAILED"; fi
}

check() { # check NAME SCRIPT [ARG...]: a script that runs steps itself, as a part
    child "${@:2}"
    count "$1"
}

skip() { # skip NAME REASON
    skipped+=("$1 ($2)")
    loudly "$1: skipped: $2"
}

finish_parts() { # prints the counts; fails if a part failed
    ((${#table[@]} == 0)) || printf '%s\n' "${table[@]}"
    ((${#failures[@]} == 0)) || printf 'FAILED: %s\n' "${failures[*]}"
    ((${#skipped[@]} == 0)) || printf 'skipped: %s\n' "${skipped[@]}"
    printf 'parts: %d passed, %d failed\n' "$passed" "${#failures[@]}"
    ((${#failures[@]} == 0))
}
