/* The implementation, with its macro left defined: later inclusions do nothing. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"
#include "unsandbox.h"
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"
