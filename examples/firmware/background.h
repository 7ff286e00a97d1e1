/* Sampling in the background of a program that is one loop: taken by the timer's interrupt, stored
 * by the deferred one, however long a turn of the loop lasts. */
#ifndef BACKGROUND_H
#define BACKGROUND_H

/* UNSB_OK, or the first error that storing has met. */
int background_error(void);

#endif
