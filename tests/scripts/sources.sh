# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Where sources and packages come from. tests/scripts.sh runs these.
# shellcheck disable=SC2016,SC2154  # scripts for an inner shell; the variables of tests/scripts.sh

new_key() { # new_key NAME: makes one, and the file of its public half, $tmp/NAME.asc
    clean_env gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-generate-key "$1@localhost" ed25519 sign never
    clean_env gpg --batch --quiet --armor --export "$1@localhost" >"$tmp/$1.asc"
}

sign() { # sign KEY FILE SIGNATURE
    clean_env gpg --batch --quiet --yes --local-user "$1@localhost" --detach-sign --output "$3" "$2"
}

release() { # release qemu|linux NAME FILE...: a tarball of a tree with the files, NAME.tar
    local file tree=$tmp/tree/$2
    for file in "${@:3}"; do
        mkdir -p -- "$(dirname -- "$tree/$file")"
        : >"$tree/$file"
    done
    # shellcheck disable=SC2046,SC2183  # three words
    case $1 in
        qemu) echo "${2#*-}" >"$tree/VERSION" ;;
        linux) printf 'VERSION = %s\nPATCHLEVEL = %s\nSUBLEVEL = %s\n' $(grep -o '[0-9]*' <<<"$2") >"$tree/Makefile" ;;
    esac
    tar -C "$tmp/tree" -cf "$tmp/site/$2.tar" "$2"
    xz --keep "$tmp/site/$2.tar"
}

fetch() { # fetch WHAT SERIES: from our test site only
    rm -rf -- "$tmp/home/.cache"
    fetch_cached "$@"
}

fetch_cached() { # fetch_cached WHAT SERIES: with the cache as it is
    rm -rf -- "$tmp/build"
    clean_env PATH="$tmp/bin:$PATH" MY_RNG_BUILD="$tmp/build" MY_RNG_UPSTREAM="file://$tmp/site" MY_RNG_KEYS="$tmp/keys" \
        scripts/fetch.sh "$1" "$2" "$tmp/build/source" 2>&1
}

test_a_release_is_used_only_if_its_developers_signed_it() {
    local what series name file signed signature cached wrong
    if ! command -v gpg >/dev/null || ! command -v gpg-agent >/dev/null; then
        echo "SKIPPED: there is no gpg to sign with"
        return
    fi
    mkdir -p -- "$tmp/site" "$tmp/keys"
    mkdir -m 700 -- "$tmp/home" "$tmp/home/.gnupg"
    # There is no other source. The disk has room for these small files.
    program "$tmp/bin/apt-get" 'exit 1'
    program "$tmp/bin/df" 'echo 9999'
    trap 'clean_env gpgconf --kill all' EXIT
    new_key developer
    new_key stranger
    release qemu qemu-99.9.0 configure hw/misc/meson.build include/qemu/osdep.h
    release linux "linux-$(sed -n 's/^ *7\.3) release=\([0-9.]*\) ;;/\1/p' scripts/fetch.sh)" Kconfig init/main.c include/linux/pci.h
    for what in qemu linux; do
        for file in "$tmp/site/$what"-*.tar.xz; do name=${file##*/}; done
        case $what in
            qemu) series=99.9 signed=$file signature=$file.sig ;;
            linux) series=7.3 signed=${file%.xz} signature=${file%.xz}.sign ;;
        esac
        cp -- "$tmp/developer.asc" "$tmp/keys/$what.asc"
        sign developer "$signed" "$signature"
        fetch "$what" "$series"
        [[ $(<"$tmp/build/source.source") == *"id=upstream:"* && -e $tmp/build/source ]]
        # From the cache.
        rm -rf -- "$tmp/build"
        fetch_cached "$what" "$series"
        [[ -e $tmp/build/source ]]
        # What a stranger signed and put there is not used; the release is downloaded again.
        cached=$tmp/home/.cache/my_rng/upstream/$name
        cp -- "$signature" "$tmp/right"
        sign stranger "$signed" "$cached/${signature##*/}"
        (cd -- "$cached" && sha256sum "$name" "${signature##*/}" >SHA256SUMS)
        fetch_cached "$what" "$series" >"$tmp/said"
        grep -q "In the cache, $name is not what .* developers have signed: it is not used" -- "$tmp/said"
        [[ -e $tmp/build/source ]]
        cmp -- "$tmp/right" "$cached/${signature##*/}"
        for wrong in tampered stranger nonsense unsigned; do
            case $wrong in
                tampered) # a valid tarball with another file
                    cp -- "$file" "$tmp/whole"
                    echo backdoor >"$tmp/backdoor"
                    tar -C "$tmp" -rf "${file%.xz}" backdoor
                    xz --force --keep "${file%.xz}"
                    ;;
                stranger) cp -- "$tmp/whole" "$file" && xz --decompress --force --keep "$file" && sign stranger "$signed" "$signature" ;;
                nonsense) echo nonsense >"$signature" ;;
                unsigned) rm -- "$signature" ;;
            esac
            not fetch "$what" "$series" >"$tmp/said"
            [[ ! -e $tmp/build/source ]]
            case $wrong in
                unsigned) grep -q "from its project's site" -- "$tmp/said" ;;
                *) grep -q 'developers have signed: it is not used' -- "$tmp/said" ;;
            esac
            grep -q "^error: no source of .* could be found" -- "$tmp/said"
            [[ -z $(find "$tmp/home/.cache" -name "$name*") ]]
        done
    done
}

