/* Every second of a day, and every offset at its beginning, middle and end: run, not proved. */
#include "proof.h"
#include <stdio.h>

static unsb_client client;
static unsb_result result;
static const struct unsbi_op op; /* whose answers are no list */

/* of 29 January 2024 */
static int differs(int second, int sign, int hours, int minutes)
{
    int64_t seconds, want = 1706486400 + second - sign * (hours * 3600 + minutes * 60);
    char *text = client.u.rx.u.text;
    int n = snprintf(text, sizeof client.u.rx.u.text, "2024-01-29T%02d:%02d:%02d%c%02d:%02d",
                     second / 3600, second / 60 % 60, second % 60, sign < 0 ? '-' : '+', hours,
                     minutes);

    if (unsbi_time(&client, (size_t)n, &seconds) && seconds == want)
        return 0;
    printf("%s\n", text);
    return 1;
}

int main(void)
{
    int second, offset;

    client.result = &result;
    client.op = &op;
    for (second = 0; second < 86400; second++)
        if (differs(second, 1, 0, 0))
            return 1;
    for (offset = 0; offset < 1440; offset++)
        for (second = 0; second < 86400; second += 43199)
            if (differs(second, 1, offset / 60, offset % 60) ||
                differs(second, -1, offset / 60, offset % 60))
                return 1;
    printf("%d dates\n", 86400 + 1440 * 6);
    return 0;
}
