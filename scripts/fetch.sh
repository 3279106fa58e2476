#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/fetch.sh qemu [SERIES] DIR    QEMU's source into DIR; SERIES is any, such as 10.2, and without
#                                       one each that qemu-8.2.9-overlay/series lists will do
# scripts/fetch.sh linux [SERIES] DIR   Linux's; SERIES is 7.3 (the default), 7.2, 6.12 or 6.1
# scripts/fetch.sh --check qemu|linux   only looks, before anything is built, at what the user gives
#
# DIR is made anew, whole or not at all; DIR.source beside it says where it came from. A DIR that is
# there already stays, unless another source is asked for:
#   QEMU_SRC=DIR   QEMU_TARBALL=FILE     a tree, or a tarball, of QEMU; copied, never changed; where a
#                                        SERIES is asked for, only for the one that it is of
#   LINUX_SRC=DIR  LINUX_TARBALL=FILE    likewise of Linux 7.3
#   MY_RNG_FORCE=1                       takes a QEMU of another series, if none is asked for
# Else, the first of these that works: what the cache has; the release's tarball, if one of the keys in
# scripts/keys has signed it; the distribution's source package, which apt verifies, with a configuration of
# its own (nothing under /etc or /var is touched).
#
# For tests of this script: MY_RNG_UPSTREAM=URL is where releases are looked for, MY_RNG_KEYS=DIR whose they are.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/series.sh
. "$ROOT/scripts/series.sh"

checks_only=
if [[ ${1:-} == --check ]]; then
    checks_only=1
    set -- "${@:2}" /nowhere
fi
usage="usage: scripts/fetch.sh qemu [8.2|10.0|...] DIR, or scripts/fetch.sh linux [7.3|7.2|6.12|6.1] DIR"
what=${1:-} series=
case $what:$# in
    qemu:2) ;;
    linux:2) series=7.3 ;;
    qemu:3 | linux:3) series=$2 ;;
    *) die "$usage" ;;
