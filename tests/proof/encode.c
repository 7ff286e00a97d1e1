/* The encoders of a request, each in place: the input stands at the end of the room, and nothing is
 * written before it has been read. */
#include "proof.h"

#define ROOM_MAX 16 /* a unit's room, and some more */
#define VALUE_MAX 14

/* One call from any position. */
static void encode(unsbi_encoder *encoder)
{
    const size_t size = ROOM_MAX;
    size_t in = some_size(size), out = some_size(in), i = some_size(size);
    uint8_t room[ROOM_MAX], copy[ROOM_MAX], utf8, *from = room + in, *to = room + out;
    unsbi_encoding e;
    int rc;

    e.in = from;
    e.in_end = room + size;
    e.out = to;
    e.utf8 = &utf8;
    memcpy(copy, room, size);
    rc = unsbi_encode(&e, encoder);
    prove(rc == UNSB_OK || rc == UNSB_E_UTF8, "one of two results");
    prove(e.in >= from && e.in <= room + size, "no more is read than there is");
    prove(e.out >= to && e.out <= e.in, "no more is written than was read");
    prove(i >= size || (room + i >= to && room + i < e.in) || room[i] == copy[i],
          "what was not read is as it was");
    /* so a loop around it ends: with room for a unit, and a unit's input, it gets on */
    if (rc == UNSB_OK && in < size && in - out >= UNSBI_UNIT_MAX)
        prove(e.in > from && e.out > to, "it gets on");
    /* and nothing is left undone but for want of room */
    prove(rc != UNSB_OK || e.in == room + size || e.in - e.out < UNSBI_UNIT_MAX,
          "it goes on while it can");
}

void encode_json(void) { encode(unsbi_encode_json); }
void encode_url(void) { encode(unsbi_encode_url); }
void encode_json_url(void) { encode(unsbi_encode_json_url); }
void encode_base64(void) { encode(unsbi_encode_base64); }
void encode_hex(void) { encode(unsbi_encode_hex); }

static uint8_t digit(unsigned v, char ten)
{
    return (uint8_t)(v < 10 ? '0' + v : ten + v - 10);
}

/* RFC 3986 sections 2.1 and 2.3. */
static size_t percent(uint8_t c, uint8_t *out)
{
    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
        c == '.' || c == '_' || c == '~') {
        out[0] = c;
        return 1;
    }
    out[0] = '%';
    out[1] = digit(c >> 4, 'A');
    out[2] = digit(c & 15, 'A');
    return 3;
}

/* RFC 8259 section 7, with the short escapes where there are any, of one ASCII character. */
static size_t escape(uint8_t c, uint8_t *out)
{
    uint8_t name = c == '"'    ? '"'
                   : c == '\\' ? '\\'
                   : c == 8    ? 'b'
                   : c == 9    ? 't'
                   : c == 10   ? 'n'
                   : c == 12   ? 'f'
                   : c == 13   ? 'r'
                               : 0;

    out[0] = c;
    if (name == 0 && c >= 0x20)
        return 1;
    out[0] = '\\';
    out[1] = name;
    if (name != 0)
        return 2;
    out[1] = 'u';
    out[2] = out[3] = '0';
    out[4] = digit(c >> 4, 'A');
    out[5] = digit(c & 15, 'A');
    return 6;
}

/* What each encoder makes of one unit: from here on `want` bytes at `expected`. */
static void value(unsbi_encoder *encoder, const uint8_t *in, size_t size, const uint8_t *expected,
                  size_t want)
{
    uint8_t room[VALUE_MAX], utf8 = 0;
    unsbi_encoding e;
    size_t i = some_size(VALUE_MAX - 1);

    memcpy(room + VALUE_MAX - size, in, size);
    e.out = room;
    e.in = room + VALUE_MAX - size;
    e.in_end = room + VALUE_MAX;
    e.utf8 = &utf8;
    prove(unsbi_encode(&e, encoder) == UNSB_OK && e.in == e.in_end, "all of it is encoded");
    prove((size_t)(e.out - room) == want, "as long as it should be");
    prove(i >= want || room[i] == expected[i], "as it should be");
}

void encode_url_value(void)
{
    uint8_t c, out[3];
    size_t n = percent(c, out);

    value(unsbi_encode_url, &c, 1, out, n);
}

void encode_hex_value(void)
{
    uint8_t c, out[2];

    out[0] = digit(c >> 4, 'a');
    out[1] = digit(c & 15, 'a');
    value(unsbi_encode_hex, &c, 1, out, 2);
}

void encode_json_value(void)
{
    uint8_t c, unit[6];
    size_t n;

    given(c < 0x80);
    n = escape(c, unit);
    value(unsbi_encode_json, &c, 1, unit, n);
}

void encode_json_url_value(void)
{
    uint8_t c, out[18], unit[6];
    size_t n, i, m = 0;

    given(c < 0x80);
    n = escape(c, unit);
    for (i = 0; i < n; i++)
        m += percent(unit[i], out + m);
    prove(m <= UNSBI_UNIT_MAX, "no unit is longer than it says");
    value(unsbi_encode_json_url, &c, 1, out, m);
}
