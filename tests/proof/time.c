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

static void put(char *text, uint8_t value)
{
    uint8_t tens;

    given(tens < 10 && value - tens * 10 >= 0 && value - tens * 10 < 10);
    text[0] = (char)('0' + tens);
    text[1] = (char)('0' + value - tens * 10);
}

/* Days are counted as the calendar has them, by years of 365 or 366 and months of 28 to 31. */
static void exact(uint8_t century, uint8_t years, uint8_t month, uint8_t day, const char *rest,
                  int64_t second)
{
    static const uint16_t before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    static const uint8_t length[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsb_client client;
    char *text = client.u.rx.u.text;
    uint32_t year = century * 100u + years, past = year - 1, days;
    uint32_t hundreds = years != 0 ? century : century - 1u; /* those that are over before it */
    bool leap = years != 0 ? (years & 3) == 0 : (century & 3) == 0;
    int64_t seconds;

    given(year >= 1 && century < 100 && years < 100 && month < 12 && day >= 1);
    given(day <= length[month] + (month == 1 && leap));
    days = past * 365 + (past >> 2) - hundreds + (hundreds >> 2) + before[month] +
           (month > 1 && leap) + day - 1;
    any_client(&client);
    op.flags = 0;
    memcpy(text, "0000-00-00", 10);
    memcpy(text + 10, rest, 16);
    put(text, century);
    put(text + 2, years);
    put(text + 5, (uint8_t)(month + 1));
    put(text + 8, day);
    prove(unsbi_time(&client, strlen(text), &seconds), "taken");
    prove(seconds == ((int64_t)days - 719162) * 86400 + second, "and right");
}

/* Every time and offset, on a day. */
void time_of_day(void)
{
    uint8_t hour, minute, second, east_hour, east_minute;
    char rest[17] = "T00:00:00+00:00";
    bool east;
    int64_t offset;

    given(hour < 24 && minute < 60 && second < 61 && east_hour < 24 && east_minute < 60);
    put(rest + 1, hour);
    put(rest + 4, minute);
    put(rest + 7, second);
    put(rest + 10, east_hour);
    put(rest + 13, east_minute);
    rest[9] = east ? '+' : '-';
    offset = (int64_t)east_hour * 3600 + east_minute * 60;
    exact(20, 24, 1, 29, rest,
          (int64_t)hour * 3600 + minute * 60 + second - (east ? offset : -offset));
}
