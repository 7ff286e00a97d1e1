/* What the device is for, over any transport: it has its samples analysed, goes on sampling
 * meanwhile, and fetches an image.
 *
 *     1. As soon as there are enough samples: a spectrum (programs/spectrum.py), in one call.
 *     2. Later their trend (programs/trend.py), which takes long: submitted as a job, then polled.
 *     3. A compiled image (programs/image.c), piece by piece into flash; then its SHA-256 is
 *        compared with what the program printed. */
#ifndef APP_H
#define APP_H

#include <bearssl.h>

#include "sensor.h"
#include "unsandbox.h"

/* A program's answer is not what the app sent it for. */
#define E_APP_ANSWER (UNSB_E_USER - 20)
/* The image is not the one that was meant. */
#define E_APP_IMAGE (UNSB_E_USER - 21)

#define APP_IMAGE_BEGIN SENSOR_LOG_SIZE
#define APP_IMAGE_LIMIT (SENSOR_LOG_SIZE + 262144u)

/* What the programs answer, out of their JSON; see read_answer(). */
typedef struct app_answer {
    unsb_json_reader reader;
    char key[20];
    uint8_t key_size;
    uint8_t peak_count;
    int error; /* the first one */
    int32_t samples, missing;
    int32_t slope_milli, low_milli, high_milli;
    struct {
        int32_t millihertz, amplitude;
    } peaks[2];
} app_answer;

typedef struct app {
    /* set by the caller; the rest zero */
    unsb_config config; /* without buffer */
    /* private */
    uint8_t step;
    bool running;          /* an operation is pending */
    uint32_t step_samples; /* how many there were when it began */
    unsb_client client;
    unsb_program program;
    unsb_file file;
    sensor_window window;
    unsb_result result;
    char buffer[512];
    char text[80]; /* the image's SHA-256 as printed there */
    app_answer answer;
    flash_stream image;
} app;

/* Returns what unsb_init() does. */
int app_start(app *a);
/* Does what can be done now. With a non-blocking client it returns soon: UNSB_PENDING until all
 * three steps are over. UNSB_OK, or what went wrong. */
int app_poll(app *a);
/* true: nothing to do until something arrives or time passes, so that the processor may sleep. */
bool app_idle(app *a);
void app_end(app *a);

#endif
