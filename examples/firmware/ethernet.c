/* See ethernet.h. Polled, with the interrupt only to wake the processor. Registers are named as in
 * the LAN9118's data sheet. */
#include "ethernet.h"

#include "board.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/timeouts.h"
#include "netif/ethernet.h"

#define LAN(offset) (*(volatile uint32_t *)(0x40200000u + (offset)))

#define RX_DATA LAN(0x00)
#define TX_DATA LAN(0x20)
#define RX_STATUS LAN(0x40)
#define TX_STATUS LAN(0x48)
#define IRQ_CFG LAN(0x54)
#define INT_STS LAN(0x58)
#define INT_EN LAN(0x5C)
#define BYTE_TEST LAN(0x64)
#define FIFO_INT LAN(0x68)
#define TX_CFG LAN(0x70)
#define RX_FIFO_INF LAN(0x7C)
#define TX_FIFO_INF LAN(0x80)
#define MAC_CSR_CMD LAN(0xA4)
#define MAC_CSR_DATA LAN(0xA8)

enum { MAC_CR = 1, MAC_ADDRH = 2, MAC_ADDRL = 3 };
enum { FRAME_MAX = 1518, CRC_SIZE = 4 };

static struct netif interface;
static uint32_t random_state[2];

/* Numbers that a peer should not guess (ports, DNS ids); keys come from board_entropy() itself. */
unsigned ethernet_random(void)
{
    uint64_t x = (uint64_t)random_state[1] << 32 | random_state[0];

    x ^= x << 13; /* xorshift64 */
    x ^= x >> 7;
    x ^= x << 17;
    random_state[0] = (uint32_t)x;
    random_state[1] = (uint32_t)(x >> 32);
    return random_state[1];
}

void ethernet_assert(const char *text)
{
    board_print(text);
    board_print("\n");
    board_exit(124);
}

u32_t sys_now(void)
{
    return board_now_ms(NULL);
}

static uint32_t mac_read(uint32_t number)
{
    MAC_CSR_CMD = 0xC0000000u | number; /* busy, read */
    while ((MAC_CSR_CMD & 0x80000000u) != 0)
        continue;
    return MAC_CSR_DATA;
}

static void mac_write(uint32_t number, uint32_t value)
{
    MAC_CSR_DATA = value;
    MAC_CSR_CMD = 0x80000000u | number;
    while ((MAC_CSR_CMD & 0x80000000u) != 0)
        continue;
}

/* The chip takes a frame by 32-bit words, whatever the lengths of the parts it lies in. */
static err_t transmit(struct netif *n, struct pbuf *frame)
{
    uint32_t word = 0, count = 0, i;
    const struct pbuf *part;

    (void)n;
    if ((TX_FIFO_INF & 0xFFFF) < frame->tot_len + 16u)
        return ERR_WOULDBLOCK; /* TCP sends it again */
    TX_DATA = 0x3000u | frame->tot_len; /* first and last segment */
    TX_DATA = frame->tot_len;
    for (part = frame; part != NULL; part = part->next) {
        const uint8_t *p = (const uint8_t *)part->payload;
        for (i = 0; i < part->len; i++) {
            word |= (uint32_t)p[i] << count % 4 * 8;
            if (++count % 4 == 0) {
                TX_DATA = word;
                word = 0;
            }
        }
    }
    if (count % 4 != 0)
        TX_DATA = word;
    while ((TX_FIFO_INF >> 16 & 0xFF) != 0)
        (void)TX_STATUS;
    return ERR_OK;
}

static void receive(void)
{
    uint32_t status = RX_STATUS, size = status >> 16 & 0x3FFF, word = 0, i = 0;
    bool good = (status & 0x8000) == 0 && size > CRC_SIZE && size <= FRAME_MAX;
    struct pbuf *frame = NULL, *part;

    if (good)
        frame = pbuf_alloc(PBUF_RAW, (u16_t)(size - CRC_SIZE), PBUF_POOL);
    for (part = frame; part != NULL; part = part->next) {
        uint8_t *p = (uint8_t *)part->payload;
        u16_t k;
        for (k = 0; k < part->len; k++, i++) {
            if (i % 4 == 0)
                word = RX_DATA;
            p[k] = (uint8_t)(word >> i % 4 * 8);
        }
    }
    /* the checksum, or the whole frame where it is bad or there is no room for it */
    for (i = (i + 3) / 4; i < (size + 3) / 4; i++)
        (void)RX_DATA;
    if (frame != NULL && interface.input(frame, &interface) != ERR_OK)
        (void)pbuf_free(frame);
}

void ethernet_poll(void *context)
{
    (void)context;
    while ((RX_FIFO_INF >> 16 & 0xFF) != 0)
        receive();
    INT_STS = 0xFFFFFFFFu;
    board_ethernet_listen();
    sys_check_timeouts();
}

static err_t start_chip(struct netif *n)
{
    uint32_t low = mac_read(MAC_ADDRL), high = mac_read(MAC_ADDRH);

    n->name[0] = 'e';
    n->name[1] = 'n';
    n->mtu = 1500;
    n->output = etharp_output;
    n->linkoutput = transmit;
    n->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
    n->hwaddr_len = 6;
    memcpy(n->hwaddr, &low, 4);
    memcpy(n->hwaddr + 4, &high, 2);
    IRQ_CFG = 0x111;          /* enabled, active high, push-pull */
    FIFO_INT = 0;             /* any frame */
    INT_EN = 1u << 3;         /* RSFL: more frames than that have arrived */
    TX_CFG = 2;               /* transmitter on */
    mac_write(MAC_CR, 0x0Cu); /* both directions */
    return ERR_OK;
}

int ethernet_start(const char *host)
{
    ip4_addr_t address, mask, router;

    if (BYTE_TEST != 0x87654321u)
        return UNSB_E_IO;
    if (board_entropy(NULL, random_state, sizeof random_state) != UNSB_OK)
        return UNSB_E_ENTROPY;
    lwip_init();
    IP4_ADDR(&address, 10, 0, 2, 15);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    IP4_ADDR(&router, 10, 0, 2, 2);
    if (netif_add(&interface, &address, &mask, &router, NULL, start_chip, ethernet_input) == NULL)
        return UNSB_E_IO;
    netif_set_default(&interface);
    netif_set_up(&interface);
    return dns_local_addhost(host, &router) == ERR_OK ? UNSB_OK : UNSB_E_IO;
}
