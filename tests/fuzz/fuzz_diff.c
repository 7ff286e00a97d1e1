/* libFuzzer: fast and compact builds must answer alike. The first three bytes choose the
 * part, the pieces and an option: see diff.h. Built with diff_*.c. */
#include "diff.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    diff_way way;
    uint8_t *work;
    const char *name;

    if (size < 3)
        return 0;
    way.part = data[0] % DIFF_PARTS;
    way.piece = data[1] % 140;
    way.option = data[2];
    data += 3;
    size -= 3;
    work = (uint8_t *)malloc(DIFF_WORK(size));
    if (work == NULL)
        abort();
    name = diff_check(&way, data, size, work);
    if (name != NULL) {
        fprintf(stderr, "%s differs from diff_fast\n", name);
        abort();
    }
    free(work);
    return 0;
}
