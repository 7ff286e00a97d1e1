/* Every shape in which the service answers, or has answered: by its documentation, its schema, its
 * own clients. Each one arrives whole, in pieces, and cut at every byte; and how jobs are waited
 * for. */
#include "answers.h"

typedef struct answer {
    const char *name;
    int operation;
    int status; /* 0: 200 */
    const char *body;
    int rc;
    const char *told; /* see told_text() */
    const char *fields; /* of the head */
    bool is_signed;
    bool numbers; /* it needs UNSB_NUMBERS */
} answer;

#define UUID "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
#define PAGE_RESULT                                                                                \
    "'success':true,'stdout':'Hello\\n','stderr':'','exit_code':0,'language':'python',"            \
    "'job_id':'" UUID "','artifacts':[],'execution_mode':'pooled','network_mode':'zerotrust',"     \
    "'total_time_ms':523"
#define PAGE_TOLD                                                                                  \
    "success=1 exit_code=0 total_time_ms=523 job_id=" UUID                                         \
    " language=python mode=pooled network=zerotrust out=Hello\n ok"
#define CANCELLED_RESULT                                                                           \
    "'success':false,'stdout':'Partial output','stderr':'','exit_code':-1,'language':'python',"    \
    "'artifacts':[],'execution_mode':'pooled','network_mode':'zerotrust','total_time_ms':1523"
#define RAN "{'success':true,'stdout':'x','exit_code':0,"
#define RAN_TOLD "success=1 exit_code=0 out=x seen="
#define CODE64 "'content_base64':'dHdv'"

