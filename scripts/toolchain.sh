#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/toolchain.sh            installs what is missing of the Rust toolchain: with rustup, the one that
#                                 rust-toolchain.toml pins, and its library for the guest's architecture; otherwise the
#                                 distribution's
# scripts/toolchain.sh bindgen    prints the path of bindgen, which Linux's build needs; builds it if necessary
# scripts/toolchain.sh cargo-fuzz the same for cargo-fuzz
# scripts/toolchain.sh libclang   prints the folder of the libclang for bindgen
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

rust_wanted=1.85.0     # the oldest that builds this project and Linux 7.3
bindgen_wanted=0.71.1  # the oldest, too
bindgen_pinned=0.73.2  # the one to build
cargo_fuzz_pinned=0.13.2
libclang_wanted=17
rustup_command="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --default-toolchain none"

# rustup must not install by itself what is missing.
export RUSTUP_AUTO_INSTALL=0
cd -- "$ROOT"

libclang() { # the newest; LIBCLANG_PATH comes first
    local folder file major found=''
    for folder in ${LIBCLANG_PATH:+"$LIBCLANG_PATH"} /usr/lib/llvm-*/lib /usr/lib64 /usr/lib \
        /usr/lib/*-linux-gnu /usr/local/lib; do
        for file in "$folder"/libclang.so* "$folder"/libclang-*.so*; do
            # .../llvm-17/lib/libclang.so.1, libclang-17.so.1, libclang.so.17.0.6
            if [[ $(readlink -e -- "$file") =~ /(libclang-|libclang\.so\.|llvm-)([0-9][0-9]+) ]]; then
                found+="${BASH_REMATCH[2]} $folder"$'\n'
            fi
        done
        if [[ -n $found && $folder == "${LIBCLANG_PATH:-}" ]]; then break; fi
    done
    read -r major folder < <(sort --stable -rnk 1,1 <<<"$found")
    ((${major:-0} >= libclang_wanted)) ||
        die "no libclang of version $libclang_wanted or newer was found: install one (Debian: libclang1-19" \
            "libclang-common-19-dev), or set LIBCLANG_PATH= to its folder."
    printf '%s\n' "$folder"
}

rust_version() { # of the rustc that is used here; nothing if there is none
    rustc --version 2>/dev/null | cut -d ' ' -f 2 | cut -d - -f 1
}

complete() { # whether rustc is new enough, and rust-src, cargo, rustfmt and clippy are there
    local version sysroot program
    version=$(rust_version) || return 1
    [[ -n $version ]] && at_least "$version" "$rust_wanted" || return 1
    sysroot=$(rustc --print sysroot)
    [[ -e $sysroot/lib/rustlib/src/rust/library/core/src/lib.rs ]] || return 1
    if [[ -x $sysroot/bin/rustc && $sysroot != /usr ]]; then
        # rustup's: it has proxies in PATH even for programs that are not installed.
        [[ -x $sysroot/bin/cargo && -x $sysroot/bin/rustfmt && -x $sysroot/bin/cargo-clippy ]]
    else
        # One at a time: command -v succeeds if it finds any of them.
        for program in cargo rustfmt cargo-clippy; do
            command -v "$program" >/dev/null || return 1
        done
    fi
}

# Installs the distribution's packages if the first of them has the version WANTED and apt need not remove
# others (an older rustc, for example) to install them.
from_distribution() { # from_distribution WANTED PACKAGE...
    local wanted=$1 version
    shift
    version=$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *//p' | sed 's/^[0-9]*://; s/[^0-9.].*//')
    [[ -n $version ]] && at_least "$version" "$wanted" || return 1
    apt-get -q --simulate --no-remove --no-install-recommends install "$@" >/dev/null 2>&1 || return 1
    "$ROOT/scripts/packages.sh" install "$@" || exit
    hash -r
}

