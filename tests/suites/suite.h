/* What every suite includes first: cmocka, and the library with its private parts. */
#ifndef SUITE_H
#define SUITE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#include <cmocka.h> /* which does not say so itself */
}
#else
#include <cmocka.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"
#include "options.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

#endif