static const answer answers[] = {
    /* ---- results ---- */
    {"the page's result", EXECUTE, .body = "{" PAGE_RESULT "}", .told = PAGE_TOLD},
    {"a result of run", RUN, .body = "{" PAGE_RESULT ",'detected_language':'python'}",
     .told = "success=1 exit_code=0 total_time_ms=523 job_id=" UUID " language=python "
             "detected=python mode=pooled network=zerotrust out=Hello\n ok"},
    {"a program that failed", EXECUTE,
     .body = "{'success':false,'stdout':'','stderr':'Traceback','exit_code':1,'language':'python'}",
     .told = "success=0 exit_code=1 language=python err=Traceback"},
    {"the later result: no mode, artifacts alone, a fractional time", EXECUTE,
     .body = "{'job_id':'j1','status':'completed','success':true,'stdout':'x','stderr':'y',"
             "'exit_code':0,'language':'c','network_mode':'zerotrust','total_time_ms':523.75,"
             "'artifact':null,'wasm_artifact':null,'artifacts':[]}",
     .told = "status=completed success=1 exit_code=0 total_time_ms=523 job_id=j1 language=c "
             "network=zerotrust out=x err=y ok"},
    {"error null in a good one", EXECUTE,
     .body = "{'error':null,'stdout':'x','stderr':'','exit_code':0}",
     .told = "exit_code=0 out=x ok"},
    {"an error and no exit code", EXECUTE, .body = "{'error':'compile failed','stderr':'no'}",
     .told = "error=compile failed err=no"},
    {"an exit code that is not 0, and no success", EXECUTE, .body = "{'exit_code':2,'stdout':''}",
     .told = "exit_code=2"},
    {"the result nested", EXECUTE,
     .body = "{'job_id':'j1','status':'completed','result':{'stdout':'x','exit_code':0}}",
     .told = "status=completed exit_code=0 job_id=j1 out=x ok"},
    {"a run that took too long", EXECUTE,
     .body = "{'job_id':'j1','status':'timeout','stdout':'x','exit_code':0}",
     .told = "status=timeout exit_code=0 job_id=j1 out=x"},
    /* ---- jobs accepted ---- */
    {"async, the page's", EXECUTE_ASYNC, .body = "{'job_id':'j1','status':'pending'}",
     .told = "status=pending job_id=j1"},
    {"async, 202", EXECUTE_ASYNC, 202,
     "{'job_id':'" UUID "','status':'pending','message':'Job accepted'}",
     .told = "status=pending job_id=" UUID " message=Job accepted"},
    {"run/async, 202", RUN_ASYNC, 202,
     "{'job_id':'j1','status':'pending','message':'m','detected_language':'ruby'}",
     .told = "status=pending job_id=j1 detected=ruby message=m"},
    {"async that is over already", EXECUTE_ASYNC, .body = "{'stdout':'x','exit_code':0}",
     .told = "exit_code=0 out=x ok"},
    /* ---- a job ---- */
    {"the page's job", GET,
     .body = "{'job_id':'job-1','status':'completed','created_at':1699564800,"
             "'started_at':1699564801,'completed_at':1699564805,'result':{'success':true,"
             "'stdout':'x','stderr':'','exit_code':0,'language':'go','detected_language':'go'}}",
     .told = "status=completed success=1 exit_code=0 created_at=1699564800 started_at=1699564801 "
             "completed_at=1699564805 job_id=job-1 language=go detected=go out=x ok"},
    {"a flat job, times as texts", GET,
     .body = "{'job_id':'job-1','status':'failed','language':'c','network_mode':'zerotrust',"
             "'stdout':'x','stderr':'y','exit_code':3,'total_time_ms':12,'error':null,"
             "'artifacts':[],'success':false,'created_at':'2024-01-15T10:30:00Z',"
             "'started_at':'2024-01-15T10:30:00.123456+02:00',"
             "'completed_at':'2024-02-29T23:59:59-05:30'}",
     .told = "status=failed success=0 exit_code=3 total_time_ms=12 created_at=1705314600 "
             "started_at=1705307400 completed_at=1709270999 job_id=job-1 language=c "
             "network=zerotrust out=x err=y"},
    {"times without an offset, in lower case, with a blank, with fractions", GET,
     .body = "{'status':'running','created_at':'2024-01-15T10:30:00.5','started_at':"
             "'2024-01-15t10:30:00z','completed_at':1699564800.25}",
     .told = "status=running created_at=1705314600 started_at=1705314600 completed_at=1699564800 "
             "job_id=job-1"},
    {"times that are none", GET,
     .body = "{'status':'pending','created_at':'yesterday','started_at':'2024-13-15T10:30:00Z',"
             "'completed_at':null}",
     .told = "status=pending job_id=job-1"},
    {"times with a fault", GET,
     .body = "{'status':'pending','created_at':'2024/01-15T10:30:00Z','started_at':"
             "'2024-01-15T10:30:00x','completed_at':'2024-01-15T10:3a:00Z'}",
     .told = "status=pending job_id=job-1"},
    {"times whose offset has a fault", GET,
     .body = "{'status':'pending','created_at':'2024-01-15T10:30:00+5','started_at':"
             "'2024-01-15T10:30:00+24:00','completed_at':'2024-01-15T10:30:00-05:00Z'}",
     .told = "status=pending job_id=job-1"},
    {"times that are cut or go on", GET,
     .body = "{'status':'pending','created_at':'2024-01-15T10:30','started_at':"
             "'2024-01-15T10:30:001','completed_at':'2024-01-15T10:30:00Z Z'}",
     .told = "status=pending job_id=job-1"},
    {"a job that is queued", GET, .body = "{'job_id':'job-1','status':'pending','result':null}",
     .told = "status=pending job_id=job-1"},
    {"a job that runs", GET, .body = "{'job_id':'job-1','status':'running','language':'c'}",
     .told = "status=running job_id=job-1 language=c"},
    {"a job that failed, with an error", GET,
     .body = "{'job_id':'job-1','status':'failed','error':'out of memory','stdout':'x'}",
     .told = "status=failed job_id=job-1 error=out of memory out=x"},
    {"a job without a status", GET, .body = "{'stdout':'x','exit_code':0}",
     .told = "exit_code=0 job_id=job-1 out=x ok"},
    {"a job with a word that is not known", GET, .body = "{'status':'queued'}",
     .told = "status=unknown job_id=job-1"},
    {"a status of the result does not outrank the job's", GET,
     .body = "{'status':'timeout','result':{'status':'ok','stdout':'x'}}",
     .told = "status=timeout job_id=job-1 out=x"},
    /* ---- lists ---- */
    {"the page's list", LIST,
     .body = "{'jobs':[{'job_id':'job_1234567890_abc','status':'running','language':'python',"
             "'submitted_at':'2024-01-15T10:30:00Z'},{'job_id':'j2','status':'pending'}]}",
     .told = "seen={job_1234567890_abc|running|python||1705314600}{j2|pending|||}"},
    {"a list that is an array", LIST,
     .body = "[{'job_id':'j1','language':'c','network_mode':'zerotrust','status':'running',"
             "'created_at':'2026-03-23T08:00:01.5Z'},{'job_id':'j2','created_at':1699564800}]",
     .told = "seen={j1|running|c|zerotrust|1774252801}{j2||||1699564800}"},
    {"an empty array", LIST, .body = "[]", .told = ""},
    {"an empty list", LIST, .body = "{'jobs':[],'count':0}", .told = ""},
    {"an empty list of Lua's or PHP's", LIST, .body = "{'jobs':{}}", .told = ""},
    {"nothing but an object", LIST, .body = "{}", .told = ""},
    {"odd items", LIST,
     .body = "[null,7,[{'job_id':'no'}],{'job_id':'j1'},'text',true,{'job_id':'j2'},{}]",
     .told = "seen={j1||||}{j2||||}{||||}"},
    {"languages", LANGUAGES, .body = "{'languages':['python','c','brainf']}",
     .told = "seen={||python||}{||c||}{||brainf||}"},
    {"languages that are an array", LANGUAGES, .body = "['python','c']",
     .told = "seen={||python||}{||c||}"},
    {"languages with aliases and a count", LANGUAGES,
     .body = "{'languages':['python','c'],'aliases':{'py':'python','gcc':'c'},'count':2}",
     .told = "seen={||python||}{||c||}{||py>python||}{||gcc>c||}"},
    {"aliases first", LANGUAGES,
     .body = "{'count':1,'aliases':{'py':'python'},'languages':['c']}",
     .told = "seen={||py>python||}{||c||}"},
    {"languages that are objects", LANGUAGES,
     .body = "{'languages':[{'name':'python'},{'name':'c'}]}",
     .told = "seen={||python||}{||c||}"},
    /* ---- cancelling ---- */
    {"the page's cancelled job", CANCEL,
     .body = "{'message':'Job cancelled','job_id':'job-1','result':{" CANCELLED_RESULT "}}",
     .told = "success=0 exit_code=-1 total_time_ms=1523 job_id=job-1 language=python mode=pooled "
             "network=zerotrust message=Job cancelled out=Partial output"},
    {"a cancelled job, flat", CANCEL,
     .body = "{'job_id':'job-1','status':'cancelled','message':'m','success':false,"
             "'stdout':'part','stderr':'','completed_at':'2024-01-15T10:30:00Z','artifacts':[]}",
     .told = "status=cancelled success=0 completed_at=1705314600 job_id=job-1 message=m out=part"},
    {"cancelled, 204", CANCEL, 204, "", .told = "job_id=job-1"},
    {"cancelled, 200 and nothing", CANCEL, 200, "", .told = "job_id=job-1"},
    /* ---- artifacts ---- */
    {"content_base64", EXECUTE, .body = RAN "'artifacts':[{'filename':'a.out'," CODE64 "}]}",
     .told = RAN_TOLD "[0 a.out \"two\"] ok"},
    {"the name after the content, type and size", EXECUTE,
     .body = RAN "'artifacts':[{" CODE64 ",'size':3,'mime_type':'text/x','filename':'a'}]}",
     .told = RAN_TOLD "[0 a \"two\" (text/x) 3] ok"},
    {"data", EXECUTE,
     .body = RAN "'artifacts':[{'type':'base64','filename':'a','data':'dHdv'},"
                 "{'type':'base64','data':'RUxG','filename':'b'}]}",
     .told = RAN_TOLD "[0 a \"two\"][1 b \"ELF\"] ok"},
    {"content and name", EXECUTE, .body = RAN "'artifacts':[{'name':'a','content':'dHdv'}]}",
     .told = RAN_TOLD "[0 a \"two\"] ok"},
    {"one artifact, and one of WebAssembly", EXECUTE,
     .body = RAN "'artifact':{'type':'base64','filename':'a','data':'RUxG'},"
                 "'wasm_artifact':{'type':'base64','filename':'a.wasm','data':'d2FzbSE='}}",
     .told = RAN_TOLD "[0 a \"ELF\"][1 wasm a.wasm \"wasm!\"] ok"},
    {"an artifact that failed", EXECUTE,
     .body = RAN "'artifact':{'type':'error','error':'no gcc'}}",
     .told = RAN_TOLD "[0  \"\" (no gcc) failed] ok"},
    {"an artifact without content", EXECUTE, .body = RAN "'artifacts':[{'filename':'a'}]}",
     .told = RAN_TOLD "[0 a \"\" failed] ok"},
    {"an empty artifact", EXECUTE,
     .body = RAN "'artifacts':[{'filename':'a','content_base64':''}]}",
     .told = RAN_TOLD "[0 a \"\"] ok"},
    {"artifacts of a job, in its result", GET,
     .body = "{'status':'completed','result':{'stdout':'x','artifacts':[{'filename':'a'," CODE64
             "}],'exit_code':0}}",
     .told = "status=completed exit_code=0 job_id=job-1 out=x seen=[0 a \"two\"] ok"},
    {"odd artifacts", EXECUTE,
     .body = RAN "'artifacts':[null,'a.out',[1],{'filename':'a'," CODE64 "},3]}",
     .told = RAN_TOLD "[0 a \"two\"] ok"},
    /* ---- refusals ---- */
    {"code and text", EXECUTE, 400, "{'error':'invalid_ttl','message':'ttl is 1 to 900'}",
     UNSB_E_BAD_REQUEST, .told = "error=invalid_ttl message=ttl is 1 to 900"},
    {"error as an object", EXECUTE, 400,
     "{'error':{'code':'bad','message':'not so','details':[1,{'message':'deeper'}]}}",
     UNSB_E_BAD_REQUEST, .told = "error=bad message=not so"},
    {"error as an object, and a message after it", EXECUTE, 400,
     "{'error':{'code':17},'message':'later'}", UNSB_E_BAD_REQUEST,
     .told = "error=17 message=later", .numbers = true},
    {"errors with detail", GET, 404, "{'errors':{'detail':'Not Found'}}", UNSB_E_NOT_FOUND,
     .told = "job_id=job-1 message=Not Found"},
    {"detail", EXECUTE, 422, "{'detail':'no such language'}", UNSB_E_REFUSED,
     .told = "message=no such language"},
    {"a numeric status beside them", GET, 404,
     "{'status':404,'error':'Not Found','message':'no job'}", UNSB_E_NOT_FOUND,
     .told = "job_id=job-1 error=Not Found message=no job"},
    {"a numeric error", EXECUTE, 500, "{'error':500,'message':'oops'}", UNSB_E_SERVER,
     .told = "error=500 message=oops", .numbers = true},
    {"a challenge", CALL_RESULT, 428, "{'challenge_id':'ch_123','message':'code sent'}",
     UNSB_E_CHALLENGE, .told = "challenge=ch_123 message=code sent"},
    {"concurrency", EXECUTE, 429,
     "{'error':'concurrency_limit_reached','active_executions':3,'concurrency_limit':2,"
     "'message':'m'}",
     UNSB_E_RATE_LIMITED, .told = "active=3 limit=2 error=concurrency_limit_reached message=m"},
    {"rate", EXECUTE, 429, "{'error':'rate_limit_exceeded','message':'slow'}", UNSB_E_RATE_LIMITED,
     .told = "retry_after=42 error=rate_limit_exceeded message=slow",
     .fields = "Retry-After: 42\r\n"},
    {"odd numbers of a 429", EXECUTE, 429,
     "{'concurrency_limit':'5','active_executions':3000000000,'message':'later'}",
     UNSB_E_RATE_LIMITED, .told = "message=later"},
    {"the time stamp in error", EXECUTE, 401, "{'error':'invalid_timestamp'}", UNSB_E_CLOCK,
     .told = "error=invalid_timestamp", .is_signed = true},
    {"the time stamp in the message", GET, 401, "{'message':'Timestamp is off by 400 s'}",
     UNSB_E_CLOCK, .told = "job_id=job-1 message=Timestamp is off by 400 s", .is_signed = true},
    {"the time stamp in an error object", EXECUTE, 401,
     "{'error':{'code':'invalid_timestamp','message':'m'}}", UNSB_E_CLOCK,
     .told = "error=invalid_timestamp message=m", .is_signed = true},
    {"a signature", EXECUTE, 401, "{'error':'invalid_signature','message':'no'}",
     UNSB_E_UNAUTHORIZED, .told = "error=invalid_signature message=no", .is_signed = true},
    {"the time stamp of an unsigned request", EXECUTE, 401, "{'error':'missing timestamp'}",
     UNSB_E_UNAUTHORIZED, .told = "error=missing timestamp"},
    {"forbidden", EXECUTE, 403, "{'error':'tier','message':'zerotrust only'}", UNSB_E_FORBIDDEN,
     .told = "error=tier message=zerotrust only"},
    {"too large", EXECUTE, 413, "{'message':'too large'}", UNSB_E_TOO_LARGE,
     .told = "message=too large"},
    {"name taken", CALL_RESULT, 409, "{'error':'name taken'}", UNSB_E_REFUSED,
     .told = "error=name taken"},
    {"HTML of a proxy", EXECUTE, 502, "<html><body>Bad Gateway</body></html>", UNSB_E_SERVER,
     .told = ""},
    {"an array", EXECUTE, 422, "[{'error':'x'}]", UNSB_E_REFUSED, .told = ""},
    {"nothing", EXECUTE, 503, "", UNSB_E_SERVER, .told = ""},
    {"a redirect", EXECUTE, 302, "", UNSB_E_REDIRECT, .told = "",
     .fields = "Location: http://x/\r\n"},
    {"status 999", EXECUTE, 999, "{'message':'m'}", UNSB_E_SERVER, .told = "message=m"},
    /* ---- keys ---- */
    {"a key, the client's shape", KEY,
     .body = "{'valid':true,'tier':3,'status':'active','public_key':'unsb-pk-x',"
             "'valid_through_datetime':'2024-01-15T10:30:00Z','valid_for_human':'2 days',"
             "'rate_per_minute':21,'burst':5,'concurrency':1}",
     .told = "valid=1 tier=3 rate=21 burst=5 concurrency=1 expires_at=1705314600"},
    {"a key, the page's shape", KEY,
     .body = "{'valid':true,'tier':'pro','expires_at':1705314600,'rate_limit':21,'concurrency':1}",
     .told = "valid=1 tier=pro rate=21 concurrency=1 expires_at=1705314600"},
    {"a key that is not valid", KEY,
     .body = "{'valid':false,'reason':'expired','expired_at_datetime':'2024-01-15T10:30:00Z',"
             "'expired_ago':'2 days','renew_url':'https://x/'}",
     .told = "valid=0 reason=expired expires_at=1705314600"},
    {"a key that is not valid, 401", KEY, 401, "{'valid':false,'reason':'suspended'}", UNSB_OK,
     .told = "valid=0 reason=suspended"},
    {"a key that is not valid, 403", KEY, 403, "{'reason':'invalid_key','valid':false}", UNSB_OK,
     .told = "valid=0 reason=invalid_key"},
    {"a key whose signature is wrong", KEY, 401, "{'error':'invalid_signature'}",
     UNSB_E_UNAUTHORIZED, .told = "error=invalid_signature"},
    /* ---- warm containers ---- */
    {"a session", CALL_RESULT, 201,
     "{'session_id':'s1','container_name':'c','status':'running','websocket_url':'wss://x',"
     "'created_at':'2024-01-15T10:30:00Z','expires_at':'2024-01-15T11:30:00Z'}",
     .told = "status=running created_at=1705314600 job_id=s1"},
    {"a command of a session", CALL_RESULT, .body = "{'stdout':'x','stderr':'','exit_code':0}",
     .told = "exit_code=0 out=x ok"},
    {"a command of a session that is waited for", CALL_OUTCOME,
     .body = "{'stdout':'x','stderr':'','exit_code':7}", .told = "exit_code=7 out=x"},
    {"a command of a service", CALL_RESULT, 202, "{'job_id':'j1'}", .told = "job_id=j1"},
};

