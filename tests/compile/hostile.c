/* Macros that other headers are known to leave behind. */
#define min(a, b) hostile min
#define max(a, b) hostile max
#define stdin hostile
#define stdout hostile
#define stderr hostile
#define errno hostile
#define OUT hostile
#define IN hostile
#define ERROR hostile
#define small hostile
#define near hostile
#define far hostile
#define interface hostile
#define BOOL hostile
#define CONST hostile
#define OPTIONAL hostile
#define TEXT(text) hostile text
#define STATUS hostile
#define linux hostile
#define I hostile
#define INT32 hostile
#define INT64 hostile
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"
