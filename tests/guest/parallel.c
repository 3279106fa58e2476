/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads, each on a processor of its own, take numbers by FILL, read and RAND at the same time. Together they get
 * exactly the stream of each device, the numbers of a transfer follow each other, and each thread gets its numbers in
 * order. Entropy never repeats.
 *
 *   parallel ROUNDS NODE...    (names of nodes in /dev that nobody else uses)
 *   parallel forever NODE...
 *   parallel unplug NODE...
 *
 * The threads share the devices evenly. With "forever" and "unplug" it goes on until it is interrupted. With "unplug",
 * devices may be unplugged meanwhile, and others plugged in for them.
 */
#include "driver.h"
#include "parts.h"
#include <limits.h>
#include <sched.h>

/*
 * In each round the devices start with one of these seeds, and each thread takes so many numbers.
 */
enum { SEEDS = 2, EACH = 384 << 10, LONG_READ = 1 << 20, MAX_DEVICES = 2, MAX_THREADS = 4 };

static const uint32_t seeds[SEEDS] = {0x42, 0xffffffff};

static struct device {
    const char *name;
    char path[32];
    int fd;
    struct expected expected[SEEDS];
    struct taker *takers[MAX_THREADS];
    int taker_count;
    /* It was unplugged. */
    atomic_bool is_gone;
    /* Since the program began. */
    uint64_t numbers;
    atomic_ullong transfers;
} devices[MAX_DEVICES];

static struct thread {
    struct taker taker;
    struct device *device;
    int fd;
    unsigned char *memory;
    uint32_t *buffer;
    uint64_t state;
} threads[MAX_THREADS];

static int device_count, thread_count, round_number;
static bool may_go;

/* A call has failed, which only means that the device is gone. */
static bool gone(struct device *device)
{
    ASSERT(may_go && (errno == ENODEV || errno == ENOENT));
    atomic_store(&device->is_gone, true);
    return false;
}

static unsigned int choose(struct thread *thread, unsigned int limit)
{
    return splitmix64(&thread->state) % limit;
}

static void add_singles(struct thread *thread, const uint32_t *numbers, size_t bytes)
{
    for (size_t i = 0; i < bytes / 4; i++) {
        add_single(&thread->taker, numbers[i]);
    }
}

/* The numbers of a transfer. */
static void add_transfer(struct thread *thread, const void *numbers, size_t bytes)
{
    const struct expected *expected = &thread->device->expected[round_number % SEEDS];

    if (add_part(expected, &thread->taker, numbers, bytes / 4)) {
        atomic_fetch_add(&thread->device->transfers, 1);
        return;
    }
    /* The engine goes before the registers do, by which a read goes on. */
    ASSERT_MSG(may_go, "%zu bytes of a transfer are not the stream's", bytes);
    add_singles(thread, numbers, bytes);
}

static bool take_one(struct thread *thread)
{
    unsigned int word;

    if (ioctl(thread->fd, RNG_IOCTL_RAND, &word) != 0) {
        return gone(thread->device);
    }
    add_single(&thread->taker, word);
    return true;
}

static bool take_by_fill(struct thread *thread, size_t bytes)
{
    unsigned int start = choose(thread, (MAX - bytes) / 4 + 1) * 4;

    if (fill(thread->fd, start, bytes) != 0) {
        return gone(thread->device);
    }
    add_transfer(thread, thread->memory + start, bytes);
    return true;
}

static bool take_by_read(struct thread *thread, size_t bytes)
{
    /* The driver gets it by transfers only. */
    bool is_entropy = thread->device->expected[0].words == NULL;
    ssize_t got = read(thread->fd, thread->buffer, bytes);
    size_t done = 0;

    if (got < 0) {
        return gone(thread->device);
    }
    /* Only the end of the device cuts a read. */
    ASSERT_MSG((size_t)got == bytes || may_go, "a read of %zu bytes gave %zd", bytes, got);
    while (done < (size_t)got) {
        const uint32_t *numbers = thread->buffer + done / 4;
        size_t piece = read_piece(true, numbers, bytes - done, bytes - done);

        if ((piece >= TRANSFER_FROM || is_entropy) && piece <= got - done) {
            add_transfer(thread, numbers, piece);
        } else {
            add_singles(thread, numbers, smaller(piece, got - done));
        }
        done += piece;
    }
    return true;
}

/* Takes numbers in some way, at most so many. */
static bool take_some(struct thread *thread, size_t left)
{
    size_t most = smaller(4 * left, MAX);

    switch (most < TRANSFER_FROM ? 5 : choose(thread, 6)) {
    case 0:
        return take_by_fill(thread, most);
    case 1:
        return take_by_fill(thread, TRANSFER_FROM + choose(thread, most - TRANSFER_FROM + 1) / 4 * 4);
    case 2:
        return take_by_read(thread, smaller(most, 64 << 10));
    case 3:
        return take_by_read(thread, smaller(4 * left, LONG_READ));
    case 4:
        /* By the driver's memory. */
        return take_by_read(thread, TRANSFER_FROM + choose(thread, smaller(most, DIRECT_FROM) - TRANSFER_FROM + 1) / 4 * 4);
    default:
        return take_one(thread);
    }
}

static void take(int number)
{
    struct thread *thread = &threads[number];
    cpu_set_t processor;

    CPU_ZERO(&processor);
    CPU_SET(number, &processor);
    ASSERT_EQ(sched_setaffinity(0, sizeof(processor), &processor), 0);
    while (thread->taker.numbers < EACH && take_some(thread, EACH - thread->taker.numbers)) {
    }
}

