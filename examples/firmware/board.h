/* The board: clock, console, UART, memory figures. For mps2-an385 as QEMU has it; another
 * microcontroller needs another board.c and link.ld, and nothing else changes. */
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOARD_HZ 25000000u

/* ---- time ---- */

/* Milliseconds since reset; wraps. The argument is not used: it has unsb_config.now_ms's type. */
uint32_t board_now_ms(void *context);
/* Called from the timer's interrupt each millisecond; weak, does nothing. */
void board_tick(uint32_t now_ms);
/* Has board_deferred() called, once all other interrupts are through. It interrupts the program,
 * and is interrupted by all that may call this: the place for work too long for a handler. */
void board_defer(void);
void board_deferred(void); /* weak, does nothing */
/* Sleeps until the next interrupt: a millisecond at the most. */
void board_sleep(void);

/* ---- console and command line, by semihosting: the debugger's, or QEMU's ---- */

void board_print(const char *text);
void board_print_number(const char *before, int32_t number, const char *after);
/* Ends the program; QEMU exits with `status`. */
void board_exit(int status);
/* Word number `index` of the command line (0: the program's name); "" where there is none. */
const char *board_argument(unsigned index);

/* ---- what a real board has parts for ---- */

/* A clock that is set: here the host's. Seconds since 1970. */
uint32_t board_unix_time(void *context);
/* True randomness. Here from the host's /dev/urandom by semihosting, which is good enough for tests
 * under QEMU and for nothing else: a product asks its own generator. Returns UNSB_OK, or
 * UNSB_E_ENTROPY where there is none; it never makes something up. */
int board_entropy(void *context, void *bytes, size_t size);

/* ---- a UART with flow control (CMSDK UART1) ---- */

void board_uart_start(void);
/* Both return how many bytes could be moved without waiting. */
size_t board_uart_write(const void *data, size_t size);
size_t board_uart_read(void *data, size_t size);
bool board_uart_readable(void);

/* ---- the LAN9118's interrupt ---- */

/* Lets the chip wake board_sleep() once; it is quiet afterwards until this is called again. */
void board_ethernet_listen(void);

/* ---- memory ---- */

/* How much of the stack was ever used: what lies below is still painted. */
uint32_t board_stack_used(void);
/* Prints flash, variables and the deepest stack, each on a line of its own. */
void board_report(void);

/* The painter, for other stacks: see tasks.c. */
#define BOARD_PAINT 0xA5A5A5A5u
void board_paint(uint32_t *from, const uint32_t *to);

#endif
