#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/build-linux.sh          the guest's kernel: linux-patches/ on build/linux/src, configured by vm/linux.config
#                                 and vm/linux-ARCH.config, built in build/ARCH/linux
# scripts/build-linux.sh module   the driver, guest-module/, for that kernel: build/ARCH/module/my_rng.ko
# scripts/build-linux.sh debug [module]   the same in build/linux-debug/ARCH/: the debug kernel, which
#                                 vm/linux-debug.config over the others configures and LLVM builds
# scripts/build-linux.sh inline [module]  the same in build/linux-inline/ARCH/: a kernel that inlines C helpers into
#                                 Rust code, for make bench. It needs clang and rustc with the same LLVM.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/lists.sh
. "$ROOT/scripts/lists.sh"
use_rust

applied=$LINUX_TREE/.my_rng-patches # copies of the applied patches, to reverse them
fragments=("$ROOT/vm/linux.config" "$ROOT/vm/linux-$arch.config")
out=$LINUX_OUT module=$MODULE variant='' room=1500

kbuild() { # kbuild TARGET...
    KBUILD_BUILD_USER=my_rng KBUILD_BUILD_HOST=my_rng make -C "$LINUX_TREE" O="$out" -j"$JOBS" "$@"
}

patch_tree() { # reverses patches that have changed, and those after them; applies what is missing
    local patches have patch index=0 off list
    list=$(linux_patches "$(sed -n 's/^version=//p' -- "$LINUX_TREE.source")")
    mapfile -t patches < <(printf '%s' "$list")
    mkdir -p -- "$applied"
    : >"$applied/busy"
    mapfile -t have < <(find "$applied" -name '*.patch' | sort)
    while ((index < ${#have[@]} && index < ${#patches[@]})) &&
        [[ ${have[index]##*/} == "${patches[index]##*/}" ]] &&
        cmp -s -- "${have[index]}" "${patches[index]}"; do
        index=$((index + 1))
    done
    for ((off = ${#have[@]} - 1; off >= index; off--)); do
        echo "reversing ${have[off]##*/}"
        patch -d "$LINUX_TREE" -p1 -F0 -f -R --no-backup-if-mismatch <"${have[off]}"
        rm -f -- "${have[off]}"
    done
    for patch in "${patches[@]:index}"; do
        if patch -d "$LINUX_TREE" -p1 -F0 -f -R --dry-run <"$patch" >/dev/null 2>&1; then
            echo "${patch##*/} is in this source already"
            continue
        fi
        echo "applying ${patch##*/}"
        if ! patch -d "$LINUX_TREE" -p1 -F0 -f --dry-run <"$patch"; then
            # The tree is consistent up to here.
            rm -f -- "$applied/busy"
            echo "${patch##*/} does not apply to this source: fix the patch, or use another source"
            return 1
        fi
        patch -d "$LINUX_TREE" -p1 -F0 -f --no-backup-if-mismatch <"$patch"
        cp -- "$patch" "$applied/"
    done
    rm -f -- "$applied/busy"
}

is_patched() {
    [[ -d $applied && ! -e $applied/busy && -e $STAMPS/linux-patches &&
        $(<"$STAMPS/linux-patches") == "$(digest "$ROOT/linux-patches" "$LINUX_TREE.source")" ]]
}

configure() {
    mkdir -p -- "$out"
    # A later line for an option replaces an earlier one.
    cat -- "${fragments[@]}" | grep '^CONFIG_' | tac | sort --stable --unique --field-separator='=' --key=1,1 >"$out/wanted"
    kbuild KCONFIG_ALLCONFIG="$out/wanted" allnoconfig
    # Kconfig drops options that lack a dependency, without a message.
    if grep -v '=n$' -- "$out/wanted" | grep -vxF -f "$out/.config" ||
        sed -n 's/^\(.*=\)n$/^\1/p' -- "$out/wanted" | grep -f - -- "$out/.config"; then
        echo "Linux's configuration does not accept these lines of ${fragments[*]}"
        return 1
    fi
    if [[ $variant == -inline ]]; then
        # Afterwards, because allnoconfig turns off everything that EXPERT lets one turn off.
        printf 'CONFIG_%s=y\n' EXPERT RUST_INLINE_HELPERS >>"$out/.config"
        kbuild olddefconfig
        grep -qx CONFIG_RUST_INLINE_HELPERS=y -- "$out/.config"
    fi
}

build() {
    configure
    kbuild rustavailable
    # All that the architecture's boot loaders take, among them $arch_image.
    kbuild all
}

build_module() {
    mkdir -p -- "${module%/*}"
    make -C "$out" M="$ROOT/guest-module" MO="${module%/*}" -j"$JOBS" modules
}

if [[ ${1:-} == debug || ${1:-} == inline ]]; then
    variant=-$1 room=4000
    if [[ $1 == debug ]]; then fragments+=("$ROOT/vm/linux-debug.config"); fi
    out=$BUILD/linux$variant/$arch/linux module=$BUILD/linux$variant/$arch/module/my_rng.ko arch_cc=clang
    shift
fi
case ${1:-} in '' | module) ;; *) die "usage: scripts/build-linux.sh [debug|inline] [module]" ;; esac

sub "$ROOT/scripts/toolchain.sh" bindgen >/dev/null
use_bindgen
use_kbuild
compiler=${cross}gcc
if [[ $variant == -inline ]]; then
    [[ $(rustc --version --verbose) =~ LLVM\ version:\ ([0-9]+) ]] || die "rustc does not say which LLVM it has."
    LLVM=-${BASH_REMATCH[1]}
fi
if [[ -n ${LLVM:-} ]]; then
    compiler=clang$LLVM
    for program in "clang$LLVM" "ld.lld$LLVM" "llvm-ar$LLVM"; do
        command -v "$program" >/dev/null || sub "$ROOT/scripts/packages.sh" install "clang$LLVM" "lld$LLVM" "llvm$LLVM"
    done
fi
# In separate commands: bash 5.2 mishandles a signal during the first of several $(...) of one command.
tools=$(rustc --version --verbose)
tools+=" $("$compiler" --version | head -n 1)"
tools+=" $("$bindgen" --version) $LIBCLANG_PATH"
name=linux$variant-$arch
kernel_inputs() { printf '%s\n' "$out $tools $(digest "${fragments[@]}" "$ROOT/linux-patches" "$LINUX_TREE.source")"; }

if [[ ${1:-} == module ]]; then
    inputs=$(kernel_inputs)
    inputs+=" $(digest "$ROOT/guest-module" "$ROOT/abi")"
    is_made "$name" "$(kernel_inputs)" || die "the kernel is not up to date: run $arch_make linux first."
    update "module$variant-$arch" "$inputs" "$module" 100 "Building the driver for $arch" build_module
    exit 0
fi

if [[ -e $applied/busy ]]; then
    remove_tree "Removing Linux's source, because patching it was interrupted" "$LINUX_TREE"
fi
sub "$ROOT/scripts/fetch.sh" linux "$LINUX_TREE"
if ! is_patched; then
    unmade linux-patches
    step linux-patches "Patching Linux" patch_tree
    made linux-patches "$(digest "$ROOT/linux-patches" "$LINUX_TREE.source")"
fi
# make compares times, and files of another source can be older than what was built from the first: start again.
origin="$out $(digest "$LINUX_TREE.source")"
if ! is_made "$name-origin" "$origin"; then
    unmade "$name-origin"
    for old in "$out" "${module%/*}"; do remove_tree "Removing what was built from another source" "$old"; done
    mkdir -p -- "$out"
    made "$name-origin" "$origin"
fi
update "$name" "$(kernel_inputs)" "$out/$arch_image" "$room" "Building Linux for $arch" build