toolchain() {
    local status version channel
    complete && return 0
    channel=$(pinned channel)
    if command -v rustup >/dev/null; then
        if [[ -n ${RUSTUP_TOOLCHAIN:-} && $RUSTUP_TOOLCHAIN != "$channel"* ]]; then
            die "RUSTUP_TOOLCHAIN=$RUSTUP_TOOLCHAIN is too old, not installed or not complete" \
                "(rust $rust_wanted or newer with rust-src, rustfmt and clippy): unset it to use $channel."
        fi
        [[ ${MY_RNG_PACKAGES:-} != tell ]] ||
            die "Rust $channel is not installed, and PACKAGES=tell installs nothing: run: rustup toolchain install" \
                "$channel --component $(pinned components | tr ' ' ',')"
        # shellcheck disable=SC2046  # a list of words
        step_may_fail toolchain "Installing Rust $channel" rustup toolchain install "$channel" \
            --profile minimal --no-self-update $(printf -- '--component %s ' $(pinned components))
        if ((status != 0)) || ! complete; then
            show_log toolchain 8
            die "Rust $channel could not be installed: once its server can be reached, run: rustup toolchain" \
                "install $channel --component $(pinned components | tr ' ' ',')"
        fi
        return 0
    fi
    # Without rustup: the distribution's Rust (Debian 12 has a newer one for web browsers), or its rustup.
    if from_distribution "$rust_wanted" rustc cargo rust-src rustfmt rust-clippy ||
        from_distribution "$rust_wanted" rustc-web cargo-web rust-web-src rustfmt-web rust-web-clippy; then
        complete && return 0
    elif from_distribution 0 rustup && command -v rustup >/dev/null; then
        toolchain
        return 0
    fi
    version=$(rust_version) || version=
    die "${version:+rustc $version is too old or not complete, }Rust $rust_wanted or newer with rust-src, rustfmt" \
        "and clippy is needed: run: $rustup_command"
}

# Without rustup, scripts/build.sh compiles the library.
add_std() {
    if has_std || ! command -v rustup >/dev/null; then return 0; fi
    [[ ${MY_RNG_PACKAGES:-} != tell ]] ||
        die "Rust has no library for $arch, and PACKAGES=tell installs nothing: run: rustup target add $arch_rust"
    step_may_fail toolchain-std "Installing Rust's library for $arch" rustup target add "$arch_rust"
    if ((status)); then
        show_log toolchain-std 8
        die "Rust's library for $arch could not be installed: once its server can be reached, run: rustup target add" \
            "$arch_rust"
    fi
}

bindgen() {
    local path version home=$CACHE/tools/bindgen-$bindgen_pinned
    for path in "$home/bin/bindgen" "$(type -P bindgen || true)"; do
        [[ -x $path ]] || continue
        version=$("$path" --version 2>/dev/null | cut -d ' ' -f 2) || continue
        if [[ -n $version ]] && at_least "$version" "$bindgen_wanted"; then
            printf '%s\n' "$path"
            return 0
        fi
    done
    build_tool bindgen bindgen-cli "$bindgen_pinned" "with which Linux makes its Rust bindings"
    printf '%s\n' "$home/bin/bindgen"
}

cargo_fuzz() {
    local home=$CACHE/tools/cargo-fuzz-$cargo_fuzz_pinned
    [[ -x $home/bin/cargo-fuzz ]] ||
        build_tool cargo-fuzz cargo-fuzz "$cargo_fuzz_pinned" "with which the device is fuzzed"
    printf '%s\n' "$home/bin/cargo-fuzz"
}

# Without optimisation: an optimised bindgen takes two minutes more to build, and saves half a minute in the kernel's
# build. cargo-fuzz only starts other programs.
build_tool() { # build_tool NAME CRATE VERSION PURPOSE: into the cache
    local home=$CACHE/tools/$1-$3
    need_space "$CACHE" 600 "building $1"
    lock_cache tools
    # Another checkout may have built it meanwhile.
    [[ ! -d $home ]] || return 0
    new_tmp "$cache_tmp"
    step "$1" "Building $1 $3, $4" \
        env CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off \
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_STRIP=debuginfo \
        cargo install "$2" --locked --version "$3" --root "$tmp" --target-dir "$tmp/target" --jobs "$JOBS"
    rm -rf -- "$home" "$tmp/target"
    mkdir -p -- "$CACHE/tools"
    mv -- "$tmp" "$home"
}

case ${1:-} in
    '')
        toolchain
        add_std
        ;;
    bindgen) bindgen ;;
    cargo-fuzz) cargo_fuzz ;;
    libclang) libclang ;;
    *) die "usage: scripts/toolchain.sh [bindgen|cargo-fuzz|libclang]" ;;
esac
