/* What ours.c and curl.c share: the work, and how it is measured. */
#ifndef ENDS_H
#define ENDS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <valgrind/callgrind.h>

#define KEY "unsb-sk-test0-vault-unlck-12345"
#define HELLO_CODE "print(\"hello world\")"
#define FILE_SIZE 5000000 /* two of them are uploaded */
#define LARGE "large-100" /* the language that makes the peer answer with 100 MB */
#define LARGE_LEAST 97000000

/* How the work is done: each call on a connection of its own, with and without TLS resumption, or
 * all on one. */
typedef enum way { FRESH, RESUMED, KEPT } way;
typedef enum work { HELLO, UPLOAD, DOWNLOAD } work;

static way the_way;
static work the_work;
static unsigned the_times;

static inline void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "failed: %s\n", what);
        exit(1);
    }
}

/* fresh|resumed|kept|upload|download TIMES URL CA */
static inline void parse(int argc, char **argv)
{
    static const char names[][10] = {"fresh", "resumed", "kept", "upload", "download"};
    unsigned i;

    check(argc == 5, "usage: fresh|resumed|kept|upload|download TIMES URL CA");
    for (i = 0; i < 5 && strcmp(argv[1], names[i]) != 0; i++)
        ;
    check(i < 5, "no such way");
    the_way = i < 3 ? (way)i : KEPT;
    the_work = i < 3 ? HELLO : i == 3 ? UPLOAD : DOWNLOAD;
    the_times = (unsigned)strtoul(argv[2], NULL, 10);
}

static inline void file_bytes(void *out, size_t offset, size_t size)
{
    unsigned char *p = (unsigned char *)out;
    size_t i;

    for (i = 0; i < size; i++)
        p[i] = (unsigned char)((offset + i) * 2654435761u >> 13);
}

static struct timespec wall_start;
static struct rusage cpu_start;

static inline void measure_begin(void)
{
    getrusage(RUSAGE_SELF, &cpu_start);
    clock_gettime(CLOCK_MONOTONIC, &wall_start);
}

static inline double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static inline void measure_end(unsigned long sends)
{
    struct timespec now;
    struct rusage cpu;
    char line[200];
    long peak = 0;
    FILE *f;

    clock_gettime(CLOCK_MONOTONIC, &now);
    getrusage(RUSAGE_SELF, &cpu);
    /* not ru_maxrss, which remembers the process before exec */
    f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            peak = strtol(line + 6, NULL, 10);
    if (f != NULL)
        fclose(f);
    printf("{\"wall_s\": %.6f, \"cpu_s\": %.6f, \"peak_kb\": %ld, \"sends\": %lu}\n",
           (double)(now.tv_sec - wall_start.tv_sec) +
               (double)(now.tv_nsec - wall_start.tv_nsec) / 1e9,
           seconds(cpu.ru_utime) - seconds(cpu_start.ru_utime) + seconds(cpu.ru_stime) -
               seconds(cpu_start.ru_stime),
           peak, sends);
}

#endif
