/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The doorbell, rung without the driver: by processors and by other devices, while the device is reset with its bus
 * or unplugged. Each transfer is executed completely or not at all, and together those that are executed get exactly
 * the stream, which a reset starts again.
 *
 *   rings GENERATOR once RNG WAY [HELPER]
 *       WAY is processor, card (HELPER is an e1000), message (an edu or a rust_edu) or dma (an edu).
 *   rings GENERATOR reset RNG BASE BRIDGE ROUNDS
 *   rings GENERATOR unplug RNG BASE
 *   rings GENERATOR hostile RNG BASE CARD BASE SENDER
 *
 * RNG and so on are PCI addresses, as BUS:SLOT. A BASE is another device of the same kind, without a bulk engine
 * and without DMA. The device under test lies over it, at the same addresses. So the mapping stays if that device
 * goes, and an access then reaches the base, which ignores it. Two processors ring; with "hostile" also an e1000
 * and a rust_edu. "unplug" and "hostile" go on until they are interrupted; meanwhile devices may be unplugged and
 * plugged in.
 *
 * The base also keeps the layout of the machine's memory as it is. In QEMU 10.0 a processor that accesses a device
 * while the layout changes may reach another device instead, with TCG: so the guest would lose interrupts.
 */
#include "rings.h"
#include <sched.h>

/* The stream before a reset, and the one after it. */
enum { BEFORE, AFTER, STREAMS };

/* Each ringer takes so many numbers in a round, at most. */
enum { PROCESSORS = 2, MAX_RINGERS = 4, SEED = 0x42, EACH = 512 << 10, PAGES = MAX / PAGE + 1, CARD_BAR = 128 << 10 };

static struct ringer {
    ring_fn *ring;
    struct descriptor *descriptor;
    uint32_t page;
    /* Pages to fill, and their addresses on the bus. */
    unsigned char *memory;
    uint64_t at[PAGES];
    uint64_t state;
    struct taker takers[STREAMS];
    uint64_t transfers;
} ringers[MAX_RINGERS];

static int ringer_count;
static struct expected expected[STREAMS];
/* How many numbers of them were given in the last round. */
static uint64_t given[STREAMS];
static bool may_reset;
/* Of this round. */
static atomic_int transfers;
static atomic_bool is_over;

static void add_ringer(ring_fn *ring)
{
    struct ringer *ringer = &ringers[ringer_count];

    ringer->ring = ring;
    ringer->state = ringer_count++;
    ringer->descriptor = make_pages(1);
    ringer->page = bus_address(ringer->descriptor) / PAGE;
    ringer->memory = make_pages(PAGES);
    for (int i = 0; i < PAGES; i++) {
        ringer->at[i] = bus_address(ringer->memory + i * PAGE);
    }
}

static void expect_streams(uint32_t count)
{
    static const uint32_t seeds[STREAMS] = {SEED, RNG_DEFAULT_SEED};

    for (int i = 0; i < STREAMS; i++) {
        stream_seed(&stream, seeds[i]);
        expected[i] = (struct expected){next_words(&stream, count), count};
    }
}

/* False if these are the next numbers of neither stream. */
static bool add_numbers(struct ringer *ringer, const uint32_t *numbers, uint32_t count)
{
    struct taker *takers = ringer->takers;

    if (takers[AFTER].part_count == 0 && add_part(&expected[BEFORE], &takers[BEFORE], numbers, count)) {
        return true;
    }
    return may_reset && add_part(&expected[AFTER], &takers[AFTER], numbers, count);
}

/* Rings for a transfer to a part of the memory. False if it was not executed. */
static bool transfer(struct ringer *ringer, uint32_t start, uint32_t bytes)
{
    volatile struct descriptor *descriptor = ringer->descriptor;
    uint32_t count = 0;

    for (uint32_t at = start, end = start + bytes; at < end; count++) {
        uint32_t length = smaller(PAGE - at % PAGE, end - at);

        ringer->descriptor->segments[count] = (struct segment){ringer->at[at / PAGE] + at % PAGE, length, 0};
        at += length;
    }
    descriptor->count = count;
    descriptor->reserved = 0;
    descriptor->done = 0;
    descriptor->status = WAITING;
    ringer->ring(ringer->page);
    if (descriptor->status == WAITING) {
        ASSERT_EQ(descriptor->done, 0);
        return false;
    }
    ASSERT_EQ(descriptor->status, FILLED);
    ASSERT_EQ(descriptor->done, bytes);
    ASSERT_MSG(add_numbers(ringer, (uint32_t *)(ringer->memory + start), bytes / 4),
               "%u bytes of a transfer are not the stream's", bytes);
    ringer->transfers++;
    atomic_fetch_add(&transfers, 1);
    return true;
}

