#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/task.sh TASK: the small tasks of the Makefile
#   demo [OPTION...]  builds, then boots the guest, shows what it prints and checks it; the options are vm-demo's
#   run               builds, then runs $MY_RNG_CMD in the guest
#   shell             builds, then boots an interactive guest
#   where             prints what is built and where it is; builds nothing
#   screenshots       takes the pictures of docs/pictures/ again
#   clean             removes what was built
#   distclean         also removes the downloads in the cache, and cargo's target/
#   help              prints what make can do here, from the comments in the Makefile

help() {
    # shellcheck source=scripts/lists.sh
    . "$(dirname -- "${BASH_SOURCE[0]}")/lists.sh"
    cat <<'END'
my_rng: a random number generator as a PCI device of QEMU, and all that a guest needs to use it.

make TARGET [NAME=VALUE...]

END
    sed -n 's/^\([a-z-]*\): ## \(.*\)/\1\t\2/p' "$(dirname -- "${BASH_SOURCE[0]}")/../Makefile" |
        while IFS=$'\t' read -r target words; do printf '  %-11s %s\n' "$target" "$words"; done
    cat <<END

Sources (by default: the cache, the releases, the distribution's source packages):
  QEMU_SRC=DIR    QEMU_TARBALL=FILE    QEMU $(qemu_wanted) (another: FORCE=1)
  LINUX_SRC=DIR   LINUX_TARBALL=FILE   Linux 7.3.x
  DEBIAN_MIRROR=URL  DEBIAN_SUITE=NAME  for debian-vm (default: this machine's mirror and release)
Architecture of the guest:
  ARCH=x86_64|arm64|riscv64  each is built beside the others (default: this machine's)
Places:
  BUILD=DIR             where to build (default: build/ here)
  XDG_CACHE_HOME=DIR    downloads are kept in its my_rng/ (default: ~/.cache)
  PREFIX=DIR            for install and uninstall; DESTDIR=DIR is put in front of it
Other:
  QEMU_VERSIONS=LIST    the series of QEMU for matrix, also unlisted ones (default: $(qemu_series | paste -sd ' '))
  QEMU_CONFIGURATIONS=LIST  how matrix configures QEMU: plain lto dtrace debug modules targets rust cross
                        (default: all of them)
  ACCEL=auto|kvm|tcg    what runs the guest (default: KVM if a guest really runs on it, else TCG)
  QUICK=1               bench takes less than 2 minutes; ROUNDS=N: how often it measures (default: 15)
  BASELINE=FILE         bench compares with the results.json of an earlier run
  PUBLISH=1             bench also writes docs/benchmarks.md and its charts
  FRESH=1               bench also measures a build from nothing
  SECONDS=N             how long fuzz runs each target (default: 60)
  JOBS=N                how many jobs at once (default: one for each processor)
  LIMIT=N               ends a step that takes longer than N seconds (default: 10800)
  PACKAGES=tell         prints which packages are missing, and installs none
In the environment, put MY_RNG_ in front of ARCH, BASELINE, BUILD, CMD, DESTDIR, FORCE, FRESH, JOBS, LIMIT, PACKAGES,
PREFIX, PUBLISH, QUICK, ROUNDS and SECONDS: MY_RNG_BUILD=DIR.
END
}

case ${1:-} in
    help)
        help
        exit
        ;;
    where | clean | distclean) looks_only=1 ;;
esac
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# ---- the guest ----

demo() {
    local from_nothing=1 stamp
    for stamp in qemu "linux-$arch"; do [[ -e $STAMPS/$stamp ]] && from_nothing=; done
    sub "$ROOT/scripts/build.sh" all
    say "Booting the guest"
    child "$BUILD/bin/vm-demo" "$@"
    # For make bench.
    if ((status == 0)) && [[ -n $from_nothing ]]; then put "$LOG/fresh" <<<$((EPOCHSECONDS - MY_RNG_START)); fi
    exit "$status"
}

vm_run() { # vm_run ARG...
    sub "$ROOT/scripts/build.sh" all
    become "$BUILD/bin/vm-run" "$@"
}

# ---- pictures ----

# A program of the end-to-end tests boots Debian, types at its keyboard, and has QEMU save its screen.
take_pictures() { # take_pictures FOLDER
    cd -- "$ROOT"
    cargo run --locked --jobs "$JOBS" -p my-rng-e2e --bin screenshots -- "$1"
}

screenshots() {
    local name
    [[ -n $arch_pc ]] || die "only the guest on a PC has a screen: set ARCH=x86_64."
    use_rust
    sub "$ROOT/scripts/debian-vm.sh" image
    new_tmp "$BUILD"
    step screenshots "Taking pictures of the guest's screen" take_pictures "$tmp"
    mkdir -p -- "$ROOT/docs/pictures"
    # All of them or none.
    for name in part_1.1.png part_1.2.png part_1.3.png; do
        [[ -s $tmp/$name ]] || die "QEMU saved no $name: see $LOG/screenshots.log."
    done
    for name in "$tmp"/*.png; do put "$ROOT/docs/pictures/${name##*/}" <"$name"; done
    say "The pictures are in $ROOT/docs/pictures."
}

