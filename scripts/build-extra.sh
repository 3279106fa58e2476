#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/build-extra.sh WHAT: the QEMU that was built, linked again with other devices; prints its path. WHAT is
#   tests   with the devices of tests/qemu, in build/test-qemu; the tests call this by themselves
#   asan    the same, in build/asan-qemu; the devices in Rust and the kit are compiled with AddressSanitizer. QEMU's
#           C is not, but its malloc is the sanitizer's: every access of the Rust code to QEMU's memory is checked.
#   tsan    the same, in build/tsan-qemu, with ThreadSanitizer. It sees all accesses of the Rust code, and the mutexes of
#           QEMU, but no other access of QEMU's C.
#   twins   with the device's twin in C, for make bench, in build/bench; also, in build/bench/ARCH, the driver's
#           twin in C, and virtio-rng, which the guest's kernel does not have
#   inline  no QEMU: the same two modules, and the initramfs, for the kernel of build-linux.sh inline
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust

command_of() { # command_of OUTPUT: the command of QEMU's build that makes the file whose path ends so
    # -x expands response files, which do not exist any more.
    ninja -t compdb -x | python3 -c '
import json, sys
for entry in json.load(sys.stdin):
    if entry["output"].endswith(sys.argv[1]):
        print(entry["command"])' "$1"
}

# Uses the commands of QEMU's build, for other outputs: nothing in QEMU's folders changes. If LIBRARY is not empty,
# it replaces that of the devices.
relink_qemu() { # relink_qemu FOLDER LIBRARY [LINK_FLAG...]: FOLDER/bin/qemu-system-..., with $sources
    local folder=$1 library=$2 qemu=${QEMU##*/} compile link source objects=() own=hw/misc/qemu-pci/libqemu_pci_devices.a
    shift 2
    mkdir -p -- "$folder/bin"
    # QEMU looks for its firmware relative to itself.
    ln -sfn -- "$QEMU_PREFIX/share" "$folder/share"
    cd -- "$QEMU_TREE/build"
    compile=$(command_of /hw_misc_my-rng.c.o)
    link=$(command_of "$qemu")
    if [[ $compile != *" -MD "*" -c ../hw/misc/my-rng.c" || $link != *" $own "* ||
        $link != *" -o $qemu "* ]]; then
        echo "ninja does not give the commands of hw/misc/my-rng.c and $qemu as build-extra.sh knows them"
        return 1
    fi
    # The commands are quoted for a shell. They may be too long for an argument, so they are its input.
    for source in "${sources[@]}"; do
        objects+=("$folder/${source##*/}.o")
        sh -s "${objects[-1]}" "$source" "$ROOT/guest-app/include" \
            <<<"${compile%%" -MD "*} -iquote \"\$3\" -o \"\$1\" -c \"\$2\""
    done
    if [[ -n $library ]]; then link=${link/" $own "/" \"\$library\" "}; fi
    # The linker keeps an object, but not a member of an archive that nobody refers to.
    library=$library sh -s "$folder/.qemu" "${objects[@]}" "$@" <<<"${link/" -o $qemu "/" -o \"\$@\" "}"
    mv -f -- "$folder/.qemu" "$folder/bin/$qemu"
}

compile_devices() { # compile_devices FOLDER HOST RUSTFLAGS [CARGO_FLAG...]: the static library, in FOLDER/HOST/release
    use_libclang
    # RUSTC_BOOTSTRAP lets the stable compiler take these unstable options; a nightly one would be another compiler.
    export QEMU_BUILD_DIR=$QEMU_TREE/build RUSTC_BOOTSTRAP=1 RUSTFLAGS="$3 -Zexternal-clangrt"
    cargo build --release --locked --jobs "$JOBS" --target "$2" --target-dir "$1" --manifest-path "$ROOT/Cargo.toml" \
        -p my-rng-dev --lib --features qemu "${@:4}"
}

build_modules() { # build_modules FOLDER KERNEL_OUT [MAKE_ARGUMENT...]
    local folder=$1 out=$2
    shift 2
    use_kbuild
    mkdir -p -- "$folder"
    cp -- "$ROOT"/bench/twin/{Kbuild,my_rng_twin.c} "$LINUX_TREE/drivers/char/hw_random/virtio-rng.c" "$folder/"
    make -C "$out" "$@" M="$folder" -j"$JOBS" modules
}

