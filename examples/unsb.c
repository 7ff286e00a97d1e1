/* unsb - runs code on unsandbox.com: a command-line tool on unsandbox.h
 *
 *     unsb hello.py                 unsb -s python 'print(6 * 7)'
 *     unsb -a -o bin hello.c        unsb jobs, wait ID, cancel ID, languages, key ...
 *
 * examples/unsb.1 is its manual. Linux, the BSDs, macOS: make -C examples unsb; Windows, MinGW:
 * gcc -I. -Iports examples/unsb.c -o unsb.exe -lws2_32 -lsecur32 -lcrypt32 -lshell32
 *
 * The client is non-blocking, so that one loop (finish()) moves every operation, draws what moves
 * on a terminal and looks whether Ctrl-C was pressed. A program is always submitted as a job: its
 * id is known before it has run, so it can be cancelled, or fetched later if this process dies. */
#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#define _DARWIN_C_SOURCE 1 /* macOS: O_NOFOLLOW */
#endif
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox_desktop.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#ifdef _WIN32
#include <direct.h>
#include <io.h>
#include <shellapi.h>
#else
#include <poll.h>
#include <unistd.h>
#endif

/* Exit codes of the tool's own; else it is the program's. The names are those of sysexits.h. */
enum {
    EXIT_USAGE = 64,    /* the command line */
    EXIT_DATA = 65,     /* code or files that the service does not take */
    EXIT_NO_INPUT = 66, /* a file or a job is not there */
    EXIT_NO_HOST = 68,
    EXIT_SERVICE = 69,  /* no connection, the service failed, or it lost the job */
    EXIT_BUG = 70,
    EXIT_SYSTEM = 71,   /* no memory, no random bytes */
    EXIT_CREATE = 73,   /* an artifact is missing or could not be saved */
    EXIT_OUTPUT = 74,   /* stdout or stderr could not be written */
    EXIT_LATER = 75,    /* a limit of rate or time: try again */
    EXIT_PROTOCOL = 76, /* TLS, HTTP or JSON that is none */
    EXIT_KEY = 77,      /* the service does not accept the key, or not for this */
    EXIT_CONFIG = 78,   /* no key, a bad URL, no trust anchors */
    EXIT_TTL = 124,     /* the program ran longer than its ttl */
    EXIT_SIGNAL = 128   /* and the signal's number: this tool was interrupted */
};

/* What the tool's callbacks return, apart from the library's codes and those of ports. */
enum { E_OUTPUT = UNSB_E_USER - 9001 };

#define TICK_MS 100u          /* how often what moves is drawn, and Ctrl-C is looked for */
#define GRACE_MS 5000u        /* how long the answer to a request that is out is awaited then */
#define WAIT_SLACK_MS 900000u /* how long a job may wait for its turn, beyond its ttl */
#define CODE_MAX 33554432u    /* of code and of bodies; the service has the last word */

/* Bytes that grow. */
typedef struct bytes {
    char *data;
    size_t size, room;
} bytes;

/* Code, a file or a body to be sent: read once, as it may be a pipe. */
typedef struct input {
    bytes content;
    unsb_size sent;  /* in the pass that sends it */
    unsigned passes; /* begun; the first one only measures */
} input;

/* Where the program's stdout or stderr goes. */
typedef struct stream {
    const char *name;
    int fd;
    bool held;       /* kept for --json, not written */
    bytes kept;
    uint64_t at;     /* in what the service sends, which may start over, */
    uint64_t put;    /* and how much of that is out already */
    int error;       /* errno */
} stream;

typedef struct artifact {
    char *name, *info; /* the service's */
    char *path;        /* where it was saved */
    uint64_t size;
    int error; /* errno, -1: the service's failure */
    bool wasm;
} artifact;

typedef struct options {
    const char *command, *argument, *target; /* "job" ...; FILE, ID or METHOD; TARGET */
    const char *directory, *body, *public_key, *account;
    unsb_program program;
    unsb_env *env;     /* of the program, as the next */
    unsb_file *files;
    input *inputs;     /* their contents */
    unsb_header *headers;
    size_t header_count;
    uint16_t ttl_s;
    bool run, fetch, async, json, quiet, verbose, force; /* fetch: artifacts are wanted */
} options;

static struct tool {
    unsb_desktop desktop;
    options o;
    stream out, err;
    input code;
    char secret[256];
    char id[UNSB_JOB_ID_SIZE]; /* of the job that this is about, once it is known */
    artifact *artifacts;
    size_t artifact_count;
    FILE *part;                /* the artifact that is arriving */
    bool terminal, colour;     /* stderr is one; and may be coloured */
    bool drawn;                /* a line is on it that is to be wiped */
    bool submitting, cancelling;
    bool graced;               /* Ctrl-C was noticed at stopped_ms, and an answer is awaited yet */
    uint32_t stopped_ms;
    unsigned frame;
} t;

static volatile sig_atomic_t stop; /* the signal that asks to leave */

/* ---- what the systems do differently ------------------------------------------------------- */

#ifdef _WIN32
#define SEPARATORS "/\\:"

static long write_some(int fd, const char *data, size_t size)
{
    return _write(fd, data, size < 65536 ? (unsigned)size : 65536u);
}

/* A path of UTF-8 as the system wants it, until the next call; "" where it is none or too long. */
static const wchar_t *wide(const char *path)
{
    static wchar_t w[1024];

    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, w, 1024) == 0)
        w[0] = L'\0';
    return w;
}

static FILE *open_file(const char *path, bool create)
{
    int how = create ? _O_WRONLY | _O_CREAT | _O_EXCL | _O_BINARY : _O_RDONLY | _O_BINARY;
    int fd = _wopen(wide(path), how, _S_IREAD | _S_IWRITE);

    return fd < 0 ? NULL : _fdopen(fd, create ? "wb" : "rb");
}

static void remove_file(const char *path)
{
    _wunlink(wide(path));
}