esac
dest=${!#}
[[ $dest == /* ]] || dest=$PWD/$dest
record=$dest.source

case $what in
    qemu)
        name=QEMU src=${QEMU_SRC:-} tarball=${QEMU_TARBALL:-}
        if [[ -z $series ]]; then
            read -r first < <(qemu_series)
            wanted="QEMU $(qemu_wanted)"
        elif [[ $series =~ ^[0-9]+\.[0-9]+$ ]]; then
            wanted="QEMU $series.x"
        else
            die "$usage"
        fi
        release=$(qemu_release "${series:-$first}")
        url=${MY_RNG_UPSTREAM:-https://download.qemu.org}/qemu-$release.tar.xz
        signature=$url.sig
        ;;
    linux)
        name=Linux src='' tarball='' wanted="Linux $series.x"
        if [[ $series == 7.3 ]]; then src=${LINUX_SRC:-} tarball=${LINUX_TARBALL:-}; fi
        case $series in
            7.3) release=7.3.4 ;;
            7.2) release=7.2.12 ;;
            6.12) release=6.12.107 ;;
            6.1) release=6.1.176 ;;
            *) die "$usage" ;;
        esac
        url=${MY_RNG_UPSTREAM:-https://cdn.kernel.org/pub/linux/kernel/v${series%%.*}.x}/linux-$release.tar.xz
        signature=${url%.xz}.sign
        ;;
esac
SRC=${name^^}_SRC TARBALL=${name^^}_TARBALL
[[ -z $src || -z $tarball ]] || die "both $SRC and $TARBALL are given: say only one of them."
need_mib=2000
if [[ $what == qemu ]]; then need_mib=900; fi

# ---- what a tree is ----

version_of() { # version_of TREE: the version that it states, if it is a tree of $what at all
    case $what in
        qemu)
            [[ -f $1/VERSION && -f $1/configure && -f $1/hw/misc/meson.build && -f $1/include/qemu/osdep.h ]] || return 1
            head -n 1 -- "$1/VERSION"
            ;;
        linux)
            [[ -f $1/Makefile && -f $1/Kconfig && -f $1/init/main.c && -d $1/include/linux ]] || return 1
            sed -n -e 's/^\(VERSION\|PATCHLEVEL\|SUBLEVEL\) = *//p' -- "$1/Makefile" | head -n 3 | paste -sd .
            ;;
    esac
}

is_wanted_qemu() { # is_wanted_qemu VERSION
    local of
    of=$(qemu_series_of "$1")
    if [[ -n $series ]]; then
        [[ $of == "$series" ]]
    else
        qemu_is_known "$of" || [[ ${MY_RNG_FORCE:-} == 1 ]]
    fi
}

is_wanted_linux() { [[ $1 == "$series" || $1 == "$series".* ]]; } # is_wanted_linux VERSION

is_wanted() { "is_wanted_$what" "$1"; } # is_wanted VERSION

check_tree() { # check_tree TREE CALLED: its version goes to $version
    version=$(version_of "$1") || die "$2 is not a source tree of $name: give one of $wanted."
    is_wanted "$version" || die "$2 is $name $version, and $wanted is needed: give such a one, or none."
    if [[ $what == qemu && ! -e $1/subprojects/keycodemapdb/meson.build ]]; then
        die "$2 is a git checkout without its subprojects: run 'meson subprojects download keycodemapdb" \
            "berkeley-softfloat-3 berkeley-testfloat-3' in it, or give a release tarball."
    fi
    if [[ $what == qemu && ! -e $1/pc-bios/bios-256k.bin ]]; then
        die "$2 is a distribution's source, without the firmware: give the project's own release, or none."
    fi
}

is_given() { # is what the user gives of the series asked for?
    local given
    [[ $what == qemu && -n $series ]] || return 0
    if [[ -n $src ]]; then
        given=$(version_of "$src") || return 0
    else
        given=$(tar -x --to-stdout --occurrence=1 --wildcards --no-wildcards-match-slash -f "$tarball" \
            '*/VERSION' 2>/dev/null) || return 0
    fi
    is_wanted "$given"
}

got= # becomes 1 when the source is in place

put_in_place() { # put_in_place TREE SOURCE ID: as $dest, with what is known of it
    rm -f -- "$record"
    remove_tree "Removing $name's old source" "$dest"
    mv -- "$1" "$dest"
    put "$record" <<<"source=$2
version=$version
id=$3"
    say "$name $version: $2"
    got=1
}

unpack() { # unpack TARBALL TREE
    mkdir -p -- "$2"
    tar -x --no-same-owner --strip-components=1 -C "$2" -f "$1"
}

# ---- a tree or tarball that the user gives ----

from_user() {
    local id path tmp status
    if [[ -n $src ]]; then
        [[ -d $src ]] || die "$SRC=$src is not a folder: give the root of a source tree of $wanted."
        path=$(cd -- "$src" && pwd -P)
        check_tree "$path" "$SRC=$src"
        [[ -z $checks_only ]] || exit 0
        id=tree:$path:$version
        # Unchanged since it was copied?
        if [[ -e $record ]] && grep -qxF "id=$id" -- "$record" &&
            [[ -z $(find "$path" \( -name .git -o -path "$path/build" \) -prune -o \
                -type f -newer "$record" -print -quit) ]]; then
            return 0
        fi
        need_space "$BUILD" "$need_mib" "copying $name's source"
        new_tmp "$(dirname -- "$dest")"
        step "$what-source" "Copying $name $version from $path" copy_tree "$path" "$tmp/src"
        complete_qemu "$tmp/src"
        put_in_place "$tmp/src" "the tree $path" "$id"
    else
        [[ -f $tarball && -r $tarball ]] ||
            die "$TARBALL=$tarball is not a file that can be read: give a tarball of $wanted."
        [[ -z $checks_only ]] || exit 0
        path=$(realpath -- "$tarball")
        id=tarball:$path:$(stat -c %s:%Y -- "$path")
        if [[ -e $record ]] && grep -qxF "id=$id" -- "$record"; then return 0; fi
        need_space "$BUILD" "$need_mib" "unpacking $name's source"
        new_tmp "$(dirname -- "$dest")"
        step_may_fail "$what-source" "Unpacking $path" unpack "$path" "$tmp/src"
        if ((status)); then
            disk_full_sentence "$LOG/$what-source.log"
            die "$TARBALL=$tarball is not a whole tarball ($(head -n 1 -- "$LOG/$what-source.log")): get it anew."
        fi
        check_tree "$tmp/src" "$TARBALL=$tarball"
        complete_qemu "$tmp/src"
        put_in_place "$tmp/src" "the tarball $path" "$id"
    fi
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

# A folder of the cache is whole: it is made elsewhere and renamed. Its SHA256SUMS say what its files
# were when they were verified, "about" what they are.
is_cached() { # is_cached FOLDER
    [[ -e $1/SHA256SUMS ]] || return 1
    (cd -- "$1" && sha256sum --check --quiet --strict SHA256SUMS) >/dev/null 2>&1 && return 0
    loudly "What the cache has in $1 is damaged: getting it again"
    rm -rf -- "$1"
    return 1
}

put_in_cache() { # put_in_cache FOLDER-MADE FOLDER
    (cd -- "$1" && find . -type f ! -name about -print0 | sort -z | xargs -0 sha256sum >"../.tmp.$$.sums" &&
        mv -- "../.tmp.$$.sums" SHA256SUMS) ||
        die "the cache $CACHE cannot be written: is the disk full?"
    mkdir -p -- "$(dirname -- "$2")"
    rm -rf -- "$2"
    mv -- "$1" "$2"
}

# ---- upstream ----

upstream=$CACHE/upstream/${url##*/}

# Standard error of the last attempt stays in the log; a partial download is gone on with.
download() { # download URL PART
    curl --fail --location --show-error --no-progress-meter --connect-timeout 5 \
        --speed-limit 5000 --speed-time 20 --continue-at - --output "$2" "$1"
}

# verify TARBALL SIGNATURE KEYRING: did one of our keys sign it? The keyring is made here.
verify() {
    # gpgv wants it without the armor, which ends with a checksum.
    sed -n '/^$/,/^[=-]/{/^[A-Za-z0-9+/]/p}' -- "${MY_RNG_KEYS:-$ROOT/scripts/keys}/$what.asc" | base64 -d >"$3"
    case $what in
        qemu) gpgv --keyring "$3" "$2" "$1" ;;
        # Of what is compressed in it.
        linux) xz --decompress --stdout -- "$1" | gpgv --keyring "$3" "$2" - ;;
    esac
}

# The checksums that lie in the cache beside a tarball tell what is damaged, and not who put it there.
from_upstream_cache() {
    local tmp status
    is_cached "$upstream" && can_verify || return 0
    new_tmp "$cache_tmp"
    step_may_fail "$what-verify" "Verifying who signed ${url##*/}, which the cache has" \
        verify "$upstream/${url##*/}" "$upstream/${signature##*/}" "$tmp/keyring"
    rm -rf -- "$tmp"
    if ((status)); then
        rm -rf -- "$upstream"
        loudly "What the cache had in $upstream is not what $name's developers have signed: it is not used"
        return 0
    fi
    unpack_upstream
}

can_verify() {
    command -v gpgv >/dev/null && return 0
    loudly "Without gpgv no release of $name can be verified: not looking for one"
    return 1
}

unpack_upstream() {
    local tmp
    need_space "$BUILD" "$need_mib" "unpacking $name's source"
    new_tmp "$(dirname -- "$dest")"
    step "$what-source" "Unpacking ${url##*/}" unpack "$upstream/${url##*/}" "$tmp/src"
    version=$(version_of "$tmp/src") || version=
    if [[ $version != "$release" ]]; then
        rm -rf -- "$upstream"
        loudly "What $url gave is not $name $release"
        return 0
    fi
    put_in_place "$tmp/src" "$name's release tarball ${url##*/}" "upstream:$release"
}

from_upstream() {
    local tmp status resumed=1 part=$CACHE/upstream/${url##*/}.part
    command -v curl >/dev/null || return 0
    can_verify || return 0
    mkdir -p -- "${part%/*}"
    need_space "$CACHE" 400 "downloading $name"
    new_tmp "$cache_tmp"
    mkdir -- "$tmp/got"
    step_may_fail "$what-download" "Downloading $signature" download "$signature" "$tmp/got/${signature##*/}"
    if ((status)); then
        no_release
        return 0
    fi
    while [[ -n $resumed ]]; do
        resumed=
        if [[ -e $part ]]; then resumed=1; fi
        step_may_fail "$what-download" "Downloading $url${resumed:+, from where it was cut off}" download "$url" "$part"
        if ((status == 0)); then
            step_may_fail "$what-verify" "Verifying who signed ${url##*/}" \
                verify "$part" "$tmp/got/${signature##*/}" "$tmp/keyring"
            if ((status == 0)); then break; fi
            rm -f -- "$part"
            loudly "What $url gave is not what $name's developers have signed: it is not used"
            [[ -n $resumed ]] || return 0
        elif [[ -n $resumed && " 22 33 36 " == *" $status "* ]]; then
            # That server does not go on with a part, or not with this one.
            rm -f -- "$part"
        else
            no_release
            return 0
        fi
    done
    mv -- "$part" "$tmp/got/${url##*/}"
    put_in_cache "$tmp/got" "$upstream"
    rm -rf -- "$tmp"
    unpack_upstream
}

no_release() {
    disk_full_sentence "$LOG/$what-download.log"
    loudly "No $name $release from its project's site ($(last_line "$LOG/$what-download.log"))"
}

# ---- the distribution ----

# The distribution whose archive apt is set up for here, and its mirror, from apt's own settings.
find_mirror() {
    # shellcheck disable=SC2016  # apt's names, not the shell's
    local format='$(REPO_URI) $(RELEASE) $(CODENAME) $(COMPONENT)' uri release codename component
    command -v apt-get >/dev/null || return 1
    while read -r uri release codename component; do
        [[ $component == main ]] || continue
        for release in "$release" "$codename"; do
            case $release in
                bookworm | trixie) distribution=debian ;;
                noble) distribution=ubuntu ;;
                *) continue ;;
            esac
            mirror=$uri home_release=$release
            keyring=/usr/share/keyrings/$distribution-archive-keyring.gpg
            [[ -r $keyring ]] && return 0
        done
    done < <(apt-get indextargets --format "$format" 'Created-By: Packages' 2>/dev/null)
    return 1
}

