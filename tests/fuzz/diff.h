/* The parts of the library in several builds within one program: whatever they are fed, in whatever
 * pieces, they must answer each call alike: the code, how much was used, the events and bytes. Each
 * diff_NAME.c is one build; each of them has the library's functions as static ones. */
#ifndef DIFF_H
#define DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct diff_trace { /* all that was answered, call by call */
    uint8_t *bytes;
    size_t size, capacity;
} diff_trace;

/* How an input is fed: its part of the library, and its pieces. */
typedef struct diff_way {
    uint8_t part;   /* below DIFF_PARTS */
    uint8_t piece;  /* of so many bytes; 0: whole; over 100: of random sizes */
    uint8_t option; /* bit 0: a lenient reader, a HEAD request; bits 1, 2: skips this and that */
} diff_way;

#define DIFF_PARTS 5 /* JSON reader, HTTP decoder, base64 decoder and encoder, JSON writer */

typedef struct diff_build {
    const char *name;
    /* `text` is written to. */
    void (*run)(diff_trace *trace, const diff_way *way, char *text, size_t size);
} diff_build;

extern const diff_build diff_fast, diff_compact;

/* Feeds all builds with an input. NULL: they agree; else the name of one that does not agree with
 * the first. `work` has room for two traces and the input: DIFF_WORK(size). */
#define DIFF_TRACE_SIZE(size) ((size) * 80 + 4096)
#define DIFF_WORK(size) (2 * DIFF_TRACE_SIZE(size) + (size) + 1)

static inline const char *diff_check(const diff_way *way, const uint8_t *data, size_t size,
                                     uint8_t *work)
{
    static const diff_build *const builds[] = {&diff_fast, &diff_compact};
    diff_trace first, other;
    char *text = (char *)work + 2 * DIFF_TRACE_SIZE(size);
    size_t i;

    first.capacity = other.capacity = DIFF_TRACE_SIZE(size);
    first.bytes = work;
    other.bytes = work + DIFF_TRACE_SIZE(size);
    for (i = 0; i < sizeof builds / sizeof *builds; i++) {
        diff_trace *t = i == 0 ? &first : &other;
        t->size = 0;
        memcpy(text, data, size);
        builds[i]->run(t, way, text, size);
        if (i != 0 && (t->size != first.size || memcmp(t->bytes, first.bytes, t->size) != 0))
            return builds[i]->name;
    }
    return NULL;
}

#endif
