/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who can ring the doorbell.
 */
#include "rings.h"

/* Devices read and write memory meanwhile. */
static void write_register(volatile uint32_t *registers, unsigned int offset, uint32_t value)
{
    asm volatile("" : : : "memory");
    registers[offset / 4] = value;
    asm volatile("" : : : "memory");
}

void ring_by_processor(uint32_t page)
{
    ring_doorbell(rng, page);
}

/* ---- e1000 ---- */

/* Registers, and bits in them. */
enum {
    MDIC = 0x20,
    RCTL = 0x100,
    TCTL = 0x400,
    RDBAL = 0x2800,
    RDLEN = 0x2808,
    RDH = 0x2810,
    RDT = 0x2818,
    TDBAL = 0x3800,
    TDLEN = 0x3808,
    TDH = 0x3810,
    TDT = 0x3818,
    ENABLE = 1 << 1,
    /* Receive all packets, for any address. */
    PROMISCUOUS = 3 << 3,
    /* Of the PHY: write the register 0, and there, send packets back. */
    WRITE_CONTROL = 1 << 26 | 1 << 21,
    LOOPBACK = 1 << 14,
    /* Of a descriptor: it is the packet's last. */
    END_OF_PACKET = 1 << 24,
    PACKET = 60,
    RING = 8,
};

struct card_descriptor {
    uint64_t address;
    uint32_t lower, upper;
};

/* The same layout for both rings. */
static struct {
    struct card_descriptor to_send[RING], to_receive[RING];
    uint32_t packet[PACKET / 4];
} *card_memory;
static volatile uint32_t *card;

void map_card(volatile uint32_t *registers)
{
    card = registers;
    card_memory = make_pages(1);
}

void set_up_card(void)
{
    uint64_t at = bus_address(card_memory);

    if (card[RCTL / 4] & ENABLE) {
        return;
    }
    memset(card_memory, 0, PAGE);
    card_memory->to_send[0].address = at + ((char *)card_memory->packet - (char *)card_memory);
    card_memory->to_send[0].lower = END_OF_PACKET | PACKET;
    write_register(card, MDIC, WRITE_CONTROL | LOOPBACK);
    write_register(card, TDBAL, at);
    write_register(card, TDLEN, sizeof(card_memory->to_send));
    write_register(card, TCTL, ENABLE);
    write_register(card, RDBAL, at + sizeof(card_memory->to_send));
    write_register(card, RDLEN, sizeof(card_memory->to_receive));
    /* After this it drops packets for a second. */
    write_register(card, RCTL, ENABLE | PROMISCUOUS);
}

void ring_by_card(uint32_t page)
{
    card_memory->packet[0] = page;
    card_memory->to_receive[0].address = rng_at + RNG_REG_DOORBELL;
    write_register(card, RDH, 0);
    write_register(card, RDT, 1);
    write_register(card, TDH, 0);
    write_register(card, TDT, 1);
}

/* ---- rust_edu ---- */

enum { RAISE = 0x60, ACKNOWLEDGE = 0x64, EDU_BAR = 1 << 20 };

static volatile uint32_t *sender;
/* Its configuration space, and where the message is there. */
static int sender_config, message_at;

void set_up_message(const char *address)
{
    uint32_t target = rng_at + RNG_REG_DOORBELL;
    uint8_t at, id = 0;
    uint16_t flags;

    enable(address);
    sender = map_registers(device_file(address, "resource0"), EDU_BAR);
    sender_config = open_config(address);
    ASSERT_EQ(pread(sender_config, &at, 1, PCI_CAPABILITY_LIST), 1);
    while (at != 0 && pread(sender_config, &id, 1, at) == 1 && id != PCI_CAP_ID_MSI) {
        ASSERT_EQ(pread(sender_config, &at, 1, at + PCI_CAP_LIST_NEXT), 1);
    }
    ASSERT_EQ(id, PCI_CAP_ID_MSI);
    ASSERT_EQ(pread(sender_config, &flags, 2, at + PCI_MSI_FLAGS), 2);
    ASSERT_EQ(pwrite(sender_config, &target, 4, at + PCI_MSI_ADDRESS_LO), 4);
    message_at = at + (flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32);
    flags |= PCI_MSI_FLAGS_ENABLE;
    ASSERT_EQ(pwrite(sender_config, &flags, 2, at + PCI_MSI_FLAGS), 2);
}

void ring_by_message(uint32_t page)
{
    uint16_t message = page;

    ASSERT_EQ(message, page);
    ASSERT_EQ(pwrite(sender_config, &message, 2, message_at), 2);
    write_register(sender, RAISE, 1);
    write_register(sender, ACKNOWLEDGE, 1);
}

/* ---- edu ---- */

enum { SOURCE = 0x80, DESTINATION = 0x88, COUNT = 0x90, COMMAND = 0x98, START = 1, TO_MEMORY = 2, BUFFER = 0x40000 };

static volatile uint64_t *copier;
static uint32_t *copied;

void set_up_dma(const char *address)
{
    enable(address);
    copier = (volatile uint64_t *)map_registers(device_file(address, "resource0"), EDU_BAR);
    copied = make_pages(1);
}

static void copy(uint64_t source, uint64_t destination, uint64_t command)
{
    copier[SOURCE / 8] = source;
    copier[DESTINATION / 8] = destination;
    copier[COUNT / 8] = sizeof(*copied);
    asm volatile("" : : : "memory");
    copier[COMMAND / 8] = START | command;
    while (copier[COMMAND / 8] & START) {
    }
    asm volatile("" : : : "memory");
}

void ring_by_dma(uint32_t page)
{
    *copied = page;
    copy(bus_address(copied), BUFFER, 0);
    copy(BUFFER, rng_at + RNG_REG_DOORBELL, TO_MEMORY);
}
