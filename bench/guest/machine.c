/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is in the machine: devices, nodes, modules. */
#include "bench.h"

#include <glob.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

char **devices;
struct node nodes[MAX_NODES];
int node_count;
unsigned char memories[MAX_READERS][MIB] __attribute__((aligned(4096)));

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    CHECK(fd >= 0 && write(fd, text, strlen(text)) >= 0, "%s cannot be written: %m", path);
    close(fd);
}

/* Reads the first line of a file. */
void read_line(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);

    CHECK(got >= 0, "%s: %m", path);
    close(fd);
    text[got] = '\0';
    text[strcspn(text, "\n")] = '\0';
}

static void load_module(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0, "%s: %m", path);
    CHECK(syscall(SYS_finit_module, fd, "", 0) == 0, "%s cannot be loaded: %m", path);
    close(fd);
}

static const char *address_of(const char *name)
{
    size_t length = strlen(name);

    for (char **device = devices; *device != NULL; device++) {
        if (strncmp(*device, name, length) == 0 && (*device)[length] == '=') {
            return *device + length + 1;
        }
    }
    CHECK(false, "no address is given for %s", name);
    return NULL;
}

volatile uint32_t *map_bar(const char *name)
{
    const char *address = address_of(name);
    char path[128];
    void *bar;
    int fd;

    /* Without a driver, memory decoding may be off. */
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", address);
    if (access(path, F_OK) != 0) {
        snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", address);
        write_file(path, "1");
    }
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", address);
    fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0, "%s: %m", path);
    bar = mmap(NULL, RNG_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(bar != MAP_FAILED, "%s: %m", path);
    close(fd);
    return bar;
}

int open_node(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    /* /dev/hwrng is for reading only. */
    if (fd < 0 && errno == EINVAL) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    CHECK(fd >= 0, "%s: %m", path);
    return fd;
}

/* Opens the node that fits a pattern: a port's name has the number of its bus, which depends on the machine. */
int open_port(const char *pattern)
{
    glob_t found;
    int fd;

    CHECK(glob(pattern, 0, NULL, &found) == 0, "%s: there is no such node", pattern);
    fd = open_node(found.gl_pathv[0]);
    globfree(&found);
    return fd;
}

/*
 * Faults the pages of all memories in turns, so that no two pages of one are adjacent, as in a guest that has run for
 * a while. Otherwise chance decides how many segments a transfer has.
 */
void scatter_memories(void)
{
    for (size_t page = 0; page < MIB; page += 4 * KIB) {
        for (int i = 0; i < MAX_READERS; i++) {
            memories[i][page] = 1;
        }
    }
}

void find_nodes(void)
{
    for (; node_count < MAX_NODES; node_count++) {
        struct node *node = &nodes[node_count];
        char number[16] = "", path[128];

        if (node_count > 0) {
            snprintf(number, sizeof(number), "%d", node_count);
        }
        snprintf(node->path, sizeof(node->path), "/dev/" RNG_NODE "%s", number);
        if (access(node->path, F_OK) != 0) {
            return;
        }
        snprintf(path, sizeof(path), "/sys/kernel/debug/my_rng/" RNG_NODE "%s/device", number);
        read_line(path, node->address, sizeof(node->address));
    }
}

int open_device(const char *name)
{
    const char *address = address_of(name);

    for (int i = 0; i < node_count; i++) {
        if (strcmp(nodes[i].address, address) == 0) {
            return open_node(nodes[i].path);
        }
    }
    CHECK(false, "the device %s has no node", address);
    return -1;
}

/* Binds a device to the driver's twin. */
int open_c_twin(const char *name)
{
    const char *address = address_of(name);
    char path[128];

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", address);
    write_file(path, "my_rng_twin");
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver/unbind", address);
    write_file(path, address);
    load_module("/bench/my_rng_twin.ko");
    return open_node("/dev/my_rng_twin");
}

int open_virtio(void)
{
    load_module("/bench/virtio-rng.ko");
    write_file("/sys/class/misc/hw_random/rng_current", "virtio_rng.0");
    return open_node("/dev/hwrng");
}

int open_tmpfs(void)
{
    static const char zeros[MIB];
    int fd;

    mkdir("/bench/tmpfs", 0700);
    CHECK(mount("tmpfs", "/bench/tmpfs", "tmpfs", 0, NULL) == 0, "tmpfs: %m");
    fd = open("/bench/tmpfs/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, zeros, MIB) == MIB, "tmpfs: %m");
    return fd;
}

void map_buffer(int fd, const char *name)
{
    static const unsigned char zeros[64];
    unsigned char *mapped = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    CHECK(mapped != MAP_FAILED, "%s: the buffer cannot be mapped: %m", name);
    memset(mapped, 0, MAPPED);
    fill_part(fd, 0, MAPPED, name);
    for (int at = 0; at < MAPPED; at += sizeof(zeros)) {
        CHECK(memcmp(mapped + at, zeros, sizeof(zeros)) != 0, "%s: FILL left bytes unchanged", name);
    }
}

void read_whole(int fd, unsigned char *to, size_t size, const char *name)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = read(fd, to + done, size - done);

        CHECK(got > 0, "%s: %s", name, got < 0 ? strerror(errno) : "end of file");
        done += got;
    }
}

void fill_part(int fd, uint32_t offset, uint32_t length, const char *name)
{
    struct fill fill = { .offset = offset, .length = length };

    CHECK(ioctl(fd, RNG_IOCTL_FILL, &fill) >= 0, "%s: FILL: %m", name);
}

void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    CHECK(sched_setaffinity(0, sizeof(set), &set) == 0, "processor %d: %m", cpu);
}
