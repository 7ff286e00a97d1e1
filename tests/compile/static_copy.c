/* One of two static copies in one program; each calls all there is, so that a missing one shows. */
#define UNSB_STATIC 1
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"

#ifndef COPY
#error "define COPY: the function this copy offers"
#endif

#ifdef __cplusplus
extern "C" {
#endif
typedef void (*any_function)(void);
any_function COPY(unsigned i);
any_function COPY(unsigned i)
{
    static const any_function all[] = {
        (any_function)unsb_base64_encode,    (any_function)unsb_base64_encode_end,
        (any_function)unsb_base64_decode,    (any_function)unsb_base64_decode_end,
        (any_function)unsb_json_reader_init, (any_function)unsb_json_read,
        (any_function)unsb_json_read_end,    (any_function)unsb_json_integer,
        (any_function)unsb_json_writer_init, (any_function)unsb_json_object_begin,
        (any_function)unsb_json_object_end,  (any_function)unsb_json_array_begin,
        (any_function)unsb_json_array_end,   (any_function)unsb_json_key,
        (any_function)unsb_json_string,      (any_function)unsb_json_number,
        (any_function)unsb_json_bool,        (any_function)unsb_json_null,
        (any_function)unsb_json_writer_end,  (any_function)unsb_http_init,
        (any_function)unsb_http_feed,        (any_function)unsb_http_end,
        (any_function)unsb_text,             (any_function)unsb_bytes,
        (any_function)unsb_into,             (any_function)unsb_init,
        (any_function)unsb_execute,          (any_function)unsb_execute_async,
        (any_function)unsb_run,              (any_function)unsb_run_async,
        (any_function)unsb_job_get,          (any_function)unsb_job_wait,
        (any_function)unsb_job_list,         (any_function)unsb_job_cancel,
        (any_function)unsb_languages,        (any_function)unsb_key_validate,
        (any_function)unsb_request,          (any_function)unsb_poll,
        (any_function)unsb_interest,         (any_function)unsb_abort,
        (any_function)unsb_close,            (any_function)unsb_error_text,
        (any_function)unsb_version,          (any_function)unsb_url_split};

    return i < sizeof all / sizeof *all ? all[i] : NULL;
}
#ifdef __cplusplus
}
#endif