/* Is it a directory, or can it be made one? */
static bool make_directory(const char *path)
{
    DWORD what = 0;

    if (_wmkdir(wide(path)) == 0 || errno == EEXIST)
        what = GetFileAttributesW(wide(path));
    errno = what == 0 ? errno : ENOTDIR;
    return what != INVALID_FILE_ATTRIBUTES && (what & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

static void on_signal(int number)
{
    stop = number; /* the handler is gone now: a second one ends the process at once */
}

static void catch_signals(void)
{
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
}

static bool prepare_console(void)
{
    HANDLE console = GetStdHandle(STD_ERROR_HANDLE);
    DWORD mode;

    _setmode(0, _O_BINARY);
    _setmode(1, _O_BINARY);
    _setmode(2, _O_BINARY);
    if (GetConsoleMode(console, &mode) == 0)
        return false;
    SetConsoleOutputCP(CP_UTF8);
    return SetConsoleMode(console, mode | 0x0004) != 0; /* ENABLE_VIRTUAL_TERMINAL_PROCESSING */
}

/* The arguments as UTF-8, which main()'s are not. */
static char **utf8_arguments(int *argc, char **argv)
{
    wchar_t **w = CommandLineToArgvW(GetCommandLineW(), argc);
    char **made = w != NULL ? calloc((size_t)*argc + 1, sizeof *made) : NULL;
    int i;

    for (i = 0; made != NULL && i < *argc; i++) {
        int size = WideCharToMultiByte(CP_UTF8, 0, w[i], -1, NULL, 0, NULL, NULL);
        if ((made[i] = malloc((size_t)size + 1)) == NULL)
            return argv;
        WideCharToMultiByte(CP_UTF8, 0, w[i], -1, made[i], size, NULL, NULL);
    }
    return made != NULL ? made : argv;
}

/* Overwrites an argument here and in what other processes are shown. */
static void hide(char *value)
{
    wchar_t *seen = wcsstr(GetCommandLineW(), wide(value));

    for (; seen != NULL && *value != '\0'; value++)
        *value = 'x', *seen++ = L'x';
}
#else
#define SEPARATORS "/"
#ifndef PIPE_BUF
#define PIPE_BUF 512
#endif

/* Writes a piece and does not block for longer than a tick, so that Ctrl-C is noticed: a pipe that
 * poll() says can be written takes PIPE_BUF bytes at once, 512 to 4096. */
static long write_some(int fd, const char *data, size_t size)
{
    struct pollfd item = {fd, POLLOUT, 0};

    if (poll(&item, 1, (int)TICK_MS) > 0)
        return (long)write(fd, data, size < PIPE_BUF ? size : PIPE_BUF);
    errno = EAGAIN;
    return -1;
}

static FILE *open_file(const char *path, bool create)
{
    int fd = create ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0777)
                    : open(path, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? NULL : fdopen(fd, create ? "wb" : "rb");
}

static void remove_file(const char *path)
{
    unlink(path);
}

static bool make_directory(const char *path)
{
    struct stat about;

    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return false;
    if (stat(path, &about) != 0)
        return false;
    errno = ENOTDIR;
    return S_ISDIR(about.st_mode) && access(path, W_OK | X_OK) == 0;
}

static void on_signal(int number)
{
    stop = number;
}

/* The first one asks (without SA_RESTART, so that reading stdin ends, too); the second one does as
 * by default: it ends the process. What is ignored stays so: nohup, "&". */
static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action, old;
    size_t i;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    for (i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a write says EPIPE instead */
}

/* Descriptors 0 to 2 that are closed would be the next socket's: they become ones on which every
 * read or write fails. */
static bool prepare_console(void)
{
    const char *term = getenv("TERM");
    int fd;

    for (fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
            exit(EXIT_SYSTEM);
    return isatty(2) && term != NULL && strcmp(term, "dumb") != 0;
}

static char **utf8_arguments(int *argc, char **argv)
{
    (void)argc;
    return argv;
}

static void hide(char *value)
{
    memset(value, 'x', strlen(value));
}
#endif

/* ---- messages ------------------------------------------------------------------------------ */

static void out_of_memory(void)
{
    fputs("unsb: out of memory\n", stderr);
    exit(EXIT_SYSTEM);
}

static void append(bytes *b, const void *data, size_t size)
{
    if (size >= b->room - b->size) {
        size_t room = b->room + size + b->room / 2 + 64;
        char *grown = room > b->room ? realloc(b->data, room) : NULL;
        if (grown == NULL)
            out_of_memory();
        b->data = grown;
        b->room = room;
    }
    if (size != 0)
        memcpy(b->data + b->size, data, size);
    b->size += size;
    b->data[b->size] = '\0';
}

static char *text_of(const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    int size;

    va_start(arguments, format);
    size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0 || (text = malloc((size_t)size + 1)) == NULL)
        out_of_memory();
    va_start(arguments, format);
    vsnprintf(text, (size_t)size + 1, format, arguments);
    va_end(arguments);
    return text;
}

/* The bytes of the character of UTF-8 that begins here (RFC 3629 section 3), or 0 if none does. */
static size_t utf8_length(const char *text, size_t size, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c = (unsigned char)*text;
    size_t n = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0, i;

    *code = n <= 1 ? c : c & (0x7Fu >> n);
    for (i = 1; i < n; i++) {
        if (i >= size || ((unsigned char)text[i] & 0xC0) != 0x80)
            return 0;
        *code = *code << 6 | ((unsigned char)text[i] & 0x3F);
    }
    return *code < least[n] || *code > 0x10FFFF || (*code >= 0xD800 && *code < 0xE000) ? 0 : n;
}

/* A character that a terminal obeys instead of showing it: controls (C0, DEL, C1), and what breaks
 * lines or turns the direction of text. */
static bool is_harmful(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

/* How much of a text is a secret: one by its form, or the one in use. */
static size_t secret_length(const char *p, size_t left)
{
    size_t n = strlen(t.desktop.secret_key);

    if (n >= 4 && n <= left && memcmp(p, t.desktop.secret_key, n) == 0)
        return n;
    if (left < 8 || memcmp(p, "unsb-sk-", 8) != 0)
        return 0;
    for (n = 8; n < left && (p[n] == '-' || p[n] == '_' || (p[n] >= '0' && p[n] <= '9') ||
                             ((p[n] | 32) >= 'a' && (p[n] | 32) <= 'z'));)
        n++;
    return n;
}

/* A text as it may be shown: UTF-8, no secrets, nothing that a terminal would obey but for what the
 * caller escapes. Not freed: the process is short. */
static const char *clean_above(const char *text, uint32_t escaped)
{
    bytes to = {NULL, 0, 0};
    size_t left = strlen(text), n;
    uint32_t code;

    append(&to, "", 0);
    for (; left != 0; text += n, left -= n) {
        if ((n = secret_length(text, left)) != 0) {
            append(&to, "unsb-sk-***", 11);
        } else if ((n = utf8_length(text, left, &code)) != 0 &&
                   (code < escaped || !is_harmful(code))) {
            append(&to, text, n);
        } else {
            char escape[16];
            code = n == 0 ? (unsigned char)*text : code;
            snprintf(escape, sizeof escape, n > 1 ? "\\u%04X" : "\\x%02X", (unsigned)code);
            append(&to, escape, strlen(escape));
            n = n != 0 ? n : 1;
        }
    }
    return to.data;
}

static const char *clean(const char *text)
{
    return clean_above(text, 0);
}

/* One line on the terminal that the next one replaces; NULL wipes it. */
static void draw(const char *line)
{
    if (!t.terminal || (line == NULL && !t.drawn))
        return;
    fprintf(stderr, "\r%s\033[K", line != NULL ? line : "");
    fflush(stderr);
    t.drawn = line != NULL;
}

/* A message on stderr. `kind`: 'e' an error, 'n' a note, which --quiet suppresses, 'v' a trace. */
static void say(char kind, const char *format, ...)
{
    const char *colour = kind == 'e' ? "\033[1;31m" : "\033[2m";
    va_list arguments;
    char text[2048];

    if ((kind == 'n' && t.o.quiet) || (kind == 'v' && !t.o.verbose))
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    draw(NULL);
    fprintf(stderr, "%s%s%s%s%s\n", t.colour ? colour : "", kind == 'v' ? "* " : "unsb: ",
            t.colour && kind == 'e' ? "\033[0m" : "", clean(text),
            t.colour && kind != 'e' ? "\033[0m" : "");
}

/* ---- the program's output ------------------------------------------------------------------ */

/* Writes all of it. A full disk, a closed pipe and Ctrl-C end that. */
static int put(stream *s, const char *data, size_t size)
{
    draw(NULL);
    while (size != 0) {
        long done = stop == 0 ? write_some(s->fd, data, size) : 0;
        if (stop != 0)
            return UNSB_E_ABORTED;
        if (done > 0) {
            data += done;
            size -= (size_t)done;
        } else if (done == 0 || (errno != EAGAIN && errno != EINTR)) {
            s->error = done == 0 ? EIO : errno;
            return E_OUTPUT;
        }
    }
    s->error = 0;
    return UNSB_OK;
}

/* A sink. Where the service starts over, what is out already is not put out again. */
static int stream_write(void *context, const void *data, size_t size)
{
    stream *s = context;
    const char *p = data;
    uint64_t again = s->put - s->at;

    if (size == 0) {
        s->at = 0;
        return UNSB_OK;
    }
    if (again > size)
        again = size;
    s->at += size;
    p += again;
    size -= (size_t)again;
    if (size == 0)
        return UNSB_OK;
    s->put += size;
    if (s->held) {
        append(&s->kept, p, size);
        return UNSB_OK;
    }
    return put(s, p, size);
}

/* ---- artifacts ----------------------------------------------------------------------------- */

static bool same_word(const char *text, size_t size, const char *word, size_t word_size)
{
    size_t i;

    for (i = 0; i < size && size == word_size; i++)
        if ((text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]) != word[i])
            return false;
    return size == word_size;
}

/* Is it in a list of words in lower case, with blanks between them? */
static bool in_list(const char *list, const char *word, size_t size)
{
    size_t n;

    for (; *list != '\0'; list += n + (list[n] == ' '))
        if (same_word(word, size, list, n = strcspn(list, " ")))
            return true;
    return false;
}

/* Does Windows take it for a device, with any extension, in any directory? COM and LPT are followed
 * by a digit, which may be a superscript. */
static bool is_device(const char *name)
{
    size_t n = strcspn(name, ".");

    while (n != 0 && name[n - 1] == ' ')
        n--;
    return in_list("con prn aux nul conin$ conout$ clock$", name, n) ||
           ((n == 4 || n == 5) && in_list("com lpt", name, 3) &&
            strchr("0123456789\xC2", name[3]) != NULL);
}

/* The service's name for an artifact is anything; what becomes of it is the name of a visible file
 * in one directory on every system: no separator, no control character, no device, no ".." */
static void safe_name(const char *from, char *to, size_t room)
{
    size_t size = 0;

    if (is_device(from))
        to[size++] = '_';
    for (; *from != '\0' && size < room - 1 && size < 200; from++) {
        unsigned char c = (unsigned char)*from;
        bool bad = c < 0x20 || c == 0x7F || strchr("/\\:*?\"<>|", c) != NULL;
        to[size] = bad || (size == 0 && (c == '.' || c == '-' || c == '~')) ? '_' : (char)c;
        size++;
    }
    if (((unsigned char)*from & 0xC0) == 0x80) /* cut within a character: that goes, too */
        while (size != 0 && ((unsigned char)to[--size] & 0xC0) == 0x80)
            continue;
    to[size] = '\0';
    while (size != 0 && (to[size - 1] == '.' || to[size - 1] == ' '))
        to[--size] = '_';
    if (to[0] == '\0')
        memcpy(to, "artifact", 9);
}

/* Makes a file for an artifact, of a name in the directory that nothing has yet: NAME, NAME.1 ...;
 * with --force NAME, in the place of whatever file or link that was. Returns 0 or errno. */
static int open_artifact(artifact *a, const char *name)
{
    char safe[256];
    unsigned i;

    safe_name(name, safe, sizeof safe);
    for (i = 0; t.part == NULL && i < 1000; i++) {
        free(a->path);
        a->path = i == 0 ? text_of("%s/%s", t.o.directory, safe)
                         : text_of("%s/%s.%u", t.o.directory, safe, i);
        if (t.o.force)
            remove_file(a->path);
        t.part = open_file(a->path, true);
        if (t.part == NULL && (errno != EEXIST || t.o.force))
            break;
    }
    return t.part != NULL ? 0 : errno;
}

/* Closes the artifact that was arriving, and removes it unless it is whole. */
static void close_artifact(artifact *a, bool whole)
{
    bool opened = t.part != NULL;

    if (opened && fclose(t.part) != 0 && a->error == 0)
        a->error = errno;
    t.part = NULL;
    if (whole && a->error == 0)
        return;
    if (opened)
        remove_file(a->path);
    a->path = NULL;
}

/* Takes an artifact as it arrives. One that cannot be saved does not end the call: the program's
 * output, which may follow, is worth more. */
static int on_artifact(void *context, const unsb_artifact *a)
{
    bool *going = context;
    artifact *mine;

    if (!*going) {
        t.artifacts = realloc(t.artifacts, (t.artifact_count + 1) * sizeof *t.artifacts);
        if (t.artifacts == NULL)
            out_of_memory();
        memset(&t.artifacts[t.artifact_count++], 0, sizeof *t.artifacts);
        *going = true;
    }
    mine = &t.artifacts[t.artifact_count - 1];
    if (t.part == NULL && mine->error == 0 && !(a->end && a->failed))
        mine->error = open_artifact(mine, a->filename);
    if (t.part != NULL && a->size != 0 && mine->error == 0 &&
        fwrite(a->data, 1, a->size, t.part) != a->size)
        mine->error = errno;
    mine->size += a->size;
    if (a->end) {
        *going = false;
        if (a->failed)
            mine->error = -1;
        mine->wasm = a->wasm;
        mine->name = text_of("%s", a->filename);
        mine->info = text_of("%s", a->info);
        close_artifact(mine, !a->failed);
        if (mine->path != NULL)
            say('n', "saved %s, %llu bytes", mine->path, (unsigned long long)mine->size);
        else
            say('e', "artifact %s: %s", mine->name,
                mine->error > 0 ? strerror(mine->error) : mine->info);
    }
    return stop != 0 ? UNSB_E_ABORTED : UNSB_OK;
}

/* ---- what is sent -------------------------------------------------------------------------- */

/* Reads a file, or stdin for "-", whole. Returns 0 or an exit code, with the message said. */
static int load(input *in, const char *path, size_t most)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : open_file(path, false);
    char piece[16384];
    size_t n;

    errno = file == NULL ? errno : 0;
    append(&in->content, "", 0);
    while (file != NULL && in->content.size <= most &&
           (n = fread(piece, 1, sizeof piece, file)) != 0)
        append(&in->content, piece, n);
    if (stop != 0)
        return EXIT_SIGNAL + stop;
    if (file == NULL || ferror(file)) {
        say('e', "%s: %s", path, strerror(errno));
        return EXIT_NO_INPUT;
    }
    if (file != stdin)
        fclose(file);
    if (in->content.size > most) {
        say('e', "%s: larger than %lu bytes", path, (unsigned long)most);
        return EXIT_DATA;
    }
    return 0;
}

/* A source: tells in passing how much has been sent. */
static int input_read(void *context, unsb_size offset, void *buffer, size_t size)
{
    input *in = context;

    if (offset == 0)
        in->passes++;
    memcpy(buffer, in->content.data + offset, size);
    in->sent = in->passes > 1 ? offset + size : 0;
    return (int)size;
}

static unsb_source source_of(input *in)
{
    unsb_source source;

    memset(&source, 0, sizeof source);
    source.size = in->content.size;
    if (in->content.size != 0)
        source.read = input_read;
    source.context = in;
    return source;
}

/* How much of the code and the files has been sent; *all: of how much. */
static unsb_size sent_bytes(unsb_size *all)
{
    unsb_size sent = t.code.sent;
    size_t i;

    *all = t.code.content.size;
    for (i = 0; i < t.o.program.file_count; i++) {
        sent += t.o.inputs[i].sent;
        *all += t.o.inputs[i].content.size;
    }
    return sent;
}

/* ---- which language ------------------------------------------------------------------------ */

/* Extensions and interpreters, each list followed by the service's name for the language. */
static const struct {
    const char *extensions, *interpreters, *language;
} languages[] = {
    {"py pyw", "python pypy", "python"}, {"js mjs cjs", "node nodejs", "javascript"},
    {"ts", "ts-node tsx deno bun", "typescript"}, {"rb", "ruby", "ruby"}, {"php", "php", "php"},
    {"pl pm", "perl", "perl"}, {"lua", "lua luajit", "lua"},
    {"sh bash", "sh bash dash ash ksh", "bash"}, {"go", "go", "go"},
    {"rs", "rust rustc rust-script", "rust"}, {"c", "c cc gcc clang tcc", "c"},
    {"cpp cc cxx c++", "cpp c++ g++ clang++", "cpp"}, {"java", "java", "java"},
    {"kt kts", "kotlin", "kotlin"}, {"cs csx", "csharp dotnet-script", "csharp"},
    {"fs fsx", "fsharpi", "fsharp"}, {"hs", "runghc runhaskell", "haskell"},
    {"ml", "ocaml", "ocaml"}, {"clj", "clojure clj bb", "clojure"},
    {"scm ss", "guile scheme", "scheme"}, {"lisp lsp", "sbcl clisp", "commonlisp"},
    {"erl", "escript", "erlang"}, {"ex exs", "elixir", "elixir"}, {"jl", "julia", "julia"},
    {"r", "rscript", "r"}, {"cr", "crystal", "crystal"}, {"d", "rdmd", "d"},
    {"nim", "nim", "nim"}, {"zig", "zig", "zig"}, {"v", "v", "v"}, {"dart", "dart", "dart"},
    {"groovy", "groovy", "groovy"}, {"scala sc", "scala scala-cli", "scala"},
    {"f90 f95 f03 f08", "gfortran", "fortran"}, {"cob cbl", "cobc", "cobol"},
    {"pro", "swipl", "prolog"}, {"forth 4th", "gforth", "forth"}, {"tcl", "tclsh tcl", "tcl"},
    {"raku", "raku", "raku"}, {"m", "objc", "objc"}, {"awk", "awk gawk mawk nawk", "awk"},
    {"ps1", "pwsh powershell", "powershell"},
};

static const char *language_of(const char *word, size_t size, bool interpreter)
{
    size_t i;

    for (i = 0; size != 0 && i < sizeof languages / sizeof *languages; i++)
        if (in_list(interpreter ? languages[i].interpreters : languages[i].extensions, word, size))
            return languages[i].language;
    return NULL;
}

static const char *base_name(const char *path)
{
    const char *name = path;

    for (; *path != '\0'; path++)
        if (strchr(SEPARATORS, *path) != NULL)
            name = path + 1;
    return name;
}

static const char *language_by_name(const char *path)
{
    const char *name = base_name(path), *dot = strrchr(name, '.');

    return dot == NULL || dot == name ? NULL : language_of(dot + 1, strlen(dot + 1), false);
}

/* "#!/usr/bin/env -S VAR=1 /opt/bin/python3.11 -u": the first word that is neither env, an option
 * nor an assignment, without its directory and version. */
static const char *language_by_shebang(const bytes *code)
{
    const char *p = code->data, *end = p + strcspn(p, "\r\n"), *word, *slash;
    size_t n;

    if (p[0] != '#' || p[1] != '!')
        return NULL;
    for (p += 2; p < end; p += strcspn(p, " \t\r\n")) {
        p += strspn(p, " \t");
        n = strcspn(p, " \t\r\n");
        for (word = slash = p; slash < p + n; slash++)
            if (*slash == '/')
                word = slash + 1;
        n -= (size_t)(word - p);
        if (n == 0 || *word == '-' || memchr(word, '=', n) != NULL ||
            (n == 3 && memcmp(word, "env", 3) == 0))
            continue;
        while (n != 0 && strchr("0123456789.-", word[n - 1]) != NULL)
            n--;
        return language_of(word, n, true);
    }
    return NULL;
}

/* ---- one operation at a time --------------------------------------------------------------- */

static uint32_t now_ms(void)
{
    return unsb_desktop_now_ms(NULL);
}

/* What moves on the terminal while an operation is under way. */
static void show(unsb_status status, uint32_t passed_ms)
{
    const char *doing = t.cancelling                        ? "cancelling"
                        : t.submitting                      ? "submitting"
                        : status == UNSB_STATUS_RUNNING     ? "running"
                        : t.id[0] != '\0'                   ? "waiting"
                                                            : "asking";
    unsb_size all, sent = sent_bytes(&all);
    char line[80], bar[21];

    t.frame++;
    if (t.submitting && all >= 65536 && sent < all) {
        size_t full = (size_t)((double)sent / (double)all * 20);
        memset(bar, '.', 20);
        memset(bar, '#', full);
        bar[20] = '\0';
        snprintf(line, sizeof line, "[%s] %3u%%  %.1f of %.1f MB", bar,
                 (unsigned)((double)sent / (double)all * 100), (double)sent / 1e6,
                 (double)all / 1e6);
    } else {
        snprintf(line, sizeof line, "%c %s, %lu.%lu s", "|/-\\"[t.frame % 4], doing,
                 (unsigned long)(passed_ms / 1000), (unsigned long)(passed_ms / 100 % 10));
    }
    draw(line);
}

/* Ctrl-C was pressed: is the operation to be left now? Not while the answer comes to a request that
 * is out already, as it names the job that is to be cancelled then. */
static bool must_stop(bool pausing)
{
    unsb_size all, sent = sent_bytes(&all);

    if (stop == 0)
        return false;
    if (!t.submitting || pausing || sent != all)
        return true;
    if (!t.graced)
        t.stopped_ms = now_ms();
    t.graced = true;
    return now_ms() - t.stopped_ms >= GRACE_MS;
}

/* Carries an operation on to its end, which is returned. */
static int finish(int rc, const unsb_result *result)
{
    unsb_client *client = &t.desktop.client;
    uint32_t started = now_ms(), drawn = started, now, ms;
    unsb_status status = UNSB_STATUS_NONE;

    while (rc == UNSB_PENDING) {
        int interest = unsb_interest(client, &ms);
        if (must_stop(interest == 0 && ms != 0)) {
            unsb_abort(client);
            rc = UNSB_E_ABORTED;
            break;
        }
        if (ms != 0)
            (void)unsb_desktop_wait(&t.desktop, TICK_MS);
        if (result->status != status && result->status != UNSB_STATUS_NONE)
            status = result->status;
        now = now_ms();
        if (t.terminal && now - drawn >= TICK_MS) {
            show(status, now - started);
            drawn = now;
        }
        rc = unsb_poll(client);
    }
    draw(NULL);
    say('v', "%s after %lu ms, HTTP status %d", rc == UNSB_OK ? "done" : unsb_error_text(rc),
        (unsigned long)(now_ms() - started), result->http_status);
    return rc;
}

static int exit_of(int rc)
{
    switch (rc) {
    case UNSB_OK:
        return 0;
    case E_OUTPUT:
        return EXIT_OUTPUT;
    case UNSB_E_UTF8: case UNSB_E_FILE_COUNT: case UNSB_E_FILE_SIZE: case UNSB_E_FILES_SIZE:
    case UNSB_E_NO_CODE: case UNSB_E_REQUEST_SIZE: case UNSB_E_BAD_REQUEST:
    case UNSB_E_TOO_LARGE: case UNSB_E_REFUSED:
        return EXIT_DATA;
    case UNSB_E_NOT_FOUND:
        return EXIT_NO_INPUT;
    case UNSB_E_RESOLVE:
        return EXIT_NO_HOST;
    case UNSB_E_CONNECT: case UNSB_E_CLOSED: case UNSB_E_IO: case UNSB_E_SERVER:
    case UNSB_E_JOB_LOST: case UNSB_E_TRUNCATED: case UNSB_E_PROXY: case UNSB_E_PROXY_FORBIDDEN:
        return EXIT_SERVICE;
    case UNSB_E_ENTROPY:
        return EXIT_SYSTEM;
    case UNSB_E_TIMEOUT: case UNSB_E_RATE_LIMITED:
        return EXIT_LATER;
    case UNSB_E_UNAUTHORIZED: case UNSB_E_FORBIDDEN: case UNSB_E_CHALLENGE: case UNSB_E_CLOCK:
    case UNSB_E_PROXY_AUTH:
        return EXIT_KEY;
    case UNSB_E_NO_KEY: case UNSB_E_TRUST: case UNSB_E_NO_CLOCK: case UNSB_E_NO_SIGNING:
    case UNSB_E_DESKTOP_URL: case UNSB_E_DESKTOP_KEYS: case UNSB_E_PROXY_CONFIG:
    case UNSB_E_PROXY_SCHEME:
        return EXIT_CONFIG;
    default:
        return rc >= -29 ? EXIT_USAGE : rc >= -65 ? EXIT_PROTOCOL : EXIT_BUG;
    }
}

/* ---- what is told: lines for people, or with --json one document ---------------------------- */

static bytes told;

static int into_bytes(void *context, const void *data, size_t size)
{
    append(context, data, size);
    return UNSB_OK;
}

static unsb_output told_out = {NULL, 0, into_bytes, &told, 0};
static unsb_json_writer writer;

static void tell_begin(void)
{
    told.size = 0;
    append(&told, "", 0);
    unsb_json_writer_init(&writer, &told_out);
    if (t.o.json)
        unsb_json_object_begin(&writer);
}

/* What is not given (NULL or "") is left out. */
static void tell_text(const char *key, const char *text)
{
    char *line;

    if (text == NULL || text[0] == '\0')
        return;
    if (t.o.json) {
        unsb_json_key(&writer, key);
        text = clean_above(text, 0x20);
        unsb_json_string(&writer, text, strlen(text));
        return;
    }
    line = text_of("%-16s %s\n", key, clean(text));
    append(&told, line, strlen(line));
    free(line);
}

static void tell_number(const char *key, int64_t value, bool given)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)value);
    if (given && t.o.json) {
        unsb_json_key(&writer, key);
        unsb_json_number(&writer, value);
    } else if (given) {
        tell_text(key, text);
    }
}

