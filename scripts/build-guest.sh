#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/build-guest.sh programs    the project's programs, linked statically, into build/bin: the app and
#                                    init for the guest; vm-run and its like, and qemu-overlay, for here;
#                                    the app's manual page and completions into build/share
# scripts/build-guest.sh initramfs   the guest's initramfs, of those and the module
# scripts/build-guest.sh where       build/where: what is built, where it is and where it came from
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust

programs=(my-rng vm-init vm-run vm-initramfs vm-demo qemu-overlay)

build_programs() {
    local target=x86_64-unknown-linux-gnu program
    cd -- "$ROOT"
    # All at once and for the same target, so that what they share is compiled once.
    env -u CARGO_ENCODED_RUSTFLAGS RUSTFLAGS='-C target-feature=+crt-static' \
        cargo build --release --locked --target "$target" --target-dir "$BUILD/guest" --jobs "$JOBS" \
        -p my-rng -p my-rng-vm -p qemu-overlay --bins
    mkdir -p -- "$BUILD/bin"
    for program in "${programs[@]}"; do
        cmp -s -- "$BUILD/guest/$target/release/$program" "$BUILD/bin/$program" && continue
        cp -- "$BUILD/guest/$target/release/$program" "$BUILD/bin/.$program"
        mv -f -- "$BUILD/bin/.$program" "$BUILD/bin/$program"
    done
    shared man/man1/my-rng.1 man
    shared bash-completion/completions/my-rng completions bash
    shared zsh/site-functions/_my-rng completions zsh
    shared fish/vendor_completions.d/my-rng.fish completions fish
}

shared() { # shared FILE ARGUMENT...: what the app prints, into that file of build/share
    local file=$BUILD/share/$1
    shift
    mkdir -p -- "$(dirname -- "$file")"
    put "$file" "$BUILD/bin/my-rng" "$@"
}

from() { # from FILE KEY: a line of what scripts/fetch.sh recorded
    sed -n "s/^$2=//p" -- "$1.source"
}

case ${1:-} in
    programs)
        inputs=$(digest "$ROOT"/{guest-app,vm,qemu-8.2.9-overlay,rust-dev/qemu-pci/examples,abi,Cargo.toml,Cargo.lock,rust-toolchain.toml})
        inputs+=" $(rustc --version) $ROOT"
        if is_made programs "$inputs" && [[ -x $BUILD/bin/vm-run && -d $BUILD/share/man ]]; then exit 0; fi
        need_space "$BUILD" 500 "building the project's programs"
        step programs "Building the app, and the programs around the virtual machine" build_programs
        made programs "$inputs"
        ;;
    initramfs)
        inputs="$(digest "$BUILD"/bin/{my-rng,vm-init,vm-initramfs} "$BUILD/module/my_rng.ko")"
        inputs+=" $(stat -c %Y:%s "$(command -v busybox)" "$(command -v lspci)" 2>&1)"
        if is_made initramfs "$inputs" && [[ -e $BUILD/initramfs.cpio ]]; then exit 0; fi
        step initramfs "Packing the guest's initramfs" "$BUILD/bin/vm-initramfs" \
            --init "$BUILD/bin/vm-init" --app "$BUILD/bin/my-rng" --module "$BUILD/module/my_rng.ko" \
            --output "$BUILD/initramfs.cpio"
        made initramfs "$inputs"
        ;;
    where)
        put "$BUILD/where" <<END
qemu=$QEMU_PREFIX/bin/qemu-system-x86_64
kernel=$LINUX_OUT/arch/x86/boot/bzImage
module=$BUILD/module/my_rng.ko
initramfs=$BUILD/initramfs.cpio
app=$BUILD/bin/my-rng
qemu_source=$(from "$QEMU_TREE" source)
qemu_version=$(from "$QEMU_TREE" version)
linux_source=$(from "$LINUX_TREE" source)
linux_version=$(from "$LINUX_TREE" version)
END
        ;;
    *) die "usage: scripts/build-guest.sh programs|initramfs|where" ;;
esac
