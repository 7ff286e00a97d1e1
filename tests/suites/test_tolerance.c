/* What tells of a run is never thrown away for the form of one field: each field of good answers is
 * replaced by each kind of value, and everything else must arrive all the same. And bytes that no
 * JSON should hold, cut in every way. */
#include "answers.h"

/* ---- the members of a document ---- */

typedef struct member {
    size_t key, value, end; /* where they begin, and where the value is over; an item has no key */
    char path[64];          /* "result.stdout", "artifacts[0].size" */
} member;

static member members[128];
static size_t member_count;

static size_t scan_string(const char *text, size_t at)
{
    assert_int_equal(text[at], '"');
    for (at++; text[at] != '"'; at++)
        at += text[at] == '\\';
    return at + 1;
}

static size_t scan_value(const char *text, size_t at, const char *path, unsigned deep)
{
    char close = text[at] == '{' ? '}' : ']';
    unsigned index = 0;

    assert_true(deep < 8);
    if (text[at] == '"')
        return scan_string(text, at);
    if (text[at] != '{' && text[at] != '[')
        return at + strcspn(text + at, ",]}");
    for (at++; text[at] != close; at += text[at] == ',', index++) {
        member *m = &members[member_count++];
        assert_true(member_count <= COUNT(members));
        m->key = at;
        if (close == '}') {
            size_t size;
            at = scan_string(text, at);
            size = at - m->key - 2;
            snprintf(m->path, sizeof m->path, "%s%s%.*s", path, path[0] != '\0' ? "." : "",
                     (int)size, text + m->key + 1);
            assert_int_equal(text[at], ':');
            at++;
        } else {
            snprintf(m->path, sizeof m->path, "%s[%u]", path, index);
        }
        m->value = at;
        {
            char own[64];
            strcpy(own, m->path);
            at = m->end = scan_value(text, at, own, deep + 1);
        }
    }
    return at + 1;
}

enum { REPLACED, ABSENT, TWICE, BEFORE, AFTER, CHANGES }; /* another value before, or after it */

/* The document with one member changed. */
static const char *change(const char *text, const member *m, int how, const char *value)
{
    static char changed[1u << 14];
    const char *tail = text + m->end;
    int head = (int)m->value, all = (int)m->end, key = (int)m->key;
    int n;

    switch (how) {
    case ABSENT:
        if (*tail == ',')
            tail++;
        else if (key > 0 && text[key - 1] == ',')
            key--;
        n = snprintf(changed, sizeof changed, "%.*s%s", key, text, tail);
        break;
    case TWICE:
        n = snprintf(changed, sizeof changed, "%.*s,%.*s%s", all, text, all - key, text + key,
                     tail);
        break;
    case BEFORE:
        n = snprintf(changed, sizeof changed, "%.*s%s,%.*s%s", head, text, value, all - key,
                     text + key, tail);
        break;
    case AFTER:
        n = snprintf(changed, sizeof changed, "%.*s,%.*s%s%s", all, text, head - key, text + key,
                     value, tail);
        break;
    default:
        n = snprintf(changed, sizeof changed, "%.*s%s%s", head, text, value, tail);
        break;
    }
    assert_true((size_t)n < sizeof changed);
    return changed;
}

/* ---- values, and what they are worth to each kind of field ---- */

typedef struct value {
    const char *json;
    /* as a ...; NULL: it is none, and the field counts as not given */
    const char *text, *whole, *exit_code, *time, *truth;
    bool is_text, is_null;
} value;

#define DEEP10(c) c c c c c c c c c c
#define WORDS(json, text, time, truth) {json, text, NULL, NULL, time, truth, true, false}
#define NUMBER(n, text, code, truth) {n, text, n, code, n, truth, false, false}
#define NOTHING(json) {json, NULL, NULL, NULL, NULL, NULL, false, false}

static const value values[] = {
    {"null", NULL, NULL, NULL, NULL, NULL, false, true},
    {"true", NULL, NULL, NULL, NULL, "1", false, false},
    {"false", NULL, NULL, NULL, NULL, "0", false, false},
    NUMBER("0", "0", "0", "0"),
    NUMBER("1", "1", "1", "1"),
    NUMBER("4711", "4711", "4711", "1"),
    NUMBER("-7", NULL, "-7", "1"),
    {"3.0", "3", "3", "3", "3", "1", false, false},
    {"52.3e1", "523", "523", "523", "523", "1", false, false},
    {"2.75", "2", "2", "2", "2", "1", false, false}, /* the fraction is lost */
    {"-2.75", NULL, "-2", "-2", "-2", "1", false, false},
    {"3221225477", "3221225477", "3221225477", "-1073741819", "3221225477", "1", false, false},
    {"9007199254740993", "9007199254740993", "9007199254740993", "1", "9007199254740993", "1",
     false, false},
    NOTHING("1e400"),
    NOTHING("123456789012345678901234567890"),
    WORDS("\"\"", "", NULL, NULL),
    WORDS("\"text!\"", "text!", NULL, NULL),
    WORDS("\"true\"", "true", NULL, "1"),
    WORDS("\"FALSE\"", "FALSE", NULL, "0"),
    WORDS("\"1e2\"", "1e2", NULL, NULL),
    WORDS("\"2024-01-15T10:30:00Z\"", "2024-01-15T10:30:00Z", "1705314600", NULL),
    NOTHING("[]"),
    NOTHING("{}"),
    NOTHING("[1,\"a\",{\"b\":[2]}]"),
    NOTHING("{\"a\":{\"stdout\":\"no\",\"exit_code\":99,\"job_id\":\"no\"}}"),
    NOTHING(DEEP10("[[[[[[[[[[") DEEP10("]]]]]]]]]]")),
};

enum {
    KIND_TEXT,
    KIND_ID,
    KIND_OUTPUT,
    KIND_WHOLE,
    KIND_INT32,
    KIND_EXIT_CODE,
    KIND_TIME,
    KIND_TRUTH,
    KIND_STATUS
};

typedef struct field {
    const char *name;
    int fact, kind;
    size_t room; /* of a text, without its NUL */
} field;