/* Can it be had with the options as they are? */
static bool is_possible(const answer *a)
{
    return (UNSB_SIGNING || !a->is_signed) && (UNSB_NUMBERS || !a->numbers) &&
           is_operation(a->operation);
}

/* ---- replies ---- */

enum { BY_LENGTH, BY_CHUNKS, BY_CLOSE, FRAMINGS };

/* The reply of an answer; *head: where its body begins. Lives until the next call. */
static const char *reply_of(const answer *a, unsigned framing, size_t *head, size_t *size)
{
    static char text[8192];
    const char *body = quoted(a->body);
    size_t left = strlen(body), n;

    n = (size_t)snprintf(text, sizeof text, "HTTP/1.1 %d Any\r\n%s", a->status ? a->status : 200,
                         a->fields != NULL ? a->fields : "");
    if (framing == BY_LENGTH && a->status != 204)
        n += (size_t)snprintf(text + n, sizeof text - n, "Content-Length: %zu\r\n", left);
    if (framing == BY_CHUNKS && a->status != 204)
        n += (size_t)snprintf(text + n, sizeof text - n, "Transfer-Encoding: chunked\r\n");
    n += (size_t)snprintf(text + n, sizeof text - n, "\r\n");
    *head = n;
    while (framing == BY_CHUNKS && a->status != 204 && left != 0) {
        size_t piece = left < 9 ? left : 9;
        n += (size_t)snprintf(text + n, sizeof text - n, "%zx;e\r\n%.*s\r\n", piece, (int)piece,
                              body);
        body += piece;
        left -= piece;
    }
    n += (size_t)snprintf(text + n, sizeof text - n, "%s",
                          framing == BY_CHUNKS && a->status != 204 ? "0\r\n\r\n" : body);
    assert_true(n < sizeof text);
    *size = n;
    return text;
}

