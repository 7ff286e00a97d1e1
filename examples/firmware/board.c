/* mps2-an385 (Cortex-M3): vectors, start-up, and the parts that board.h promises. */
#include "board.h"
#include "unsandbox.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define SYSTICK_CONTROL REGISTER(0xE000E010u)
#define SYSTICK_RELOAD REGISTER(0xE000E014u)
#define SYSTICK_VALUE REGISTER(0xE000E018u)
#define NVIC_ENABLE REGISTER(0xE000E100u)
#define NVIC_DISABLE REGISTER(0xE000E180u)
#define ICSR REGISTER(0xE000ED04u)
#define SHPR3 REGISTER(0xE000ED20u) /* priorities of PendSV and SysTick */

#define UART_DATA REGISTER(0x40005000u)
#define UART_STATE REGISTER(0x40005004u) /* 1: transmitter full, 2: receiver full */
#define UART_CONTROL REGISTER(0x40005008u)
#define UART_CLEAR REGISTER(0x4000500Cu)
#define UART_BAUD REGISTER(0x40005010u)

enum { IRQ_UART1_RECEIVE = 2, IRQ_ETHERNET = 13, VECTORS = 16 + 32 };
enum { UART_TRANSMIT = 1, UART_RECEIVE = 2, UART_RECEIVE_INTERRUPT = 8 };

extern uint32_t link_data_load[], link_data[], link_data_end[], link_bss[], link_bss_end[];
extern uint32_t link_stack_top[], link_flash_size[];

int main(void);
void reset_handler(void);
void pend_sv_handler(void);

static volatile uint32_t now_ms;

/* ---- vectors and start-up ---- */

__attribute__((weak)) void board_tick(uint32_t now)
{
    (void)now;
}

__attribute__((weak)) void board_deferred(void)
{
}

/* tasks.c has another, where there are tasks */
__attribute__((weak)) void pend_sv_handler(void)
{
    board_deferred();
}

void board_defer(void)
{
    ICSR = 1u << 28; /* PENDSVSET */
}

static void fault_handler(void)
{
    board_print("fault\n");
    board_exit(125);
}

static void tick_handler(void)
{
    now_ms++;
    board_tick(now_ms);
}

static void uart_handler(void);

static void ethernet_handler(void)
{
    NVIC_DISABLE = 1u << IRQ_ETHERNET;
}

typedef union vector {
    const void *stack;
    void (*handler)(void);
} vector;

__attribute__((section(".vectors"), used)) static const vector vectors[VECTORS] = {
    [0] = {.stack = link_stack_top},
    [1] = {.handler = reset_handler},
    [2] = {.handler = fault_handler},
    [3] = {.handler = fault_handler},
    [4] = {.handler = fault_handler},
    [5] = {.handler = fault_handler},
    [6] = {.handler = fault_handler},
    [14] = {.handler = pend_sv_handler},
    [15] = {.handler = tick_handler},
    [16 + IRQ_UART1_RECEIVE] = {.handler = uart_handler},
    [16 + IRQ_ETHERNET] = {.handler = ethernet_handler},
};

void board_paint(uint32_t *from, const uint32_t *to)
{
    while (from < to)
        *from++ = BOARD_PAINT;
}

void reset_handler(void)
{
    size_t size = (size_t)((char *)link_data_end - (char *)link_data);

    /* 64 bytes for the frames of this function and of board_paint() */
    board_paint(link_bss_end, (uint32_t *)__builtin_frame_address(0) - 16);
    memcpy(link_data, link_data_load, size);
    memset(link_bss, 0, (size_t)((char *)link_bss_end - (char *)link_bss));
    SHPR3 = 0x00FF0000u; /* PendSV last: it switches tasks when no other handler is active */
    SYSTICK_RELOAD = BOARD_HZ / 1000 - 1;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 7; /* the processor's clock, interrupt, on */
    board_exit(main());
}

uint32_t board_now_ms(void *context)
{
    (void)context;
    return now_ms;
}

void board_sleep(void)
{
    __asm__ volatile("wfi" : : : "memory");
}

/* ---- semihosting ---- */

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITE0 = 0x04,
    SYS_READ = 0x06,
    SYS_TIME = 0x11,
    SYS_GET_CMDLINE = 0x15,
    SYS_EXIT_EXTENDED = 0x20,
    ADP_STOPPED_APPLICATION_EXIT = 0x20026
};

static uint32_t semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;

    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void board_print(const char *text)
{
    (void)semihost(SYS_WRITE0, text);
}