static const field run_fields[] = {
    {"success", FACT_SUCCESS, KIND_TRUTH, 0},
    {"stdout", FACT_OUT, KIND_OUTPUT, 0},
    {"stderr", FACT_ERR, KIND_OUTPUT, 0},
    {"exit_code", FACT_EXIT_CODE, KIND_EXIT_CODE, 0},
    {"language", FACT_LANGUAGE, KIND_TEXT, 31},
    {"detected_language", FACT_DETECTED, KIND_TEXT, 31},
    {"job_id", FACT_JOB_ID, KIND_ID, 63},
    {"status", FACT_STATUS, KIND_STATUS, 0},
    {"execution_mode", FACT_MODE, KIND_TEXT, 15},
    {"network_mode", FACT_NETWORK, KIND_TEXT, 15},
    {"total_time_ms", FACT_TOTAL_TIME, KIND_WHOLE, 0},
    {"created_at", FACT_CREATED, KIND_TIME, 0},
    {"started_at", FACT_STARTED, KIND_TIME, 0},
    {"completed_at", FACT_COMPLETED, KIND_TIME, 0},
    {"error", FACT_ERROR, KIND_TEXT, 47},
    {"message", FACT_MESSAGE, KIND_TEXT, 95},
    {"active_executions", FACT_ACTIVE, KIND_INT32, 0},
    {"concurrency_limit", FACT_LIMIT, KIND_INT32, 0},
    {"challenge_id", FACT_CHALLENGE, KIND_TEXT, 47},
};

static const field key_fields[] = {
    {"valid", FACT_VALID, KIND_TRUTH, 0},
    {"reason", FACT_REASON, KIND_TEXT, 63},
    {"tier", FACT_TIER, KIND_TEXT, 23},
    {"rate_per_minute", FACT_RATE, KIND_INT32, 0},
    {"burst", FACT_BURST, KIND_INT32, 0},
    {"concurrency", FACT_CONCURRENCY, KIND_INT32, 0},
    {"expires_at", FACT_EXPIRES, KIND_TIME, 0},
};

/* The text that a value is, or that its digits are; NULL: it is none. */
static const char *text_of(const value *v)
{
    return UNSB_NUMBERS || v->is_text ? v->text : NULL;
}

/* A number may have a fraction, an exponent and 64 bits, or else 32 bits and a sign. */
static bool is_read(const value *v)
{
    const char *point = strchr(v->json, '.');

    return UNSB_NUMBERS || v->json[strspn(v->json, "-0123456789.e")] != '\0' ||
           (strchr(v->json, 'e') == NULL && (point == NULL || strcmp(point, ".0") == 0) &&
            strlen(v->json) <= 10);
}

/* What a value is worth to a field; NULL: as if it were not given. */
static const char *worth(const field *f, const value *v)
{
    static char text[FACT_SIZE];

    if (!is_read(v))
        return NULL;
    switch (f->kind) {
    case KIND_TEXT:
        if (text_of(v) == NULL)
            return NULL;
        snprintf(text, sizeof text, "%.*s", (int)f->room, v->text);
        return text;
    case KIND_ID:
    case KIND_OUTPUT:
        return v->is_text ? v->text : NULL;
    case KIND_WHOLE:
        return v->whole;
    case KIND_INT32:
        return v->whole != NULL && strlen(v->whole) < 10 ? v->whole : NULL;
    case KIND_EXIT_CODE:
        return v->exit_code;
    case KIND_TIME:
        return v->time;
    case KIND_TRUTH:
        return v->truth;
    default: /* KIND_STATUS: none of them is a word of the service's */
        return v->is_text ? "unknown" : NULL;
    }
}

/* ---- answers ---- */

typedef struct good {
    const char *name;
    int operation, status;
    const char *body;
} good;

#define RUN_FIELDS                                                                                 \
    "'success':true,'stdout':'some output\\n','stderr':'some more','exit_code':0,"                 \
    "'language':'python','execution_mode':'pooled','network_mode':'zerotrust',"                    \
    "'total_time_ms':523,'detected_language':'python','error':'e','message':'m'"
#define JOB_FIELDS                                                                                 \
    "'status':'completed','created_at':1699564800,'started_at':'2024-01-15T10:30:01Z',"            \
    "'completed_at':1699564805.5"
#define ARTIFACT "{'filename':'a.out','content_base64':'dHdv','mime_type':'text/x','size':3}"

static const good runs[] = {
    {"a result", EXECUTE, 200, "{" RUN_FIELDS ",'job_id':'j1','artifacts':[" ARTIFACT "]}"},
    {"a result, the outcome last", RUN, 200,
     "{'artifacts':[" ARTIFACT "],'total_time_ms':5,'language':'c','job_id':'j1','exit_code':3,"
     "'stderr':'bad','stdout':'out','success':false}"},
    {"a flat job", GET, 200, "{'job_id':'job-1'," JOB_FIELDS "," RUN_FIELDS "}"},
    {"a nested job", GET, 200,
     "{'job_id':'job-1'," JOB_FIELDS ",'result':{" RUN_FIELDS ",'artifacts':[" ARTIFACT "]}}"},
    {"a job that is waited for", WAIT, 200, "{" JOB_FIELDS ",'result':{" RUN_FIELDS "}}"},
    {"a cancelled job", CANCEL, 200,
     "{'message':'Job cancelled','job_id':'job-1','result':{'success':false,'stdout':'part',"
     "'stderr':'','exit_code':-1,'total_time_ms':1523}}"},
    {"a flat cancelled job", CANCEL, 200,
     "{'job_id':'job-1','status':'cancelled','stdout':'part','stderr':'','success':false,"
     "'completed_at':'2024-01-15T10:30:00Z'}"},
    {"a command", CALL_RESULT, 200, "{'stdout':'x','stderr':'y','exit_code':0}"},
    {"one artifact", EXECUTE, 200, "{'stdout':'x','exit_code':0,'artifact':" ARTIFACT "}"},
    {"a refusal", EXECUTE, 429,
     "{'error':'concurrency_limit_reached','active_executions':3,'concurrency_limit':2,"
     "'challenge_id':'c','message':'m'}"},
    {"a key", KEY, 200,
     "{'valid':true,'tier':3,'reason':'r','rate_per_minute':21,'burst':5,'concurrency':1,"
     "'expires_at':1705314600}"},
};

static const char *reply_to(int status, const char *body)
{
    static char text[1u << 15];
    int n = snprintf(text, sizeof text, "HTTP/1.1 %d Any\r\nContent-Length: %zu\r\n\r\n%s", status,
                     strlen(body), body);

    assert_true(n > 0 && (size_t)n < sizeof text);
    return text;
}

static void ask(told *t, int operation, int status, const char *body, const way *w)
{
    io_script script;

    memset(&script, 0, sizeof script);
    script.replies[0] = reply_to(status, body);
    perform(t, operation, &script, 1, w);
}