test_a_source_of_another_series_can_be_given() {
    local what name series given
    mkdir -p -- "$tmp/site" "$tmp/home"
    program "$tmp/bin/df" 'echo 9999'
    # A development version, and one of a series that no archive here has.
    release qemu qemu-99.9.50 configure hw/misc/meson.build include/qemu/osdep.h pc-bios/bios-256k.bin \
        subprojects/keycodemapdb/meson.build python/wheels/meson.whl
    release linux linux-6.6.1 Kconfig init/main.c include/linux/pci.h
    for what in qemu linux; do
        case $what in
            qemu) name=qemu-99.9.50 series=99.9.50 ;;
            linux) name=linux-6.6.1 series=6.6 ;;
        esac
        for given in "${what^^}_SRC=$tmp/tree/$name" "${what^^}_TARBALL=$tmp/site/$name.tar.xz"; do
            [[ $(clean_env MY_RNG_BUILD="$tmp/build" "$given" scripts/fetch.sh --given "$what") == "${name#*-}" ]]
            clean_env PATH="$tmp/bin:$PATH" MY_RNG_BUILD="$tmp/build" "$given" \
                scripts/fetch.sh "$what" "$series" "$tmp/build/source"
            grep -qx "version=${name#*-}" -- "$tmp/build/source.source"
            rm -rf -- "$tmp/build"
        done
    done
    [[ -z $(clean_env MY_RNG_BUILD="$tmp/build" scripts/fetch.sh --given qemu) ]]
}

test_our_keys_are_the_published_ones() {
    local what keys found
    if ! command -v gpg >/dev/null; then
        echo "SKIPPED: there is no gpg to read them with"
        return
    fi
    mkdir -m 700 -- "$tmp/home"
    for what in qemu linux; do
        case $what in
            qemu) keys=CEACC9E15534EBABB82D3FA03353C9CEF108B584 ;;
            linux)
                keys="647F28654894E3BD457199BE38DBBDC86092693E ABAF11C65A2970B130ABE3C479BE3E4300411886 E27E5D8A3403A2EF66873BBCDEA66FF797772CDC" ;;
        esac
        found=$(clean_env gpg --batch --with-colons --show-keys "scripts/keys/$what.asc" 2>/dev/null |
            awk -F: '$1 == "pub" { primary = 1 } $1 == "fpr" && primary { print $10; primary = 0 }')
        diff <(tr -s ' ' '\n' <<<"$keys" | sort) <(sort <<<"$found")
    done
}

