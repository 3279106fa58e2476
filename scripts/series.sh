# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the list of QEMU's series, qemu-8.2.9-overlay/series, says. Sourced, never run.

qemu_list() { # the list: on each line a series, its release, and what it was tried with
    grep -v -e '^#' -e '^ *$' -- "$(dirname -- "${BASH_SOURCE[0]}")/../qemu-8.2.9-overlay/series"
}

qemu_series() { # the series, one a line
    qemu_list | awk '{ print $1 }'
}

qemu_wanted() { # the series, as a sentence has them: 8.2.x or 10.0.x
    qemu_series | sed 's/$/.x/' | paste -sd ' ' | sed 's/ / or /g'
}

qemu_is_known() { # qemu_is_known SERIES
    qemu_series | grep -qxF -e "$1"
}

qemu_release() { # qemu_release SERIES: the release to get; of an unknown series, what it began with
    qemu_list | awk -v series="$1" '
        $1 == series { release = $2 }
        END { print release == "" ? series ".0" : release }'
}

qemu_series_of() { # qemu_series_of VERSION: 8.2 for 8.2.9; nothing for what is no release
    # From the 50th on they lead to the next series: 8.2.50 is on the way to 9.0.
    if [[ $1 =~ ^([0-9]+\.[0-9]+)\.([0-9]+)$ ]] && ((10#${BASH_REMATCH[2]} < 50)); then
        printf '%s\n' "${BASH_REMATCH[1]}"
    fi
}
