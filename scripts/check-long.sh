#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-long.sh: the checks that take longer than make test does.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

sub "$ROOT/scripts/packages.sh" test
sub "$ROOT/scripts/check-kernels.sh"
