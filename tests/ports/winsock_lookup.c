/* A DLL for test_winsock.c: a look-up that has not ended when the DLL is unloaded. */
#include <winsock2.h>
#include <ws2tcpip.h>

static INT held_resolve(const WCHAR *host, const WCHAR *service, const ADDRINFOW *hints,
                        ADDRINFOW **list);

#define UNSANDBOX_IMPLEMENTATION
#define UNSB_WINSOCK_GETADDRINFO held_resolve
#include "unsandbox.h"
#include "unsandbox_winsock.h"

static HANDLE is_begun, may_go_on;

static INT held_resolve(const WCHAR *host, const WCHAR *service, const ADDRINFOW *hints,
                        ADDRINFOW **list)
{
    (void)host;
    (void)service;
    (void)list;
    if ((hints->ai_flags & AI_NUMERICHOST) == 0) {
        (void)SetEvent(is_begun);
        (void)WaitForSingleObject(may_go_on, INFINITE);
        Sleep(50); /* the one who signalled is to have the processor meanwhile */
    }
    return WSAHOST_NOT_FOUND;
}

/* What connect returned. The look-up is abandoned, and waits until `go_on`. */
__declspec(dllexport) int start_look_up(HANDLE begun, HANDLE go_on);
__declspec(dllexport) int start_look_up(HANDLE begun, HANDLE go_on)
{
    static unsb_winsock tcp;
    unsb_transport t = unsb_winsock_transport(&tcp);
    int rc;

    is_begun = begun;
    may_go_on = go_on;
    rc = t.vtable->connect(t.context, "held.test", 80);
    (void)WaitForSingleObject(begun, INFINITE);
    t.vtable->close(t.context);
    return rc;
}