/* Does the text of words "name=value" that is expected hold just what was told, in any order? */
static bool as_expected(const answer *a, const told *t)
{
    char expected[FACTS * FACT_SIZE + 2], fact[FACT_SIZE + 40];
    const char *all = what_is_told(a->operation, a->told), *seen = strstr(all, "seen=");
    size_t length = 0;
    int i;

    /* in a list, the result holds the last item: what was seen of them is what counts */
    if (a->operation == LIST || a->operation == LANGUAGES)
        return strcmp(t->fact[FACT_SEEN], seen != NULL ? seen + 5 : "") == 0;
    snprintf(expected, sizeof expected, " %s ", all);
    for (i = 0; i < FACTS; i++) {
        if (t->fact[i][0] == '\0')
            continue;
        if (i == FACT_SUCCEEDED)
            snprintf(fact, sizeof fact, " ok ");
        else
            snprintf(fact, sizeof fact, " %s=%s ", fact_names[i], t->fact[i]);
        if (strstr(expected, fact) == NULL)
            return false;
        length += strlen(fact) - 1;
    }
    return length == strlen(all) + (all[0] != '\0');
}

static unsigned faults;

static void complain(const answer *a, const char *how, const told *t, const char *why)
{
    if (++faults <= 40)
        print_error("%s (%s): %s\n  got rc %d, status %d: %s\n  not rc %d: %s\n", a->name, how, why,
                    t->rc, t->http_status, told_text(t), a->rc, a->told);
}

static void test_answers(void **state)
{
    static const size_t buffers[] = {128, 131, 1024}, pieces[] = {0, 1, 2, 7};
    size_t i, b, p, head, size;
    unsigned framing, mode;
    char how[80];
    told t;

    (void)state;
    faults = 0;
    for (i = 0; i < COUNT(answers); i++) {
        answer a = answers[i];
        unsigned before = faults;
        if (!is_possible(&a))
            continue;
        for (framing = 0; framing < FRAMINGS; framing++)
            for (b = 0; b < COUNT(buffers); b++)
                for (p = 0; p < COUNT(pieces); p++)
                    for (mode = 0; mode < 4 && faults == before; mode++) {
                        way w = {buffers[b], pieces[p], (mode & 1) != 0, mode >= 2};
                        io_script script;
                        memset(&script, 0, sizeof script);
                        script.replies[0] = reply_of(&a, framing, &head, &size);
                        if (framing == BY_CLOSE)
                            script.end = UNSB_E_CLOSED;
                        stage.is_signed = a.is_signed;
                        perform(&t, a.operation, &script, 1, &w);
                        snprintf(how, sizeof how, "framing %u, buffer %zu, pieces %zu, mode %u",
                                 framing, w.buffer, w.piece, mode);
                        if (t.rc != a.rc || t.http_status != (a.status ? a.status : 200) ||
                            !as_expected(&a, &t))
                            complain(&a, how, &t, "another outcome");
                        assert_int_equal(io_requests(&stage.io), 1);
                    }
    }
    assert_int_equal(faults, 0);
}

/* ---- cut ---- */

/* Is what a cut answer tells of a fact a part of what the whole one does? */
static bool is_part(int fact, const char *part, const char *whole)
{
    size_t size = strlen(part);

    switch (fact) {
    case FACT_OUT:
    case FACT_ERR:
    case FACT_SEEN:
    case FACT_LANGUAGE:
    case FACT_DETECTED:
    case FACT_MODE:
    case FACT_NETWORK:
    case FACT_CHALLENGE:
    case FACT_ERROR:
    case FACT_MESSAGE:
    case FACT_REASON:
    case FACT_TIER:
        return strncmp(part, whole, size) == 0;
    case FACT_SUCCEEDED: /* follows from others */
        return true;
    default: /* an id that is cut would be another one's */
        return size == 0 || strcmp(part, whole) == 0;
    }
}

/* In a list, a fact belongs to an item. */
static bool is_of_list(const answer *a)
{
    return a->operation == LIST || a->operation == LANGUAGES;
}

/* Where the value of a key stands in a body that has that key once; NULL: it has not. */
static const char *value_of(const char *body, const char *key)
{
    const char *at = strstr(body, key);

    return at != NULL && strstr(at + 1, key) == NULL ? at + strlen(key) : NULL;
}

