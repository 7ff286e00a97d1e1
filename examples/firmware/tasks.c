/* See tasks.h. Tasks run on the process stack, handlers on the main stack. */
#include "tasks.h"

#include "board.h"

#include <string.h>

/* For the nesting of all handlers: each takes 32 bytes of registers and its frame. */
static uint32_t handler_stack[128] __attribute__((aligned(8)));

static task idle; /* tasks_start()'s caller, the last one; never sleeps */
static task *first = &idle;
static task *volatile current = &idle;

void pend_sv_handler(void);
uint32_t *tasks_switch(uint32_t *sp);

void task_add(task *t, uint32_t *stack, size_t words, void (*run)(void))
{
    task **place = &first;
    uint32_t *frame = stack + words - 8; /* as the processor stores it: r0-r3, r12, lr, pc, psr */

    board_paint(stack, frame);
    memset(frame, 0, 8 * sizeof *frame);
    frame[6] = (uint32_t)(uintptr_t)run & ~1u;
    frame[7] = 0x01000000u; /* Thumb */
    t->sp = frame - 8;      /* r4-r11 */
    t->stack = stack;
    t->words = words;
    t->sleeping = false;
    while (*place != &idle)
        place = &(*place)->next;
    t->next = &idle;
    *place = t;
}

/* Called by PendSV with the interrupted task's stack; returns that of the one to run. Should a tick
 * wake another one meanwhile, it asks for PendSV again. */
uint32_t *tasks_switch(uint32_t *sp)
{
    task *t = first;

    current->sp = sp;
    while (t->sleeping)
        t = t->next;
    current = t;
    return t->sp;
}

/* The processor saves the other registers itself. */
__attribute__((naked)) void pend_sv_handler(void)
{
    __asm__ volatile("mrs r0, psp\n"
                     "stmdb r0!, {r4-r11}\n"
                     "push {r3, lr}\n"
                     "bl tasks_switch\n"
                     "pop {r3, lr}\n"
                     "ldmia r0!, {r4-r11}\n"
                     "msr psp, r0\n"
                     "bx lr\n");
}

void board_tick(uint32_t now_ms)
{
    task *t;

    for (t = first; t != &idle; t = t->next) {
        if (!t->sleeping || (int32_t)(now_ms - t->wake_ms) < 0)
            continue;
        t->sleeping = false;
        board_defer();
    }
}

void task_sleep_until(uint32_t wake_ms)
{
    if ((int32_t)(board_now_ms(NULL) - wake_ms) >= 0)
        return;
    current->wake_ms = wake_ms;
    current->sleeping = true;
    board_defer();
    __asm__ volatile("dsb\nisb" : : : "memory"); /* it is taken here */
}

void task_sleep(uint32_t ms)
{
    task_sleep_until(board_now_ms(NULL) + ms);
}

void tasks_start(void)
{
    /* What was the main stack becomes the process stack of this, the idle task. */
    __asm__ volatile("mrs r0, msp\n"
                     "msr psp, r0\n"
                     "movs r0, #2\n"
                     "msr control, r0\n"
                     "isb\n"
                     "msr msp, %0\n"
                     :
                     : "r"(handler_stack + sizeof handler_stack / sizeof handler_stack[0])
                     : "r0", "memory");
    board_defer();
    for (;;)
        board_sleep();
}

uint32_t task_stack_used(const task *t)
{
    size_t i = 0;

    while (i < t->words && t->stack[i] == BOARD_PAINT)
        i++;
    return (uint32_t)((t->words - i) * sizeof(uint32_t));
}
