#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/demo.sh [OPTION...]: builds what is not built, then boots the guest, shows what it says and
# checks it. The options are vm-demo's.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

from_nothing=1
for stamp in qemu linux; do [[ -e $STAMPS/$stamp ]] && from_nothing=; done
sub "$ROOT/scripts/build.sh" all
stop_ticker
say "Booting the guest"
"$BUILD/bin/vm-demo" "$@" &
running=("$!")
wait_for "$!"
running=()
# For make bench.
if ((status == 0)) && [[ -n $from_nothing ]]; then put "$LOG/fresh" <<<$((EPOCHSECONDS - MY_RNG_START)); fi
exit "$status"