static const field *field_of(const good *g, const char *path)
{
    const field *fields = g->operation == KEY ? key_fields : run_fields;
    size_t n = g->operation == KEY ? COUNT(key_fields) : COUNT(run_fields), i;

    if (strncmp(path, "result.", 7) == 0)
        path += 7;
    for (i = 0; i < n; i++)
        if (strcmp(fields[i].name, path) == 0)
            return &fields[i];
    return NULL;
}

static bool by_id(const good *g)
{
    return g->operation == GET || g->operation == WAIT || g->operation == CANCEL;
}

/* Where it was not said whether the program succeeded, it follows from the rest. */
static void follows(told *t)
{
    const char *status = t->fact[FACT_STATUS], *code = t->fact[FACT_EXIT_CODE];
    bool completed = strcmp(status, "completed") == 0;
    bool ok = (completed || status[0] == '\0' || strcmp(status, "unknown") == 0) &&
              (code[0] != '\0' ? strcmp(code, "0") == 0 : completed);

    if (t->fact[FACT_SUCCESS][0] != '\0')
        ok = t->fact[FACT_SUCCESS][0] == '1';
    strcpy(t->fact[FACT_SUCCEEDED], ok ? "ok" : "");
}

/* What must be told when `m`, a known field, is changed. */
static void expect_field(const good *g, const field *f, int how, const value *v, told *t)
{
    const char *new_value = v != NULL ? worth(f, v) : NULL;
    char *fact = t->fact[f->fact];

    if (how == TWICE || (f->kind == KIND_ID && by_id(g)))
        return;
    if (f->kind == KIND_OUTPUT && v != NULL && !v->is_text && !v->is_null)
        t->rc = UNSB_E_RESPONSE;
    if (how == BEFORE) /* the last one that is good counts */
        return;
    if (new_value != NULL)
        strcpy(fact, new_value);
    else if (how == REPLACED || how == ABSENT)
        fact[0] = '\0';
}

/* When a member of the artifact is: name, content, type and size as stage_artifact() shows them. */
static void expect_artifact(const char *name, int how, const value *v, told *t)
{
    const char *filename = "a.out", *content = "two", *info = "text/x", *size = "3";
    const char *text = v != NULL && v->is_text ? v->text : NULL;
    bool failed = false, gone = how == REPLACED || how == ABSENT;

    if (how == TWICE || how == BEFORE)
        return;
    if (strcmp(name, "filename") == 0 && (text != NULL || gone))
        filename = text != NULL ? text : "";
    if (strcmp(name, "mime_type") == 0 && (gone || (v != NULL && text_of(v) != NULL)))
        info = v != NULL && text_of(v) != NULL ? v->text : "";
    if (strcmp(name, "size") == 0 && (gone || (v != NULL && v->whole != NULL && is_read(v))))
        size = v != NULL && v->whole != NULL && is_read(v) ? v->whole : "";
    if (strcmp(name, "content_base64") == 0 && gone) {
        /* "" is an artifact without a byte; of the others, "true" alone is base64 */
        failed = text == NULL || (text[0] != '\0' && strcmp(text, "true") != 0);
        content = text == NULL || text[0] == '\0' ? "" : NULL;
        if (text != NULL && failed && UNSB_ARTIFACTS)
            t->rc = UNSB_E_BASE64;
    }
    if (content == NULL)
        snprintf(t->fact[FACT_SEEN], FACT_SIZE, failed ? "?failed]" : "?");
    else
        snprintf(t->fact[FACT_SEEN], FACT_SIZE, "[0 %s \"%s\"%s%s%s%s%s%s]", filename, content,
                 info[0] != '\0' ? " (" : "", info, info[0] != '\0' ? ")" : "",
                 size[0] != '\0' ? " " : "", size, failed ? " failed" : "");
}

/* False: this change is not one that can be foretold. */
static bool expect(const good *g, const member *m, int how, const value *v, told *t)
{
    const field *f = field_of(g, m->path);
    const char *name = strrchr(m->path, '.');
    size_t i;

    name = name != NULL ? name + 1 : m->path;
    if (f != NULL) {
        expect_field(g, f, how, v, t);
    } else if (strcmp(m->path, "result") == 0) {
        for (i = 0; i < member_count && (how == REPLACED || how == ABSENT); i++) {
            f = strncmp(members[i].path, "result.", 7) == 0 ? field_of(g, members[i].path) : NULL;
            if (f != NULL)
                t->fact[f->fact][0] = '\0';
        }
        if (how == REPLACED || how == ABSENT)
            t->fact[FACT_SEEN][0] = '\0';
        /* two results: the outputs start over, artifacts are two */
        if (how == TWICE)
            strcpy(t->fact[FACT_SEEN], "?");
    } else if (strncmp(name, "artifact", 8) == 0 && strchr(m->path, '[') == NULL) {
        if (how == TWICE || (v != NULL && (strchr(v->json, 'a') != NULL || v->json[0] == '{')))
            strcpy(t->fact[FACT_SEEN], "?");
        else if (how == REPLACED || how == ABSENT)
            t->fact[FACT_SEEN][0] = '\0';
    } else if (strchr(name, '[') != NULL) { /* an item */
        if (how != REPLACED && how != ABSENT)
            return false;
        t->fact[FACT_SEEN][0] = '\0';
        if (v != NULL && v->json[0] == '{')
            strcpy(t->fact[FACT_SEEN], "[0  \"\" failed]");
    } else {
        /* content twice: what was delivered cannot be taken back */
        if ((how == BEFORE || how == AFTER) && strcmp(name, "content_base64") == 0 && v->is_text)
            return false;
        expect_artifact(name, how, v, t);
    }
    if (g->operation != KEY)
        follows(t);
    return true;
}

static unsigned faults, checks;

/* "?" stands for anything, before an end. */
static bool is_fact(const char *fact, const char *expected)
{
    size_t size = strlen(fact), end = strlen(expected);

    if (expected[0] != '?')
        return strcmp(fact, expected) == 0;
    return end - 1 <= size && strcmp(fact + size - (end - 1), expected + 1) == 0;
}

static void check(const good *g, const char *body, const way *w, const told *expected)
{
    told t;
    int i;
    const char *why = NULL;

    checks++;
    ask(&t, g->operation, g->status, body, w);
    if (t.rc != expected->rc)
        why = "another code";
    for (i = 0; i < FACTS && why == NULL; i++)
        if (is_told(g->operation, i) && !is_fact(t.fact[i], expected->fact[i]) &&
            (i != FACT_SUCCEEDED || expected->rc == UNSB_OK))
            why = fact_names[i];
    if (io_requests(&stage.io) != 1)
        why = "more than one request";
    if (why != NULL && ++faults <= 30) {
        print_error("%s, pieces %zu: %s: %.600s\n  got rc %d: %s\n", g->name, w->piece, why, body,
                    t.rc, told_text(&t));
        print_error("  not rc %d: %s\n", expected->rc, told_text(expected));
    }
}