static void tell_bool(const char *key, bool value)
{
    if (t.o.json) {
        unsb_json_key(&writer, key);
        unsb_json_bool(&writer, value);
    } else {
        tell_text(key, value ? "yes" : "no");
    }
}

static void tell_time(const char *key, int64_t at, bool given)
{
    time_t seconds = (time_t)at;
    const struct tm *utc = gmtime(&seconds);
    char text[64];

    if (t.o.json)
        tell_number(key, at, given);
    else if (given && utc != NULL && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", utc) != 0)
        tell_text(key, text);
}

/* What a program printed: for --json "stdout", or "stdout_base64" where it is not UTF-8. */
static void tell_output(const char *key, const char *base64_key, const bytes *kept)
{
    unsb_base64 state = {0, 0, 0};
    uint32_t code;
    size_t i, n = 1;
    char *made;

    if (!t.o.json) {
        tell_number(key, (int64_t)kept->size, true);
        return;
    }
    for (i = 0; i < kept->size && n != 0; i += n)
        n = utf8_length(kept->data + i, kept->size - i, &code);
    unsb_json_key(&writer, n != 0 ? key : base64_key);
    if (n != 0) {
        unsb_json_string(&writer, kept->size != 0 ? kept->data : "", kept->size);
        return;
    }
    if ((made = malloc(UNSB_BASE64_SIZE(kept->size + 2) + 4)) == NULL)
        out_of_memory();
    n = unsb_base64_encode(&state, kept->data, kept->size, made);
    n += unsb_base64_encode_end(&state, made + n);
    unsb_json_string(&writer, made, n);
    free(made);
}

/* Writes a text to stdout; returns `status`, or the exit code that says why it could not. */
static int print(const char *text, size_t size, int status)
{
    int rc = put(&t.out, text, size);

    if (rc == E_OUTPUT)
        say('e', "stdout: %s", strerror(t.out.error));
    return rc == UNSB_OK ? status : stop != 0 ? EXIT_SIGNAL + stop : EXIT_OUTPUT;
}

static int tell_end(int status)
{
    if (t.o.json) {
        unsb_json_object_end(&writer);
        if (unsb_json_writer_end(&writer) != UNSB_OK)
            return EXIT_BUG;
        append(&told, "\n", 1);
    }
    return print(told.data, told.size, status);
}

static const char *status_name(unsb_status status)
{
    static const char *const names[] = {"",          "unknown",   "pending", "running",
                                        "cancelled", "completed", "failed",  "timeout"};

    return (unsigned)status < 8 ? names[status] : "unknown";
}

static void tell_job(const unsb_result *r)
{
    tell_text("job_id", r->job_id);
    tell_text("status", status_name(r->status));
    tell_text("language", r->language[0] != '\0' ? r->language : r->detected_language);
    tell_text("execution_mode", r->execution_mode);
    tell_text("network_mode", r->network_mode);
    tell_time("created_at", r->created_at, (r->given & UNSB_GIVEN_CREATED_AT) != 0);
    tell_time("started_at", r->started_at, (r->given & UNSB_GIVEN_STARTED_AT) != 0);
    tell_time("completed_at", r->completed_at, (r->given & UNSB_GIVEN_COMPLETED_AT) != 0);
}

/* Its end, if it has come to one. */
static void tell_outcome(const unsb_result *r)
{
    size_t i;

    if (r->status >= UNSB_STATUS_CANCELLED || (r->given & UNSB_GIVEN_EXIT_CODE) != 0) {
        tell_bool("success", r->success);
        tell_number("exit_code", r->exit_code, (r->given & UNSB_GIVEN_EXIT_CODE) != 0);
        tell_number("total_time_ms", r->total_time_ms, (r->given & UNSB_GIVEN_TOTAL_TIME_MS) != 0);
        tell_output("stdout", "stdout_base64", &t.out.kept);
        tell_output("stderr", "stderr_base64", &t.err.kept);
    }
    tell_text("error", r->error);
    tell_text("message", r->message);
    if (!t.o.json || t.artifact_count == 0)
        return;
    unsb_json_key(&writer, "artifacts");
    unsb_json_array_begin(&writer);
    for (i = 0; i < t.artifact_count; i++) {
        const artifact *a = &t.artifacts[i];
        unsb_json_object_begin(&writer);
        tell_text("name", a->name);
        tell_text("path", a->path);
        tell_number("size", (int64_t)a->size, a->path != NULL);
        tell_bool("wasm", a->wasm);
        tell_text("error", a->error > 0 ? strerror(a->error) : a->error < 0 ? a->info : NULL);
        unsb_json_object_end(&writer);
    }
    unsb_json_array_end(&writer);
}

/* ---- how an operation ended ---------------------------------------------------------------- */

/* Says why an operation failed; returns the exit code for it. */
static int fail(int rc, const unsb_result *result)
{
    int status = exit_of(rc);
    const stream *s = t.out.error != 0 ? &t.out : &t.err;
    char text[UNSB_DESKTOP_TEXT];

    if (rc == UNSB_E_ABORTED && stop != 0)
        return EXIT_SIGNAL + stop;
    if (rc == E_OUTPUT)
        snprintf(text, sizeof text, "%s: %s", s->name, strerror(s->error));
    else
        unsb_desktop_explain(&t.desktop, rc, result, text, sizeof text);
    say('e', "%s", text);
    if (t.id[0] != '\0' && rc != UNSB_E_JOB_LOST && rc != UNSB_E_NOT_FOUND)
        say('n', "its outcome may still be had: unsb wait %s", t.id);
    if (!t.o.json || rc == E_OUTPUT)
        return status;
    tell_begin();
    tell_text("job_id", t.id);
    unsb_json_key(&writer, "error");
    unsb_json_object_begin(&writer);
    tell_number("code", rc, true);
    tell_number("exit_status", status, true);
    tell_text("text", text);
    tell_number("http_status", result->http_status, result->http_status != 0);
    tell_text("error", result->error);
    tell_text("message", result->message);
    tell_text("challenge_id", result->challenge_id);
    unsb_json_object_end(&writer);
    return tell_end(status);
}

/* The exit status that a program's end means for this process. */
static int status_of(const unsb_result *r)
{
    int code = r->exit_code;

    if (r->status == UNSB_STATUS_TIMEOUT)
        return EXIT_TTL;
    if (r->status == UNSB_STATUS_CANCELLED)
        return EXIT_SIGNAL + SIGINT;
    if ((r->given & UNSB_GIVEN_EXIT_CODE) == 0)
        return r->success ? 0 : r->status == UNSB_STATUS_FAILED ? EXIT_SERVICE : 1;
    if (code < 0 && code >= -64) /* a signal ended it: as a shell has it */
        return EXIT_SIGNAL - code;
    return code >= 0 && code <= 255 ? code : (code & 0xFF) != 0 ? code & 0xFF : 1;
}

/* The program has ended: what is left to say, and the exit status. */
static int report(const unsb_result *r)
{
    int status = status_of(r), missing = 0;
    size_t i;

    if (r->status == UNSB_STATUS_TIMEOUT)
        say('e', t.o.run ? "the program ran longer than its ttl of %u s (-t)"
                         : "the program ran longer than its ttl", t.o.ttl_s != 0 ? t.o.ttl_s : 60);
    else if (r->status == UNSB_STATUS_CANCELLED && stop == 0 && !t.cancelling)
        say('e', "the job was cancelled");
    else if (r->status == UNSB_STATUS_FAILED && (r->given & UNSB_GIVEN_EXIT_CODE) == 0)
        say('e', "the service could not run it: %s %s", r->error, r->message);
    else if (r->error[0] != '\0' && !r->success)
        say('e', "%s", r->error);
    for (i = 0; i < t.artifact_count; i++)
        missing += t.artifacts[i].path == NULL;
    if (t.o.fetch && status == 0 && t.artifact_count == 0) {
        say('e', "the service sent no artifact");
        missing++;
    }
    if (status == 0 && missing != 0)
        status = EXIT_CREATE;
    say('v', "%s, exit code %ld, %ld ms", status_name(r->status), (long)r->exit_code,
        (long)r->total_time_ms);
    if (!t.o.json)
        return status;
    tell_begin();
    tell_job(r);
    tell_number("exit_status", status, true);
    tell_outcome(r);
    return tell_end(status);
}

/* ---- commands ------------------------------------------------------------------------------ */

/* Sets a result up for the next operation, whose outputs start anew. */
static void prepare_result(unsb_result *r)
{
    static char name[UNSB_FILENAME_MAX * 4 + 1];
    static bool arriving;

    memset(r, 0, sizeof *r);
    if (arriving)
        close_artifact(&t.artifacts[--t.artifact_count], false);
    arriving = false;
    t.out.at = t.err.at = 0;
    r->out.write = r->err.write = stream_write;
    r->out.context = &t.out;
    r->err.context = &t.err;
    r->artifact_name = unsb_into(name, sizeof name);
    r->on_artifact = t.o.fetch ? on_artifact : NULL;
    r->context = &arriving;
}

/* NULL for what is not set or empty. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

static int open_client(const unsb_result *none)
{
    const char *key = t.o.public_key, *secret = t.secret[0] != '\0' ? t.secret : NULL;
    unsb_desktop_options given;
    int rc;

    memset(&given, 0, sizeof given);
    given.nonblocking = true;
    given.account = t.o.account;
    if (key != NULL || secret != NULL) { /* the half that is not given may be in the environment */
        given.public_key = key != NULL ? key : variable("UNSANDBOX_PUBLIC_KEY");
        given.secret_key = secret != NULL ? secret : variable("UNSANDBOX_SECRET_KEY");
        if (given.public_key == NULL || given.secret_key == NULL) {
            say('e', "-p and -k are the halves of one pair: the other one is missing");
            return EXIT_CONFIG;
        }
    }
    rc = unsb_desktop_open(&t.desktop, &given);
    if (rc != UNSB_OK)
        return fail(rc, none) == EXIT_SYSTEM ? EXIT_SYSTEM : EXIT_CONFIG;
    say('v', "unsb %s, %s:%u, keys from %s", UNSB_VERSION_TEXT, t.desktop.host,
        (unsigned)t.desktop.port, t.desktop.keys_from);
    return 0;
}

