/* SPDX-License-Identifier: GPL-2.0-or-later OR MIT */
/*
 * The my_rng device and its Linux driver, for programs in C and C++. docs/my-rng.rst specifies the device,
 * docs/linux-driver.md the driver.
 *
 * Generated from abi/my_rng_abi.rs. Change that file, then run
 *     cargo run -p my-rng --example c-header >guest-app/include/my_rng.h
 */
#ifndef MY_RNG_H
#define MY_RNG_H

#include <sys/ioctl.h>

/* PCI vendor id (QEMU's range for devices that exist only in emulation). */
#define MY_RNG_PCI_VENDOR_ID 0x1234

/* PCI device id. */
#define MY_RNG_PCI_DEVICE_ID 0xcafe

/* PCI revision id. */
#define MY_RNG_PCI_REVISION 0x10

/* PCI class code (class 0x00, subclass 0xff): a device that fits no other class. */
#define MY_RNG_PCI_CLASS 0x00ff

/* The BAR that maps the device's registers. */
#define MY_RNG_BAR 0

/* The size of that BAR, in bytes. */
#define MY_RNG_BAR_SIZE 4096

/* The width of each register, in bytes. Accesses of other widths have no effect. */
#define MY_RNG_REG_SIZE 4

/* `RNG`, read-only: the next number of the stream; every read takes one. */
#define MY_RNG_REG_RNG 0x0

/* `SEED`, write-only: restarts the stream from the seed written. */
#define MY_RNG_REG_SEED 0x4

/* `INFO`, read-only: signature, extensions and generator; reading it takes no number. See MY_RNG_INFO(). */
#define MY_RNG_REG_INFO 0x8

/*
 * `DOORBELL`, write-only, if MY_RNG_INFO_BULK is set: executes the descriptor in the page of guest memory at the
 * address of the value times MY_RNG_BULK_PAGE.
 */
#define MY_RNG_REG_DOORBELL 0xc

/*
 * `FAILURES`, read-only, if MY_RNG_INFO_FAILURES is set: how many reads of `RNG` returned 0 because the host had no
 * entropy.
 */
#define MY_RNG_REG_FAILURES 0x10

/* Bits 31 to 16 of `INFO`: the signature. The classic device with two registers does not have it. */
#define MY_RNG_INFO_SIGNATURE 0x524e

/* Generator id (bits 7 to 0 of `INFO`): the same numbers as glibc's `rand`, 31 bits, from a seed. */
#define MY_RNG_GENERATOR_LIBC 0

/* Generator id: ChaCha20, 32 bits, from a seed. */
#define MY_RNG_GENERATOR_CHACHA20 1

/* Generator id: the host's entropy, 32 bits, unpredictable, takes no seed. */
#define MY_RNG_GENERATOR_HOST 2

/* Generator id: ChaCha8, 32 bits, from a seed. */
#define MY_RNG_GENERATOR_CHACHA8 3

/* Generator id: xoshiro256++, 32 bits, from a seed. */
#define MY_RNG_GENERATOR_XOSHIRO256PP 4

/* Bit of `INFO`: the device has the bulk engine. */
#define MY_RNG_INFO_BULK 0x100u

/* Bit of `INFO`: the device has the register `FAILURES`. */
#define MY_RNG_INFO_FAILURES 0x200u

/*
 * The value of `INFO` for a generator, without extensions. Bits 15 to 8 announce extensions: MY_RNG_INFO_BULK and
 * MY_RNG_INFO_FAILURES; the others are reserved. Software ignores bits that it does not know.
 */
#define MY_RNG_INFO(generator) (((unsigned int)MY_RNG_INFO_SIGNATURE << 16) | (generator))
#define MY_RNG_INFO_IS_THERE(info) (((info) >> 16) == MY_RNG_INFO_SIGNATURE)
#define MY_RNG_INFO_GENERATOR(info) ((info) & 0xff)

/* The size and alignment of a descriptor, in bytes. */
#define MY_RNG_BULK_PAGE 4096

/* Descriptor offset of the status: the driver writes 0, the device one of the values below. */
#define MY_RNG_BULK_STATUS 0x0

/* Descriptor offset of the number of segments, from 1 to MY_RNG_BULK_MAX_SEGMENTS. */
#define MY_RNG_BULK_COUNT 0x4

/* Descriptor offset of the number of bytes that the device has written to the segments. */
#define MY_RNG_BULK_DONE 0x8

/* Descriptor offset of the first segment: 64-bit address, 32-bit length in bytes, 32 bits of 0. */
#define MY_RNG_BULK_SEGMENTS 0x10

/* The size of a segment in a descriptor, in bytes. */
#define MY_RNG_BULK_SEGMENT_SIZE 0x10

/* The maximum number of segments in a descriptor. */
#define MY_RNG_BULK_MAX_SEGMENTS 255

/* The maximum number of bytes in all segments of a descriptor together. */
#define MY_RNG_BULK_MAX_BYTES 262144

/* Status: the segments are filled. */
#define MY_RNG_BULK_FILLED 1

/* Status: the descriptor is invalid; nothing was done. */
#define MY_RNG_BULK_BAD_DESCRIPTOR 2

/* Status: a segment is not in memory that the device can write to; nothing was done. */
#define MY_RNG_BULK_BAD_MEMORY 3

/* Status: the host ran out of entropy; MY_RNG_BULK_DONE says how much was written. */
#define MY_RNG_BULK_NO_ENTROPY 4

/* The seed of a device that was never seeded. */
#define MY_RNG_DEFAULT_SEED 1

/* The name of the first device's node, under `/dev`. */
#define MY_RNG_NODE_NAME "my_rng_driver"
#define MY_RNG_NODE "/dev/my_rng_driver"

/* The type ("magic") byte of the driver's ioctl numbers. */
#define MY_RNG_IOCTL_TYPE 'q'

/* The sequence number of the two classic ioctls, which differ in direction. */
#define MY_RNG_IOCTL_NR 1

/* The sequence number of MY_RNG_IOCTL_FILL. */
#define MY_RNG_IOCTL_FILL_NR 2

/* `_IOR('q', 1, unsigned int)`: stores the next number at the argument's address. */
#define MY_RNG_IOCTL_RAND _IOR('q', 1, unsigned int)

/* `_IOW('q', 1, unsigned int)`: seeds the device with the number at the argument's address. */
#define MY_RNG_IOCTL_SEED _IOW('q', 1, unsigned int)

/*
 * `_IOW('q', 2, unsigned int[2])`: fills a part of the file's mapped memory with the next numbers. The argument
 * points to the part's start and length, both in bytes and multiples of 4.
 */
#define MY_RNG_IOCTL_FILL _IOW('q', 2, unsigned int[2])

#endif
