/* See flash.h. */
#include "flash.h"

extern uint8_t link_storage[], link_storage_size[];

uint32_t flash_size(void)
{
    return (uint32_t)(uintptr_t)link_storage_size;
}

static bool inside(uint32_t at, size_t size)
{
    return at <= flash_size() && size <= flash_size() - at;
}

int flash_read(uint32_t at, void *data, size_t size)
{
    if (!inside(at, size))
        return E_FLASH;
    memcpy(data, link_storage + at, size);
    return UNSB_OK;
}

/* Set while the chip works. Who comes second has interrupted who came first, and must not wait. */
static volatile bool busy;

int flash_erase(uint32_t sector_at)
{
    if (!inside(sector_at, FLASH_SECTOR) || sector_at % FLASH_SECTOR != 0)
        return E_FLASH;
    if (busy)
        return E_FLASH_BUSY;
    busy = true;
    memset(link_storage + sector_at, 0xFF, FLASH_SECTOR);
    busy = false;
    return UNSB_OK;
}

int flash_program(uint32_t at, const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    size_t i;

    if (!inside(at, size) || at % FLASH_WORD != 0 || size % FLASH_WORD != 0)
        return E_FLASH;
    if (busy)
        return E_FLASH_BUSY;
    busy = true;
    for (i = 0; i < size; i++)
        link_storage[at + i] &= p[i];
    busy = false;
    return memcmp(link_storage + at, data, size) == 0 ? UNSB_OK : E_FLASH;
}

void flash_stream_open(flash_stream *stream, uint32_t begin, uint32_t limit)
{
    stream->begin = begin;
    stream->limit = limit;
    stream->size = 0;
}

/* The word that `size` ends in is complete, or is to be written as it is. */
static int write_word(flash_stream *stream)
{
    uint32_t at = stream->begin + (stream->size - 1) / FLASH_WORD * FLASH_WORD;
    int rc = UNSB_OK;

    if (at >= stream->limit)
        return E_FLASH;
    if (at % FLASH_SECTOR == 0)
        rc = flash_erase(at);
    return rc == UNSB_OK ? flash_program(at, stream->word, FLASH_WORD) : rc;
}

int flash_stream_write(flash_stream *stream, const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    int rc = UNSB_OK;

    while (size-- != 0 && rc == UNSB_OK) {
        stream->word[stream->size++ % FLASH_WORD] = *p++;
        if (stream->size % FLASH_WORD == 0)
            rc = write_word(stream);
    }
    return rc;
}

int flash_stream_close(flash_stream *stream)
{
    size_t i;

    if (stream->size % FLASH_WORD == 0)
        return UNSB_OK;
    for (i = stream->size % FLASH_WORD; i < FLASH_WORD; i++)
        stream->word[i] = 0xFF;
    return write_word(stream);
}
