/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tool, which prints no TAP: runs a program as a user without privileges.
 *
 *   as_nobody PROGRAM [ARGUMENT...]
 */
#include "tap.h"
#include <grp.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    ASSERT_MSG(argc > 1, "usage: as_nobody PROGRAM [ARGUMENT...]");
    ASSERT(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    execvp(argv[1], argv + 1);
    ASSERT_MSG(false, "%s: %m", argv[1]);
}