/* What came before the cut is kept, to the byte. */
static const char *kept(const told *t, const told *whole, const char *body, size_t size)
{
    const char *out = value_of(body, "\"stdout\":\""), *code = value_of(body, "\"exit_code\":");
    const char *id = value_of(body, "\"job_id\":\"");
    size_t at, length = strlen(whole->fact[FACT_OUT]);

    if (out != NULL && strcspn(out, "\"\\") == length && strcspn(out, "\"") == length) {
        at = (size_t)(out - body);
        at = size < at ? 0 : size - at < length ? size - at : length;
        if (strlen(t->fact[FACT_OUT]) != at)
            return "stdout is not all that came";
    }
    if (code != NULL && whole->fact[FACT_EXIT_CODE][0] != '\0' &&
        size > (size_t)(code - body) + strcspn(code, ",}") &&
        strcmp(t->fact[FACT_EXIT_CODE], whole->fact[FACT_EXIT_CODE]) != 0)
        return "the exit code came, and is lost";
    if (id != NULL && size > (size_t)(id - body) + strcspn(id, "\"") &&
        strcmp(t->fact[FACT_JOB_ID], whole->fact[FACT_JOB_ID]) != 0)
        return "the job's id came, and is lost";
    return NULL;
}

static int refusal_code(int status)
{
    answer a;
    size_t i;

    for (i = 0; i < COUNT(answers); i++) {
        a = answers[i];
        if (a.status == status && a.rc != UNSB_OK && a.rc != UNSB_E_CLOCK)
            return a.rc;
    }
    fail();
    return 0;
}

/* Which error a cut must be. */
static int cut_code(const answer *a, unsigned framing, size_t head, size_t n, int end)
{
    bool refused = a->status >= 300;

    if (n == 0)
        return end;
    if (n < head)
        return end == UNSB_E_CLOSED ? UNSB_E_TRUNCATED : end;
    if (refused)
        return refusal_code(a->status);
    if (end != UNSB_E_CLOSED)
        return end;
    return framing == BY_CLOSE ? UNSB_E_JSON : UNSB_E_TRUNCATED;
}

static void cut_answer(const answer *a, unsigned framing, const way *w, int end)
{
    size_t head, size, n;
    char how[80];
    told whole, t;
    io_script script;
    unsigned before = faults;
    int expected;

    memset(&script, 0, sizeof script);
    script.replies[0] = reply_of(a, framing, &head, &size);
    script.end = UNSB_E_CLOSED;
    stage.is_signed = a->is_signed;
    perform(&whole, a->operation, &script, 1, w);
    for (n = 0; n < size && faults == before; n++) {
        const char *why = NULL;
        int i;
        memset(&script, 0, sizeof script);
        if (n != 0)
            script.replies[0] = reply_of(a, framing, &head, &size);
        script.reply_size = n;
        script.end = end;
        expected = cut_code(a, framing, head, n, end);
        /* the connection's end is the answer's: it may say that there is nothing */
        if (framing == BY_CLOSE && n == head && end == UNSB_E_CLOSED &&
            (a->operation == CANCEL || (a->operation == CALL_RESULT && a->rc == UNSB_OK)))
            expected = UNSB_OK;
        perform(&t, a->operation, &script, 1, w);
        if (framing == BY_CLOSE && n > head && a->status >= 300 &&
            (t.rc == UNSB_E_CLOCK || t.rc == whole.rc))
            expected = t.rc;
        if (a->is_signed && a->rc == UNSB_E_CLOCK && t.rc == UNSB_E_CLOCK && n > head)
            expected = t.rc; /* the word had come */
        if (t.rc != expected)
            why = "another code";
        if (t.http_status != (n < head ? 0 : whole.http_status))
            why = "another status";
        for (i = 0; i < FACTS && why == NULL; i++)
            if (!is_part(i, t.fact[i], whole.fact[i]) && (!is_of_list(a) || i == FACT_SEEN))
                why = fact_names[i];
        if (why == NULL && framing == BY_LENGTH && n > head)
            why = kept(&t, &whole, script.replies[0] + head, n - head);
        if (why == NULL && framing == BY_LENGTH && n + 1 == size && a->body[0] == '{' &&
            a->rc == UNSB_OK && strcmp(t.fact[FACT_SEEN], whole.fact[FACT_SEEN]) != 0)
            why = "at the last byte, something is missing";
        assert_int_equal(io_requests(&stage.io), 1);
        if (why != NULL) {
            snprintf(how, sizeof how, "framing %u, cut to %zu (body %zu), pieces %zu, expected %d",
                     framing, n, n < head ? 0 : n - head, w->piece, expected);
            complain(a, how, &t, why);
        }
    }
}

static void test_cut(void **state)
{
    static const way ways[] = {
        {1024, 0, false, false}, {128, 1, true, false}, {131, 3, false, true}};
    size_t i, v;
    unsigned framing;

    (void)state;
    faults = 0;
    for (i = 0; i < COUNT(answers); i++) {
        answer a = answers[i];
        if (!is_possible(&a))
            continue;
        for (framing = 0; framing < FRAMINGS; framing++)
            for (v = 0; v < COUNT(ways); v++)
                if (a.body[0] != '\0' || framing == BY_LENGTH)
                    cut_answer(&a, framing, &ways[v], v == 1 ? UNSB_E_IO : UNSB_E_CLOSED);
    }
    assert_int_equal(faults, 0);
}

/* ---- jobs that are waited for ---- */

#define MOST 36 /* replies, each to a connection of its own: the peer closes them */

static io_script scenes[IO_CONNECTIONS];
static size_t scene_count;

/* One reply more. `times`: so often. */
static void plays(unsigned times, int status, const char *fields, const char *body)
{
    char head[256];

    snprintf(head, sizeof head, "Connection: close\r\n%s", fields);
    for (; times != 0; times--) {
        assert_true(scene_count < MOST);
        memset(&scenes[scene_count], 0, sizeof scenes[0]);
        scenes[scene_count++].replies[0] = io_reply(status, head, quoted(body));
    }
}

static void breaks(unsigned times, int code) /* connections that fail with the request sent */
{
    for (; times != 0; times--) {
        assert_true(scene_count < MOST);
        memset(&scenes[scene_count], 0, sizeof scenes[0]);
        scenes[scene_count++].end = code;
    }
}

static void unreachable(unsigned times)
{
    for (; times != 0; times--) {
        assert_true(scene_count < MOST);
        memset(&scenes[scene_count], 0, sizeof scenes[0]);
        scenes[scene_count++].connect_error = UNSB_E_CONNECT;
    }
}

static told scene_told;

