/* What kind of machine this is, as a line of text. */
#ifndef FACTS_H
#define FACTS_H

#include <limits.h>
#include <stdint.h>
#include <stdio.h>

static inline void print_facts(void)
{
    const uint32_t one = 1;
    int first = *(const unsigned char *)&one;

    printf("# machine: int %u, pointer %u, %s-endian, char %s\n",
           (unsigned)(sizeof(int) * CHAR_BIT), (unsigned)(sizeof(void *) * CHAR_BIT),
           first == 1 ? "little" : "big", CHAR_MIN < 0 ? "signed" : "unsigned");
}

#endif