void board_print_number(const char *before, int32_t number, const char *after)
{
    char digits[12];
    char *p = digits + sizeof digits - 1;
    uint32_t value = number < 0 ? 0u - (uint32_t)number : (uint32_t)number;

    *p = '\0';
    do {
        *--p = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    if (number < 0)
        *--p = '-';
    board_print(before);
    board_print(p);
    board_print(after);
}

void board_exit(int status)
{
    uint32_t block[2] = {ADP_STOPPED_APPLICATION_EXIT, (uint32_t)status};

    for (;;)
        (void)semihost(SYS_EXIT_EXTENDED, block);
}

const char *board_argument(unsigned index)
{
    static char line[256];
    uintptr_t block[2] = {(uintptr_t)line, sizeof line};
    char *p;

    if (line[0] == '\0') {
        if (semihost(SYS_GET_CMDLINE, block) != 0)
            return "";
        for (p = line; *p != '\0'; p++) /* words end with NULs, the line with two */
            if (*p == ' ')
                *p = '\0';
    }
    for (p = line; *p != '\0' && index != 0; index--)
        p += strlen(p) + 1;
    return p;
}

uint32_t board_unix_time(void *context)
{
    (void)context;
    return semihost(SYS_TIME, NULL);
}

int board_entropy(void *context, void *bytes, size_t size)
{
    static const char path[] = "/dev/urandom";
    uintptr_t open[3] = {(uintptr_t)path, 1 /* "rb" */, sizeof path - 1}, read[3];
    uint32_t left;

    (void)context;
    read[0] = semihost(SYS_OPEN, open);
    read[1] = (uintptr_t)bytes;
    read[2] = size;
    if (read[0] == 0xFFFFFFFFu)
        return UNSB_E_ENTROPY;
    left = semihost(SYS_READ, read);
    (void)semihost(SYS_CLOSE, read);
    return left == 0 ? UNSB_OK : UNSB_E_ENTROPY;
}

/* ---- the UART ---- */

/* The handler puts bytes in, the program takes them out. Full: the receiver is not emptied, and the
 * peer waits, as with RTS. */
static struct {
    uint8_t bytes[256];
    volatile uint8_t in, out;
} ring;

static bool ring_full(void)
{
    return (uint8_t)(ring.in + 1) == ring.out;
}

static void uart_handler(void)
{
    UART_CLEAR = UART_RECEIVE;
    while ((UART_STATE & 2) != 0 && !ring_full()) {
        ring.bytes[ring.in] = (uint8_t)UART_DATA;
        ring.in = (uint8_t)(ring.in + 1);
    }
    if (ring_full())
        UART_CONTROL = UART_TRANSMIT | UART_RECEIVE;
}

void board_uart_start(void)
{
    UART_BAUD = 16;
    UART_CONTROL = UART_TRANSMIT | UART_RECEIVE | UART_RECEIVE_INTERRUPT;
    NVIC_ENABLE = 1u << IRQ_UART1_RECEIVE;
}

size_t board_uart_write(const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    size_t count = 0;

    while (count < size && (UART_STATE & 1) == 0)
        UART_DATA = p[count++];
    return count;
}

bool board_uart_readable(void)
{
    return ring.in != ring.out;
}

size_t board_uart_read(void *data, size_t size)
{
    uint8_t *p = (uint8_t *)data;
    size_t count = 0;

    while (count < size && ring.in != ring.out) {
        p[count++] = ring.bytes[ring.out];
        ring.out = (uint8_t)(ring.out + 1);
    }
    if ((UART_CONTROL & UART_RECEIVE_INTERRUPT) == 0 && count != 0) {
        NVIC_DISABLE = 1u << IRQ_UART1_RECEIVE;
        UART_CONTROL = UART_TRANSMIT | UART_RECEIVE | UART_RECEIVE_INTERRUPT;
        uart_handler(); /* for the byte that waits in the receiver */
        NVIC_ENABLE = 1u << IRQ_UART1_RECEIVE;
    }
    return count;
}

void board_ethernet_listen(void)
{
    NVIC_ENABLE = 1u << IRQ_ETHERNET;
}

/* ---- memory ---- */

uint32_t board_stack_used(void)
{
    const uint32_t *p = link_bss_end;

    while (p < link_stack_top && *p == BOARD_PAINT)
        p++;
    return (uint32_t)((const char *)link_stack_top - (const char *)p);
}

void board_report(void)
{
    board_print_number("flash: ", (int32_t)(uintptr_t)link_flash_size, " bytes\n");
    board_print_number("variables: ", (int32_t)((char *)link_bss_end - (char *)link_data),
                       " bytes\n");
    board_print_number("stack: ", (int32_t)board_stack_used(), " bytes at the deepest\n");
}
