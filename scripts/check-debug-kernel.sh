#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-debug-kernel.sh [SECONDS [SEED]]    (default: 180 1)
#
# Tests the driver in a debug kernel (vm/linux-debug.config: KASAN, lockdep, kmemleak and more), which LLVM builds in
# BUILD/linux-debug: KUnit with the module's tests and the examples of linux-patches/; the tests of read(), bulk
# transfers, hw_random, surprise removal, classic devices and a host without entropy; then the stress test of
# tests/guest/, whose choices follow from SEED, for SECONDS with two processors and with one. Fails if the kernel
# complains.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust
cd -- "$ROOT"

seconds=${1:-180} seed=${2:-1}
[[ $seconds =~ ^[1-9][0-9]*$ && $seed =~ ^[0-9]+$ ]] ||
    die "usage: scripts/check-debug-kernel.sh [SECONDS [SEED]], both whole numbers."
debug=$BUILD/linux-debug

lay_out() { # what vm/run needs of a build folder
    ln -sfn -- "$BUILD/bin" "$debug/bin"
    ln -sfn -- "$GUEST/bin" "$debug/$arch/bin"
    pack_initramfs "$debug/$arch/module/my_rng.ko" "$debug/$arch/initramfs.cpio"
    put "$debug/$arch/where" sed "s|=$GUEST/|=$debug/$arch/|" "$GUEST/where"
}

e2e() { # e2e FILTER...: with that kernel
    MY_RNG_BUILD=$debug cargo test --locked --jobs "$JOBS" -p my-rng-e2e --test e2e -- \
        --include-ignored --nocapture "$@"
}

lock_build
sub "$ROOT/scripts/build.sh" build-deps toolchain programs qemu linux module initramfs where
sub "$ROOT/scripts/build-linux.sh" debug
sub "$ROOT/scripts/build-linux.sh" debug module
step debug-layout "Packing the initramfs of the debug kernel" lay_out
step debug-tests "Running KUnit and the driver's tests in the debug kernel" \
    e2e kunit:: read:: bulk:: driver::an_open unplug:: removal:: hwrng:: classic:: entropy::
grep -E 'tests in these suites|^test result' -- "$LOG/debug-tests.log"
may_take=$((2 * seconds))
export MY_RNG_STRESS_SECONDS=$seconds MY_RNG_STRESS_SEED=$seed MY_RNG_STRESS_LOG=$LOG/debug-console.log
step debug-stress "Stressing the driver in the debug kernel, twice for $seconds s" \
    e2e --test-threads=1 stress::
sed -n '/seed [0-9]*, [12] processors:$/,/^operations:/p' -- "$LOG/debug-stress.log"
echo "the kernel did not complain; its consoles: $LOG/debug-console.smp1.log and .smp2.log"
