# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every script sources this file: paths, messages, compilers. steps.sh runs long steps; files.sh has files and locks.
# It reads these variables (make BUILD=DIR sets MY_RNG_BUILD, and so on):
#   MY_RNG_BUILD    where everything is built          (default: build/ in this checkout)
#   MY_RNG_ARCH     the guest's architecture           (default: this machine's)
#   XDG_CACHE_HOME  downloads are kept in its my_rng/   (default: ~/.cache)
#   MY_RNG_JOBS     how many jobs at once              (default: one for each processor)
#   MY_RNG_LIMIT    a step that takes longer is ended  (default: 10800 seconds)
# A script that must not write to the build folder sets looks_only=1 before it sources this file.

set -euo pipefail
export LC_ALL=C.UTF-8

# ---- paths ----

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
BUILD=${MY_RNG_BUILD:-$ROOT/build}
[[ $BUILD == /* ]] || BUILD=$PWD/$BUILD
case ${XDG_CACHE_HOME:-} in
    # The XDG specification tells programs to ignore a relative path.
    /*) CACHE=$XDG_CACHE_HOME/my_rng ;;
    *) CACHE=${HOME:-$BUILD}/.cache/my_rng ;;
esac
JOBS=${MY_RNG_JOBS:-$(nproc)}
# Marks a folder as made by this build; also the file that lock_build locks.
MARKER=$BUILD/.my_rng-build
LOG=$BUILD/log
STAMPS=$BUILD/stamp
export MY_RNG_BUILD=$BUILD MY_RNG_JOBS=$JOBS
# All that the scripts (and .devcontainer) make in the build folder and in the cache. Anything else there is the user's.
# shellcheck disable=SC2034  # for the scripts that source this file
built=(arm64 asan-qemu bare-debian bench bin disks docs fuzz guest host linux linux-debug linux-inline log matrix
    module-clippy new-device packages qemu riscv64 share stamp test-qemu tsan-qemu x86_64) \
    cached=(accel debian distribution foreign pypi tmp tools upstream)

# rustup's installer changes PATH only for new shells.
if [[ -x ${CARGO_HOME:-${HOME:-}/.cargo}/bin/rustup ]] && ! command -v rustup >/dev/null; then
    PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
fi
# For depmod and lspci, which are not in a plain user's PATH.
PATH=$PATH:/usr/sbin:/sbin

# The options of the make that called us are not for the makes that we call.
make_pid=${MAKELEVEL:+$PPID}
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES GNUMAKEFLAGS MAKE_TERMOUT MAKE_TERMERR

# ---- messages ----

export MY_RNG_START=${MY_RNG_START:-$EPOCHSECONDS} # when the first script started
wipe=                                              # removes the status line of a terminal
if [[ -t 2 ]]; then wipe=$'\r\e[K'; fi

duration() { # duration SECONDS: for people
    if (($1 >= 60)); then printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); else printf '%d s' "$1"; fi
}

say() { # say WORD...: what is being done, with the time since the start
    local t=$((EPOCHSECONDS - MY_RNG_START))
    printf '%s[%2d:%02d] %s\n' "$wipe" $((t / 60)) $((t % 60)) "$*" >&2
}

loudly() { say "*** $* ***"; } # loudly WORD...: a line that must be seen

die() { # die WORD...: one sentence: what is wrong, and how to fix it
    printf '%serror: %s\n' "$wipe" "$*" >&2
    exit 1
}

# ---- the architecture ----

# shellcheck source=scripts/arch.sh
. "$ROOT/scripts/arch.sh"
# The sources and QEMU are for all architectures, and what is in $GUEST for one.
GUEST=$BUILD/$arch
# shellcheck disable=SC2034  # for the scripts that source this file
QEMU_TREE=$BUILD/qemu/src QEMU_PREFIX=$BUILD/qemu/prefix QEMU=$BUILD/qemu/prefix/bin/qemu-system-$arch_qemu \
    LINUX_TREE=$BUILD/linux/src LINUX_OUT=$GUEST/linux KERNEL=$GUEST/linux/$arch_image MODULE=$GUEST/module/my_rng.ko
# Where make packages puts packages.
# shellcheck disable=SC2034  # for the scripts that source this file
if [[ -z $cross ]]; then DEBS=$BUILD/packages; else DEBS=$GUEST/packages; fi

pack_initramfs() { # pack_initramfs MODULE OUTPUT: the guest's files, with that driver
    local root
    root=$("$ROOT/scripts/foreign-root.sh" guest)
    "$BUILD/bin/vm-initramfs" --root "$root" --init "$GUEST/bin/vm-init" --app "$GUEST/bin/my-rng" --module "$1" \
        --output "$2"
}

# QEMU's and Linux's builds split such paths, and hand them to a shell.
case $ROOT$BUILD in
    *[][[:space:]:\;\&\|\<\>\(\)\$\`\\\"\'*?#]*)
        die "QEMU and Linux cannot be built in a path with a space, a colon or another special character" \
            "(${ROOT} or ${BUILD}):" \
            "move this checkout, or set BUILD= to another path."
        ;;
esac
[[ $JOBS =~ ^[1-9][0-9]*$ ]] || die "JOBS=$JOBS is not a number of jobs: set JOBS=2, for example, or leave it out."

# ---- versions and compilers ----

at_least() { # at_least HAVE WANT: compares versions
    [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]
}

pinned() { # pinned KEY: its value in rust-toolchain.toml
    sed -n "s/^$1 *= *//p" -- "$ROOT/rust-toolchain.toml" | tr -d '"[],'
}

use_rust() { # makes rustc and cargo those that this project pins
    if command -v rustup >/dev/null; then
        export RUSTUP_AUTO_INSTALL=0
        export RUSTUP_TOOLCHAIN=${RUSTUP_TOOLCHAIN:-$(pinned channel)}
    fi
}

has_std() { # whether rustc has its library, compiled, for $arch
    [[ -d $(rustc --print target-libdir --target "$arch_rust") ]]
}

build_static() { # build_static ARGUMENT...: cargo build, of programs linked statically, for $arch, in build/guest
    local linker=CARGO_TARGET_${arch_rust^^}_LINKER std=()
    cd -- "$ROOT"
    # Other compilers than nightly take the option only with this variable.
    if ! has_std; then std=('-Zbuild-std=std,panic_abort') && export RUSTC_BOOTSTRAP=1; fi
    env -u CARGO_ENCODED_RUSTFLAGS RUSTFLAGS='-C target-feature=+crt-static' "${linker//-/_}=${cross}gcc" \
        cargo build "${std[@]}" --release --locked --target "$arch_rust" --target-dir "$BUILD/guest" --jobs "$JOBS" "$@"
}

use_libclang() { # for bindgen
    LIBCLANG_PATH=$("$ROOT/scripts/toolchain.sh" libclang)
    export LIBCLANG_PATH
}

use_bindgen() { # makes bindgen the one with which Linux is built; its path goes to $bindgen
    bindgen=$("$ROOT/scripts/toolchain.sh" bindgen)
    PATH=${bindgen%/*}:$PATH
    use_libclang
}

use_kbuild() { # has make build Linux and modules for $arch, with $arch_cc
    unset KBUILD_OUTPUT KBUILD_EXTMOD O M MO LLVM
    export ARCH=$arch_linux CROSS_COMPILE=$cross
    [[ $arch_cc == clang ]] || return 0
    # The same LLVM as the libclang with which bindgen reads the headers.
    use_libclang
    [[ $LIBCLANG_PATH =~ /llvm-([0-9]+)/ ]] ||
        die "the LLVM version of $LIBCLANG_PATH is unknown: set LIBCLANG_PATH= to one such as /usr/lib/llvm-19/lib."
    export LLVM=-${BASH_REMATCH[1]}
}

# shellcheck source=scripts/files.sh
. "$ROOT/scripts/files.sh"
# shellcheck source=scripts/steps.sh
. "$ROOT/scripts/steps.sh"
[[ -n ${looks_only:-} ]] || make_build_folder