/* Ctrl-C: the job is cancelled on the service, with what it has printed. */
static int cancel_job(unsb_result *r)
{
    int signal_number = stop, rc;

    stop = 0; /* what comes from now on ends this, too */
    t.cancelling = true;
    t.submitting = false;
    prepare_result(r);
    rc = finish(unsb_job_cancel(&t.desktop.client, t.id, r), r);
    if (rc == UNSB_OK) {
        say('e', "job %s cancelled", t.id);
        r->status = UNSB_STATUS_CANCELLED;
        if (t.o.json)
            report(r);
    } else if (rc == UNSB_E_REFUSED && r->http_status == 409) {
        say('e', "job %s had ended: unsb wait %s", t.id, t.id);
    } else {
        say('e', "job %s could not be cancelled: %s; try: unsb cancel %s", t.id,
            unsb_error_text(rc), t.id);
    }
    return EXIT_SIGNAL + signal_number;
}

/* Waits until the job has ended. */
static int command_wait(unsb_result *r)
{
    uint32_t limit_ms = t.o.ttl_s * 1000u;
    int rc;

    if (t.o.run) /* the service ends it when its ttl is over, once its turn has come */
        limit_ms = (limit_ms != 0 ? limit_ms : 60000u) + WAIT_SLACK_MS;
    prepare_result(r);
    rc = finish(unsb_job_wait(&t.desktop.client, t.id, limit_ms, r), r);
    if (rc == UNSB_OK)
        return report(r);
    if (stop == 0)
        return fail(rc, r);
    if (t.o.run)
        return cancel_job(r);
    say('n', "the job goes on: unsb wait %s, unsb cancel %s", t.id, t.id);
    return EXIT_SIGNAL + stop;
}