apt_lines() { # apt_lines deb|deb-src SUITE...
    local kind=$1 suite
    shift
    for suite; do
        printf '%s [signed-by=%s] %s %s main%s\n' "$kind" "$keyring" "$mirror" "$suite" \
            "$([[ $distribution == debian ]] || printf ' universe')"
    done
}

# An apt of our own: these sources, these folders, and no hooks of the machine's. -c is read after
# the machine's configuration (APT_CONFIG would be read before it), so its proxy settings stay.
set_up_apt() { # set_up_apt FOLDER, with the lines of its sources.list as standard input
    mkdir -p -- "$1"/lists/partial "$1"/cache/archives/partial "$1"/state
    cat >"$1/sources.list"
    cat >"$1/apt.conf" <<END
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
Dir::Etc::sourcelist "$1/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "$1/state";
Dir::State::status "/dev/null";
Dir::State::Lists "$1/lists";
Dir::Cache "$1/cache";
APT::Sandbox::User "";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "15";
Acquire::https::Timeout "15";
END
}

private() { # private COMMAND...: apt-get or apt-cache, with the configuration just set up
    local command=$1
    shift
    "$command" -q -c "$apt/apt.conf" "$@"
}

apt_update() { private apt-get update -o APT::Update::Error-Mode=any; }

