#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/fetch.sh qemu [SERIES] DIR    QEMU's source into DIR; SERIES is any, such as 10.2, or a whole version; without
#                                       one, those in qemu-8.2.9-overlay/series are tried
# scripts/fetch.sh linux [SERIES] DIR   Linux's; SERIES is 7.3 (the default), 7.2, 6.12, 6.8, 6.6 or 6.1
# scripts/fetch.sh --check qemu|linux   only checks what the user gives, before anything is built
# scripts/fetch.sh --given qemu|linux   prints the version of what the user gives, if anything
#
# DIR is made whole or not at all; DIR.source beside it says where it came from. A DIR that exists stays, unless
# another source is asked for:
#   QEMU_SRC=DIR   QEMU_TARBALL=FILE     a tree, or a tarball, of QEMU; it is copied, never changed; where SERIES is
#   LINUX_SRC=DIR  LINUX_TARBALL=FILE    given, used only if it is of that series; the same for Linux
#   MY_RNG_FORCE=1                       accepts a QEMU of another series, if none is asked for
# Otherwise, the first of these that works: the cache; the release's tarball, if a key in scripts/keys has signed it;
# the distribution's source package, which apt verifies.
#
# For tests of this script: MY_RNG_UPSTREAM=URL replaces the projects' sites, MY_RNG_KEYS=DIR the keys.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/lists.sh
. "$ROOT/scripts/lists.sh"
# shellcheck source=scripts/apt.sh
. "$ROOT/scripts/apt.sh"
# shellcheck source=scripts/complete-qemu.sh
. "$ROOT/scripts/complete-qemu.sh"

# ---- what is asked for ----

only=
if [[ ${1:-} == --check || ${1:-} == --given ]]; then
    only=${1#--}
    set -- "${@:2}" /nowhere
fi
usage="usage: scripts/fetch.sh qemu [8.2|10.0|...] DIR, or scripts/fetch.sh linux [7.3|6.12|...] DIR"
what=${1:-} series=
case $what:$# in
    qemu:2 | linux:2) ;;
    qemu:3 | linux:3) series=$2 ;;
    *) die "$usage" ;;
