/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MY_RNG_TESTS_BULK_H
#define MY_RNG_TESTS_BULK_H

#include "driver.h"
#include "tasks.h"

/* A file for each test, and its pages, filled with 0xa5. A test that needs another file hides them. */
__attribute__((weak)) int fd;
__attribute__((weak)) unsigned char *at;

#define must_fill(fd, start, length) ASSERT_EQ(fill(fd, start, length), 0)

#endif
