/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many threads make all calls of the driver at once, right and wrong, while devices come and go, the module
 * is unloaded and loaded, and the machine sleeps. Each call must end, with a result that is allowed; each
 * number must be the stream's, and given to one reader.
 *
 *   stress SEED SECONDS DEADLINE
 *
 * The work is done in rounds of the same phases, until SECONDS are over; with 0 seconds, one short round. A
 * round's choices follow from the seed and its number alone. What has not ended by the deadline (in seconds)
 * hangs. The test on the host wakes the machine when it sleeps, and unplugs and plugs a device when a line
 * says "unplug" and "plug".
 *
 * At the end it prints how often it did each thing.
 */
#include "stress.h"

uint64_t seed;
int round_number;

static void phase(const char *name)
{
    tap_step(name);
    tap_context("round %d of seed %llu", round_number, (unsigned long long)seed);
}

static void run_round(bool is_short)
{
    restore();
    phase("readers in every way share the stream exactly");
    share_the_stream();
    phase("while two threads seed, each number is from one of their streams");
    read_while_others_seed();
    phase("all calls at once, of devices that stay, end as they may");
    mix_calls(is_short ? 400 : 2000);
    phase("sleep resets the device and keeps what is mapped");
    sleep_and_wake();
    if (round_number == 0) {
        /* This is not random, so once is enough. */
        phase("every allocation may fail");
        fail_allocations();
    }
    phase("all calls at once, of devices that come and go, end as they may");
    come_and_go(is_short ? 30 : 150);
    phase("the host's generator comes and goes while hw_random uses it");
    choose_hwrng(is_short ? 50 : 500);
    phase("the module is unloaded and loaded while its nodes are opened");
    reload_module(is_short ? 4 : 20);
}

int main(int argc, char **argv)
{
    uint64_t start_time = now(), end_time, deadline;
    int status;

    ASSERT_MSG(argc == 4, "usage: stress SEED SECONDS DEADLINE");
    seed = strtoull(argv[1], NULL, 0);
    end_time = start_time + 1000 * strtoull(argv[2], NULL, 0);
    stream_choose(&stream, "chacha20");
    prepare_workers();
    deadline = start_time + 1000 * strtoull(argv[3], NULL, 0);
    start_watchdog(&deadline);
    do {
        run_round(end_time == start_time);
        round_number++;
    } while (now() < end_time);
    status = tap_finish();
    print_counts();
    printf("# rounds: %d\n", round_number);
    return status;
}
