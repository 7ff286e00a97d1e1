/* A plugin for test_plugin.c: a look-up that has not ended when the plugin is unloaded. */
#include <errno.h>
#include <netdb.h>
#include <unistd.h>

static int held_resolve(const char *host, const char *port, const struct addrinfo *hints,
                        struct addrinfo **list);

#define UNSANDBOX_IMPLEMENTATION
#define UNSB_POSIX_GETADDRINFO held_resolve
#include "unsandbox.h"
#include "unsandbox_posix.h"

static int begun_fd, go_on_fd;

static int held_resolve(const char *host, const char *port, const struct addrinfo *hints,
                        struct addrinfo **list)
{
    char byte = 0;

    (void)host;
    (void)port;
    (void)list;
    if ((hints->ai_flags & AI_NUMERICHOST) != 0)
        return EAI_NONAME;
    if (write(begun_fd, &byte, 1) == 1)
        while (read(go_on_fd, &byte, 1) < 0 && errno == EINTR)
            continue;
    return EAI_NONAME;
}

/* What connect returned. The look-up is abandoned, has written a byte to `begun`, and waits for one
 * from `go_on`. */
int start_look_up(int begun, int go_on);
int start_look_up(int begun, int go_on)
{
    static unsb_posix tcp;
    unsb_transport t = unsb_posix_transport(&tcp);
    int rc;

    begun_fd = begun;
    go_on_fd = go_on;
    rc = t.vtable->connect(t.context, "held.test", 80);
    t.vtable->close(t.context);
    return rc;
}
