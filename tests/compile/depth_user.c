/* Linked with an implementation of another UNSB_JSON_DEPTH, this must fail to link. */
#include "unsandbox.h"

int main(void)
{
    unsb_client client;
    unsb_config config = {{0, 0}, 0, 0, 0, 0, 0, 0, false, false, 0, 0, 0, 0, 0, 0, 0};
    return unsb_init(&client, &config) == UNSB_E_ARGUMENT ? 0 : 1;
}
