/* A sensor and its log: a ring of samples at the beginning of the flash.
 *
 * sensor_take() is called at a fixed rate, from an interrupt or a task; it waits for nothing. What
 * it takes goes to a queue in RAM, and sensor_store() moves it to flash: called from what may wait
 * a little, but not for a TLS handshake, which keeps a small processor busy for seconds. */
#ifndef SENSOR_H
#define SENSOR_H

#include "flash.h"

#define SENSOR_HZ 500u
#define SENSOR_PERIOD_MS (1000u / SENSOR_HZ)
/* In samples: what comes while the flash erases a sector. */
#define SENSOR_QUEUE 128u
#define SENSOR_LOG_BEGIN 0u
#define SENSOR_LOG_SIZE 65536u /* bytes of flash: 32 s */

/* The samples asked for are not in the log yet, or not any more. */
#define E_SENSOR (UNSB_E_USER - 12)

/* As it lies in the log, little-endian. */
typedef struct sensor_sample {
    uint16_t sequence; /* counts all that were due, so that a gap shows */
    int16_t value;
} sensor_sample;

/* Takes the sample that is due now, into the queue. One that finds it full is missed. */
void sensor_take(void);
/* Moves what is in the queue to flash, unless that is busy: UNSB_OK, or the flash's error. */
int sensor_store(void);
uint32_t sensor_taken(void);  /* how many were due so far */
uint32_t sensor_missed(void); /* how many of them are not in the log */
uint32_t sensor_stored(void);

/* A window of stored samples, for unsb_source: `first` counts from the first one ever stored. */
typedef struct sensor_window {
    uint32_t first, count;
} sensor_window;

unsb_source sensor_source(sensor_window *window);

#endif
