#include "unsandbox.h"
#include "unsandbox_bearssl_windows.h"
#include "unsandbox_winsock.h"
#include "unsandbox_bearssl_windows.h"

int port_bearssl_windows(unsb_bearssl_trust *trust);
int port_bearssl_windows(unsb_bearssl_trust *trust)
{
    return unsb_bearssl_load_windows(trust);
}