/* Performs an operation on the replies so far; one that asks for more than there are fails. */
static int play(int operation, bool nonblocking)
{
    static const way ways[2] = {{256, 0, false, false}, {256, 0, true, false}};

    assert_true(scene_count != 0);
    /* the last one serves all further connections: one more that says that it was not expected */
    memset(&scenes[scene_count], 0, sizeof scenes[0]);
    scenes[scene_count].replies[0] = io_reply(418, "Connection: close\r\n", "");
    perform(&scene_told, operation, scenes, scene_count + 1, &ways[nonblocking]);
    assert_true(scene_told.rc == UNSB_OK || stage.io.count <= scene_count);
    return scene_told.rc;
}

/* From one request to the next. */
static uint32_t pause_before(size_t connection)
{
    assert_true(connection < stage.io.count);
    return stage.io.connection[connection].asked_ms -
           stage.io.connection[connection - 1].asked_ms;
}

static unsigned posts(void)
{
    size_t i;
    unsigned n = 0;

    for (i = 0; i < stage.io.count; i++)
        n += stage.io.connection[i].sent != NULL &&
             strncmp(stage.io.connection[i].sent, "POST ", 5) == 0;
    return n;
}

static bool asks_for(size_t connection, const char *id)
{
    char start[100];

    snprintf(start, sizeof start, "GET /jobs/%s HTTP/1.1\r\n", id);
    return stage.io.connection[connection].sent != NULL &&
           strncmp(stage.io.connection[connection].sent, start, strlen(start)) == 0;
}

#define RUNNING "{'job_id':'job-1','status':'running'}"
#define DONE "{'job_id':'job-1','status':'completed','stdout':'x','exit_code':0}"
#define DONE_TOLD "status=completed exit_code=0 job_id=job-1 out=x ok"

static void ended(int operation, bool nonblocking)
{
    assert_int_equal(play(operation, nonblocking), UNSB_OK);
    assert_string_equal(told_text(&scene_told), DONE_TOLD);
    assert_int_equal(stage.io.count, scene_count);
}

static void test_wait_cadence(void **state)
{
    static const uint32_t cadence[] = {450, 700, 900, 650, 1600, 2000, 2000, 2000};
    uint32_t begun;
    size_t i;
    unsigned mode;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        scene_count = 0;
        plays(COUNT(cadence), 200, "", RUNNING);
        plays(1, 200, "", DONE);
        ended(WAIT, mode != 0);
        begun = 0xFFFFFF00u;
        assert_int_equal(stage.io.connection[0].asked_ms - begun, 300);
        for (i = 0; i < COUNT(cadence); i++)
            assert_int_equal(pause_before(i + 1), cadence[i]);
    }
}

static void slowly(unsb_config *c)
{
    c->wait_pause_ms = 5000;
}

static void test_wait_pause_configured(void **state)
{
    size_t i;
    unsigned mode;

    (void)state;
    stage.configure = slowly;
    for (mode = 0; mode < 2; mode++) {
        scene_count = 0;
        plays(5, 200, "", RUNNING);
        plays(1, 200, "", DONE);
        ended(WAIT, mode != 0);
        assert_int_equal(stage.io.connection[0].asked_ms - 0xFFFFFF00u, 5000);
        for (i = 1; i < 6; i++)
            assert_int_equal(pause_before(i), 5000);
    }
}

static void wait_kinds(unsigned kind, unsigned times)
{
    switch (kind) {
    case 0:
        plays(times, 502, "", "<html>");
        break;
    case 1:
        breaks(times, UNSB_E_CLOSED);
        break;
    case 2:
        breaks(times, UNSB_E_IO);
        break;
    default:
        unreachable(times);
        break;
    }
}

static void test_wait_failures(void **state)
{
    static const int codes[] = {UNSB_E_SERVER, UNSB_E_CLOSED, UNSB_E_IO, UNSB_E_CONNECT};
    unsigned kind;
    size_t i;

    (void)state;
    for (kind = 0; kind < COUNT(codes); kind++) {
        scene_count = 0;
        wait_kinds(kind, 30);
        plays(1, 200, "", DONE);
        ended(WAIT, (kind & 1) != 0);
        for (i = 1; kind != 3 && i < 31; i++)
            assert_int_equal(pause_before(i), 2000);
        scene_count = 0;
        wait_kinds(kind, 31);
        assert_int_equal(play(WAIT, (kind & 1) != 0), codes[kind]);
        assert_int_equal(stage.io.count, 31);
        assert_string_equal(scene_told.fact[FACT_JOB_ID], ASKED_ID);
    }
    /* they count in a row */
    scene_count = 0;
    wait_kinds(0, 16);
    plays(1, 200, "", RUNNING);
    wait_kinds(1, 16);
    plays(1, 200, "", DONE);
    ended(WAIT, false);
}

static void impatient(unsb_config *c)
{
    c->wait_failures = 3;
}

static void test_wait_failures_configured(void **state)
{
    (void)state;
    stage.configure = impatient;
    scene_count = 0;
    wait_kinds(0, 3);
    plays(1, 200, "", DONE);
    ended(WAIT, false);
    scene_count = 0;
    wait_kinds(0, 4);
    assert_int_equal(play(WAIT, false), UNSB_E_SERVER);
    assert_int_equal(stage.io.count, 4);
}

static void test_wait_429(void **state)
{
    unsigned mode;
    size_t i;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        scene_count = 0;
        plays(12, 429, "", "{'error':'rate_limit_exceeded'}");
        plays(1, 200, "", DONE);
        ended(WAIT, mode != 0);
        assert_true(pause_before(2) > pause_before(1)); /* they grow, */
        assert_true(pause_before(3) > pause_before(2));
        for (i = 2; i < 13; i++) {
            assert_true(pause_before(i) >= pause_before(i - 1));
            assert_true(pause_before(i) <= 120000); /* within reason */
        }
        /* Retry-After is longer, and kept to */
        scene_count = 0;
        plays(2, 429, "Retry-After: 17\r\n", "{}");
        plays(1, 200, "", DONE);
        ended(WAIT, mode != 0);
        assert_int_equal(pause_before(1), 17000);
        assert_int_equal(pause_before(2), 17000);
    }
    /* the service names the limit in the end */
    scene_count = 0;
    plays(31, 429, "", "{'error':'rate_limit_exceeded','concurrency_limit':1}");
    assert_int_equal(play(WAIT, false), UNSB_E_RATE_LIMITED);
    assert_string_equal(told_text(&scene_told),
                        what_is_told(WAIT, "limit=1 job_id=job-1 error=rate_limit_exceeded"));
}

