# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the scripts that install a Debian into a folder share. Sourced, after lib.sh; never run.

# shellcheck disable=SC2034  # for the scripts that source this file
debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Debian's mirrors and the release of this machine, from apt's own settings: to $mirror, $security_mirror and
# $suite, unless they are set already.
find_debian_mirror() {
    # shellcheck disable=SC2016  # apt's names, not the shell's
    local format='$(REPO_URI) $(RELEASE) $(CODENAME) $(COMPONENT)' uri release codename component
    while read -r uri release codename component; do
        [[ $component == main ]] || continue
        # A release is stated by its code name, or as "stable" and its like.
        for release in "$release" "$codename"; do
            case $release in
                bookworm | trixie) mirror=${mirror:-$uri} suite=${suite:-$release} ;;
                bookworm-security | trixie-security) security_mirror=${security_mirror:-$uri} ;;
            esac
        done
    done < <(apt-get indextargets --format "$format" 'Created-By: Packages' 2>/dev/null)
}

# How apt reaches that mirror (proxies, for example): the same settings, as options for mmdebstrap, to
# the array $mirror_options.
find_mirror_options() {
    local line
    mirror_options=()
    while read -r line; do mirror_options+=(--aptopt="${line%;}"); done < <(
        apt-config dump | grep -E '^Acquire::(https?::|Check-|Retries ).*[^"]";$'
    )
}

# What goes in front of a command that root must run: to the array $admin. Fails if this user may not.
# It may ask for a password, which a step cannot: call it before.
get_admin() { # get_admin WHAT-FOR
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
