#ifndef LWIP_TEST_CC_H
#define LWIP_TEST_CC_H

#include <stdio.h>
#include <stdlib.h>

#define LWIP_PLATFORM_DIAG(x) do { printf x; } while (0)
#define LWIP_PLATFORM_ASSERT(message)                                                              \
    do {                                                                                           \
        fprintf(stderr, "lwIP: %s, %s:%d\n", message, __FILE__, __LINE__);                         \
        abort();                                                                                   \
    } while (0)
#define LWIP_RAND() ((u32_t)rand())

#endif
