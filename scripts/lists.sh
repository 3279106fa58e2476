# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Reads two lists: QEMU's series (qemu-8.2.9-overlay/series) and Linux's patches (linux-patches/series). Sourced by
# other scripts; needs no lib.sh for the first.

# ---- QEMU's series ----

qemu_list() { # the list: on each line a series, its release, and what it was tested with
    grep -v -e '^#' -e '^ *$' -- "$(dirname -- "${BASH_SOURCE[0]}")/../qemu-8.2.9-overlay/series"
}

qemu_series() { qemu_list | awk '{ print $1 }'; } # the series, one a line

qemu_wanted() { # the series in a sentence: 8.2.x or 10.0.x
    qemu_series | sed 's/$/.x/' | paste -sd ' ' | sed 's/ / or /g'
}

qemu_is_known() { qemu_series | grep -qxF -e "$1"; } # qemu_is_known SERIES

qemu_release() { # qemu_release SERIES: the release to download; of an unknown series, its first
    qemu_list | awk -v series="$1" '
        $1 == series { release = $2 }
        END { print release == "" ? series ".0" : release }'
}

qemu_series_of() { # qemu_series_of VERSION: 8.2 for 8.2.9; nothing for a development version
    # 8.2.50 and higher lead to 9.0.
    if [[ $1 =~ ^([0-9]+\.[0-9]+)\.([0-9]+)$ ]] && ((10#${BASH_REMATCH[2]} < 50)); then
        printf '%s\n' "${BASH_REMATCH[1]}"
    fi
}

# ---- Linux's patches ----

linux_patches() { # linux_patches VERSION: the patch files for this Linux, in their order, one a line
    local list=$ROOT/linux-patches/series name hash from more listed=() file
    while read -r name hash from more; do
        case $name in '' | '#'*) continue ;; esac
        [[ $hash == '#' && $from =~ ^[0-9]+\.[0-9]+$ && -z $more ]] ||
            die "$list does not say for which series $name is: add '# 7.3', or another series."
        [[ -f $ROOT/linux-patches/$name ]] ||
            die "$list names $name, which does not exist: check out this repository again, or remove the line."
        listed+=("$name")
        if at_least "$1" "$from"; then printf '%s\n' "$ROOT/linux-patches/$name"; fi
    done <"$list"
    for file in "$ROOT"/linux-patches/*.patch; do
        [[ " ${listed[*]} " == *" ${file##*/} "* ]] || die "$list does not name ${file##*/}: add it, with its series."
    done
}
