/* What the suites of answers share: an operation performed on a reply, however it arrives, and all
 * that it told the caller, as texts. */
#ifndef ANSWERS_H
#define ANSWERS_H

#include "script_io.h"

#define ASKED_ID "job-1" /* of the job that is asked for, waited for, cancelled */

enum {
    EXECUTE,
    RUN,
    EXECUTE_ASYNC,
    RUN_ASYNC,
    GET,
    WAIT,
    LIST,
    CANCEL,
    LANGUAGES,
    KEY,
    CALL,        /* unsb_request() whose answer is taken as it is, */
    CALL_RESULT, /* read into the result, */
    CALL_OUTCOME /* or waited for */
};

/* ---- what a caller was told ---- */

enum {
    FACT_STATUS,
    FACT_SUCCESS, /* if it was given; "" otherwise, as with all that follow */
    FACT_EXIT_CODE,
    FACT_TOTAL_TIME,
    FACT_CREATED,
    FACT_STARTED,
    FACT_COMPLETED,
    FACT_ACTIVE,
    FACT_LIMIT,
    FACT_RETRY_AFTER,
    FACT_JOB_ID,
    FACT_LANGUAGE,
    FACT_DETECTED,
    FACT_MODE,
    FACT_NETWORK,
    FACT_CHALLENGE,
    FACT_ERROR,
    FACT_MESSAGE,
    FACT_OUT,
    FACT_ERR,
    FACT_VALID, /* these of unsb_key */
    FACT_REASON,
    FACT_TIER,
    FACT_RATE,
    FACT_BURST,
    FACT_CONCURRENCY,
    FACT_EXPIRES,
    FACT_SEEN,      /* by on_item or on_artifact */
    FACT_SUCCEEDED, /* "ok" or "": unsb_result.success */
    FACTS
};

static const char *const fact_names[FACTS] = {
    "status", "success", "exit_code", "total_time_ms", "created_at", "started_at", "completed_at",
    "active", "limit", "retry_after", "job_id", "language", "detected", "mode", "network",
    "challenge", "error", "message", "out", "err", "valid", "reason", "tier", "rate", "burst",
    "concurrency", "expires_at", "seen", "ok"};

static const char *const status_names[] = {"",          "unknown",   "pending", "running",
                                           "cancelled", "completed", "failed",  "timeout"};

#define FACT_SIZE 256

typedef struct told {
    int rc, http_status;
    char fact[FACTS][FACT_SIZE];
} told;

/* ---- what there is of it where options are left out ---- */

static inline bool is_operation(int operation)
{
    switch (operation) {
    case EXECUTE:
        return true;
    case RUN:
        return UNSB_RUN;
    case RUN_ASYNC:
        return UNSB_RUN && UNSB_JOBS;
    case LIST:
    case LANGUAGES:
        return UNSB_LISTS;
    case KEY:
        return UNSB_KEYS;
    case CALL:
    case CALL_RESULT:
    case CALL_OUTCOME:
        return UNSB_REQUEST;
    default:
        return UNSB_JOBS;
    }
}

static inline bool is_told(int operation, int fact)
{
    switch (fact) {
    case FACT_TOTAL_TIME:
    case FACT_CREATED:
    case FACT_STARTED:
    case FACT_COMPLETED:
    case FACT_ACTIVE:
    case FACT_LIMIT:
    case FACT_LANGUAGE:
    case FACT_DETECTED:
    case FACT_MODE:
    case FACT_NETWORK:
    case FACT_CHALLENGE:
        return UNSB_DETAILS;
    case FACT_SEEN:
        return UNSB_ARTIFACTS || operation == LIST || operation == LANGUAGES;
    default:
        return true;
    }
}

/* What of a text of told_text() can be told of an operation. Lives until the next call. */
static inline const char *what_is_told(int operation, const char *all)
{
    static char text[FACTS * FACT_SIZE];
    char name[FACT_SIZE + 2];
    const char *end;
    size_t n = 0;
    bool is_here = true; /* what the word belongs to */
    int i;

    for (; *all != '\0'; all = end) { /* a word at a time: "name=", or "ok", begins another fact */
        for (i = 0; i < FACTS; i++) {
            snprintf(name, sizeof name, i == FACT_SUCCEEDED ? "%s" : "%s=", fact_names[i]);
            if (strncmp(all, name, strlen(name)) == 0)
                is_here = is_told(operation, i);
        }
        end = strchr(all, ' ') != NULL ? strchr(all, ' ') + 1 : all + strlen(all);
        if (is_here)
            n += (size_t)snprintf(text + n, sizeof text - n, "%.*s", (int)(end - all), all);
    }
    text[n != 0 && !is_here ? n - 1 : n] = '\0'; /* what was left out leaves no blank at the end */
    return text;
}