esac
asked=$series
dest=${!#}
[[ $dest == /* ]] || dest=$PWD/$dest
record=$dest.source

case $what in
    qemu)
        name=QEMU need_mib=900 src=${QEMU_SRC:-} tarball=${QEMU_TARBALL:-}
        version_file=VERSION markers=(configure hw/misc/meson.build include/qemu/osdep.h)
        [[ -z $series || $series =~ ^[0-9]+\.[0-9]+(\.[0-9]+)?$ ]] || die "$usage"
        wanted="QEMU ${series:+$series.x}"
        [[ -n $series ]] || wanted+=$(qemu_wanted)
        read -r first < <(qemu_series)
        release=$(qemu_release "${series:-$first}")
        url=${MY_RNG_UPSTREAM:-https://download.qemu.org}/qemu-$release.tar.xz
        signature=$url.sig
        ;;
    linux)
        name=Linux need_mib=2000 src=${LINUX_SRC:-} tarball=${LINUX_TARBALL:-} wanted="Linux ${series:=7.3}.x"
        version_file=Makefile markers=(Kconfig init/main.c include/linux/pci.h)
        case $series in
            7.3) release=7.3.4 ;;
            7.2) release=7.2.12 ;;
            6.12) release=6.12.107 ;;
            6.8) release=6.8.12 ;;
            6.6) release=6.6.63 ;;
            6.1) release=6.1.176 ;;
            *) die "$usage" ;;
        esac
        url=${MY_RNG_UPSTREAM:-https://cdn.kernel.org/pub/linux/kernel/v${series%%.*}.x}/linux-$release.tar.xz
        signature=${url%.xz}.sign
        ;;
esac
SRC=${name^^}_SRC TARBALL=${name^^}_TARBALL
[[ -z $src || -z $tarball ]] || die "both $SRC and $TARBALL are set: set only one of them."

# ---- trees ----

read_version() { # from standard input, which is $version_file
    case $what in
        qemu) sed -n 1p ;;
        linux) sed -n 's/^\(VERSION\|PATCHLEVEL\|SUBLEVEL\) = *//p' | sed -n 1,3p | paste -sd . ;;
    esac
}

version_of() { # version_of TREE: the version that it states, if it is a tree of $what at all
    local file
    for file in "$version_file" "${markers[@]}"; do [[ -f $1/$file ]] || return 1; done
    read_version <"$1/$version_file"
}

is_wanted() { # is_wanted VERSION
    local of
    if [[ $what == linux ]]; then
        [[ $1 == "$series" || $1 == "$series".* ]]
        return
    fi
    of=$(qemu_series_of "$1")
    if [[ -n $series ]]; then
        [[ $of == "$series" || $1 == "$series" ]]
    else
        qemu_is_known "$of" || [[ ${MY_RNG_FORCE:-} == 1 ]]
    fi
}

check_tree() { # check_tree TREE NAME: exits if the user's tree cannot be used; its version goes to $version
    version=$(version_of "$1") || die "$2 is not a source tree of $name: give one of $wanted."
    is_wanted "$version" || die "$2 is $name $version, and $wanted is needed: give such a source, or none."
    [[ $what == qemu ]] || return 0
    [[ -e $1/subprojects/keycodemapdb/meson.build ]] ||
        die "$2 is a git checkout without its subprojects: run 'meson subprojects download keycodemapdb" \
            "berkeley-softfloat-3 berkeley-testfloat-3' in it, or give a release tarball."
    [[ -e $1/pc-bios/bios-256k.bin ]] ||
        die "$2 is a distribution's source, without the firmware: give the project's own release, or none."
}

# make_tree MESSAGE COMMAND [ARG...]: a step in which COMMAND ARG... TREE makes a tree. Its path goes to $tree, its version,
# if it could be made, to $version.
make_tree() {
    local tmp
    need_space "$BUILD" "$need_mib" "making $name's source tree"
    new_tmp "$(dirname -- "$dest")"
    tree=$tmp/src
    step_may_fail "$what-source" "$@" "$tree"
    version=
    if ((status)); then
        exit_if_disk_full "$LOG/$what-source.log"
    else
        version=$(version_of "$tree") || version=
    fi
}

put_in_place() { # put_in_place SOURCE ID: $tree becomes $dest, with a record of where it came from
    # The project's own releases have them.
    if [[ $what == qemu && $2 != upstream:* ]]; then add_wheels "$tree"; fi
    rm -f -- "$record"
    remove_tree "Removing $name's old source" "$dest"
    mv -- "$tree" "$dest"
    put "$record" <<<"source=$1
version=$version
id=$2"
    say "$name $version: $1"
    exit 0
}

has_record() { [[ -e $record ]] && grep -qxF "id=$1" -- "$record"; } # has_record ID

unpack() { # unpack TARBALL TREE
    mkdir -p -- "$2"
    tar -x --no-same-owner --strip-components=1 -C "$2" -f "$1"
}

# ---- the user's tree or tarball ----

given() { # the version of what the user gives
    if [[ -n $src ]]; then
        version_of "$src"
    else
        tar -x --to-stdout --occurrence=1 --wildcards --no-wildcards-match-slash -f "$tarball" "*/$version_file" \
            2>/dev/null | read_version
    fi
}

is_given() { # whether what the user gives is of the series asked for; what is broken is reported later
    local version
    [[ -n $src || -n $tarball ]] || return 1
    [[ -n $asked ]] || return 0
    version=$(given) || return 0
    is_wanted "$version"
}

from_user() {
    local id path
    if [[ -n $src ]]; then
        [[ -d $src ]] || die "$SRC=$src is not a directory: give the root of a source tree of $wanted."
        path=$(cd -- "$src" && pwd -P)
        check_tree "$path" "$SRC=$src"
        [[ -z $only ]] || exit 0
        id=tree:$path:$version
        # Unchanged since it was copied?
        if has_record "$id" && [[ -z $(find "$path" \( -name .git -o -path "$path/build" \) -prune -o \
            -type f -newer "$record" -print -quit) ]]; then
            exit 0
        fi
        make_tree "Copying $name $version from $path" copy_tree "$path"
        if ((status)); then
            show_log "$what-source"
            die "$SRC=$src could not be copied: is all of it yours to read?"
        fi
        put_in_place "the tree $path" "$id"
    fi
    [[ -f $tarball && -r $tarball ]] ||
        die "$TARBALL=$tarball is not a file that can be read: give a tarball of $wanted."
    [[ -z $only ]] || exit 0
    path=$(realpath -- "$tarball")
    id=tarball:$path:$(stat -c %s:%Y -- "$path")
    if has_record "$id"; then exit 0; fi
    make_tree "Unpacking $path" unpack "$path"
    if ((status)); then
        die "$TARBALL=$tarball is not a whole tarball ($(head -n 1 -- "$LOG/$what-source.log")): download it again."
    fi
    check_tree "$tree" "$TARBALL=$tarball"
    put_in_place "the tarball $path" "$id"
}

copy_tree() { # copy_tree FROM TO: without git's data and what a build in the tree left behind
    local entry
    mkdir -p -- "$2"
    for entry in "$1"/* "$1"/.[!.]*; do
        [[ -e $entry || -L $entry ]] || continue
        case ${entry#"$1"/} in
            .git | build | prefix | GNUmakefile) continue ;;
        esac
        cp -a --reflink=auto -- "$entry" "$2/"
    done
    chmod -R u+w -- "$2"
    if [[ $what == linux && -e $2/.config ]]; then make -s -C "$2" mrproper; fi
}

# ---- the cache ----

# A folder of the cache is made elsewhere and renamed, so it is whole. Its SHA256SUMS detect damage; they do not say
# who put it there.
is_cached() { # is_cached FOLDER
    [[ -e $1/SHA256SUMS ]] || return 1
    (cd -- "$1" && sha256sum --check --quiet --strict SHA256SUMS) >/dev/null 2>&1 && return 0
    loudly "What the cache has in $1 is damaged: downloading it again"
    rm -rf -- "$1"
    return 1
}

put_in_cache() { # put_in_cache NEW-FOLDER FOLDER
    (cd -- "$1" && find . -type f ! -name about -print0 | sort -z | xargs -0 sha256sum >"../.tmp.$$.sums" &&
        mv -- "../.tmp.$$.sums" SHA256SUMS) ||
        die "the cache $CACHE cannot be written: is the disk full?"
    mkdir -p -- "$(dirname -- "$2")"
    rm -rf -- "$2"
    mv -- "$1" "$2"
}

# ---- the project's release ----

upstream=$CACHE/upstream/${url##*/}

download() { # download URL PART: goes on with a partial download; the last error stays in the log
    curl --fail --location --show-error --no-progress-meter --connect-timeout 5 \
        --speed-limit 5000 --speed-time 20 --continue-at - --output "$2" "$1"
}

verify() { # verify TARBALL SIGNATURE KEYRING: did one of our keys sign it? The keyring is made here.
    # gpgv reads no armor: remove it, with the checksum at its end.
    sed -n '/^$/,/^[=-]/{/^[A-Za-z0-9+/]/p}' -- "${MY_RNG_KEYS:-$ROOT/scripts/keys}/$what.asc" | base64 -d >"$3"
    case $what in
        qemu) gpgv --keyring "$3" "$2" "$1" ;;
        # kernel.org signs the uncompressed tarball.
        linux) xz --decompress --stdout -- "$1" | gpgv --keyring "$3" "$2" - ;;
    esac
}

