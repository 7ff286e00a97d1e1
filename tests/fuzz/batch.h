/* What the programs that read a batch share. A batch is a file of cases: four bytes of size, the
 * lowest first, a byte that says how the case is to be read, and so many bytes. The program prints
 * one line for each, which batch.py compares. */
#ifndef BATCH_H
#define BATCH_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_PIECE 0x3F  /* of the byte: feed so many bytes at a time; 0: all at once */
#define BATCH_SKIP 0x40   /* JSON: pass some values over */
#define BATCH_OPTION 0x80 /* JSON: lenient; HTTP: the request was HEAD */

static void batch_check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

/* Calls `one` with each case, in memory of its own size: a sanitizer sees what is beyond. */
static int batch_run(const char *path, void (*one)(char *data, size_t size, int way))
{
    FILE *file = fopen(path, "rb");
    unsigned char head[5];

    batch_check(file != NULL, "no such batch");
    while (fread(head, 1, sizeof head, file) == sizeof head) {
        size_t size = (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
        char *data = (char *)malloc(size != 0 ? size : 1);
        batch_check(head[3] == 0 && data != NULL, "too large");
        batch_check(fread(data, 1, size, file) == size, "the batch breaks off");
        one(data, size, head[4]);
        free(data);
    }
    batch_check(feof(file) && fclose(file) == 0 && fflush(stdout) == 0, "not read or not written");
    return 0;
}

/* An HTTP response, as the line tells of it */
typedef struct batch_response {
    int status;
    char framing; /* n: no body, l: length, c: chunks, e: until the end of the stream */
    int close;    /* the connection cannot be used again */
    size_t end;   /* where it ends */
    size_t size;  /* of the body, and its checksum: FNV-1a of 32 bits */
    uint32_t sum;
} batch_response;

static void batch_body(batch_response *r, const char *data, size_t size)
{
    size_t i;

    if (r->size == 0)
        r->sum = 0x811C9DC5u;
    for (i = 0; i < size; i++)
        r->sum = (r->sum ^ (unsigned char)data[i]) * 0x01000193u;
    r->size += size;
}

/* "+" is a whole response; the line goes on. */
static void batch_print(const batch_response *r)
{
    printf("+ %d %c %d %lu %lu %08lx", r->status, r->framing, r->close, (unsigned long)r->end,
           (unsigned long)r->size, (unsigned long)(r->size != 0 ? r->sum : 0));
}

#endif