# Into the current folder, the newest version that the archive really has (some are listed only).
get_source() { # get_source PACKAGE VERSION...: its upstream tarball
    local package=$1 version
    shift
    for version; do
        if private apt-get source --download-only --tar-only --only-source "$package=$version"; then
            printf '%s\n' "$version" >version
            return 0
        fi
    done
    printf '%s\n' "the archive lists $package $* and has none of them"
    return 1
}

# get_deb PACKAGE [PATTERN [LAST]]: of the versions that match the shell pattern, up to LAST, the newest
get_deb() {
    local version
    while read -r version; do
        # shellcheck disable=SC2053  # a pattern
        [[ $version == ${2:-*} ]] || continue
        if [[ -n ${3:-} ]] && dpkg --compare-versions "$version" gt "$3"; then continue; fi
        if private apt-get download "$1=$version"; then
            printf '%s %s\n' "$1" "$version" >>debs
            return 0
        fi
    done < <(private apt-cache madison "$1" | cut -d '|' -f 2 | tr -d ' ' | sort -rVu)
    return 1
}

upstream_version() { # upstream_version PACKAGE-VERSION: without the distribution's parts
    local version=${1#*:}
    version=${version%-*}
    printf '%s\n' "${version%%[+~]*}"
}

download_qemu() { # into the current folder: the source, and what Debian takes out of it
    local version candidates=()
    # A mirror need not have all the suites in which any series is looked for.
    apt_update || [[ -n $series ]]
    while read -r version; do
        if MY_RNG_FORCE='' is_wanted_qemu "$(upstream_version "$version")"; then candidates+=("$version"); fi
    done < <(private apt-cache showsrc --only-source qemu | sed -n 's/^Version: //p' | sort -rVu)
    ((${#candidates[@]})) || { echo "the archive has no $wanted"; return 1; }
    get_source qemu "${candidates[@]}"
    version=$(<version)
    # Firmware that belongs to this very version, or else an older one's: newer ones leave some of it out.
    if ! get_deb qemu-system-data '*' "$version"; then get_deb qemu-system-data; fi
    get_deb seabios
    get_deb ipxe-qemu
    rm -f version
    printf '%s\n' "$version" >about.version
}

download_linux() { # into the current folder
    apt_update
    get_deb "linux-source-$series" "$series.*"
    awk 'NR == 1 { print $2 }' debs >about.version
}

from_distribution_cache() {
    local folder package
    # What was got when no series was asked for may be of the one that now is.
    for folder in "$CACHE/distribution/$what${key:+-$key}" "$CACHE/distribution/$what"; do
        is_cached "$folder" || continue
        package=$(sed -n 's/^package=//p' -- "$folder/about")
        is_wanted "$(upstream_version "$package")" || continue
        unpack_distribution "$folder"
        [[ -z $got ]] || return 0
    done
}

from_distribution() {
    local folder=$CACHE/distribution/$what${key:+-$key} suites=(trixie) apt tmp status
    if ! find_mirror; then
        loudly "apt is not set up here for Debian's or Ubuntu's archive"
        return 0
    fi
    need_space "$CACHE" 700 "downloading $name"
    new_tmp "$cache_tmp"
    apt=$tmp
    case $distribution:$what in
        # Debian 13 has a QEMU series that we know and the newer Linux, Debian 12 the older.
        debian:qemu)
            [[ -z $series ]] || suites+=(trixie-backports bookworm-backports forky sid)
            apt_lines deb-src "${suites[@]}" && apt_lines deb "${suites[@]}"
            ;;
        debian:linux)
            case $series in
                7.*) apt_lines deb trixie-backports ;;
                6.12) apt_lines deb trixie ;;
                6.1) apt_lines deb bookworm ;;
            esac
            ;;
        ubuntu:qemu) { apt_lines deb-src "$home_release" "$home_release-updates" &&
            apt_lines deb "$home_release" "$home_release-updates"; } ;;
        ubuntu:linux) apt_lines deb "$home_release" "$home_release-updates" ;;
    esac | set_up_apt "$apt"
    mkdir -- "$apt/got"
    step_may_fail "$what-download" "Downloading $name's source package from ${distribution^}'s archive" \
        in_folder "$apt/got" "download_$what"
    if ((status)); then
        disk_full_sentence "$LOG/$what-download.log"
        loudly "No $wanted from ${distribution^}'s archive ($(last_line "$LOG/$what-download.log"))"
        return 0
    fi
    {
        printf 'distribution=%s\n' "${distribution^}"
        printf 'package=%s\n' "$(<"$apt/got/about.version")"
    } >"$apt/got/about"
    rm -f -- "$apt/got/about.version"
    put_in_cache "$apt/got" "$folder"
    rm -rf -- "$apt"
    unpack_distribution "$folder"
}