not_signed="${url##*/} is not what $name's developers have signed: it is not used"

from_upstream_cache() {
    local tmp
    is_cached "$upstream" && can_verify || return 0
    new_tmp "$cache_tmp"
    step_may_fail "$what-verify" "Verifying the signature of ${url##*/} in the cache" \
        verify "$upstream/${url##*/}" "$upstream/${signature##*/}" "$tmp/keyring"
    if ((status)); then
        rm -rf -- "$upstream"
        loudly "In the cache, $not_signed"
        return 0
    fi
    unpack_upstream
}

can_verify() {
    command -v gpgv >/dev/null && return 0
    loudly "gpgv is not installed, so no release of $name can be verified: not downloading one"
    return 1
}

unpack_upstream() {
    make_tree "Unpacking ${url##*/}" unpack "$upstream/${url##*/}"
    if [[ $version != "$release" ]]; then
        rm -rf -- "$upstream"
        loudly "$url is not $name $release"
        return 0
    fi
    put_in_place "$name's release tarball ${url##*/}" "upstream:$release"
}

from_upstream() {
    local tmp resumed part=$upstream.part
    command -v curl >/dev/null && can_verify || return 0
    mkdir -p -- "${part%/*}"
    need_space "$CACHE" 400 "downloading $name"
    new_tmp "$cache_tmp"
    mkdir -- "$tmp/got"
    step_may_fail "$what-download" "Downloading $signature" download "$signature" "$tmp/got/${signature##*/}"
    if ((status)); then
        no_download "$name $release from its project's site"
        return 0
    fi
    while true; do
        resumed=
        if [[ -e $part ]]; then resumed=1; fi
        step_may_fail "$what-download" "Downloading $url${resumed:+, from where it was cut off}" download "$url" "$part"
        if ((status == 0)); then
            step_may_fail "$what-verify" "Verifying the signature of ${url##*/}" \
                verify "$part" "$tmp/got/${signature##*/}" "$tmp/keyring"
            ((status)) || break
            rm -f -- "$part"
            loudly "$not_signed"
            [[ -n $resumed ]] || return 0
        elif [[ -n $resumed && " 22 33 36 " == *" $status "* ]]; then
            # This server cannot go on with a part, or not with this one: start again.
            rm -f -- "$part"
        else
            no_download "$name $release from its project's site"
            return 0
        fi
    done
    mv -- "$part" "$tmp/got/${url##*/}"
    put_in_cache "$tmp/got" "$upstream"
    unpack_upstream
}