static void ring_on(int number)
{
    struct ringer *ringer = &ringers[number];
    cpu_set_t processor;

    CPU_ZERO(&processor);
    /* The first processors have the interrupts. */
    CPU_SET(sysconf(_SC_NPROCESSORS_ONLN) - 1 - number, &processor);
    ASSERT_EQ(sched_setaffinity(0, sizeof(processor), &processor), 0);
    for (uint64_t numbers = 0; !atomic_load(&is_over) && numbers < EACH;) {
        uint32_t left = smaller(MAX / 4, EACH - numbers), words = left;

        if (splitmix64(&ringer->state) % 4 != 0) {
            words = left <= SURE ? left : SURE + splitmix64(&ringer->state) % (left - SURE);
        }
        if (transfer(ringer, splitmix64(&ringer->state) % (PAGE / 4) * 4, 4 * words)) {
            numbers += words;
        } else if (ringer->ring == ring_by_processor) {
            /* The device is gone. Another ringer may only not be ready. */
            break;
        }
    }
    if (ringer->ring == ring_by_processor) {
        atomic_store(&is_over, true);
    }
}

/* All ring until the device is gone, or has given enough. Meanwhile something is done to it. */
static void run_round(int number, void (*meanwhile)(void))
{
    struct taker *takers[MAX_RINGERS];

    tap_context("round %d", number);
    rng[RNG_REG_SEED / 4] = SEED;
    atomic_store(&transfers, 0);
    atomic_store(&is_over, false);
    for (int i = 0; i < ringer_count; i++) {
        forget_parts(&ringers[i].takers[BEFORE]);
        forget_parts(&ringers[i].takers[AFTER]);
    }
    start_threads(ringer_count, ring_on);
    if (meanwhile != NULL) {
        meanwhile();
    }
    join_threads();
    for (int stream = 0; stream < STREAMS; stream++) {
        for (int i = 0; i < ringer_count; i++) {
            takers[i] = &ringers[i].takers[stream];
        }
        given[stream] = expect_parts(&expected[stream], takers, ringer_count);
    }
}

static bool is_interrupted(void)
{
    sigset_t pending;

    ASSERT_EQ(sigpending(&pending), 0);
    return sigismember(&pending, SIGINT);
}

/* ---- once ---- */

static void once(const char *address, const char *way, const char *helper)
{
    enum { BYTES = 100000 };

    rng = map_rng(address, &rng_at);
    if (strcmp(way, "card") == 0) {
        enable(helper);
        map_card(map_registers(device_file(helper, "resource0"), CARD_BAR));
        set_up_card();
        add_ringer(ring_by_card);
    } else if (strcmp(way, "message") == 0) {
        set_up_message(helper);
        add_ringer(ring_by_message);
    } else if (strcmp(way, "dma") == 0) {
        set_up_dma(helper);
        add_ringer(ring_by_dma);
    } else {
        add_ringer(ring_by_processor);
    }
    expect_streams(BYTES / 4);
    rng[RNG_REG_SEED / 4] = SEED;
    /* Only the card has to be asked again. */
    while (!transfer(&ringers[0], 100, BYTES)) {
        ASSERT(ringers[0].ring == ring_by_card);
    }
    ASSERT_EQ(ringers[0].takers[BEFORE].parts[0].start, 0);
}

/* ---- reset ---- */

static int bridge;

static void reset_bus(void)
{
    static uint64_t state;
    int after = splitmix64(&state) % 16;
    uint16_t control, resetting;

    ASSERT_EQ(pread(bridge, &control, 2, PCI_BRIDGE_CONTROL), 2);
    resetting = control | PCI_BRIDGE_CTL_BUS_RESET;
    while (atomic_load(&transfers) < after && !atomic_load(&is_over)) {
    }
    ASSERT_EQ(pwrite(bridge, &resetting, 2, PCI_BRIDGE_CONTROL), 2);
    ASSERT_EQ(pwrite(bridge, &control, 2, PCI_BRIDGE_CONTROL), 2);
}