static const way whole = {1024, 0, false, false}, bytes = {128, 1, true, false},
                 some = {131, 5, false, true};

static void test_each_field_by_each_kind(void **state)
{
    size_t i, k, v;
    unsigned before;
    int how;

    (void)state;
    faults = checks = 0;
    for (i = 0; i < COUNT(runs); i++) {
        const good *g = &runs[i];
        char text[4096];
        told base, expected;
        if (!is_operation(g->operation))
            continue;
        strcpy(text, quoted(g->body));
        member_count = 0;
        assert_int_equal(scan_value(text, 0, "", 0), strlen(text));
        ask(&base, g->operation, g->status, text, &whole);
        assert_int_equal(base.rc, g->status == 200 ? UNSB_OK : UNSB_E_RATE_LIMITED);
        for (k = 0; k < member_count; k++)
            for (how = 0; how < CHANGES; how++)
                for (v = 0; v < (how == ABSENT || how == TWICE ? 1 : COUNT(values)); v++) {
                    const value *with = how == ABSENT || how == TWICE ? NULL : &values[v];
                    const char *body;
                    if (members[k].key == members[k].value && how != REPLACED && how != ABSENT)
                        continue;
                    expected = base;
                    if (!expect(g, &members[k], how, with, &expected))
                        continue;
                    if (g->status != 200) /* a refusal stays one */
                        expected.rc = base.rc;
                    if (g->status != 200)
                        strcpy(expected.fact[FACT_SUCCEEDED], base.fact[FACT_SUCCEEDED]);
                    body = change(text, &members[k], how, with != NULL ? with->json : "");
                    before = faults;
                    check(g, body, &whole, &expected);
                    if (faults == before)
                        check(g, body, &bytes, &expected);
                    if (faults == before)
                        check(g, body, &some, &expected);
                }
    }
    assert_true(checks > (UNSB_JOBS ? 10000 : 2000)); /* it is not for want of asking */
    assert_int_equal(faults, 0);
}

/* Lists: the item keeps its place and its other fields, and the item after it comes. */
static void test_items(void **state)
{
    static const field slots[] = {{"job_id", 0, KIND_ID, 63},
                                  {"status", 0, KIND_STATUS, 0},
                                  {"language", 0, KIND_TEXT, 31},
                                  {"network_mode", 0, KIND_TEXT, 15},
                                  {"created_at", 0, KIND_TIME, 0}};
    static const char *const were[] = {"j1", "running", "c", "any", "1699564800"};
    static const char items[] =
        "[{'job_id':'j1','status':'running','language':'c','network_mode':'any',"
        "'created_at':1699564800},{'job_id':'j2','status':'pending'}]";
    size_t k, slot, v;
    unsigned form;
    int how;

    (void)state;
    faults = checks = 0;
    for (form = 0; form < 2; form++) {
        good g = {"a list", LIST, 200, NULL};
        char text[512];
        told base, expected;
        snprintf(text, sizeof text, form != 0 ? "{'jobs':%s}" : "%s", items);
        strcpy(text, quoted(text));
        member_count = 0;
        assert_int_equal(scan_value(text, 0, "", 0), strlen(text));
        ask(&base, LIST, 200, text, &whole);
        for (k = 0; k < member_count; k++)
            for (how = 0; how < CHANGES; how++)
                for (v = 0; v < COUNT(values); v++) {
                    const char *name = strrchr(members[k].path, '.'), *is[5];
                    const char *given;
                    if (name == NULL || strstr(members[k].path, "[0].") == NULL ||
                        how == BEFORE)
                        continue;
                    memcpy(is, were, sizeof is);
                    for (slot = 0; strcmp(slots[slot].name, name + 1) != 0; slot++)
                        continue;
                    given = how == ABSENT || how == TWICE ? NULL : worth(&slots[slot], &values[v]);
                    if (given != NULL)
                        is[slot] = given;
                    else if (how == REPLACED || how == ABSENT)
                        is[slot] = "";
                    expected = base;
                    snprintf(expected.fact[FACT_SEEN], FACT_SIZE, "{%s|%s|%s|%s|%s}{j2|pending|||}",
                             is[0], is[1], is[2], is[3], is[4]);
                    check(&g, change(text, &members[k], how, values[v].json), &whole, &expected);
                    check(&g, change(text, &members[k], how, values[v].json), &bytes, &expected);
                }
    }
    assert_true(checks > 1000);
    assert_int_equal(faults, 0);
}

/* Fields that another endpoint has, or nobody: of every kind, at the beginning and at the end. */
static void test_foreign_fields(void **state)
{
    static const char *const names[] = {"jobs", "languages", "aliases", "valid", "tier", "unknown",
                                        "name", "filename", "content_base64", "", "submitted_at"};
    static const char *const odd[] = {"NaN", "Infinity", "-", "01", "\"\\x\"", "\"\xFF\xFE\"",
                                      "\"\x01\n\"", "\"\\ud800\"", "'text'"};
    size_t i, n, v;

    (void)state;
    faults = 0;
    for (i = 0; i < COUNT(runs); i++) {
        const good *g = &runs[i];
        char text[4096], body[8192];
        told base;
        if (g->operation == KEY || !is_operation(g->operation))
            continue;
        strcpy(text, quoted(g->body));
        ask(&base, g->operation, g->status, text, &whole);
        for (n = 0; n < COUNT(names); n++)
            for (v = 0; v < COUNT(values) + COUNT(odd); v++) {
                const char *json = v < COUNT(values) ? values[v].json : odd[v - COUNT(values)];
                snprintf(body, sizeof body, "{\"%s\":%s,%s", names[n], json, text + 1);
                check(g, body, &whole, &base);
                check(g, body, &bytes, &base);
                snprintf(body, sizeof body, "%.*s,\"%s\" : %s }", (int)strlen(text) - 1, text,
                         names[n], json);
                check(g, body, &whole, &base);
                check(g, body, &bytes, &base);
            }
    }
    assert_int_equal(faults, 0);
}

