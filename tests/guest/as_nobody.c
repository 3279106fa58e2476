/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a program as a user without privileges.
 *
 *   as_nobody PROGRAM [ARGUMENT...]
 */
#include "guest.h"
#include <grp.h>

int main(int argc, char **argv)
{
    CHECK(argc > 1, "usage: as_nobody PROGRAM [ARGUMENT...]");
    CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0, "setuid: %m");
    execvp(argv[1], argv + 1);
    CHECK(false, "%s: %m", argv[1]);
}