/* Puts a device at an address, where it is neither after a reset nor when it is new. False if it is gone. */
static bool put(const char *address, uint32_t at, uint16_t on)
{
    static const uint16_t off;
    int config = open(device_file(address, "config"), O_RDWR | O_CLOEXEC);
    bool is_there = config >= 0 && pwrite(config, &off, 2, PCI_COMMAND) == 2 &&
                    pwrite(config, &at, 4, PCI_BASE_ADDRESS_0) == 4 && pwrite(config, &on, 2, PCI_COMMAND) == 2;

    if (config >= 0) {
        close(config);
    }
    return is_there;
}

static int reset(const char *address, const char *base, const char *bridge_address, int rounds)
{
    uint32_t memory;

    bridge = open_config(bridge_address);
    rng = map_rng(address, &rng_at);
    ASSERT(put(base, rng_at, PCI_COMMAND_MEMORY));
    /* What is behind the bridge lies over the base if the bridge has come later. */
    ASSERT_EQ(pread(bridge, &memory, 4, PCI_MEMORY_BASE), 4);
    ASSERT_EQ(pwrite(bridge, &memory, 4, PCI_MEMORY_BASE), 4);
    for (int i = 0; i < rounds; i++) {
        run_round(i, reset_bus);
        ASSERT(put(address, rng_at, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
        /* Processors that noticed the reset late have taken some. */
        ASSERT_EQ(rng[RNG_REG_RNG / 4], expected[AFTER].words[given[AFTER]]);
    }
    return rounds;
}

/* ---- unplug and hostile ---- */

/* Maps the registers of a base. */
static volatile uint32_t *map_base(const char *address, size_t size, uint64_t *at)
{
    volatile uint32_t *registers = map_registers(device_file(address, "resource0"), size);

    set_command(address, PCI_COMMAND_MEMORY);
    *at = bar_address(address);
    return registers;
}

/* Puts a device over its base, and waits for it if it was unplugged. False if it does not come. */
static bool put_over_base(const char *address, uint64_t at)
{
    /* The kernel makes this file when it has given the device its address. */
    while (access(device_file(address, "resource0"), F_OK) != 0 || !put(address, at, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)) {
        if (is_interrupted()) {
            return false;
        }
        rest();
    }
    return true;
}

/* Also the card, if there is one. */
static int unplug(const char *address, const char *card, uint64_t card_at)
{
    int rounds = 0;

    while (!is_interrupted() && put_over_base(address, rng_at) && (card == NULL || put_over_base(card, card_at))) {
        if (card != NULL) {
            set_up_card();
        }
        run_round(rounds++, NULL);
    }
    return rounds;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 2 ? argv[2] : "", *card = NULL;
    uint64_t card_at = 0;
    sigset_t interrupt;
    int rounds = 1, status;

    ASSERT_MSG(argc > 4, "usage: rings GENERATOR MODE RNG ...");
    for (int i = 3; i < argc; i++) {
        ASSERT(strchr(argv[i], ':') == NULL || asprintf(&argv[i], "0000:%s.0", argv[i]) > 0);
    }
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    ASSERT_EQ(sigprocmask(SIG_BLOCK, &interrupt, NULL), 0);
    stream_choose(&stream, argv[1]);
    tap_step(mode);
    if (strcmp(mode, "once") == 0) {
        tap_context("%s", argv[4]);
        once(argv[3], argv[4], argv[5]);
    } else {
        for (int i = 0; i < PROCESSORS; i++) {
            add_ringer(ring_by_processor);
        }
        expect_streams(MAX_RINGERS * EACH);
        may_reset = strcmp(mode, "reset") == 0;
        if (may_reset) {
            ASSERT_EQ(argc, 7);
            rounds = reset(argv[3], argv[4], argv[5], atoi(argv[6]));
        } else {
            rng = map_base(argv[4], RNG_BAR_SIZE, &rng_at);
            if (strcmp(mode, "hostile") == 0) {
                ASSERT_EQ(argc, 8);
                card = argv[5];
                map_card(map_base(argv[6], CARD_BAR, &card_at));
                add_ringer(ring_by_card);
                set_up_message(argv[7]);
                add_ringer(ring_by_message);
            }
            rounds = unplug(argv[3], card, card_at);
        }
    }
    status = tap_finish();
    printf("# rounds: %d\n", rounds);
    for (int i = 0; i < ringer_count; i++) {
        printf("# ringer %d: %llu transfers\n", i, (unsigned long long)ringers[i].transfers);
    }
    return status;
}
