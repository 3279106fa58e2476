# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Files, disks and locks. lib.sh sources this file.
# shellcheck disable=SC2153,SC2154  # lib.sh sets them

# ---- the build folder ----

is_empty() { [[ -d $1 && -z $(ls -A -- "$1") ]]; } # is_empty FOLDER

claim() { # claim FOLDER: marks a new or empty folder as a build folder; refuses one that holds other files
    local marker=$1/${MARKER##*/}
    [[ ! -e $marker ]] || return 0
    # The marker is checked again at the end: another script may be claiming the folder right now.
    if [[ -e $1 || -L $1 ]] && ! is_empty "$1" && [[ ! -e $marker ]]; then
        die "$1 holds files that are not of this project's build: set BUILD=DIR to a new or an empty folder."
    fi
    { mkdir -p -- "$1" && : >>"$marker"; } 2>/dev/null ||
        die "$1 cannot be written: change its owner, or set BUILD=DIR to a folder that you may write."
}

make_build_folder() {
    claim "$BUILD"
    mkdir -p -- "$LOG" "$STAMPS" || die "$BUILD cannot be written: is the disk full?"
}

# ---- disks ----

free_mib() { # free_mib PATH: what is free on the disk where PATH is, or will be
    local path=$1
    until [[ -e $path ]]; do path=$(dirname -- "$path"); done
    df --output=avail -m -- "$path" | tail -n 1 | tr -d ' '
}

exit_if_disk_full() { # exit_if_disk_full LOG: ends the script with a sentence if that was why a step failed
    local path
    for path in "$BUILD" "$CACHE" "${TMPDIR:-/tmp}"; do
        if (($(free_mib "$path") < 20)); then
            die "the disk that holds $path is full: free some room there (or choose another with" \
                "BUILD=, XDG_CACHE_HOME= or TMPDIR=) and give the same command again."
        fi
    done
    if grep -q -e 'No space left on device' -e 'Disk quota exceeded' -- "$1" 2>/dev/null; then
        die "a disk became full (BUILD is $BUILD, the cache $CACHE): free some room and give the same command again."
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

new_tmp() { # new_tmp PARENT: a folder on PARENT's disk, removed when the script ends; its path goes to $tmp
    mkdir -p -- "$1" || die "$1 cannot be made: is it yours to write, and is there room?"
    tmp=$(mktemp -d -- "$1/.tmp.$$.XXXXXXXX") || die "$1 cannot be written: is it yours, and is there room?"
    temporary+=("$tmp")
}

remove_tree() { # remove_tree MESSAGE TREE: and TREE.source. A TREE is never half removed.
    local tmp
    [[ -e $2 ]] || return 0
    rm -f -- "$2.source"
    new_tmp "$(dirname -- "$2")"
    mv -- "$2" "$tmp/"
    step remove "$1" rm -rf -- "$tmp"
}

sweep() { # sweep FOLDER...: removes what killed scripts left there
    local folder left
    for folder; do
        for left in "$folder"/.tmp.*; do
            # Only names that new_tmp and put make.
            [[ $left =~ /\.tmp\.([0-9]+)(\.[A-Za-z0-9]+)?$ ]] || continue
            [[ -d /proc/${BASH_REMATCH[1]} ]] || rm -rf -- "$left"
        done
    done
}

# put FILE [COMMAND...]: writes what COMMAND prints (or standard input) to FILE, all of it or nothing.
# Do not use it behind a pipe: it cannot see a failure of what comes before.
put() {
    local part
    part=$(dirname -- "$1")/.tmp.$BASHPID
    temporary+=("$part")
    (($# > 1)) || set -- "$1" cat
    if ! { "${@:2}" >"$part" && mv -fT -- "$part" "$1"; }; then
        rm -f -- "$part"
        die "$1 could not be made with $2: is the disk full?"
    fi
}

# Prints a tar of all files that git tracks or would add. It keeps their times, by which builds see what changed.
pack_checkout() {
    git -C "$ROOT" ls-files -z --cached --others --exclude-standard | sort -zu |
        while IFS= read -rd '' file; do
            # Files may have been removed without a commit.
            if [[ -e $ROOT/$file || -L $ROOT/$file ]]; then printf '%s\0' "$file"; fi
        done | tar -C "$ROOT" --null --verbatim-files-from -T - -cf -
}

# ---- stamps ----

digest() { # digest PATH...: one hash over the contents of files, and of the files in folders
    find "$@" -type f -print0 2>/dev/null | sort -z | xargs -0r sha256sum |
        sed -e "s|  $ROOT/|  |" -e "s|  $BUILD/|  |" | sha256sum | cut -d ' ' -f 1
}

# A stamp says from which inputs something was made. It is written last.
is_made() { [[ -e $STAMPS/$1 && $(<"$STAMPS/$1") == "$2" ]]; } # is_made NAME INPUTS
made() { put "$STAMPS/$1" <<<"$2"; }                            # made NAME INPUTS
unmade() { rm -f -- "$STAMPS/$1"; }                             # unmade NAME

# ---- locks ----

locks=() # the open files that this script locked itself

# take_lock VARIABLE FILE WAITING [-s]: locks FILE (with -s, shared) for this script and all that it starts.
# If it has to wait, it says WAITING; if that is empty, it returns 1 instead. VARIABLE, exported, holds the number of
# the open file: scripts that this one starts inherit both, and so have the lock.
take_lock() {
    local fd status
    until [[ -n ${!1:-} && /proc/self/fd/${!1} -ef $2 ]]; do
        # A make clean that held the lock has removed the file: open the new one.
        if [[ -n ${fd:-} ]]; then exec {fd}>&-; fi
        if [[ ${4:-} == -s && -e $2 ]]; then
            # Other users' files can be locked, too.
            exec {fd}<"$2" || die "$2 cannot be read: give the command as the user who made it, or as root."
        else
            { mkdir -p -- "${2%/*}" && exec {fd}>>"$2"; } || die "$2 cannot be written: is it yours, and is there room?"
        fi
        status=0
        flock -n "${@:4}" "$fd" || status=$?
        if ((status == 1)); then
            [[ -n $3 ]] || return 1
            say "$3: waiting for it to end"
            child flock "${@:4}" "$fd"
        fi
        ((status == 0)) || die "$2 could not be locked (flock's status: $status): use a file system that has locks."
        export "$1=$fd"
        locks+=("$fd")
    done
}

# A daemon that a step started (a compiler cache, for example) keeps these files open. So unlock them explicitly.
unlock() {
    local fd
    for fd in ${locks[@]+"${locks[@]}"}; do flock -u "$fd" 2>/dev/null || true; done
    locks=()
}

lock_build() { # one script at a time works in a build folder
    take_lock MY_RNG_LOCK "$MARKER" "Another make is at work in $BUILD"
    # While this waited, make clean may have removed the folder.
    make_build_folder
    share_cache
    sweep "$BUILD" "${built[@]/#/"$BUILD"/}"
}

share_cache() { # nobody removes the cache while this script is at work
    take_lock MY_RNG_CACHE_LOCK "$CACHE/lock" "make distclean is removing $CACHE" -s
}

# lock_cache WHAT: one script at a time, of all checkouts, puts WHAT into the cache. The folder for unfinished files
# goes to $cache_tmp.
lock_cache() {
    share_cache
    take_lock MY_RNG_CACHED_LOCK "$CACHE/lock-$1" "Another make is putting $1 into $CACHE"
    # The rest of the cache is not swept: it may be shared with machines whose processes are not seen here.
    cache_tmp=$CACHE/tmp/$1
    sweep "$cache_tmp"
}
