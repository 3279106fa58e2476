#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/debug.sh         builds what is not built, then gdb on QEMU with a guest: it stops where the guest first reads
#                          the device (in the boot self-test); the guest's shell is on the same terminal
# scripts/debug.sh check   the same without a terminal; fails if the backtrace there lacks the source lines of C or Rust
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust
[[ ${1:-check} == check ]] || die "usage: scripts/debug.sh [check]"

value() { sed -n "s/^$1=//p" -- "$GUEST/where"; }

command -v gdb >/dev/null || sub "$ROOT/scripts/packages.sh" install gdb
sub "$ROOT/scripts/build.sh" all

mapfile -t lines < <("$BUILD/bin/vm-run" --accel tcg --print-machine)
((${#lines[@]} == 2)) || die "$BUILD/bin/vm-run does not say which machine to debug in: see the error above."
# Without a launcher the guest's init gives a shell.
# shellcheck disable=SC2206  # a list of words
qemu=("$(value qemu)" -nodefaults -display none -no-reboot ${lines[0]} -smp 2 -m 256M -serial stdio -device my_rng
    -kernel "$(value kernel)" -initrd "$(value initramfs)" -append "${lines[1]}")
# QEMU stops its processors' threads with SIGUSR1. rustup's Rust library was compiled under /rustc/COMMIT.
gdb=(gdb -quiet -iex 'set debuginfod enabled off' -ex 'set pagination off' -ex 'handle SIGUSR1 nostop noprint'
    -ex "set substitute-path /rustc/$(rustc -vV | sed -n 's/^commit-hash: //p') $(rustc --print sysroot)/lib/rustlib/src/rust"
    -ex 'break my_rng_mmio_read' -ex run -ex backtrace)

backtrace() {
    timeout --foreground -k 10 120 "${gdb[@]}" -batch --args "${qemu[@]}"
}

(($#)) || become "${gdb[@]}" --args "${qemu[@]}"
step debug "Stopping QEMU where the guest reads the device" backtrace
for frame in 'hit Breakpoint 1' 'mmio_read .* at .*/hooks\.rs:[0-9]' 'memory_region_read_with_attrs_accessor .*memory\.c:[0-9]'; do
    grep -q -e "$frame" -- "$LOG/debug.log" || die "gdb's backtrace lacks '$frame': see $LOG/debug.log"
done