build_inline() { # build_inline FOLDER LLVM_VERSION
    build_modules "$1/bench" "$1/linux" LLVM="-$2"
    pack_initramfs "$1/module/my_rng.ko" "$1/initramfs.cpio"
}

# make test and make bench hold the lock already. Tests that are started by hand do not.
lock_build
name='' library='' flags=() tests=("$ROOT"/tests/qemu/*.[ch]) sources=("$ROOT"/tests/qemu/*.c)
# What the test devices put themselves in front of.
for name in address_space_{map,unmap} my_rng_trace_event qemu_guest_getrandom qemu_in_vcpu_thread syscall; do
    flags+=("-Wl,--wrap=$name")
done
rust_host=$(rustc -vV | sed -n 's/^host: //p')
case ${1:-} in
    tests) name=test-qemu ;;
    asan)
        name=asan-qemu
        # The sanitizer's library is gcc's, because gcc links QEMU. CFLAGS are for the kit's few C functions.
        CFLAGS=-fsanitize=address step asan-devices "Compiling the devices with AddressSanitizer" \
            compile_devices "$BUILD/asan-qemu/cargo" "$rust_host" -Zsanitizer=address
        # Before all libraries, so that it replaces malloc.
        flags+=(-fsanitize=address)
        ;;
    tsan)
        name=tsan-qemu
        # With its standard library: the sanitizer must see what Mutex and Condvar do.
        step tsan-devices "Compiling the devices and Rust's library with ThreadSanitizer" \
            compile_devices "$BUILD/tsan-qemu/cargo" "$rust_host" -Zsanitizer=thread -Zbuild-std=std,panic_abort
        runtime=("$(rustc --print sysroot)/lib/rustlib/$rust_host/lib/"librustc*_rt.tsan.a)
        [[ -e ${runtime[0]} ]] || die "this Rust has no ThreadSanitizer for $rust_host: use the pinned one."
        # QEMU's coroutines jump between stacks, of which the sanitizer knows nothing: it must not see the jumps.
        flags+=('-Wl,--wrap=__sigsetjmp' '-Wl,--wrap=siglongjmp')
        # The whole of it replaces functions of libc, also for QEMU's C.
        flags+=('-Wl,--whole-archive' "${runtime[0]}" '-Wl,--no-whole-archive' -lrt -ldl -lpthread -lm)
        ;;
    twins)
        name=bench flags=() sources=("$ROOT/bench/twin/my-rng-twin.c") tests=()
        inputs="$(digest "$STAMPS/linux-$arch" "$ROOT/bench/twin") $BUILD"
        update "bench-modules-$arch" "$inputs" "$BUILD/bench/$arch/my_rng_twin.ko" 100 \
            "Building the driver's twin in C, and virtio-rng" build_modules "$BUILD/bench/$arch" "$LINUX_OUT"
        ;;
    inline)
        folder=$BUILD/linux-inline/$arch
        version=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
        inputs=$(digest "$STAMPS"/{linux,module}-inline-"$arch" "$ROOT/bench/twin" "$GUEST/bin" "$BUILD/bin/vm-initramfs")
        update "inline-guest-$arch" "$inputs $BUILD" "$folder/initramfs.cpio" 100 \
            "Building the driver's twin and the initramfs for the kernel with inlined helpers" \
            build_inline "$folder" "$version"
        exit
        ;;
    *) die "usage: scripts/build-extra.sh tests|asan|tsan|twins|inline" ;;
esac
folder=$BUILD/$name
if [[ $name == ?san-qemu ]]; then library=$folder/cargo/$rust_host/release/libmy_rng_dev.a; fi
inputs="$(digest "$QEMU" "${sources[@]}" ${tests[@]+"${tests[@]}"} \
    "$ROOT/scripts/build-extra.sh" ${library:+"$library"}) $folder"
update "$name-$arch" "$inputs" "$folder/bin/${QEMU##*/}" 200 "Linking QEMU with the devices for ${1/twins/make bench}" \
    relink_qemu "$folder" "$library" ${flags[@]+"${flags[@]}"}
printf '%s\n' "$folder/bin/${QEMU##*/}"