/* `result` and `status` of another kind in an execute's answer are unknown fields. */
static void test_other_kinds_in_a_result(void **state)
{
    static const char *const members_of[] = {"'result':'ok'", "'status':200", "'jobs':3",
                                             "'status':'ok'", "'result':[1]", "'status':{'a':1}",
                                             "'result':null", "'status':'ok','result':true"};
    size_t i;
    char body[256];
    told t;

    (void)state;
    for (i = 0; i < COUNT(members_of); i++) {
        snprintf(body, sizeof body, "{%s,'stdout':'x','exit_code':0}", members_of[i]);
        ask(&t, EXECUTE, 200, quoted(body), &bytes);
        assert_int_equal(t.rc, UNSB_OK);
        assert_string_equal(t.fact[FACT_OUT], "x");
        assert_string_equal(t.fact[FACT_EXIT_CODE], "0");
        assert_string_equal(t.fact[FACT_SUCCEEDED], "ok");
        snprintf(body, sizeof body, "{'stdout':'x',%s}", members_of[i]);
        ask(&t, EXECUTE, 200, quoted(body), &bytes);
        assert_int_equal(t.rc, UNSB_OK);
        assert_string_equal(t.fact[FACT_OUT], "x");
    }
}

/* ---- what a program printed ---- */

typedef struct printed {
    const char *json; /* within the quotes */
    size_t json_size;
    const char *text;
    size_t size;
} printed;

#define PRINTED(json, text) {json, sizeof(json) - 1, text, sizeof(text) - 1}
#define FFFD "\xEF\xBF\xBD"

static const printed outputs[] = {
    PRINTED("plain", "plain"),
    PRINTED("a\\udcffb", "a\xFF" "b"),
    PRINTED("\\udc80\\udc81\\udcff", "\x80\x81\xFF"),
    PRINTED("\\udce2\\udc82\\udcac", "\xE2\x82\xAC"), /* the euro sign, a byte at a time */
    PRINTED("\\udc7f\\udc00\\udd00\\udfff", FFFD FFFD FFFD FFFD),
    PRINTED("\\ud83d", FFFD),
    PRINTED("a\\ud83db", "a" FFFD "b"),
    PRINTED("\\ud83d\\n", FFFD "\n"),
    PRINTED("\\ud83d\\ud83d\\ude00", FFFD "\xF0\x9F\x98\x80"),
    PRINTED("\\ud83d\\ud83dx", FFFD FFFD "x"),
    PRINTED("\\ud83d\\ud83d\\ud83d", FFFD FFFD FFFD),
    PRINTED("a\\ud83d\\ud83d\xC3\xA9", "a" FFFD FFFD "\xC3\xA9"),
    PRINTED("\\ud83d\\u0041", FFFD "A"),
    PRINTED("\\ud83d\xC3\xA9", FFFD "\xC3\xA9"),
    PRINTED("\\ud83d\\\"", FFFD "\""),
    PRINTED("\\ud83d\\ude00", "\xF0\x9F\x98\x80"),
    PRINTED("\\udbff\\udfff", "\xF4\x8F\xBF\xBF"),
    PRINTED("\\ud83d\\udc80", "\xF0\x9F\x92\x80"), /* a pair, though its half could be a byte */
    PRINTED("\xFF\xFE", "\xFF\xFE"),
    PRINTED("caf\xE9 \xE2\x82", "caf\xE9 \xE2\x82"),
    PRINTED("\xED\xA0\x80", "\xED\xA0\x80"),
    PRINTED("\xC0\x80\xF5\x80", "\xC0\x80\xF5\x80"),
    PRINTED("\xE2\x82\xAC", "\xE2\x82\xAC"),
    PRINTED("a\x1B[0m\x01\n\r\t", "a\x1B[0m\x01\n\r\t"),
    PRINTED("a\0b\\u0000c", "a\0b\0c"),
    PRINTED("\x7F\\u007f", "\x7F\x7F"),
    PRINTED("\\u00e9\\u20AC\\/\\b\\f", "\xC3\xA9\xE2\x82\xAC/\b\f"),
    PRINTED("", ""),
};

/* Performs an execute on a body that may hold anything, whole or in pieces of a size. */
static int print(const char *body, size_t size, size_t piece)
{
    static char text[8192];
    io_script script;
    way w = {128, piece, piece % 2 != 0, false};
    size_t n;
    int rc;

    n = (size_t)snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);
    assert_true(n + size < sizeof text);
    memcpy(text + n, body, size);
    memset(&script, 0, sizeof script);
    script.replies[0] = text;
    script.reply_size = n + size;
    stage_up(&script, 1, &w);
    rc = io_finish(&stage.io, &stage.client, stage_begin(EXECUTE));
    unsb_close(&stage.client);
    return rc;
}

static void is_printed(const unsb_output *output, unsigned sink, const char *text, size_t size)
{
    assert_int_equal(output->size, size);
    assert_memory_equal(output->data, text, size);
    assert_int_equal(stage.sink_size[sink], size);
    assert_memory_equal(stage.sink[sink], text, size);
}

static void test_outputs_are_bytes(void **state)
{
    char body[512];
    size_t i, n, piece;

    (void)state;
    for (i = 0; i < COUNT(outputs); i++)
        for (piece = 0; piece < 90; piece++) {
            const printed *p = &outputs[i];
            n = (size_t)sprintf(body, "{\"stdout\":\"<");
            memcpy(body + n, p->json, p->json_size);
            n += p->json_size;
            n += (size_t)sprintf(body + n, ">\",\"exit_code\":7,\"stderr\":\"");
            memcpy(body + n, p->json, p->json_size);
            n += p->json_size;
            n += (size_t)sprintf(body + n, "\"}");
            assert_int_equal(print(body, n, piece), UNSB_OK);
            assert_int_equal(stage.result.exit_code, 7);
            is_printed(&stage.result.err, 1, p->text, p->size);
            {
                char with[256];
                with[0] = '<';
                memcpy(with + 1, p->text, p->size);
                with[p->size + 1] = '>';
                is_printed(&stage.result.out, 0, with, p->size + 2);
            }
        }
}

/* Before what is no JSON at all, what was good is delivered, however it was cut. */
static void test_good_before_bad(void **state)
{
    static const printed bad[] = {
        PRINTED("good\\x more\"}", "good"),
        PRINTED("good\\u12G4\"}", "good"),
        PRINTED("good\\ud83d\\q\"}", "good"), /* or, as well, with a mark for the half */
        PRINTED("good\" oops}", "good"),
        PRINTED("good\",,}", "good"),
        PRINTED("good\"]", "good"),
        PRINTED("good\",\"exit_code\":0x7}", "good"),
        PRINTED("good\",\"exit_code\"}", "good"),
        PRINTED("good\",\"exit_code\":\xEF\xBB\xBF" "7}", "good"), /* no place for it */
    };
    size_t i, n, piece;
    char body[256];

    (void)state;
    for (i = 0; i < COUNT(bad); i++)
        for (piece = 0; piece < 70; piece++) {
            n = (size_t)sprintf(body, "{\"job_id\":\"j1\",\"stderr\":\"e\",\"stdout\":\"");
            memcpy(body + n, bad[i].json, bad[i].json_size);
            assert_int_equal(print(body, n + bad[i].json_size, piece), UNSB_E_JSON);
            assert_string_equal(stage.result.job_id, "j1");
            is_printed(&stage.result.err, 1, "e", 1);
            assert_true(stage.result.out.size >= 4);
            assert_memory_equal(stage.result.out.data, "good", 4);
            if (i != 2)
                is_printed(&stage.result.out, 0, "good", 4);
        }
}

