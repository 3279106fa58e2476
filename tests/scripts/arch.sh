# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Architectures of this machine and of the guest. tests/scripts.sh runs these.
# shellcheck disable=SC2016,SC2154  # scripts for an inner shell; the variables of tests/scripts.sh

on() { # on MACHINE COMMAND [ARG...]: where uname says that this is a MACHINE
    program "$tmp/bin/uname" "echo $1"
    PATH="$tmp/bin:$PATH" "${@:2}"
}

names='echo "$arch:$cross" $QEMU $KERNEL $arch_rust'

# An arm64 machine builds its own guest with its own compiler, and a PC's with a cross compiler.
test_each_machine_compiles_for_itself_and_across() {
    local prefix=$tmp/build
    [[ $(on aarch64 lib "$names") == "arm64: $prefix/qemu/prefix/bin/qemu-system-aarch64 \
$prefix/arm64/linux/arch/arm64/boot/Image aarch64-unknown-linux-gnu" ]]
    [[ $(on aarch64 lib "$names" MY_RNG_ARCH=x86_64) == "x86_64:x86_64-linux-gnu- $prefix/qemu/prefix/bin/qemu-system-x86_64 \
$prefix/x86_64/linux/arch/x86/boot/bzImage x86_64-unknown-linux-gnu" ]]
    [[ $(on x86_64 lib "$names" MY_RNG_ARCH=arm64) == "arm64:aarch64-linux-gnu- $prefix/qemu/prefix/bin/qemu-system-aarch64 \
$prefix/arm64/linux/arch/arm64/boot/Image aarch64-unknown-linux-gnu" ]]
    [[ $(on x86_64 lib "$names") == "x86_64: $prefix/qemu/prefix/bin/qemu-system-x86_64 \
$prefix/x86_64/linux/arch/x86/boot/bzImage x86_64-unknown-linux-gnu" ]]
    fails_with 'only for x86_64 arm64 riscv64' on sparc64 lib "$names"
}

test_linux_is_told_its_name_and_its_compiler() {
    local settings='use_kbuild; echo "$ARCH:$CROSS_COMPILE"'
    [[ $(on aarch64 lib "$settings") == "arm64:" ]]
    [[ $(on aarch64 lib "$settings" MY_RNG_ARCH=x86_64) == "x86_64:x86_64-linux-gnu-" ]]
}

test_packages_are_those_for_the_machine_and_the_guest() {
    local release machine packages
    list() { on "$1" clean_env MY_RNG_BUILD="$tmp/build" MY_RNG_OS_RELEASE="$tmp/release" "${@:2}" scripts/packages.sh list; }
    for release in bookworm trixie noble; do
        printf 'ID=debian\nVERSION_CODENAME=%s\n' "$release" >"$tmp/release"
        packages=$(list x86_64)
        # No machine's packages are of one architecture only, but for cross compilers.
        not grep -E 'amd64|x86|arm64|aarch64' <<<"$packages"
        [[ $(list aarch64) == "$packages" ]]
        [[ $(list aarch64 MY_RNG_ARCH=x86_64 | grep -vxF -e "$packages" | paste -sd ' ') == \
            "gcc-x86-64-linux-gnu libc6-dev-amd64-cross" ]]
        for machine in x86_64 riscv64; do
            [[ $(list "$machine" MY_RNG_ARCH=arm64 | grep -vxF -e "$packages" | paste -sd ' ') == \
                "gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ]]
        done
    done
}
