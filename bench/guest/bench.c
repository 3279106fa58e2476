/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's half of make bench. It measures one candidate after the other, round after round, so that drift
 * affects all of them alike, and prints each sample as a line of JSON. The host's half computes the medians.
 *
 *   bench ROUNDS PORT WHAT NAME=ADDRESS...
 *                                       PORT: where the host answers, with * for a number
 *                                       WHAT: all, or latencies
 *                                       NAME=ADDRESS: the PCI devices: one my_rng device for each generator;
 *                                       off.GENERATOR and off.second, with parallel=off; and rust, c (for the
 *                                       driver's twin), twin (of the device), edu
 *
 * The my_rng devices behind a bridge are for many readers at once.
 */
#include "bench.h"

#include <sys/utsname.h>

int main(int argc, char **argv)
{
    struct utsname system;
    char clock[64];
    int rounds, port;
    bool all;

    CHECK(argc > 4 && (rounds = atoi(argv[1])) > 0, "usage: bench ROUNDS PORT all|latencies NAME=ADDRESS...");
    setvbuf(stdout, NULL, _IOLBF, 0);
    /* Away from the first processor, which has the most interrupts. */
    pin(sysconf(_SC_NPROCESSORS_ONLN) - 1);
    port = open_port(argv[2]);
    all = strcmp(argv[3], "all") == 0;
    devices = argv + 4;
    scatter_memories();
    find_nodes();
    add_candidates(all);
    if (all) {
        open_readers();
        open_beside();
    }
    for (int round = 0; round < rounds; round++) {
        char go;

        sample_candidates(round);
        if (all) {
            sample_beside(round);
            sample_readers(round);
        }
        /* Now the host measures, while nothing runs here. */
        puts("{\"kind\":\"idle\"}");
        CHECK(read(port, &go, 1) == 1, "the host does not answer: %m");
    }
    uname(&system);
    read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", clock, sizeof(clock));
    printf("{\"kind\":\"guest\",\"kernel\":\"%s\",\"machine\":\"%s\",\"clock\":\"%s\"}\n", system.release, system.machine,
           clock);
    return 0;
}
