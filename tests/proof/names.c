/* What the proofs of HTTP, events and values rely on: a name that is looked up, and a result that
 * is cleared. */
#include "proof.h"

#define TEXT_MAX 40 /* what the router gathers; and more than any name has */

static void find_of(const char *names, size_t n, uint8_t fold, size_t size)
{
    char text[TEXT_MAX];
    uint8_t found = unsbi_find(names, text + TEXT_MAX - size, size, fold); /* up to its end */

    prove(found == UNSBI_NO_WORD || found < n, "one of them, or none");
}

static void find(const char *names, size_t n, uint8_t fold)
{
    size_t size;

    for (size = 0; size <= TEXT_MAX; size++)
        find_of(names, n, fold, size);
}

#define FIND(fields) find(fields##_names, sizeof fields##_field / sizeof(unsbi_field), 0)

void names_find(void)
{
    FIND(unsbi_refusal_fields);
    FIND(unsbi_outcome_fields);
    FIND(unsbi_artifact_fields);
    FIND(unsbi_list_fields);
    FIND(unsbi_key_fields);
    FIND(unsbi_call_fields);
    find(unsbi_words, 12, 0x20);
    find(unsbi_http_fields, UNSBI_FIELD_TRANSFER_ENCODING + 1, 0x20);
    find(unsbi_http_tokens, UNSBI_TOKEN_KEEP_ALIVE + 1, 0x20);
}

void names_clear(void)
{
    unsb_client c;
    unsb_result r, was;
    unsbi_op op;
    size_t i = some_size(offsetof(unsb_result, given) - 1);

    was = r;
    c.op = &op;
    c.result = &r;
    unsbi_result_reset(&c);
    prove(((char *)&r)[i] == ((char *)&was)[i], "what is before is the caller's, and stays");
    prove(r.given == 0 && r.status == UNSB_STATUS_NONE && r.error[0] == '\0' &&
              r.message[sizeof r.message - 1] == '\0', "nothing is told");
    prove((op.flags & UNSBI_OP_BY_ID) != 0 ? r.job_id[0] == was.job_id[0] : r.job_id[0] == '\0',
          "the name stays where it was asked by");
}

/* A text of the result is looked at as far as its NUL. */
void names_words(void)
{
    char text[12];

    text[sizeof text - 1] = '\0';
    (void)unsbi_has_word(text, "timestamp");
    prove(!unsbi_is_job_id(text) || (text[0] != '\0' && (text[0] != '.' || text[1] != '\0')),
          "a name, and not the directory");
}
