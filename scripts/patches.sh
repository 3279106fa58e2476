# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the list of Linux's patches, linux-patches/series, says. Sourced, never run, after lib.sh.

linux_patches() { # linux_patches VERSION: the files of those for this Linux, in their order, one a line
    local list=$ROOT/linux-patches/series name hash from more listed=() file
    while read -r name hash from more; do
        case $name in '' | '#'*) continue ;; esac
        [[ $hash == '#' && $from =~ ^[0-9]+\.[0-9]+$ && -z $more ]] ||
            die "$list does not say of $name which series it is for: add '# 7.3', or which one it is."
        [[ -f $ROOT/linux-patches/$name ]] ||
            die "$list names $name, which is not there: check this checkout out anew, or take it off the list."
        listed+=("$name")
        if at_least "$1" "$from"; then printf '%s\n' "$ROOT/linux-patches/$name"; fi
    done <"$list"
    # One that is forgotten would be missed by nobody.
    for file in "$ROOT"/linux-patches/*.patch; do
        [[ " ${listed[*]} " == *" ${file##*/} "* ]] || die "$list does not name ${file##*/}: add it, with its series."
    done
}
