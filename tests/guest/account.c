/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory that the driver makes for a file is charged to the cgroup of the process that needs it.
 *
 *   account GROUP    (the folder of the cgroup, version 2, in which this runs)
 */
#include "driver.h"

/*
 * SLACK: twice what the kernel may have charged in advance, or not yet taken back, for 2 processors.
 */
enum { FILES = 64, READ = 20001, SLACK = 1 << 20 };

static const char *group;
static int files[FILES];
static unsigned char buffer[READ + 1];

static long charged(void)
{
    char path[256];
    const char *value;

    snprintf(path, sizeof(path), "%s/memory.current", group);
    value = file_value(path, "");
    ASSERT(value != NULL);
    return strtol(value, NULL, 10);
}

TEST("the buffers of reads are charged to the reader's cgroup")
{
    long before;

    /* Allocates all that this program needs for itself. */
    memset(buffer, 1, sizeof(buffer));
    charged();
    before = charged();
    for (int i = 0; i < FILES; i++) {
        /* At an odd address, so that it goes by way of the kernel's memory. */
        ASSERT_EQ(read(files[i], buffer + 1, READ), READ);
    }
    ASSERT(charged() - before > (long)FILES * READ - SLACK);
}

TEST("the pages of mappings are charged to the mapper's cgroup")
{
    long before = charged();

    for (int i = 0; i < FILES; i++) {
        ASSERT_EQ(munmap(map_file(files[i], MAX), MAX), 0);
    }
    ASSERT(charged() - before > (long)FILES * MAX - SLACK);
}

int main(int argc, char **argv)
{
    ASSERT_MSG(argc == 2, "usage: account GROUP");
    group = argv[1];
    for (int i = 0; i < FILES; i++) {
        files[i] = open_node();
    }
    return tap_run();
}
