/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many numbers at once, by the device's bulk engine: a file's own pages, which are mapped and filled, and
 * large reads. Each number is the next one of the stream, however it was taken, and nothing else is written
 * to.
 *
 *   bulk GENERATOR    (of the first device, which nobody has used, and which has a seed)
 */
#include "bulk.h"

static void set_up(void)
{
    begin_stream();
    fd = open_node();
    at = map_file(fd, MAX);
    memset(at, 0xa5, MAX);
}

int main(int argc, char **argv)
{
    ASSERT_MSG(argc == 2, "usage: bulk GENERATOR");
    stream_choose(&stream, argv[1]);
    node = open_node();
    expect_fdinfo("generator", argv[1]);
    expect_fdinfo("bulk", "yes");
    expect_fdinfo("words", "0");
    expect_fdinfo("seeds", "0");
    tap.before = set_up;
    tap.after = end_stream;
    return tap_run();
}
