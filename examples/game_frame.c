/* A game's loop at 144 Hz, which has its levels generated and a path through each found elsewhere,
 * over TLS, without ever waiting for it: each frame polls once. Prints a histogram of how long
 * unsb_poll() took, and the worst frame. With GAME_SDL 1 it is drawn by SDL2, else it is text:
 * game_frame [LEVELS] */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox_desktop.h"
#include <time.h>
#ifndef GAME_SDL
#define GAME_SDL 0
#endif
#if GAME_SDL
#include <SDL2/SDL.h>
#endif

enum { WIDTH = 32, HEIGHT = 18, FRAME_US = 1000000 / 144, BUCKETS = 16, FRAMES_MAX = 144 * 60 };

/* A maze by random walks, and the way from corner to corner by breadth-first search. */
static const char generator[] =
    "import os, random\n"
    "W, H, seed = 32, 18, int(os.environ['SEED'])\n"
    "random.seed(seed)\n"
    "m = [['#' if random.random() < 0.3 else '.' for _ in range(W)] for _ in range(H)]\n"
    "x = y = 0\n"
    "while (x, y) != (W - 1, H - 1):  # one way there must be\n"
    "    m[y][x] = '.'\n"
    "    if y == H - 1 or (x < W - 1 and random.random() < 0.6): x += 1\n"
    "    else: y += 1\n"
    "m[y][x] = '.'\n"
    "came, queue = {(0, 0): None}, [(0, 0)]\n"
    "for x, y in queue:\n"
    "    for q in (x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1):\n"
    "        if 0 <= q[0] < W and 0 <= q[1] < H and m[q[1]][q[0]] == '.' and q not in came:\n"
    "            came[q] = (x, y)\n"
    "            queue.append(q)\n"
    "at = (W - 1, H - 1)\n"
    "while at: m[at[1]][at[0]], at = '*', came[at]\n"
    "print('\\n'.join(map(''.join, m)))\n";

static unsb_desktop d;
static char level[2048], seed[16], why[UNSB_DESKTOP_TEXT];
static unsigned long histogram[BUCKETS]; /* by powers of two of a microsecond */

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

#if GAME_SDL
static SDL_Window *window;
static SDL_Renderer *renderer;

static bool draw_open(void)
{
    return SDL_Init(SDL_INIT_VIDEO) == 0 &&
           SDL_CreateWindowAndRenderer(WIDTH * 20, HEIGHT * 20, 0, &window, &renderer) == 0;
}

static void draw(const char *map, unsigned long frame)
{
    SDL_Event event;
    int x, y;

    while (SDL_PollEvent(&event)) {
    }
    SDL_SetRenderDrawColor(renderer, 16, 20, 28, 255);
    SDL_RenderClear(renderer);
    for (y = 0; y < HEIGHT; y++)
        for (x = 0; x < WIDTH; x++) {
            SDL_Rect tile = {x * 20 + 1, y * 20 + 1, 18, 18};
            char c = map[y * (WIDTH + 1) + x];
            if (c == '#')
                SDL_SetRenderDrawColor(renderer, 70, 90, 130, 255);
            else if (c == '*')
                SDL_SetRenderDrawColor(renderer, 240, 190, 60, 255);
            else
                SDL_SetRenderDrawColor(renderer, 30, 36, 48, 255);
            SDL_RenderFillRect(renderer, &tile);
        }
    { /* something that shows each frame */
        SDL_Rect bar = {(int)(frame * 3 % (WIDTH * 20)), HEIGHT * 20 - 4, 40, 4};
        SDL_SetRenderDrawColor(renderer, 220, 80, 80, 255);
        SDL_RenderFillRect(renderer, &bar);
    }
    SDL_RenderPresent(renderer);
}

/* A picture of what is on the screen, where GAME_PICTURE names a file for it. */
static void draw_close(void)
{
    const char *path = getenv("GAME_PICTURE");
    SDL_Surface *s = SDL_CreateRGBSurface(0, WIDTH * 20, HEIGHT * 20, 32, 0xFF0000, 0xFF00, 0xFF,
                                          0xFF000000);
    if (path != NULL && s != NULL &&
        SDL_RenderReadPixels(renderer, NULL, SDL_PIXELFORMAT_ARGB8888, s->pixels, s->pitch) == 0)
        SDL_SaveBMP(s, path);
    SDL_FreeSurface(s);
    SDL_DestroyRenderer(renderer);
    SDL_DestroyWindow(window);
    SDL_Quit();
}
#else
static bool draw_open(void)
{
    return true;
}

static void draw(const char *map, unsigned long frame)
{
    (void)map;
    (void)frame;
}

static void draw_close(void)
{
}
#endif

/* One poll, and how long it took. */
static int timed_poll(void)
{
    uint64_t from = now_us(), took;
    int rc = unsb_poll(&d.client), bucket = 0;

    for (took = now_us() - from; took > 1 && bucket < BUCKETS - 1; took /= 2)
        bucket++;
    histogram[bucket]++;
    return rc;
}

static void frame_end(uint64_t began, uint64_t *worst)
{
    uint64_t took = now_us() - began;

    if (took > *worst)
        *worst = took;
    if (took < FRAME_US)
        nanosleep(&(struct timespec){.tv_nsec = (long)(FRAME_US - took) * 1000}, NULL);
}

static void report(unsigned long frames, uint64_t worst)
{
    int i;

    for (i = 0; i < BUCKETS; i++)
        if (histogram[i] != 0)
            printf("  below %6lu us: %lu polls\n", 2ul << i, histogram[i]);
    printf("the worst frame of %lu took %lu us of its %d\n", frames, (unsigned long)worst,
           FRAME_US);
}

int main(int argc, char **argv)
{
    static char map[HEIGHT * (WIDTH + 1) + 2];
    int wanted = argc > 1 ? atoi(argv[1]) : 3, levels = 0, rc;
    unsigned long frames = 0;
    uint64_t worst = 0;
    unsb_desktop_options options = {.nonblocking = true};
    unsb_env env = {"SEED", seed};
    unsb_program program = {
        .language = "python", .code = unsb_text(generator), .env = &env, .env_count = 1};
    unsb_result result = {.out = unsb_into(level, sizeof level)};
    bool asked = false;

    memset(map, '.', sizeof map - 2);
    if (!draw_open()) {
        fprintf(stderr, "there is no screen\n");
        return 2;
    }
    rc = unsb_desktop_open(&d, &options);
    while (rc == UNSB_OK && levels < wanted && frames < FRAMES_MAX) {
        uint64_t began = now_us();

        if (!asked) {
            snprintf(seed, sizeof seed, "%d", levels + 1);
            rc = unsb_execute(&d.client, &program, &result);
            asked = true;
        } else {
            rc = timed_poll();
        }
        if (rc == UNSB_OK) {
            if (!result.success || result.out.size != sizeof map - 2)
                break;
            memcpy(map, level, sizeof map - 2); /* the next level is here */
            levels++;
            asked = false;
        } else if (rc == UNSB_PENDING) {
            rc = UNSB_OK;
        }
        draw(map, frames++);
        frame_end(began, &worst);
    }
    if (rc != UNSB_OK || levels < wanted)
        fprintf(stderr, "%s\n", unsb_desktop_explain(&d, rc, &result, why, sizeof why));
    printf("%s", GAME_SDL ? "" : map);
    report(frames, worst);
    draw_close();
    unsb_desktop_close(&d);
    return rc == UNSB_OK && levels == wanted ? 0 : 1;
}
