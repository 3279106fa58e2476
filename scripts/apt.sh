# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the scripts that get packages of Debian or Ubuntu share. Sourced after lib.sh.

declare -A mirror_of=() # release name -> URI, as apt is set up here: bookworm, trixie-security, noble and so on
releases=()             # their names, in apt's order

find_mirrors() {
    # shellcheck disable=SC2016  # apt's names, not the shell's
    local format='$(REPO_URI) $(RELEASE) $(CODENAME) $(COMPONENT)' uri release codename component
    while read -r uri release codename component; do
        [[ $component == main ]] || continue
        # RELEASE may be "stable", for example.
        for release in "$release" "$codename"; do
            [[ -n $release && -z ${mirror_of[$release]:-} ]] || continue
            mirror_of[$release]=$uri
            releases+=("$release")
        done
    done < <(apt-get indextargets --format "$format" 'Created-By: Packages' 2>/dev/null)
}

# ---- mmdebstrap ----

# shellcheck disable=SC2034  # for the scripts that source this file
debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

find_debian() { # the mirror of this machine's Debian: to $mirror and $suite, unless they are set
    local release
    find_mirrors
    for release in ${releases[@]+"${releases[@]}"}; do
        case $release in
            bookworm | trixie) mirror=${mirror:-${mirror_of[$release]}} suite=${suite:-$release} ;;
        esac
    done
}

find_mirror_options() { # this machine's settings of apt (proxies, for example): to the array $mirror_options
    local line
    mirror_options=()
    while read -r line; do mirror_options+=(--aptopt="${line%;}"); done < <(
        apt-config dump | grep -E '^Acquire::(https?::|Check-|Retries ).*[^"]";$'
    )
}

# get_admin PURPOSE: sets the array $admin to what precedes a command that root must run. Fails if this user may not.
# It may ask for a password, which a step cannot: call it before the step.
get_admin() {
    admin=()
    ((EUID != 0)) || return 0
    command -v sudo >/dev/null || return 1
    if ! sudo -n true 2>/dev/null; then
        [[ -t 2 ]] || return 1
        say "sudo asks for your password $1."
        sudo -v || return 1
    fi
    # shellcheck disable=SC2034  # for the scripts that source this file
    admin=(sudo -n)
}

# Debian's files have several owners, which only root can set. A plain user is root in a user namespace or, where there
# are none (in a chroot, or on a hardened machine), by sudo. Sets $mode, for mmdebstrap, and $admin.
# shellcheck disable=SC2034  # for the scripts that source this file
choose_mode() {
    admin=() mode=root
    if ((EUID != 0)) && mmdebstrap --unshare-helper true >/dev/null 2>&1; then
        mode=unshare
    else
        get_admin "to install Debian into a folder" ||
            die "installing Debian into a folder needs root, sudo, or user namespaces with ids for $(id -un) in" \
                "/etc/subuid and /etc/subgid: run the same command as root or as a user with sudo."
    fi
}

# ---- an apt of our own ----

# It has its own sources and folders, nothing under /etc or /var is written, and no hooks of the machine's run.
# `-c FILE` is read after the machine's configuration (APT_CONFIG would be read before), so proxy settings stay.
# set_up_apt FOLDER [ARCH]: in $apt, for Debian's ARCH or this machine's; the lines of its sources.list are standard
# input
set_up_apt() {
    local debian=${2:-$(dpkg --print-architecture)}
    apt=$1
    mkdir -p -- "$1"/lists/partial "$1"/cache/archives/partial "$1"/state
    cat >"$1/sources.list"
    # No package is installed. apt locks this file's folder.
    : >"$1/state/status"
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
Dir::State::status "$1/state/status";
Dir::State::Lists "$1/lists";
Dir::Cache "$1/cache";
APT::Sandbox::User "";
APT::Architecture "$debian";
APT::Architectures { "$debian"; };
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "15";
Acquire::https::Timeout "15";
END
}

private() { # private COMMAND...: apt-get or apt-cache, with that configuration
    "$1" -q -c "$apt/apt.conf" "${@:2}"
}

apt_update() { private apt-get update -o APT::Update::Error-Mode=any; }

# get_source PACKAGE VERSION...: the first upstream tarball that the archive has, and to the file "version" its VERSION
get_source() {
    local version
    for version in "${@:2}"; do
        if private apt-get source --download-only --tar-only --only-source "$1=$version"; then
            printf '%s\n' "$version" >version
            return 0
        fi
    done
    # An archive may list versions whose files it has removed.
    printf 'the archive lists %s and has none of them\n' "$*"
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
