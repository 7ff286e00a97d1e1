/* What an OS would bring: enough to compile with NO_SYS 0. */
#ifndef LWIP_TEST_SYS_ARCH_H
#define LWIP_TEST_SYS_ARCH_H

typedef void *sys_sem_t;
typedef void *sys_mutex_t;
typedef void *sys_mbox_t;
typedef void *sys_thread_t;

#endif