/* ---- the stage ---- */

typedef struct way { /* in which a reply arrives */
    size_t buffer, piece;
    bool nonblocking, stutter;
} way;

static struct {
    script_io io;
    unsb_client client;
    unsb_result result;
    unsb_config config;
    unsb_key key;
    char buffer[1024];
    char out[FACT_SIZE], err[FACT_SIZE], name[32];
    char seen[FACT_SIZE], content[FACT_SIZE];
    size_t content_size;
    char sink[2][FACT_SIZE]; /* stdout and stderr as their sinks saw them */
    size_t sink_size[2];
    bool no_artifacts; /* nobody asks for them */
    bool is_signed;
    void (*configure)(unsb_config *config);
} stage;

static inline int stage_write(void *context, const void *data, size_t size)
{
    unsigned which = context == stage.sink[1];

    if (size == 0) { /* start over */
        stage.sink_size[which] = 0;
        return 0;
    }
    assert_true(stage.sink_size[which] + size < FACT_SIZE);
    memcpy(stage.sink[which] + stage.sink_size[which], data, size);
    stage.sink_size[which] += size;
    return 0;
}

static inline void stage_see(const char *text)
{
    assert_true(strlen(stage.seen) + strlen(text) < sizeof stage.seen);
    strcat(stage.seen, text);
}

/* [index wasm? name "content" (info) size failed?] */
static inline int stage_artifact(void *context, const unsb_artifact *artifact)
{
    char text[FACT_SIZE];

    assert_ptr_equal(context, &stage);
    assert_non_null(artifact->filename);
    assert_non_null(artifact->info);
    if (!artifact->end) {
        assert_true(artifact->size != 0);
        assert_false(artifact->failed);
        assert_true(stage.content_size + artifact->size < sizeof stage.content);
        memcpy(stage.content + stage.content_size, artifact->data, artifact->size);
        stage.content_size += artifact->size;
        return 0;
    }
    assert_int_equal(artifact->size, 0);
    stage.content[stage.content_size] = '\0';
    snprintf(text, sizeof text, "[%u %s%s \"%.100s\"", artifact->index,
             artifact->wasm ? "wasm " : "", artifact->filename, stage.content);
    stage_see(text);
    if (artifact->info[0] != '\0') {
        snprintf(text, sizeof text, " (%s)", artifact->info);
        stage_see(text);
    }
    if (artifact->total != -1) {
        snprintf(text, sizeof text, " %lld", (long long)artifact->total);
        stage_see(text);
    }
    stage_see(artifact->failed ? " failed]" : "]");
    stage.content_size = 0;
    return 0;
}

/* {job_id status language>alias network created_at}, what is not given left out */
static inline int stage_item(void *context, const unsb_result *item)
{
    char text[FACT_SIZE];

    assert_ptr_equal(context, &stage);
    assert_ptr_equal(item, &stage.result);
    assert_true((unsigned)item->status < COUNT(status_names));
    snprintf(text, sizeof text, "{%s|%s|%s%s%s|%s|", item->job_id, status_names[item->status],
             item->language, item->detected_language[0] != '\0' ? ">" : "",
             item->detected_language, item->network_mode);
    stage_see(text);
    if ((item->given & UNSB_GIVEN_CREATED_AT) != 0) {
        snprintf(text, sizeof text, "%lld", (long long)item->created_at);
        stage_see(text);
    }
    stage_see("}");
    return 0;
}

static inline void stage_up(const io_script *scripts, size_t count, const way *w)
{
    io_free(&stage.io);
    io_setup(&stage.io, scripts, count);
    stage.io.recv_piece = w->piece;
    stage.io.stutter = w->stutter;
    stage.config = io_config(&stage.io, stage.buffer, w->buffer, w->nonblocking);
    if (stage.is_signed)
        stage.config.secret_key = "unsb-sk-secret";
    if (stage.configure != NULL)
        stage.configure(&stage.config);
    assert_int_equal(unsb_init(&stage.client, &stage.config), UNSB_OK);
    spoil_result(&stage.result);
    memset(&stage.result.out, 0, sizeof stage.result.out);
    stage.result.out = unsb_into(stage.out, sizeof stage.out);
    stage.result.err = unsb_into(stage.err, sizeof stage.err);
    stage.result.out.write = stage.result.err.write = stage_write;
    stage.result.out.context = stage.sink[0];
    stage.result.err.context = stage.sink[1];
    stage.result.artifact_name = unsb_into(stage.name, sizeof stage.name);
    stage.result.on_artifact = stage.no_artifacts ? NULL : stage_artifact;
    stage.result.on_item = stage_item;
    stage.result.context = &stage;
    memset(&stage.key, 0, sizeof stage.key);
    stage.seen[0] = '\0';
    stage.content_size = 0;
    stage.sink_size[0] = stage.sink_size[1] = 0;
}