static void test_around_the_document(void **state)
{
    static const printed around[] = {
        PRINTED("\xEF\xBB\xBF{\"stdout\":\"x\",\"exit_code\":3}", "x"),
        PRINTED("\xEF\xBB\xBF \r\n{\"stdout\":\"x\",\"exit_code\":3}\r\n", "x"),
        PRINTED("{\"stdout\":\"x\",\"exit_code\":3}\0", "x"),
        PRINTED("{\"stdout\":\"x\",\"exit_code\":3}garbage}}]\xFF", "x"),
        PRINTED("{\"stdout\":\"x\",\"exit_code\":3}{\"exit_code\":4,\"stdout\":\"no\"}", "x"),
        PRINTED("{\"stdout\":\"x\",\"exit_code\":3}<!-- -->", "x"),
    };
    size_t i, piece;

    (void)state;
    for (i = 0; i < COUNT(around); i++)
        for (piece = 0; piece < 50; piece++) {
            assert_int_equal(print(around[i].json, around[i].json_size, piece), UNSB_OK);
            assert_int_equal(stage.result.exit_code, 3);
            is_printed(&stage.result.out, 0, "x", 1);
        }
}

static void test_no_document(void **state)
{
    static const char *const none[] = {"[]",         "0",    "17",               "null",
                                       "\"text\"", "true", "[{\"stdout\":1}]"};
    static const char *const broken[] = {"", " ", "{", "<html>", "{\"stdout\":", "\xEF\xBB\xBF",
                                         "nul", "{\"a\":1,}", "{\"stdout\"}", "{a:1}", "}",
                                         "\xEF\xBB\xBF?{}"};
    size_t i, piece;

    (void)state;
    for (piece = 0; piece < 3; piece++) {
        for (i = 0; i < COUNT(none); i++)
            assert_int_equal(print(none[i], strlen(none[i]), piece), UNSB_E_RESPONSE);
        for (i = 0; i < COUNT(broken); i++)
            assert_int_equal(print(broken[i], strlen(broken[i]), piece), UNSB_E_JSON);
    }
}

/* Depth and bad bytes where nobody reads cost nothing; where one reads, they are "not given". */
static void test_deep(void **state)
{
    static char body[8192];
    static const char *const names[] = {"debug", "language", "exit_code", "message", "artifacts",
                                        "result", "created_at", "job_id"};
    size_t i, n, depth, k;
    unsigned object;

    (void)state;
    for (i = 0; i < COUNT(names); i++)
        for (object = 0; object < 2; object++)
            for (depth = 20; depth < 600; depth = depth < 40 ? depth + 1 : depth * 2) {
                n = (size_t)sprintf(body, "{\"stdout\":\"x\",\"%s\":", names[i]);
                for (k = 0; k < depth; k++)
                    n += (size_t)sprintf(body + n, object ? "{\"a\":" : "[");
                n += (size_t)sprintf(body + n, "1");
                for (k = 0; k < depth; k++)
                    body[n++] = object ? '}' : ']';
                n += (size_t)sprintf(body + n, ",\"stderr\":\"y\",\"success\":true}");
                assert_int_equal(print(body, n, depth % 3), UNSB_OK);
                is_printed(&stage.result.out, 0, "x", 1);
                is_printed(&stage.result.err, 1, "y", 1);
                assert_int_equal(stage.result.given, UNSB_GIVEN_SUCCESS);
            }
}

/* ---- texts that are cut to their arrays ---- */

