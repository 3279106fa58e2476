/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What bindgen reads: QEMU's headers, by way of the file that knows how they
 * differ from version to version, and the devices' own.
 */

#include "my-rng.h"
