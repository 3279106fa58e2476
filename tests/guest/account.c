/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory that the driver makes for a file is charged to the cgroup of the process that needs it.
 *
 *   account GROUP    (the folder of the cgroup (version 2) in which this runs)
 */
#include "driver.h"
#include <sys/mman.h>

/* What the kernel may have charged in advance, or not yet have taken back, for each of 2 processors, twice over. */
enum { FILES = 64, READ = 20001, SLACK = 1 << 20, MAX = RNG_BULK_MAX_BYTES };

static long charged(const char *group)
{
    char path[256], text[64], *value;

    snprintf(path, sizeof(path), "%s/memory.current", group);
    value = file_value(path, "", text, sizeof(text));
    CHECK(value != NULL, "%s: %m", path);
    return strtol(value, NULL, 10);
}

int main(int argc, char **argv)
{
    static unsigned char buffer[READ + 1];
    int files[FILES];
    long before, now;

    CHECK(argc == 2, "usage: account GROUP");
    /* All that this needs for itself. */
    memset(buffer, 1, sizeof(buffer));
    charged(argv[1]);
    for (int i = 0; i < FILES; i++) {
        files[i] = open_node("/dev/" RNG_NODE);
    }

    before = charged(argv[1]);
    for (int i = 0; i < FILES; i++) {
        /* At an odd address, so that it goes by way of the kernel's memory. */
        ssize_t got = read(files[i], buffer + 1, READ);

        CHECK(got == READ, "a read: %zd (%m)", got);
    }
    now = charged(argv[1]);
    CHECK(now - before > (long)FILES * READ - SLACK, "%d readers were charged with %ld bytes", FILES, now - before);

    before = now;
    for (int i = 0; i < FILES; i++) {
        void *at = mmap(NULL, MAX, PROT_READ, MAP_SHARED, files[i], 0);

        CHECK(at != MAP_FAILED, "mmap: %m");
        CHECK(munmap(at, MAX) == 0, "munmap: %m");
    }
    now = charged(argv[1]);
    CHECK(now - before > (long)FILES * MAX - SLACK, "%d mappings were charged with %ld bytes", FILES, now - before);
    puts("done");
    return 0;
}