no_download() { # no_download WHAT
    exit_if_disk_full "$LOG/$what-download.log"
    loudly "No $1 ($(last_line "$LOG/$what-download.log"))"
}

# ---- the distribution's source package ----

package=$CACHE/distribution/$what${series:+-$series}

from_distribution_cache() {
    local folder
    # What was downloaded when no series was asked for may be of this one.
    for folder in "$package" "$CACHE/distribution/$what"; do
        if is_cached "$folder" && is_wanted "$(upstream_version "$(about "$folder" package)")"; then
            unpack_distribution "$folder"
        fi
    done
}

about() { sed -n "s/^$2=//p" -- "$1/about"; } # about FOLDER KEY

upstream_version() { # upstream_version PACKAGE-VERSION: without the distribution's parts
    local version=${1#*:}
    version=${version%-*}
    printf '%s\n' "${version%%[+~]*}"
}

from_distribution() {
    local tmp home distribution=debian keyring suites components=main kinds=deb lines kind suite
    find_mirrors
    for home in trixie bookworm noble ''; do [[ -z ${mirror_of[${home:-none}]:-} ]] || break; done
    if [[ $home == noble ]]; then distribution=ubuntu components="main universe"; fi
    keyring=/usr/share/keyrings/$distribution-archive-keyring.gpg
    if [[ -z $home || ! -r $keyring ]]; then
        loudly "apt is not set up here for Debian's or Ubuntu's archive"
        return 0
    fi
    # Debian 13 has a QEMU series that we know and the newer Linux, Debian 12 the older.
    case $distribution:$what:$series in
        ubuntu:*) suites="$home $home-updates" ;;
        debian:qemu:) suites=trixie ;;
        debian:qemu:*) suites="trixie trixie-backports bookworm-backports forky sid" ;;
        debian:linux:7.*) suites=trixie-backports ;;
        debian:linux:6.12) suites=trixie ;;
        debian:linux:6.1) suites=bookworm ;;
        *)
            loudly "Debian's archive has no Linux $series"
            return 0
            ;;
    esac
    if [[ $what == qemu ]]; then kinds="deb-src deb"; fi
    for kind in $kinds; do
        for suite in $suites; do
            lines+="$kind [signed-by=$keyring] ${mirror_of[$home]} $suite $components"$'\n'
        done
    done
    need_space "$CACHE" 700 "downloading $name"
    new_tmp "$cache_tmp"
    set_up_apt "$tmp" <<<"$lines"
    mkdir -- "$tmp/got"
    step_may_fail "$what-download" "Downloading $name's source package from ${distribution^}'s archive" \
        download_package "$tmp/got"
    if ((status)); then
        no_download "$wanted from ${distribution^}'s archive"
        return 0
    fi
    printf 'distribution=%s\npackage=%s\n' "${distribution^}" "$(<"$tmp/got/version")" >"$tmp/got/about"
    rm -f -- "$tmp/got/version"
    put_in_cache "$tmp/got" "$package"
    unpack_distribution "$package"
}