/* The code, its language and the files. Returns 0 or an exit code. */
static int load_program(void)
{
    options *o = &t.o;
    unsb_program *p = &o->program;
    bool from_stdin = strcmp(o->argument, "-") == 0;
    int status = 0;
    size_t i;

    if (p->language != NULL && !from_stdin)
        append(&t.code.content, o->argument, strlen(o->argument));
    else
        status = load(&t.code, o->argument, CODE_MAX);
    for (i = 0; status == 0 && i < p->file_count; i++) {
        status = load(&o->inputs[i], o->files[i].name, UNSB_FILE_MAX);
        o->files[i].source = source_of(&o->inputs[i]);
        o->files[i].name = base_name(o->files[i].name);
    }
    if (p->language == NULL && !from_stdin)
        p->language = language_by_name(o->argument);
    if (p->language == NULL)
        p->language = language_by_shebang(&t.code.content);
    if (status == 0 && p->language == NULL &&
        (memcmp(t.code.content.data, "#!", 2) != 0 || p->file_count != 0 || p->vcpu != 0)) {
        say('e', "%s: neither its name nor a line of #! tells its language; try -s LANG - <%s",
            o->argument, o->argument);
        return EXIT_USAGE;
    }
    if (status == 0 && o->fetch && !make_directory(o->directory)) {
        say('e', "%s: %s", o->directory, strerror(errno));
        return EXIT_CREATE;
    }
    p->code = source_of(&t.code);
    p->env = o->env;
    p->files = o->files;
    return status;
}

