/* See app.h. */
#include "app.h"
#include "board.h"

#define SPECTRUM_WINDOW 256u /* samples: a power of 2 */
#define TREND_WINDOW 1000u   /* 2 s */
#define JOB_LIMIT_MS 120000u

/* programs/programs.S */
extern const char program_spectrum[], program_trend[], program_image[];
extern const uint32_t program_spectrum_size, program_trend_size, program_image_size;

enum { SPECTRUM, SUBMIT, TREND, IMAGE, DONE };

/* ---- the programs' JSON, read as it arrives ---- */

static void read_number(app_answer *answer)
{
    static const char names[][12] = {"samples",    "missing",    "slope_milli", "low_milli",
                                     "high_milli", "millihertz", "amplitude"};
    int32_t *fields[7], ignored;
    int64_t value;
    size_t i;

    fields[0] = &answer->samples;
    fields[1] = &answer->missing;
    fields[2] = &answer->slope_milli;
    fields[3] = &answer->low_milli;
    fields[4] = &answer->high_milli;
    fields[5] = fields[6] = &ignored;
    if (answer->peak_count < 2) {
        fields[5] = &answer->peaks[answer->peak_count].millihertz;
        fields[6] = &answer->peaks[answer->peak_count].amplitude;
    }
    for (i = 0; i < 7; i++) {
        if (strlen(names[i]) != answer->key_size ||
            memcmp(names[i], answer->key, answer->key_size) != 0)
            continue;
        if (unsb_json_integer(&answer->reader, &value) != UNSB_OK || value > INT32_MAX ||
            value < INT32_MIN)
            answer->error = E_APP_ANSWER;
        else
            *fields[i] = (int32_t)value;
    }
}

/* The sink for stdout. The reader unescapes strings in place, so it gets copies of pieces. */
static int read_answer(void *context, const void *data, size_t size)
{
    app_answer *answer = (app_answer *)context;
    unsb_json_reader *reader = &answer->reader;
    const char *p = (const char *)data;
    char piece[32];
    size_t have = 0, used;
    int event = UNSB_JSON_MORE;

    if (size == 0) { /* it starts over */
        memset(answer, 0, sizeof *answer);
        unsb_json_reader_init(reader);
    }
    while (answer->error == UNSB_OK && (size != 0 || have != 0)) {
        if (have == 0) {
            have = size < sizeof piece ? size : sizeof piece;
            memcpy(piece, p, have);
            p += have;
            size -= have;
        }
        event = unsb_json_read(reader, piece, have, &used);
        if (event == UNSB_JSON_KEY) {
            size_t room = sizeof answer->key - answer->key_size;
            size_t n = reader->text_size < room ? reader->text_size : room;
            memcpy(answer->key + answer->key_size, reader->text, n);
            answer->key_size = (uint8_t)(answer->key_size + n);
        } else if (event == UNSB_JSON_NUMBER) {
            read_number(answer);
        } else if (event == UNSB_JSON_OBJECT_END && reader->depth == 2) { /* one of "peaks" */
            answer->peak_count = (uint8_t)(answer->peak_count + (answer->peak_count < 2));
        } else if (event < 0) {
            answer->error = event;
        }
        /* a key's pieces are gathered; whatever comes after it ends it */
        if (event > UNSB_JSON_MORE && event != UNSB_JSON_KEY)
            answer->key_size = 0;
        memmove(piece, piece + used, have - used);
        have -= used;
    }
    return answer->error;
}

/* ---- the image ---- */

static int keep_image(void *context, const unsb_artifact *artifact)
{
    app *a = (app *)context;

    if (artifact->index != 0)
        return E_APP_IMAGE;
    if (artifact->end)
        return flash_stream_close(&a->image);
    return flash_stream_write(&a->image, artifact->data, artifact->size);
}

/* Of what lies in flash, not of what was received: it is the former that would be started. */
static int check_image(const app *a)
{
    static const char hex[] = "0123456789abcdef";
    br_sha256_context digest;
    uint8_t piece[64], hash[br_sha256_SIZE];
    uint32_t at;
    size_t i;

    br_sha256_init(&digest);
    for (at = 0; at < a->image.size; at += (uint32_t)i) {
        i = a->image.size - at < sizeof piece ? a->image.size - at : sizeof piece;
        if (flash_read(a->image.begin + at, piece, i) != UNSB_OK)
            return E_FLASH;
        br_sha256_update(&digest, piece, i);
    }
    br_sha256_out(&digest, hash);
    for (i = 0; i < sizeof hash; i++)
        if (a->text[2 * i] != hex[hash[i] >> 4] || a->text[2 * i + 1] != hex[hash[i] & 15])
            return E_APP_IMAGE;
    return a->image.size != 0 ? UNSB_OK : E_APP_IMAGE;
}

/* ---- what each step sends, and what it makes of the answer ---- */

/* Zeroes the program and the result, and fills in what the first two steps share. */
static void prepare(app *a, const char *language, const char *code, uint32_t size)
{
    memset(&a->program, 0, sizeof a->program);
    memset(&a->result, 0, sizeof a->result);
    a->program.language = language;
    a->program.code = unsb_bytes(code, size);
    a->step_samples = sensor_taken();
}

