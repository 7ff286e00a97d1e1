/* batch_llhttp FILE: how llhttp, the parser of Node.js, reads each HTTP response of a batch. */
#include "batch.h"
#include "llhttp.h"

static batch_response response;
static int is_head;
static uint16_t head_flags; /* those of the head; trailers may change them, too */

static int on_headers_complete(llhttp_t *parser)
{
    head_flags = parser->flags;
    return is_head; /* 1: there is no body */
}

static int on_body(llhttp_t *parser, const char *data, size_t size)
{
    batch_response *r = &response;

    if (parser->status_code >= 200) /* of an interim response it belongs to none */
        batch_body(r, data, size);
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    if (parser->status_code < 200 && parser->status_code >= 100 && parser->status_code != 101)
        return 0; /* the next one counts */
    parser->flags = (uint16_t)(head_flags | (is_head ? F_SKIPBODY : 0));
    response.status = parser->status_code;
    response.close = !llhttp_should_keep_alive(parser);
    response.framing = is_head || response.status == 204 || response.status == 304 ? 'n'
                       : (parser->flags & F_CHUNKED) != 0                          ? 'c'
                       : (parser->flags & F_CONTENT_LENGTH) != 0 &&
                               (parser->flags & F_TRANSFER_ENCODING) == 0          ? 'l'
                                                                                   : 'e';
    return HPE_PAUSED;
}

static void one(char *data, size_t size, int way)
{
    static llhttp_settings_t settings;
    llhttp_t parser;
    llhttp_errno_t rc = HPE_OK;
    size_t piece = (size_t)(way & BATCH_PIECE), n;

    memset(&response, 0, sizeof response);
    is_head = (way & BATCH_OPTION) != 0;
    llhttp_settings_init(&settings);
    settings.on_headers_complete = on_headers_complete;
    settings.on_body = on_body;
    settings.on_message_complete = on_message_complete;
    llhttp_init(&parser, HTTP_RESPONSE, &settings);
    while (response.end < size && rc == HPE_OK) {
        n = piece != 0 && piece < size - response.end ? piece : size - response.end;
        rc = llhttp_execute(&parser, data + response.end, n);
        response.end = rc == HPE_OK ? response.end + n
                                    : (size_t)(llhttp_get_error_pos(&parser) - data);
    }
    if (rc == HPE_OK)
        rc = llhttp_finish(&parser);
    if (response.status != 0 && (rc == HPE_OK || rc == HPE_PAUSED)) {
        batch_print(&response);
        puts("");
    } else if (rc == HPE_OK || rc == HPE_INVALID_EOF_STATE) {
        puts("~");
    } else {
        printf("-%s\n", llhttp_errno_name(rc));
    }
}

int main(int argc, char **argv)
{
    return argc == 2 ? batch_run(argv[1], one) : 2;
}
