/* Every date that there is, one after the other: 3,652,059 of them, so they are run, not proved. */
#include "proof.h"
#include <stdio.h>

int main(void)
{
    static unsb_client client;
    static unsb_result result;
    static const struct unsbi_op op; /* whose answers are no list */
    static const uint8_t length[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t want = -62135596800, seconds; /* the first day of the year 1 */
    char *text = client.u.rx.u.text;
    int year, month, day;
    long dates = 0;

    client.result = &result;
    client.op = &op;
    for (year = 1; year <= 9999; year++)
        for (month = 1; month <= 12; month++)
            for (day = 1;; day++) {
                bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
                if (day > length[month] + (month == 2 && leap))
                    break;
                snprintf(text, sizeof client.u.rx.u.text, "%04d-%02d-%02dT00:00:00Z", year,
                         month, day);
                if (!unsbi_time(&client, 20, &seconds) || seconds != want) {
                    printf("%s\n", text);
                    return 1;
                }
                want += 86400;
                dates++;
            }
    printf("%ld dates\n", dates);
    return dates == 3652059 ? 0 : 1;
}
