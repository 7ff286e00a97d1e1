/* Reads what a program printed as JSON, piece by piece as it arrives: no document is ever held. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox_desktop.h"

typedef struct readings {
    unsb_json_reader json;
    bool is_value; /* of "celsius", at depth 2 */
    char key[16];
    size_t key_size;
    int64_t sum;
    int count;
} readings;

static int on_event(readings *r, int event)
{
    int64_t value;

    switch (event) {
    case UNSB_JSON_KEY: /* a long one comes in pieces */
        if (r->key_size + r->json.text_size > sizeof r->key)
            r->key_size = sizeof r->key;
        else
            memcpy(r->key + r->key_size, r->json.text, r->json.text_size);
        if (r->key_size < sizeof r->key)
            r->key_size += r->json.text_size;
        if (!r->json.partial) {
            r->is_value = r->key_size == 7 && memcmp(r->key, "celsius", 7) == 0;
            r->key_size = 0;
        }
        return UNSB_OK;
    case UNSB_JSON_NUMBER:
        if (r->is_value && unsb_json_integer(&r->json, &value) == UNSB_OK) {
            r->sum += value;
            r->count++;
        }
        break;
    default:
        break;
    }
    r->is_value = false;
    return event < 0 ? event : UNSB_OK;
}

/* A sink for stdout. The reader unescapes in place, so that it needs bytes that it may write to. */
static int on_output(void *context, const void *data, size_t size)
{
    readings *r = context;
    const char *from = data;
    char piece[64];
    size_t n, at, used;
    int event;

    for (; size != 0; from += n, size -= n) {
        n = size < sizeof piece ? size : sizeof piece;
        memcpy(piece, from, n);
        for (at = 0; at < n; at += used) {
            event = unsb_json_read(&r->json, piece + at, n - at, &used);
            if (event == UNSB_JSON_MORE)
                break;
            if (on_event(r, event) != UNSB_OK)
                return event;
        }
    }
    return UNSB_OK;
}

int main(void)
{
    static unsb_desktop d;
    static readings r;
    char why[UNSB_DESKTOP_TEXT];
    unsb_program program = {
        .language = "python",
        .code = unsb_text("import json\n"
                          "print(json.dumps([{'name': 'sensor \\u00e9', 'celsius': 20 + i % 3}\n"
                          "                  for i in range(300)]))\n")};
    unsb_result result = {.out = {.write = on_output, .context = &r}};
    int rc = unsb_desktop_open(&d, NULL);

    unsb_json_reader_init(&r.json);
    if (rc == UNSB_OK)
        rc = unsb_execute(&d.client, &program, &result);
    if (rc == UNSB_OK)
        rc = unsb_json_read_end(&r.json);
    if (rc != UNSB_OK)
        fprintf(stderr, "%s\n", unsb_desktop_explain(&d, rc, &result, why, sizeof why));
    else
        printf("%d readings, %ld degrees in all\n", r.count, (long)r.sum);
    unsb_desktop_close(&d);
    return rc == UNSB_OK && r.count == 300 ? 0 : 1;
}
