/* A small preemptive kernel for Cortex-M3: tasks with fixed priorities that sleep. It shows how the
 * library lives beside a task with a deadline, as it would under FreeRTOS or Zephyr (README.md).
 *
 * The most urgent task that does not sleep runs. Switching is the work of PendSV. */
#ifndef TASKS_H
#define TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct task {
    uint32_t *sp; /* while it does not run */
    uint32_t *stack;
    size_t words;
    volatile uint32_t wake_ms;
    volatile bool sleeping;
    struct task *next; /* less urgent */
} task;

/* Adds a task that is less urgent than those before it. `stack` has `words` words, an even number,
 * and is aligned to 8 bytes. `run` must not return. */
void task_add(task *t, uint32_t *stack, size_t words, void (*run)(void));
/* Runs the tasks. The caller sleeps below them all and never returns. */
void tasks_start(void);
/* Both for the calling task. At once where the time has passed. */
void task_sleep_until(uint32_t wake_ms);
void task_sleep(uint32_t ms);
/* Bytes of its stack that were ever used. */
uint32_t task_stack_used(const task *t);

#endif
