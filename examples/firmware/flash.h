/* A flash chip, as far as a program can tell: it is read like memory, erased by sector to ones, and
 * programmed by word, which can only clear bits. Here a part of the board's memory stands for it;
 * a real driver has the same three functions. */
#ifndef FLASH_H
#define FLASH_H

#include "unsandbox.h"

#define FLASH_SECTOR 4096u
#define FLASH_WORD 4u

/* Outside of the chip, not at a word's or sector's start, or programmed where it was not erased. */
#define E_FLASH (UNSB_E_USER - 10)
/* Whoever was interrupted is erasing or programming: try again later. */
#define E_FLASH_BUSY (UNSB_E_USER - 11)

uint32_t flash_size(void);
int flash_read(uint32_t at, void *data, size_t size);
int flash_erase(uint32_t sector_at);
int flash_program(uint32_t at, const void *data, size_t size);

/* ---- a stream into a part of it: pieces of any size, sectors erased as they are reached ---- */

typedef struct flash_stream {
    uint32_t begin, limit; /* the part: from the start of one sector to that of another */
    uint32_t size;         /* of what was written */
    uint8_t word[FLASH_WORD];
} flash_stream;

void flash_stream_open(flash_stream *stream, uint32_t begin, uint32_t limit);
int flash_stream_write(flash_stream *stream, const void *data, size_t size);
/* Writes the last, incomplete word. */
int flash_stream_close(flash_stream *stream);

#endif