in_folder() { # in_folder DIR COMMAND...
    cd -- "$1"
    shift
    "$@"
}

unpack_distribution() { # unpack_distribution FOLDER
    local distribution package tmp
    distribution=$(sed -n 's/^distribution=//p' -- "$1/about")
    package=$(sed -n 's/^package=//p' -- "$1/about")
    need_space "$BUILD" "$need_mib" "unpacking $name's source"
    new_tmp "$(dirname -- "$dest")"
    step "$what-source" "Unpacking $name's source of $distribution's package $package" \
        "unpack_package_$what" "$1" "$tmp/src"
    version=$(version_of "$tmp/src") || version=
    if ! is_wanted "$version"; then
        rm -rf -- "$1"
        loudly "$distribution's package $package is not $wanted"
        return 0
    fi
    complete_qemu "$tmp/src"
    put_in_place "$tmp/src" "$distribution's source package $what $package" "package:$package"
}

unpack_package_qemu() { # unpack_package_qemu FOLDER TREE
    local deb firmware
    unpack "$1"/qemu_*.orig.tar.* "$2"
    firmware=$2.firmware
    for deb in "$1"/*.deb; do dpkg-deb --extract "$deb" "$firmware"; done
    add_firmware "$firmware" "$2"
    rm -rf -- "$firmware"
}

unpack_package_linux() { # unpack_package_linux FOLDER TREE
    mkdir -p -- "$2"
    # The package holds nothing but a tarball.
    dpkg-deb --fsys-tarfile "$1"/linux-source-*.deb |
        tar -x --wildcards --to-stdout './usr/src/linux-source-*.tar.*' |
        xz --decompress --threads=0 |
        tar -x --no-same-owner --strip-components=1 -C "$2"
}

# The distributions take out of QEMU's tarball what they package on its own. Put back the firmware
# where the release has it, so that plain `./configure && make install` does what it does there; of
# firmware that no x86 machine uses, and that is not at hand, an empty file is enough to be installed.
add_firmware() { # add_firmware UNPACKED TREE
    local name found path
    while read -r name; do
        [[ -e $2/pc-bios/$name ]] && continue
        found=
        for path in usr/share/qemu usr/share/seabios usr/lib/ipxe/qemu; do
            if [[ -e $1/$path/$name ]]; then found=$1/$path/$name; fi
        done
        if [[ -n $found ]]; then
            cp -L -- "$found" "$2/pc-bios/$name"
        else
            case $name in
                bios*.bin | vgabios*.bin | linuxboot*.bin | multiboot*.bin | kvmvapic.bin | pvh.bin | efi-e1000*.rom)
                    echo "the firmware packages lack $name"
                    return 1
                    ;;
                *.bz2) bzip2 </dev/null >"$2/pc-bios/$name" ;;
                *) : >"$2/pc-bios/$name" ;;
            esac
        fi
    done < <(
        sed -n -e "s/^ *'\(edk2-[^']*\.fd\)',\$/\1.bz2/p" -e "/^blobs = /,/^]/s/^ *'\([^']*\)',\$/\1/p" \
            -- "$2/pc-bios/meson.build"
        find "$2/pc-bios" -name '*.dts' -printf '%P\n' | sed 's/\.dts$/.dtb/'
    )
}

# Likewise the Python packages that QEMU's configure installs for itself: those that the tree names,
# in the versions that it names.
complete_qemu() { # complete_qemu TREE
    local requirements wheels tmp
    [[ $what == qemu ]] || return 0
    compgen -G "$1/python/wheels/*.whl" >/dev/null && return 0
    mapfile -t requirements < <(sed -n '/^\[meson\]/,/^\[/s/^\([A-Za-z0-9_.-]*\) *= *{.*installed *= *"\([^"]*\)".*/\1==\2/p' \
        -- "$1/pythondeps.toml")
    ((${#requirements[@]})) || die "$1/pythondeps.toml names no meson: give a release tarball as QEMU_TARBALL=."
    wheels=$CACHE/pypi/$(IFS=+ && printf %s "${requirements[*]}")
    if ! is_cached "$wheels"; then
        list_wheels "${requirements[@]}" >/dev/null ||
            loudly "Of ${requirements[*]} not all hashes are known here: what PyPI gives is trusted"
        new_tmp "$cache_tmp"
        step_may_fail "$what-wheels" "Downloading Python packages with which QEMU is built: ${requirements[*]}" \
            get_wheels "$tmp" "${requirements[@]}"
        if ((status)); then
            disk_full_sentence "$LOG/$what-wheels.log"
            die "${requirements[*]} could not be had from PyPI ($(last_line "$LOG/$what-wheels.log")): once it" \
                "can be reached, give the same command again, or give a release tarball as QEMU_TARBALL=."
        fi
        put_in_cache "$tmp/got" "$wheels"
        rm -rf -- "$tmp"
    fi
    { mkdir -p -- "$1/python/wheels" && cp -- "$wheels"/*.whl "$1/python/wheels/"; } ||
        die "$1 cannot be written: is the disk full?"
}

# The wheels that the releases of the known series name, as PyPI has them.
declare -A wheel_sha256=(
    [meson==1.2.3]=17d9124ffad38f5bbb6b198a8de5ecc55ebcd164d35a1d9dae06b8de0605a252
    [meson==1.5.0]=52b34f4903b882df52ad0d533146d4b992c018ea77399f825579737672ae7b20
    [meson==1.9.0]=45e51ddc41e37d961582d06e78c48e0f9039011587f3495c4d6b0781dad92357
    [pycotap==1.3.1]=1c3a25b3ff89e48f4e00f1f71dbbc1642b4f65c65d416524d07e73492fff25ea
    [tomli==2.0.1]=939de3e7a6161af0c887ef91b7d41a53e7c5a1ca976325f429cb46ea9bc30ecc
)

list_wheels() { # list_wheels NAME==VERSION...: for pip, with their hashes; fails if one has none here
    local requirement
    for requirement; do
        [[ -n ${wheel_sha256[$requirement]:-} ]] || return 1
        echo "$requirement --hash=sha256:${wheel_sha256[$requirement]}"
    done
}

get_wheels() { # get_wheels FOLDER NAME==VERSION...: into FOLDER/got
    local folder=$1 hashes=()
    shift
    if list_wheels "$@" >"$folder/requirements"; then
        hashes=(--require-hashes)
    else
        printf '%s\n' "$@" >"$folder/requirements"
    fi
    /usr/bin/python3 -m venv "$folder/venv"
    "$folder/venv/bin/python" -m pip download --disable-pip-version-check --no-deps --only-binary=:all: \
        --dest "$folder/got" ${hashes[@]+"${hashes[@]}"} --requirement "$folder/requirements"
}

# ---- which of all these ----

if [[ -n $src || -n $tarball ]] && is_given; then
    [[ -n $checks_only ]] || lock_cache "$what"
    from_user
    exit 0
fi
[[ -z $checks_only ]] || exit 0
if [[ -e $record && -d $dest ]] &&
    { [[ -z $series ]] || is_wanted "$(sed -n 's/^version=//p' -- "$record")"; }; then
    exit 0
fi
lock_cache "$what"
key=$series
for way in from_upstream_cache from_distribution_cache from_upstream from_distribution; do
    # Not "$way && break": bash would take no notice of errors inside.
    "$way"
    [[ -z $got ]] || exit 0
done
die "no source of $wanted is to be had: connect this machine to the network, or give one as" \
    "$SRC=DIR or $TARBALL=FILE."
