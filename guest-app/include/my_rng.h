/* SPDX-License-Identifier: GPL-2.0-or-later OR MIT */
/*
 * The my_rng device and its Linux driver, for programs in C and C++. What the numbers mean is told in
 * docs/my-rng.rst, what the driver does with them in docs/linux-driver.md.
 *
 * Generated from abi/my_rng_abi.rs; change that file, and then say
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

/* The base address register behind which the device's registers stand. */
#define MY_RNG_BAR 0

/* The size of that BAR, in bytes. */
#define MY_RNG_BAR_SIZE 4096

/* The width of each register, in bytes; no other access width does anything. */
#define MY_RNG_REG_SIZE 4

/* `RNG`, read-only: the next number of the stream; every read takes one. */
#define MY_RNG_REG_RNG 0x0

/* `SEED`, write-only: restarts the stream from the seed written. */
#define MY_RNG_REG_SEED 0x4

/* `INFO`, read-only: what the device is; reading it takes no number. See MY_RNG_INFO(). */
#define MY_RNG_REG_INFO 0x8

/*
 * `DOORBELL`, write-only, of a device that has MY_RNG_INFO_BULK: carries out what the descriptor in a page
 * of guest memory asks for, whose address is the value times MY_RNG_BULK_PAGE.
 */
#define MY_RNG_REG_DOORBELL 0xc

/*
 * `FAILURES`, read-only, of a device that has MY_RNG_INFO_FAILURES: how many reads of `RNG` gave 0 because the
 * host had no entropy.
 */
#define MY_RNG_REG_FAILURES 0x10

/* Bits 31 to 16 of `INFO`: the signature. The classic device of two registers does not have it. */
#define MY_RNG_INFO_SIGNATURE 0x524e

/*
 * The id, in bits 7 to 0 of `INFO`, of the generator that gives what glibc's `rand` gives: numbers of
 * 31 bits, from a seed.
 */
#define MY_RNG_GENERATOR_LIBC 0

/* The id of ChaCha20: words of 32 bits, from a seed. */
#define MY_RNG_GENERATOR_CHACHA20 1

/* The id of the host's own source: words of 32 bits that nobody can predict; it takes no seed. */
#define MY_RNG_GENERATOR_HOST 2

/* The id of ChaCha8: words of 32 bits, from a seed. */
#define MY_RNG_GENERATOR_CHACHA8 3

/* The id of xoshiro256++: words of 32 bits, from a seed. */
#define MY_RNG_GENERATOR_XOSHIRO256PP 4

/* The bit of `INFO` that says that the device has the bulk engine. */
#define MY_RNG_INFO_BULK 0x100u

/* The bit of `INFO` that says that the device has the register `FAILURES`. */
#define MY_RNG_INFO_FAILURES 0x200u

/*
 * The value of `INFO` for a generator, without extensions. Bits 15 to 8 announce extensions: MY_RNG_INFO_BULK,
 * MY_RNG_INFO_FAILURES, the others reserved. Readers ignore the bits that they do not know.
 */
#define MY_RNG_INFO(generator) (((unsigned int)MY_RNG_INFO_SIGNATURE << 16) | (generator))
#define MY_RNG_INFO_IS_THERE(info) (((info) >> 16) == MY_RNG_INFO_SIGNATURE)
#define MY_RNG_INFO_GENERATOR(info) ((info) & 0xff)

/* The size and alignment, in bytes, of a descriptor's page. */
#define MY_RNG_BULK_PAGE 4096

/* Where in a descriptor its status is: 0 from the driver, another from the device. */
#define MY_RNG_BULK_STATUS 0x0

/* Where in a descriptor the number of its segments is, from 1 to MY_RNG_BULK_MAX_SEGMENTS. */
#define MY_RNG_BULK_COUNT 0x4

/* Where in a descriptor the device says how many bytes it has written to the segments. */
#define MY_RNG_BULK_DONE 0x8

/* Where in a descriptor its first segment is: 64 bits of address, 32 of length in bytes, 32 of 0. */
#define MY_RNG_BULK_SEGMENTS 0x10

/* The size of a segment in a descriptor, in bytes. */
#define MY_RNG_BULK_SEGMENT_SIZE 0x10

/* How many segments a descriptor can have. */
#define MY_RNG_BULK_MAX_SEGMENTS 255

/* How many bytes all segments of a descriptor can have together. */
#define MY_RNG_BULK_MAX_BYTES 262144

/* Status: the segments are filled. */
#define MY_RNG_BULK_FILLED 1

/* Status: the descriptor is not as it has to be; nothing was done. */
#define MY_RNG_BULK_BAD_DESCRIPTOR 2

/* Status: a segment is not in memory that the device can write to; nothing was done. */
#define MY_RNG_BULK_BAD_MEMORY 3

/* Status: the host had no more entropy to give. */
#define MY_RNG_BULK_NO_ENTROPY 4

/* The seed that a device behaves as if it had been given, until it is given one. */
#define MY_RNG_DEFAULT_SEED 1

/* The name of the first device's node, under `/dev`. */
#define MY_RNG_NODE_NAME "my_rng_driver"
#define MY_RNG_NODE "/dev/my_rng_driver"

/* The type ("magic") byte of the driver's ioctl numbers. */
#define MY_RNG_IOCTL_TYPE 'q'

/* The sequence number that the two classic ioctls share; they differ in direction. */
#define MY_RNG_IOCTL_NR 1

/* The sequence number of the ioctl that fills memory. */
#define MY_RNG_IOCTL_FILL_NR 2

/* `_IOR('q', 1, unsigned int)`: stores the next number where the argument points. */
#define MY_RNG_IOCTL_RAND _IOR('q', 1, unsigned int)

/* `_IOW('q', 1, unsigned int)`: seeds the device with the number the argument points to. */
#define MY_RNG_IOCTL_SEED _IOW('q', 1, unsigned int)

/*
 * `_IOW('q', 2, unsigned int[2])`: fills a part of the memory that the file is mapped to with the next
 * numbers. The argument points to the part's start and length in it, both in bytes and multiples of 4.
 */
#define MY_RNG_IOCTL_FILL _IOW('q', 2, unsigned int[2])

#endif
