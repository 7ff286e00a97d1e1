/* What lwIP asks of a compiler and board: see lwip/arch.h. */
#ifndef ARCH_CC_H
#define ARCH_CC_H

/* Random numbers, for ports and the like: ethernet.c. */
unsigned ethernet_random(void);
void ethernet_assert(const char *text);

#define LWIP_RAND() ethernet_random()
#define LWIP_PLATFORM_DIAG(text)
#define LWIP_PLATFORM_ASSERT(text) ethernet_assert(text)

#endif