test_packages_tell_installs_nothing() {
    local name
    for name in apt-get sudo; do program "$tmp/bin/$name" "touch '$tmp/called'"; done
    fails_with 'apt-get install -y --no-install-recommends no-such-package' \
        lib 'exec "$ROOT/scripts/packages.sh" install no-such-package' PATH="$tmp/bin:$PATH" MY_RNG_PACKAGES=tell
    fails_with 'neither install nor tell' lib 'exec "$ROOT/scripts/packages.sh" list' MY_RNG_PACKAGES=no
    [[ ! -e $tmp/called ]]
}

asks_for() { # asks_for PACKAGES PACKAGE=VERSION...: without a Rust, and with these packages known to apt
    local wanted=$1 package
    shift
    rm -rf -- "$tmp/has"
    mkdir -- "$tmp/has"
    for package; do echo "  Candidate: ${package#*=}" >"$tmp/has/${package%%=*}"; done
    fails_with "$wanted" lib 'exec "$ROOT/scripts/toolchain.sh"' PATH="$tmp/bin" MY_RNG_PACKAGES=tell
}

test_rust_packages_of_the_distribution_are_found() {
    mkdir -- "$tmp/bin"
    ln -s -- /usr/bin/* "$tmp/bin/"
    rm -f -- "$tmp"/bin/{rust*,cargo*,clippy*,apt-cache,apt-get,dpkg-query}
    program "$tmp/bin/apt-cache" "cat '$tmp'/has/\$2"
    # As apt-get --simulate --no-remove.
    program "$tmp/bin/apt-get" "[ ! -e '$tmp/in_the_way' ]"
    program "$tmp/bin/dpkg-query"
    # Debian 13, Debian 12, Ubuntu 24.04.
    asks_for ' rustc cargo rust-src rustfmt rust-clippy' rustc=1.85.1+dfsg1-1 rustup=1.27.1-3+b1
    asks_for ' rustc-web cargo-web rust-web-src rustfmt-web rust-web-clippy' rustc=1.63.0+dfsg1-2 rustc-web=1.96.0+dfsg1-1
    asks_for ' rustup' rustc=1.75.0+dfsg0ubuntu1-0ubuntu7 rustup=1.26.0-4
    # An older release; and a machine where apt would have to remove an old rustc.
    asks_for 'sh.rustup.rs' rustc=1.63.0+dfsg1-2
    touch -- "$tmp/in_the_way"
    asks_for 'sh.rustup.rs' rustc=1.75.0+dfsg0ubuntu1-0ubuntu7 rustup=1.26.0-4
}

test_an_incomplete_rust_is_detected() {
    local program
    mkdir -p -- "$tmp/bin" "$tmp/usr/lib/rustlib/src/rust/library/core/src"
    ln -s -- /usr/bin/* "$tmp/bin/"
    rm -f -- "$tmp"/bin/{rust*,cargo*,clippy*,apt-cache}
    : >"$tmp/usr/lib/rustlib/src/rust/library/core/src/lib.rs"
    program "$tmp/bin/rustc" "case \$1 in --version) echo rustc 1.90.0 ;; *) echo '$tmp/usr' ;; esac"
    for program in cargo rustfmt cargo-clippy apt-cache; do program "$tmp/bin/$program"; done
    lib 'exec "$ROOT/scripts/toolchain.sh"' PATH="$tmp/bin"
    for program in cargo rustfmt cargo-clippy; do
        mv -- "$tmp/bin/$program" "$tmp/$program"
        fails_with 'not complete' lib 'exec "$ROOT/scripts/toolchain.sh"' PATH="$tmp/bin" MY_RNG_PACKAGES=tell
        mv -- "$tmp/$program" "$tmp/bin/$program"
    done
    not grep -nE '^[^#]*command -v [^ |&;)]+ [^|&;)>2]' scripts/*.sh
}