static void test_wait_404(void **state)
{
    (void)state;
    scene_count = 0; /* not registered yet */
    plays(5, 404, "", "{'error':'no job'}");
    plays(1, 200, "", DONE);
    ended(WAIT, false);
    scene_count = 0;
    plays(6, 404, "", "{'error':'no job'}");
    assert_int_equal(play(WAIT, true), UNSB_E_NOT_FOUND);
    assert_string_equal(scene_told.fact[FACT_ERROR], "no job");
    scene_count = 0; /* it was there */
    plays(1, 200, "", RUNNING);
    plays(1, 404, "", "{'error':'no job'}");
    assert_int_equal(play(WAIT, false), UNSB_E_JOB_LOST);
    assert_string_equal(told_text(&scene_told), "job_id=job-1 error=no job");
    scene_count = 0; /* the service had failed */
    plays(1, 503, "", "");
    plays(1, 404, "", "");
    assert_int_equal(play(WAIT, true), UNSB_E_JOB_LOST);
    scene_count = 0; /* not while it is only busy, and those before do not count */
    plays(7, 429, "", "");
    plays(5, 404, "", "");
    plays(1, 200, "", DONE);
    ended(WAIT, false);
    scene_count = 0; /* any other refusal ends it */
    plays(1, 200, "", RUNNING);
    plays(1, 403, "", "{'message':'no'}");
    assert_int_equal(play(WAIT, false), UNSB_E_FORBIDDEN);
}

typedef struct last_answer {
    const char *body, *told;
} last_answer;

static void test_wait_what_ends(void **state)
{
    static const last_answer ends[] = {
        {"{'status':'completed'}", "status=completed job_id=job-1 ok"},
        {"{'status':'failed','error':'x'}", "status=failed job_id=job-1 error=x"},
        {"{'status':'timeout','stdout':'x'}", "status=timeout job_id=job-1 out=x"},
        {"{'status':'cancelled'}", "status=cancelled job_id=job-1"},
        {"{'status':'done','result':{'stdout':'x'}}", "status=unknown job_id=job-1 out=x"},
        {"{'status':'done','exit_code':0}", "status=unknown exit_code=0 job_id=job-1 ok"},
        {"{'status':'done','success':true}", "status=unknown success=1 job_id=job-1 ok"},
        {"{'status':'done','completed_at':7}", "status=unknown completed_at=7 job_id=job-1"},
        {"{'status':'done','completed_at':'2024-01-15T10:30:00Z'}",
         "status=unknown completed_at=1705314600 job_id=job-1"},
        {"{'stdout':'x','stderr':'','exit_code':0}", "exit_code=0 job_id=job-1 out=x ok"},
        {"{'stdout':'x'}", "job_id=job-1 out=x"},
        {"{'result':{'exit_code':1}}", "exit_code=1 job_id=job-1"},
        {"{'error':'gone'}", "job_id=job-1 error=gone"},
        {"{'status':200,'exit_code':1}", "exit_code=1 job_id=job-1"},
    };
    static const char *const goes_on[] = {
        "{'status':'pending'}", "{'status':'running','stdout':'so far'}", "{'status':'queued'}",
        "{'status':'queued','stdout':'','message':'m'}", "{'status':'running','completed_at':null}",
        "{'status':'running','result':null}", "{'status':'done','completed_at':null}",
        "{'status':'pending','success':null,'exit_code':null,'created_at':1}",
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(ends); i++) {
        if (strstr(ends[i].body, "completed_at") != NULL && !UNSB_DETAILS)
            continue;
        scene_count = 0;
        plays(2, 200, "", RUNNING);
        plays(1, 200, "", ends[i].body);
        assert_int_equal(play(WAIT, i % 2 != 0), UNSB_OK);
        if (strcmp(told_text(&scene_told), ends[i].told) != 0)
            print_error("%s\n", ends[i].body);
        assert_string_equal(told_text(&scene_told), ends[i].told);
        assert_int_equal(stage.io.count, 3);
    }
    for (i = 0; i < COUNT(goes_on); i++) {
        scene_count = 0;
        plays(1, 200, "", goes_on[i]);
        plays(1, 200, "", DONE);
        ended(WAIT, i % 2 != 0);
    }
}

/* ---- an execute whose answer is a job ---- */

static const int turning[] = {EXECUTE, RUN, CALL_OUTCOME};

static void test_turned(void **state)
{
    static const char *const firsts[] = {
        "{'job_id':'j-7','status':'pending'}", "{'job_id':'j-7','status':'running'}",
        "{'job_id':'j-7'}", "{'status':'pending','job_id':'j-7','message':'accepted'}",
        "{'job_id':'j-7','status':'queued','stdout':''}",
        "{'job_id':'j-7','status':'pending','success':null,'stdout':null,'exit_code':null}"};
    static const char last[] =
        "{'job_id':'another','status':'completed','stdout':'x','stderr':'y','exit_code':0,"
        "'artifacts':[{'filename':'a','data':'dHdv'}]}";
    size_t i, o;
    unsigned mode;

    (void)state;
    for (o = 0; o < COUNT(turning); o++)
        for (i = 0; i < COUNT(firsts) && is_operation(turning[o]); i++)
            for (mode = 0; mode < 4; mode++) {
                scene_count = 0;
                if (!UNSB_JOBS) { /* the caller can only be told which job it is */
                    plays(1, mode >= 2 ? 202 : 200, "", firsts[i]);
                    assert_int_equal(play(turning[o], (mode & 1) != 0), UNSB_E_RESPONSE);
                    assert_string_equal(scene_told.fact[FACT_JOB_ID], "j-7");
                    assert_int_equal(stage.io.count, 1);
                    continue;
                }
                plays(1, mode >= 2 ? 202 : 200, "", firsts[i]);
                plays(1, 404, "", "");
                plays(2, 200, "", "{'job_id':'j-7','status':'running'}");
                plays(1, 502, "", "<html>");
                plays(1, 200, "", last);
                assert_int_equal(play(turning[o], (mode & 1) != 0), UNSB_OK);
                assert_string_equal(told_text(&scene_told),
                                    what_is_told(turning[o],
                                                 "status=completed exit_code=0 job_id=j-7 out=x "
                                                 "err=y seen=[0 a \"two\"] ok"));
                assert_int_equal(stage.io.count, 6);
                assert_int_equal(posts(), 1);
                assert_true(asks_for(1, "j-7") && asks_for(5, "j-7"));
                assert_int_equal(pause_before(1), 300);
            }
}

