#include "unsandbox_address.h"
#include "unsandbox_address.h"

bool port_address(const char *host, char name[256], uint8_t address[16], uint8_t *size);
bool port_address(const char *host, char name[256], uint8_t address[16], uint8_t *size)
{
    return unsb_address_host(host, name, address, size);
}
