/* lwIP as a microcontroller has it: no OS, pools of fixed sizes, a heap of a few kilobytes. On the
 * command line: protocols left out; NO_SYS 0, to be compiled and no more; LARGE for windows beyond
 * 64 KB; MEM_LIBC_MALLOC and MEMP_MEM_MALLOC, so that a sanitizer sees what is used after it was
 * freed. */
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#ifndef NO_SYS
#define NO_SYS 1
#endif
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS 1

#ifndef LWIP_IPV4
#define LWIP_IPV4 1
#endif
#ifndef LWIP_IPV6
#define LWIP_IPV6 1
#endif
#define LWIP_HOOK_FILENAME "hooks.h"
#define LWIP_IPV6_REASS 0
#define LWIP_IPV6_AUTOCONFIG 0
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 0
#ifndef LWIP_TCP
#define LWIP_TCP 1
#endif
#define LWIP_TCP_KEEPALIVE 1
#ifndef LWIP_DNS
#define LWIP_DNS 1
#endif
#define DNS_TABLE_SIZE 2
#define DNS_MAX_RETRIES 3

#define MEM_ALIGNMENT 8
#define MEMP_NUM_TCP_PCB 4
#define MEMP_NUM_UDP_PCB 4
#define PBUF_POOL_BUFSIZE 600
#define TCP_MSS 1440
#ifdef LARGE
#define MEM_SIZE 600000
#define MEMP_NUM_PBUF 200
#define MEMP_NUM_TCP_SEG 400
#define PBUF_POOL_SIZE 600
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 2
#define TCP_WND 150000
#define TCP_SND_BUF 150000
#define TCP_SND_QUEUELEN 400
#define TCP_SNDLOWAT TCP_MSS
#else
#define MEM_SIZE 16384
#define MEMP_NUM_PBUF 16
#define MEMP_NUM_TCP_SEG 16
#define PBUF_POOL_SIZE 24
#define TCP_WND (4 * TCP_MSS)
#define TCP_SND_BUF (2 * TCP_MSS)
#define TCP_SND_QUEUELEN 12
#endif
#define TCP_QUEUE_OOSEQ 1
/* Else Linux is patient where much is lost: without either it doubles its pause again and again. */
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_TIMESTAMPS 1
/* Finer timers, so that the tests need not wait for them. */
#define TCP_TMR_INTERVAL 20
#define TCP_MSL 60
#define TCP_SYNMAXRTX 12

/* Failed assertions end the test, and what is in use is counted. */
#define LWIP_STATS 1
#define MEM_STATS 1
#define MEMP_STATS 1
#if !defined(MEM_LIBC_MALLOC)
#define MEMP_OVERFLOW_CHECK 1
#define MEM_OVERFLOW_CHECK 1
#endif
#define LWIP_ERROR(message, expression, handler)                                                   \
    do {                                                                                           \
        if (!(expression))                                                                         \
            LWIP_PLATFORM_ASSERT(message);                                                         \
    } while (0)

#endif