static void prepare_analysis(app *a, const char *code, uint32_t size, uint32_t samples)
{
    prepare(a, "python", code, size);
    a->window.count = samples;
    a->window.first = sensor_stored() - samples;
    a->file.name = "samples.bin";
    a->file.source = sensor_source(&a->window);
    a->program.files = &a->file;
    a->program.file_count = 1;
    (void)read_answer(&a->answer, NULL, 0);
    a->result.out.write = read_answer;
    a->result.out.context = &a->answer;
}

/* Did the program do what it was sent for? */
static int check_answer(app *a)
{
    if (!a->result.success || unsb_json_read_end(&a->answer.reader) != UNSB_OK)
        return E_APP_ANSWER;
    return a->answer.samples == (int32_t)a->window.count ? UNSB_OK : E_APP_ANSWER;
}

static void tell_meanwhile(const app *a)
{
    board_print_number("  meanwhile sampled: ", (int32_t)(sensor_taken() - a->step_samples), "\n");
}

static int spectrum_over(app *a)
{
    unsigned i;
    int rc = check_answer(a);

    if (rc != UNSB_OK || a->answer.peak_count < 2)
        return E_APP_ANSWER;
    board_print_number("spectrum of ", a->answer.samples, " samples\n");
    board_print_number("  missing: ", a->answer.missing, "\n");
    for (i = 0; i < 2; i++) {
        board_print_number("  peak at ", a->answer.peaks[i].millihertz, " mHz");
        board_print_number(", amplitude ", a->answer.peaks[i].amplitude, "\n");
    }
    tell_meanwhile(a);
    return UNSB_OK;
}

static int trend_over(app *a)
{
    int rc = check_answer(a);

    if (rc != UNSB_OK || a->result.status != UNSB_STATUS_COMPLETED)
        return E_APP_ANSWER;
    board_print_number("trend of ", a->answer.samples, " samples\n");
    board_print_number("  missing: ", a->answer.missing, "\n");
    board_print_number("  slope: ", a->answer.slope_milli, " thousandths a second");
    board_print_number(", surely from ", a->answer.low_milli, "");
    board_print_number(" to ", a->answer.high_milli, "\n");
    tell_meanwhile(a);
    return UNSB_OK;
}

static int image_over(app *a)
{
    int rc = a->result.success ? check_image(a) : E_APP_ANSWER;

    if (rc == UNSB_OK) {
        board_print_number("image of ", (int32_t)a->image.size, " bytes in flash\n  sha256: ");
        a->text[2 * br_sha256_SIZE] = '\0';
        board_print(a->text);
        board_print("\n");
        tell_meanwhile(a);
    }
    return rc;
}

static void prepare_image(app *a)
{
    prepare(a, "c", program_image, program_image_size);
    a->program.return_artifact = true;
    flash_stream_open(&a->image, APP_IMAGE_BEGIN, APP_IMAGE_LIMIT);
    a->result.on_artifact = keep_image;
    a->result.context = a;
    a->result.out = unsb_into(a->text, sizeof a->text);
}

/* ---- the steps, one after the other ---- */

static bool may_begin(const app *a)
{
    uint32_t wanted = a->step == SPECTRUM ? SPECTRUM_WINDOW : a->step == SUBMIT ? TREND_WINDOW : 0;

    return sensor_stored() >= wanted;
}

static int begin(app *a)
{
    switch (a->step) {
    case SPECTRUM:
        prepare_analysis(a, program_spectrum, program_spectrum_size, SPECTRUM_WINDOW);
        return unsb_execute(&a->client, &a->program, &a->result);
    case SUBMIT:
        prepare_analysis(a, program_trend, program_trend_size, TREND_WINDOW);
        return unsb_execute_async(&a->client, &a->program, &a->result);
    case TREND:
        return unsb_job_wait(&a->client, a->result.job_id, JOB_LIMIT_MS, &a->result);
    default:
        prepare_image(a);
        return unsb_execute(&a->client, &a->program, &a->result);
    }
}

/* The service has done what it was asked. */
static int finish(app *a)
{
    switch (a->step) {
    case SPECTRUM:
        return spectrum_over(a);
    case SUBMIT:
        return UNSB_OK;
    case TREND:
        return trend_over(a);
    default:
        return image_over(a);
    }
}

int app_start(app *a)
{
    a->config.buffer = a->buffer;
    a->config.buffer_size = sizeof a->buffer;
    return unsb_init(&a->client, &a->config);
}

/* A blocking client's operation is over when its function returns. */
int app_poll(app *a)
{
    int rc = UNSB_OK;

    if (a->step == DONE || (!a->running && !may_begin(a)))
        return a->step == DONE ? UNSB_OK : UNSB_PENDING;
    rc = a->running ? unsb_poll(&a->client) : begin(a);
    a->running = rc == UNSB_PENDING;
    if (rc == UNSB_OK)
        rc = finish(a);
    if (rc == UNSB_OK && ++a->step != DONE)
        rc = UNSB_PENDING;
    return rc;
}

bool app_idle(app *a)
{
    const unsb_transport *transport = &a->config.transport;
    uint32_t timeout_ms;
    int interest;

    if (!a->running)
        return !may_begin(a);
    interest = unsb_interest(&a->client, &timeout_ms);
    if (timeout_ms == 0)
        return false;
    /* `wait` without time asks whether there is something already, also within the TLS layer */
    return interest == 0 || transport->vtable->wait(transport->context, interest, 0) != UNSB_OK;
}

void app_end(app *a)
{
    unsb_close(&a->client);
}
