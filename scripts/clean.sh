#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/clean.sh        removes what was built (in the folder build/, or BUILD's)
# scripts/clean.sh all    removes the downloads in the cache as well, and cargo's target/
#
# Only what is on lib.sh's lists goes (built, cached), and a folder only if that leaves nothing in it: there may be
# files of the user's beside it.
looks_only=1
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

remove() { # remove FOLDER LOCK NAME...: its entries NAME..., what scripts that were killed left, and LOCK last
    local folder=$1 lock=$2 left
    shift 2
    rm -rf -- "${@/#/$folder/}" 2>/dev/null ||
        die "not all that was built in $folder can be removed: some of it is another user's, so remove it as root."
    sweep "$folder"
    left=$(find "$folder" -mindepth 1 -maxdepth 1 ! -name "$lock" ! -name "$lock-*" -printf '%f ')
    if [[ -n $left ]]; then
        say "$folder stays, with what is not the build's: $left"
        return
    fi
    rm -f -- "$folder/$lock"-* "$folder/$lock"
    rmdir -- "$folder" 2>/dev/null || true
}

if [[ -d $BUILD ]] && ! is_empty "$BUILD"; then
    [[ -e $MARKER ]] ||
        die "$BUILD was not made by this project's build, so nothing in it was removed: say BUILD=DIR with the" \
            "folder that was, or remove it yourself."
    take_lock MY_RNG_LOCK "$MARKER" '' ||
        die "another make is at work in $BUILD: wait for it to end, or stop it."
    remove "$BUILD" "${MARKER##*/}" "${built[@]}"
fi
if [[ ${1:-} == all ]]; then
    if [[ -d $CACHE ]]; then
        take_lock MY_RNG_CACHE_LOCK "$CACHE/lock" '' ||
            die "another make is using $CACHE: wait for it to end, or stop it."
        remove "$CACHE" lock "${cached[@]}"
    fi
    # cargo marks the folders that it makes.
    [[ ! -e $ROOT/target/CACHEDIR.TAG ]] || rm -rf -- "$ROOT/target"
fi