static int command_run(unsb_result *r)
{
    unsb_client *client = &t.desktop.client;
    const unsb_program *p = &t.o.program;
    int rc;

    t.submitting = true;
    rc = finish(p->language != NULL ? unsb_execute_async(client, p, r)
                                    : unsb_run_async(client, p, r), r);
    t.submitting = false;
    memcpy(t.id, r->job_id, sizeof t.id);
    if (rc == UNSB_OK && t.id[0] == '\0')
        rc = UNSB_E_RESPONSE;
    if (rc != UNSB_OK && (stop == 0 || t.id[0] == '\0'))
        return fail(rc, r);
    say('n', t.o.async ? "submitted; its outcome: unsb wait %s" : "job %s (later: unsb wait %s)",
        t.id, t.id);
    if (stop != 0)
        return cancel_job(r);
    if (t.o.async && !t.o.json)
        return print(text_of("%s\n", clean(t.id)), strlen(clean(t.id)) + 1, 0);
    if (t.o.async) {
        tell_begin();
        tell_job(r);
        return tell_end(0);
    }
    return r->status >= UNSB_STATUS_CANCELLED ? report(r) : command_wait(r);
}

/* How a job stands; its output with --json alone. */
static int command_job(unsb_result *r)
{
    int rc;

    t.out.held = t.err.held = true;
    rc = finish(unsb_job_get(&t.desktop.client, t.id, r), r);
    if (rc != UNSB_OK)
        return fail(rc, r);
    tell_begin();
    tell_job(r);
    tell_outcome(r);
    return tell_end(0);
}

