/* What the suites of the parts share: memory that ends at a page which must not be touched, texts
 * cut into pieces in every way, and random numbers that are the same in every run. */
#ifndef GUARD_H
#define GUARD_H

/* 1: the page behind the memory faults, so that reads beyond it are found, too. 0, where there is
 * no mprotect: bytes behind it get a pattern, and must still have it when the memory is used
 * again. */
#ifndef GUARD_PAGES
#if (defined(__unix__) || defined(__APPLE__)) && !defined(__EMSCRIPTEN__)
#define GUARD_PAGES 1
#else
#define GUARD_PAGES 0
#endif
#endif

#if GUARD_PAGES
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

/* ---- guarded memory ---- */

#define GUARD_FRONT 32
#define GUARD_BEHIND 64 /* without pages */
#define GUARD_PATTERN 0xA5

typedef struct guard {
    uint8_t *base;
    size_t capacity;
    size_t page;
} guard;

static inline bool guard_pattern(const uint8_t *p, size_t size)
{
    while (size-- > 0)
        if (*p++ != GUARD_PATTERN)
            return false;
    return true;
}

#if GUARD_PAGES
static inline guard guard_open(size_t capacity)
{
    guard g;
    int zero = open("/dev/zero", O_RDWR);

    g.page = (size_t)sysconf(_SC_PAGESIZE);
    g.capacity = (capacity + GUARD_FRONT + g.page - 1) / g.page * g.page;
    assert_true(zero >= 0);
    g.base = (uint8_t *)mmap(NULL, g.capacity + g.page, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero,
                             0);
    close(zero);
    assert_true((void *)g.base != MAP_FAILED);
    assert_int_equal(mprotect(g.base + g.capacity, g.page, PROT_NONE), 0);
    return g;
}

static inline bool guard_behind(const guard *g)
{
    (void)g;
    return true; /* or it had crashed */
}

static inline void guard_close(guard *g)
{
    munmap(g->base, g->capacity + g->page);
}
#else
static inline guard guard_open(size_t capacity)
{
    guard g;

    g.page = GUARD_BEHIND;
    g.capacity = (capacity + GUARD_FRONT + 15) / 16 * 16;
    g.base = (uint8_t *)malloc(g.capacity + g.page);
    assert_non_null(g.base);
    memset(g.base + g.capacity, GUARD_PATTERN, g.page);
    return g;
}

static inline bool guard_behind(const guard *g)
{
    return guard_pattern(g->base + g->capacity, g->page);
}

static inline void guard_close(guard *g)
{
    bool whole = guard_behind(g);

    free(g->base);
    assert_true(whole);
}
#endif

/* The last `size` bytes before those that must not be touched. Those in front of them get a
 * pattern. */
static inline uint8_t *guard_room(const guard *g, size_t size)
{
    uint8_t *p = g->base + g->capacity - size;

    assert_true(size + GUARD_FRONT <= g->capacity);
    assert_true(guard_behind(g));
    memset(p - GUARD_FRONT, GUARD_PATTERN, GUARD_FRONT);
    return p;
}

static inline char *guard_put(const guard *g, const void *data, size_t size)
{
    uint8_t *p = guard_room(g, size);

    memcpy(p, data, size);
    return (char *)p;
}

/* Are the bytes around the last guard_room() of this size as they were? */
static inline bool guard_intact(const guard *g, size_t size)
{
    return guard_behind(g) &&
           guard_pattern(g->base + g->capacity - size - GUARD_FRONT, GUARD_FRONT);
}

/* ---- random numbers (splitmix64) ---- */

/* The seed is printed; UNSB_TEST_SEED in the environment gives another one. */
static inline uint64_t random_seed(uint64_t seed)
{
    const char *given = getenv("UNSB_TEST_SEED");

    if (given != NULL)
        seed = strtoull(given, NULL, 0);
    print_message("seed %llu\n", (unsigned long long)seed);
    return seed;
}

static inline uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state += 0x9E3779B97F4A7C15u;

    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static inline size_t random_below(uint64_t *state, size_t limit)
{
    return (size_t)(random_next(state) % limit);
}

static inline void random_bytes(uint64_t *state, uint8_t *out, size_t size)
{
    while (size--)
        *out++ = (uint8_t)random_next(state);
}

/* ---- texts in pieces ----
 *
 * for (v = 0; v < cut_ways(size); v++) {
 *     cut c = cut_start(v, size, &seed);
 *     while (cut_next(&c))
 *         feed(text + c.at, c.size);
 * } */

typedef struct cut {
    size_t at, size; /* the piece */
    size_t total, split;
    uint64_t *seed; /* NULL: not at random */
    bool bytes, begun;
} cut;

#define CUT_RANDOM 6 /* how often a text is cut at random */

/* Whole, split in two at every point, byte by byte, and at random. */
static inline size_t cut_ways(size_t total)
{
    return total + 1 + CUT_RANDOM;
}

/* For texts too long to be split at every point: whole, byte by byte, and at random. */
static inline size_t cut_first_long(size_t total)
{
    return total;
}

static inline cut cut_start(size_t way, size_t total, uint64_t *seed)
{
    cut c;

    memset(&c, 0, sizeof c);
    c.total = total;
    c.split = way < total ? way : total;
    c.bytes = way == total;
    c.seed = way > total ? seed : NULL;
    return c;
}

static inline cut cut_whole(size_t total)
{
    return cut_start(0, total, NULL);
}

/* The next piece, which is empty at times; false at the end. An empty text is one empty piece. */
static inline bool cut_next(cut *c)
{
    c->at += c->size;
    if (c->at == c->total && c->begun)
        return false;
    c->begun = true;
    c->size = c->total - c->at;
    if (c->bytes && c->size > 1)
        c->size = 1;
    if (c->seed != NULL) {
        size_t most = random_below(c->seed, 4) == 0 ? 64 : 8;
        size_t size = random_below(c->seed, most);
        c->size = size < c->size ? size : c->size;
    } else if (c->at < c->split && c->split < c->total) {
        c->size = c->split - c->at;
    }
    return true;
}

#endif
