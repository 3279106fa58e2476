/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tool, which prints no TAP: has rust_edu compute 50 factorials, and prints the most reads of STATUS that one
 * of them took.
 *
 *   timer RESOURCE0
 */
#include "driver.h"

#define FACTORIAL 0x08
#define STATUS 0x20
#define COMPUTING 0x01

int main(int argc, char **argv)
{
    volatile uint32_t *bar;
    int most = 0;

    ASSERT_MSG(argc == 2, "usage: timer RESOURCE0");
    bar = map_bar(argv[1]);
    for (int i = 0; i < 50; i++) {
        int reads = 0;

        bar[FACTORIAL / 4] = 10;
        while (bar[STATUS / 4] & COMPUTING) {
            reads++;
        }
        ASSERT_EQ(bar[FACTORIAL / 4], 3628800);
        most = reads > most ? reads : most;
    }
    printf("%d\n", most);
    return 0;
}