/* Begins an operation. */
static inline int stage_begin(int operation)
{
    static unsb_program program;
    static unsb_call call;
    unsb_client *client = &stage.client;
    unsb_result *result = &stage.result;

    memset(&program, 0, sizeof program);
    memset(&call, 0, sizeof call);
    program.language = "python";
    program.code = unsb_text("#!/usr/bin/python3\nprint(6*7)");
    if (operation == RUN || operation == RUN_ASYNC)
        program.language = NULL;
    call.method = "POST";
    call.path = "/sessions/s1/execute";
    call.body = unsb_text("{\"command\":\"ls\"}");
    switch (operation) {
    case EXECUTE:
        return unsb_execute(client, &program, result);
    case RUN:
        return unsb_run(client, &program, result);
    case EXECUTE_ASYNC:
        return unsb_execute_async(client, &program, result);
    case RUN_ASYNC:
        return unsb_run_async(client, &program, result);
    case GET:
        return unsb_job_get(client, ASKED_ID, result);
    case WAIT:
        return unsb_job_wait(client, ASKED_ID, 0, result);
    case LIST:
        return unsb_job_list(client, result);
    case CANCEL:
        return unsb_job_cancel(client, ASKED_ID, result);
    case LANGUAGES:
        return unsb_languages(client, result);
    case KEY:
        return unsb_key_validate(client, &stage.key, result);
    case CALL:
    case CALL_RESULT:
    default:
        call.answer = operation == CALL          ? UNSB_ANSWER_RAW
                      : operation == CALL_RESULT ? UNSB_ANSWER_RESULT
                                                 : UNSB_ANSWER_OUTCOME;
        return unsb_request(client, &call, result);
    }
}

static inline void fact_number(told *t, int fact, bool given, long long value)
{
    if (given)
        snprintf(t->fact[fact], FACT_SIZE, "%lld", value);
}

static inline void fact_text(told *t, int fact, const char *text, size_t room)
{
    assert_non_null(memchr(text, 0, room));
    snprintf(t->fact[fact], FACT_SIZE, "%s", text);
}

static inline void fact_output(told *t, int fact, const unsb_output *output, unsigned sink)
{
    size_t size = (size_t)output->size;

    assert_true(size < FACT_SIZE);
    assert_int_equal(output->data[size], '\0');
    assert_int_equal(stage.sink_size[sink], size); /* the sink saw one continuous text, too */
    assert_memory_equal(stage.sink[sink], output->data, size);
    memcpy(t->fact[fact], output->data, size + 1);
}