static int command_cancel(unsb_result *r)
{
    int rc;

    t.cancelling = true;
    rc = finish(unsb_job_cancel(&t.desktop.client, t.id, r), r);
    if (rc != UNSB_OK) {
        t.id[0] = '\0';
        return fail(rc, r);
    }
    r->status = UNSB_STATUS_CANCELLED;
    say('n', "job %s cancelled", t.id);
    return t.o.json && report(r) == EXIT_OUTPUT ? EXIT_OUTPUT : 0;
}

/* An item of `jobs` or `languages`: a line, or an object of the list under way. */
static int on_item(void *context, const unsb_result *item)
{
    char *line;

    (void)context;
    if (t.o.json) {
        unsb_json_object_begin(&writer);
        if (item->job_id[0] != '\0')
            tell_job(item);
        else
            tell_text("name", item->language), tell_text("stands_for", item->detected_language);
        unsb_json_object_end(&writer);
        return UNSB_OK;
    }
    if (item->job_id[0] != '\0')
        line = text_of("%-36s  %-9s  %-12s  %s\n", clean(item->job_id), status_name(item->status),
                       clean(item->language), clean(item->submitted_at));
    else
        line = text_of(item->detected_language[0] != '\0' ? "%s -> %s\n" : "%s\n",
                       clean(item->language), clean(item->detected_language));
    append(&told, line, strlen(line));
    free(line);
    return UNSB_OK;
}

static int command_list(unsb_result *r)
{
    bool jobs = strcmp(t.o.command, "jobs") == 0;
    unsb_client *client = &t.desktop.client;
    int rc;

    r->on_item = on_item;
    tell_begin();
    if (t.o.json) {
        unsb_json_key(&writer, t.o.command);
        unsb_json_array_begin(&writer);
    }
    rc = finish(jobs ? unsb_job_list(client, r) : unsb_languages(client, r), r);
    if (rc != UNSB_OK)
        return fail(rc, r);
    if (t.o.json)
        unsb_json_array_end(&writer);
    else if (jobs && told.size == 0)
        say('n', "no job is waiting or running");
    return tell_end(0);
}

static int command_key(unsb_result *r)
{
    unsb_key key;
    int rc;

    memset(&key, 0, sizeof key);
    rc = finish(unsb_key_validate(&t.desktop.client, &key, r), r);
    if (rc != UNSB_OK)
        return fail(rc, r);
    tell_begin();
    tell_bool("valid", key.valid);
    tell_text("reason", key.reason);
    tell_text("tier", key.tier);
    tell_number("rate_per_minute", key.rate_per_minute, key.rate_per_minute >= 0);
    tell_number("burst", key.burst, key.burst >= 0);
    tell_number("concurrency", key.concurrency, key.concurrency >= 0);
    tell_time("expires_at", key.expires_at, key.expires_at > 0);
    return tell_end(key.valid ? 0 : EXIT_KEY);
}

static int load_body(void)
{
    const char *body = t.o.body != NULL ? t.o.body : "";

    if (body[0] == '@')
        return load(&t.code, body + 1, CODE_MAX);
    append(&t.code.content, body, strlen(body));
    return 0;
}

/* Any request: the body of the answer to stdout, as it is, whatever its status. */
static int command_request(unsb_result *r)
{
    unsb_call call;
    int rc;

    memset(&call, 0, sizeof call);
    call.method = t.o.argument;
    call.path = t.o.target;
    call.body = source_of(&t.code);
    call.headers = t.o.headers;
    call.header_count = t.o.header_count;
    t.o.json = t.out.held = false; /* what the service sends is its own */
    rc = finish(unsb_request(&t.desktop.client, &call, r), r);
    return rc == UNSB_OK ? 0 : fail(rc, r);
}

static const struct command {
    const char *name;
    int arguments;
    bool about_job;
    int (*load)(void);
    int (*run)(unsb_result *r);
} commands[] = {
    {"", 1, false, load_program, command_run}, /* what is none of the others */
    {"jobs", 1, false, NULL, command_list},
    {"languages", 1, false, NULL, command_list},
    {"key", 1, false, NULL, command_key},
    {"job", 2, true, NULL, command_job},
    {"wait", 2, true, NULL, command_wait},
    {"cancel", 2, true, NULL, command_cancel},
    {"request", 3, false, load_body, command_request},
};

/* ---- the command line ---------------------------------------------------------------------- */

static const char usage[] =
    "usage: unsb [OPTION ...] FILE | -             run a program; - is stdin\n"
    "       unsb [OPTION ...] -s LANG CODE | -     the same, in that language\n"
    "       unsb jobs | languages | key\n"
    "       unsb job | wait | cancel ID\n"
    "       unsb request METHOD TARGET [-d BODY | -d @FILE] [-H 'NAME: VALUE']\n"
    "\n"
    "  -s, --shell LANG       the language; without it, the file's extension or first line tells\n"
    "  -e, --env NAME=VALUE   an environment variable of the program\n"
    "  -f, --file FILE        a file beside it\n"
    "  -n, --network MODE     zerotrust or semitrusted\n"
    "  -v, --vcpu N           1 to 8\n"
    "  -t, --ttl SECONDS      how long it may run, 1 to 900\n"
    "  -a, --artifact         fetch the compiled binary;  --wasm: as WebAssembly\n"
    "  -o, --output DIR       where artifacts go;  --force: over what has their names\n"
    "      --async            submit it, print the job's id, and leave\n"
    "  -p, --public-key KEY   -k, --secret-key KEY   --account N   whose request it is\n"
    "      --json             one JSON document on stdout\n"
    "  -q, --quiet            no notes on stderr;  --verbose: more of them\n"
    "  -h, --help   --version\n"
    "\n"
    "The exit status is the program's; unsb's own are 64 to 78, 124 and 130: man unsb\n";

static const char version[] = "unsb " UNSB_VERSION_TEXT "\n";

static const struct option {
    char letter;
    bool value;
    const char *name;
} option_list[] = {
    {'s', true, "shell"},      {'e', true, "env"},        {'f', true, "file"},
    {'n', true, "network"},    {'v', true, "vcpu"},       {'t', true, "ttl"},
    {'a', false, "artifact"},  {'o', true, "output"},     {'p', true, "public-key"},
    {'k', true, "secret-key"}, {'d', true, "data"},       {'H', true, "header"},
    {'q', false, "quiet"},     {'h', false, "help"},      {'A', true, "account"},
    {'J', false, "json"},      {'W', false, "wasm"},      {'B', false, "async"},
    {'V', false, "verbose"},   {'R', false, "version"},   {'F', false, "force"},
};
#define LONG_ONLY "AJWBVRF" /* of those, what has no letter */

