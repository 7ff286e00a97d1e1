/* lwIP sends nothing for 127.0.0.1 over a link, unless it is told to: see wire.h. */
#ifndef LWIP_TEST_HOOKS_H
#define LWIP_TEST_HOOKS_H

struct netif;
struct netif *wire_route(void);

#define LWIP_HOOK_IP4_ROUTE(destination) wire_route()

#endif
