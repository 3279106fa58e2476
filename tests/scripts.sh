#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tests/scripts.sh [TEST...]: tests the Makefile and scripts/ in temporary folders. Builds nothing. The tests are the
# functions test_NAME in tests/scripts/; each runs in a shell of its own, with $tmp as its empty folder.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
top=$(mktemp -d)
trap 'rm -rf -- "$top"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- what the tests share ----

clean_env() { # clean_env [NAME=VALUE...] COMMAND...: without the rest of this shell's environment
    env -i PATH="$PATH" HOME="$tmp/home" TMPDIR="$tmp" "$@"
}

lib() { # lib SCRIPT [NAME=VALUE...]: runs SCRIPT after scripts/lib.sh, with $tmp/build as the build folder
    # shellcheck disable=SC2016  # the inner shell's
    clean_env MY_RNG_BUILD="$tmp/build" "${@:2}" bash -c '. "$0/scripts/lib.sh"; eval "$1"' "$ROOT" "$1"
}

fails_with() { # fails_with PATTERN COMMAND...: it fails, with an error of one line that matches the pattern
    local said pattern=$1
    shift
    if said=$("$@" 2>&1 >/dev/null); then
        echo "did not fail: $*"
        return 1
    fi
    said=$(grep -v '^make' <<<"$said")
    [[ $said == "error: "*$pattern* && $said != *$'\n'* ]] || { echo "said: $said" && return 1; }
}

not() { # not COMMAND...: it fails. bash ignores the status of a command after !
    if "$@"; then echo "succeeded: $*" && return 1; fi
}

listing() { # listing FOLDER: all files in it, with contents
    (cd -- "$1" && find . -printf '%P %y %m %l\n' | sort && find . -type f -print0 | sort -z | xargs -0r sha256sum)
}

unchanged() { # unchanged FOLDER COMMAND...: it does not change FOLDER
    local before
    before=$(listing "$1")
    "${@:2}"
    diff <(echo "$before") <(listing "$1")
}

program() { # program FILE [LINE...]: an executable shell script
    mkdir -p -- "${1%/*}"
    printf '%s\n' '#!/bin/sh' "${@:2}" >"$1"
    chmod +x -- "$1"
}

# shellcheck disable=SC2016
# A script that locks $tmp/build, prints "held", and then runs the command that it reads.
holder='lock_build; echo held; read -r command; eval "$command"'

start_holder() { # its input is fd 7, its output fd 8
    mkfifo -- "$tmp/in" "$tmp/out"
    lib "$holder" <"$tmp/in" >"$tmp/out" 2>"$tmp/holder.log" &
    exec 7>"$tmp/in" 8<"$tmp/out"
    read -r line <&8
    [[ $line == held ]]
}

# The architecture is this machine's, as in a clean environment.
unset MY_RNG_ARCH
# shellcheck source=scripts/arch.sh
. scripts/arch.sh

for file in tests/scripts/*.sh; do
    # shellcheck source=/dev/null
    . "$file"
done

# ---- run them ----

(($#)) || mapfile -t < <(declare -F | sed -n 's/^declare -f test_//p')
(($#)) || set -- "${MAPFILE[@]}"
failed=0 count=0
for name; do
    # A short path: gpg makes sockets there.
    tmp=$top/$((++count))
    mkdir -- "$tmp"
    # Not as a condition, in which bash ignores errors.
    set +e
    (set -e && "test_$name") >"$top/said" 2>&1 </dev/null
    status=$?
    set -e
    if ((status == 0)); then
        echo "test $name ... ok$(sed -n 's/^SKIPPED:/ -- skipped:/p' "$top/said")"
    else
        echo "test $name ... FAILED"
        sed 's/^/    /' "$top/said"
        failed=$((failed + 1))
    fi
done
printf 'scripts: %d passed, %d failed\n' $(($# - failed)) "$failed"
((failed == 0))