/* Ends the process with a message about the command line. */
static void misused(const char *format, const char *text)
{
    say('e', format, text);
    fputs("Try: unsb --help\n", stderr);
    exit(EXIT_USAGE);
}

static unsigned number_of(const char *text, unsigned low, unsigned high, const char *what)
{
    unsigned value = 0;
    const char *p;

    for (p = text; *p >= '0' && *p <= '9' && value <= high; p++)
        value = value * 10 + (unsigned)(*p - '0');
    if (p == text || *p != '\0' || value < low || value > high)
        misused(what, text);
    return value;
}

/* The key is kept here, and gone from what ps shows. */
static void take_secret(char *value)
{
    size_t size = strlen(value);

    if (size >= sizeof t.secret)
        misused("a key is no longer than 255 characters%s", "");
    memcpy(t.secret, value, size + 1);
    hide(value);
}

static void take_header(char *value)
{
    char *colon = strchr(value, ':');

    if (colon == NULL || colon == value)
        misused("-H takes 'NAME: VALUE', not %s", value);
    *colon = '\0';
    t.o.headers[t.o.header_count].name = value;
    t.o.headers[t.o.header_count++].value = colon + 1 + strspn(colon + 1, " \t");
}

static void take_env(char *value)
{
    char *equals = strchr(value, '=');

    if (equals == NULL || equals == value)
        misused("-e takes NAME=VALUE, not %s", value);
    *equals = '\0';
    t.o.env[t.o.program.env_count].name = value;
    t.o.env[t.o.program.env_count++].value = equals + 1;
}

static void take_network(const char *value)
{
    if (strcmp(value, "zerotrust") == 0)
        t.o.program.network = UNSB_NETWORK_ZEROTRUST;
    else if (strcmp(value, "semitrusted") == 0)
        t.o.program.network = UNSB_NETWORK_SEMITRUSTED;
    else
        misused("-n takes zerotrust or semitrusted, not %s", value);
}

static void take_option(char letter, char *value)
{
    options *o = &t.o;
    unsb_program *p = &o->program;

    switch (letter) {
    case 's': p->language = value; break;
    case 'e': take_env(value); break;
    case 'f': o->files[p->file_count++].name = value; break;
    case 'n': take_network(value); break;
    case 'v': p->vcpu = (uint8_t)number_of(value, 1, 8, "-v takes 1 to 8, not %s"); break;
    case 't': o->ttl_s = (uint16_t)number_of(value, 1, 900, "-t takes 1 to 900, not %s"); break;
    case 'a': o->fetch = p->return_artifact = true; break;
    case 'W': o->fetch = p->return_wasm_artifact = true; break;
    case 'o': o->directory = value; break;
    case 'p': o->public_key = value; break;
    case 'k': take_secret(value); break;
    case 'd': o->body = value; break;
    case 'H': take_header(value); break;
    case 'q': o->quiet = true; break;
    case 'A': o->account = value; break;
    case 'J': o->json = true; break;
    case 'B': o->async = true; break;
    case 'V': o->verbose = true; break;
    case 'F': o->force = true; break;
    case 'R': exit(print(version, sizeof version - 1, 0));
    default: exit(print(usage, sizeof usage - 1, 0));
    }
}

/* Takes the option at argv[at]; returns how many arguments more it has used. */
static int parse_option(int argc, char **argv, int at)
{
    char *text = argv[at], *value = strchr(text, '=');
    size_t size = text[1] == '-' ? strcspn(text, "=") : 2, i, k;
    const size_t count = sizeof option_list / sizeof *option_list;

    for (k = 1; text[k] != '\0'; k++) { /* letters may stand together: -aq, -t60 */
        for (i = 0; i < count; i++)
            if (text[1] == '-' ? strlen(option_list[i].name) == size - 2 &&
                                     memcmp(option_list[i].name, text + 2, size - 2) == 0
                               : option_list[i].letter == text[k] &&
                                     strchr(LONG_ONLY, text[k]) == NULL)
                break;
        if (i == count)
            misused("there is no option %s", text[1] == '-' ? (text[size] = '\0', text)
                                                            : (text[k + 1] = '\0', text + k));
        if (option_list[i].value) {
            bool joined = text[1] == '-' ? value != NULL : text[k + 1] != '\0';
            if (!joined && at + 1 >= argc)
                misused("-%s takes a value", option_list[i].name);
            take_option(option_list[i].letter, !joined          ? argv[at + 1]
                                               : text[1] == '-' ? value + 1
                                                                : text + k + 1);
            return joined ? 0 : 1;
        }
        if (text[1] == '-' && value != NULL)
            misused("--%s takes no value", option_list[i].name);
        take_option(option_list[i].letter, NULL);
        if (text[1] == '-')
            break;
    }
    return 0;
}

static void *array(int count, size_t size)
{
    void *made = calloc((size_t)count + 1, size);

    if (made == NULL)
        out_of_memory();
    return made;
}

static const struct command *parse(int argc, char **argv)
{
    char *others[4] = {NULL, NULL, NULL, NULL};
    const struct command *c = commands;
    int i, count = 0;
    bool options_end = false;

    t.o.directory = ".";
    t.o.env = array(argc, sizeof *t.o.env);
    t.o.files = array(argc, sizeof *t.o.files);
    t.o.inputs = array(argc, sizeof *t.o.inputs);
    t.o.headers = array(argc, sizeof *t.o.headers);
    for (i = 1; i < argc; i++) {
        if (!options_end && strcmp(argv[i], "--") == 0)
            options_end = true;
        else if (!options_end && argv[i][0] == '-' && argv[i][1] != '\0')
            i += parse_option(argc, argv, i);
        else if (count < 4)
            others[count++] = argv[i];
    }
    if (count == 0)
        misused(t.o.program.language != NULL ? "-s %s: where is its code?" : "what is to be run?%s",
                t.o.program.language != NULL ? t.o.program.language : "");
    for (i = 1; i < (int)(sizeof commands / sizeof *commands) && c == commands; i++)
        if (t.o.program.language == NULL && strcmp(others[0], commands[i].name) == 0)
            c = &commands[i];
    if (count < c->arguments)
        misused("%s takes more arguments", c->name);
    if (count > c->arguments)
        misused(c == commands ? "%s: the service passes no arguments to a program; -e and -f do"
                              : "%s: that is one argument too many", others[c->arguments]);
    t.o.run = c == commands;
    t.o.command = c->name;
    t.o.argument = t.o.run ? others[0] : others[1];
    t.o.target = others[2];
    t.o.program.ttl_s = t.o.ttl_s;
    if (c->about_job && strlen(t.o.argument) < sizeof t.id)
        memcpy(t.id, t.o.argument, strlen(t.o.argument) + 1);
    return c;
}

int main(int argc, char **argv)
{
    const char *no_colour = getenv("NO_COLOR");
    const struct command *command;
    unsb_result result;
    int status = 0;

    t.out.name = "stdout";
    t.out.fd = 1;
    t.err.name = "stderr";
    t.err.fd = 2;
    t.terminal = prepare_console();
    t.colour = t.terminal && (no_colour == NULL || no_colour[0] == '\0');
    argv = utf8_arguments(&argc, argv);
    command = parse(argc, argv);
    t.out.held = t.err.held = t.o.json;
    t.terminal = t.terminal && !t.o.quiet;
    catch_signals();
    append(&t.code.content, "", 0);
    prepare_result(&result);
    if (command->load != NULL)
        status = command->load();
    if (status == 0)
        status = open_client(&result);
    if (status == 0)
        status = command->run(&result);
    draw(NULL);
    if (t.part != NULL)
        close_artifact(&t.artifacts[t.artifact_count - 1], false);
    unsb_desktop_close(&t.desktop);
    memset(t.secret, 0, sizeof t.secret);
    return status;
}
