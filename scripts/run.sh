#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/run.sh command   builds what is not built, then runs $MY_RNG_CMD in the guest
# scripts/run.sh shell     the same, for an interactive guest
# scripts/run.sh where     prints what is built and where it is; builds nothing
[[ ${1:-} != where ]] || looks_only=1
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
    command)
        [[ -n ${MY_RNG_CMD:-} ]] || die "no command is given: say make run CMD='lspci -v', for example."
        guest=(-- sh -c "$MY_RNG_CMD")
        ;;
    shell)
        [[ -t 0 && -t 1 ]] || die "make shell wants a terminal: to run one command, say make run CMD='...'."
        guest=(--shell)
        ;;
    where)
        [[ -e $BUILD/where ]] || die "nothing is built in $BUILD yet: run make first."
        cat -- "$BUILD/where"
        exit 0
        ;;
    *) die "usage: scripts/run.sh command|shell|where" ;;
esac
sub "$ROOT/scripts/build.sh" all
become "$BUILD/bin/vm-run" "${guest[@]}"