static inline void stage_tell(told *t, int operation, int rc)
{
    const unsb_result *r = &stage.result;
    const unsb_key *k = &stage.key;
    unsigned g = r->given;

    memset(t, 0, sizeof *t);
    t->rc = rc;
    t->http_status = r->http_status;
    assert_true((unsigned)r->status < COUNT(status_names));
    fact_text(t, FACT_STATUS, status_names[r->status], 16);
    if (operation != KEY)
        fact_number(t, FACT_SUCCESS, (g & UNSB_GIVEN_SUCCESS) != 0, r->success);
    fact_number(t, FACT_EXIT_CODE, (g & UNSB_GIVEN_EXIT_CODE) != 0, r->exit_code);
    fact_number(t, FACT_TOTAL_TIME, (g & UNSB_GIVEN_TOTAL_TIME_MS) != 0, r->total_time_ms);
    fact_number(t, FACT_CREATED, (g & UNSB_GIVEN_CREATED_AT) != 0, r->created_at);
    fact_number(t, FACT_STARTED, (g & UNSB_GIVEN_STARTED_AT) != 0, r->started_at);
    fact_number(t, FACT_COMPLETED, (g & UNSB_GIVEN_COMPLETED_AT) != 0, r->completed_at);
    fact_number(t, FACT_ACTIVE, (g & UNSB_GIVEN_ACTIVE_EXECUTIONS) != 0, r->active_executions);
    fact_number(t, FACT_LIMIT, (g & UNSB_GIVEN_CONCURRENCY_LIMIT) != 0, r->concurrency_limit);
    fact_number(t, FACT_RETRY_AFTER, (g & UNSB_GIVEN_RETRY_AFTER) != 0, r->retry_after_s);
    fact_text(t, FACT_JOB_ID, r->job_id, sizeof r->job_id);
    fact_text(t, FACT_LANGUAGE, r->language, sizeof r->language);
    fact_text(t, FACT_DETECTED, r->detected_language, sizeof r->detected_language);
    fact_text(t, FACT_MODE, r->execution_mode, sizeof r->execution_mode);
    fact_text(t, FACT_NETWORK, r->network_mode, sizeof r->network_mode);
    fact_text(t, FACT_CHALLENGE, r->challenge_id, sizeof r->challenge_id);
    fact_text(t, FACT_ERROR, r->error, sizeof r->error);
    fact_text(t, FACT_MESSAGE, r->message, sizeof r->message);
    fact_output(t, FACT_OUT, &r->out, 0);
    fact_output(t, FACT_ERR, &r->err, 1);
    fact_text(t, FACT_SEEN, stage.seen, sizeof stage.seen);
    /* what was not given is as it was: zero */
    assert_true((g & UNSB_GIVEN_EXIT_CODE) != 0 || r->exit_code == 0);
    assert_true((g & UNSB_GIVEN_TOTAL_TIME_MS) != 0 || r->total_time_ms == 0);
    assert_true((g & UNSB_GIVEN_CREATED_AT) != 0 || r->created_at == 0);
    assert_true((g & UNSB_GIVEN_STARTED_AT) != 0 || r->started_at == 0);
    assert_true((g & UNSB_GIVEN_COMPLETED_AT) != 0 || r->completed_at == 0);
    assert_true((g & UNSB_GIVEN_ACTIVE_EXECUTIONS) != 0 || r->active_executions == 0);
    assert_true((g & UNSB_GIVEN_CONCURRENCY_LIMIT) != 0 || r->concurrency_limit == 0);
    if (operation != KEY) {
        fact_text(t, FACT_SUCCEEDED, r->success ? "ok" : "", 3);
        return;
    }
    fact_number(t, FACT_VALID, (g & UNSB_GIVEN_SUCCESS) != 0, k->valid);
    assert_true((g & UNSB_GIVEN_SUCCESS) != 0 || !k->valid);
    fact_text(t, FACT_REASON, k->reason, sizeof k->reason);
    fact_text(t, FACT_TIER, k->tier, sizeof k->tier);
    fact_number(t, FACT_RATE, k->rate_per_minute != -1, k->rate_per_minute);
    fact_number(t, FACT_BURST, k->burst != -1, k->burst);
    fact_number(t, FACT_CONCURRENCY, k->concurrency != -1, k->concurrency);
    fact_number(t, FACT_EXPIRES, k->expires_at != -1, k->expires_at);
}

/* Performs an operation on what the scripts say. */
static inline void perform(told *t, int operation, const io_script *scripts, size_t count,
                           const way *w)
{
    int rc;

    stage_up(scripts, count, w);
    rc = io_finish(&stage.io, &stage.client, stage_begin(operation));
    assert_int_equal(unsb_poll(&stage.client), rc);
    stage_tell(t, operation, rc);
    unsb_close(&stage.client);
}

/* All facts in one line: "name=value" for those that there are. */
static inline const char *told_text(const told *t)
{
    static char text[FACTS * FACT_SIZE];
    size_t n = 0;
    int i;

    text[0] = '\0';
    for (i = 0; i < FACTS; i++)
        if (t->fact[i][0] != '\0')
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s%s%s", n != 0 ? " " : "",
                                  i == FACT_SUCCEEDED ? "" : fact_names[i],
                                  i == FACT_SUCCEEDED ? "" : "=", t->fact[i]);
    return text;
}

static inline int stage_down(void **state)
{
    (void)state;
    io_free(&stage.io);
    memset(&stage, 0, sizeof stage);
    return 0;
}

/* ---- texts of replies ---- */

/* Bodies are written with ' for ", as none has one in it. */
static inline char *quoted(const char *body)
{
    static char text[1u << 16];
    size_t i, n = strlen(body);

    assert_true(n < sizeof text);
    for (i = 0; i <= n; i++)
        text[i] = body[i] == '\'' ? '"' : body[i];
    return text;
}

#endif
