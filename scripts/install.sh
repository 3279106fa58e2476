#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/install.sh            copies what is built to $MY_RNG_PREFIX (and below $MY_RNG_DESTDIR, if given):
#   bin/ libexec/ share/    QEMU, which finds its firmware by its own place; the app my-rng, its manual page,
#                           and the completions of its command line
#   include/my_rng.h        the header for programs in C
#   lib/my_rng/             kernel, module and initramfs for a guest; the list of all that was installed
#   lib/udev/ lib/sysusers.d/  who may open a device's node
# scripts/install.sh uninstall  removes what is on that list, but for what was changed since
#
# Builds nothing, and writes nothing to the build folder: root may run it, with another user's build.
looks_only=1
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
umask 022

prefix=${MY_RNG_PREFIX:-}
[[ -n $prefix ]] || die "no place is given: say make ${1:-install} PREFIX=/usr/local, for example."
[[ $prefix == /* ]] || die "PREFIX=$prefix is no absolute path: give one."
target=${MY_RNG_DESTDIR:-}$prefix
# On each line the SHA-256 of a file, or the word folder, and its path in $target. Folders: those that were made.
list=lib/my_rng/installed

hash_of() { sha256sum -- "$1" | cut -d ' ' -f 1; } # hash_of FILE

uninstall() {
    local hash path index folders=()
    while read -r hash path; do
        if [[ $hash == folder ]]; then
            folders+=("$target/$path")
        elif [[ -f $target/$path && $(hash_of "$target/$path") == "$hash" ]]; then
            rm -f -- "$target/$path"
        elif [[ -e $target/$path ]]; then
            say "$target/$path stays, for it was changed since it was installed"
        fi
    done <"$target/$list"
    rm -f -- "$target/$list"
    # The innermost first; one with something of the user's in it stays.
    for ((index = ${#folders[@]} - 1; index >= 0; index--)); do
        rmdir -- "${folders[index]}" 2>/dev/null || true
    done
}

if [[ ${1:-} == uninstall ]]; then
    [[ -e $target/$list ]] || die "nothing is installed in $target: say PREFIX= (and DESTDIR=) as for make install."
    [[ -w $target/$list ]] || die "$target cannot be written: run this as root."
    uninstall
    say "Uninstalled from $target"
    exit 0
fi

declare -A source_of=() installed=()
add() { # add SOURCE PATH
    [[ -f $1 ]] || die "$1 is not there to be installed: run make first, not as root but as yourself."
    source_of[$2]=$1
}
add "$QEMU_PREFIX/bin/qemu-system-x86_64" bin/qemu-system-x86_64
add "$BUILD/bin/my-rng" bin/my-rng
add "$BUILD/share/man/man1/my-rng.1" share/man/man1/my-rng.1
add "$ROOT/guest-app/include/my_rng.h" include/my_rng.h
add "$ROOT/guest-module/60-my_rng.rules" lib/udev/rules.d/60-my_rng.rules
add "$ROOT/guest-module/my_rng.sysusers.conf" lib/sysusers.d/my_rng.conf
for file in "$LINUX_OUT/arch/x86/boot/bzImage" "$BUILD/module/my_rng.ko" "$BUILD/initramfs.cpio"; do
    add "$file" "lib/my_rng/${file##*/}"
done
while IFS= read -r file; do
    path=${file#"$BUILD"/}
    add "$file" "${path#qemu/prefix/}"
done < <(find "$QEMU_PREFIX" "$BUILD/share" ! -type d)

if [[ -e $target/$list ]]; then
    while read -r hash path; do installed[$path]=$hash; done <"$target/$list"
fi
for path in "${!source_of[@]}"; do
    if [[ -e $target/$path || -L $target/$path ]] && [[ ${installed[$path]:-} != "$(hash_of "$target/$path")" ]]; then
        die "$target/$path is not from an earlier make install, so nothing is installed: move it away, or choose" \
            "another PREFIX."
    fi
done
{ mkdir -p -- "${target%/*}" && [[ -w $target || (! -e $target && -w ${target%/*}) ]]; } 2>/dev/null ||
    die "$target cannot be written: run this as root once all is built, or choose another PREFIX."
[[ ! -e $target/$list ]] || uninstall
need_space "$target" 150 "installing"

lines=()
make_folder() { # make_folder PATH: in $target
    [[ ! -d $target/$1 ]] || return 0
    [[ -z $1 ]] || make_folder "$(dirname -- "/$1" | cut -c 2-)"
    mkdir -- "$target/$1"
    lines+=("folder $1")
}
for path in "${!source_of[@]}" "$list"; do make_folder "${path%/*}"; done
for path in "${!source_of[@]}"; do lines+=("$(hash_of "${source_of[$path]}") $path"); done
# Before the files are: what is cut off in the middle can be uninstalled.
put "$target/$list" printf '%s\n' "${lines[@]}"
for path in "${!source_of[@]}"; do
    mode=644
    [[ ! -x ${source_of[$path]} ]] || mode=755
    put "$target/$path" cat -- "${source_of[$path]}"
    chmod "$mode" -- "$target/$path"
done
say "Installed: $prefix/bin/qemu-system-x86_64 -device my_rng, $prefix/bin/my-rng (man my-rng)," \
    "$prefix/include/my_rng.h, and $prefix/lib/my_rng/"
