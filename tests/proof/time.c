/* Times as RFC 3339 has them. */
#include "proof.h"

static unsb_result result;
static unsbi_op op;

static void any_client(unsb_client *client)
{
    client->result = &result;
    client->op = &op;
}

/* Any text of any length that the router gathers, and any operation. */
void time_any(void)
{
    unsb_client client; /* which ends where the text does */
    size_t size = some_size(sizeof client.u.rx.u.text - 1), i = some_size(sizeof result - 1);
    unsbi_op any;
    char before;
    int64_t seconds;

    any_client(&client);
    client.u.rx.u.text[size] = '\0';
    op = any;
    before = ((char *)&result)[i];
    if (unsbi_time(&client, size, &seconds))
        prove(seconds >= -62135596800 - 86400 && seconds <= 253402300800 + 86400,
              "within the years 1 to 9999, and a day for the offset");
    prove((i >= offsetof(unsb_result, submitted_at) &&
           i < offsetof(unsb_result, submitted_at) + sizeof result.submitted_at - 1) ||
              ((char *)&result)[i] == before, "nothing beyond submitted_at, nor its NUL");
}