download_package() { # download_package FOLDER: the source, and what Debian takes out of it; the version to FOLDER/version
    local version candidates=()
    cd -- "$1"
    if [[ $what == linux ]]; then
        apt_update
        get_deb "linux-source-$series" "$series.*"
        awk 'NR == 1 { print $2 }' debs >version
        return
    fi
    # Where several suites are tried, a mirror may lack some.
    apt_update || [[ -n $series ]]
    while read -r version; do
        if MY_RNG_FORCE='' is_wanted "$(upstream_version "$version")"; then candidates+=("$version"); fi
    done < <(private apt-cache showsrc --only-source qemu | sed -n 's/^Version: //p' | sort -rVu)
    ((${#candidates[@]})) || { echo "the archive has no $wanted"; return 1; }
    get_source qemu "${candidates[@]}"
    # Firmware of this version or an older one: newer packages leave some of it out.
    if ! get_deb qemu-system-data '*' "$(<version)"; then get_deb qemu-system-data; fi
    get_deb seabios
    get_deb ipxe-qemu
    get_deb opensbi
}

unpack_distribution() { # unpack_distribution FOLDER
    local of
    of="$(about "$1" distribution)'s source package $what $(about "$1" package)"
    make_tree "Unpacking $of" unpack_package "$1"
    if [[ -z $version ]] || ! is_wanted "$version"; then
        rm -rf -- "$1"
        loudly "$of is not $wanted"
        return 0
    fi
    put_in_place "$of" "package:$(about "$1" package)"
}

unpack_package() { # unpack_package FOLDER TREE
    local deb firmware=$2.firmware
    if [[ $what == qemu ]]; then
        unpack "$1"/qemu_*.orig.tar.* "$2"
        for deb in "$1"/*.deb; do dpkg-deb --extract "$deb" "$firmware"; done
        add_firmware "$firmware" "$2"
        rm -rf -- "$firmware"
    else
        mkdir -p -- "$2"
        # The package holds only a tarball.
        dpkg-deb --fsys-tarfile "$1"/linux-source-*.deb |
            tar -x --wildcards --to-stdout './usr/src/linux-source-*.tar.*' |
            xz --decompress --threads=0 |
            tar -x --no-same-owner --strip-components=1 -C "$2"
    fi
}

# ---- try them in order ----

# Each of these functions exits once the source is in place. They are not called as conditions, in which bash ignores
# errors.
if [[ $only == given ]]; then
    if is_given; then given || true; fi
    exit 0
fi
if is_given; then
    [[ -n $only ]] || lock_cache "$what"
    from_user
fi
[[ -z $only ]] || exit 0
if [[ -e $record && -d $dest ]] && { [[ -z $series ]] || is_wanted "$(sed -n 's/^version=//p' -- "$record")"; }; then
    exit 0
fi
lock_cache "$what"
from_upstream_cache
from_distribution_cache
from_upstream
from_distribution
die "no source of $wanted could be found: connect this machine to the network, or set $SRC=DIR or $TARBALL=FILE."
