#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/build-linux.sh          the guest's kernel: linux-patches/ on build/linux/src, configured by
#                                 vm/linux.config, built in build/linux/out
# scripts/build-linux.sh module   the driver, guest-module/, against it: build/module/my_rng.ko
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/patches.sh
. "$ROOT/scripts/patches.sh"
use_rust
unset ARCH CROSS_COMPILE LLVM KBUILD_OUTPUT KBUILD_EXTMOD O M MO

applied=$LINUX_TREE/.my_rng-patches # copies of the patches that are applied, to take them off again
fragment=$ROOT/vm/linux.config
module=$BUILD/module/my_rng.ko

kbuild() { # kbuild TARGET...
    KBUILD_BUILD_USER=my_rng KBUILD_BUILD_HOST=my_rng make -C "$LINUX_TREE" O="$LINUX_OUT" -j"$JOBS" "$@"
}

patch_tree() { # takes off the patches that have changed, and those after them; puts on what is missing
    local patches=() have=() patch index=0 list
    list=$(linux_patches "$(sed -n 's/^version=//p' -- "$LINUX_TREE.source")")
    if [[ -n $list ]]; then mapfile -t patches <<<"$list"; fi
    mkdir -p -- "$applied"
    : >"$applied/busy"
    for patch in "$applied"/*.patch; do [[ -e $patch ]] && have+=("$patch"); done
    while ((index < ${#have[@]} && index < ${#patches[@]})) &&
        [[ ${have[index]##*/} == "${patches[index]##*/}" ]] &&
        cmp -s -- "${have[index]}" "${patches[index]}"; do
        index=$((index + 1))
    done
    local off
    for ((off = ${#have[@]} - 1; off >= index; off--)); do
        echo "taking off ${have[off]##*/}"
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
            # All that was done until here is whole.
            rm -f -- "$applied/busy"
            echo "${patch##*/} does not apply to this source: mend it, or give another source"
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
    kbuild KCONFIG_ALLCONFIG="$fragment" allnoconfig
    # An option that lacks something it depends on is dropped without a word.
    local line option dropped=()
    while read -r line; do
        case $line in
            CONFIG_*=n)
                option=${line%%=*}
                if grep -q "^$option=" -- "$LINUX_OUT/.config"; then dropped+=("$line"); fi
                ;;
            CONFIG_*=*) grep -qxF -e "$line" -- "$LINUX_OUT/.config" || dropped+=("$line") ;;
        esac
    done <"$fragment"
    if ((${#dropped[@]})); then
        echo "Linux's configuration does not take these lines of $fragment: ${dropped[*]}"
        return 1
    fi
}

build() {
    configure
    kbuild rustavailable
    kbuild bzImage modules
}

build_module() {
    mkdir -p -- "$BUILD/module"
    make -C "$LINUX_OUT" M="$ROOT/guest-module" MO="$BUILD/module" -j"$JOBS" modules
}

case ${1:-} in '' | module) ;; *) die "usage: scripts/build-linux.sh [module]" ;; esac

sub "$ROOT/scripts/toolchain.sh" bindgen >/dev/null
bindgen=$("$ROOT/scripts/toolchain.sh" bindgen)
LIBCLANG_PATH=$("$ROOT/scripts/toolchain.sh" libclang)
PATH=${bindgen%/*}:$PATH
export LIBCLANG_PATH
tools="$(rustc --version --verbose) $(gcc --version | head -n 1) $("$bindgen" --version) $LIBCLANG_PATH"
kernel_inputs() { printf '%s\n' "$LINUX_OUT $tools $(digest "$fragment" "$ROOT/linux-patches" "$LINUX_TREE.source")"; }

if [[ ${1:-} == module ]]; then
    inputs="$(kernel_inputs) $(digest "$ROOT/guest-module" "$ROOT/abi")"
    if is_made module "$inputs" && [[ -e $module ]]; then exit 0; fi
    is_made linux "$(kernel_inputs)" || die "the kernel is not built as it now should be: run make linux first."
    unmade module
    step module "Building the driver" build_module
    made module "$inputs"
    exit 0
fi

if [[ -e $applied/busy ]]; then
    remove_tree "Removing Linux's source, for patching it was ended half-way" "$LINUX_TREE"
fi
sub "$ROOT/scripts/fetch.sh" linux "$LINUX_TREE"
if ! is_patched; then
    unmade linux-patches
    step linux-patches "Patching Linux" patch_tree
    made linux-patches "$(digest "$ROOT/linux-patches" "$LINUX_TREE.source")"
fi
inputs=$(kernel_inputs)
if is_made linux "$inputs" && [[ -e $LINUX_OUT/arch/x86/boot/bzImage ]]; then exit 0; fi
need_space "$BUILD" 1500 "building Linux"
unmade linux
unmade module
# Of another source, files can be older than what was built from the first: nothing of that is kept.
origin="$LINUX_OUT $(digest "$LINUX_TREE.source")"
if ! is_made linux-origin "$origin"; then
    unmade linux-origin
    for old in "$LINUX_OUT" "$BUILD/module"; do remove_tree "Removing what was built of another source" "$old"; done
    mkdir -p -- "$LINUX_OUT"
    made linux-origin "$origin"
fi
step linux "Building Linux" build
made linux "$inputs"
