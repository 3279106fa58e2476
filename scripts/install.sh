#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/install.sh            copies what is built to $MY_RNG_PREFIX (below $MY_RNG_DESTDIR, if set):
#   bin/ libexec/ share/    QEMU, which finds its firmware relative to itself; the app my-rng, its manual page, and
#                           the completions of its command line
#   include/my_rng.h        the header for programs in C
#   lib/my_rng/             kernel, module and initramfs for a guest of $arch, in place of another one's; the list of
#                           all that was installed
#   lib/udev/ lib/sysusers.d/  who may open a device's node
# scripts/install.sh uninstall  removes what is on that list, except files that were changed since
#
# Builds nothing, and writes nothing to the build folder: so root may run it with another user's build.
looks_only=1
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
umask 022

prefix=${MY_RNG_PREFIX:-}
[[ -n $prefix ]] || die "PREFIX is not set: run make ${1:-install} PREFIX=/usr/local, for example."
[[ $prefix == /* ]] || die "PREFIX=$prefix is not an absolute path: set PREFIX=/usr/local, for example."
target=${MY_RNG_DESTDIR:-}$prefix
while [[ $target == */ ]]; do target=${target%/}; done
[[ -n $target ]] || die "PREFIX=/ is where the system keeps its own files: set PREFIX=/usr/local, for example."
# The list's lines: the SHA-256 of a file, and its path in $target; or "folder" and the path of one that install made
# there; or "above" and how many folders it made of $target and those above.
own=lib/my_rng
list=$own/installed

is_there() { [[ -e $1 || -L $1 ]]; }               # is_there PATH: also if it is a broken link
hash_of() { sha256sum -- "$1" | cut -d ' ' -f 1; } # hash_of FILE

is_unchanged() { # is_unchanged FILE HASH: install makes regular files that can be read
    [[ -f $1 && ! -L $1 && -r $1 && $2 == "$(hash_of "$1")" ]]
}

uninstall() {
    local hash path index folders=() folder=$target above=0
    while read -r hash path; do
        if [[ $hash == folder ]]; then
            folders+=("$target/$path")
        elif [[ $hash == above ]]; then
            above=$path
        elif is_unchanged "$target/$path" "$hash"; then
            rm -f -- "$target/$path"
        elif is_there "$target/$path"; then
            say "$target/$path stays, because it was changed since it was installed"
        fi
    done <"$target/$list"
    rm -f -- "$target/$list"
    sweep "$target/$own"
    # The innermost first; those that hold other files stay.
    for ((index = ${#folders[@]} - 1; index >= 0; index--)); do
        rmdir -- "${folders[index]}" 2>/dev/null || true
    done
    for ((; above > 0; above--)); do
        rmdir -- "$folder" 2>/dev/null || return 0
        folder=$(dirname -- "$folder")
    done
}

if [[ ${1:-} == uninstall ]]; then
    [[ -e $target/$list ]] || die "nothing is installed in $target: set PREFIX= (and DESTDIR=) as for make install."
    [[ -w $target/$list ]] || die "$target cannot be written: run this as root."
    uninstall
    say "Uninstalled from $target"
    exit 0
fi

# Do not install while a build writes these files. Without the marker, nothing was built.
if [[ -e $MARKER ]]; then
    take_lock MY_RNG_LOCK "$MARKER" '' -s || die "another make is at work in $BUILD: wait for it to end, or stop it."
fi

declare -A source_of=() installed=()
add() { # add SOURCE PATH
    [[ -f $1 ]] || die "$1 is not built yet: run $arch_make first, not as root but as yourself."
    source_of[$2]=$1
}
add "$QEMU" "bin/${QEMU##*/}"
add "$BUILD/bin/my-rng" bin/my-rng
add "$BUILD/share/man/man1/my-rng.1" share/man/man1/my-rng.1
add "$ROOT/guest-app/include/my_rng.h" include/my_rng.h
add "$ROOT/guest-module/60-my_rng.rules" lib/udev/rules.d/60-my_rng.rules
add "$ROOT/guest-module/my_rng.sysusers.conf" lib/sysusers.d/my_rng.conf
for file in "$KERNEL" "$MODULE" "$GUEST/initramfs.cpio"; do
    add "$file" "lib/my_rng/${file##*/}"
done
while IFS= read -r file; do
    path=${file#"$BUILD"/}
    add "$file" "${path#qemu/prefix/}"
done < <(find "$QEMU_PREFIX" "$BUILD/share" ! -type d)

if [[ -e $target/$list ]]; then
    while read -r hash path; do installed[$path]=$hash; done <"$target/$list"
fi
# Check everything before changing anything.
for path in "${!source_of[@]}"; do
    is_there "$target/$path" || continue
    is_unchanged "$target/$path" "${installed[$path]:-}" ||
        die "$target/$path is not from an earlier make install, so nothing is installed: move it away, or choose" \
            "another PREFIX."
done
for path in "${!source_of[@]}" "$list"; do
    path=$target/$path
    # Up to the innermost folder that is there.
    until path=$(dirname -- "$path") && [[ -d $path ]]; do
        ! is_there "$path" ||
            die "$path is not a folder, so nothing is installed: move it away, or choose another PREFIX."
    done
    [[ -w $path ]] || die "$path cannot be written: run this as root once all is built, or choose another PREFIX."
done
[[ ! -e $target/$list ]] || uninstall
need_space "$target" 150 "installing"

lines=() above=0
make_folder() { # make_folder PATH: in $target
    [[ ! -d $target/$1 ]] || return 0
    [[ $1 != */* ]] || make_folder "${1%/*}"
    mkdir -- "$target/$1"
    lines+=("folder $1")
}
path=$target
until [[ -d $path ]]; do
    above=$((above + 1))
    path=$(dirname -- "$path")
done
mkdir -p -- "$target"
lines+=("above $above")
for path in "${!source_of[@]}" "$list"; do make_folder "${path%/*}"; done
for path in "${!source_of[@]}"; do lines+=("$(hash_of "${source_of[$path]}") $path"); done
# The list comes first, so that an interrupted install can be uninstalled.
put "$target/$list" printf '%s\n' "${lines[@]}"
# Each file is written in a folder of ours and then renamed, so no file is ever half written.
new_tmp "$target/$own"
for path in "${!source_of[@]}"; do
    mode=644
    [[ ! -x ${source_of[$path]} ]] || mode=755
    { install -m "$mode" -- "${source_of[$path]}" "$tmp/file" && mv -fT -- "$tmp/file" "$target/$path"; } ||
        die "$target/$path could not be made: is the disk full?"
done
say "Installed: $prefix/bin/${QEMU##*/} -device my_rng, $prefix/bin/my-rng (man my-rng)," \
    "$prefix/include/my_rng.h, and $prefix/lib/my_rng/"