static void test_texts_cut_between_characters(void **state)
{
    static const char *const characters[] = {"x", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    size_t c, lead, n, piece, count, size;
    char body[1024];

    (void)state;
    for (c = 0; c < COUNT(characters); c++)
        for (lead = 0; lead < 4; lead++)
            for (piece = 0; piece < 9; piece++) {
                size = strlen(characters[c]);
                n = (size_t)sprintf(body, "{\"exit_code\":0,\"message\":\"%.*s", (int)lead, "abc");
                for (count = 0; count < 110; count++)
                    n += (size_t)sprintf(body + n, "%s", characters[c]);
                n += (size_t)sprintf(body + n, "\",\"stdout\":\"x\"}");
                assert_int_equal(print(body, n, piece), UNSB_OK);
                is_printed(&stage.result.out, 0, "x", 1);
                count = (sizeof stage.result.message - 1 - lead) / size;
                assert_int_equal(strlen(stage.result.message), lead + count * size);
                assert_memory_equal(stage.result.message + lead + (count - 1) * size,
                                    characters[c], size);
            }
}

static void test_ids_are_whole(void **state)
{
    char body[256], id[100];
    size_t size, piece;

    (void)state;
    memset(id, 'i', sizeof id);
    for (size = 1; size < 90; size++)
        for (piece = 0; piece < 5; piece++) {
            sprintf(body, "{\"job_id\":\"%.*s\",\"exit_code\":0}", (int)size, id);
            assert_int_equal(print(body, strlen(body), piece), UNSB_OK);
            assert_int_equal(strlen(stage.result.job_id), size < UNSB_JOB_ID_SIZE ? size : 0);
        }
    assert_int_equal(print("{\"job_id\":\"a\\u0000b\",\"exit_code\":0}", 35, 0), UNSB_OK);
    assert_string_equal(stage.result.job_id, "");
}

/* ---- outputs and artifacts ---- */

static void test_errors_that_wait(void **state)
{
    told t;

    (void)state;
    ask(&t, EXECUTE, 200, quoted("{'stdout':['a','b'],'exit_code':3,'stderr':'y','job_id':'j'}"),
        &bytes);
    assert_int_equal(t.rc, UNSB_E_RESPONSE);
    assert_string_equal(told_text(&t), "exit_code=3 job_id=j err=y");
    if (UNSB_JOBS) {
        ask(&t, GET, 200,
            quoted("{'result':{'stderr':{'a':'b'},'stdout':'x'},'status':'completed'}"), &whole);
        assert_int_equal(t.rc, UNSB_E_RESPONSE);
        assert_string_equal(t.fact[FACT_OUT], "x");
        assert_string_equal(t.fact[FACT_STATUS], "completed");
    }
    ask(&t, EXECUTE, 200,
        quoted("{'artifacts':[{'filename':'a','data':'RUxG!'},{'filename':'b','data':'dHdv'}],"
               "'stdout':'x','exit_code':0}"),
        &bytes);
    assert_int_equal(t.rc, UNSB_ARTIFACTS ? UNSB_E_BASE64 : UNSB_OK);
    assert_string_equal(t.fact[FACT_OUT], "x");
    assert_string_equal(t.fact[FACT_EXIT_CODE], "0");
    if (UNSB_ARTIFACTS)
        assert_string_equal(t.fact[FACT_SEEN], "[0 a \"ELF\" failed][1 b \"two\"]");
}

/* Nobody asks for artifacts: they are skipped, not judged. */
static void test_artifacts_unread(void **state)
{
    static const char *const artifacts[] = {"{}", "[]", "3", "'text'", "[{'content':'!!'}]",
                                            "[{'filename':'a','data':'RUx'}]", "[[[]]]", "[1,null]",
                                            "{'type':'error','error':'no'}", "[NaN]",
                                            "[{'filename':3,'content_base64':['\xFF\x01']}]"};
    static const char *const names[] = {"artifacts", "artifact", "wasm_artifact"};
    char body[256];
    size_t i, n;
    told t;

    (void)state;
    stage.no_artifacts = true;
    for (i = 0; i < COUNT(artifacts); i++)
        for (n = 0; n < COUNT(names); n++) {
            snprintf(body, sizeof body, "{'stdout':'x','%s':%s,'exit_code':3,'stderr':'y'}",
                     names[n], artifacts[i]);
            ask(&t, EXECUTE, 200, quoted(body), n == 0 ? &whole : &bytes);
            assert_int_equal(t.rc, UNSB_OK);
            assert_string_equal(told_text(&t), "exit_code=3 out=x err=y");
        }
}

#define TEST(function) cmocka_unit_test_teardown(function, stage_down)

/* Of a text that consists of the ends of characters nothing can be kept; and what stands before
 * its array is not looked at. */
static void test_text_without_beginnings(void **state)
{
    static const way ways[] = {{1024, 0, false, false}, {128, 1, false, false},
                               {128, 7, true, false}};
    char body[512];
    io_script script;
    size_t i, n;

    (void)state;
    n = (size_t)sprintf(body, "{\"exit_code\":0,\"language\":\"");
    memset(body + n, '\x80', 200);
    strcpy(body + n + 200, "\"}");
    memset(&script, 0, sizeof script);
    script.replies[0] = io_reply(200, "", body);
    for (i = 0; i < COUNT(ways); i++) {
        stage_up(&script, 1, &ways[i]);
        memset(stage.result.job_id, '\x80', sizeof stage.result.job_id);
        assert_int_equal(io_finish(&stage.io, &stage.client, stage_begin(EXECUTE)), UNSB_OK);
        assert_string_equal(stage.result.language, "");
        assert_int_equal(stage.result.exit_code, 0);
        unsb_close(&stage.client);
    }
}

/* Names and words longer than any that is known: not taken for a known one, nor as much of it. */
static void test_long_words(void **state)
{
    static const way ways[] = {{1024, 0, false, false}, {128, 1, false, false},
                               {128, 7, true, false}};
    char body[1024], more[300];
    size_t size, i;
    told t;

    (void)state;
    for (i = 0; i < COUNT(ways); i++)
        for (size = 1; size < sizeof more; size += size < 80 ? 1 : 30) {
            memset(more, 'd', sizeof more);
            more[size] = '\0';
            snprintf(body, sizeof body, "{'exit_code%s':9,'status':'failed%s','exit_code':3}",
                     more, more);
            ask(&t, GET, 200, quoted(body), &ways[i]);
            assert_int_equal(t.rc, UNSB_OK);
            assert_string_equal(t.fact[FACT_EXIT_CODE], "3");
            assert_string_equal(t.fact[FACT_STATUS], "unknown"); /* a word of tomorrow */
            snprintf(body, sizeof body, "{'success':'true%s','created_at':'2024-01-15T10:30:00%s',"
                     "'exit_code':3}", more, more);
            ask(&t, GET, 200, quoted(body), &ways[i]);
            assert_int_equal(t.rc, UNSB_OK);
            assert_string_equal(told_text(&t), "exit_code=3 job_id=" ASKED_ID);
        }
}

/* RFC 3339 section 5.6, each part at its limits and beyond. */
static void test_times(void **state)
{
    static const struct {
        const char *text, *seconds; /* NULL: it is no time */
    } times[] = {
        {"1970-01-01T00:00:00Z", "0"},
        {"2024-01-15 10:30:00Z", "1705314600"},
        {"2024-01-15t10:30:00Z", "1705314600"},
        {"2024-01-15x10:30:00Z", NULL},
        {"2024-01t15T10:30:00Z", NULL},
        {"2024-01 15T10:30:00Z", NULL},
        {"2024-01-15T10t30:00Z", NULL},
        {"x024-01-15T10:30:00Z", NULL},
        {"20x4-01-15T10:30:00Z", NULL},
        {"2024-0x-15T10:30:00Z", NULL},
        {"2024-x1-15T10:30:00Z", NULL},
        {"2024-01-15T10:30:x0Z", NULL},
        {"2024-00-15T10:30:00Z", NULL},
        {"2024-12-15T10:30:00Z", "1734258600"},
        {"2024-13-15T10:30:00Z", NULL},
        {"2024-01-00T10:30:00Z", NULL},
        {"2024-01-01T10:30:00Z", "1704105000"},
        {"2024-01-31T10:30:00Z", "1706697000"},
        {"2024-01-32T10:30:00Z", NULL},
        {"2024-01-15T23:59:60Z", "1705363200"},
        {"2024-01-15T24:30:00Z", NULL},
        {"2024-01-15T10:59:00Z", "1705316340"},
        {"2024-01-15T10:60:00Z", NULL},
        {"2024-01-15T10:30:61Z", NULL},
        {"2024-01-15T10:30:00+23:59", "1705228260"},
        {"2024-01-15T10:30:00-23:59", "1705400940"},
        {"2024-01-15T10:30:00+24:00", NULL},
        {"2024-01-15T10:30:00+05:60", NULL},
        {"2024-01-15T10:30:00+05-00", NULL},
        {"2024-01-15T10:30:00+x5:00", NULL},
        {"2024-01-15T10:30:00+05:x0", NULL},
        {"2024-01-15T10:30:00+05", "1705296600"},
        {"2024-01-15T10:30:00-05:30", "1705334400"},
        {"2024-01-15T10:30:00+5", NULL},
        {"2024-01-15T10:30:00+", NULL},
        {"2024-01-15T10:30:00+05:", NULL},
        {"2024-01-15T10:30:00+05:0", NULL},
        {"2024-01-15T10:30:00+05:00Z", NULL},
        {"2024-01-15T10:30:00Z+05:00", NULL},
        {"2024-01-15T10:30:00+05:000", NULL},
        {"2024-01-15T10:30:00Z05:00", NULL},
        {"2024-01-15T10:30:00x05:00", NULL},
        {"0000-06-01T00:00:00Z", NULL},
        {"0001-01-01T00:00:00Z", "-62135596800"},
        {"1900-02-28T00:00:00Z", "-2203977600"},
        {"1900-03-01T00:00:00Z", "-2203891200"},
        {"2000-02-29T00:00:00Z", "951782400"},
        {"2100-03-01T00:00:00Z", "4107542400"},
        {"9999-12-31T23:59:59Z", "253402300799"},
        {"2024-01-15T10:30:00.Z", "1705314600"},
        {"2024-01-15T10:30:00.999999999Z", "1705314600"},
        {"2024-01-15T10:30:00,5Z", NULL},
        {"2024-01-15T10:30:0", NULL},
        {"2024-01-15T10:30:", NULL},
        {"2024-01-15T10:30", NULL},
        {"2024-01-15T10", NULL},
        {"2024-01-15", NULL},
        {"2024", NULL},
        {"2024-01-15T10:30:00.12345678901234567890", NULL}, /* more than is gathered */
    };
    char body[128];
    size_t i;
    told t;

    (void)state;
    needs(UNSB_DETAILS);
    for (i = 0; i < COUNT(times); i++) {
        snprintf(body, sizeof body, "{'status':'running','created_at':'%s'}", times[i].text);
        ask(&t, GET, 200, quoted(body), i % 2 != 0 ? &bytes : &whole);
        assert_int_equal(t.rc, UNSB_OK);
        if (strcmp(t.fact[FACT_CREATED], times[i].seconds != NULL ? times[i].seconds : "") != 0)
            fail_msg("%s: %s", times[i].text, t.fact[FACT_CREATED]);
    }
    /* a shorter one after a longer one, of which nothing is left */
    ask(&t, GET, 200,
        quoted("{'status':'running','created_at':'2024-01-15T10:30:00.25+01:00',"
               "'started_at':'2024-01-15T10:30:00','completed_at':'2024-01-15T10:30:00.5'}"),
        &whole);
    assert_string_equal(told_text(&t), "status=running created_at=1705311000 "
                                       "started_at=1705314600 completed_at=1705314600 "
                                       "job_id=" ASKED_ID);
}

/* Of two faults in an answer the last one is told. */
static void test_last_of_two_faults(void **state)
{
    told t;

    (void)state;
    ask(&t, EXECUTE, 200, quoted("{'stdout':3,'artifacts':[{'data':'!'}],'exit_code':0}"), &bytes);
    assert_int_equal(t.rc, UNSB_ARTIFACTS ? UNSB_E_BASE64 : UNSB_E_RESPONSE);
    ask(&t, EXECUTE, 200, quoted("{'artifacts':[{'data':'!'}],'stdout':3,'exit_code':0}"), &bytes);
    assert_int_equal(t.rc, UNSB_E_RESPONSE);
}

/* Any part of a result tells of a run, be it of one character; none of it does not. */
static void test_least_of_a_result(void **state)
{
    static const char *const parts[] = {"'error':'e'", "'message':'m'", "'stdout':'o'",
                                        "'stderr':''", "'exit_code':0", "'success':false"};
    static const char *const none[] = {"", "'error':''", "'message':''", "'language':'c'"};
    char body[64];
    size_t i;
    told t;

    (void)state;
    for (i = 0; i < COUNT(parts) + COUNT(none); i++) {
        snprintf(body, sizeof body, "{%s}",
                 i < COUNT(parts) ? parts[i] : none[i - COUNT(parts)]);
        ask(&t, EXECUTE, 200, quoted(body), &bytes);
        assert_int_equal(t.rc, i < COUNT(parts) ? UNSB_OK : UNSB_E_RESPONSE);
    }
}

/* The id of a session or service is one only where such a thing was asked for. */
static void test_other_ids(void **state)
{
    static const struct {
        int operation;
        const char *body, *id;
    } cases[] = {
        {CALL_RESULT, "{'id':'a'}", "a"},
        {CALL_RESULT, "{'session_id':'a'}", "a"},
        {CALL_RESULT, "{'service_id':'a'}", "a"},
        {CALL_RESULT, "{'job_id':'j','id':'a'}", "j"},
        {CALL_RESULT, "{'id':'a','job_id':'j'}", "j"},
        {CALL_RESULT, "{'session_id':'a','id':'b'}", "a"},
        {EXECUTE, "{'exit_code':0,'id':'a'}", ""},
        {EXECUTE, "{'exit_code':0,'session_id':'a','service_id':'b'}", ""},
        {EXECUTE_ASYNC, "{'id':'a','job_id':'j'}", "j"},
        {GET, "{'status':'running','id':'a'}", ASKED_ID},
    };
    size_t i;
    told t;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        if (!is_operation(cases[i].operation))
            continue;
        ask(&t, cases[i].operation, 200, quoted(cases[i].body), i % 2 != 0 ? &bytes : &whole);
        assert_int_equal(t.rc, UNSB_OK);
        assert_string_equal(t.fact[FACT_JOB_ID], cases[i].id);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_each_field_by_each_kind),
        TEST(test_items),
        TEST(test_foreign_fields),
        TEST(test_other_kinds_in_a_result),
        TEST(test_outputs_are_bytes),
        TEST(test_good_before_bad),
        TEST(test_around_the_document),
        TEST(test_no_document),
        TEST(test_deep),
        TEST(test_texts_cut_between_characters),
        TEST(test_ids_are_whole),
        TEST(test_errors_that_wait),
        TEST(test_artifacts_unread),
        TEST(test_text_without_beginnings),
        TEST(test_long_words),
        TEST(test_times),
        TEST(test_last_of_two_faults),
        TEST(test_least_of_a_result),
        TEST(test_other_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
