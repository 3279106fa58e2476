# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make install and uninstall. tests/scripts.sh runs these.
# shellcheck disable=SC2016,SC2154  # scripts for an inner shell; the variables of tests/scripts.sh

built() { # built VERSION: stands in for a complete build
    local file
    for file in "qemu/prefix/bin/qemu-system-$arch_qemu" qemu/prefix/share/qemu/bios-256k.bin bin/my-rng share/man/man1/my-rng.1 \
        "$arch"/{"linux/$arch_image",module/my_rng.ko,initramfs.cpio}; do
        mkdir -p -- "$(dirname -- "$tmp/build/$file")"
        echo "$1" >"$tmp/build/$file"
    done
    chmod +x -- "$tmp"/build/{"qemu/prefix/bin/qemu-system-$arch_qemu",bin/my-rng}
}

test_uninstall_removes_exactly_what_install_copied() {
    local root=$tmp/root file before installed
    install() { clean_env make -s "${1:-install}" BUILD="$tmp/build" DESTDIR="$root" PREFIX=/usr 2>&1; }
    mkdir -p -- "$root/usr/bin" "$root/usr/lib/udev"
    echo mine >"$root/usr/bin/mine"
    before=$(listing "$root")
    fails_with 'run make first, not as root' clean_env make -s install BUILD="$tmp/build" DESTDIR="$root" PREFIX=/usr
    fails_with 'nothing is installed' clean_env make -s uninstall BUILD="$tmp/build" DESTDIR="$root" PREFIX=/usr
    [[ $(listing "$root") == "$before" && ! -e $tmp/build ]]
    built 1
    unchanged "$tmp/build" install
    for file in "bin/qemu-system-$arch_qemu" bin/my-rng share/qemu/bios-256k.bin share/man/man1/my-rng.1 include/my_rng.h \
        lib/udev/rules.d/60-my_rng.rules lib/sysusers.d/my_rng.conf lib/my_rng/{"${arch_image##*/}",my_rng.ko,initramfs.cpio}; do
        [[ -f $root/usr/$file ]] || { echo "$file is missing" && return 1; }
    done
    [[ -x $root/usr/bin/my-rng && ! -x $root/usr/include/my_rng.h ]]
    # A newer build replaces the older completely.
    installed=$(cd -- "$root" && find . | sort)
    built 2
    mv -- "$tmp/build/qemu/prefix/share/qemu/bios-256k.bin" "$tmp/build/qemu/prefix/share/qemu/bios-512k.bin"
    install
    [[ $(<"$root/usr/bin/my-rng") == 2 && $(cd -- "$root" && find . | sort) == "${installed/256k/512k}" ]]
    install uninstall
    diff <(echo "$before") <(listing "$root")

    # Files of the user are neither overwritten nor removed.
    echo mine >"$root/usr/bin/my-rng"
    unchanged "$root" fails_with 'nothing is installed: move it away' \
        clean_env make -s install BUILD="$tmp/build" DESTDIR="$root" PREFIX=/usr
    rm -- "$root/usr/bin/my-rng"
    install
    echo mine >"$root/usr/lib/my_rng/${arch_image##*/}"
    echo mine >"$root/usr/share/qemu/mine"
    install uninstall
    [[ $(cd -- "$root/usr" && find . -type f | sort | paste -sd ' ') == \
        "./bin/mine ./lib/my_rng/${arch_image##*/} ./share/qemu/mine" ]]
}

install_fails_with() { # install_fails_with PATTERN [VARIABLE=VALUE...]: and changes nothing
    unchanged "$tmp/root" fails_with "$1" clean_env make -s install BUILD="$tmp/build" DESTDIR="$tmp/root" PREFIX=/usr "${@:2}"
}

test_install_overwrites_no_file_of_the_user() {
    local bin=$tmp/root/usr/bin
    built 1
    mkdir -p -- "$bin/my-rng"
    install_fails_with 'my-rng is not from an earlier make install'
    rmdir -- "$bin/my-rng"
    ln -s -- nowhere "$bin/my-rng"
    install_fails_with 'my-rng is not from an earlier make install'
    rm -- "$bin/my-rng"
    if ((EUID)); then
        echo mine >"$bin/my-rng"
        chmod 000 -- "$bin/my-rng"
        fails_with 'my-rng is not from' clean_env make -s install BUILD="$tmp/build" DESTDIR="$tmp/root" PREFIX=/usr
        rm -f -- "$bin/my-rng"
    fi
    # Where install needs a folder.
    echo mine >"$tmp/root/usr/share"
    install_fails_with 'share is not a folder'
    rm -- "$tmp/root/usr/share"
    ln -s -- nowhere "$tmp/root/usr/lib"
    install_fails_with 'lib is not a folder'
    rm -- "$tmp/root/usr/lib"
    # A link to what was installed is not ours, either.
    clean_env make -s install BUILD="$tmp/build" DESTDIR="$tmp/root" PREFIX=/usr
    mv -- "$bin/my-rng" "$tmp/kept"
    ln -s -- "$tmp/kept" "$bin/my-rng"
    install_fails_with 'my-rng is not from an earlier make install'
    clean_env make -s uninstall DESTDIR="$tmp/root" PREFIX=/usr 2>/dev/null
    [[ $(cd -- "$tmp/root" && find . -type f -o -type l) == ./usr/bin/my-rng && -f $tmp/kept ]]
}

test_uninstall_removes_the_folders_that_install_made() {
    built 1
    mkdir -- "$tmp/root"
    clean_env make -s install BUILD="$tmp/build" PREFIX="$tmp/root/opt/my/rng/" 2>/dev/null
    # A killed install leaves this.
    mkdir -- "$tmp/root/opt/my/rng/lib/my_rng/.tmp.4194305.aB3"
    clean_env make -s install BUILD="$tmp/build" PREFIX="$tmp/root/opt/my/rng" 2>/dev/null
    clean_env make -s uninstall PREFIX="$tmp/root/opt/my/rng" 2>/dev/null
    [[ -d $tmp/root && -z $(ls -A -- "$tmp/root") ]]
    # A folder that holds other files stays.
    clean_env make -s install BUILD="$tmp/build" DESTDIR="$tmp/root/a/b" PREFIX=/ 2>/dev/null
    echo mine >"$tmp/root/a/mine"
    clean_env make -s uninstall DESTDIR="$tmp/root/a/b" PREFIX=/ 2>/dev/null
    [[ $(cd -- "$tmp/root" && find . | sort | paste -sd ' ') == ". ./a ./a/mine" ]]
    fails_with 'PREFIX=/ is where the system' clean_env make -s install BUILD="$tmp/build" PREFIX=/
}

test_install_refuses_while_a_build_runs() {
    start_holder
    built 1
    mkdir -- "$tmp/root"
    install_fails_with 'another make is at work'
    echo true >&7
    wait "$!"
    # Other readers do not disturb it.
    exec 5<"$tmp/build/.my_rng-build"
    flock -s 5
    clean_env make -s install BUILD="$tmp/build" DESTDIR="$tmp/root" PREFIX=/usr
}

test_the_packages_have_the_version_of_the_workspace() {
    local version
    version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
    [[ $(head -n 1 debian/changelog) == "my-rng ($version) "* ]] ||
        { echo "debian/changelog does not begin with version $version: add an entry with dch -v $version" && return 1; }
}
