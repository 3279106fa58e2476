#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-programs.sh linux|kut|edu: runs programs that others wrote for QEMU's edu and pci-testdev, on rust_edu
# and rust_testdev
#   linux  Linux's own sample of a PCI driver in Rust, which comes with its source
#   kut    kvm-unit-tests for a PC, from the folder KUT, built there by:
#          ./configure --arch=x86_64 && make x86/intel-iommu.flat x86/vmexit.flat
#   edu    the Linux driver maxerenberg/qemu-edu-driver of GitHub, from the folder EDU_DRIVER
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

qemu=$QEMU

has() { # has FILE LINE...: FILE has all these lines, which are regular expressions
    local file=$1 line
    shift
    for line; do
        grep -q -x -E -e "$line" -- "$file" || { echo "this line is missing: $line" && return 1; }
    done
}

kut() { # kut TEST ARG...: as kvm-unit-tests' own script runs a test; status 1 of its exit device is success
    local status=0 test=$1
    shift
    # Without KVM: we test neither its timing nor its IOMMU.
    timeout --foreground 300 "$qemu" -accel tcg -nodefaults -display none -serial stdio -no-reboot \
        -device isa-debug-exit,iobase=0xf4,iosize=0x4 "$@" -kernel "$KUT/x86/$test.flat" >"$tmp/$test" || status=$?
    tr -d '\r' <"$tmp/$test" | tee "$tmp/out"
    ((status == 1)) || { echo "$test: exit status $status of QEMU" && return 1; }
}

kvm_unit_tests() {
    kut intel-iommu -M q35,kernel-irqchip=split -device intel-iommu,intremap=on,eim=off -device rust_edu
    has "$tmp/out" 'SUMMARY: 11 tests' || return
    # QEMU's own device passes all of them.
    ! grep -e '^SKIP:' -- "$tmp/out" || return
    kut vmexit -device rust_testdev -append 'pci-mem pci-io'
    has "$tmp/out" 'mmio-no-eventfd:pci-mem [0-9]+' 'portio-no-eventfd:pci-io [0-9]+'
}

modules() { # modules FOLDER: builds the kernel modules there
    use_kbuild
    make -C "$LINUX_OUT" M="$1" -j"$JOBS" modules
}

edu_driver() {
    local msi
    cp -r -- "$EDU_DRIVER" "$tmp/edu"
    modules "$tmp/edu"
    "${cross}gcc" -static -O2 -o "$tmp/edu/cli" "$tmp/edu/edu-cli.c"
    cat >"$tmp/edu/try" <<'TRY'
set -e
insmod /root/edu.ko msi="$1"
mknod /dev/edu c "$(sed -n 's/ edu$//p' /proc/devices)" 0
edu-cli ident
edu-cli liveness 0xff
edu-cli factorial 10
echo "from memory to the device and back" | edu-cli dma-write
edu-cli dma-read 35
rmmod edu
TRY
    for msi in 0 1; do
        "$ROOT/vm/run" --no-module --device rust_edu --file "$tmp/edu/edu.ko:/root/edu.ko" \
            --file "$tmp/edu/cli:/bin/edu-cli" --file "$tmp/edu/try:/root/try" -- sh /root/try "$msi" | tee "$tmp/out"
        has "$tmp/out" 'Major version = 1' 'Minor version = 0' 'Inverted value: 0xffffff00' \
            'Computed value: 3628800' 'from memory to the device and back' || return
    done
}

linux_sample() { # Linux's samples/rust/rust_driver_pci.rs reads the test device's count after one write
    mkdir -- "$tmp/sample"
    cp -- "$LINUX_TREE/samples/rust/rust_driver_pci.rs" "$tmp/sample"
    echo 'obj-m := rust_driver_pci.o' >"$tmp/sample/Kbuild"
    modules "$tmp/sample"
    "$ROOT/vm/run" --no-module --device rust_testdev --file "$tmp/sample/rust_driver_pci.ko:/root/sample.ko" -- \
        sh -c 'insmod /root/sample.ko && dmesg | grep rust_driver_pci' | tee "$tmp/out"
    has "$tmp/out" '.*pci-testdev data-match count: 1'
}

new_tmp "$BUILD"
case ${1:-} in
    linux) linux_sample ;;
    kut)
        [[ -e ${KUT:-}/x86/intel-iommu.flat && -e $KUT/x86/vmexit.flat ]] || die "the tests in KUT=${KUT:-} are not" \
            "built: run ./configure --arch=x86_64 && make x86/intel-iommu.flat x86/vmexit.flat there."
        kvm_unit_tests
        ;;
    edu)
        [[ -e ${EDU_DRIVER:-}/edu-driver.c ]] || die "EDU_DRIVER=${EDU_DRIVER:-} has no edu-driver.c: set it to the" \
            "folder of qemu-edu-driver."
        edu_driver
        ;;
    *) die "usage: scripts/check-programs.sh linux|kut|edu" ;;
esac
