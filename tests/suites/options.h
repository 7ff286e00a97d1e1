/* Suites of a library that has options left out (tests/options.sh). What they then miss is there
 * for their compiler, and has no effect: each struct has the members that it lacks, behind those
 * that it has (gcc's -fplan9-extensions), and each operation skips the test that calls it. A test
 * that needs more says needs(UNSB_FILES), and is skipped by its name. In the library as a whole
 * none of this does anything. */
#ifndef OPTIONS_H
#define OPTIONS_H

/* Skips the test, and says for want of which option on the line before its name. */
#define needs(option)                                                                              \
    do {                                                                                           \
        if (!(option)) {                                                                           \
            printf("# needs %s\n", #option);                                                       \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

/* What can be told of these. */
#define GIVEN(bits)                                                                                \
    (UNSB_DETAILS ? (bits)                                                                         \
                  : (bits) & (UNSB_GIVEN_SUCCESS | UNSB_GIVEN_EXIT_CODE | UNSB_GIVEN_RETRY_AFTER))

/* The bytes of a result that the library knows. */
static const size_t own_result_size = sizeof(unsb_result);

#ifdef WITHOUT_OPTIONS

#if !UNSB_FILES
typedef struct unsb_file {
    const char *name;
    unsb_source source;
} unsb_file;
#endif

typedef struct wide_program {
    struct unsb_program;
#if !UNSB_SETTINGS
    const unsb_env *env;
    size_t env_count;
    unsb_network network;
    uint16_t ttl_s;
    uint8_t vcpu;
    const char *extra;
#endif
#if !UNSB_FILES
    const unsb_file *files;
    size_t file_count;
#endif
#if !UNSB_ARTIFACTS
    bool return_artifact, return_wasm_artifact;
#endif
} wide_program;

#if !UNSB_ARTIFACTS
typedef struct unsb_artifact {
    unsigned index;
    const char *filename, *info;
    const void *data;
    size_t size;
    int64_t total;
    bool wasm, end, failed;
} unsb_artifact;
#endif

typedef struct wide_config {
    struct unsb_config;
#if !UNSB_RETRIES
    uint8_t retries;
#endif
#if !UNSB_KEEP_ALIVE
    bool no_keep_alive;
    uint32_t keep_alive_ms;
#endif
#if !UNSB_JOBS
    uint8_t wait_failures;
    uint16_t wait_pause_ms;
#endif
} wide_config;

typedef struct wide_result {
    struct unsb_result;
#if !UNSB_ARTIFACTS
    unsb_output artifact_name;
    int (*on_artifact)(void *context, const unsb_artifact *artifact);
    int64_t artifact_size;
    char artifact_info[48];
#endif
#if !UNSB_LISTS
    int (*on_item)(void *context, const struct wide_result *item);
#endif
#if !UNSB_DETAILS
    int32_t active_executions, concurrency_limit;
    int64_t total_time_ms, created_at, started_at, completed_at;
    char detected_language[32], language[32], execution_mode[16], network_mode[16];
    char submitted_at[32], challenge_id[48];
#endif
} wide_result;

#if !UNSB_KEYS
typedef struct unsb_key {
    bool valid;
    char reason[64], tier[24];
    int32_t rate_per_minute, burst, concurrency;
    int64_t expires_at;
} unsb_key;
#endif

#if !UNSB_REQUEST
typedef struct unsb_header {
    const char *name, *value;
} unsb_header;

typedef enum unsb_answer { UNSB_ANSWER_RAW, UNSB_ANSWER_RESULT, UNSB_ANSWER_OUTCOME } unsb_answer;

typedef struct unsb_call {
    const char *method, *path, *content_type;
    unsb_source body;
    const unsb_header *headers;
    size_t header_count;
    unsb_answer answer;
    uint16_t ttl_s;
} unsb_call;
#endif

#if !UNSB_NUMBERS
typedef struct wide_json_reader {
    struct unsb_json_reader;
    int32_t exponent;
} wide_json_reader;
#define unsb_json_reader wide_json_reader
#endif

#define unsb_program wide_program
#define unsb_config wide_config
#define unsb_result wide_result

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define ABSENT(option, name, parameters)                                                           \
    __attribute__((unused)) static int name parameters                                             \
    {                                                                                              \
        printf("# needs %s\n", option);                                                            \
        skip();                                                                                    \
        return UNSB_E_ARGUMENT;                                                                    \
    }
#if !UNSB_JOBS
ABSENT("UNSB_JOBS", unsb_execute_async, (unsb_client *c, const unsb_program *p, unsb_result *r))
ABSENT("UNSB_JOBS", unsb_job_get, (unsb_client *c, const char *id, unsb_result *r))
ABSENT("UNSB_JOBS", unsb_job_wait, (unsb_client *c, const char *id, uint32_t ms, unsb_result *r))
ABSENT("UNSB_JOBS", unsb_job_cancel, (unsb_client *c, const char *id, unsb_result *r))
#endif
#if !UNSB_RUN
ABSENT("UNSB_RUN", unsb_run, (unsb_client *c, const unsb_program *p, unsb_result *r))
#endif
#if !UNSB_RUN || !UNSB_JOBS
ABSENT(UNSB_RUN ? "UNSB_JOBS" : "UNSB_RUN", unsb_run_async,
       (unsb_client *c, const unsb_program *p, unsb_result *r))
#endif
#if !UNSB_LISTS
ABSENT("UNSB_LISTS", unsb_job_list, (unsb_client *c, unsb_result *r))
ABSENT("UNSB_LISTS", unsb_languages, (unsb_client *c, unsb_result *r))
#endif
#if !UNSB_KEYS
ABSENT("UNSB_KEYS", unsb_key_validate, (unsb_client *c, unsb_key *k, unsb_result *r))
#endif
#if !UNSB_REQUEST
ABSENT("UNSB_REQUEST", unsb_request, (unsb_client *c, const unsb_call *call, unsb_result *r))
#endif
#if !UNSB_FILES
ABSENT("UNSB_FILES", unsbi_encode_base64, (unsbi_encoding *e))
#endif
#if !UNSB_JOBS
ABSENT("UNSB_JOBS", unsbi_encode_url, (unsbi_encoding *e))
#endif
#if !UNSB_RUN
ABSENT("UNSB_RUN", unsbi_encode_json_url, (unsbi_encoding *e))
#endif
#if !UNSB_UTF8
ABSENT("UNSB_UTF8", unsbi_utf8_next, (uint8_t *state, uint8_t c))
#endif
#if !UNSB_JOBS && !UNSB_RUN
__attribute__((unused)) static uint8_t *unsbi_percent(uint8_t c, uint8_t *out)
{
    needs(UNSB_JOBS);
    return out;
}
#endif
#pragma GCC diagnostic pop
#endif

/* Nothing may stay of what was in a result. What the library does not know of it stays 0. */
__attribute__((unused)) static void spoil_result(unsb_result *result)
{
    memset(result, 0, sizeof *result);
    memset(result, 0x5A, own_result_size);
}

#endif
