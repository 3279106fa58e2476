#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-long.sh: the checks that take longer than make test does.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

sub "$ROOT/scripts/packages.sh" test
sub "$ROOT/scripts/fuzz.sh" 60
sub "$ROOT/scripts/build.sh" toolchain qemu
sub "$ROOT/scripts/test.sh" glue device-crash
sub "$ROOT/scripts/check-libvirt.sh"
sub "$ROOT/scripts/check-new-device.sh"
sub "$ROOT/scripts/check-kernels.sh"