/* Whatever happens while it is waited for, it was sent once, and can still be asked for. */
static void test_turned_and_failed(void **state)
{
    static const char first[] = "{'job_id':'j-7','status':'pending'}";
    size_t o;
    unsigned mode;

    (void)state;
    needs(UNSB_JOBS);
    for (o = 0; o < COUNT(turning); o++)
        for (mode = 0; mode < 2 && is_operation(turning[o]); mode++) {
            int operation = turning[o];
            bool polled = mode != 0;
            scene_count = 0;
            plays(1, 202, "", first);
            plays(6, 404, "", "");
            assert_int_equal(play(operation, polled), UNSB_E_NOT_FOUND);
            assert_string_equal(scene_told.fact[FACT_JOB_ID], "j-7");
            assert_int_equal(posts(), 1);
            scene_count = 0;
            plays(1, 202, "", first);
            breaks(31, UNSB_E_CLOSED);
            assert_int_equal(play(operation, polled), UNSB_E_CLOSED);
            assert_string_equal(scene_told.fact[FACT_JOB_ID], "j-7");
            assert_int_equal(posts(), 1);
            scene_count = 0;
            plays(1, 202, "", first);
            plays(1, 200, "", "{'status':'running'}");
            plays(1, 404, "", "");
            assert_int_equal(play(operation, polled), UNSB_E_JOB_LOST);
            assert_string_equal(scene_told.fact[FACT_JOB_ID], "j-7");
            scene_count = 0;
            plays(1, 202, "", first);
            plays(1, 401, "", "{'error':'key expired'}");
            assert_int_equal(play(operation, polled), UNSB_E_UNAUTHORIZED);
            assert_string_equal(scene_told.fact[FACT_JOB_ID], "j-7");
            assert_int_equal(posts(), 1);
        }
}

static void eager(unsb_config *c)
{
    c->retries = 3;
}

static void test_turned_once_with_retries(void **state)
{
    (void)state;
    needs(UNSB_JOBS);
    needs(UNSB_RETRIES);
    stage.configure = eager;
    scene_count = 0;
    plays(1, 503, "", "{'error':'busy'}"); /* nothing ran yet */
    plays(1, 202, "", "{'job_id':'j-7','status':'pending'}");
    plays(2, 503, "", "{'error':'busy'}");
    plays(2, 429, "", "{'error':'busy'}");
    breaks(2, UNSB_E_IO);
    plays(1, 200, "", "{'status':'completed','exit_code':0}");
    assert_int_equal(play(EXECUTE, true), UNSB_OK);
    assert_int_equal(posts(), 2);
    assert_int_equal(stage.io.count, scene_count);
}

static uint32_t limit_ms;

static void limited(unsb_config *c)
{
    c->total_timeout_ms = limit_ms;
    c->idle_timeout_ms = 10000;
    c->wait_pause_ms = 10000; /* so that there are few connections */
}

/* The program's ttl (60 s by default) and the idle limit, or the caller's. */
static void test_turned_limits(void **state)
{
    uint32_t took;
    unsigned mode;

    (void)state;
    needs(UNSB_JOBS);
    stage.configure = limited;
    for (mode = 0; mode < 4; mode++) {
        limit_ms = mode >= 2 ? 35000 : 0;
        scene_count = 0;
        plays(1, 202, "", "{'job_id':'j-7','status':'pending'}");
        plays(30, 200, "", "{'status':'running'}");
        assert_int_equal(play(EXECUTE, (mode & 1) != 0), UNSB_E_TIMEOUT);
        took = stage.io.now_ms - stage.io.connection[0].asked_ms;
        if (mode >= 2)
            assert_in_range(took, 34000, 36000);
        else
            assert_in_range(took, 69000, 72000);
        assert_string_equal(scene_told.fact[FACT_JOB_ID], "j-7");
        assert_string_equal(scene_told.fact[FACT_STATUS], "running");
        assert_int_equal(posts(), 1);
    }
}

static void timeless(unsb_config *c)
{
    c->now_ms = NULL;
}

static void test_turned_without_clock(void **state)
{
    static const way polled = {256, 0, true, false};

    (void)state;
    needs(UNSB_JOBS);
    stage.configure = timeless;
    scene_count = 0;
    plays(1, 200, "", "{'job_id':'j-7','status':'pending'}");
    assert_int_equal(play(EXECUTE, true), UNSB_E_NO_CLOCK);
    assert_string_equal(told_text(&scene_told), "status=pending job_id=j-7");
    assert_int_equal(posts(), 1);
    /* a blocking one has the transport's wait */
    scene_count = 0;
    plays(1, 200, "", "{'job_id':'job-1','status':'pending'}");
    plays(2, 200, "", RUNNING);
    plays(1, 200, "", DONE);
    ended(EXECUTE, false);
    assert_int_equal(posts(), 1);
    /* what would have to wait from the start does not start */
    stage_up(scenes, 1, &polled);
    assert_int_equal(stage_begin(WAIT), UNSB_E_NO_CLOCK);
    assert_int_equal(stage.io.count, 0);
    unsb_close(&stage.client);
}

/* Neither an outcome nor a job to ask for. */
static void test_turned_into_nothing(void **state)
{
    static const char *const bodies[] = {"{}", "{'status':'pending'}", "{'job_id':''}",
                                         "{'job_id':'..','status':'pending'}",
                                         "{'job_id':17,'status':'pending'}"};
    size_t i, o;

    (void)state;
    for (i = 0; i < COUNT(bodies); i++)
        for (o = 0; o < COUNT(turning); o++) {
            if (!is_operation(turning[o]))
                continue;
            scene_count = 0;
            plays(1, 202, "", bodies[i]);
            assert_int_equal(play(turning[o], false), UNSB_E_RESPONSE);
            assert_int_equal(stage.io.count, 1);
        }
}

/* What waits does not outlive its limit, and says how the job stood. */
static void test_wait_limit(void **state)
{
    unsigned mode;
    int rc;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        static const way ways[2] = {{256, 0, false, false}, {256, 0, true, false}};
        scene_count = 0;
        plays(10, 200, "", RUNNING);
        stage_up(scenes, scene_count, &ways[mode]);
        rc = unsb_job_wait(&stage.client, ASKED_ID, 4000, &stage.result);
        rc = io_finish(&stage.io, &stage.client, rc);
        stage_tell(&scene_told, WAIT, rc);
        assert_int_equal(rc, UNSB_E_TIMEOUT);
        assert_string_equal(told_text(&scene_told), "status=running job_id=job-1");
        assert_in_range(stage.io.now_ms - 0xFFFFFF00u, 4000, 4100);
        unsb_close(&stage.client);
    }
}

#define TEST(function) cmocka_unit_test_teardown(function, stage_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_answers),
        TEST(test_cut),
        TEST(test_wait_cadence),
        TEST(test_wait_pause_configured),
        TEST(test_wait_failures),
        TEST(test_wait_failures_configured),
        TEST(test_wait_429),
        TEST(test_wait_404),
        TEST(test_wait_what_ends),
        TEST(test_wait_limit),
        TEST(test_turned),
        TEST(test_turned_and_failed),
        TEST(test_turned_once_with_retries),
        TEST(test_turned_limits),
        TEST(test_turned_without_clock),
        TEST(test_turned_into_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
