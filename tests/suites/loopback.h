/* service.h with a resolver for which every name is this host, so no query ever leaves the
 * process. */
#ifndef LOOPBACK_H
#define LOOPBACK_H

#include <netdb.h>
#include <sys/socket.h>

/* Every name, and every address of the 127.0.0.0/8 block, is 127.0.0.1. */
static int stub_resolve(const char *host, const char *port, const struct addrinfo *hints,
                        struct addrinfo **list)
{
    struct addrinfo numeric = *hints;
    bool is_address = strchr(host, ':') != NULL;

    if ((hints->ai_flags & AI_NUMERICHOST) != 0 && !is_address && strncmp(host, "127.", 4) != 0)
        return EAI_NONAME;
    numeric.ai_flags |= AI_NUMERICHOST;
    return getaddrinfo(is_address ? host : "127.0.0.1", port, &numeric, list);
}

#define UNSB_POSIX_GETADDRINFO stub_resolve
#include "service.h"

#endif