static bool is_interrupted(void)
{
    sigset_t pending;

    ASSERT_EQ(sigpending(&pending), 0);
    return sigismember(&pending, SIGINT);
}

/* Opens a file of its device for a thread. */
static bool open_file(struct thread *thread)
{
    thread->fd = open(thread->device->path, O_RDWR | O_CLOEXEC);
    if (thread->fd < 0) {
        return gone(thread->device);
    }
    thread->memory = mmap(NULL, MAX, PROT_READ | PROT_WRITE, MAP_SHARED, thread->fd, 0);
    if (thread->memory == MAP_FAILED) {
        close(thread->fd);
        thread->fd = -1;
        return gone(thread->device);
    }
    return true;
}

static void close_file(struct thread *thread)
{
    if (thread->fd >= 0) {
        ASSERT_EQ(munmap(thread->memory, MAX), 0);
        close(thread->fd);
        thread->fd = -1;
    }
}

static bool open_files(struct device *device)
{
    device->fd = open(device->path, O_RDWR | O_CLOEXEC);
    if (device->fd < 0) {
        return gone(device);
    }
    atomic_store(&device->is_gone, false);
    for (int i = device - devices; i < thread_count; i += device_count) {
        if (!open_file(&threads[i])) {
            return false;
        }
    }
    /* The old device may still be there. */
    return ioctl(device->fd, RNG_IOCTL_SEED, &seeds[0]) == 0 || gone(device);
}

static void close_files(struct device *device)
{
    for (int i = device - devices; i < thread_count; i += device_count) {
        close_file(&threads[i]);
    }
    if (device->fd >= 0) {
        close(device->fd);
        device->fd = -1;
    }
}

/* Waits for the devices that others are plugged in for. False if it is interrupted. */
static bool open_again(void)
{
    for (int i = 0; i < device_count; i++) {
        while (atomic_load(&devices[i].is_gone)) {
            if (is_interrupted()) {
                return false;
            }
            close_files(&devices[i]);
            if (!open_files(&devices[i])) {
                rest();
            }
        }
    }
    return true;
}

static void run_round(void)
{
    uint32_t seed = seeds[round_number % SEEDS];

    for (int i = 0; i < device_count; i++) {
        if (ioctl(devices[i].fd, RNG_IOCTL_SEED, &seed) != 0) {
            gone(&devices[i]);
        }
    }
    for (int i = 0; i < thread_count; i++) {
        forget_parts(&threads[i].taker);
    }
    start_threads(thread_count, take);
    join_threads();
    for (int i = 0; i < device_count; i++) {
        const struct expected *expected = &devices[i].expected[round_number % SEEDS];
        unsigned int next;
        uint64_t numbers;

        tap_context("round %d, %s", round_number, devices[i].name);
        numbers = expect_parts(expected, devices[i].takers, devices[i].taker_count);
        if (!atomic_load(&devices[i].is_gone)) {
            if (ioctl(devices[i].fd, RNG_IOCTL_RAND, &next) == 0) {
                ASSERT(expected->words == NULL || next == expected->words[numbers]);
                numbers++;
            } else {
                gone(&devices[i]);
            }
        }
        devices[i].numbers += numbers;
    }
}

static void prepare(struct device *device, const char *name)
{
    const char *generator;

    device->name = name;
    snprintf(device->path, sizeof(device->path), "/dev/%s", name);
    for (int i = device - devices; i < thread_count; i += device_count) {
        threads[i].device = device;
        threads[i].state = i;
        threads[i].buffer = map_memory(LONG_READ);
        device->takers[device->taker_count++] = &threads[i].taker;
    }
    ASSERT(open_files(device));
    generator = fdinfo(device->fd, "generator");
    ASSERT(generator != NULL);
    for (int i = 0; i < SEEDS; i++) {
        struct expected *expected = &device->expected[i];
        struct stream stream = {0};

        expected->count = device->taker_count * EACH + 1;
        if (strcmp(generator, "host") != 0) {
            stream_choose(&stream, generator);
            stream_seed(&stream, seeds[i]);
            expected->words = next_words(&stream, expected->count);
        }
    }
}

int main(int argc, char **argv)
{
    sigset_t interrupt;
    int rounds, status;

    ASSERT_MSG(argc > 2 && argc - 2 <= MAX_DEVICES, "usage: parallel ROUNDS NODE...");
    may_go = strcmp(argv[1], "unplug") == 0;
    rounds = may_go || strcmp(argv[1], "forever") == 0 ? INT_MAX : atoi(argv[1]);
    device_count = argc - 2;
    thread_count = sysconf(_SC_NPROCESSORS_ONLN);
    ASSERT(thread_count >= device_count && thread_count <= MAX_THREADS);
    /* A signal would cut a read. */
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    ASSERT_EQ(sigprocmask(SIG_BLOCK, &interrupt, NULL), 0);

    tap_step("threads that take numbers at the same time get exactly the streams");
    for (int i = 0; i < device_count; i++) {
        prepare(&devices[i], argv[2 + i]);
    }
    while (round_number < rounds && !is_interrupted() && open_again()) {
        run_round();
        round_number++;
    }
    status = tap_finish();
    printf("# rounds: %d\n", round_number);
    for (int i = 0; i < device_count; i++) {
        const struct device *device = &devices[i];

        printf("# %s: %llu numbers, %llu transfers\n", device->name, (unsigned long long)device->numbers,
               (unsigned long long)device->transfers);
    }
    return status;
}