# ---- removing ----

# Removes only what is on lib.sh's lists (built, cached), and a folder only if it is empty then: the user may keep
# other files there.
remove() { # remove FOLDER LOCK NAME...: its entries NAME..., what killed scripts left, and LOCK last
    local folder=$1 lock=$2 left
    shift 2
    rm -rf -- "${@/#/"$folder"/}" 2>/dev/null ||
        die "not all that was built in $folder can be removed: some of it is another user's, so remove it as root."
    sweep "$folder"
    left=$(find "$folder" -mindepth 1 -maxdepth 1 ! -name "$lock" ! -name "$lock-*" -printf '%f ')
    if [[ -n $left ]]; then
        say "$folder stays, because it also holds: $left"
        return
    fi
    rm -f -- "$folder/$lock"-* "$folder/$lock"
    rmdir -- "$folder" 2>/dev/null || true
}

clean() {
    [[ -d $BUILD ]] && ! is_empty "$BUILD" || return 0
    [[ -e $MARKER ]] ||
        die "$BUILD was not made by this project's build, so nothing in it was removed: set BUILD=DIR to the" \
            "folder that was, or remove it yourself."
    take_lock MY_RNG_LOCK "$MARKER" '' || die "another make is at work in $BUILD: wait for it to end, or stop it."
    remove "$BUILD" "${MARKER##*/}" "${built[@]}"
}

distclean() {
    clean
    if [[ -d $CACHE ]]; then
        take_lock MY_RNG_CACHE_LOCK "$CACHE/lock" '' ||
            die "another make is using $CACHE: wait for it to end, or stop it."
        remove "$CACHE" lock "${cached[@]}"
    fi
    # cargo marks the folders that it makes.
    [[ ! -e $ROOT/target/CACHEDIR.TAG ]] || rm -rf -- "$ROOT/target"
}

case ${1:-} in
    demo) demo "${@:2}" ;;
    run)
        [[ -n ${MY_RNG_CMD:-} ]] || die "CMD is not set: run make run CMD='lspci -v', for example."
        vm_run -- sh -c "$MY_RNG_CMD"
        ;;
    shell)
        [[ -t 0 && -t 1 ]] || die "make shell needs a terminal: to run one command, use make run CMD='...'."
        vm_run --shell
        ;;
    where)
        [[ -e $GUEST/where ]] || die "nothing is built in $GUEST yet: run $arch_make first."
        cat -- "$GUEST/where"
        ;;
    screenshots | clean | distclean) "$1" ;;
    *) die "there is no task ${1:-}: see the top of scripts/task.sh." ;;
esac
