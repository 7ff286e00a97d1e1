/* unsandbox.h - v0.2.0 - runs code on unsandbox.com from any C or C++ program
 *
 * Public domain (Unlicense) or MIT-0, whichever you prefer: see the end of this file.
 *
 * One file. No allocation, no threads, no globals, no operating system: it needs memcpy, memmove,
 * memset, memcmp and strlen, and a transport of five functions, which ports/ has for common
 * platforms. In exactly one C or C++ file:
 *
 *     #define UNSANDBOX_IMPLEMENTATION
 *     #include "unsandbox.h"
 *
 * and in the others the second line alone. C99 or C++11, or later.
 *
 * ======================================================================
 * CONTENTS
 * ======================================================================
 *
 *  Manual
 *     1.  What it does                    7.  Memory and stack
 *     2.  An example                      8.  Threads and callbacks
 *     3.  The model                       9.  What a port owes
 *     4.  Blocking and non-blocking      10.  Security
 *     5.  Errors, and what they mean     11.  Options
 *     6.  Time                           12.  Limits
 *
 *  Part I, the public face
 *     >>version     version macros          >>parts       base64, JSON, HTTP: usable alone
 *     >>options     compile-time options    >>client      the state that the caller places
 *     >>errors      codes and texts         >>api         operations and control
 *     >>types       what goes in and out    >>end-of-api
 *
 *  Part II, the implementation
 *     >>base        bytes, UTF-8, words     >>http        response decoder
 *     >>base64      RFC 4648                >>result      JSON paths to fields
 *     >>encode      text of requests        >>machine     the state machine
 *     >>json-writer                         >>public      thin entry points
 *     >>json-reader                         >>history
 *     >>sha256      and HMAC                >>license
 *     >>request     the request writer
 *
 * ======================================================================
 * 1. WHAT IT DOES
 * ======================================================================
 *
 * unsandbox.com is a service that runs programs: source code, files and environment go in; stdout,
 * stderr, exit code and compiled artifacts come out. This library speaks its HTTP API.
 *
 *     unsb_execute        run a program, wait for its result
 *     unsb_run            likewise; a shebang in the code names the language
 *     unsb_execute_async  submit it as a job instead
 *     unsb_run_async
 *     unsb_job_get        ask how a job stands
 *     unsb_job_wait       ask until it has ended
 *     unsb_job_list       which jobs are pending or running
 *     unsb_job_cancel     stop one, and take its partial output
 *     unsb_languages      what the service can run
 *     unsb_key_validate   what a key may do
 *     unsb_request        anything else
 *
 * ======================================================================
 * 2. AN EXAMPLE
 * ======================================================================
 *
 * On a system with POSIX sockets and BearSSL; examples/ has more.
 *
 * [example]
 * #define _POSIX_C_SOURCE 200809L
 * #define UNSANDBOX_IMPLEMENTATION
 * #include "unsandbox.h"
 * #include "unsandbox_posix.h"
 * #include "unsandbox_bearssl.h"
 * #include "unsandbox_bearssl_pem.h"
 * #include <stdio.h>
 *
 * int main(void)
 * {
 *     static char records[BR_SSL_BUFSIZE_MONO], buffer[1024], text[4096];
 *     static unsb_posix tcp;
 *     static unsb_bearssl tls;
 *     static unsb_bearssl_trust trust;
 *     static unsb_client client;
 *     unsb_bearssl_config secure = {.inner = unsb_posix_transport(&tcp),
 *                                   .buffer = records, .buffer_size = sizeof records};
 *     unsb_config config = {.api_key = "unsb-pk-...", .secret_key = "unsb-sk-...",
 *                           .buffer = buffer, .buffer_size = sizeof buffer,
 *                           .now_ms = unsb_posix_now_ms, .unix_time = unsb_posix_unix_time};
 *     unsb_program program = {.language = "python", .code = unsb_text("print(6 * 7)")};
 *     unsb_result result = {.out = unsb_into(text, sizeof text)};
 *     int rc = unsb_bearssl_load_pem(&trust, NULL);
 *
 *     secure.anchors = trust.anchors;
 *     secure.anchor_count = trust.count;
 *     config.transport = unsb_bearssl_transport(&tls, &secure);
 *     if (rc == UNSB_OK)
 *         rc = unsb_init(&client, &config);
 *     if (rc == UNSB_OK)
 *         rc = unsb_execute(&client, &program, &result);
 *     printf("%s%s\n", text, unsb_error_text(rc));
 *     unsb_close(&client);
 *     return rc != UNSB_OK;
 * }
 * [end]
 *
 * ======================================================================
 * 3. THE MODEL
 * ======================================================================
 *
 * A client (unsb_client) has one connection and carries out one operation at a time. What you
 * place:
 *
 *     unsb_client    the state, 300 to 400 bytes
 *     I/O buffer     128 bytes or more; requests leave from it, responses arrive in it
 *     unsb_program   what to run: pointers to your own strings and sources
 *     unsb_result    where the outcome goes
 *     a transport    and its state: a socket, a modem, TLS over either
 *
 * Payloads are never held whole. A source (unsb_source) is memory, or a function that reads your
 * flash or file by offset; it is read twice, as its length must be announced before it is sent. An
 * output (unsb_output) is memory, or a function that is called with each piece, or both. So a
 * buffer of 512 bytes uploads ten files and takes 100 MB of stdout, in constant memory.
 *
 *     unsb_program --> request writer --> I/O buffer --> transport.send --> service
 *     service --> transport.recv --> I/O buffer --> HTTP --> JSON --> unsb_result, your outputs
 *
 * In every struct, zero is the default of a field: start from = {0} (or memset) and set what you
 * need.
 *
 * A connection is kept for the next operation unless the service closes it. Before it is used
 * again the library looks whether it still stands, and makes another one if not, or if it lay idle
 * for longer than config.keep_alive_ms (with now_ms): what a NAT forgot dies without a word.
 *
 * The service may make a job of what was to be run at once (POST /execute and /run answer with a
 * pending job). The call then goes on by itself: it asks for the job as unsb_job_wait() does, until
 * the program has ended, within its ttl plus idle_timeout_ms and the caller's own limit. It is one
 * execution; result.job_id names it from the moment it is known, so that a call that fails
 * meanwhile is followed by unsb_job_wait(), not by another run.
 *
 * The service passes neither stdin nor arguments to a program: send an input file, and have the
 * code open it as its stdin first, or begin with its arguments as a list; examples/stdin.c shows
 * both. Input files land in the working directory or, as the service has it today, in /tmp/input/
 * or /root/input/: a portable program tries these in turn.
 *
 * Nothing is sent twice by accident, as running a program is not idempotent. A request is sent
 * again only where the service cannot have started it: there was no connection, or the answer was
 * 429 or 503; GET also where no part of the answer had reached you. config.retries bounds how
 * often, with pauses of 250, 500, 1000 ... ms, or what Retry-After says up to a minute. The default
 * is 0: never.
 *
 * ======================================================================
 * 4. BLOCKING AND NON-BLOCKING
 * ======================================================================
 *
 * Like a socket, a client is one or the other (config.nonblocking). The functions are the same.
 *
 * Blocking: a call returns when the operation is over. It sleeps in the transport's `wait`.
 *
 * Non-blocking: a call checks its arguments and returns UNSB_PENDING; then call unsb_poll() from a
 * main loop, a timer, a frame, until it returns something else. Each poll calls the transport once
 * at the most, and decodes what came: at most one buffer-full, so the buffer's size bounds the
 * work. To sleep between polls instead of spinning, ask unsb_interest() what to wait for:
 *
 *     interest = unsb_interest(&client, &timeout_ms);
 *     (wait for the socket to be readable, writable, or timeout_ms, with select, epoll, events)
 *     rc = unsb_poll(&client);
 *
 * What a client goes through:
 *
 *     idle --> measure --> connect --> send --> receive --> idle
 *                 ^                      |         |
 *                 |                      v         v
 *                 +-------------------- pause: another try, or the next look at a job
 *
 * measure writes the request to nowhere: it is counted, checked and signed. connect passes at once
 * where a connection was kept. Any error leads to idle, or to pause where config.retries allow it.
 *
 * The arguments of the operation (program, result, and all they point to) must stay in place until
 * it is over. unsb_abort() ends it early. What ends a blocking call early, from a signal handler,
 * an ISR or another thread, is a function of the port's: unsb_posix_interrupt() and its like. The
 * call returns UNSB_E_ABORTED.
 *
 * ======================================================================
 * 5. ERRORS, AND WHAT THEY MEAN
 * ======================================================================
 *
 * Functions return UNSB_OK (0), UNSB_PENDING (1), or a negative UNSB_E_ code; unsb_error_text() has
 * a sentence for each. The list and its partition are in >>errors.
 *
 * A program that fails is not an error: the call is UNSB_OK, result.success is false, and exit_code
 * and stderr say why. Whether a number was given at all is in result.given; success that was not
 * given follows from exit_code and status.
 *
 * What tells of a run is never thrown away for the form of one field. A program that has run cannot
 * be run again for free, and the service has spoken in several dialects. So:
 *
 *   - A field counts where its endpoint has it, in the kind that it should have. Anything else is
 *     as if it were not given, and skipped unread, however odd: {} for an empty list, a list's item
 *     of another kind, NaN, bad bytes or any depth in a field that nobody asked for.
 *   - Numbers lose their fraction. An exit_code of more than 32 bits keeps its lower 32 (3221225477
 *     is -1073741819, 0xC0000005). Times come as Unix seconds or RFC 3339 texts, and are delivered
 *     as Unix seconds. Truth may be true, 1 or "true".
 *   - Program output is bytes. Raw ones that are not UTF-8 and control characters reach you as they
 *     are; an escape of U+DC80 to U+DCFF is the byte that Python means by it; any other half of a
 *     surrogate pair becomes U+FFFD. Texts that are cut to their arrays are cut between characters.
 *   - An output that is no text (UNSB_E_RESPONSE) and base64 that is none (UNSB_E_BASE64) are
 *     errors which the call returns when all else has been read and delivered.
 *   - A byte order mark before the document and whatever follows it are skipped.
 *
 * Strict are, as there is nothing to be saved by guessing: framing (RFC 9112), the structure of
 * JSON (RFC 8259), base64 (RFC 4648) and job ids. A response that breaks off in the middle is an
 * error; what came before stays in the result and in your sinks, and `given` tells what that is.
 *
 * Where the service refuses, the code says how (UNSB_E_UNAUTHORIZED, _RATE_LIMITED ...), however
 * the connection ends after that head, and result.http_status, error, message, challenge_id and
 * retry_after_s have its words. UNSB_E_CLOCK is a 401 that names the time stamp: set the clock.
 * UNSB_E_CHALLENGE is a 428: a code was sent by mail; repeat the call with the fields X-Sudo-OTP
 * and X-Sudo-Challenge (unsb_call.headers). UNSB_E_JOB_LOST: the service was restarted.
 *
 * What to do about the others:
 *
 *     RESOLVE, CONNECT, TIMEOUT, CLOSED, IO, TRUNCATED   the network: try again later; where
 *                              result.job_id is set, with unsb_job_wait()
 *     TLS                      the peer or a box in between: versions, ciphers, the port's buffers
 *     CERTIFICATE, TRUST       the host's name, the clock, the anchors that the port was given
 *     ENTROPY                  the TLS port wants a seed
 *     HTTP, HEAD_SIZE, JSON, RESPONSE   is it the service that answers there? host, port, proxy
 *     REDIRECT                 another host, which config.host would have to name
 *     BAD_REQUEST, REFUSED     result.message has the reason
 *     UNAUTHORIZED, FORBIDDEN  the keys, and what they may do
 *     NOT_FOUND, JOB_LOST      no such endpoint; or the job is no more, and with it its outcome
 *     TOO_LARGE                smaller files, or fewer
 *     RATE_LIMITED, SERVER     later: after result.retry_after_s, or by config.retries
 *
 * Codes down to -29 are found before anything is sent, but for UNSB_E_SOURCE, _SINK and _ABORTED,
 * which may come at any time. After one of these, or of those from -30 on, the program of an
 * unsb_execute() or unsb_run() may have run: only UNSB_E_RESOLVE and UNSB_E_CONNECT, a failed
 * handshake and the service's refusals (-70 to -76, -78, -79) say that it has not.
 *
 * Callbacks (sources, sinks, ports) may return codes of their own, UNSB_E_USER or below, which come
 * back unchanged; whatever else a source or sink returns is UNSB_E_SOURCE or UNSB_E_SINK. After any
 * error or abort the client is usable; the next operation opens a new connection where the old one
 * was left in the middle of something.
 *
 * ======================================================================
 * 6. TIME
 * ======================================================================
 *
 * The library reads no clock of its own. config.now_ms gives it one, in milliseconds, which may
 * wrap.
 *
 *     connect_timeout_ms  30 s   resolving the name, connecting and the TLS handshake
 *     idle_timeout_ms     60 s   silence; plus the program's ttl while its result is awaited
 *     total_timeout_ms    none   one operation, with its retries
 *
 * Without now_ms a blocking client leaves the first two to the transport's `wait`, each for one
 * wait alone, and a non-blocking one has no time-outs. total_timeout_ms cannot be kept without a
 * clock (a peer that trickles ends every wait early), so it is refused then (UNSB_E_NO_CLOCK);
 * unsb_job_wait() counts its pauses. unsb_execute() holds its connection open and silent for as
 * long as the program runs, which proxies may not like beyond 30 to 60 s: submit longer programs
 * with unsb_execute_async() and wait for them with unsb_job_wait().
 *
 * The service wants requests signed (secret_key), and takes a time stamp that is off by up to five
 * minutes. A device without a battery-backed clock gets the time from SNTP, a modem (AT+CCLK) or a
 * GPS before its first call; UNSB_E_CLOCK tells when it is wrong. Where no clock can be had, a key
 * that the service still takes as a bearer token (api_key alone) is the only way.
 *
 * ======================================================================
 * 7. MEMORY AND STACK
 * ======================================================================
 *
 * No function allocates. There are no variables outside of structs, and no recursion.
 *
 *     unsb_client       304 bytes on Cortex-M, 392 on x86-64
 *     unsb_result       around 550 bytes; most of them are the texts at its end
 *     I/O buffer        128 bytes or more. Each send and recv moves up to a buffer-full: 512 to
 *                       2048 suit a microcontroller, 16384 (a TLS record) suit a desktop
 *     stack             320 bytes on Cortex-M, 600 on x86-64, at the deepest, plus what the
 *                       transport and your callbacks take
 *
 * The buffer's size is a trade: each send and recv is a call of the transport, over TLS a record
 * of its own with some 30 bytes around it, and it bounds the work of a non-blocking poll. Beyond
 * what the transport moves at once (a segment of 1460 bytes, a record of 16384) it gains nothing.
 * An output's memory is as large as what you want to keep of it; with a sink it can be 0.
 *
 * `sh tests/bench.sh ram` measures them.
 *
 * ======================================================================
 * 8. THREADS AND CALLBACKS
 * ======================================================================
 *
 * A client belongs to one thread at a time; different clients are independent. All callbacks run
 * inside the call that you make (the operation itself, or unsb_poll()). They must not call the
 * client, with one exception: a source, a sink, on_item and on_artifact may call unsb_abort().
 *
 * A callback that does not return (longjmp, a C++ exception, a Lua error) leaves the operation
 * where it was, and the client answers UNSB_E_BUSY: call unsb_abort(), after which it can be used
 * again, or unsb_close(). Both always work; the connection is closed, and unsb_close() wipes
 * buffer and key. C++ needs -fexceptions where the implementation is compiled as C.
 *
 * fork() copies a client with its connection and its keys. Use it in one of the two processes,
 * never in both: two that write to one TLS session destroy it. The other one gives its copy up
 * with unsb_drop(), which says nothing on the wire; unsb_close() would end the session for both.
 *
 * ======================================================================
 * 9. WHAT A PORT OWES
 * ======================================================================
 *
 * The contract of the five functions is with unsb_transport_class in >>types; ports/template.h is a
 * skeleton, tests/ports/conformance.h a suite that a port should pass. A checklist:
 *
 *   - connect, send and recv return at once when they cannot go on (0; connect: UNSB_PENDING), with
 *     everything kept, and are called again. In a non-blocking client that includes resolving.
 *   - 0 means "not now" and nothing else. An end of the stream is UNSB_E_CLOSED, a failure another
 *     code.
 *   - send may take less than it was given, recv may give less than there is room for.
 *   - close may come at any time, more than once; connect may follow it.
 *   - wait returns UNSB_OK early rather than late, and UNSB_E_TIMEOUT after the time given.
 *   - No signal (SIGPIPE) and no exception leaves the port.
 *   - A TLS port checks the certificate's name, and its chain and dates or, in their place, a
 *     pinned key; always. An end without close_notify is an error. If it waits for something else
 *     than it is asked for, it has `interest`.
 *
 * ======================================================================
 * 10. SECURITY
 * ======================================================================
 *
 * With secret_key, requests are signed and the secret stays here; without, the key travels in each
 * request. Use a TLS transport for anything but a service on this machine. Redirects are reported,
 * never followed, as they would take the key elsewhere. Keys are in no error text; unsb_close()
 * wipes the I/O buffer and the client (the key's own memory is yours). Key, host, method, path,
 * type and header fields are checked for bytes that could split a header, and a body's length is
 * announced wherever there is one. The framing of responses is read strictly, and every length in
 * them is bounded. An artifact's name is the service's word: never take it for a path.
 *
 * ======================================================================
 * 11. OPTIONS
 * ======================================================================
 *
 * UNSB_STATIC, UNSB_SIGNING, UNSB_ERROR_TEXT, UNSB_SMALL, UNSB_JSON_DEPTH, UNSB_HTTP_HEAD_LIMIT,
 * UNSB_FILES_MAX and its like: see >>options. Functions that are not called cost nothing with
 * -ffunction-sections and --gc-sections. What linkers cannot see is left out by options; set to 0,
 * each saves so many bytes of unsb_execute and of all operations (Cortex-M0+, gcc -Os; sh
 * tests/bench.sh flash):
 *
 *     UNSB_FILES        526    534   input files
 *     UNSB_ARTIFACTS    777    836   compiled artifacts
 *     UNSB_SETTINGS     457    953   env, network, ttl_s, vcpu, extra; and unsb_run
 *     UNSB_NUMBERS     1125   1634   64-bit numbers, fractions, exponents; and UNSB_DETAILS
 *     UNSB_DETAILS      823   1332   times, languages, modes, limits; lists and keys
 *     UNSB_RETRIES      219    211   retries; early answers
 *     UNSB_KEEP_ALIVE   167    167   connections that are used again
 *     UNSB_UTF8         188    188   checks of UTF-8
 *     UNSB_JOBS         678    962   jobs
 *     UNSB_LISTS        170    385   unsb_job_list, unsb_languages
 *     UNSB_KEYS          46    340   unsb_key_validate
 *     UNSB_RUN           37    533   unsb_run, unsb_run_async
 *     UNSB_REQUEST      317   1132   unsb_request
 *     all of these     4868   6962
 *
 * ======================================================================
 * 12. LIMITS
 * ======================================================================
 *
 * Of the service, checked before anything is sent: 10 files, 5 MB each, 10 MB in all (MB are taken
 * as 2^20 bytes; the service has the last word, and >>options has macros for other limits),
 * filenames of 256 characters without a path, ttl 1 to 900 s, vcpu 1 to 8. JSON can carry UTF-8
 * alone, so code and environment must be that.
 *
 * Of the library: requests below 4 GB; responses below 4 GB where pointers have 32 bits, to memory
 * or to a sink; a response's head of 32 KB; JSON 32 deep where it is read (deeper is skipped); job
 * ids of 63 bytes. Trailers of a chunked response are passed over unread. It asks for no
 * content coding and understands none: one that comes unasked is an error where JSON is read, and
 * reaches the caller of unsb_request() as it is. HTTP/1.1 alone.
 */
#ifndef UNSANDBOX_H
#define UNSANDBOX_H

/* ======================================================================
 * >>version
 * ====================================================================== */

#define UNSB_VERSION_MAJOR 0
#define UNSB_VERSION_MINOR 2
#define UNSB_VERSION_PATCH 0
#define UNSB_VERSION_TEXT "0.2.0"
/* For comparisons: 0x00MMmmpp. unsb_version() gives the linked implementation's. */
#define UNSB_VERSION \
    (UNSB_VERSION_MAJOR * 0x10000L + UNSB_VERSION_MINOR * 0x100L + UNSB_VERSION_PATCH)

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ======================================================================
 * >>options  0 or 1, unless a number is asked for. Define them before every
 *            inclusion, alike in all files. An empty definition does not compile.
 * ====================================================================== */

/* 1: every function is static, for programs of one translation unit. */
#ifndef UNSB_STATIC
#define UNSB_STATIC 0
#endif

/* 0: no signed requests (a secret_key is refused); SHA-256 and HMAC are left out. */
#ifndef UNSB_SIGNING
#define UNSB_SIGNING 1
#endif

/* 0: unsb_error_text() returns "" for every code; the sentences are left out. */
#ifndef UNSB_ERROR_TEXT
#define UNSB_ERROR_TEXT 1
#endif

/* What linkers cannot see that a program does not need: 0 leaves it out, an operation with its
 * declaration, a field of a struct with its code. The manual's section 11 says what each saves. */
#ifndef UNSB_FILES
#define UNSB_FILES 1 /* input files */
#endif
#ifndef UNSB_ARTIFACTS
#define UNSB_ARTIFACTS 1 /* compiled artifacts */
#endif
#ifndef UNSB_SETTINGS
#define UNSB_SETTINGS 1 /* env, network, ttl_s, vcpu and extra of a program */
#endif
#ifndef UNSB_NUMBERS
#define UNSB_NUMBERS 1 /* JSON numbers of 64 bits with fraction and exponent. 0: integers of 32 bits
                          and a sign; others are unsb_json_reader.inexact; and a number where a text
                          belongs is passed over, as any other kind is */
#endif
#ifndef UNSB_DETAILS
#define UNSB_DETAILS UNSB_NUMBERS /* times, languages, modes, limits, challenge_id in unsb_result;
                                     needs UNSB_NUMBERS */
#endif
#ifndef UNSB_RETRIES
#define UNSB_RETRIES 1 /* config.retries; answers that come before the request is sent */
#endif
#ifndef UNSB_KEEP_ALIVE
#define UNSB_KEEP_ALIVE 1 /* connections that serve one request after another. 0: each request asks
                             for its connection to be closed, and Connection is not read */
#endif
#ifndef UNSB_UTF8
#define UNSB_UTF8 1 /* checks of what is sent, and of what the JSON reader reads if not lenient */
#endif
#ifndef UNSB_JOBS
#define UNSB_JOBS 1 /* unsb_execute_async(), unsb_run_async(), unsb_job_get(), unsb_job_wait() and
                       unsb_job_cancel(). 0: a run that the service makes a job of is
                       UNSB_E_RESPONSE, and job_id names it */
#endif
#ifndef UNSB_LISTS
#define UNSB_LISTS UNSB_DETAILS /* unsb_job_list(), unsb_languages(), which need UNSB_DETAILS */
#endif
#ifndef UNSB_KEYS
#define UNSB_KEYS UNSB_DETAILS /* unsb_key_validate(), which needs UNSB_DETAILS */
#endif
#ifndef UNSB_RUN
#define UNSB_RUN UNSB_SETTINGS /* unsb_run(), unsb_run_async(), which need UNSB_SETTINGS */
#endif
#ifndef UNSB_REQUEST
#define UNSB_REQUEST 1 /* unsb_request() */
#endif

/* 1: compact loops, 0: fast ones. By default 1 where the compiler optimises for size or
 * size_t has 16 bits. Results do not differ. */
#ifndef UNSB_SMALL
#if defined(__OPTIMIZE_SIZE__) || SIZE_MAX <= 0xFFFFu
#define UNSB_SMALL 1
#else
#define UNSB_SMALL 0
#endif
#endif

/* A hook for development, of no cost where it is not defined (in the file of the implementation):
 * UNSB_TRACE(client, what, text, size), a statement. `what` is '=' for a state (what the client
 * goes on to do: "connect", "send" ...), '>' for a piece of the head that is sent, '<' for one of
 * the head that comes, interim ones and the end of its last line included; `text` has `size` bytes
 * and no NUL, and lives until the hook returns. Keys, signatures and the values of
 * unsb_call.headers are three asterisks in it; bodies do not come. */

/* How deeply JSON may nest: 8 to 248. It sets the size of a reader and so of a client. */
#ifndef UNSB_JSON_DEPTH
#define UNSB_JSON_DEPTH 32
#endif

/* How many bytes a response's head may have, with the interim (1xx) responses before it; and
 * likewise each chunk-size line, and the last one with the trailers. 256 to 65535. */
#ifndef UNSB_HTTP_HEAD_LIMIT
#define UNSB_HTTP_HEAD_LIMIT 32768
#endif

/* What the service takes in a request, as its documentation has it. Its own client allows 1000
 * files of 100 MB, 4 GB together, and '/' in their names: what is defined here is checked before
 * anything is sent, and the service has the last word. */
#ifndef UNSB_FILES_MAX
#define UNSB_FILES_MAX 10 /* input files, */
#endif
#ifndef UNSB_FILE_MAX
#define UNSB_FILE_MAX 5242880L /* bytes of one, decoded, */
#endif
#ifndef UNSB_FILES_TOTAL_MAX
#define UNSB_FILES_TOTAL_MAX 10485760L /* bytes of all, up to what unsb_size holds, */
#endif
#ifndef UNSB_FILENAME_MAX
#define UNSB_FILENAME_MAX 256 /* and characters of a filename. */
#endif
#ifndef UNSB_FILENAME_SLASH
#define UNSB_FILENAME_SLASH 0 /* 1: filenames may have directories ("a/b"), but no "." or ".." */
#endif

#if UNSB_JSON_DEPTH < 8 || UNSB_JSON_DEPTH > 248
#error "UNSB_JSON_DEPTH must be 8 to 248"
#endif
#if UNSB_HTTP_HEAD_LIMIT < 256 || UNSB_HTTP_HEAD_LIMIT > 65535
#error "UNSB_HTTP_HEAD_LIMIT must be 256 to 65535"
#endif
#if UNSB_DETAILS && !UNSB_NUMBERS
#error "UNSB_DETAILS needs UNSB_NUMBERS"
#endif
#if UNSB_RUN && !UNSB_SETTINGS
#error "UNSB_RUN needs UNSB_SETTINGS"
#endif
#if (UNSB_LISTS || UNSB_KEYS) && !UNSB_DETAILS
#error "UNSB_LISTS and UNSB_KEYS need UNSB_DETAILS"
#endif
#if UNSB_STATIC && !defined(UNSANDBOX_IMPLEMENTATION)
#error "UNSB_STATIC needs UNSANDBOX_IMPLEMENTATION in the same file"
#endif

/* Some options change the layout of structs. They are in the linked names of the two functions
 * that every use begins with, so that files that disagree fail to link, not at run time. */
#define UNSBI_NAME_(name, depth, f, a, s, n, d, t, v, j, l, k, r, q)                               \
    name##_##depth##_##f##a##s##n##d##t##v##j##l##k##r##q
#define UNSBI_NAME(name, depth, f, a, s, n, d, t, v, j, l, k, r, q)                                \
    UNSBI_NAME_(name, depth, f, a, s, n, d, t, v, j, l, k, r, q)
#define UNSBI_LINKED(name)                                                                         \
    UNSBI_NAME(name, UNSB_JSON_DEPTH, UNSB_FILES, UNSB_ARTIFACTS, UNSB_SETTINGS, UNSB_NUMBERS,     \
               UNSB_DETAILS, UNSB_RETRIES, UNSB_KEEP_ALIVE, UNSB_JOBS, UNSB_LISTS, UNSB_KEYS,      \
               UNSB_RUN, UNSB_REQUEST)
#if UNSB_JSON_DEPTH != 32 || !UNSB_NUMBERS
#define unsb_json_reader_init UNSBI_LINKED(unsb_json_reader_init)
#endif
#if UNSB_JSON_DEPTH != 32 ||                                                                       \
    !(UNSB_FILES && UNSB_ARTIFACTS && UNSB_SETTINGS && UNSB_NUMBERS && UNSB_DETAILS &&             \
      UNSB_RETRIES && UNSB_KEEP_ALIVE && UNSB_JOBS && UNSB_LISTS && UNSB_KEYS && UNSB_RUN &&       \
      UNSB_REQUEST)
#define unsb_init UNSBI_LINKED(unsb_init)
#endif

/* How functions are declared; UNSB_STATIC aside, one may define it: __declspec(dllexport) ... */
#if UNSB_STATIC
#if defined(__GNUC__)
#define UNSB_API static __attribute__((unused))
#else
#define UNSB_API static
#endif
#elif !defined(UNSB_API)
#define UNSB_API extern
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>errors  Negative, one for each cause that a caller would handle
 *           differently; callbacks may return codes of their own (see
 *           UNSB_E_USER), which come back unchanged.
 * ====================================================================== */

/* X(name, value, text): the one list that makes the codes and the texts of unsb_error_text().
 *   -1..-29   usage: found before anything was sent
 *   -30..-49  transport and TLS
 *   -50..-59  HTTP
 *   -60..-69  JSON and base64
 *   -70..-89  the service's answer */
#define UNSB_ERRORS(X)                                                                             \
    X(ARGUMENT, -1, "an argument is missing or out of range")                                      \
    X(BUSY, -2, "an operation is under way: poll it to its end or abort it first")                 \
    X(ABORTED, -3, "stopped by unsb_abort")                                                        \
    X(BUFFER, -4, "the I/O buffer is smaller than UNSB_BUFFER_MIN")                                \
    X(NO_KEY, -5, "no api_key is configured")                                                      \
    X(NO_LANGUAGE, -6, "no language given (unsb_run takes it from the code's first line)")         \
    X(NO_CODE, -7, "no code given")                                                                \
    X(TTL, -8, "ttl_s is outside 1 to 900")                                                        \
    X(FILE_COUNT, -9, "more than 10 input files")                                                  \
    X(FILE_SIZE, -10, "an input file is larger than 5 MB")                                         \
    X(FILES_SIZE, -11, "the input files are larger than 10 MB together")                           \
    X(FILENAME, -12, "a filename is empty, a path, not printable or over 256 characters")          \
    X(FILENAME_TWICE, -13, "two input files have the same name")                                   \
    X(ENV_NAME, -14, "an environment variable's name is empty or contains '='")                    \
    X(UTF8, -15, "a text that must be UTF-8 is not")                                               \
    X(HEADER_BYTE, -16, "a key, method, path or field has a byte that it may not have")           \
    X(SOURCE, -17, "a source ended early or changed while it was read")                            \
    X(SINK, -18, "a callback refused the data")                                                    \
    X(NO_CLOCK, -19, "this needs a clock (now_ms or unix_time) in the configuration")              \
    X(REQUEST_SIZE, -20, "the request is too large to be counted")                                 \
    X(JOB_ID, -21, "the job id is empty, '.', '..' or longer than UNSB_JOB_ID_SIZE allows")        \
    X(NO_SIGNING, -22, "secret_key given, but signing is compiled out (UNSB_SIGNING 0)")           \
    X(VCPU, -23, "vcpu is outside 1 to 8")                                                         \
    X(EXTRA, -24, "extra is not a list of JSON members")                                           \
    X(HEADER, -25, "a header field of the call is one that the library writes itself")             \
    X(SCHEME, -26, "the URL does not begin with https:// (or http://, where that will do)")        \
    X(HOST, -27, "the host is no name or IP address; a URL goes through unsb_url_split")           \
    X(URL, -28, "the URL has a path or a user, or a port that is not 1 to 65535")                  \
    X(CLIENT, -29, "the client is not set up: unsb_init was not called, failed, or it is closed")  \
    X(RESOLVE, -30, "the host name could not be resolved")                                         \
    X(CONNECT, -31, "no connection to the host could be made")                                     \
    X(TIMEOUT, -32, "a time limit passed")                                                         \
    X(CLOSED, -33, "the peer closed the connection")                                               \
    X(IO, -34, "the connection failed")                                                            \
    X(TLS, -40, "the TLS peer broke the protocol or offers nothing acceptable")                    \
    X(CERTIFICATE, -41, "the peer's certificate is not trusted for this host")                     \
    X(ENTROPY, -42, "no random bytes to start TLS with")                                           \
    X(TRUST, -43, "no trust anchors could be loaded")                                              \
    X(HTTP, -50, "the response is not HTTP/1.1 as RFC 9112 has it")                                \
    X(HEAD_SIZE, -51, "the response's head is larger than UNSB_HTTP_HEAD_LIMIT")                   \
    X(TRUNCATED, -52, "the connection ended within the response")                                  \
    X(REDIRECT, -53, "the service answered with a redirect, which is not followed")                \
    X(RESPONSE_SIZE, -54, "the response's length is too large to be counted")                      \
    X(JSON, -60, "the text is not JSON as RFC 8259 has it")                                        \
    X(JSON_DEPTH, -61, "JSON nested deeper than UNSB_JSON_DEPTH")                                  \
    X(JSON_NUMBER, -62, "a number is not an integer or is out of range (unsb_json_integer)")       \
    X(BASE64, -63, "the text is not base64 as RFC 4648 has it")                                    \
    X(RESPONSE, -64, "the response lacks what it should tell, or an output in it is no text")      \
    X(JSON_UTF8, -65, "a JSON string is not UTF-8, or has half a surrogate pair")                  \
    X(BAD_REQUEST, -70, "the service refused the request (400)")                                   \
    X(UNAUTHORIZED, -71, "the service did not accept the key or the signature (401)")              \
    X(FORBIDDEN, -72, "the key may not do this (403)")                                             \
    X(NOT_FOUND, -73, "no such job or endpoint (404)")                                             \
    X(TOO_LARGE, -74, "the request is larger than the service takes (413)")                        \
    X(RATE_LIMITED, -75, "a rate or concurrency limit was reached: try later (429)")               \
    X(REFUSED, -76, "the service refused the request (another 4xx)")                               \
    X(SERVER, -77, "the service failed (5xx)")                                                     \
    X(CHALLENGE, -78, "the service wants a one-time code for this (428): see challenge_id")        \
    X(CLOCK, -79, "the service refused the time stamp (401): this device's clock is off")          \
    X(JOB_LOST, -80, "the service has forgotten the job (it was restarted): its outcome is lost")

#define UNSBI_ERROR_CODE(name, value, text) UNSB_E_##name = (value),
enum {
    UNSB_OK = 0,      /* done */
    UNSB_PENDING = 1, /* not over: call unsb_poll() again */
    UNSB_ERRORS(UNSBI_ERROR_CODE)
    UNSB_E_USER = -1000 /* codes of the caller's own callbacks: this or lower */
};

/* ======================================================================
 * >>types
 * ====================================================================== */

/* Counts payload bytes: 32 bits at least, also where size_t has 16. */
#if SIZE_MAX > 0xFFFFFFFFu
typedef size_t unsb_size;
#else
typedef uint32_t unsb_size;
#endif

#define UNSB_BUFFER_MIN 128       /* the smallest I/O buffer, bytes */
#define UNSB_FOREVER 0x7FFFFFFFu  /* a time-out that never passes; also the largest, ms */
#define UNSB_JOB_ID_SIZE 64       /* room for a job id and its NUL */

/* What a pending operation waits for: see unsb_interest() and the transport's wait. */
enum { UNSB_READABLE = 1, UNSB_WRITABLE = 2 };

/* ---- the transport: what the platform supplies ----
 *
 * One connection at a time to a host and port. The table is constant and may lie in flash;
 * `context` is the port's own state. Sizes are at most INT_MAX. No function may call back into the
 * client.
 *
 * connect  Starts to connect, or carries on while it has returned UNSB_PENDING: it is called again
 *          with the same arguments until it returns UNSB_OK or an error. Must not block where the
 *          client is non-blocking. `host` is the caller's string and lives as long as the client.
 * send     Takes up to `size` bytes: returns how many it took (> 0), 0: none can be taken now, call
 *          again later, or an error.
 * recv     Stores up to `size` bytes: returns how many (> 0), 0: nothing has come yet, call again
 *          later, UNSB_E_CLOSED: the peer ended the stream in good order (TCP FIN; with TLS, only
 *          after close_notify), or another error. An end and an error are returned again when asked
 *          again.
 * close    Gives the connection up and releases what it holds: at any time, also twice, also before
 *          connect or while it is pending. Afterwards connect may be called anew.
 * wait     Blocks until the connection can be read (UNSB_READABLE) or written (UNSB_WRITABLE), or
 *          connect can go on, or `timeout_ms` (0 to UNSB_FOREVER) has passed. With `interest` 0 it
 *          just lets the time pass (connected or not). Returns UNSB_OK when the client should look
 *          again (waking too early is harmless), UNSB_E_TIMEOUT when the time has passed, or an
 *          error. NULL in a transport that serves non-blocking clients alone.
 * interest Translates what the client waits for into what the layer at the bottom must wait for:
 *          a TLS layer that must send before it can receive turns UNSB_READABLE into
 *          UNSB_WRITABLE. NULL: the same. Only layers, and ports that wait for something else while
 *          they connect, need it.
 * drop     Gives up this process's copy of the connection and all that it holds, as close does, but
 *          without a word on the wire: a layer sends no close_notify, the bottom closes its socket
 *          without a shutdown or reset. A child after fork() calls it by way of unsb_drop(), as the
 *          connection goes on in its parent. NULL: close does no more than that.
 *
 * Errors are the UNSB_E_ codes -30 to -49, or codes of the port's own at UNSB_E_USER or below; all
 * reach the caller unchanged. UNSB_E_ABORTED from any of them ends the operation: so a signal
 * handler, an ISR or another thread interrupts a blocking call, by a flag that `wait` looks at and
 * something that wakes it (unsb_posix_interrupt() and the like). */
typedef struct unsb_transport_class {
    int (*connect)(void *context, const char *host, uint16_t port);
    int (*send)(void *context, const void *data, size_t size);
    int (*recv)(void *context, void *data, size_t size);
    void (*close)(void *context);
    int (*wait)(void *context, int interest, uint32_t timeout_ms);
    int (*interest)(void *context, int interest);
    void (*drop)(void *context);
} unsb_transport_class;

/* A transport: the table and the state that its functions get. */
typedef struct unsb_transport {
    const unsb_transport_class *vtable;
    void *context;
} unsb_transport;

/* ---- a client's configuration; zero is the default of every field ---- */
typedef struct unsb_config {
    unsb_transport transport; /* required */
    const char *api_key;      /* required: the public key, "unsb-pk-..." */
    const char *secret_key;   /* "unsb-sk-...": requests are signed with it (HMAC-SHA256), as the
                                 service demands; it is never sent. Needs unix_time. NULL: api_key
                                 alone, as a bearer token: the service's older way */
    char *buffer;             /* required: the I/O buffer; it holds the key at times, until
                                 unsb_close() wipes it */
    size_t buffer_size;       /* UNSB_BUFFER_MIN or more. 512 to 2048 suit microcontrollers,
                                 16384 and more make TLS and large transfers cheaper */
    const char *host;         /* NULL: "api.unsandbox.com" */
    uint16_t port;            /* 0: 443 */
    bool nonblocking;         /* false: calls return when the operation is over.
                                 true: they return UNSB_PENDING, and unsb_poll() carries on */
#if UNSB_KEEP_ALIVE
    bool no_keep_alive;       /* true: each request asks for its connection to be closed */
#endif
#if UNSB_RETRIES
    uint8_t retries;          /* how often a request may be sent again, where the service cannot
                                 have started it; 0: never */
#endif
#if UNSB_JOBS
    uint8_t wait_failures;    /* how many polls of a job may fail in a row; 0: 30 */
    uint16_t wait_pause_ms;   /* the pause before each poll; 0: the service's own cadence, 300, 450,
                                 700, 900, 650, 1600 and then 2000 ms */
#endif
    /* time-outs in ms, up to UNSB_FOREVER */
    uint32_t connect_timeout_ms; /* resolving, connecting and TLS handshake; 0: 30,000 */
    uint32_t idle_timeout_ms;    /* silence on the wire; 0: 60,000. While the result of
                                    unsb_execute() or unsb_run() is awaited, the program's ttl is
                                    added */
    uint32_t total_timeout_ms;   /* a whole operation with its retries; 0: UNSB_FOREVER. Needs
                                    now_ms */
#if UNSB_KEEP_ALIVE
    uint32_t keep_alive_ms;      /* how long a connection may lie idle and still be used; 0:
                                    118,000. Needs now_ms */
#endif
    /* A monotonic clock in ms, which may wrap. NULL: a blocking client leaves the idle limit to
     * the transport's wait; a non-blocking one has no limits, no retries, no unsb_job_wait() */
    uint32_t (*now_ms)(void *time_context);
    uint32_t (*unix_time)(void *time_context); /* seconds since 1970, for signed requests */
    void *time_context;                        /* handed to both */
} unsb_config;

/* ---- bytes to send ----
 * Memory (`data` and `size`), or `read` with `size` known beforehand: read(context, offset, buffer,
 * size) stores 1 to `size` bytes from `offset` and returns how many, or an error: UNSB_E_USER or
 * below comes back unchanged, 0 and all else become UNSB_E_SOURCE. It is read by offset because
 * each byte is asked for at least twice: once to be checked and counted, once to be sent. */
typedef struct unsb_source {
    const void *data;
    unsb_size size;
    int (*read)(void *context, unsb_size offset, void *buffer, size_t size);
    void *context;
} unsb_source;

/* ---- where bytes go ----
 * Memory, a sink, both, or neither (then they are only counted). Memory is always NUL-terminated
 * within `capacity`; what does not fit is dropped, so size >= capacity says that it was cut. The
 * sink gets each piece as it arrives, in order; a result other than 0 stops the operation, with
 * that code if it is UNSB_E_USER or below, else with UNSB_E_SINK. Should the service give the same
 * field again (a duplicate key: the last one wins), it is called with size 0: start over. */
typedef struct unsb_output {
    char *data;
    size_t capacity;
    int (*write)(void *context, const void *data, size_t size);
    void *context;
    unsb_size size; /* set by the library: how many bytes came in all */
} unsb_output;

typedef struct unsb_env {
    const char *name;  /* UTF-8, not empty, without '=' */
    const char *value; /* UTF-8 */
} unsb_env;

#if UNSB_FILES
typedef struct unsb_file {
    const char *name;   /* UTF-8, no path; NULL: the service names it by its index, "0", "1" ... */
    unsb_source source; /* up to 5 MB; all files together 10 MB */
} unsb_file;
#endif

typedef enum unsb_network {
    UNSB_NETWORK_DEFAULT = 0, /* the service's choice */
    UNSB_NETWORK_ZEROTRUST,
    UNSB_NETWORK_SEMITRUSTED
} unsb_network;

/* ---- a program to run (POST /execute, /run and their async forms) ---- */
typedef struct unsb_program {
    const char *language; /* "python", "c" ...; NULL for unsb_run() */
    unsb_source code;     /* UTF-8; for unsb_run() its first line is a shebang */
#if UNSB_SETTINGS
    const unsb_env *env;
    size_t env_count;
#endif
#if UNSB_FILES
    const unsb_file *files; /* not for unsb_run() */
    size_t file_count;
#endif
#if UNSB_SETTINGS
    unsb_network network;
    uint16_t ttl_s;            /* 1 to 900; 0: the service's default, 60 */
    uint8_t vcpu;              /* 1 to 8, each with 2 GB of memory; 0: 1. Not for unsb_run() */
#endif
#if UNSB_ARTIFACTS
    bool return_artifact;      /* ask for the compiled binary */
    bool return_wasm_artifact; /* ask for a WebAssembly binary */
#endif
#if UNSB_SETTINGS
    /* NULL, or further members of the request's JSON object, as JSON text without the braces,
     * whose names are none that the library writes: what the service may learn to take tomorrow.
     * UTF-8. Not for unsb_run() */
    const char *extra;
#endif
} unsb_program;

#if UNSB_ARTIFACTS
/* ---- an artifact, as it arrives (unsb_result.on_artifact) ----
 * Called with each decoded piece, and once more with `end` set and no data. The service may send
 * the other fields after the content, so trust them at the end. They point into unsb_result (the
 * filename into artifact_name's memory: "" if there is none) and hold until the callback
 * returns. A filename is the service's word: never take it for a path. */
typedef struct unsb_artifact {
    unsigned index; /* 0, 1 ... in the order of arrival */
    const char *filename;
    const char *info; /* its mime_type; or, if it failed, why: the service's "error" */
    const void *data;
    size_t size;
    int64_t total; /* the service's "size", -1: not given */
    bool wasm;     /* it came as wasm_artifact */
    bool end;
    bool failed; /* with `end`: there is no artifact, or it is not whole */
} unsb_artifact;
#endif

typedef enum unsb_status {
    UNSB_STATUS_NONE = 0, /* not given */
    UNSB_STATUS_UNKNOWN,  /* given, but a word this version does not know; not terminal */
    UNSB_STATUS_PENDING,
    UNSB_STATUS_RUNNING,
    UNSB_STATUS_CANCELLED, /* this and the following are terminal */
    UNSB_STATUS_COMPLETED,
    UNSB_STATUS_FAILED,
    UNSB_STATUS_TIMEOUT /* the program exceeded its ttl */
} unsb_status;

/* unsb_result.given: which of these the response held, so that absent differs from 0 */
enum {
    UNSB_GIVEN_SUCCESS = 0x01, /* else it follows from exit_code and status */
    UNSB_GIVEN_EXIT_CODE = 0x02,
    UNSB_GIVEN_TOTAL_TIME_MS = 0x04,
    UNSB_GIVEN_CREATED_AT = 0x08,
    UNSB_GIVEN_STARTED_AT = 0x10,
    UNSB_GIVEN_COMPLETED_AT = 0x20,
    UNSB_GIVEN_ACTIVE_EXECUTIONS = 0x40,
    UNSB_GIVEN_CONCURRENCY_LIMIT = 0x80,
    UNSB_GIVEN_RETRY_AFTER = 0x100
};

/* ---- the outcome of an operation ----
 * Zero it, set what is wanted of the caller's group (out to context), and keep it in place until
 * the operation is over. Texts are NUL-terminated and cut to their arrays ("" when absent, or not a
 * string). */
typedef struct unsb_result {
    /* set by the library, anew with each request */
    uint16_t http_status;      /* 200, 404 ...; 0: there was no response */
    uint16_t given;            /* UNSB_GIVEN_... */
    unsb_status status;        /* of a job */
    bool success;              /* the program ran and exited with 0 */
    int32_t exit_code;         /* of more than 32 bits, the lower 32 */
    uint32_t retry_after_s;    /* 0 with UNSB_GIVEN_RETRY_AFTER: the service gave a date */
#if UNSB_DETAILS
    int32_t active_executions; /* with a 429, as the next */
    int32_t concurrency_limit;
    int64_t total_time_ms;
    int64_t created_at;        /* Unix seconds, as the next two; in a list, when it was submitted */
    int64_t started_at;
    int64_t completed_at;
#endif
#if UNSB_ARTIFACTS
    int64_t artifact_size;     /* of the artifact that is arriving: see unsb_artifact */
#endif

    /* set by the caller, kept from call to call */
    unsb_output out;           /* the program's stdout; for unsb_request() the response body */
    unsb_output err;           /* the program's stderr */
    /* Callbacks return 0, or what stops the operation, as a sink does. */
#if UNSB_ARTIFACTS
    unsb_output artifact_name; /* memory for the filename of the artifact that is arriving */
    int (*on_artifact)(void *context, const unsb_artifact *artifact); /* NULL: they are passed over
                                                                         unread */
#endif
#if UNSB_LISTS
    int (*on_item)(void *context, const struct unsb_result *item); /* unsb_job_list,
                                                                      unsb_languages */
#endif
    void *context;             /* handed to both */

    /* set by the library again */
#if UNSB_DETAILS
    char language[32];
    char execution_mode[16];
    char network_mode[16];
    char submitted_at[32];     /* unsb_job_list: created_at as the service wrote it, RFC 3339 */
#endif
#if UNSB_ARTIFACTS
    char artifact_info[48];
#endif
#if UNSB_DETAILS
    char challenge_id[48];     /* with UNSB_E_CHALLENGE */
#endif
    char error[48];            /* the service's "error": a code or a text */
    char message[96];          /* the service's "message": for people */
    char job_id[UNSB_JOB_ID_SIZE]; /* kept from the moment it is known; where a call asked for one
                                      (unsb_answer), the id of a session or service, too */
#if UNSB_DETAILS
    char detected_language[32]; /* unsb_run; unsb_languages: what an alias stands for */
#endif
} unsb_result;

#if UNSB_KEYS
/* ---- what unsb_key_validate() tells of a key ---- */
typedef struct unsb_key {
    bool valid;
    char reason[64]; /* why it is not */
    char tier[24];   /* a number or a word */
    int32_t rate_per_minute; /* these are -1 where the service does not say */
    int32_t burst;
    int32_t concurrency;
    int64_t expires_at; /* Unix seconds */
} unsb_key;
#endif

#if UNSB_REQUEST
/* ---- any other request of the service's API (unsb_request) ---- */

typedef struct unsb_header {
    const char *name;  /* a token (RFC 9110 section 5.6.2); none that the library writes itself */
    const char *value; /* visible ASCII, blanks and tabs (section 5.5) */
} unsb_header;

typedef enum unsb_answer { /* what becomes of a response's body */
    UNSB_ANSWER_RAW = 0, /* it goes to result->out as it is, whatever the status */
    UNSB_ANSWER_RESULT,  /* it is read into the result, as a job's or a run's is: outputs and
                            artifacts to their sinks, the fields to theirs */
    UNSB_ANSWER_OUTCOME  /* likewise; and if it tells of a job that goes on, that is waited for, as
                            unsb_execute() does */
} unsb_answer;

typedef struct unsb_call {
    const char *method;       /* a token: "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD" ... */
    const char *path;         /* "/..." with its query, percent-encoded already */
    const char *content_type; /* of the body; NULL: "application/json", "": none is told */
    unsb_source body;         /* size 0: none */
    const unsb_header *headers; /* further fields: "X-Sudo-OTP" ... */
    size_t header_count;
    unsb_answer answer;
    uint16_t ttl_s; /* UNSB_ANSWER_OUTCOME: how long it may run, in seconds; 0: 60 */
} unsb_call;
#endif

/* ======================================================================
 * >>parts  The stages of the library, each usable alone. None allocates,
 *          blocks or knows of the others.
 * ====================================================================== */

/* ---- base64 (RFC 4648 section 4: standard alphabet, padded) ---- */

/* The characters that n bytes become, without a NUL. */
#define UNSB_BASE64_SIZE(n) (((n) + 2) / 3 * 4)

typedef struct unsb_base64 { /* both directions; zero it to start */
    uint32_t bits;
    uint8_t count;
    uint8_t padding;
} unsb_base64;

/* Encodes the next `size` bytes to `out`, which has room for UNSB_BASE64_SIZE(size + 2); one or two
 * bytes may be kept for the next call. Returns the characters written. */
UNSB_API size_t unsb_base64_encode(unsb_base64 *state, const void *data, size_t size, char *out);
/* Writes what was kept, padded: returns 0 or 4. The state is then as new. */
UNSB_API size_t unsb_base64_encode_end(unsb_base64 *state, char *out);
/* Decodes the next `size` characters to `out`, which has room for size / 4 * 3 + 3 bytes and may be
 * `text` itself. Stores the bytes written in *out_size. Strict (RFC 4648 sections 3.2, 3.3, 3.5):
 * UNSB_E_BASE64 for a foreign character, misplaced padding, and set bits beneath the padding. */
UNSB_API int unsb_base64_decode(unsb_base64 *state, const char *text, size_t size, void *out,
                                size_t *out_size);
/* At the end of the text: UNSB_E_BASE64 unless a group of four is complete. */
UNSB_API int unsb_base64_decode_end(const unsb_base64 *state);

/* ---- JSON reader (RFC 8259), fed in pieces of any size ---- */

typedef enum unsb_json_event {
    UNSB_JSON_MORE = 0,     /* all input is used; feed more */
    UNSB_JSON_OBJECT_BEGIN, /* depth counts it already */
    UNSB_JSON_OBJECT_END,   /* depth counts it no more */
    UNSB_JSON_ARRAY_BEGIN,
    UNSB_JSON_ARRAY_END,
    UNSB_JSON_KEY,    /* text, text_size: a piece; `partial`: more pieces of it follow */
    UNSB_JSON_STRING, /* likewise */
    UNSB_JSON_NUMBER, /* mantissa, exponent; unsb_json_integer() */
    UNSB_JSON_FALSE,
    UNSB_JSON_TRUE,
    UNSB_JSON_NULL
} unsb_json_event;

typedef struct unsb_json_reader {
    /* May be set after unsb_json_reader_init(). false: strings must be UTF-8 without control
     * characters, as RFC 8259 demands. true: they are the bytes that a program printed, and all of
     * them are given: raw ones as they are, an escape of U+DC80 to U+DCFF as the byte 0x80 to 0xFF
     * that Python means by it (PEP 383), of any other half of a surrogate pair as U+FFFD. Before
     * the document a byte order mark, or what else is no ASCII, is passed over (section 8.1). */
    bool lenient;
    /* for the caller to read */
    bool negative;
    bool inexact; /* the number has more digits than mantissa or exponent hold */
    bool partial;
    uint8_t depth; /* of the containers that are open */
    /* private; bytes come first, where the shortest instructions of Cortex-M0 reach them */
    uint8_t state;
    uint8_t kind; /* of the string under way: what it was begun as */
    uint8_t utf8;
    /* for the caller to read */
    const char *text; /* UTF-8 without the escapes, not NUL-terminated; "\u0000" is a NUL byte */
    size_t text_size; /* may be 0 */
#if UNSB_NUMBERS
    uint64_t mantissa; /* a number's value is mantissa * 10^exponent, negated if `negative` */
    int32_t exponent;
#else
    uint32_t mantissa;
#endif
    /* private */
    uint16_t digits; /* what those of an escape or of an exponent make */
    uint16_t surrogate;
    int error;
    char unescaped[4];
    unsb_size skipped; /* containers that are open within a value that is passed over */
#if UNSB_JSON_DEPTH <= 32
    uint32_t objects; /* a bit for each open container, the lowest for the innermost */
#else
    uint8_t objects[(UNSB_JSON_DEPTH + 7) / 8];
#endif
} unsb_json_reader;

/* Before each document; zeroes it. */
UNSB_API void unsb_json_reader_init(unsb_json_reader *reader);
/* Reads on in data[0..size) up to the next event; *used says how far. Returns the event,
 * UNSB_JSON_MORE, or an error, which is returned from then on: UNSB_E_JSON, UNSB_E_JSON_DEPTH,
 * UNSB_E_JSON_UTF8. Strings are unescaped in place: `data` is written to,
 * but only where it has been used, and `text` lies in it (or in the reader) until the next call. */
UNSB_API int unsb_json_read(unsb_json_reader *reader, char *data, size_t size, size_t *used);
/* The same for text that must stay as it is: up to `scratch_size` bytes (1 or more) of it are
 * copied to `scratch` and read there. UNSB_JSON_MORE: go on with what is left. */
UNSB_API int unsb_json_read_copy(unsb_json_reader *reader, const char *data, size_t size,
                                 size_t *used, char *scratch, size_t scratch_size);
/* Passes a value over, unread and unjudged: no events come of it, strings may hold anything, and it
 * may nest as deep as it likes; only brackets and quotes are followed. After the last piece of an
 * UNSB_JSON_KEY: the value of that key, which is all up to the comma or bracket behind it. After
 * UNSB_JSON_OBJECT_BEGIN or _ARRAY_BEGIN: the rest of that container, for which no _END comes. At
 * no other time. */
UNSB_API void unsb_json_skip(unsb_json_reader *reader);
/* At the end of the text: UNSB_OK if it was one whole document. A number that is the whole
 * document is given as UNSB_JSON_NUMBER here (then call again); else UNSB_E_JSON. */
UNSB_API int unsb_json_read_end(unsb_json_reader *reader);
/* The number just read, if it is a whole one (523, 523.0 and 5.23e2 are) and fits: UNSB_OK or
 * UNSB_E_JSON_NUMBER. */
UNSB_API int unsb_json_integer(const unsb_json_reader *reader, int64_t *value);
#if !defined(__SDCC)
/* The number just read as floating point, which nothing else here uses: the nearest one where it
 * has up to 15 digits and an exponent of up to 22, else off by no more than 1 in 10^13 or so, where
 * double has 64 bits; 0 or infinity beyond its range, and fewer digits near 0. */
UNSB_API double unsb_json_double(const unsb_json_reader *reader);
#endif

/* ---- JSON writer (RFC 8259), through an unsb_output: to memory, piece by piece to a sink ---- */

typedef struct unsb_json_writer {
    unsb_output *out; /* the caller's */
    int error;        /* the first one; sticky */
    /* private */
    uint8_t depth;
    uint8_t flags;
    uint8_t arrays[4];
} unsb_json_writer;

/* `out` must stay in place. What came so far counts from out->size = 0. */
UNSB_API void unsb_json_writer_init(unsb_json_writer *writer, unsb_output *out);
/* Commas and colons are put by the writer. In an object, each value follows a key. Errors stick:
 * UNSB_E_ARGUMENT for calls in an order that JSON does not allow, UNSB_E_JSON_DEPTH beyond 32,
 * UNSB_E_UTF8, or the sink's. */
UNSB_API void unsb_json_object_begin(unsb_json_writer *writer);
UNSB_API void unsb_json_object_end(unsb_json_writer *writer);
UNSB_API void unsb_json_array_begin(unsb_json_writer *writer);
UNSB_API void unsb_json_array_end(unsb_json_writer *writer);
UNSB_API void unsb_json_key(unsb_json_writer *writer, const char *key);
UNSB_API void unsb_json_string(unsb_json_writer *writer, const char *text, size_t size);
UNSB_API void unsb_json_number(unsb_json_writer *writer, int64_t value);
UNSB_API void unsb_json_bool(unsb_json_writer *writer, bool value);
UNSB_API void unsb_json_null(unsb_json_writer *writer);
/* UNSB_OK if one whole value was written, UNSB_E_ARGUMENT if something is open, or the sticky
 * error. Whether memory cut it shows in the output. */
UNSB_API int unsb_json_writer_end(const unsb_json_writer *writer);

/* ---- HTTP/1.1 response decoder (RFC 9112), fed in pieces of any size ---- */

enum { /* unsb_http.flags */
    UNSB_HTTP_LENGTH = 0x01,      /* a Content-Length came */
    UNSB_HTTP_CHUNKED = 0x02,     /* Transfer-Encoding: chunked */
    UNSB_HTTP_CLOSE = 0x04,       /* the connection cannot be used again. (What the field Connection
                                     has to say of it is read if UNSB_KEEP_ALIVE is 1.) */
    UNSB_HTTP_KEEP_ALIVE = 0x08,  /* Connection: keep-alive (counts in HTTP/1.0) */
    UNSB_HTTP_RETRY_AFTER = 0x10, /* Retry-After came; retry_after_s is 0 if it was a date */
    UNSB_HTTP_HEAD = 0x20,        /* set by the caller: the request was HEAD */
    UNSB_HTTP_1_0 = 0x40,         /* the response is HTTP/1.0 */
    UNSB_HTTP_BODY = 0x80         /* the head is over: status and flags are final */
};

typedef struct unsb_http {
    /* for the caller to read */
    uint16_t status; /* 200 ... of the final response; interim ones (1xx) are skipped */
    uint8_t flags;
    uint32_t retry_after_s;
    /* private */
    uint8_t state;
    uint8_t field;
    uint8_t length; /* of the token */
    uint8_t spaced; /* a blank came after it */
    bool cr;        /* the last byte was a CR */
    char token[21]; /* the name, word or number under way, cut: none that matters fills it */
    uint16_t head_size;
    int error;
    unsb_size remaining;
} unsb_http;

/* `head_request`: the response to HEAD has no body whatever its fields say. */
UNSB_API void unsb_http_init(unsb_http *http, bool head_request);
/* Decodes on in data[0..size). *used says how far, and the last *body bytes of that are a piece of
 * the body. Returns UNSB_PENDING: go on with what is left, or feed more; UNSB_OK: the response is
 * complete, and what is left does not belong to it; or an error, which is returned from then on:
 * UNSB_E_HTTP, UNSB_E_HEAD_SIZE, UNSB_E_RESPONSE_SIZE. */
UNSB_API int unsb_http_feed(unsb_http *http, const char *data, size_t size, size_t *used,
                            size_t *body);
/* When the stream has ended in good order: UNSB_OK if that ends the response (it has neither length
 * nor chunks, or was complete), else UNSB_E_TRUNCATED. */
UNSB_API int unsb_http_end(const unsb_http *http);

/* ======================================================================
 * >>client  The state that the caller places. Visible so that its size is
 *           known; its fields are private.
 * ====================================================================== */

typedef struct unsb_client {
    /* what is used most comes first, where the shortest instructions of Cortex-M reach it */
    uint8_t state;
    bool entered;      /* within unsb_poll(): callbacks may be running */
#if UNSB_RETRIES || UNSB_JOBS
    bool timeless;     /* non-blocking, without a clock: nothing can be waited for */
#endif
    bool connected;    /* the transport is, or is about to be */
    bool blocked;      /* the last call of the transport could do nothing */
    bool probe;        /* see whether the answer comes early: while sending, or without
                          UNSB_RETRIES once before */
    /* of the request under way */
    bool sent;         /* the transport took some of it */
    bool came;         /* and gave some of the answer */
    bool unusable;     /* the connection cannot be used for another one */
    bool delivered;    /* a part of what was asked for reached the caller */
    uint8_t attempts;  /* sent again so far; or polls in a row that did not find the job */
    uint8_t polls;     /* of a job that is waited for */
    uint8_t failures;  /* of those polls, one after the other */
    bool known;        /* the job was there, or the service failed: should it be gone, it is lost */
    uint16_t ttl_s;    /* how long the program may run */
    union {
        struct { /* while the request is measured and sent: where its writer stands */
            unsb_size offset;
            uint16_t at;
            uint8_t part; /* see >>request */
            uint8_t utf8;
            size_t item;
            unsb_size body_size, counted;
        } tx;
        struct { /* while the response is read: see >>result */
            uint16_t within;
            uint8_t count;
            bool going, content, spoilt, outcome, output, ignore;
            int8_t fault; /* an error that must not cost what else the answer tells */
            const struct unsbi_field *field; /* whose value comes; NULL: it does not matter */
            unsigned index;
        } rx;
    } v;
    size_t begin, end; /* what the I/O buffer holds */
    const struct unsbi_op *op;
    unsb_result *result;
    int error;         /* the outcome; UNSB_PENDING while under way */
#if UNSB_RETRIES
    int send_error;    /* what kept the request from being sent to its end, or 0 */
#endif
    const void *input; /* unsb_program or unsb_call */
    uint32_t started_ms;
    uint32_t limit_ms; /* of the whole operation, from started_ms */
    uint32_t mark_ms;  /* the last progress, or the start of a pause */
    uint32_t pause_ms;
    uint32_t passed_ms; /* the time, where there is no clock: what waits have taken */
#if UNSB_KEYS
    void *extra;       /* unsb_key */
#endif
    unsb_config config;
    unsb_http http;
    union {
        struct {
            uint32_t hash[24]; /* see >>sha256 */
            uint32_t unix_time;
        } tx;
        struct {
            unsb_json_reader json;
            union {
                unsb_base64 base64;
                char text[40]; /* a short text that is judged when it is whole */
            } u;
        } rx;
    } u;
} unsb_client;

/* ======================================================================
 * >>api
 * ====================================================================== */

/* Sources and outputs, made in one expression. Nothing is copied: what they point to must outlive
 * the operation. SDCC's functions cannot return structs: set the fields there. */
#if !defined(__SDCC)
UNSB_API unsb_source unsb_text(const char *text); /* NUL-terminated */
UNSB_API unsb_source unsb_bytes(const void *data, unsb_size size);
UNSB_API unsb_output unsb_into(char *memory, size_t capacity);
#endif

/* Sets up a client. The configuration is copied; what it points to (strings, buffer, contexts) must
 * stay until unsb_close(). Opens nothing. Errors, with the client unusable: UNSB_E_ARGUMENT (no
 * transport, no buffer, a blocking client without `wait`, a time-out over UNSB_FOREVER),
 * UNSB_E_BUFFER, UNSB_E_NO_KEY, UNSB_E_HEADER_BYTE, UNSB_E_NO_CLOCK (secret_key without unix_time,
 * total_timeout_ms without now_ms), UNSB_E_NO_SIGNING, UNSB_E_HOST. */
UNSB_API int unsb_init(unsb_client *client, const unsb_config *config);

/* ---- operations ----
 *
 * Common to all: UNSB_OK means that the service did what was asked; a program that fails is UNSB_OK
 * too, with success false. A blocking client returns when the operation is over. A non-blocking one
 * returns UNSB_PENDING, and the arguments must stay in place until unsb_poll() returns something
 * else; errors that need no source to be read are returned at once. `result` is required.
 *
 * Every operation can return, besides what is listed with it: UNSB_E_ARGUMENT, UNSB_E_BUSY,
 * UNSB_E_CLIENT, UNSB_E_NO_CLOCK (before anything is sent; but for UNSB_E_BUSY the result is
 * cleared then, too); the transport's (RESOLVE, CONNECT, TIMEOUT, CLOSED, IO, TLS ...); UNSB_E_HTTP
 * to UNSB_E_RESPONSE (-50 to -64); the service's answers, UNSB_E_BAD_REQUEST to UNSB_E_CLOCK (-70
 * to -79), with http_status, error, message and retry_after_s in the result; UNSB_E_SINK or a
 * callback's own code; UNSB_E_ABORTED.
 *
 * After an error from -30 on, a program may or may not have run, unless retries tell otherwise: the
 * library itself sends a request again only where the service cannot have started it. */

/* Runs a program and waits for its result (POST /execute). If the service answers with a job that
 * goes on (200 or 202), that is asked for until it has ended: see the manual, section 3. Before
 * anything is sent: UNSB_E_NO_LANGUAGE, NO_CODE, TTL, VCPU, EXTRA, FILE_COUNT, FILE_SIZE,
 * FILES_SIZE, FILENAME, FILENAME_TWICE, ENV_NAME, UTF8, SOURCE, REQUEST_SIZE. Of a job: JOB_LOST,
 * NOT_FOUND; UNSB_E_NO_CLOCK in a non-blocking client without now_ms, with the id in the result. */
UNSB_API int unsb_execute(unsb_client *client, const unsb_program *program, unsb_result *result);
#if UNSB_JOBS
/* Submits it as a job (POST /execute/async): result->job_id and result->status. */
UNSB_API int unsb_execute_async(unsb_client *client, const unsb_program *program,
                                unsb_result *result);
#endif
#if UNSB_RUN
/* Likewise for code that names its language in a shebang (POST /run, /run/async). language, files,
 * vcpu and extra must be unset (UNSB_E_ARGUMENT); the code is sent as it is, without a check for
 * UTF-8. */
UNSB_API int unsb_run(unsb_client *client, const unsb_program *program, unsb_result *result);
#if UNSB_JOBS
UNSB_API int unsb_run_async(unsb_client *client, const unsb_program *program, unsb_result *result);
#endif
#endif

#if UNSB_JOBS
/* `job_id` is copied to result->job_id, and may be that. UNSB_E_JOB_ID: it is empty, too long, or a
 * "." or ".." that would name another path. */

/* Asks once how a job stands (GET /jobs/{id}); its result, if there is one. */
UNSB_API int unsb_job_get(unsb_client *client, const char *job_id, unsb_result *result);
/* Asks until the job has ended, after 300, 450, 700, 900, 650, 1600 and then every 2000 ms (or
 * config.wait_pause_ms), for up to `timeout_ms` (0: UNSB_FOREVER; it replaces total_timeout_ms).
 * UNSB_OK: status is terminal, or unknown or absent with an outcome. UNSB_E_TIMEOUT: the job goes
 * on, status says how it stood. Lost connections, 5xx and 429 are waited out 2 s each, after a 429
 * twice as long each time up to 64 s, or what Retry-After says up to a minute: config.wait_failures
 * in a row. A 404 is waited out 5 times, as the job may not be registered yet; once the job was
 * there, or after a 5xx, it is UNSB_E_JOB_LOST. Each poll is signed afresh. Needs now_ms
 * (UNSB_E_NO_CLOCK) if non-blocking. */
UNSB_API int unsb_job_wait(unsb_client *client, const char *job_id, uint32_t timeout_ms,
                           unsb_result *result);
/* Cancels a job (DELETE /jobs/{id}); the partial output comes as with unsb_execute(), if the
 * service sends any: an answer without a body (204) is UNSB_OK, too. */
UNSB_API int unsb_job_cancel(unsb_client *client, const char *job_id, unsb_result *result);
#endif
#if UNSB_LISTS
/* Pending and running jobs (GET /jobs): result->on_item is called for each, with job_id, status,
 * language, network_mode, created_at and submitted_at in `item`, which is `result` itself. */
UNSB_API int unsb_job_list(unsb_client *client, unsb_result *result);
/* GET /languages: result->on_item is called for each, with its name in item->language; and for each
 * alias, with what it stands for in item->detected_language, which is "" otherwise. */
UNSB_API int unsb_languages(unsb_client *client, unsb_result *result);
#endif
#if UNSB_KEYS
/* POST /keys/validate. UNSB_OK also for a key that is not valid, whatever the status that says so:
 * key->valid says it, and key->reason why. */
UNSB_API int unsb_key_validate(unsb_client *client, unsb_key *key, unsb_result *result);
#endif
#if UNSB_REQUEST
/* Any other request. call->answer says what becomes of the response's body: it goes to result->out
 * as it is, or is read into the result (sessions, services: examples/warm.c). Only GET and HEAD are
 * taken as safe to repeat; should a request be sent again, result->out starts over. Errors before
 * sending: UNSB_E_ARGUMENT, UNSB_E_HEADER_BYTE (a method that is no token, a fragment in the path
 * ...), UNSB_E_HEADER, UNSB_E_SOURCE. */
UNSB_API int unsb_request(unsb_client *client, const unsb_call *call, unsb_result *result);
#endif

/* ---- control ---- */

/* Carries the pending operation on by at most one call of the transport. Returns UNSB_PENDING, or
 * the outcome, also when asked again; UNSB_E_CLIENT: there is no client (unsb_init). */
UNSB_API int unsb_poll(unsb_client *client);
/* What a pending operation waits for: UNSB_READABLE and UNSB_WRITABLE, or 0 for time alone; and in
 * *timeout_ms (may be NULL) when to call unsb_poll() at the latest: 0: at once, there is more to
 * do. */
UNSB_API int unsb_interest(unsb_client *client, uint32_t *timeout_ms);
/* Stops the pending operation: the connection is closed, and unsb_poll() returns UNSB_E_ABORTED.
 * The service is not told: a job goes on. Also from a callback, and after one that did not return
 * (manual, section 8). The client stays usable. */
UNSB_API void unsb_abort(unsb_client *client);
/* Ends the client: aborts, closes the connection, and wipes the I/O buffer and the client. */
UNSB_API void unsb_close(unsb_client *client);
/* Ends the copy of a client that a child process got by fork(), in silence: nothing is sent, and
 * the connection goes on in the parent. Otherwise as unsb_close(). */
UNSB_API void unsb_drop(unsb_client *client);

/* A sentence for a code, static and in ASCII; "" for an unknown one or with UNSB_ERROR_TEXT 0. */
UNSB_API const char *unsb_error_text(int error);
/* The service's word for a status: "completed" ...; "" for UNSB_STATUS_NONE and _UNKNOWN. */
UNSB_API const char *unsb_status_text(unsb_status status);
/* UNSB_VERSION of the implementation. */
UNSB_API uint32_t unsb_version(void);
/* Splits "https://host[:port][/]" (or http://; RFC 3986 section 3) for a configuration: UNSB_OK, or
 * UNSB_E_SCHEME, UNSB_E_HOST (none, what may not be in one, or more than `host` has room for),
 * UNSB_E_URL (a path, a query, a user; a port that is not 1 to 65535). An IPv6 address loses its
 * brackets. `tls` may be NULL if only https will do. */
UNSB_API int unsb_url_split(const char *url, char *host, size_t host_size, uint16_t *port,
                            bool *tls);

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_H */

/* ======================================================================
 * >>end-of-api  Stop reading here unless you maintain this file.
 * ====================================================================== */

#if defined(UNSANDBOX_IMPLEMENTATION) && !defined(UNSANDBOX_IMPLEMENTED)
#define UNSANDBOX_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>base  bytes, bounds, UTF-8, words
 * ====================================================================== */

#define UNSBI_INT_MAX ((size_t)((unsigned)-1 >> 1))

/* Not inlined: what returns before the stack grows, as its variables would lie beneath all the
 * rest, and what is called from several places. */
#if defined(__GNUC__)
#define UNSBI_APART static __attribute__((noinline))
#else
#define UNSBI_APART static
#endif

/* Likewise where code is to be small: where inlining makes it grow, or fills up the registers. */
#if UNSB_SMALL
#define UNSBI_CALLED UNSBI_APART
#else
#define UNSBI_CALLED static
#endif

static size_t unsbi_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool unsbi_is_same(const char *a, const char *b)
{
    while (*a == *b && *a != '\0')
        a++, b++;
    return *a == *b;
}

/* Where a character first stands in a text, or the text's end. */
UNSBI_CALLED const char *unsbi_seek(const char *text, char c)
{
    while (*text != '\0' && *text != c)
        text++;
    return text;
}

#if UNSB_FILES || UNSB_JOBS
/* Is it no segment of a path: empty, "." or ".." (RFC 3986 section 5.2.4)? */
UNSBI_CALLED bool unsbi_is_dots(const char *text, size_t size)
{
    return size == 0 || (size <= 2 && text[0] == '.' && text[size - 1] == '.');
}
#endif

/* Stores that the compiler may not leave out, however dead the memory seems. */
static void unsbi_wipe(void *memory, size_t size)
{
#if defined(__GNUC__)
    memset(memory, 0, size);
    __asm__ __volatile__("" : : "r"(memory) : "memory"); /* which might read it */
#else
    volatile uint8_t *p = (volatile uint8_t *)memory;

    while (size--)
        *p++ = 0;
#endif
}

static bool unsbi_is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') <= 9;
}

/* The value of a hexadecimal digit, or 16. */
static uint8_t unsbi_hex_value(uint8_t c)
{
    if (unsbi_is_digit(c))
        return (uint8_t)(c - '0');
    c = (uint8_t)((c | 0x20) - 'a');
    return c < 6 ? (uint8_t)(c + 10) : 16;
}

#if UNSB_UTF8
/* One step of RFC 3629 section 4. *state is 0 between characters, else the first byte, which moves
 * up with each one that follows. false: not UTF-8. */
static bool unsbi_utf8_next(uint8_t *state, uint8_t c)
{
    uint8_t lead = *state;

    if (lead == 0) {
        if (c >= 0x80)
            *state = c;
        return c < 0x80 || (c >= 0xC2 && c <= 0xF4);
    }
    *state = (uint8_t)((lead & 0x20) == 0 ? 0 : lead << 1 | 1); /* none of the four below */
    if ((c & 0xC0) != 0x80)
        return false;
    if (c < (lead < 0xF0 ? 0xA0 : 0x90))
        return lead != 0xE0 && lead != 0xF0;
    return lead != 0xED && lead != 0xF4;
}
#endif

/* The index of a text in a list of names, each of which follows its length, and a length of 0 ends
 * it; or UNSBI_NO_WORD. With `fold` 0x20 upper case is taken for lower case, where names are of
 * letters and '-', and texts without control characters. */
#define UNSBI_NO_WORD 0xFF

UNSBI_CALLED uint8_t unsbi_find(const char *names, const void *text, size_t size, uint8_t fold)
{
    const uint8_t *p = (const uint8_t *)text;
    uint8_t index = 0;
    size_t n, i;

    for (; (n = (uint8_t)*names++) != 0; names += n, index++) {
        if (n != size)
            continue;
        for (i = 0; i < n && (uint8_t)names[i] == (p[i] | fold); i++)
            continue;
        if (i == n)
            return index;
    }
    return UNSBI_NO_WORD;
}

/* Where the byte of a weight lies in a number of `size` bytes: 0 is the least one's. */
static size_t unsbi_byte_at(size_t weight, size_t size)
{
    static const uint16_t one = 1;

    return *(const uint8_t *)&one != 0 ? weight : size - 1 - weight;
}

#if !UNSB_SMALL
#define UNSBI_ONES ((uint64_t)0x0101010101010101u)

static uint64_t unsbi_load64(const void *p)
{
    uint64_t x;

    memcpy(&x, p, 8);
    return x;
}
#endif

/* number = number * base + digit, byte by byte: small machines have no product of more. False where
 * that overflows; the number is of no use then. */
UNSBI_CALLED bool unsbi_append(void *number, size_t size, uint8_t base, uint8_t digit)
{
    uint8_t *p = (uint8_t *)number;
    unsigned more = digit;
    size_t i;

#if !UNSB_SMALL
    if (size == sizeof(uint64_t)) {
        uint64_t x = unsbi_load64(p);
        if (x >> 58 == 0) { /* no base is above 60 */
            x = x * base + digit;
            memcpy(p, &x, sizeof x);
            return true;
        }
    }
#endif
    for (i = 0; i < size; i++) {
        uint8_t *at = p + unsbi_byte_at(i, size);
        more += (unsigned)*at * base;
        *at = (uint8_t)more;
        more >>= 8;
    }
    return more == 0;
}

/* Divides by 10; returns the remainder. */
static uint8_t unsbi_divide10(uint64_t *number)
{
#if !UNSB_SMALL && SIZE_MAX > 0xFFFFFFFFu
    uint8_t rest = (uint8_t)(*number % 10);

    *number /= 10;
    return rest;
#else
    /* byte by byte, too: x * 6554 >> 16 is x / 10 for x < 16389 */
    uint8_t *p = (uint8_t *)number;
    unsigned rest = 0;
    size_t i;

    for (i = sizeof *number; i-- > 0;) {
        uint8_t *at = p + unsbi_byte_at(i, sizeof *number);
        unsigned x = rest << 8 | *at;
        *at = (uint8_t)((uint32_t)x * 6554 >> 16);
        rest = x - *at * 10u;
    }
    return (uint8_t)rest;
#endif
}

/* Writes `value` in decimal, to end before `end`; returns its first digit's place, 20 characters
 * before `end` at the most. */
static char *unsbi_decimal(uint64_t value, char *end)
{
    do
        *--end = (char)('0' + unsbi_divide10(&value));
    while (value != 0);
    return end;
}

/* How many bytes at the start of data[0..size) are ASCII that a JSON string holds unescaped. */
static size_t unsbi_plain_run(const uint8_t *data, size_t size)
{
    size_t i = 0;

#if !UNSB_SMALL
    /* With bit 1 the other way round, '"' is 0x20 and the blank 0x22, and what is below 0x20 stays
     * there: so what a string does not hold as it is, but for '\\', is below 0x21 or from 0x80 on.
     * x - k borrows out of a byte only if it is < k, so the lowest hit is never a false one */
    for (; i + 8 <= size; i += 8) {
        uint64_t x = unsbi_load64(data + i);
        uint64_t hit = x | ((x ^ 2 * UNSBI_ONES) - 0x21 * UNSBI_ONES) |
                       ((x ^ '\\' * UNSBI_ONES) - UNSBI_ONES);
        hit &= 0x80 * UNSBI_ONES;
        if (hit != 0) {
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return i + (unsigned)__builtin_ctzll(hit) / 8;
#else
            break;
#endif
        }
    }
#endif
    while (i < size && data[i] >= 0x20 && data[i] < 0x80 && data[i] != '"' && data[i] != '\\')
        i++;
    return i;
}

/* What a callback returned: 0 or a code of its own; one of the library's would tell a lie. */
UNSBI_CALLED int unsbi_callback(int rc)
{
    return rc == 0 || rc <= UNSB_E_USER ? rc : UNSB_E_SINK;
}

/* Hands bytes to an output: memory, sink or both. */
static int unsbi_output_put(unsb_output *out, const void *data, size_t size)
{
    if (out->size < out->capacity) {
        size_t n = unsbi_min(size, out->capacity - 1 - (size_t)out->size);
        memcpy(out->data + out->size, data, n);
        out->data[out->size + n] = '\0';
    }
    out->size += (unsb_size)size;
    if (out->size < size) /* so much is beyond counting */
        out->size = (unsb_size)-1;
    if (out->write == NULL)
        return UNSB_OK;
    return unsbi_callback(out->write(out->context, data, size));
}

/* false: there is no memory, though it has a size */
UNSBI_CALLED bool unsbi_clear_output(unsb_output *out)
{
    out->size = 0;
    if (out->capacity == 0)
        return true;
    if (out->data == NULL)
        return false;
    out->data[0] = '\0';
    return true;
}

static int unsbi_output_restart(unsb_output *out)
{
    bool again = out->size != 0;

    unsbi_clear_output(out);
    return again ? unsbi_output_put(out, "", 0) : UNSB_OK;
}

/* ======================================================================
 * >>base64  RFC 4648
 * ====================================================================== */

#if UNSB_SMALL
/* The alphabet: the first character of each range, and how many there are. */
static const uint8_t unsbi_base64_ranges[10] = {'A', 26, 'a', 26, '0', 10, '+', 1, '/', 1};

static uint8_t unsbi_base64_char(uint32_t v)
{
    const uint8_t *range = unsbi_base64_ranges;

    for (v &= 63; v >= range[1]; range += 2)
        v -= range[1];
    return (uint8_t)(range[0] + v);
}

/* -1: not of the alphabet. */
UNSBI_CALLED int unsbi_base64_value(uint8_t c)
{
    int v = 0;
    size_t i;

    for (i = 0; i < sizeof unsbi_base64_ranges; i += 2) {
        uint8_t at = (uint8_t)(c - unsbi_base64_ranges[i]);
        if (at < unsbi_base64_ranges[i + 1])
            return v + at;
        v += unsbi_base64_ranges[i + 1];
    }
    return -1;
}
#else
/* Four times the alphabet, so that the two bits above a value need not be cleared. */
static const char unsbi_base64_chars[257] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* By character; -1: not of the alphabet. */
static const int8_t unsbi_base64_values[256] = {
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 62, -1, -1, -1, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1, -1, -1, -1, -1, -1,
    -1,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, -1,
    -1, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};

static uint8_t unsbi_base64_char(uint32_t v)
{
    return (uint8_t)unsbi_base64_chars[v & 0xFF];
}

UNSBI_CALLED int unsbi_base64_value(uint8_t c)
{
    return unsbi_base64_values[c];
}

/* Encodes the 3 bytes at `in`. A fourth is read, as compilers make one load of that. */
static inline void unsbi_base64_encode_3(const uint8_t *in, uint8_t *out)
{
    uint32_t v = (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
    size_t first = in[0], last = in[2];

    out[0] = (uint8_t)unsbi_base64_chars[first >> 2];
    out[1] = unsbi_base64_char(v >> 20);
    out[2] = unsbi_base64_char(v >> 14);
    out[3] = (uint8_t)unsbi_base64_chars[last];
}

/* The 24 bits of 4 characters; bit 31 is set exactly if one is not of the alphabet: the upper bits
 * of a -1 stay set however it is shifted. */
static inline uint32_t unsbi_base64_decode_4(const uint8_t *in)
{
    uint32_t a = (uint32_t)unsbi_base64_values[in[0]], b = (uint32_t)unsbi_base64_values[in[1]];
    uint32_t c = (uint32_t)unsbi_base64_values[in[2]], d = (uint32_t)unsbi_base64_values[in[3]];

    return a << 18 | b << 12 | c << 6 | d;
}

/* Stores the lower 48 bits, big-endian. */
static inline void unsbi_base64_store(uint64_t v, uint8_t *out)
{
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap64(v << 16); /* compilers do not see this in the loop below */
    memcpy(out, &v, 6);
#else
    int i;

    for (i = 6; i-- > 0; v >>= 8)
        out[i] = (uint8_t)v;
#endif
}

/* Decodes whole groups at the start of in[0..size), up to a foreign character's. Returns how many
 * characters those were. Each group is read before it is written. */
static size_t unsbi_base64_decode_fast(const uint8_t *in, size_t size, uint8_t *out)
{
    const uint8_t *p = in;

    /* there is room for size / 4 * 3 bytes */
    for (; size >= 8; size -= 8) {
        uint32_t v = unsbi_base64_decode_4(p), w = unsbi_base64_decode_4(p + 4);
        if (((v | w) & 0x80000000u) != 0)
            break;
        unsbi_base64_store((uint64_t)v << 24 | w, out);
        p += 8;
        out += 6;
    }
    return (size_t)(p - in);
}
#endif

/* The lower 24 bits of `v` as 4 characters. */
static void unsbi_base64_put(uint32_t v, uint8_t *out)
{
    unsigned i;

    for (i = 4; i-- > 0; v >>= 6)
        out[i] = unsbi_base64_char(v);
}

#if !UNSB_SMALL
/* Encodes the whole groups of 3 in the next `size` bytes. Each is read before it is written, so the
 * output may overlap the input as long as it stays behind it. */
static void unsbi_base64_groups(const uint8_t **in, size_t size, uint8_t **out)
{
    const uint8_t *p = *in;
    uint8_t *q = *out;

    for (; size > 12; size -= 12) {
        unsbi_base64_encode_3(p, q);
        unsbi_base64_encode_3(p + 3, q + 4);
        unsbi_base64_encode_3(p + 6, q + 8);
        unsbi_base64_encode_3(p + 9, q + 12);
        p += 12;
        q += 16;
    }
    for (; size >= 3; size -= 3) {
        unsbi_base64_put((uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2], q);
        p += 3;
        q += 4;
    }
    *in = p;
    *out = q;
}
#endif

/* 1 to 3 bytes, given as a number, padded. */
UNSBI_CALLED void unsbi_base64_group(uint32_t bits, size_t count, uint8_t *out)
{
    unsbi_base64_put(bits << (24 - 8 * count), out);
    for (; count < 3; count++)
        out[count + 1] = '=';
}

UNSB_API size_t unsb_base64_encode(unsb_base64 *state, const void *data, size_t size, char *out)
{
    const uint8_t *in = (const uint8_t *)data;
    uint8_t *p = (uint8_t *)out;

    for (; size != 0; size--) {
#if !UNSB_SMALL
        if (state->count == 0 && size >= 3) {
            const uint8_t *from = in;
            unsbi_base64_groups(&in, size, &p);
            size -= (size_t)(in - from);
            if (size == 0)
                break;
        }
#endif
        state->bits = state->bits << 8 | *in++;
        if (++state->count == 3) {
            unsbi_base64_group(state->bits, 3, p);
            p += 4;
            state->count = 0;
        }
    }
    return (size_t)(p - (uint8_t *)out);
}

UNSB_API size_t unsb_base64_encode_end(unsb_base64 *state, char *out)
{
    size_t count = state->count;

    if (count == 0)
        return 0;
    unsbi_base64_group(state->bits, count, (uint8_t *)out);
    state->count = 0;
    return 4;
}

/* `count` is the number of bits that are left of the characters so far: 0, 6, 4, 2 in turn. A '='
 * stands for 2 of them, which are 0 (RFC 4648 section 3.5); nothing but another '=' may follow. */
UNSB_API int unsb_base64_decode(unsb_base64 *state, const char *text, size_t size, void *out,
                                size_t *out_size)
{
    const uint8_t *in = (const uint8_t *)text;
    uint8_t *p = (uint8_t *)out;
    int v, rc = UNSB_OK;

    for (; size != 0; size--) {
#if !UNSB_SMALL
        if (state->count == 0 && state->padding == 0) {
            size_t taken = unsbi_base64_decode_fast(in, size, p);
            in += taken;
            size -= taken;
            p += taken / 4 * 3;
            if (size == 0)
                break;
        }
#endif
        v = unsbi_base64_value(*in);
        if (*in++ == '=' && (state->count == 2 || state->count == 4) &&
            (state->bits & ((1u << state->count) - 1)) == 0) {
            state->padding = 1;
        } else if (v < 0 || state->padding != 0) {
            rc = UNSB_E_BASE64;
            break;
        } else {
            state->bits = state->bits << 6 | (uint32_t)v;
            if (state->count != 0)
                *p++ = (uint8_t)(state->bits >> (state->count - 2));
        }
        state->count = (uint8_t)((state->count - 2) & 6);
    }
    *out_size = (size_t)(p - (uint8_t *)out);
    return rc;
}

UNSB_API int unsb_base64_decode_end(const unsb_base64 *state)
{
    return state->count == 0 ? UNSB_OK : UNSB_E_BASE64;
}

/* ======================================================================
 * >>encode  from bytes to text of a request: JSON-escaped, percent-encoded,
 *           both, hexadecimal or base64
 * ====================================================================== */

/* The most that one unit of input (a byte, a base64 group) becomes: the escape \u0000, whose
 * backslash is percent-encoded. */
#define UNSBI_UNIT_MAX 8

/* Encoding works in place: the input stands at the end of the room that the output has, and nothing
 * unread is overwritten. */
typedef struct unsbi_encoding {
    const uint8_t *in, *in_end; /* advanced past what was encoded */
    uint8_t *out;
#if UNSB_UTF8
    uint8_t *utf8; /* where a text stands that must be UTF-8: see unsbi_utf8_next() */
#endif
} unsbi_encoding;

/* Encodes one unit or more. An encoder is named only where it is needed, so that linkers leave the
 * others out. */
typedef int unsbi_encoder(unsbi_encoding *e);

/* The least room in which encoding gets anywhere. */
#define UNSBI_ROOM_MIN (UNSBI_UNIT_MAX + 4)

/* How much of its input to put to the end of a room of this size: whole base64 groups, and a unit's
 * room before them. */
static size_t unsbi_read_size(size_t room)
{
    return room < UNSBI_ROOM_MIN ? 0 : (room - UNSBI_UNIT_MAX) / 4 * 3;
}

/* Does what was encoded end within a UTF-8 sequence? */
static bool unsbi_is_cut(const unsbi_encoding *e)
{
#if UNSB_UTF8
    return *e->utf8 != 0;
#else
    (void)e;
    return false;
#endif
}

/* Encodes until the input or the room ends. */
static int unsbi_encode(unsbi_encoding *e, unsbi_encoder *encoder)
{
    int rc = UNSB_OK;

    while (rc == UNSB_OK && e->in < e->in_end && e->in - e->out >= UNSBI_UNIT_MAX)
        rc = encoder(e);
    return rc;
}

/* Two digits, in upper case: RFC 3986 section 2.1 asks for it, and JSON does not mind. */
static void unsbi_put_hex(uint8_t c, uint8_t *out)
{
    size_t i;

    for (i = 2; i-- > 0; c = (uint8_t)(c >> 4))
        out[i] = (uint8_t)((c & 15) + ((c & 15) < 10 ? '0' : 'A' - 10));
}

/* Characters and what they are after a backslash. The encoder is not asked for '/'. */
static const char unsbi_json_named[16] = {'"', '"', '\\', '\\', '/', '/', '\b', 'b',
                                          '\f', 'f', '\n', 'n', '\r', 'r', '\t', 't'};

/* What belongs to a character of one column (0: plain, 1: after a backslash) in the other, or 0. */
UNSBI_CALLED uint8_t unsbi_json_other(uint8_t c, size_t column)
{
    for (; column < sizeof unsbi_json_named; column += 2)
        if ((uint8_t)unsbi_json_named[column] == c)
            return (uint8_t)unsbi_json_named[column ^ 1];
    return 0;
}

/* RFC 8259 section 7: `"`, `\` and the control characters. Returns the length. */
static int unsbi_json_escape(uint8_t c, uint8_t *out)
{
    out[0] = '\\';
    out[1] = unsbi_json_other(c, 0);
    if (out[1] != 0)
        return 2;
    out[1] = 'u';
    out[2] = out[3] = '0';
    unsbi_put_hex(c, out + 4);
    return 6;
}

/* The next byte as it stands in a JSON string. Returns its length, or an error. */
static int unsbi_json_unit(unsbi_encoding *e, uint8_t *unit)
{
    uint8_t c = *e->in++;

#if UNSB_UTF8
    if (!unsbi_utf8_next(e->utf8, c))
        return UNSB_E_UTF8;
#endif
    if (c < 0x20 || c == '"' || c == '\\')
        return unsbi_json_escape(c, unit);
    *unit = c;
    return 1;
}

static int unsbi_encode_json(unsbi_encoding *e)
{
    int n;
#if !UNSB_SMALL
    size_t run = unsbi_is_cut(e) ? 0 : unsbi_plain_run(e->in, (size_t)(e->in_end - e->in));

    memmove(e->out, e->in, run);
    e->in += run;
    e->out += run;
    if (e->in == e->in_end)
        return UNSB_OK; /* else there is as much room as before */
#endif
    n = unsbi_json_unit(e, e->out);
    if (n < 0)
        return n;
    e->out += n;
    return UNSB_OK;
}

#if UNSB_JOBS || UNSB_RUN
/* RFC 3986 section 2.3: all but the unreserved characters. Returns the end of what was written. */
static uint8_t *unsbi_percent(uint8_t c, uint8_t *out)
{
    uint8_t lower = (uint8_t)(c | 0x20);

    if ((uint8_t)(lower - 'a') < 26 || unsbi_is_digit(c) || c == '-' || c == '.' || c == '_' ||
        c == '~') {
        *out++ = c;
    } else {
        *out++ = '%';
        unsbi_put_hex(c, out);
        out += 2;
    }
    return out;
}
#endif

#if UNSB_JOBS
static int unsbi_encode_url(unsbi_encoding *e)
{
    e->out = unsbi_percent(*e->in++, e->out);
    return UNSB_OK;
}
#endif

#if UNSB_RUN
static int unsbi_encode_json_url(unsbi_encoding *e)
{
    uint8_t unit[6];
    int n = unsbi_json_unit(e, unit), i;

    for (i = 0; i < n; i++)
        e->out = unsbi_percent(unit[i], e->out);
    return n < 0 ? n : UNSB_OK;
}
#endif

#if UNSB_FILES
/* What is there is whole groups, or the end of all. */
static int unsbi_encode_base64(unsbi_encoding *e)
{
    uint32_t bits = 0;
    size_t n, i;

#if !UNSB_SMALL
    /* each group brings the output one byte nearer to the input */
    unsbi_base64_groups(&e->in, unsbi_min((size_t)(e->in_end - e->in),
                                          (size_t)(e->in - e->out - UNSBI_UNIT_MAX + 1) * 3),
                        &e->out);
    if (e->in == e->in_end)
        return UNSB_OK;
#endif
    n = unsbi_min((size_t)(e->in_end - e->in), 3);
    for (i = 0; i < n; i++)
        bits = bits << 8 | *e->in++;
    unsbi_base64_group(bits, n, e->out);
    e->out += 4;
    return UNSB_OK;
}
#endif

#if UNSB_SIGNING
static int unsbi_encode_hex(unsbi_encoding *e)
{
    unsbi_put_hex(*e->in++, e->out);
    *e->out++ |= 0x20; /* which a digit has */
    *e->out++ |= 0x20;
    return UNSB_OK;
}
#endif

/* ======================================================================
 * >>json-writer
 * ====================================================================== */

enum { UNSBI_WRITER_COMMA = 1, UNSBI_WRITER_KEYED = 2, UNSBI_WRITER_DONE = 4 };

UNSB_API void unsb_json_writer_init(unsb_json_writer *writer, unsb_output *out)
{
    memset(writer, 0, sizeof *writer);
    writer->out = out;
    out->size = 0;
    if (out->capacity != 0)
        out->data[0] = '\0';
}

static void unsbi_json_put(unsb_json_writer *w, const char *text, size_t size)
{
    if (w->error == UNSB_OK && size != 0)
        w->error = unsbi_output_put(w->out, text, size);
}

static bool unsbi_json_in_object(const unsb_json_writer *w)
{
    uint8_t top = (uint8_t)(w->depth - 1);

    return w->depth != 0 && (w->arrays[top >> 3] >> (top & 7) & 1) == 0;
}

/* Before a value, or a key: is it in place here, and does a comma come first? */
static void unsbi_json_before(unsb_json_writer *w, bool is_key)
{
    bool keyed = (w->flags & UNSBI_WRITER_KEYED) != 0;

    if ((w->flags & UNSBI_WRITER_DONE) != 0 || (is_key && keyed) ||
        unsbi_json_in_object(w) != (is_key || keyed)) {
        if (w->error == UNSB_OK)
            w->error = UNSB_E_ARGUMENT;
        return;
    }
    if ((w->flags & UNSBI_WRITER_COMMA) != 0)
        unsbi_json_put(w, ",", 1);
    w->flags = is_key ? UNSBI_WRITER_KEYED : UNSBI_WRITER_COMMA;
    if (!is_key && w->depth == 0)
        w->flags = UNSBI_WRITER_DONE;
}

static void unsbi_json_value(unsb_json_writer *w, const char *text, size_t size)
{
    unsbi_json_before(w, false);
    unsbi_json_put(w, text, size);
}

static void unsbi_json_begin(unsb_json_writer *w, const char *bracket, bool array)
{
    uint8_t bit = (uint8_t)(1u << (w->depth & 7));

    unsbi_json_value(w, bracket, 1);
    if (w->error == UNSB_OK && w->depth == sizeof w->arrays * 8)
        w->error = UNSB_E_JSON_DEPTH;
    if (w->error != UNSB_OK)
        return;
    w->arrays[w->depth >> 3] = (uint8_t)((w->arrays[w->depth >> 3] & ~bit) | (array ? bit : 0));
    w->depth++;
    w->flags = 0;
}

static void unsbi_json_end(unsb_json_writer *w, const char *bracket, bool array)
{
    if (w->error == UNSB_OK && (w->depth == 0 || unsbi_json_in_object(w) == array ||
                                (w->flags & UNSBI_WRITER_KEYED) != 0))
        w->error = UNSB_E_ARGUMENT;
    unsbi_json_put(w, bracket, 1);
    if (w->error != UNSB_OK)
        return;
    w->depth--;
    w->flags = w->depth == 0 ? UNSBI_WRITER_DONE : UNSBI_WRITER_COMMA;
}

UNSB_API void unsb_json_object_begin(unsb_json_writer *writer)
{
    unsbi_json_begin(writer, "{", false);
}

UNSB_API void unsb_json_object_end(unsb_json_writer *writer)
{
    unsbi_json_end(writer, "}", false);
}

UNSB_API void unsb_json_array_begin(unsb_json_writer *writer)
{
    unsbi_json_begin(writer, "[", true);
}

UNSB_API void unsb_json_array_end(unsb_json_writer *writer)
{
    unsbi_json_end(writer, "]", true);
}

static void unsbi_json_quoted(unsb_json_writer *w, const char *text, size_t size)
{
    const uint8_t *in = (const uint8_t *)(size != 0 ? text : "");
    uint8_t piece[48];
    unsbi_encoding e;
#if UNSB_UTF8
    uint8_t utf8 = 0;

    e.utf8 = &utf8;
#endif
    unsbi_json_put(w, "\"", 1);
    while (size != 0 && w->error == UNSB_OK) {
        size_t run = unsbi_plain_run(in, size), n;
        int rc;
        if (run >= sizeof piece && !unsbi_is_cut(&e)) {
            unsbi_json_put(w, (const char *)in, run);
            in += run;
            size -= run;
            continue;
        }
        n = unsbi_min(size, unsbi_read_size(sizeof piece));
        e.out = piece;
        e.in_end = piece + sizeof piece;
        e.in = e.in_end - n;
        memcpy((uint8_t *)e.in, in, n);
        rc = unsbi_encode(&e, unsbi_encode_json);
        /* SDCC's Z80 fails to subtract an automatic array's address */
        unsbi_json_put(w, (const char *)piece, sizeof piece - (size_t)(e.in_end - e.out));
        n -= (size_t)(e.in_end - e.in);
        in += n;
        size -= n;
        if (rc == UNSB_OK && size == 0 && unsbi_is_cut(&e))
            rc = UNSB_E_UTF8;
        if (rc != UNSB_OK && w->error == UNSB_OK)
            w->error = rc;
    }
    unsbi_json_put(w, "\"", 1);
}

UNSB_API void unsb_json_key(unsb_json_writer *writer, const char *key)
{
    unsbi_json_before(writer, true);
    unsbi_json_quoted(writer, key, strlen(key));
    unsbi_json_put(writer, ":", 1);
}

UNSB_API void unsb_json_string(unsb_json_writer *writer, const char *text, size_t size)
{
    unsbi_json_before(writer, false);
    unsbi_json_quoted(writer, text, size);
}

UNSB_API void unsb_json_number(unsb_json_writer *writer, int64_t value)
{
    char digits[21];
    char *p = unsbi_decimal(value < 0 ? 0u - (uint64_t)value : (uint64_t)value,
                            digits + sizeof digits);

    if (value < 0)
        *--p = '-';
    unsbi_json_value(writer, p, (size_t)(digits + sizeof digits - p));
}

UNSB_API void unsb_json_bool(unsb_json_writer *writer, bool value)
{
    unsbi_json_value(writer, value ? "true" : "false", value ? 4 : 5);
}

UNSB_API void unsb_json_null(unsb_json_writer *writer)
{
    unsbi_json_value(writer, "null", 4);
}

UNSB_API int unsb_json_writer_end(const unsb_json_writer *writer)
{
    if (writer->error != UNSB_OK)
        return writer->error;
    return (writer->flags & UNSBI_WRITER_DONE) != 0 ? UNSB_OK : UNSB_E_ARGUMENT;
}

/* ======================================================================
 * >>json-reader
 * ====================================================================== */

/* Where the reader stands. Between tokens: what may come next, a set; 0 if a value is over. */
enum {
    UNSBI_JSON_KEY_NEXT = 0x01,
    UNSBI_JSON_VALUE = 0x02,
    UNSBI_JSON_COLON = 0x04,
    UNSBI_JSON_CLOSE = 0x08,
    UNSBI_JSON_COMMA = 0x10 /* after a value that is in a container */
};

/* Within a token: which part. The odd ones of a number (RFC 8259 section 6) may be its last, and
 * digits lead to them. */
enum {
    UNSBI_JSON_IN_LITERAL = 0x40, /* + the place in unsbi_json_literals */
    UNSBI_JSON_SKIP = 0x55,       /* a value that is passed over, */
    UNSBI_JSON_SKIP_STRING,       /* within a string of it, */
    UNSBI_JSON_SKIP_ESCAPE,       /* and after a "\" there */
    UNSBI_JSON_MINUS = 0x58,      /* "-" seen, or nothing yet */
    UNSBI_JSON_INT = 0x59,
    UNSBI_JSON_POINT = 0x5A,
    UNSBI_JSON_FRACTION = 0x5B,
    UNSBI_JSON_E = 0x5C,
    UNSBI_JSON_E_PLUS = 0x5E,
    UNSBI_JSON_E_MINUS = 0x60,
    UNSBI_JSON_ESCAPE = 0x62, /* "\" seen */
    UNSBI_JSON_HEX = 0x63,    /* "\u" seen; + the digits that came, until four did */
    UNSBI_JSON_IN_STRING = 0x67
};

/* Added to what is returned for a character that is not used: it comes again. */
#define UNSBI_JSON_AGAIN 0x10

/* From here on a power of ten that is written out takes no further digits. */
#define UNSBI_POWER_MAX 0x1000
/* So many digits of the mantissa are counted; both add up within 31 bits. */
#define UNSBI_DIGITS_MAX 0x40000000

UNSB_API void unsb_json_reader_init(unsb_json_reader *reader)
{
    memset(reader, 0, sizeof *reader);
    reader->state = UNSBI_JSON_VALUE;
}

/* Of the innermost open container: is it an object? */
static uint8_t unsbi_json_object(const unsb_json_reader *r)
{
#if UNSB_JSON_DEPTH <= 32
    return r->objects & 1;
#else
    uint8_t top = (uint8_t)(r->depth - 1);

    return r->depth == 0 ? 0 : r->objects[top >> 3] >> (top & 7) & 1;
#endif
}

/* A container begins; `object` is 0 or 1. */
static int unsbi_json_open(unsb_json_reader *r, uint8_t object)
{
    if (r->depth == UNSB_JSON_DEPTH)
        return UNSB_E_JSON_DEPTH;
#if UNSB_JSON_DEPTH <= 32
    r->objects = r->objects << 1 | object;
#else
    {
        uint8_t *bits = &r->objects[r->depth >> 3], at = r->depth & 7;
        *bits = (uint8_t)((*bits & ~(1u << at)) | (unsigned)object << at);
    }
#endif
    r->depth++;
    r->state = (uint8_t)(UNSBI_JSON_CLOSE + UNSBI_JSON_VALUE - object);
    return UNSB_JSON_ARRAY_BEGIN - 2 * object;
}

static void unsbi_json_close(unsb_json_reader *r)
{
#if UNSB_JSON_DEPTH <= 32
    r->objects >>= 1;
#endif
    r->depth--;
}

#if UNSB_NUMBERS
/* A digit of the mantissa. Those that it has no room for are dropped: `inexact` says if they
 * matter, or are more than the exponent counts. */
static void unsbi_json_digit(unsb_json_reader *r, uint8_t digit, bool fraction)
{
    uint64_t m = r->mantissa;
    int32_t exponent = r->exponent - fraction;

    if (r->inexact || !unsbi_append(&m, sizeof m, 10, digit)) {
        exponent++;
        if (digit != 0)
            r->inexact = true;
    } else {
        r->mantissa = m;
    }
    if (((uint32_t)exponent + UNSBI_DIGITS_MAX) >> 31 == 0)
        r->exponent = exponent;
    else
        r->inexact = true;
}
#else
static void unsbi_json_digit(unsb_json_reader *r, uint8_t digit, bool fraction)
{
    if (fraction ? digit != 0 : !unsbi_append(&r->mantissa, sizeof r->mantissa, 10, digit)) {
        r->inexact = true;
        r->mantissa = 1; /* of no use, but not 0 */
    }
}
#endif

/* A character of a number, or the first one after it. */
UNSBI_CALLED int unsbi_json_number_char(unsb_json_reader *r, uint8_t c)
{
    uint8_t state = r->state, digit = (uint8_t)(c - '0');

    bool zero = r->mantissa == 0;

    if (digit <= 9) {
        if (state == UNSBI_JSON_INT && zero)
            return UNSB_E_JSON; /* a leading 0 */
        if (state < UNSBI_JSON_E) {
            unsbi_json_digit(r, digit, state >= UNSBI_JSON_POINT);
        } else {
#if UNSB_NUMBERS
            if (r->digits < UNSBI_POWER_MAX)
                r->digits = (uint16_t)(r->digits * 10 + digit);
            else
                r->inexact = !zero;
#endif
        }
        state |= 1;
    } else if (c == '.' && state == UNSBI_JSON_INT) {
        state = UNSBI_JSON_POINT;
    } else if ((c | 0x20) == 'e' && (state == UNSBI_JSON_INT || state == UNSBI_JSON_FRACTION)) {
        state = UNSBI_JSON_E;
    } else if ((c == '+' || c == '-') && state == UNSBI_JSON_E) {
        state = (uint8_t)(UNSBI_JSON_E_PLUS + (c - '+'));
    } else {
        if ((state & 1) == 0)
            return UNSB_E_JSON;
#if UNSB_NUMBERS
        r->exponent += state >= UNSBI_JSON_E_MINUS ? -(int32_t)r->digits : r->digits;
#else
        if (state >= UNSBI_JSON_E)
            r->inexact = true;
#endif
        r->state = 0;
        return UNSB_JSON_NUMBER + UNSBI_JSON_AGAIN;
    }
    r->state = state;
    return UNSB_JSON_MORE;
}

#if UNSB_NUMBERS
/* The number just read, without its fraction: false if it does not fit; with `exact`, nor if it has
 * one. */
UNSBI_CALLED bool unsbi_integer(const unsb_json_reader *r, bool exact, int64_t *value)
{
    uint64_t m = r->mantissa;
    int32_t exponent = r->exponent;
    bool cut = r->inexact; /* what was dropped lies behind the point, or the number does not fit */

    for (; exponent != 0 && m != 0; exponent++) {
        if (exponent > 0) {
            exponent -= 2; /* and 1 up, below 0 as here */
            if (!unsbi_append(&m, sizeof m, 10, 0))
                return false;
        } else if (unsbi_divide10(&m) != 0) {
            cut = true;
        }
    }
    if (r->negative)
        m = 0u - m;
    if ((exact && cut) || (m != 0 && (m >> 63 != 0) != r->negative)) /* that is another sign */
        return false;
    *value = (int64_t)m;
    return true;
}
#else
static bool unsbi_integer(const unsb_json_reader *r, bool exact, int64_t *value)
{
    (void)exact;
    if (r->inexact)
        return false;
    *value = r->negative ? -(int64_t)r->mantissa : (int64_t)r->mantissa;
    return true;
}
#endif

UNSB_API int unsb_json_integer(const unsb_json_reader *reader, int64_t *value)
{
    return unsbi_integer(reader, true, value) ? UNSB_OK : UNSB_E_JSON_NUMBER;
}

#if !defined(__SDCC)
/* In steps by 10^22, the last power of ten that a double holds exactly. 40 of them lead from any
 * mantissa beyond the range. */
UNSB_API double unsb_json_double(const unsb_json_reader *reader)
{
    double value = (double)reader->mantissa;
#if UNSB_NUMBERS
    bool tiny = reader->exponent < 0;
    uint32_t left = tiny ? 0u - (uint32_t)reader->exponent : (uint32_t)reader->exponent;
    int step;

    for (step = 0; step < 40 && left != 0 && reader->mantissa != 0; step++) {
        double power = 1;
        int i;
        for (i = 0; i < 22 && left != 0; i++, left--)
            power *= 10;
        value = tiny ? value / power : value * power;
    }
#endif
    return reader->negative ? -value : value;
}
#endif

/* Each followed by its event. Bits 3 and 4 of its first letter say where it begins; those of other
 * letters lead here, too, or to UNSBI_JSON_MINUS, which no letter may follow. */
static const uint8_t unsbi_json_literals[21] = {
    'f', 'a', 'l', 's', 'e', UNSB_JSON_FALSE, 0, 0, 'n', 'u', 'l', 'l', UNSB_JSON_NULL, 0, 0, 0,
    't', 'r', 'u', 'e', UNSB_JSON_TRUE};

static int unsbi_json_literal_char(unsb_json_reader *r, uint8_t c)
{
    const uint8_t *at = unsbi_json_literals + (r->state - UNSBI_JSON_IN_LITERAL);

    if (at[0] != c)
        return UNSB_E_JSON;
    r->state++;
    if (at[1] > UNSB_JSON_NULL)
        return UNSB_JSON_MORE;
    r->state = 0;
    return at[1];
}

/* The first character of a value that is no string. */
static int unsbi_json_value_start(unsb_json_reader *r, uint8_t c)
{
    if ((c | 0x20) == '{') /* or '[' */
        return unsbi_json_open(r, c >> 5 & 1);
    if (c >= 'a') {
        if (c >= 0x80 && r->lenient && r->depth == 0)
            return UNSB_JSON_MORE; /* of a byte order mark, if anything */
        r->state = (uint8_t)(UNSBI_JSON_IN_LITERAL + (c & 0x18));
        return UNSBI_JSON_AGAIN;
    }
    r->mantissa = 0;
#if UNSB_NUMBERS
    r->exponent = 0;
    r->digits = 0;
#endif
    r->inexact = false;
    r->negative = c == '-';
    r->state = UNSBI_JSON_MINUS;
    return c == '-' ? UNSB_JSON_MORE : UNSBI_JSON_AGAIN;
}

/* A character between values. */
static int unsbi_json_between(unsb_json_reader *r, uint8_t c)
{
    uint8_t may = r->state, object = unsbi_json_object(r), needs, next;

    if (may == 0 && r->depth != 0)
        may = UNSBI_JSON_COMMA | UNSBI_JSON_CLOSE;
    if (c == ',') {
        needs = UNSBI_JSON_COMMA;
        next = (uint8_t)(UNSBI_JSON_VALUE - object);
    } else if (c == ':') {
        needs = UNSBI_JSON_COLON;
        next = UNSBI_JSON_VALUE;
    } else if (c == '"') {
        needs = UNSBI_JSON_VALUE | UNSBI_JSON_KEY_NEXT;
        r->kind = may & needs;
        r->partial = true;
        next = UNSBI_JSON_IN_STRING;
    } else if (c == (']' | object << 5) && (may & UNSBI_JSON_CLOSE) != 0) {
        unsbi_json_close(r);
        r->state = 0;
        return UNSB_JSON_ARRAY_END - 2 * object;
    } else if (c == ' ' || c == '\n' || (c | 4) == '\r') { /* or '\t' */
        return UNSB_JSON_MORE;
    } else {
        return (may & UNSBI_JSON_VALUE) != 0 ? unsbi_json_value_start(r, c) : UNSB_E_JSON;
    }
    r->state = next;
    if ((may & needs) == 0)
        return UNSB_E_JSON;
    return UNSB_JSON_MORE;
}

UNSB_API void unsb_json_skip(unsb_json_reader *reader)
{
    reader->skipped = reader->state != UNSBI_JSON_COLON;
    if (reader->skipped != 0)
        unsbi_json_close(reader);
    reader->state = UNSBI_JSON_SKIP;
}

/* A character of a value that is passed over, or the first one after it. */
static int unsbi_json_skip_char(unsb_json_reader *r, uint8_t c)
{
    uint8_t kind = (uint8_t)(c | 0x20);

    if (r->state == UNSBI_JSON_SKIP_ESCAPE) {
        r->state = UNSBI_JSON_SKIP_STRING;
    } else if (r->state == UNSBI_JSON_SKIP_STRING) {
        if (c == '\\')
            r->state = UNSBI_JSON_SKIP_ESCAPE;
        if (c == '"')
            r->state = UNSBI_JSON_SKIP;
    } else if (c == '"') {
        r->state = UNSBI_JSON_SKIP_STRING;
    } else if (kind == '{') { /* or '[' */
        r->skipped++;
    } else if (r->skipped == 0 && (kind == '}' || c == ',')) {
        r->state = 0;
        return UNSBI_JSON_AGAIN;
    } else if (kind == '}' && --r->skipped == 0) { /* or ']' */
        r->state = 0;
    }
    return UNSB_JSON_MORE;
}

/* RFC 3629 section 3, to end before `end`; returns the first byte's place, 4 before it at the most.
 * A negative code is that of a byte alone. */
UNSBI_CALLED char *unsbi_utf8_encode(int32_t code, char *end)
{
    uint32_t most = 0x3F; /* what the first byte has room for */

    if (code > 0x7F) {
        do {
            *--end = (char)(0x80 | (code & 0x3F));
            code >>= 6;
            most >>= 1;
        } while (code > (int32_t)most);
        code |= (int32_t)(~most << 1);
    }
    *--end = (char)code;
    return end;
}

static void unsbi_json_string_over(unsb_json_reader *r)
{
    r->partial = false;
    r->state = (r->kind & UNSBI_JSON_KEY_NEXT) != 0 ? UNSBI_JSON_COLON : 0;
}

/* A character of a string. Returns how many bytes of text it ends, which stand at the end of
 * `unescaped`, with UNSBI_JSON_AGAIN if it is not of them; or an error. 0: an escape goes on (or
 * was the first half of a pair), or the string is over. */
UNSBI_CALLED int unsbi_json_string_char(unsb_json_reader *r, uint8_t c)
{
    uint8_t state = r->state;
    int32_t code, high;
    int again = 0;

    if (state == UNSBI_JSON_IN_STRING) {
#if UNSB_UTF8
        if (!r->lenient) {
            if (!unsbi_utf8_next(&r->utf8, c))
                return UNSB_E_JSON_UTF8;
            if (c < 0x20)
                return UNSB_E_JSON;
        }
#endif
        if (c == '\\') {
            r->state = UNSBI_JSON_ESCAPE;
            return 0;
        }
        if (c == '"' && r->surrogate == 0) {
            unsbi_json_string_over(r);
            return 0;
        }
        code = (int8_t)c;
    } else if (state == UNSBI_JSON_ESCAPE) {
        if (c == 'u') {
            r->state = UNSBI_JSON_HEX;
            return 0;
        }
        code = unsbi_json_other(c, 1);
        if (code == 0)
            return UNSB_E_JSON;
    } else {
        c = unsbi_hex_value(c);
        if (c > 15)
            return UNSB_E_JSON;
        code = (uint16_t)(r->digits << 4 | c);
        if (state + 1 != UNSBI_JSON_IN_STRING) {
            r->digits = (uint16_t)code;
            r->state++;
            return 0;
        }
    }
    high = code >> 10; /* 0x36 and 0x37 are the halves of surrogate pairs (RFC 8259 section 7) */
    if (UNSB_UTF8 && !r->lenient && (r->surrogate != 0) != (high == 0x37))
        return UNSB_E_JSON_UTF8;
    if (r->surrogate != 0 && high != 0x37) {
        code = 0xFFFD;
        again = UNSBI_JSON_AGAIN;
    } else {
        r->state = UNSBI_JSON_IN_STRING;
        if (high == 0x36) {
            r->surrogate = (uint16_t)code;
            return 0;
        }
        if (r->surrogate != 0) {
            code += ((int32_t)(r->surrogate - 0xD800u) << 10) - 0xDC00 + 0x10000;
        } else if (high == 0x37) { /* U+DC80 to U+DCFF: PEP 383 */
            code = (code >> 7 & 7) == 1 ? (int32_t)(int8_t)code : 0xFFFD;
        }
    }
    r->surrogate = 0;
    return (int)(r->unescaped + 4 - unsbi_utf8_encode(code, r->unescaped + 4)) + again;
}

#if !UNSB_SMALL
/* What stands between most strings: ":" or ",", with their neighbours' quotation marks. */
static uint8_t *unsbi_json_next_string(unsb_json_reader *r, uint8_t *p, const uint8_t *end)
{
    uint8_t may = UNSBI_JSON_VALUE;

    if (end - p < 2 || p[1] != '"')
        return p;
    if (*p == ',' && r->state == 0 && r->depth != 0)
        may = (uint8_t)(may - unsbi_json_object(r));
    else if (*p != ':' || r->state != UNSBI_JSON_COLON)
        return p;
    r->kind = may;
    r->partial = true;
    r->state = UNSBI_JSON_IN_STRING;
    return p + 2;
}

/* The plain text of a string, and its escapes of two characters, moved to *out; and its end. */
static uint8_t *unsbi_json_plain(unsb_json_reader *r, uint8_t *p, const uint8_t *end,
                                 uint8_t **out)
{
    uint8_t *q = *out, c;

    for (;;) {
        size_t run = unsbi_plain_run(p, (size_t)(end - p));
        if (q != p)
            memmove(q, p, run);
        q += run;
        p += run;
        if (end - p < 2 || *p != '\\' || (c = unsbi_json_other(p[1], 1)) == 0)
            break;
        *q++ = c;
        p += 2;
    }
    *out = q;
    if (p == end || *p != '"')
        return p;
    unsbi_json_string_over(r);
    return p + 1;
}
#endif

/* A character of anything but a string. */
UNSBI_CALLED int unsbi_json_char(unsb_json_reader *r, uint8_t c)
{
    if (r->state >= UNSBI_JSON_MINUS)
        return unsbi_json_number_char(r, c);
    if (r->state >= UNSBI_JSON_SKIP)
        return unsbi_json_skip_char(r, c);
    if (r->state >= UNSBI_JSON_IN_LITERAL)
        return unsbi_json_literal_char(r, c);
    return unsbi_json_between(r, c);
}

UNSB_API int unsb_json_read(unsb_json_reader *reader, char *data, size_t size, size_t *used)
{
    uint8_t *p = (uint8_t *)data, *end, *out;
    int event = reader->error, n;

    end = size != 0 ? p + size : p; /* `data` may be NULL then */
#if !UNSB_SMALL
    if (event == UNSB_JSON_MORE && reader->state < UNSBI_JSON_IN_LITERAL)
        p = unsbi_json_next_string(reader, p, end);
#endif
    out = p; /* the bytes of a string are moved together, from `text` to here */
    reader->text = (char *)p;
    while (p < end && event == UNSB_JSON_MORE) {
        if (!reader->partial) {
            event = unsbi_json_char(reader, *p);
            if (event < UNSBI_JSON_AGAIN)
                p++;
            else
                event -= UNSBI_JSON_AGAIN;
            out = p;
            reader->text = (char *)p;
            continue;
        }
#if !UNSB_SMALL
        if (reader->state == UNSBI_JSON_IN_STRING && reader->utf8 == 0 && reader->surrogate == 0) {
            p = unsbi_json_plain(reader, p, end, &out);
            event = reader->partial ? UNSB_JSON_MORE : UNSB_JSON_STRING;
            if (p == end || event != UNSB_JSON_MORE)
                break;
        }
#endif
        n = unsbi_json_string_char(reader, *p);
        if (n < UNSBI_JSON_AGAIN) {
            p++;
        } else {
            n -= UNSBI_JSON_AGAIN;
            event = UNSB_JSON_STRING; /* as what comes next may need the room */
        }
        if (n < 0) {
            event = n;
            break;
        }
        if (!reader->partial)
            event = UNSB_JSON_STRING;
        if (n > p - out) { /* of an escape that began in an earlier piece */
            out = (uint8_t *)reader->unescaped + 4 - n;
            reader->text = (char *)out;
            event = UNSB_JSON_STRING;
        }
        for (; n != 0; n--)
            *out++ = (uint8_t)reader->unescaped[4 - n];
    }
    *used = (size_t)(p - (uint8_t *)data);
    reader->text_size = (size_t)((char *)out - reader->text);
    reader->error = event < 0 ? event : 0;
    /* what was good comes before the error, however the text was cut */
    if (event == UNSB_JSON_STRING || reader->text_size != 0)
        event = (int)UNSB_JSON_KEY - (int)UNSBI_JSON_KEY_NEXT + reader->kind;
    return event;
}

UNSB_API int unsb_json_read_copy(unsb_json_reader *reader, const char *data, size_t size,
                                 size_t *used, char *scratch, size_t scratch_size)
{
    size = unsbi_min(size, scratch_size);
    if (size != 0)
        memcpy(scratch, data, size);
    return unsb_json_read(reader, scratch, size, used);
}

UNSB_API int unsb_json_read_end(unsb_json_reader *reader)
{
    if (reader->error != 0 || (reader->state == 0 && reader->depth == 0))
        return reader->error;
    if (reader->depth == 0 && reader->state >= UNSBI_JSON_MINUS &&
        reader->state < UNSBI_JSON_ESCAPE && unsbi_json_number_char(reader, ' ') > 0)
        return UNSB_JSON_NUMBER;
    reader->error = UNSB_E_JSON;
    return UNSB_E_JSON;
}

#if UNSB_SIGNING
/* ======================================================================
 * >>sha256  FIPS 180-4, block by block over memory that the caller owns: the
 *           hash has 8 words, and 16 behind them for those of a block
 * ====================================================================== */

static uint32_t unsbi_rotate(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static void unsbi_sha256_start(uint32_t hash[24])
{
    static const uint32_t initial[8] = {0x6A09E667u, 0xBB67AE85u, 0x3C6EF372u, 0xA54FF53Au,
                                        0x510E527Fu, 0x9B05688Cu, 0x1F83D9ABu, 0x5BE0CD19u};

    memcpy(hash, initial, sizeof initial);
}

static const uint32_t unsbi_sha256_k[64] = {
    0x428A2F98u, 0x71374491u, 0xB5C0FBCFu, 0xE9B5DBA5u, 0x3956C25Bu, 0x59F111F1u, 0x923F82A4u,
    0xAB1C5ED5u, 0xD807AA98u, 0x12835B01u, 0x243185BEu, 0x550C7DC3u, 0x72BE5D74u, 0x80DEB1FEu,
    0x9BDC06A7u, 0xC19BF174u, 0xE49B69C1u, 0xEFBE4786u, 0x0FC19DC6u, 0x240CA1CCu, 0x2DE92C6Fu,
    0x4A7484AAu, 0x5CB0A9DCu, 0x76F988DAu, 0x983E5152u, 0xA831C66Du, 0xB00327C8u, 0xBF597FC7u,
    0xC6E00BF3u, 0xD5A79147u, 0x06CA6351u, 0x14292967u, 0x27B70A85u, 0x2E1B2138u, 0x4D2C6DFCu,
    0x53380D13u, 0x650A7354u, 0x766A0ABBu, 0x81C2C92Eu, 0x92722C85u, 0xA2BFE8A1u, 0xA81A664Bu,
    0xC24B8B70u, 0xC76C51A3u, 0xD192E819u, 0xD6990624u, 0xF40E3585u, 0x106AA070u, 0x19A4C116u,
    0x1E376C08u, 0x2748774Cu, 0x34B0BCB5u, 0x391C0CB3u, 0x4ED8AA4Au, 0x5B9CCA4Fu, 0x682E6FF3u,
    0x748F82EEu, 0x78A5636Fu, 0x84C87814u, 0x8CC70208u, 0x90BEFFFAu, 0xA4506CEBu, 0xBEF9A3F7u,
    0xC67178F2u};

static uint32_t unsbi_sha256_load(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

#if UNSB_SMALL
static void unsbi_sha256_block(uint32_t hash[24], const uint8_t *block)
{
    uint32_t *w = hash + 8, s[8], t1, t2;
    unsigned i;

    memcpy(s, hash, sizeof s);
    for (i = 0; i < 64; i++) {
        uint32_t *x = &w[i & 15];
        if (i < 16) {
            *x = unsbi_sha256_load(block);
            block += 4;
        } else {
            uint32_t a = w[(i + 1) & 15], b = w[(i + 14) & 15];
            *x += w[(i + 9) & 15] + (unsbi_rotate(a, 7) ^ unsbi_rotate(a, 18) ^ a >> 3) +
                  (unsbi_rotate(b, 17) ^ unsbi_rotate(b, 19) ^ b >> 10);
        }
        t1 = s[7] + *x + unsbi_sha256_k[i] + (s[6] ^ (s[4] & (s[5] ^ s[6]))) +
             (unsbi_rotate(s[4], 6) ^ unsbi_rotate(s[4], 11) ^ unsbi_rotate(s[4], 25));
        t2 = ((s[0] & s[1]) | (s[2] & (s[0] | s[1]))) +
             (unsbi_rotate(s[0], 2) ^ unsbi_rotate(s[0], 13) ^ unsbi_rotate(s[0], 22));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (i = 0; i < 8; i++)
        hash[i] += s[i];
}
#else
/* One round. The names of the state change places instead of their values: h is the next one's a.
 * A rotation of a sum of rotations takes less than each of them alone. A majority is b ^ ((a ^ b) &
 * (b ^ c)), whose a ^ b is the b ^ c of the next round. */
#define UNSBI_SHA256_ROUND(a, b, c, d, e, f, g, h, b_c, a_b, j)                                    \
    h += w[j] + k[j] + (g ^ (e & (f ^ g))) +                                                       \
         unsbi_rotate(e ^ unsbi_rotate(e ^ unsbi_rotate(e, 14), 5), 6);                            \
    d += h;                                                                                        \
    a_b = a ^ b;                                                                                   \
    b_c = b ^ (a_b & b_c);                                                                         \
    h += unsbi_rotate(a ^ unsbi_rotate(a ^ unsbi_rotate(a, 9), 11), 2);                            \
    h += b_c;
#define UNSBI_SHA256_ROUNDS(j)                                                                     \
    UNSBI_SHA256_ROUND(a, b, c, d, e, f, g, h, x, y, j)                                            \
    UNSBI_SHA256_ROUND(h, a, b, c, d, e, f, g, y, x, (j) + 1)                                      \
    UNSBI_SHA256_ROUND(g, h, a, b, c, d, e, f, x, y, (j) + 2)                                      \
    UNSBI_SHA256_ROUND(f, g, h, a, b, c, d, e, y, x, (j) + 3)                                      \
    UNSBI_SHA256_ROUND(e, f, g, h, a, b, c, d, x, y, (j) + 4)                                      \
    UNSBI_SHA256_ROUND(d, e, f, g, h, a, b, c, y, x, (j) + 5)                                      \
    UNSBI_SHA256_ROUND(c, d, e, f, g, h, a, b, x, y, (j) + 6)                                      \
    UNSBI_SHA256_ROUND(b, c, d, e, f, g, h, a, y, x, (j) + 7)

#define UNSBI_SHA256_WORD(j)                                                                       \
    x = w[((j) + 1) & 15];                                                                         \
    y = w[((j) + 14) & 15];                                                                        \
    w[j] += w[((j) + 9) & 15] + (unsbi_rotate(x ^ unsbi_rotate(x, 11), 7) ^ x >> 3) +              \
            (unsbi_rotate(y ^ unsbi_rotate(y, 2), 17) ^ y >> 10);
#define UNSBI_SHA256_WORDS(j)                                                                      \
    UNSBI_SHA256_WORD(j)                                                                           \
    UNSBI_SHA256_WORD((j) + 1)                                                                     \
    UNSBI_SHA256_WORD((j) + 2)                                                                     \
    UNSBI_SHA256_WORD((j) + 3)

/* The next 16 words, in the place of those before. Apart, as compilers that see both would rather
 * have the words in registers than the state. */
UNSBI_APART void unsbi_sha256_words(uint32_t w[16])
{
    uint32_t x, y;

    UNSBI_SHA256_WORDS(0)
    UNSBI_SHA256_WORDS(4)
    UNSBI_SHA256_WORDS(8)
    UNSBI_SHA256_WORDS(12)
}

static void unsbi_sha256_block(uint32_t hash[24], const uint8_t *block)
{
    uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3];
    uint32_t e = hash[4], f = hash[5], g = hash[6], h = hash[7], x = b ^ c, y;
    uint32_t *w = hash + 8;
    const uint32_t *k = unsbi_sha256_k;
    unsigned i;

    for (i = 0; i < 16; i += 4, block += 16) {
        w[i] = unsbi_sha256_load(block);
        w[i + 1] = unsbi_sha256_load(block + 4);
        w[i + 2] = unsbi_sha256_load(block + 8);
        w[i + 3] = unsbi_sha256_load(block + 12);
    }
    for (;; k += 16) {
        UNSBI_SHA256_ROUNDS(0)
        UNSBI_SHA256_ROUNDS(8)
        if (k == unsbi_sha256_k + 48)
            break;
        unsbi_sha256_words(w);
    }
    hash[0] += a;
    hash[1] += b;
    hash[2] += c;
    hash[3] += d;
    hash[4] += e;
    hash[5] += f;
    hash[6] += g;
    hash[7] += h;
}
#endif

/* Takes the whole blocks of data[0..size); returns how many bytes that was. */
static size_t unsbi_sha256_blocks(uint32_t hash[24], const uint8_t *data, size_t size)
{
    size_t i;

    for (i = 0; size - i >= 64; i += 64)
        unsbi_sha256_block(hash, data + i);
    return i;
}

/* Pads the last `tail` bytes (< 64), which stand in `block` (64 bytes), and ends the hash of
 * `total` bytes. */
static void unsbi_sha256_end(uint32_t hash[24], uint8_t *block, size_t tail, uint64_t total)
{
    size_t i;

    block[tail++] = 0x80;
    if (tail > 56) { /* no room for the length */
        memset(block + tail, 0, 64 - tail);
        unsbi_sha256_block(hash, block);
        tail = 0;
    }
    memset(block + tail, 0, 56 - tail);
    total <<= 3;
    for (i = 64; i > 56; total >>= 8)
        block[--i] = (uint8_t)total;
    unsbi_sha256_block(hash, block);
}

static void unsbi_store_hash(const uint32_t hash[8], uint8_t *out)
{
    unsigned i;

    for (i = 0; i < 32; i++)
        out[i] = (uint8_t)(hash[i >> 2] >> (24 - 8 * (i & 3)));
}

/* RFC 2104: starts the inner (pad 0x36) or outer (0x5C) hash with the padded key. `scratch` holds
 * 64 bytes and is overwritten. */
static void unsbi_hmac_start(uint32_t hash[24], const char *key, uint8_t pad, uint8_t *scratch)
{
    size_t size = strlen(key), i;

    if (size > 64) {
        unsbi_sha256_start(hash);
        i = unsbi_sha256_blocks(hash, (const uint8_t *)key, size);
        memcpy(scratch, key + i, size - i);
        unsbi_sha256_end(hash, scratch, size - i, size);
        unsbi_store_hash(hash, scratch);
        size = 32;
    } else {
        memcpy(scratch, key, size);
    }
    memset(scratch + size, 0, 64 - size);
    for (i = 0; i < 64; i++)
        scratch[i] ^= pad;
    unsbi_sha256_start(hash);
    unsbi_sha256_block(hash, scratch);
}

/* Ends the inner hash of `total` bytes after the key, whose last `tail` stand in `scratch` (96
 * bytes), and wraps the outer one around it. */
UNSBI_CALLED void unsbi_hmac_end(uint32_t hash[24], const char *key, uint8_t *scratch, size_t tail,
                           uint64_t total)
{
    uint8_t *inner = scratch + 64;

    unsbi_sha256_end(hash, scratch, tail, total + 64);
    unsbi_store_hash(hash, inner);
    unsbi_hmac_start(hash, key, 0x5C, scratch);
    memcpy(scratch, inner, 32);
    unsbi_sha256_end(hash, scratch, 32, 64 + 32);
    unsbi_store_hash(hash, inner);
    memcpy(hash, inner, 32); /* as bytes from here on */
}
#endif /* UNSB_SIGNING */

/* ======================================================================
 * >>request  The request writer: a generator that fills whatever room there
 *            is and goes on where it stopped.
 *
 * A request is four templates, one after the other: a beginning, the target
 * with its query, the rest of the head, the body; and four before, of what is
 * measured, and signed. A template is literal text with fields in it, \0 and a
 * letter, whose texts come from the caller's structs; \0 and nothing more ends
 * it. So strlen() finds where a text ends.
 *
 *     \0( f ... \0)    what stands between, only where field f is not empty
 *     \0[ ... \0] f    repeated for each item of a list (there is one at least);
 *                      field f is empty behind the last
 *
 * \0) and \0[ only mark a place: as fields, they are empty. Literal text is
 * written as a field's is. So the state is small: which template, where in it,
 * which item of a list, and how much of the field or text that was cut is used.
 * ====================================================================== */

/* Is there more than POST /execute, and are there lists, with these options? */
#if UNSB_JOBS || UNSB_LISTS || UNSB_KEYS || UNSB_RUN || UNSB_REQUEST
#define UNSBI_OPERATIONS 1
#else
#define UNSBI_OPERATIONS 0
#endif
#if UNSB_SETTINGS || UNSB_FILES || UNSB_REQUEST
#define UNSBI_ENDS_ITEM(mark) ((mark) == ']')
#else
#define UNSBI_ENDS_ITEM(mark) false
#endif

/* unsb_client.state: see >>machine */
enum {
    UNSBI_IDLE,
    UNSBI_MEASURE,
    UNSBI_CONNECT,
    UNSBI_SEND,
    UNSBI_RECV,
    UNSBI_PAUSE
};

typedef struct unsbi_segment { /* what a field stands for */
    unsb_source source;
    unsbi_encoder *encode; /* NULL: as it is */
    char digits[sizeof(unsb_size) / 4 * 10 + 1];
} unsbi_segment;

static void unsbi_set_source(unsb_source *source, const void *data, unsb_size size)
{
    source->data = data;
    source->size = size;
    source->read = NULL;
    source->context = NULL;
}

enum {
    UNSBI_OP_SAFE = 0x01,  /* RFC 9110 section 9.2.1: may be repeated */
    UNSBI_OP_BY_ID = 0x02, /* result->job_id names the job */
    UNSBI_OP_JOB = 0x04,   /* the answer must name a job, or be its outcome */
    UNSBI_OP_RAW = 0x08,   /* the response body goes to result->out */
    UNSBI_OP_EMPTY = 0x10, /* a response without a body will do */
    UNSBI_OP_LIST = 0x20,  /* an array may be the whole answer */
    UNSBI_OP_KEY = 0x40,   /* a refusal that tells of the key answers the question */
    UNSBI_OP_TEXTS = 0x80, /* a list's items may be texts */
    UNSBI_OP_RUNS = 0x100, /* a program runs before the answer comes, or becomes a job */
    UNSBI_OP_WAITS = 0x200 /* asked until the job has ended: see unsbi_wait_again() */
};

struct unsbi_fields;

typedef struct unsbi_op {
    const char *method;       /* NULL: unsb_call has it, with the content type */
    const char *content_type; /* NULL: there is no body, not even an empty one */
    const char *target, *body; /* templates */
    /* The field of a capital letter in them: returns its text; or NULL, and it is what was stored
     * as the source, or empty */
    const char *(*field)(const unsb_client *client, unsbi_segment *s, char code);
    const struct unsbi_fields *fields; /* of the response; NULL: only those of a refusal matter */
    uint16_t flags;
} unsbi_op;

#if UNSB_REQUEST
#define UNSBI_ITS_CALL(client) \
    ((client)->op->method == NULL ? (const unsb_call *)(client)->input : NULL)
#endif

UNSBI_CALLED const char *unsbi_method(const unsb_client *client)
{
#if UNSB_REQUEST
    if (UNSBI_ITS_CALL(client) != NULL)
        return UNSBI_ITS_CALL(client)->method;
#endif
    return client->op->method;
}

/* The type of the body; NULL: none is told of, nor its length, not even 0. RFC 9110 section 8.6: so
 * where the method gives content no meaning and there is none. "": its length alone. */
static const char *unsbi_content_type(const unsb_client *client)
{
#if UNSB_REQUEST
    const unsb_call *call = UNSBI_ITS_CALL(client);

    if (call != NULL) {
        if (call->body.size == 0 && call->method[0] != 'P')
            return NULL;
        return call->content_type != NULL ? call->content_type : "application/json";
    }
#endif
    return client->op->content_type;
}

static const char *unsbi_digits(unsbi_segment *s, unsb_size value)
{
    s->digits[sizeof s->digits - 1] = '\0';
    return unsbi_decimal(value, s->digits + sizeof s->digits - 1);
}

/* RFC 9112 section 3, RFC 9110 section 7.2 (Host). */
static const char unsbi_head_template[] =
    " HTTP/1.1\r\nHost: \0(i[\0)\0h\0(i]\0)\0(p:\0p\0)\r\nAuthorization: Bearer \0k"
#if UNSB_SIGNING
    "\0(s\r\nX-Timestamp: \0t\r\nX-Signature: \0g\0)"
#endif
#if UNSBI_OPERATIONS
    "\0(y\r\nContent-Type: \0y\0)\0(n\r\nContent-Length: \0n\0)"
#else
    "\r\nContent-Type: application/json\r\nContent-Length: \0n"
#endif
#if UNSB_KEEP_ALIVE
    "\0(c\r\nConnection: close\0)"
#else
    "\r\nConnection: close"
#endif
    "\r\nAccept-Encoding: identity\r\nUser-Agent: unsandbox.h/" UNSB_VERSION_TEXT
#if UNSB_REQUEST
    "\0(f\0[\r\n\0f: \0v\0]f\0)"
#endif
    "\r\n\r\n\0";

static const char *unsbi_head_field(const unsb_client *client, unsbi_segment *s, char code)
{
    const unsb_config *config = &client->config;

    switch (code) {
    case 'i': /* is the host an IPv6 address? */
        return unsbi_seek(config->host, ':');
    case 'h': /* RFC 6874 section 4: without the zone of an address */
        s->source.data = config->host;
        s->source.size = (unsb_size)(unsbi_seek(config->host, '%') - config->host);
        return NULL;
    case 'p':
        return config->port != 443 ? unsbi_digits(s, config->port) : NULL;
    case 'k':
        return config->api_key;
#if UNSB_SIGNING
    case 's':
        return config->secret_key; /* it is not written */
    case 't':
        return unsbi_digits(s, client->u.tx.unix_time);
    case 'g':
        s->source.data = client->u.tx.hash;
        s->source.size = 32;
        s->encode = unsbi_encode_hex;
        return NULL;
#endif
#if UNSBI_OPERATIONS
    case 'm':
        return unsbi_method(client);
    case 'y':
        return unsbi_content_type(client);
#endif
    case 'n':
        if (UNSBI_OPERATIONS && unsbi_content_type(client) == NULL)
            return NULL;
        return unsbi_digits(s, client->v.tx.body_size);
#if UNSB_REQUEST
    case 'f': /* the caller's own */
        return client->op->method == NULL ? client->op->field(client, s, 'F') : NULL;
    case 'v':
        return client->op->field(client, s, 'G');
#endif
#if UNSB_KEEP_ALIVE
    case 'c':
        return config->no_keep_alive ? "close" : NULL;
#endif
    default: /* a mark */
        return NULL;
    }
}

/* The body of POST /execute and /execute/async. */
static const char unsbi_execute_template[] =
    "{\"language\":\"\0L\",\"code\":\"\0C\""
#if UNSB_SETTINGS
    "\0(E,\"env\":{\0[\0S\"\0N\":\"\0V\"\0]E}\0)"
    "\0(M,\"network_mode\":\"\0M\"\0)\0(T,\"ttl\":\0T\0)\0(U,\"vcpu\":\0U\0)\0(X,\0X\0)"
#endif
#if UNSB_ARTIFACTS
    "\0(A,\"return_artifact\":true\0)\0(W,\"return_wasm_artifact\":true\0)"
#endif
#if UNSB_FILES
    "\0(F,\"input_files\":[\0[\0S{\0(G\"filename\":\"\0G\",\0)\"content\":\"\0D\"}\0]F]\0)"
#endif
    "}\0";

static const char *unsbi_program_field(const unsb_client *client, unsbi_segment *s, char code)
{
    const unsb_program *program = (const unsb_program *)client->input;
#if UNSB_SETTINGS || UNSB_FILES
    size_t item = client->v.tx.item;
#endif
    unsigned number = 0;

    s->encode = unsbi_encode_json; /* which leaves words and numbers as they are */
    switch (code) {
    case 'L':
        return program->language;
    case 'C':
        s->source = program->code;
        return NULL;
#if UNSB_SETTINGS || UNSB_FILES
    case 'S': /* between the items of a list */
        return item != 0 ? "," : NULL;
#endif
#if UNSB_SETTINGS
    case 'E':
        number = item < program->env_count;
        break;
    case 'N':
        return program->env[item].name;
    case 'V':
        return program->env[item].value;
    case 'M':
        if (program->network == UNSB_NETWORK_DEFAULT)
            return NULL;
        return program->network == UNSB_NETWORK_ZEROTRUST ? "zerotrust" : "semitrusted";
    case 'T':
        number = program->ttl_s;
        break;
    case 'U':
        number = program->vcpu > 1 ? program->vcpu : 0;
        break;
    case 'X':
        s->encode = NULL;
        return program->extra;
#endif
#if UNSB_ARTIFACTS
    case 'A':
        number = program->return_artifact;
        break;
    case 'W':
        number = program->return_wasm_artifact;
        break;
#endif
#if UNSB_FILES
    case 'F':
        number = item < program->file_count;
        break;
    case 'G':
        return program->files[item].name;
    case 'D':
        s->encode = unsbi_encode_base64;
        s->source = program->files[item].source;
        return NULL;
#endif
    default:
        break;
    }
    return number != 0 ? unsbi_digits(s, number) : NULL;
}

#if UNSB_RUN
/* The target of POST /run and /run/async, with its query. */
#if UNSB_ARTIFACTS
#define UNSBI_RUN_ARTIFACTS "\0(A\0Ireturn_artifact=true\0)\0(W\0Jreturn_wasm_artifact=true\0)"
#else
#define UNSBI_RUN_ARTIFACTS
#endif
static const char unsbi_run_target[] =
    "/run\0(Q/async\0)\0(T?ttl=\0T\0)\0(M\0Hnetwork_mode=\0M\0)" UNSBI_RUN_ARTIFACTS
    "\0(E\0Kenv=%7B\0[\0S%22\0N%22%3A%22\0V%22\0]E%7D\0)\0";

static const char *unsbi_run_field(const unsb_client *client, unsbi_segment *s, char code)
{
    const char *text = "?", *before = "TMAW";

    if (code == 'C') {
        s->source = ((const unsb_program *)client->input)->code;
        return NULL;
    }
    if (code == 'Q') /* is it to become a job? */
        return (client->op->flags & UNSBI_OP_RUNS) != 0 ? NULL : "Q";
    if (code >= 'H' && code <= 'K') { /* is one of the parameters given before this one? */
        for (; code >= 'H'; code--)
            if (unsbi_program_field(client, s, *before++) != NULL)
                text = "&";
        s->encode = NULL;
        return text;
    }
    text = unsbi_program_field(client, s, code);
    s->encode = unsbi_encode_json_url;
    return text;
}
#endif

#if UNSB_JOBS
static const char *unsbi_job_field(const unsb_client *client, unsbi_segment *s, char code)
{
    (void)code;
    s->encode = unsbi_encode_url;
    return client->result->job_id;
}
#endif

#if UNSB_REQUEST
static const char *unsbi_call_field(const unsb_client *client, unsbi_segment *s, char code)
{
    const unsb_call *call = (const unsb_call *)client->input;
    size_t item = client->v.tx.item;

    switch (code) {
    case 'P':
        return call->path;
    case 'F':
        return item < call->header_count ? call->headers[item].name : NULL;
    case 'G':
        return call->headers[item].value;
    default: /* 'B' */
        s->source = call->body;
        return NULL;
    }
}
#endif

/* v.tx.part: four templates to measure and sign, "timestamp:METHOD:target:" and the body (or, if
 * there is no secret, target and body alone, for their checks and length), and four to send */
enum { UNSBI_TARGET = 1, UNSBI_BODY = 3, UNSBI_PARTS = 4, UNSBI_ALL_WRITTEN = 8 };

/* Small templates have names, too: a literal with \0 within is linked wherever any other is. */
static const char unsbi_empty_template[] = "\0";
#if UNSBI_OPERATIONS
static const char unsbi_start_template[] = "\0m \0";
#else
static const char unsbi_start_template[] = "POST \0";
#endif
#if UNSB_SIGNING
static const char unsbi_signed_template[] = "\0(s\0t:\0m:\0)\0";
static const char unsbi_colon_template[] = "\0(s:\0)\0";
#else
#define unsbi_signed_template unsbi_empty_template
#define unsbi_colon_template unsbi_empty_template
#endif

static const char *unsbi_template(const unsb_client *client)
{
    static const char *const own[] = {unsbi_signed_template, unsbi_colon_template,
                                      unsbi_start_template, unsbi_head_template};
    uint8_t part = client->v.tx.part;

    if (part % UNSBI_PARTS == UNSBI_BODY)
        return client->op->body;
    if (part % UNSBI_PARTS == UNSBI_TARGET)
        return client->op->target;
    return own[part / 2];
}

#ifdef UNSB_TRACE
/* What a field, or literal text (code 0), has put into the I/O buffer from `start` on. */
static void unsbi_trace_head(unsb_client *client, char code, size_t start)
{
    bool secret = code == 'k' || code == 'g' || code == 'v';

    if (client->end > start && client->v.tx.part >= UNSBI_PARTS &&
        client->v.tx.part < UNSBI_PARTS + UNSBI_BODY)
        UNSB_TRACE(client, '>', secret ? "***" : client->config.buffer + start,
                   secret ? (size_t)3 : client->end - start);
}
#endif

static void unsbi_find_segment(const unsb_client *client, char code, unsbi_segment *s)
{
    const char *text;

    unsbi_set_source(&s->source, NULL, 0);
    s->encode = NULL;
    text = (uint8_t)(code - 'A') < 26 ? client->op->field(client, s, code)
                                      : unsbi_head_field(client, s, code);
    if (text != NULL) {
        s->source.data = text;
        s->source.size = (unsb_size)strlen(text);
    }
}

/* Reads exactly `size` bytes at `offset`. */
static int unsbi_source_read(const unsb_source *source, unsb_size offset, uint8_t *out,
                                   size_t size)
{
    if (source->read == NULL) {
        memcpy(out, (const uint8_t *)source->data + offset, size);
        return UNSB_OK;
    }
    while (size != 0) { /* and no more than the I/O buffer has: INT_MAX */
        int n = source->read(source->context, offset, out, size);
        if (n <= 0 || (size_t)n > size)
            return n <= UNSB_E_USER ? n : UNSB_E_SOURCE;
        out += n;
        offset += (unsb_size)n;
        size -= (size_t)n;
    }
    return UNSB_OK;
}

/* Writes on in a segment, from v.tx.offset. Returns UNSB_PENDING when the room is used up. */
static int unsbi_put(unsb_client *client, const unsbi_segment *s)
{
    unsb_size left;

    while ((left = s->source.size - client->v.tx.offset) != 0) {
        size_t room = client->config.buffer_size - client->end;
        size_t size = s->encode != NULL ? unsbi_read_size(room) : room;
        unsbi_encoding e;
        int rc;

        if (left < size)
            size = (size_t)left;
        if (size == 0)
            return UNSB_PENDING;
#if UNSB_UTF8
        e.utf8 = &client->v.tx.utf8;
#endif
        e.out = (uint8_t *)client->config.buffer + client->end;
        e.in_end = e.out + (s->encode != NULL ? room : size);
        e.in = e.in_end - size;
        rc = unsbi_source_read(&s->source, client->v.tx.offset, (uint8_t *)e.in, size);
        if (rc == UNSB_OK && s->encode != NULL)
            rc = unsbi_encode(&e, s->encode);
        else
            e.in = e.out = (uint8_t *)e.in_end;
        if (rc != UNSB_OK)
            return rc;
        client->v.tx.offset += (unsb_size)(size - (size_t)(e.in_end - e.in));
        client->end = (size_t)(e.out - (uint8_t *)client->config.buffer);
    }
    client->v.tx.offset = 0;
#if UNSB_UTF8
    if (client->v.tx.utf8 != 0)
        return UNSB_E_UTF8;
#endif
    return UNSB_OK;
}

/* Behind the \0) of a group that `t` is in. */
static const char *unsbi_group_end(const char *t)
{
    unsigned depth = 1;

    do {
        t += strlen(t) + 2;
        if (UNSB_FILES && t[-1] == '(') /* else none is within another */
            depth++;
        if (t[-1] == ')')
            depth--;
    } while (depth != 0);
    return t;
}

/* Writes literal text, or what stands at a \0: *t advances behind it, or to where it goes on. */
UNSBI_CALLED int unsbi_put_next(unsb_client *client, const char **t)
{
    const char *p = *t + 2;
    char mark = p[-1];
    unsbi_segment s;
    int rc;

    if (p[-2] != '\0') {
        unsbi_set_source(&s.source, *t, (unsb_size)strlen(*t));
        s.encode = NULL;
        p = *t + s.source.size;
        mark = '\0';
    } else {
        if (UNSBI_ENDS_ITEM(mark))
            client->v.tx.item++;
        if (mark == '(' || UNSBI_ENDS_ITEM(mark))
            p++;
        unsbi_find_segment(client, p[-1], &s);
    }
    if (mark == '(') {
        if (s.source.size == 0)
            p = unsbi_group_end(p);
    } else if (!UNSBI_ENDS_ITEM(mark)) {
        rc = unsbi_put(client, &s);
        if (rc != UNSB_OK)
            return rc;
    } else if (s.source.size != 0) {
        while (p[0] != '\0' || p[1] != '[')
            p--;
    } else {
        client->v.tx.item = 0;
    }
    *t = p;
    return UNSB_OK;
}

/* Fills the I/O buffer from client->end on: with what is measured and signed, then with what is
 * sent. Returns UNSB_PENDING while there is more. */
static int unsbi_fill(unsb_client *client)
{
    int rc = UNSB_OK;

    while (rc == UNSB_OK && client->v.tx.part != UNSBI_ALL_WRITTEN) {
        const char *base = unsbi_template(client), *t = base + client->v.tx.at;
        size_t start = client->end;

        while (rc == UNSB_OK && (t[0] != '\0' || t[1] != '\0')) {
#ifdef UNSB_TRACE
            size_t began = client->end;
            char code = t[0] == '\0' ? t[1] : '\0';
#endif
            rc = unsbi_put_next(client, &t);
#ifdef UNSB_TRACE
            unsbi_trace_head(client, code, began);
#endif
        }
        client->v.tx.at = (uint16_t)(t - base);
        if (client->v.tx.part % UNSBI_PARTS == UNSBI_BODY) {
            start = client->end - start;
            client->v.tx.counted += (unsb_size)start;
            if (client->v.tx.counted < start)
                rc = UNSB_E_REQUEST_SIZE;
        }
        if (rc == UNSB_OK) {
            client->v.tx.at = 0;
            if (++client->v.tx.part == UNSBI_PARTS)
                break;
        }
    }
    if (client->state == UNSBI_IDLE) /* a source has stopped the operation */
        rc = UNSB_E_ABORTED;
    return rc;
}

/* ======================================================================
 * >>http  HTTP/1.1 response decoder (RFC 9112, RFC 9110)
 * ====================================================================== */

/* Where the decoder stands. Every line ends alike, in unsbi_http_line_over(). What matters of it is
 * gathered in `token`, and judged when it is complete: of a field that is when the line after it
 * shows that it is not continued (obs-fold, RFC 9112 section 5.2). Trailers are lines, too, of
 * UNSB_HTTP_BODY. */
enum {
    UNSBI_HTTP_STATUS, /* the status line; `length` of it matched */
    UNSBI_HTTP_LINE,   /* at the start of a line */
    UNSBI_HTTP_NAME,   /* of a field; while `length` is 0 the line may be the empty one */
    UNSBI_HTTP_TEXT,   /* to the end of the line: `field` says what it is */
    /* `remaining` bytes of a body. None are left: the chunk's line ends here, or all is over */
    UNSBI_HTTP_CHUNK_DATA,
    UNSBI_HTTP_LENGTH_DATA,
    UNSBI_HTTP_CLOSE_DATA /* to the end of the connection */
};

/* unsb_http.field, what the text of a line is: a value of the first list, a size, or one of the
 * last two, of which nothing is gathered. */
enum {
    UNSBI_FIELD_CONTENT_LENGTH,
    UNSBI_FIELD_RETRY_AFTER,
#if UNSB_KEEP_ALIVE
    UNSBI_FIELD_CONNECTION,
#endif
    UNSBI_FIELD_TRANSFER_ENCODING,
    UNSBI_FIELD_CHUNK_SIZE,
    UNSBI_FIELD_NONE, /* of no field, so that a fold has nothing to continue: the reason, an
                         extension of a chunk */
    UNSBI_FIELD_OTHER = UNSBI_NO_WORD /* a field that does not matter, or a trailer */
};
static const char unsbi_http_fields[] = "\16content-length\13retry-after"
#if UNSB_KEEP_ALIVE
                                        "\12connection"
#endif
                                        "\21transfer-encoding";

enum { UNSBI_TOKEN_CHUNKED, UNSBI_TOKEN_CLOSE, UNSBI_TOKEN_KEEP_ALIVE };
static const char unsbi_http_tokens[] = "\7chunked"
#if UNSB_KEEP_ALIVE
    "\5close\12keep-alive"
#endif
    ;

UNSB_API void unsb_http_init(unsb_http *http, bool head_request)
{
    memset(http, 0, sizeof *http);
    http->flags = head_request ? UNSB_HTTP_HEAD : 0;
    http->field = UNSBI_FIELD_NONE;
}

/* RFC 9110 section 5.6.2 */
static bool unsbi_is_token_char(uint8_t c)
{
    static const uint8_t set[16] = {0x00, 0x00, 0x00, 0x00, 0xFA, 0x6C, 0xFF, 0x03,
                                    0xFE, 0xFF, 0xFF, 0xC7, 0xFF, 0xFF, 0xFF, 0x57};

    return c < 0x80 && (set[c >> 3] >> (c & 7) & 1) != 0;
}

static void unsbi_http_token_start(unsb_http *h)
{
    h->spaced = 0;
    h->length = 0;
}

/* The token as a number: 0 if it is none, the largest if it is beyond that. One that fills the
 * token may go on, so it is too large; 20 digits are enough for what is padded with zeros. */
static int unsbi_http_number(const unsb_http *h, uint8_t base, unsb_size *number)
{
    uint8_t i = 0;

    *number = 0;
    do {
        uint8_t digit = i < h->length ? unsbi_hex_value((uint8_t)h->token[i]) : 16;
        if (digit >= base) {
            *number = 0;
            return UNSB_E_HTTP;
        }
        if (i == sizeof h->token - 1 || !unsbi_append(number, sizeof *number, base, digit)) {
            *number = (unsb_size)-1;
            return UNSB_E_RESPONSE_SIZE;
        }
    } while (++i < h->length);
    return UNSB_PENDING;
}

/* An element of a list, or the whole value, is complete. */
static int unsbi_http_element(unsb_http *h)
{
    uint8_t token = unsbi_find(unsbi_http_tokens, h->token, h->length, 0x20);
    uint8_t flag = 0;
    unsb_size number;
    int rc = unsbi_http_number(h, h->field == UNSBI_FIELD_CHUNK_SIZE ? 16 : 10, &number);

    switch (h->field) {
    case UNSBI_FIELD_CHUNK_SIZE:
        h->remaining = number;
        h->field = UNSBI_FIELD_NONE;
        break;
    case UNSBI_FIELD_CONTENT_LENGTH:
        /* RFC 9112 section 6.3, item 5: several are fine only if they are the same */
        if ((h->flags & UNSB_HTTP_LENGTH) != 0 && h->remaining != number)
            return UNSB_E_HTTP;
        h->remaining = number;
        flag = UNSB_HTTP_LENGTH;
        break;
    case UNSBI_FIELD_TRANSFER_ENCODING:
        rc = UNSB_PENDING;
        if (h->length == 0) /* RFC 9110 section 5.6.1: empty elements are ignored */
            break;
        /* any other coding was not asked for; chunked twice is forbidden */
        if (token != UNSBI_TOKEN_CHUNKED || (h->flags & UNSB_HTTP_CHUNKED) != 0)
            return UNSB_E_HTTP;
        flag = UNSB_HTTP_CHUNKED;
        break;
    case UNSBI_FIELD_RETRY_AFTER: /* RFC 9110 section 10.2.3: or a date, which has a comma, too */
        rc = UNSB_PENDING;
        flag = UNSB_HTTP_RETRY_AFTER;
        h->retry_after_s = number >> 16 >> 16 != 0 ? UINT32_MAX : (uint32_t)number;
        break;
#if UNSB_KEEP_ALIVE
    case UNSBI_FIELD_CONNECTION:
        rc = UNSB_PENDING;
        if (token == UNSBI_TOKEN_CLOSE)
            flag = UNSB_HTTP_CLOSE;
        if (token == UNSBI_TOKEN_KEEP_ALIVE)
            flag = UNSB_HTTP_KEEP_ALIVE;
        break;
#endif
    default:
        rc = UNSB_PENDING;
        break;
    }
    h->flags |= flag;
    unsbi_http_token_start(h);
    return rc;
}

/* The line does not continue the field before it: its value is complete. */
static int unsbi_http_field_over(unsb_http *h)
{
    int rc = unsbi_http_element(h);

    /* a field that names no coding at all */
    if (h->field == UNSBI_FIELD_TRANSFER_ENCODING && (h->flags & UNSB_HTTP_CHUNKED) == 0)
        rc = UNSB_E_HTTP;
    h->field = UNSBI_FIELD_NONE;
    return rc;
}

/* The head is complete: RFC 9112 section 6.3 says what follows. */
static int unsbi_http_head_over(unsb_http *h)
{
    uint8_t flags = h->flags;
    uint16_t head_size = h->head_size;

    if (h->status < 200) {
        if (h->status < 100 || h->status == 101) /* nothing was offered to switch to */
            return UNSB_E_HTTP;
        unsb_http_init(h, (flags & UNSB_HTTP_HEAD) != 0);
        h->head_size = head_size;
        return UNSB_PENDING;
    }
    /* section 6.1: both, or chunks from HTTP/1.0, are signs of a message that was tampered with */
    if ((flags & UNSB_HTTP_CHUNKED) != 0 && (flags & (UNSB_HTTP_LENGTH | UNSB_HTTP_1_0)) != 0)
        return UNSB_E_HTTP;
    if ((flags & UNSB_HTTP_1_0) != 0 && (flags & UNSB_HTTP_KEEP_ALIVE) == 0)
        flags |= UNSB_HTTP_CLOSE;
    h->state = UNSBI_HTTP_LENGTH_DATA;
    if ((flags & UNSB_HTTP_HEAD) != 0) {
        h->remaining = 0;
    } else if (h->status == 204 || h->status == 304) {
        /* what is announced all the same might still come, and be taken for the next answer */
        if (h->remaining != 0 || (flags & UNSB_HTTP_CHUNKED) != 0)
            flags |= UNSB_HTTP_CLOSE;
        h->remaining = 0;
    } else if ((flags & UNSB_HTTP_CHUNKED) != 0) {
        h->state = UNSBI_HTTP_CHUNK_DATA;
    } else if ((flags & UNSB_HTTP_LENGTH) == 0) {
        flags |= UNSB_HTTP_CLOSE;
        h->state = UNSBI_HTTP_CLOSE_DATA;
    }
    h->flags = flags | UNSB_HTTP_BODY;
    return UNSB_PENDING;
}

/* The end of a line. */
UNSBI_CALLED int unsbi_http_line_over(unsb_http *h)
{
    bool in_body = (h->flags & UNSB_HTTP_BODY) != 0;
    int rc;

    switch (h->state) {
    case UNSBI_HTTP_STATUS:
        if (h->length == 0) /* section 2.2 has it of requests: empty lines before it */
            return UNSB_PENDING;
        if (h->length != 12) /* the space belongs to the reason, and both are often left out */
            return UNSB_E_HTTP;
        break;
    case UNSBI_HTTP_NAME:
        if (h->length != 0)
            return UNSB_E_HTTP;
        if (in_body) {
            h->state = UNSBI_HTTP_LENGTH_DATA;
            return UNSB_PENDING;
        }
        rc = unsbi_http_head_over(h);
        if (rc < 0 || h->state != UNSBI_HTTP_CHUNK_DATA)
            return rc;
        /* fall through */
    case UNSBI_HTTP_CHUNK_DATA:
        h->head_size = 0;
        h->field = UNSBI_FIELD_CHUNK_SIZE;
        h->state = UNSBI_HTTP_TEXT;
        return UNSB_PENDING;
    default:
        if (in_body && h->field != UNSBI_FIELD_OTHER) { /* a size, or an extension after it */
            rc = unsbi_http_element(h);
            if (rc < 0)
                return rc;
            if (h->remaining != 0) {
                h->head_size = 0;
                h->state = UNSBI_HTTP_CHUNK_DATA;
                return UNSB_PENDING;
            }
        }
        break;
    }
    h->state = UNSBI_HTTP_LINE;
    return UNSB_PENDING;
}

/* The states of the decoder within a line. Each takes a byte; UNSB_OK: it is one of the token. */

/* RFC 9112 section 4: a status line, up to the reason. */
static int unsbi_http_status(unsb_http *h, uint8_t c)
{
    static const char pattern[] = "HTTP/1.0 000 "; /* 0: a digit */
    uint8_t at = h->length;
    uint8_t v = (uint8_t)(c - (uint8_t)pattern[at]);

    if (v > 9 || (v != 0 && pattern[at] != '0'))
        return UNSB_E_HTTP;
    if (at == 7 && v == 0)
        h->flags |= UNSB_HTTP_1_0;
    if (at == 12)
        h->state = UNSBI_HTTP_TEXT;
    else if (at > 8)
        h->status = (uint16_t)(h->status * 10u + v);
    return UNSB_OK;
}

static int unsbi_http_name(unsb_http *h, uint8_t c)
{
    if (c == ':' && h->length != 0) {
        h->field = unsbi_find(unsbi_http_fields, h->token, h->length, 0x20);
        h->state = UNSBI_HTTP_TEXT;
        unsbi_http_token_start(h);
        return UNSB_PENDING;
    }
    /* section 5.1: not even white space before the colon */
    return unsbi_is_token_char(c) ? UNSB_OK : UNSB_E_HTTP;
}

static int unsbi_http_text(unsb_http *h, uint8_t c)
{
    uint8_t field = h->field;

    if (c == '\t')
        c = ' ';
    if (c < ' ' && (c == '\0' || field != UNSBI_FIELD_OTHER))
        return UNSB_E_HTTP; /* RFC 9110 section 5.5: others pass where the value does not matter */
    if (field >= UNSBI_FIELD_NONE)
        return UNSB_PENDING;
    if (c == ' ') { /* before a chunk's size there is none */
        h->spaced = (uint8_t)(h->length | (h->flags & UNSB_HTTP_BODY));
        return UNSB_PENDING;
    }
    if (c == (field == UNSBI_FIELD_CHUNK_SIZE ? ';' : ','))
        return unsbi_http_element(h);
    return UNSB_OK;
}

static int unsbi_http_byte(unsb_http *h, uint8_t c)
{
    int rc;

    if (h->state == UNSBI_HTTP_LINE) {
        h->state = UNSBI_HTTP_TEXT;
        if ((h->flags & UNSB_HTTP_BODY) != 0 && c != '\r') {
            h->field = UNSBI_FIELD_OTHER; /* section 7.1.2: trailers may be discarded */
        } else if (c != ' ' && c != '\t') {
            h->state = UNSBI_HTTP_NAME;
            rc = unsbi_http_field_over(h);
            if (rc < 0)
                return rc;
        } else if (h->field == UNSBI_FIELD_NONE) {
            return UNSB_E_HTTP;
        }
    }
    if (c == '\r' && !h->cr) {
        h->cr = true;
        return UNSB_PENDING;
    }
    /* section 2.2: a lone LF may be taken for a line's end. It is not after the head, where it is
     * how two readers come to see two messages */
    if (c == '\n' && (h->cr || (h->flags & UNSB_HTTP_BODY) == 0)) {
        h->cr = false;
        return unsbi_http_line_over(h);
    }
    if (h->cr || c == '\n')
        return UNSB_E_HTTP;
    switch (h->state) {
    case UNSBI_HTTP_STATUS:
        rc = unsbi_http_status(h, c);
        break;
    case UNSBI_HTTP_NAME:
        rc = unsbi_http_name(h, c);
        break;
    case UNSBI_HTTP_TEXT:
        rc = unsbi_http_text(h, c);
        break;
    default:
        rc = UNSB_E_HTTP;
        break;
    }
    if (rc != UNSB_OK)
        return rc;
    if (h->length < sizeof h->token) /* a word after a blank makes both of them none */
        h->token[h->length++] = (char)(h->spaced ? 0 : c);
    return UNSB_PENDING;
}

#if !UNSB_SMALL
/* How many bytes there are before the next control character. */
static size_t unsbi_text_run(const uint8_t *data, size_t size)
{
    size_t i = 0;

    while (size - i >= 8) {
        uint64_t x = unsbi_load64(data + i);
        uint64_t hit = (x - 0x20 * UNSBI_ONES) & ~x & 0x80 * UNSBI_ONES;
        if (hit != 0) { /* the lowest one is never false */
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return i + (unsigned)__builtin_ctzll(hit) / 8;
#else
            break;
#endif
        }
        i += 8;
    }
    while (i < size && data[i] >= 0x20)
        i++;
    return i;
}

/* How many bytes of a token there are at the start: letters and '-', most of them, eight at a time.
 * With bit 5 set, adding 0x1F brings 'a' and what follows to bit 7, adding 5 what follows 'z'. A
 * carry comes from a byte beyond 0x80 alone, which is a hit: the lowest one is never false. */
static size_t unsbi_token_run(const uint8_t *data, size_t size)
{
    size_t i = 0;

    do {
        while (size - i >= 8) {
            uint64_t x = unsbi_load64(data + i), low = x | 0x20 * UNSBI_ONES;
            uint64_t no_letter = ~(low + 0x1F * UNSBI_ONES) | (low + 5 * UNSBI_ONES);
            uint64_t no_hyphen = (x ^ '-' * UNSBI_ONES) + 0x7F * UNSBI_ONES;
            uint64_t hit = (x | (no_letter & no_hyphen)) & 0x80 * UNSBI_ONES;
            if (hit != 0) {
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
                i += (unsigned)__builtin_ctzll(hit) / 8;
#endif
                break;
            }
            i += 8;
        }
    } while (i < size && data[i] != ':' && unsbi_is_token_char(data[i]) && ++i < size);
    return i;
}

/* In a token of the head: as far as it goes. */
static size_t unsbi_http_token(unsb_http *h, const uint8_t *data, size_t size)
{
    size_t length = unsbi_token_run(data, size);

    memcpy(h->token + h->length, data, unsbi_min(length, sizeof h->token - h->length));
    h->length = (uint8_t)unsbi_min(h->length + length, sizeof h->token);
    return length;
}

/* The lengths of unsbi_http_fields, a bit each: a look at them spares most names the list. */
#define UNSBI_HTTP_LENGTHS (1ul << 14 | 1ul << 11 | 1ul << 10 | 1ul << 17)

/* At the start of a line: whole lines of fields that do not matter, and the name of one that does.
 * A name ends the field before (see unsbi_http_byte()). */
static size_t unsbi_http_lines(unsb_http *h, const uint8_t *data, size_t size)
{
    size_t i = 0, at, length;
    int rc;

    for (;; i = at + 2) {
        length = unsbi_token_run(data + i, size - i);
        at = i + length;
        if (length == 0 || at == size || data[at] != ':')
            return i;
        if (h->field < UNSBI_FIELD_NONE) {
            rc = unsbi_http_field_over(h);
            if (rc < 0) {
                h->error = rc;
                return i + 1;
            }
        }
        h->field = UNSBI_FIELD_OTHER;
        if (length < sizeof h->token && (UNSBI_HTTP_LENGTHS >> length & 1) != 0)
            h->field = unsbi_find(unsbi_http_fields, data + i, length, 0x20);
        h->state = UNSBI_HTTP_TEXT;
        if (h->field != UNSBI_FIELD_OTHER) {
            unsbi_http_token_start(h);
            return at + 1;
        }
        at += unsbi_text_run(data + at, size - at);
        if (size - at < 2 || data[at] != '\r' || data[at + 1] != '\n')
            return at;
        h->state = UNSBI_HTTP_LINE;
    }
}

/* How many bytes need no closer look. */
static size_t unsbi_http_skip(unsb_http *h, const uint8_t *data, size_t size)
{
    static const char usual[] = "HTTP/1.1 200 ";
    bool in_head = (h->flags & UNSB_HTTP_BODY) == 0;
    size_t i = 0;

    if (h->cr)
        return 0;
    if (h->state == UNSBI_HTTP_NAME)
        return unsbi_http_token(h, data, size);
    if (h->state == UNSBI_HTTP_STATUS && h->length == 0 && size >= sizeof usual - 1 &&
        memcmp(data, usual, sizeof usual - 1) == 0) {
        h->status = 200;
        h->state = UNSBI_HTTP_TEXT;
        i = h->length = sizeof usual - 1;
    }
    if (h->state == UNSBI_HTTP_TEXT) {
        if (h->field >= UNSBI_FIELD_NONE)
            i += unsbi_text_run(data + i, size - i);
        else if (h->field > UNSBI_FIELD_RETRY_AFTER && !h->spaced)
            i += unsbi_http_token(h, data + i, size - i);
        if (!in_head || size - i < 2 || data[i] != '\r' || data[i + 1] != '\n')
            return i;
        h->state = UNSBI_HTTP_LINE;
        i += 2;
    }
    if (in_head && h->state == UNSBI_HTTP_LINE)
        i += unsbi_http_lines(h, data + i, size - i);
    return i;
}
#endif

/* The response is complete. */
static bool unsbi_http_is_over(const unsb_http *h)
{
    return h->state == UNSBI_HTTP_LENGTH_DATA && h->remaining == 0;
}

/* The next byte is one of the body. */
static bool unsbi_http_in_data(const unsb_http *h)
{
    return h->state == UNSBI_HTTP_CLOSE_DATA ||
           (h->state >= UNSBI_HTTP_CHUNK_DATA && h->remaining != 0);
}

UNSB_API int unsb_http_feed(unsb_http *http, const char *data, size_t size, size_t *used,
                            size_t *body)
{
    const uint8_t *p = (const uint8_t *)data;
    size_t i = 0, n;
    int rc;

    *body = 0;
    for (;;) {
        *used = i;
        if (http->error != 0)
            return http->error;
        if (unsbi_http_is_over(http))
            return UNSB_OK;
        if (i == size)
            return UNSB_PENDING;
        if (unsbi_http_in_data(http)) {
            n = size - i;
            if (http->state != UNSBI_HTTP_CLOSE_DATA) {
                n = n < http->remaining ? n : (size_t)http->remaining;
                http->remaining -= (unsb_size)n;
            }
            *body = n;
            size = i += n; /* what is left is for another call */
            continue;
        }
#if !UNSB_SMALL
        n = unsbi_min(size - i, (size_t)UNSB_HTTP_HEAD_LIMIT - http->head_size);
        n = unsbi_http_skip(http, p + i, n);
        http->head_size = (uint16_t)(http->head_size + n);
        i += n;
        if (n != 0)
            continue;
#endif
        rc = UNSB_E_HEAD_SIZE;
        if (http->head_size < UNSB_HTTP_HEAD_LIMIT) {
            http->head_size++;
            rc = unsbi_http_byte(http, p[i++]);
        }
        if (rc < 0)
            http->error = rc;
    }
}

UNSB_API int unsb_http_end(const unsb_http *http)
{
    if (http->error != 0)
        return http->error;
    return http->state >= UNSBI_HTTP_LENGTH_DATA && http->remaining == 0 ? UNSB_OK
                                                                         : UNSB_E_TRUNCATED;
}

/* ======================================================================
 * >>result  From JSON to the fields of unsb_result
 *
 * One rule: what tells of a run is never thrown away for the form of one
 * field. A field counts only where its endpoint has it, in the kind that it
 * should have; any other value is passed over as if it were not given. Where
 * that would hide something (an output that is no text, base64 that is none)
 * the error waits until all else has been read: rx.fault.
 *
 * The reader's events are followed through the containers that are known.
 * rx.within is a stack of those that are open, four bits each, the innermost
 * one lowest; the values of all other fields are skipped unread.
 * ====================================================================== */

enum { /* rx.within: odd ones are arrays, of what is one more */
    UNSBI_IN_NOTHING = 0,
    UNSBI_IN_ARRAY = 1,    /* this bit alone */
    UNSBI_IN_ROOT = 2,     /* the whole answer, an object: op->fields, and those of a refusal */
    UNSBI_IN_RESULT = 4,   /* its "result": likewise */
    UNSBI_IN_REFUSAL = 6,  /* "error" or "errors", as an object */
    UNSBI_IN_ALIASES = 8,  /* of languages: an object of texts */
    UNSBI_IN_ITEMS = 9,    /* jobs, or languages, */
    UNSBI_IN_ITEM = 10,    /* and one that is an object */
    UNSBI_IN_ARTIFACTS = 11,
    UNSBI_IN_ARTIFACT = 12, /* of them, or alone */
    UNSBI_IN_WASM_ARTIFACT = 14
};

enum { /* unsbi_field.kind */
    UNSBI_KIND_TEXT,      /* arg: the array's size. A number is written out */
    UNSBI_KIND_REFUSAL,   /* likewise; or an object with words of its own */
    UNSBI_KIND_ID,        /* likewise; a text, which must fit */
#if UNSB_REQUEST
    UNSBI_KIND_OTHER_ID,  /* likewise, of a session or service */
#endif
    UNSBI_KIND_OUTPUT,    /* arg: 1: the program's own, which must be a text */
    UNSBI_KIND_CONTENT,
    UNSBI_KIND_CONTAINER, /* arg: UNSBI_IN_... This and the following are judged when whole */
    UNSBI_KIND_STATUS,
    UNSBI_KIND_TYPE,      /* of an artifact: "error" if it failed */
    UNSBI_KIND_BOOL,      /* arg: the bit in `given`, or 0, as with the following */
    UNSBI_KIND_INT32,
    UNSBI_KIND_LOWER32,   /* of a larger number the lower 32 bits */
    UNSBI_KIND_INT64,
    UNSBI_KIND_TIME,      /* Unix seconds, or RFC 3339 */
    UNSBI_KIND_OF_KEY = 0x80 /* with one of the others: in unsb_key, not in unsb_result */
};

typedef struct unsbi_field {
    uint16_t offset;
    uint8_t kind;
    uint8_t arg;
} unsbi_field;

typedef struct unsbi_fields {
    const char *names; /* for unsbi_find(), in the order of `field` */
    const unsbi_field *field;
    const struct unsbi_fields *more; /* those that count as well, or NULL */
} unsbi_fields;

/* A list of fields is one macro, a line of it X(name after its length, offset, kind, arg): so names
 * and fields stay in step. */
#define UNSBI_ITS_NAME(name, offset, kind, arg) name
#define UNSBI_ITS_FIELD(name, offset, kind, arg) {offset, kind, arg},
#define UNSBI_FIELDS(what, list, more)                                                             \
    static const char what##_names[] = list(UNSBI_ITS_NAME);                                       \
    static const unsbi_field what##_field[] = {list(UNSBI_ITS_FIELD)};                             \
    static const unsbi_fields what = {what##_names, what##_field, more};
#define UNSBI_IN(member) (uint16_t) offsetof(unsb_result, member)
#define UNSBI_ROOM(member) (uint8_t)sizeof(((unsb_result *)0)->member)

#if UNSB_DETAILS
#define UNSBI_DETAIL(fields) fields
#else
#define UNSBI_DETAIL(fields)
#endif
#if UNSB_ARTIFACTS
#define UNSBI_ARTIFACT(fields) fields
#else
#define UNSBI_ARTIFACT(fields)
#endif

/* Of any answer, though meant for refusals: {"error": "code", "message": "text"}, {"error":
 * {"code": ..., "message": ...}}, {"errors": {"detail": "text"}} and the like. */
#define UNSBI_REFUSAL_LIST(X)                                                                      \
    X("\4code", UNSBI_IN(error), UNSBI_KIND_TEXT, UNSBI_ROOM(error))                               \
    X("\6detail", UNSBI_IN(message), UNSBI_KIND_TEXT, UNSBI_ROOM(message))                         \
    X("\5error", UNSBI_IN(error), UNSBI_KIND_REFUSAL, UNSBI_ROOM(error))                           \
    X("\6errors", 0, UNSBI_KIND_CONTAINER, UNSBI_IN_REFUSAL)                                       \
    X("\7message", UNSBI_IN(message), UNSBI_KIND_TEXT, UNSBI_ROOM(message))                        \
    UNSBI_DETAIL(                                                                                  \
    X("\14challenge_id", UNSBI_IN(challenge_id), UNSBI_KIND_TEXT, UNSBI_ROOM(challenge_id))        \
    X("\21active_executions", UNSBI_IN(active_executions), UNSBI_KIND_INT32,                       \
      UNSB_GIVEN_ACTIVE_EXECUTIONS)                                                                \
    X("\21concurrency_limit", UNSBI_IN(concurrency_limit), UNSBI_KIND_INT32,                       \
      UNSB_GIVEN_CONCURRENCY_LIMIT))
UNSBI_FIELDS(unsbi_refusal_fields, UNSBI_REFUSAL_LIST, NULL)

/* Of a run, or a job: what comes most often first. */
#define UNSBI_OUTCOME_LIST(X)                                                                      \
    X("\6stdout", UNSBI_IN(out), UNSBI_KIND_OUTPUT, 1)                                             \
    X("\6stderr", UNSBI_IN(err), UNSBI_KIND_OUTPUT, 1)                                             \
    X("\11exit_code", UNSBI_IN(exit_code), UNSBI_KIND_LOWER32, UNSB_GIVEN_EXIT_CODE)               \
    X("\7success", UNSBI_IN(success), UNSBI_KIND_BOOL, UNSB_GIVEN_SUCCESS)                         \
    X("\6status", UNSBI_IN(status), UNSBI_KIND_STATUS, 0)                                          \
    X("\6result", 0, UNSBI_KIND_CONTAINER, UNSBI_IN_RESULT)                                        \
    X("\6job_id", UNSBI_IN(job_id), UNSBI_KIND_ID, UNSBI_ROOM(job_id))                             \
    UNSBI_DETAIL(                                                                                  \
    X("\10language", UNSBI_IN(language), UNSBI_KIND_TEXT, UNSBI_ROOM(language))                    \
    X("\16execution_mode", UNSBI_IN(execution_mode), UNSBI_KIND_TEXT, UNSBI_ROOM(execution_mode))  \
    X("\14network_mode", UNSBI_IN(network_mode), UNSBI_KIND_TEXT, UNSBI_ROOM(network_mode))        \
    X("\15total_time_ms", UNSBI_IN(total_time_ms), UNSBI_KIND_INT64, UNSB_GIVEN_TOTAL_TIME_MS)     \
    X("\12created_at", UNSBI_IN(created_at), UNSBI_KIND_TIME, UNSB_GIVEN_CREATED_AT)               \
    X("\12started_at", UNSBI_IN(started_at), UNSBI_KIND_TIME, UNSB_GIVEN_STARTED_AT)               \
    X("\14completed_at", UNSBI_IN(completed_at), UNSBI_KIND_TIME, UNSB_GIVEN_COMPLETED_AT)         \
    X("\21detected_language", UNSBI_IN(detected_language), UNSBI_KIND_TEXT,                        \
      UNSBI_ROOM(detected_language)))                                                              \
    UNSBI_ARTIFACT(                                                                                \
    X("\10artifact", 0, UNSBI_KIND_CONTAINER, UNSBI_IN_ARTIFACT)                                   \
    X("\11artifacts", 0, UNSBI_KIND_CONTAINER, UNSBI_IN_ARTIFACTS)                                 \
    X("\15wasm_artifact", 0, UNSBI_KIND_CONTAINER, UNSBI_IN_WASM_ARTIFACT))
UNSBI_FIELDS(unsbi_outcome_fields, UNSBI_OUTCOME_LIST, &unsbi_refusal_fields)

#if UNSB_ARTIFACTS
#define UNSBI_ARTIFACT_LIST(X)                                                                     \
    X("\7content", 0, UNSBI_KIND_CONTENT, 0)                                                       \
    X("\16content_base64", 0, UNSBI_KIND_CONTENT, 0)                                               \
    X("\4data", 0, UNSBI_KIND_CONTENT, 0)                                                          \
    X("\10filename", UNSBI_IN(artifact_name), UNSBI_KIND_OUTPUT, 0)                                \
    X("\4name", UNSBI_IN(artifact_name), UNSBI_KIND_OUTPUT, 0)                                     \
    X("\11mime_type", UNSBI_IN(artifact_info), UNSBI_KIND_TEXT, UNSBI_ROOM(artifact_info))         \
    X("\5error", UNSBI_IN(artifact_info), UNSBI_KIND_TEXT, UNSBI_ROOM(artifact_info))              \
    X("\4size", UNSBI_IN(artifact_size), UNSBI_KIND_INT64, 0)                                      \
    X("\4type", 0, UNSBI_KIND_TYPE, 0)
UNSBI_FIELDS(unsbi_artifact_fields, UNSBI_ARTIFACT_LIST, NULL)
#endif

#if UNSB_LISTS
/* Of unsb_job_list() and unsb_languages(): of the answer, and of an item that is an object; besides
 * what a job has. */
#define UNSBI_LIST_LIST(X)                                                                         \
    X("\4jobs", 0, UNSBI_KIND_CONTAINER, UNSBI_IN_ITEMS)                                           \
    X("\11languages", 0, UNSBI_KIND_CONTAINER, UNSBI_IN_ITEMS)                                     \
    X("\7aliases", 0, UNSBI_KIND_CONTAINER, UNSBI_IN_ALIASES)                                      \
    X("\4name", UNSBI_IN(language), UNSBI_KIND_TEXT, UNSBI_ROOM(language))                         \
    X("\14submitted_at", UNSBI_IN(created_at), UNSBI_KIND_TIME, UNSB_GIVEN_CREATED_AT)
UNSBI_FIELDS(unsbi_list_fields, UNSBI_LIST_LIST, &unsbi_outcome_fields)
#endif

#if UNSB_REQUEST
/* Of a call whose answer is read: the id of a session or service will do for a job's. */
#define UNSBI_CALL_LIST(X)                                                                         \
    X("\2id", UNSBI_IN(job_id), UNSBI_KIND_OTHER_ID, UNSBI_ROOM(job_id))                           \
    X("\12service_id", UNSBI_IN(job_id), UNSBI_KIND_OTHER_ID, UNSBI_ROOM(job_id))                  \
    X("\12session_id", UNSBI_IN(job_id), UNSBI_KIND_OTHER_ID, UNSBI_ROOM(job_id))
UNSBI_FIELDS(unsbi_call_fields, UNSBI_CALL_LIST, &unsbi_outcome_fields)
#endif

#if UNSB_KEYS
#define UNSBI_KEY(member) (uint16_t) offsetof(unsb_key, member)
#define UNSBI_KEY_ROOM(member) (uint8_t)sizeof(((unsb_key *)0)->member)
#define UNSBI_OF_KEY(kind) UNSBI_KIND_##kind | UNSBI_KIND_OF_KEY
#define UNSBI_KEY_LIST(X)                                                                          \
    X("\5valid", UNSBI_KEY(valid), UNSBI_OF_KEY(BOOL), UNSB_GIVEN_SUCCESS)                         \
    X("\6reason", UNSBI_KEY(reason), UNSBI_OF_KEY(TEXT), UNSBI_KEY_ROOM(reason))                   \
    X("\4tier", UNSBI_KEY(tier), UNSBI_OF_KEY(TEXT), UNSBI_KEY_ROOM(tier))                         \
    X("\5burst", UNSBI_KEY(burst), UNSBI_OF_KEY(INT32), 0)                                         \
    X("\13concurrency", UNSBI_KEY(concurrency), UNSBI_OF_KEY(INT32), 0)                            \
    X("\12rate_limit", UNSBI_KEY(rate_per_minute), UNSBI_OF_KEY(INT32), 0)                         \
    X("\17rate_per_minute", UNSBI_KEY(rate_per_minute), UNSBI_OF_KEY(INT32), 0)                    \
    X("\12expires_at", UNSBI_KEY(expires_at), UNSBI_OF_KEY(TIME), 0)                               \
    X("\23expired_at_datetime", UNSBI_KEY(expires_at), UNSBI_OF_KEY(TIME), 0)                      \
    X("\26valid_through_datetime", UNSBI_KEY(expires_at), UNSBI_OF_KEY(TIME), 0)
UNSBI_FIELDS(unsbi_key_fields, UNSBI_KEY_LIST, &unsbi_refusal_fields)
#endif

/* What counts of texts that are one word: those of unsb_status have its numbers, and the literals
 * those of their events; the truth values among them are odd if they are true. No text is the
 * first one, as bit 5 of it would be set. */
static const char unsbi_words[] = "\1@\5error\7pending\7running\11cancelled\11completed\6failed"
                                  "\7timeout\5false\4true\1" "0\1" "1";
enum { UNSBI_WORD_ERROR = UNSB_STATUS_UNKNOWN, UNSBI_WORD_FALSE = UNSB_JSON_FALSE };

/* `by_id`: what names the job stays, and with it what was told of it */
UNSBI_CALLED void unsbi_clear_result(unsb_result *r, bool by_id)
{
    memset((char *)r + offsetof(unsb_result, given), 0,
           offsetof(unsb_result, out) - offsetof(unsb_result, given));
    memset(&r->context + 1, 0,
           offsetof(unsb_result, job_id) - offsetof(unsb_result, context) - sizeof r->context);
    if (by_id)
        return;
    r->job_id[0] = '\0';
#if UNSB_DETAILS
    r->detected_language[0] = '\0';
#endif
}

static void unsbi_result_reset(const unsb_client *client)
{
    unsbi_clear_result(client->result, (client->op->flags & UNSBI_OP_BY_ID) != 0);
}

#if UNSB_DETAILS
/* ---- times ---- */

/* The short text, RFC 3339 section 5.6, to Unix seconds. The fraction is dropped; a time without an
 * offset is UTC, and an offset may be of hours alone. */
UNSBI_CALLED bool unsbi_time(unsb_client *client, size_t size, int64_t *seconds)
{
    /* year (its low byte), month, day, hour, minute, second, the offset's hours and minutes: the
     * least that each may be, the most less that, and what may follow its digits, in lower case */
    static const struct rule {
        uint8_t least, range, next, or_next;
    } rules[8] = {{0, 255, '-', '-'}, {1, 11, '-', '-'}, {1, 30, 't', ' '}, {0, 23, ':', ':'},
                  {0, 59, ':', ':'},  {0, 60, '+', '-'}, {0, 23, ':', ':'}, {0, 59, 0, 0}};
    const struct rule *rule = rules;
    const char *p = client->u.rx.u.text, *end = p + size;
    int32_t part[8], year, days, n, sign = 0;
    size_t i, left = 4;
    uint8_t c;

    if (UNSB_LISTS && (client->op->flags & UNSBI_OP_LIST) != 0)
        memcpy(client->result->submitted_at, p, 31); /* its last byte stays a NUL */
    for (i = 0;; rule++, left = 2) {
        for (n = 0; left != 0; n = n * 10 + c, left--) {
            c = (uint8_t)(*p++ - '0');
            if (c > 9)
                return false;
        }
        n -= rule->least;
        if ((uint8_t)n > rule->range)
            return false;
        part[i++] = n;
        if (i > 6)
            part[i - 4] += n * sign;
        if (i == 6) {
            if (*p == '.')
                do
                    p++;
                while (unsbi_is_digit((uint8_t)*p));
            c = (uint8_t)(*p | 0x20);
            sign = c - ','; /* '+': -1, '-': 1 */
            if (c == 'z')
                p++, rule = rules + 7; /* nothing may follow */
        }
        if (p == end)
            break;
        c = (uint8_t)(*p++ | 0x20);
        if (c != rule->next && c != rule->or_next)
            return false;
    }
    if (i < 6 || part[0] == 0)
        return false;
    /* Years begin in March here, so that a leap day is the last. Small machines cannot divide:
     * 5243 / 2^19 is 1 / 100 up to 43698, 979 / 2^5 the 30.6 days of a month, rounded as need
     * be. */
    year = part[0];
    n = part[1] - 2;
    if (n < 0) {
        year--;
        n += 12;
    }
    days = year * 365 + (year >> 2) - (year * 5243 >> 19) + (year * 5243 >> 21) +
           ((n * 979 + 15) >> 5) + part[2] - 719468;
    /* a day has 675 * 128 seconds */
    n = (part[3] * 60 + part[4]) * 60 + part[5];
    *seconds = (int64_t)(int32_t)((uint32_t)days * 675u) * 128 + n;
    return true;
}

#endif

/* ---- to the caller ---- */

/* After a callback: its code, or that it has stopped the operation. */
static int unsbi_called(const unsb_client *client, int rc)
{
    if (client->state == UNSBI_IDLE)
        return UNSB_E_ABORTED;
    return unsbi_callback(rc);
}

/* The same after one that got a part of the answer. A refusal is no delivery: it may be sent
 * again. */
static int unsbi_delivered(unsb_client *client, int rc)
{
    if (client->result->http_status < 300)
        client->delivered = true;
    return unsbi_called(client, rc);
}

static int unsbi_deliver(unsb_client *client, unsb_output *out, const void *data, size_t size)
{
    if (size == 0)
        return UNSB_OK;
    return unsbi_delivered(client, unsbi_output_put(out, data, size));
}

#if UNSB_ARTIFACTS
static int unsbi_artifact(unsb_client *client, size_t size, bool end)
{
    unsb_result *r = client->result;
    unsb_artifact artifact;

    artifact.index = client->v.rx.index;
    artifact.filename = r->artifact_name.capacity != 0 ? (const char *)r->artifact_name.data : "";
    artifact.info = r->artifact_info;
    artifact.data = client->u.rx.json.text;
    artifact.size = size;
    artifact.total = r->artifact_size;
    artifact.wasm = (client->v.rx.within & 15) == UNSBI_IN_WASM_ARTIFACT;
    artifact.end = end;
    artifact.failed = end && (client->v.rx.spoilt || !client->v.rx.content);
    return unsbi_delivered(client, r->on_artifact(r->context, &artifact));
}
#endif

#if UNSB_LISTS
static int unsbi_item(unsb_client *client)
{
    unsb_result *r = client->result;

    if (r->on_item == NULL)
        return UNSB_OK;
    return unsbi_delivered(client, r->on_item(r->context, r));
}
#endif

/* ---- values ---- */

#if UNSB_ARTIFACTS
/* A piece of an artifact, in base64. */
static int unsbi_content(unsb_client *client, bool fresh)
{
    unsb_base64 *base64 = &client->u.rx.u.base64;
    /* it lies in the I/O buffer or in the reader, and may be overwritten */
    char *text = (char *)client->u.rx.json.text;
    size_t size;
    int rc, error;

    if (fresh) {
        if (client->v.rx.content) { /* a second one; what was delivered cannot be taken back */
            client->v.rx.field = NULL;
            return UNSB_OK;
        }
        client->v.rx.content = true;
        memset(base64, 0, sizeof *base64);
    }
    error = unsb_base64_decode(base64, text, client->u.rx.json.text_size, text, &size);
    rc = size != 0 ? unsbi_artifact(client, size, false) : UNSB_OK;
    if (error == UNSB_OK && !client->v.rx.going)
        error = unsb_base64_decode_end(base64);
    if (error != UNSB_OK) {
        client->v.rx.spoilt = true;
        client->v.rx.field = NULL;
        client->v.rx.fault = (int8_t)error;
    }
    return rc;
}
#endif

/* Appends to a text in its place, which has `room`; rx.count is how much came of it, up to that.
 * What does not fit is cut, between characters (RFC 3629 section 3). */
static void unsbi_gather(unsb_client *client, char *place, size_t room)
{
    const unsb_json_reader *json = &client->u.rx.json;
    size_t end = client->v.rx.count, n = unsbi_min(json->text_size, room - end);

    memcpy(place + end, json->text, n);
    end += n;
    client->v.rx.count = (uint8_t)end;
    if (end == room)
        do
            end--;
        while (end > 0 && ((uint8_t)place[end] & 0xC0) == 0x80);
    place[end] = '\0';
}

/* A literal, a number (then `json` has it) or a whole short text that is a field's value. */
UNSBI_CALLED void unsbi_scalar(unsb_client *client, const unsbi_field *field, void *place,
                               int event)
{
    uint8_t kind = field->kind & 0x7F, word = (uint8_t)event;
    unsb_result *r = client->result;
    int64_t value = 0;
    bool given = event == UNSB_JSON_NUMBER && unsbi_integer(&client->u.rx.json, false, &value);

    if (event == UNSB_JSON_STRING) {
        word = unsbi_find(unsbi_words, client->u.rx.u.text, client->v.rx.count, 0x20);
#if UNSB_ARTIFACTS
        if (kind == UNSBI_KIND_TYPE && word == UNSBI_WORD_ERROR)
            client->v.rx.spoilt = true;
#endif
#if UNSB_DETAILS
        if (kind == UNSBI_KIND_TIME)
            given = unsbi_time(client, client->v.rx.count, &value);
#endif
        /* one within "result" does not outrank the job's own */
        if (kind == UNSBI_KIND_STATUS &&
            (r->status == UNSB_STATUS_NONE || (client->v.rx.within & 15) != UNSBI_IN_RESULT))
            r->status = word <= UNSB_STATUS_TIMEOUT ? (unsb_status)word : UNSB_STATUS_UNKNOWN;
    }
    if (kind == UNSBI_KIND_BOOL && !given) {
        value = word & 1;
        given = (uint8_t)(word - UNSBI_WORD_FALSE) < 4;
    }
#if UNSB_DETAILS
    if (kind == UNSBI_KIND_INT32 && (int32_t)value != value)
        return;
#endif
    if (!given || kind < UNSBI_KIND_BOOL)
        return;
    if (kind == UNSBI_KIND_BOOL)
        *(bool *)place = value != 0;
#if UNSB_DETAILS || UNSB_ARTIFACTS
    else if (kind > UNSBI_KIND_LOWER32)
        *(int64_t *)place = value;
#endif
    else
        *(int32_t *)place = (int32_t)value;
    r->given = (uint16_t)(r->given | field->arg);
}

static int unsbi_output(unsb_client *client, unsb_output *out, bool is_text, bool fresh)
{
    const unsb_json_reader *json = &client->u.rx.json;
    int rc = UNSB_OK;

    if (!is_text)
        return UNSB_OK;
    if (fresh)
        rc = unsbi_called(client, unsbi_output_restart(out));
    return rc == UNSB_OK ? unsbi_deliver(client, out, json->text, json->text_size) : rc;
}

#if UNSB_NUMBERS
/* A number where a text is expected: its digits. */
static bool unsbi_number_text(unsb_client *client)
{
    unsb_json_reader *json = &client->u.rx.json;
    char *end = client->u.rx.u.text + sizeof client->u.rx.u.text;
    int64_t value;

    if (!unsbi_integer(json, false, &value) || value < 0)
        return false;
    json->text = unsbi_decimal((uint64_t)value, end);
    json->text_size = (size_t)(end - json->text);
    return true;
}
#endif

/* A text of a fixed size, or a piece of it; of an id only when it is whole. */
static void unsbi_text(unsb_client *client, char *place, size_t room, bool id)
{
    char *first = place + room - 1; /* of an id, hidden until it is whole */

    if (id && client->v.rx.count != 0)
        place[0] = *first;
    unsbi_gather(client, place, room);
    if (!id)
        return;
    /* an id must be whole to be of use: it fits, and no NUL ends it early */
    if (strlen(place) != client->v.rx.count)
        client->v.rx.count = (uint8_t)room;
    else if (client->v.rx.going)
        *first = place[0];
    else
        return;
    place[0] = '\0';
}

/* A value of a known field, or a piece of it, or the beginning of a container. */
UNSBI_CALLED int unsbi_value(unsb_client *client, int event, bool fresh)
{
    const unsbi_field *field = client->v.rx.field;
    char *base = (char *)client->result;
    void *place;
    uint8_t kind = field->kind;
    bool is_text = event == UNSB_JSON_STRING;

#if UNSB_KEYS
    if (kind >= UNSBI_KIND_OF_KEY) {
        kind = (uint8_t)(kind - UNSBI_KIND_OF_KEY);
        base = (char *)client->extra;
    }
#endif
    place = base + field->offset;
    if (event == UNSB_JSON_NULL)
        return UNSB_OK;
    if (kind == UNSBI_KIND_OUTPUT) {
        if (field->arg != 0) { /* it is the program's */
            client->v.rx.output = true;
            if (!is_text)
                client->v.rx.fault = UNSB_E_RESPONSE;
        }
        return unsbi_output(client, (unsb_output *)place, is_text, fresh);
    }
#if UNSB_ARTIFACTS
    if (kind == UNSBI_KIND_CONTENT)
        return is_text ? unsbi_content(client, fresh) : UNSB_OK;
#endif
    if (kind > UNSBI_KIND_CONTENT) {
        if (is_text)
            unsbi_gather(client, client->u.rx.u.text, sizeof client->u.rx.u.text);
        if (!client->v.rx.going)
            unsbi_scalar(client, field, place, event);
        return UNSB_OK;
    }
#if UNSB_NUMBERS
    if (event == UNSB_JSON_NUMBER && kind <= UNSBI_KIND_REFUSAL)
        is_text = unsbi_number_text(client);
#endif
    if (is_text)
        unsbi_text(client, (char *)place, field->arg, kind >= UNSBI_KIND_ID);
    return UNSB_OK;
}

/* ---- keys and containers ---- */

#if UNSB_LISTS
/* A language by its name alone, and an alias with what it stands for. */
static const unsbi_field unsbi_language = {UNSBI_IN(language), UNSBI_KIND_TEXT,
                                           UNSBI_ROOM(language)};
static const unsbi_field unsbi_alias = {UNSBI_IN(detected_language), UNSBI_KIND_TEXT,
                                        UNSBI_ROOM(detected_language)};
#endif

/* The field of a key that is whole, where it stands; NULL: of no consequence. */
static const unsbi_field *unsbi_find_field(const unsb_client *client, uint8_t within)
{
    const unsbi_fields *fields = client->op->fields;
    const unsbi_field *field;
    uint8_t found;

#if UNSB_ARTIFACTS
    if (within >= UNSBI_IN_ARTIFACT)
        fields = &unsbi_artifact_fields;
#endif
    if (within == UNSBI_IN_REFUSAL)
        fields = &unsbi_refusal_fields;
    for (;;) {
        found = unsbi_find(fields->names, client->u.rx.u.text, client->v.rx.count, 0);
        if (found != UNSBI_NO_WORD)
            break;
        fields = fields->more;
        if (fields == NULL)
            return NULL;
    }
    field = &fields->field[found];
#if UNSB_JOBS
    /* the job that was asked for keeps the name that it was asked by */
    if (field->kind == UNSBI_KIND_ID && (client->op->flags & UNSBI_OP_BY_ID) != 0)
        return NULL;
#endif
#if UNSB_REQUEST
    if (field->kind == UNSBI_KIND_OTHER_ID && client->result->job_id[0] != '\0')
        return NULL; /* a job's id comes first */
#endif
    return field;
}

/* A piece of a key. */
static void unsbi_key(unsb_client *client, uint8_t within)
{
#if UNSB_LISTS
    if (within == UNSBI_IN_ALIASES) {
        client->v.rx.field = &unsbi_alias;
        unsbi_gather(client, client->result->language, sizeof client->result->language);
        return;
    }
#endif
    unsbi_gather(client, client->u.rx.u.text, sizeof client->u.rx.u.text);
    if (client->v.rx.going)
        return;
    client->v.rx.field = unsbi_find_field(client, within);
    if (client->v.rx.field == NULL)
        unsb_json_skip(&client->u.rx.json);
}

/* What a container is that begins, or UNSBI_IN_NOTHING if it is not known there. */
UNSBI_CALLED uint8_t unsbi_container(const unsb_client *client, uint8_t within, bool array)
{
    const unsbi_field *field = client->v.rx.field;
    uint8_t what = UNSBI_IN_NOTHING;

    if (within == UNSBI_IN_NOTHING) {
        what = UNSB_LISTS && array && (client->op->flags & UNSBI_OP_LIST) != 0 ? UNSBI_IN_ITEMS
                                                                               : UNSBI_IN_ROOT;
    } else if ((within & UNSBI_IN_ARRAY) != 0) {
        what = (uint8_t)(within + 1);
    } else if (within <= UNSBI_IN_RESULT) { /* its key has a field: others are skipped */
        if (field->kind == UNSBI_KIND_CONTAINER && field->arg != within)
            what = field->arg;
        if (field->kind == UNSBI_KIND_REFUSAL)
            what = UNSBI_IN_REFUSAL;
    }
    if (array != ((what & UNSBI_IN_ARRAY) != 0))
        what = UNSBI_IN_NOTHING;
#if UNSB_ARTIFACTS
    if (what >= UNSBI_IN_ARTIFACTS && client->result->on_artifact == NULL)
        what = UNSBI_IN_NOTHING;
#endif
    return what;
}

static int unsbi_container_begins(unsb_client *client, uint8_t within, bool array)
{
    uint8_t what = unsbi_container(client, within, array);

    if (what == UNSBI_IN_NOTHING) {
        unsb_json_skip(&client->u.rx.json);
        return within == UNSBI_IN_NOTHING ? UNSB_E_RESPONSE : UNSB_OK;
    }
    client->v.rx.within = (uint16_t)(client->v.rx.within << 4 | what);
    client->v.rx.field = NULL;
    if (what == UNSBI_IN_RESULT)
        client->v.rx.outcome = true;
#if UNSB_LISTS
    if (what == UNSBI_IN_ITEM)
        unsbi_result_reset(client);
    if (what == UNSBI_IN_ITEMS) {
        client->result->detected_language[0] = '\0'; /* of an alias before */
        if ((client->op->flags & UNSBI_OP_TEXTS) != 0)
            client->v.rx.field = &unsbi_language;
    }
#endif
#if UNSB_ARTIFACTS
    if (what > UNSBI_IN_ARTIFACTS) {
        client->v.rx.content = client->v.rx.spoilt = false;
        client->result->artifact_size = -1;
        client->result->artifact_info[0] = '\0';
        unsbi_clear_output(&client->result->artifact_name);
    }
#endif
    return UNSB_OK;
}

static int unsbi_container_ends(unsb_client *client, uint8_t within)
{
    int rc = UNSB_OK;

    (void)within;
#if UNSB_LISTS
    if (within == UNSBI_IN_ITEM)
        rc = unsbi_item(client);
#endif
#if UNSB_ARTIFACTS
    if (within > UNSBI_IN_ARTIFACTS) {
        rc = unsbi_artifact(client, 0, true);
        client->v.rx.index++;
    }
#endif
    client->v.rx.within >>= 4;
    client->v.rx.field = NULL;
    return rc;
}

/* Follows one event of the JSON reader. */
UNSBI_CALLED int unsbi_event(unsb_client *client, int event)
{
    uint8_t within = client->v.rx.within & 15;
    bool fresh = !client->v.rx.going;
    int rc = UNSB_OK;

    client->v.rx.going = client->u.rx.json.partial;
    if (fresh)
        client->v.rx.count = 0;
    if (event == UNSB_JSON_KEY) {
        unsbi_key(client, within);
        return UNSB_OK;
    }
    if (event == UNSB_JSON_OBJECT_END || event == UNSB_JSON_ARRAY_END)
        return unsbi_container_ends(client, within);
    if (client->v.rx.field != NULL) {
        rc = unsbi_value(client, event, fresh);
#if UNSB_LISTS
        if (event == UNSB_JSON_STRING && !client->v.rx.going &&
            (within == UNSBI_IN_ITEMS || within == UNSBI_IN_ALIASES))
            return unsbi_item(client);
#endif
    }
    if (event < UNSB_JSON_KEY)
        return unsbi_container_begins(client, within, event == UNSB_JSON_ARRAY_BEGIN);
    return within != UNSBI_IN_NOTHING ? rc : UNSB_E_RESPONSE; /* the answer is no object */
}

/* A piece of the response's body. It is unescaped and decoded where it lies. */
static int unsbi_body(unsb_client *client, char *data, size_t size)
{
    unsb_json_reader *json = &client->u.rx.json;
    size_t used;
    int rc;

    if (UNSB_REQUEST && (client->op->flags & UNSBI_OP_RAW) != 0)
        return unsbi_deliver(client, &client->result->out, data, size);
    while (size != 0 && !client->v.rx.ignore) {
        rc = unsb_json_read(json, data, size, &used);
        data += used;
        size -= used;
        if (rc > 0) {
            rc = unsbi_event(client, rc);
            if (client->v.rx.within == UNSBI_IN_NOTHING) /* the document is over */
                client->v.rx.ignore = true;
        }
        if (rc >= 0)
            continue;
        /* a refusal may come with HTML, or with JSON of any other form */
        if (client->result->http_status < 300 || rc > UNSB_E_JSON || rc < UNSB_E_JSON_UTF8)
            return rc;
        client->v.rx.ignore = true;
    }
    return UNSB_OK;
}

/* ======================================================================
 * >>machine  The state machine
 *
 *   state     does, at most once a step          goes on to
 *   IDLE      nothing; `error` is the outcome    (an operation begins) MEASURE, PAUSE
 *   MEASURE   writes the request, a buffer-full  CONNECT
 *             at a time, to nowhere: counts,
 *             checks and signs it
 *   CONNECT   connect; or, if a connection was   SEND
 *             kept, sees that it still stands
 *   SEND      send; or looks for an early answer RECV
 *   RECV      recv, and decodes what came        IDLE; PAUSE, if it will be sent again
 *   PAUSE     lets time pass                     MEASURE
 *
 * unsbi_over() alone decides what an outcome means: the end, another try, or
 * that a job is to be waited for. A callback may stop the operation: whoever
 * has called one looks whether the state is IDLE.
 * ====================================================================== */

#if UNSB_RETRIES
#define UNSBI_BACKOFF_MS 250u      /* before the first repetition; doubled for each further one, */
#define UNSBI_BACKOFF_DOUBLINGS 5u /* so often */
#endif
#define UNSBI_RETRY_AFTER_MAX_S 60u /* a longer one is left to the caller */
#if UNSB_JOBS
#define UNSBI_WAIT_FAILED_MS 2000u  /* after a poll that failed; after a 429 doubled for each that
                                       failed before it in a row, */
#define UNSBI_WAIT_DOUBLINGS 5u     /* so often */
#define UNSBI_WAIT_FAILURES 30u     /* failed polls in a row, */
#define UNSBI_WAIT_EARLY 5u         /* and such in which the job may not be known yet */
#endif
#define UNSBI_TTL_S 60u             /* the service's default */

static uint32_t unsbi_now(const unsb_client *client)
{
    const unsb_config *config = &client->config;

    return config->now_ms != NULL ? config->now_ms(config->time_context) : client->passed_ms;
}

/* How much of a limit is left; differences stay right when the clock wraps. */
UNSBI_CALLED uint32_t unsbi_left(const unsb_client *client, uint32_t limit, uint32_t since)
{
    uint32_t passed = unsbi_now(client) - since;

    if (limit >= UNSB_FOREVER)
        return UNSB_FOREVER;
    return passed < limit ? limit - passed : 0;
}

/* How long the outcome of a program that runs may be awaited. */
static uint32_t unsbi_run_limit(const unsb_client *client)
{
    return client->config.idle_timeout_ms + client->ttl_s * (uint32_t)1000;
}

static bool unsbi_pauses(const unsb_client *client)
{
#if UNSB_RETRIES || UNSB_JOBS
    return client->state == UNSBI_PAUSE;
#else
    (void)client;
    return false;
#endif
}

/* What is left of the limit of the present state. */
static uint32_t unsbi_state_left(const unsb_client *client)
{
    const unsb_config *config = &client->config;
    uint32_t limit = config->idle_timeout_ms;

    if (unsbi_pauses(client)) {
        limit = client->pause_ms;
    } else if (client->state == UNSBI_CONNECT) {
        limit = config->connect_timeout_ms;
    } else if (client->state == UNSBI_RECV && (client->op->flags & UNSBI_OP_RUNS) != 0) {
#if UNSB_RETRIES
        if (client->send_error == UNSB_OK)
#endif
            limit = unsbi_run_limit(client);
    }
    return unsbi_left(client, limit, client->mark_ms);
}

/* What is left of that of the operation. */
static uint32_t unsbi_total_left(const unsb_client *client)
{
    return unsbi_left(client, client->limit_ms, client->started_ms);
}

static void unsbi_disconnect(unsb_client *client)
{
    if (client->connected)
        client->config.transport.vtable->close(client->config.transport.context);
    client->connected = false;
}

/* Enters a state; its time limit runs from here. */
static void unsbi_enter(unsb_client *client, uint8_t state)
{
#ifdef UNSB_TRACE
    static const char names[][8] = {"idle", "measure", "connect", "send", "receive", "pause"};

    if (state != client->state)
        UNSB_TRACE(client, '=', names[state], strlen(names[state]));
#endif
    client->state = state;
    client->blocked = client->probe = false;
    client->mark_ms = unsbi_now(client);
}

/* Makes room for what is known while a request is sent, or a response read. */
UNSBI_CALLED void unsbi_clear_stage(unsb_client *client)
{
    memset(&client->v, 0, sizeof client->v);
    memset(&client->u, 0, sizeof client->u);
    client->begin = client->end = 0;
}

static void unsbi_start_request(unsb_client *client)
{
#if UNSB_KEEP_ALIVE
    /* what lay idle too long may have died in silence: a NAT forgets, a machine sleeps */
    if (unsbi_left(client, client->config.keep_alive_ms, client->mark_ms) == 0)
        unsbi_disconnect(client);
#endif
    unsbi_clear_stage(client);
    unsb_http_init(&client->http, UNSB_REQUEST && unsbi_is_same(unsbi_method(client), "HEAD"));
    client->result->http_status = 0;
    client->result->retry_after_s = 0;
    if (!UNSB_JOBS || (client->op->flags & UNSBI_OP_WAITS) == 0) /* which keeps how the job stood */
        unsbi_result_reset(client);
    client->sent = client->came = client->unusable = client->delivered = false;
#if UNSB_RETRIES
    client->send_error = UNSB_OK;
#endif
#if UNSB_SIGNING
    if (client->config.secret_key != NULL) {
        client->u.tx.unix_time = client->config.unix_time(client->config.time_context);
        unsbi_hmac_start(client->u.tx.hash, client->config.secret_key, 0x36,
                         (uint8_t *)client->config.buffer);
    }
#endif
    unsbi_enter(client, UNSBI_MEASURE);
}

#if UNSB_RETRIES || UNSB_JOBS
static void unsbi_pause(unsb_client *client, uint32_t ms)
{
    client->pause_ms = ms;
    unsbi_enter(client, UNSBI_PAUSE);
    client->blocked = true;
}
#endif

/* ---- the end of a request ---- */

#if UNSB_RETRIES || UNSB_JOBS
/* Could it go better another time? */
static bool unsbi_is_transient(int rc)
{
    return rc == UNSB_E_RESOLVE || rc == UNSB_E_CONNECT || rc == UNSB_E_TIMEOUT ||
           rc == UNSB_E_CLOSED || rc == UNSB_E_IO || rc == UNSB_E_TRUNCATED ||
           rc == UNSB_E_RATE_LIMITED || rc == UNSB_E_SERVER;
}

/* A pause, lengthened to what the service asked for, within reason. */
static uint32_t unsbi_polite_pause(const unsb_client *client, uint32_t pause)
{
    uint32_t asked = client->result->retry_after_s;

    asked = (asked < UNSBI_RETRY_AFTER_MAX_S ? asked : UNSBI_RETRY_AFTER_MAX_S) * 1000u;
    return pause < asked ? asked : pause;
}
#endif

#if UNSB_RETRIES || UNSB_JOBS
/* May the request be sent again, and is it worth it? Only where the service cannot have started it,
 * or where it may be repeated and nothing of the answer reached the caller. */
static bool unsbi_may_retry(const unsb_client *client, int rc)
{
    uint16_t status = client->result->http_status;
    bool unstarted = !client->sent || status == 429 || status == 503;
    bool repeatable = (client->op->flags & UNSBI_OP_SAFE) != 0;

    return unsbi_is_transient(rc) && !client->delivered &&
           (unstarted || repeatable);
}
#endif

UNSBI_CALLED void unsbi_end(unsb_client *client, int rc)
{
    client->error = rc;
    unsbi_enter(client, UNSBI_IDLE);
}

/* Does a 2xx answer tell how the run ended? */
static bool unsbi_is_over(const unsb_client *client)
{
    const unsb_result *r = client->result;
    bool outcome = client->v.rx.outcome ||
                   (r->given & (UNSB_GIVEN_SUCCESS | UNSB_GIVEN_EXIT_CODE |
                                UNSB_GIVEN_COMPLETED_AT)) != 0;

    if (r->status > UNSB_STATUS_UNKNOWN)
        return r->status >= UNSB_STATUS_CANCELLED;
    /* a word of tomorrow may stand for any state; without one, any part of a result will do */
    return outcome || ((r->status == UNSB_STATUS_NONE || r->job_id[0] == '\0') &&
                       (client->v.rx.output || (r->error[0] | r->message[0]) != '\0'));
}

#if UNSB_JOBS
/* How long to wait before the next poll of a job. */
UNSBI_CALLED uint32_t unsbi_cadence(unsb_client *client)
{
    /* in 50 ms, the cadence of the service's own client */
    static const uint8_t cadence[] = {6, 9, 14, 18, 13, 32, 40};
    uint32_t pause = client->config.wait_pause_ms;

    if (pause == 0)
        pause = cadence[client->polls] * 50u;
    if (client->polls < sizeof cadence - 1)
        client->polls++;
    return pause;
}

static const char unsbi_job_target[] = "/jobs/\0J\0";

/* Asks for a job until it has ended. */
static const unsbi_op unsbi_wait_op = {"GET", NULL, unsbi_job_target, unsbi_empty_template,
                                       unsbi_job_field, &unsbi_outcome_fields,
                                       UNSBI_OP_SAFE | UNSBI_OP_BY_ID | UNSBI_OP_WAITS};

/* A job is asked for from now on. */
UNSBI_CALLED void unsbi_wait_start(unsb_client *client, uint32_t limit_ms)
{
    client->op = &unsbi_wait_op;
    client->polls = client->failures = client->attempts = 0;
    client->known = client->delivered = false;
    client->started_ms = unsbi_now(client);
    client->limit_ms = limit_ms;
    unsbi_pause(client, unsbi_cadence(client));
}

/* A poll of a job is over: what follows? */
static void unsbi_wait_again(unsb_client *client, int rc)
{
    uint32_t pause = unsbi_cadence(client);
    uint8_t most = client->config.wait_failures;
    bool ends;

    if (rc == UNSB_OK) {
        ends = unsbi_is_over(client);
        client->known = true;
        client->failures = 0;
    } else if (rc == UNSB_E_NOT_FOUND) {
        if (client->known) /* jobs live in the service's memory, which a restart empties */
            rc = UNSB_E_JOB_LOST;
        ends = client->known || client->attempts++ >= UNSBI_WAIT_EARLY;
    } else {
        if (most == 0)
            most = UNSBI_WAIT_FAILURES;
        ends = !unsbi_may_retry(client, rc) || client->failures >= most;
        pause = UNSBI_WAIT_FAILED_MS;
        client->attempts = 0;
        if (rc == UNSB_E_SERVER)
            client->known = true;
        if (rc == UNSB_E_RATE_LIMITED)
            pause <<= unsbi_min(client->failures, UNSBI_WAIT_DOUBLINGS);
        client->failures++;
    }
    if (ends)
        unsbi_end(client, rc);
    else
        unsbi_pause(client, unsbi_polite_pause(client, pause));
}

/* Is it one, and no path but a segment of it? */
static bool unsbi_is_job_id(const char *id)
{
    size_t size = strlen(id);

    return size < UNSB_JOB_ID_SIZE && !unsbi_is_dots(id, size);
}

/* The service has made a job of what was to be run at once: it is asked for from now on. */
static void unsbi_follow(unsb_client *client)
{
    uint32_t limit = unsbi_run_limit(client), left = unsbi_total_left(client);

    if (!unsbi_is_job_id(client->result->job_id))
        unsbi_end(client, UNSB_E_RESPONSE);
    else if (client->timeless)
        unsbi_end(client, UNSB_E_NO_CLOCK);
    else
        unsbi_wait_start(client, limit < left ? limit : left);
}
#endif

#if UNSB_RETRIES
/* Sends the request again after a pause, if that may be and is worth it. */
static bool unsbi_retry(unsb_client *client, int rc)
{
    uint32_t pause = UNSBI_BACKOFF_MS << unsbi_min(client->attempts, UNSBI_BACKOFF_DOUBLINGS);

    if (client->attempts >= client->config.retries || client->timeless ||
        !unsbi_may_retry(client, rc) ||
        client->result->retry_after_s > UNSBI_RETRY_AFTER_MAX_S)
        return false;
    pause = unsbi_polite_pause(client, pause);
    if (pause >= unsbi_total_left(client))
        return false;
    client->attempts++;
    unsbi_pause(client, pause);
    return true;
}
#endif

/* A request has come to an end: is that the operation's? */
static void unsbi_over(unsb_client *client, int rc)
{
    if (client->state == UNSBI_IDLE) /* a callback has stopped it */
        return;
    if (client->unusable)
        unsbi_disconnect(client);
#if UNSB_JOBS
    if ((client->op->flags & UNSBI_OP_WAITS) != 0) {
        unsbi_wait_again(client, rc);
        return;
    }
    if (rc == UNSB_OK && (client->op->flags & UNSBI_OP_RUNS) != 0 && !unsbi_is_over(client)) {
        unsbi_follow(client);
        return;
    }
#endif
#if UNSB_RETRIES
    if (unsbi_retry(client, rc))
        return;
#endif
    unsbi_end(client, rc);
}

/* The same where the connection is left in the middle of something. */
UNSBI_CALLED void unsbi_fail(unsb_client *client, int rc)
{
    client->unusable = true;
    unsbi_over(client, rc);
}

#if UNSB_SIGNING
/* Is a word in a text, in whatever case? The word is in lower case. */
static bool unsbi_has_word(const char *text, const char *word)
{
    size_t i = 0;

    for (; *text != '\0' && word[i] != '\0'; text++)
        i = (*text | 0x20) == word[i] ? i + 1 : (*text | 0x20) == word[0];
    return word[i] == '\0';
}
#endif

/* What a status means; the service's words are read as far as they came. */
static int unsbi_status_error(const unsb_client *client)
{
    /* less 400; the codes follow each other from UNSB_E_BAD_REQUEST down */
    static const uint8_t known[] = {0, 1, 3, 4, 13, 29};
    uint16_t status = client->result->http_status;
    int i = 0;

    if (status < 400)
        return status < 300 ? UNSB_OK : UNSB_E_REDIRECT;
    if (status >= 500) /* RFC 9110 section 15: also from 600 on */
        return UNSB_E_SERVER;
    if (status == 428)
        return UNSB_E_CHALLENGE;
#if UNSB_SIGNING
    if (status == 401 && client->config.secret_key != NULL &&
        (unsbi_has_word(client->result->error, "timestamp") ||
         unsbi_has_word(client->result->message, "timestamp")))
        return UNSB_E_CLOCK;
#endif
    while (i < (int)sizeof known && known[i] != status - 400)
        i++;
    return UNSB_E_BAD_REQUEST - i; /* the last one is UNSB_E_REFUSED */
}

/* The response cannot be read on, or does not come. If its head tells of a refusal, that is the
 * outcome all the same; else what kept the request from being sent, if anything did. */
static void unsbi_broken(unsb_client *client, int rc)
{
    if (rc != UNSB_E_ABORTED) {
#if UNSB_RETRIES
        if (client->send_error != UNSB_OK)
            rc = client->send_error;
#endif
        if (client->result->http_status >= 300)
            rc = unsbi_status_error(client);
    }
    unsbi_fail(client, rc);
}

/* What a whole 2xx response amounts to. */
static int unsbi_judge(unsb_client *client)
{
    const unsb_json_reader *json = &client->u.rx.json;
    unsb_result *r = client->result;
    uint16_t op = client->op->flags;
    int rc;

    if ((op & UNSBI_OP_EMPTY) != 0 && json->state == UNSBI_JSON_VALUE && json->depth == 0)
        return UNSB_OK; /* nothing came */
    rc = unsb_json_read_end(&client->u.rx.json);
    if (rc > UNSB_OK) /* the document is a number */
        rc = UNSB_E_RESPONSE;
    if (rc == UNSB_OK)
        rc = client->v.rx.fault;
    if (rc == UNSB_OK && (op & UNSBI_OP_JOB) != 0 &&
        (!UNSB_JOBS || r->job_id[0] == '\0') && !unsbi_is_over(client))
        rc = UNSB_E_RESPONSE;
    if ((r->given & UNSB_GIVEN_SUCCESS) == 0)
        r->success = (r->status == UNSB_STATUS_COMPLETED || r->status <= UNSB_STATUS_UNKNOWN) &&
                     ((r->given & UNSB_GIVEN_EXIT_CODE) != 0
                          ? r->exit_code == 0
                          : r->status == UNSB_STATUS_COMPLETED);
    return rc;
}

/* The response is complete; `spare`: the peer sent more than that. */
static void unsbi_response_over(unsb_client *client, bool spare)
{
    uint16_t op = client->op->flags;
    int rc = unsbi_status_error(client);

#if UNSB_KEEP_ALIVE
    if ((client->http.flags & UNSB_HTTP_CLOSE) != 0 || spare || client->config.no_keep_alive)
        client->unusable = true;
#else
    (void)spare;
    client->unusable = true;
#endif
    if (rc == UNSB_OK && (!UNSB_REQUEST || (op & UNSBI_OP_RAW) == 0))
        rc = unsbi_judge(client);
    else if (UNSB_KEYS && (op & UNSBI_OP_KEY) != 0 &&
             (client->result->given & UNSB_GIVEN_SUCCESS) != 0)
        rc = UNSB_OK;
    unsbi_over(client, rc);
}

/* ---- the steps ---- */

static void unsbi_step_measure(unsb_client *client)
{
    int rc = unsbi_fill(client);

#if UNSB_SIGNING
    if (rc >= 0 && client->config.secret_key != NULL) {
        char *buffer = client->config.buffer;
        size_t hashed =
            unsbi_sha256_blocks(client->u.tx.hash, (const uint8_t *)buffer, client->end);
        client->v.tx.body_size += (unsb_size)hashed;
        client->end -= hashed;
        memmove(buffer, buffer + hashed, client->end);
        if (rc == UNSB_OK)
            unsbi_hmac_end(client->u.tx.hash, client->config.secret_key, (uint8_t *)buffer,
                           client->end, (uint64_t)client->v.tx.body_size + client->end);
        else
            return;
    }
#endif
    client->end = 0;
    if (rc < 0)
        unsbi_over(client, rc);
    if (rc != UNSB_OK)
        return;
    client->v.tx.body_size = client->v.tx.counted;
    client->v.tx.counted = 0;
    unsbi_enter(client, UNSBI_CONNECT);
}

static void unsbi_step_connect(unsb_client *client)
{
    const unsb_config *config = &client->config;
    const unsb_transport *t = &config->transport;
    int rc;

#if UNSB_KEEP_ALIVE || !UNSB_RETRIES
    if (client->connected && !client->blocked) {
        /* A kept connection. RFC 9112 section 9.5: the peer may have closed it at any time. If
         * there is anything to read, an end or unasked-for bytes, it is of no more use. */
        rc = t->vtable->recv(t->context, config->buffer, 1);
        if (rc == 0)
            unsbi_enter(client, UNSBI_SEND);
#if !UNSB_RETRIES
        /* or a fresh one, whose peer speaks first */
        else if (!UNSB_KEEP_ALIVE || client->probe)
            unsbi_fail(client, rc > 0 ? UNSB_E_HTTP : rc);
#endif
        else
            unsbi_disconnect(client);
        return;
    }
#endif
    client->connected = true;
    rc = t->vtable->connect(t->context, config->host, config->port);
    if (rc == UNSB_PENDING) {
        client->blocked = true;
    } else if (rc != UNSB_OK) {
        unsbi_fail(client, rc > 0 ? UNSB_E_CONNECT : rc);
    } else { /* A peer that speaks first has not answered this request. */
        unsbi_enter(client, UNSB_RETRIES ? UNSBI_SEND : UNSBI_CONNECT);
        client->probe = true;
    }
}

static void unsbi_start_response(unsb_client *client)
{
    unsbi_clear_stage(client);
    unsb_json_reader_init(&client->u.rx.json);
    client->u.rx.json.lenient = true;
    unsbi_enter(client, UNSBI_RECV);
}

/* The head has told what follows. */
static int unsbi_head_over(unsb_client *client)
{
    const unsb_http *http = &client->http;
    unsb_result *result = client->result;

    unsbi_result_reset(client);
    result->http_status = http->status;
    result->retry_after_s = http->retry_after_s;
    if ((http->flags & UNSB_HTTP_RETRY_AFTER) != 0)
        result->given |= UNSB_GIVEN_RETRY_AFTER;
#if UNSB_REQUEST
    if ((client->op->flags & UNSBI_OP_RAW) != 0) /* there may be something of a refusal before */
        return unsbi_called(client, unsbi_output_restart(&result->out));
#endif
    return UNSB_OK;
}

/* Takes in what the I/O buffer's first `size` bytes hold of the response. */
static void unsbi_decode(unsb_client *client, size_t size)
{
    char *p = client->config.buffer;
    size_t used, body;
    int rc = UNSB_PENDING, error = UNSB_OK;

    while (size != 0 && rc == UNSB_PENDING) {
#ifdef UNSB_TRACE
        bool traced = (client->http.flags & UNSB_HTTP_BODY) == 0;
#endif
        rc = unsb_http_feed(&client->http, p, size, &used, &body);
#ifdef UNSB_TRACE
        if (traced)
            UNSB_TRACE(client, '<', p, used - body);
#endif
        if (client->result->http_status == 0 && (client->http.flags & UNSB_HTTP_BODY) != 0)
            error = unsbi_head_over(client);
        if (rc >= 0 && error == UNSB_OK)
            error = unsbi_body(client, p + used - body, body);
        if (error != UNSB_OK) {
            unsbi_fail(client, error);
            return;
        }
        p += used;
        size -= used;
    }
    if (rc < 0)
        unsbi_broken(client, rc);
    else if (rc == UNSB_OK)
        unsbi_response_over(client, size != 0);
}

#if UNSB_RETRIES
/* The peer takes no more of the request: perhaps because it has answered (RFC 9112 section 9.5).
 * There is no room to receive, but one byte at a time tells. Interim responses (RFC 9110 section
 * 15.2) are passed over; a final one's status ends the request where it is. */
static void unsbi_early(unsb_client *client)
{
    const unsb_transport *t = &client->config.transport;
    char c = 0;
    size_t used, body;
    int n = t->vtable->recv(t->context, &c, 1);
    bool ends = n < 0 && n != UNSB_E_ABORTED && client->came;

    if (n == 0) {
        client->probe = false;
        return;
    }
    client->mark_ms = unsbi_now(client);
    if (n > 0) {
#ifdef UNSB_TRACE
        UNSB_TRACE(client, '<', &c, (size_t)1);
#endif
        client->came = true;
        n = unsb_http_feed(&client->http, &c, 1, &used, &body);
        ends = n >= 0 && client->http.status >= 200;
    }
    /* what was not asked for can be refused, but no success */
    if (ends && !client->sent && client->http.status < 300) {
        ends = false;
        if (n >= 0)
            n = UNSB_E_HTTP;
    }
    if (n < 0 && !ends) {
        unsbi_fail(client, n);
        return;
    }
    if (ends || !client->sent)
        client->unusable = true;
    if (ends)
        unsbi_start_response(client);
}
#endif

static void unsbi_step_send(unsb_client *client)
{
    const unsb_config *config = &client->config;
    const unsb_transport *t = &config->transport;
    int n;

    if (client->begin == client->end) {
        client->begin = client->end = 0;
        n = unsbi_fill(client);
        /* Is it not what was announced? That must be known before its announced length is sent. */
        if ((n == UNSB_OK && client->v.tx.counted != client->v.tx.body_size) ||
            (n == UNSB_PENDING && client->v.tx.counted >= client->v.tx.body_size &&
             client->v.tx.counted != 0))
            n = UNSB_E_SOURCE;
        if (n < 0) {
            unsbi_fail(client, n);
            return;
        }
    }
#if UNSB_RETRIES
    if (client->probe) {
        unsbi_early(client);
        return;
    }
#endif
    n = t->vtable->send(t->context, config->buffer + client->begin, client->end - client->begin);
    if (n > 0) {
        unsbi_enter(client, UNSBI_SEND);
        client->sent = true;
        client->begin += unsbi_min((size_t)n, client->end - client->begin);
        if (client->begin == client->end && client->v.tx.part == UNSBI_ALL_WRITTEN)
            unsbi_start_response(client);
    } else if (n == 0) {
        client->blocked = true;
        client->probe = UNSB_RETRIES;
#if UNSB_RETRIES
    } else if (n != UNSB_E_ABORTED && client->sent) { /* there may be an answer that says why */
        client->send_error = n;
        client->unusable = true;
        unsbi_start_response(client);
#endif
    } else {
        unsbi_fail(client, n);
    }
}

static void unsbi_step_recv(unsb_client *client)
{
    const unsb_config *config = &client->config;
    const unsb_transport *t = &config->transport;
    int n = t->vtable->recv(t->context, config->buffer, config->buffer_size), rc;

    if (n > 0) {
        client->mark_ms = unsbi_now(client);
        client->blocked = false;
        client->came = true;
        unsbi_decode(client, unsbi_min((size_t)n, config->buffer_size));
    } else if (n == 0) {
        client->blocked = true;
    } else {
        client->unusable = true;
        rc = n == UNSB_E_CLOSED ? unsb_http_end(&client->http) : n;
        if (rc == UNSB_OK)
            unsbi_response_over(client, false);
        else
            unsbi_broken(client, client->came ? rc : n);
    }
}

/* What it comes to is in the client's state, and then its error. */
static void unsbi_step(unsb_client *client)
{
    switch (client->state) {
    case UNSBI_MEASURE:
        unsbi_step_measure(client);
        break;
    case UNSBI_CONNECT:
        unsbi_step_connect(client);
        break;
    case UNSBI_SEND:
        unsbi_step_send(client);
        break;
    case UNSBI_RECV:
        unsbi_step_recv(client);
        break;
    default: /* UNSBI_PAUSE */
        break;
    }
}

/* Ends the operation at once, whatever might be tried again. */
static void unsbi_stop(unsb_client *client, int rc)
{
    unsbi_disconnect(client);
    unsbi_end(client, rc);
}

/* The limit of a state has passed. */
static void unsbi_timed_out(unsb_client *client)
{
    if (unsbi_pauses(client))
        unsbi_start_request(client);
    else
        unsbi_broken(client, UNSB_E_TIMEOUT);
}

UNSB_API int unsb_poll(unsb_client *client)
{
    if (client->entered)
        return UNSB_E_BUSY;
    if (client->config.transport.vtable == NULL)
        return UNSB_E_CLIENT;
    if (client->state != UNSBI_IDLE) {
        client->entered = true;
        unsbi_step(client);
        if (client->state != UNSBI_IDLE) {
            if (unsbi_total_left(client) == 0)
                unsbi_stop(client, UNSB_E_TIMEOUT);
            else if (client->blocked && unsbi_state_left(client) == 0)
                unsbi_timed_out(client);
        }
        client->entered = false;
    }
    return client->error;
}

/* What the client itself waits for. */
static int unsbi_want(const unsb_client *client)
{
    switch (client->state) {
    case UNSBI_CONNECT:
        return UNSB_WRITABLE;
    case UNSBI_SEND:
        return UNSB_RETRIES ? UNSB_WRITABLE | UNSB_READABLE : UNSB_WRITABLE;
    case UNSBI_RECV:
        return UNSB_READABLE;
    default:
        return 0;
    }
}

/* How long it may wait before it must look again. */
static uint32_t unsbi_patience(const unsb_client *client)
{
    uint32_t state, total;

    if (!client->blocked || client->probe)
        return 0;
    state = unsbi_state_left(client);
    total = unsbi_total_left(client);
    return state < total ? state : total;
}

/* Carries an operation to its end. */
static int unsbi_block(unsb_client *client)
{
    const unsb_transport *t = &client->config.transport;
    int rc, waited;
    uint32_t ms;

    while ((rc = unsb_poll(client)) == UNSB_PENDING) {
        ms = unsbi_patience(client);
        if (ms == 0)
            continue;
        waited = t->vtable->wait(t->context, unsbi_want(client), ms);
        /* without a clock a pause is over when `wait` returns */
        if (waited == UNSB_E_TIMEOUT || (waited == UNSB_OK && unsbi_pauses(client)))
            client->passed_ms += ms;
        else if (waited < 0)
            unsbi_fail(client, waited);
    }
    return rc;
}

/* ======================================================================
 * >>public
 * ====================================================================== */

#if !defined(__SDCC)
UNSB_API unsb_source unsb_text(const char *text)
{
    unsb_source source;

    unsbi_set_source(&source, text, text != NULL ? (unsb_size)strlen(text) : 0);
    return source;
}

UNSB_API unsb_source unsb_bytes(const void *data, unsb_size size)
{
    unsb_source source;

    unsbi_set_source(&source, data, size);
    return source;
}

UNSB_API unsb_output unsb_into(char *memory, size_t capacity)
{
    unsb_output output = {NULL, 0, NULL, NULL, 0};

    output.data = memory;
    output.capacity = capacity;
    return output;
}
#endif

/* Visible ASCII, and nothing that could end a line or a word of a request's head. */
static bool unsbi_is_header_safe(const char *text, char also)
{
    for (; *text != '\0'; text++)
        if ((*text <= ' ' || *text >= 0x7F) && *text != also)
            return false;
    return true;
}

/* A name or an address: no URL, no port, no brackets; an IPv6 address may have a zone. */
static bool unsbi_is_host(const char *host)
{
    const char *p;
    unsigned colons = 0;

    for (p = host; *p > ' ' && *p < 0x7F && *p != '/' && *p != '['; p++)
        colons += *p == ':';
    return p != host && *p == '\0' && colons != 1;
}

/* Checks a configuration, and puts in what it leaves to the library. */
static int unsbi_configure(unsb_config *c)
{
    static const uint32_t standard[] = { /* in the order of the members, which are in a row */
        30000, 60000, UNSB_FOREVER,
#if UNSB_KEEP_ALIVE
        118000
#endif
    };
    const unsb_transport_class *t = c->transport.vtable;
    uint32_t *limit = (uint32_t *)(void *)((char *)c + offsetof(unsb_config, connect_timeout_ms));
    size_t i;

    if (t == NULL || t->connect == NULL || t->send == NULL || t->recv == NULL ||
        t->close == NULL || (t->wait == NULL && !c->nonblocking) || c->buffer == NULL)
        return UNSB_E_ARGUMENT;
    if (c->host == NULL)
        c->host = "api.unsandbox.com";
    if (c->port == 0)
        c->port = 443;
    if (c->buffer_size < UNSB_BUFFER_MIN)
        return UNSB_E_BUFFER;
    if (c->secret_key != NULL && !UNSB_SIGNING)
        return UNSB_E_NO_SIGNING;
    if (c->api_key == NULL || c->api_key[0] == '\0' ||
        (c->secret_key != NULL && c->secret_key[0] == '\0'))
        return UNSB_E_NO_KEY;
    if ((c->secret_key != NULL && c->unix_time == NULL) ||
        (c->total_timeout_ms != 0 && c->now_ms == NULL))
        return UNSB_E_NO_CLOCK;
    if (!unsbi_is_header_safe(c->api_key, '\x7E'))
        return UNSB_E_HEADER_BYTE;
    if (!unsbi_is_host(c->host))
        return UNSB_E_HOST;
    c->buffer_size = unsbi_min(c->buffer_size, UNSBI_INT_MAX); /* the most a transport is given */
    for (i = 0; i < sizeof standard / sizeof standard[0]; i++) {
        if (limit[i] == 0)
            limit[i] = standard[i];
        if (limit[i] > UNSB_FOREVER)
            return UNSB_E_ARGUMENT;
    }
    return UNSB_OK;
}

UNSB_API int unsb_init(unsb_client *client, const unsb_config *config)
{
    int rc;

    memset(client, 0, sizeof *client);
    client->config = *config;
#if UNSB_RETRIES || UNSB_JOBS
    client->timeless = config->nonblocking && config->now_ms == NULL;
#endif
    rc = unsbi_configure(&client->config);
    if (rc != UNSB_OK)
        client->config.transport.vtable = NULL; /* there is no client */
    return rc;
}

/* ---- checks of what the caller wants sent ---- */

static bool unsbi_has_source(const unsb_source *source)
{
    return source->data != NULL || source->read != NULL;
}

#if UNSB_FILES
/* RFC 3629 text of at most UNSB_FILENAME_MAX characters that names a file and, unless
 * UNSB_FILENAME_SLASH allows directories, no path. Never one that leads upwards. */
static bool unsbi_is_filename(const char *name)
{
    const char *segment = name;
    size_t length = 0;

    for (;; name++) {
        uint8_t c = (uint8_t)*name;
        if (c == '\0' || (UNSB_FILENAME_SLASH && c == '/')) {
            if (unsbi_is_dots(segment, (size_t)(name - segment)))
                return false;
            if (c == '\0')
                return length <= UNSB_FILENAME_MAX;
            segment = name + 1;
        } else if (c < ' ' || c == 0x7F || c == '/' || c == '\\') {
            return false;
        }
        length += (c & 0xC0) != 0x80;
    }
}

/* The name of a file, given or by its index; `digits` has 21 characters of room for that. */
UNSBI_CALLED const char *unsbi_file_name(const unsb_file *files, size_t i, char *digits)
{
    if (files[i].name != NULL)
        return files[i].name;
    digits[20] = '\0';
    return unsbi_decimal(i, digits + 20);
}

UNSBI_APART int unsbi_check_files(const unsb_program *program)
{
    char one[21], other[21];
    unsb_size left = (unsb_size)UNSB_FILES_TOTAL_MAX;
    size_t i, j;

    if (program->file_count > UNSB_FILES_MAX)
        return UNSB_E_FILE_COUNT;
    if (program->file_count != 0 && program->files == NULL)
        return UNSB_E_ARGUMENT;
    for (i = 0; i < program->file_count; i++) {
        const unsb_file *file = &program->files[i];
        const char *name = unsbi_file_name(program->files, i, one);
        if (file->source.size != 0 && !unsbi_has_source(&file->source))
            return UNSB_E_ARGUMENT;
        if (file->source.size > UNSB_FILE_MAX)
            return UNSB_E_FILE_SIZE;
        if (file->source.size > left)
            return UNSB_E_FILES_SIZE;
        left -= file->source.size;
        if (!unsbi_is_filename(name))
            return UNSB_E_FILENAME;
        for (j = 0; j < i; j++)
            if (unsbi_is_same(name, unsbi_file_name(program->files, j, other)))
                return UNSB_E_FILENAME_TWICE;
    }
    return UNSB_OK;
}
#endif

#if UNSB_SETTINGS
/* Is a text a list of JSON members, one at least, without the braces? It is read a character at
 * a time, as the reader unescapes where it reads. */
UNSBI_APART bool unsbi_is_members(const char *text)
{
    unsb_json_reader reader;
    size_t used;
    char c = '{';
    int event;
    bool any = false, whole = false;

    unsb_json_reader_init(&reader);
    while ((event = unsb_json_read(&reader, &c, 1, &used)) >= 0) {
        any = any || event == UNSB_JSON_KEY;
        if (used == 0) /* a number is over only now, and what follows it is read again */
            continue;
        if (whole)
            return any && reader.depth == 0;
        whole = *text == '\0';
        c = (char)(whole ? '}' : *text++);
    }
    return false;
}
#endif

/* ---- the beginning of operations ---- */

/* May an operation begin? Every one of them asks this first: whatever may be wrong, its result
 * tells nothing of the one before. */
UNSBI_APART int unsbi_check(const unsb_client *client, const void *input, unsb_result *result)
{
    if (client != NULL && client->state != UNSBI_IDLE)
        return UNSB_E_BUSY;
    if (result == NULL)
        return UNSB_E_ARGUMENT;
    result->http_status = 0;
    unsbi_clear_result(result, input == result->job_id);
#if UNSB_DETAILS
    result->detected_language[0] = '\0';
#endif
    if (!unsbi_clear_output(&result->out) || !unsbi_clear_output(&result->err) || client == NULL ||
        input == NULL)
        return UNSB_E_ARGUMENT;
#if UNSB_ARTIFACTS
    if (!unsbi_clear_output(&result->artifact_name))
        return UNSB_E_ARGUMENT;
#endif
    return client->config.transport.vtable != NULL ? UNSB_OK : UNSB_E_CLIENT;
}

UNSBI_APART int unsbi_check_program(unsb_client *client, const unsb_program *program,
                                    unsb_result *result)
{
    int rc = unsbi_check(client, program, result);
#if UNSB_SETTINGS
    size_t i;
#endif

    if (rc != UNSB_OK)
        return rc;
    if (program->code.size == 0 || !unsbi_has_source(&program->code))
        return UNSB_E_NO_CODE;
    client->ttl_s = UNSBI_TTL_S;
#if UNSB_SETTINGS
    if (program->ttl_s > 900)
        return UNSB_E_TTL;
    if (program->vcpu > 8)
        return UNSB_E_VCPU;
    if (program->ttl_s != 0)
        client->ttl_s = program->ttl_s;
    if (program->env_count != 0 && program->env == NULL)
        return UNSB_E_ARGUMENT;
    for (i = 0; i < program->env_count; i++) {
        if (program->env[i].name == NULL || program->env[i].value == NULL)
            return UNSB_E_ARGUMENT;
        if (program->env[i].name[0] == '\0' || *unsbi_seek(program->env[i].name, '=') != '\0')
            return UNSB_E_ENV_NAME;
    }
#endif
    return UNSB_OK;
}

/* Begins an operation that has passed its checks; a blocking client ends it, too. */
static int unsbi_begin(unsb_client *client, const void *input, unsb_result *result,
                       const unsbi_op *op)
{
    client->op = op;
    client->input = input;
    client->result = result;
    client->error = UNSB_PENDING;
    client->attempts = 0;
    client->limit_ms = client->config.total_timeout_ms;
    client->started_ms = unsbi_now(client);
#if UNSB_JOBS
    if ((op->flags & UNSBI_OP_WAITS) != 0)
        unsbi_wait_start(client, client->pause_ms); /* from unsb_job_wait() */
    else
#endif
        unsbi_start_request(client);
    return client->config.nonblocking ? UNSB_PENDING : unsbi_block(client);
}

static int unsbi_begin_execute(unsb_client *client, const unsb_program *program,
                               unsb_result *result, const unsbi_op *op)
{
    int rc = unsbi_check_program(client, program, result);

    if (rc == UNSB_OK && (program->language == NULL || program->language[0] == '\0'))
        rc = UNSB_E_NO_LANGUAGE;
#if UNSB_FILES
    if (rc == UNSB_OK)
        rc = unsbi_check_files(program);
#endif
#if UNSB_SETTINGS
    if (rc == UNSB_OK && program->extra != NULL && !unsbi_is_members(program->extra))
        rc = UNSB_E_EXTRA;
#endif
    return rc != UNSB_OK ? rc : unsbi_begin(client, program, result, op);
}

#if UNSB_RUN
UNSBI_CALLED int unsbi_begin_run(unsb_client *client, const unsb_program *program,
                                 unsb_result *result, const unsbi_op *op)
{
    int rc = unsbi_check_program(client, program, result);

    if (rc == UNSB_OK &&
        (program->language != NULL || program->vcpu > 1 || program->extra != NULL))
        rc = UNSB_E_ARGUMENT;
#if UNSB_FILES
    if (rc == UNSB_OK && program->file_count != 0)
        rc = UNSB_E_ARGUMENT;
#endif
    return rc != UNSB_OK ? rc : unsbi_begin(client, program, result, op);
}
#endif

#if UNSB_JOBS
/* Begins an operation on one job, whose id is kept in the result. */
static int unsbi_begin_job(unsb_client *client, const char *job_id, unsb_result *result,
                           const unsbi_op *op)
{
    int rc = unsbi_check(client, job_id, result);

    if (rc != UNSB_OK)
        return rc;
    if ((op->flags & UNSBI_OP_WAITS) != 0) {
        if (client->pause_ms > UNSB_FOREVER)
            return UNSB_E_ARGUMENT;
        if (client->timeless)
            return UNSB_E_NO_CLOCK;
    }
    if (!unsbi_is_job_id(job_id))
        return UNSB_E_JOB_ID;
    memmove(result->job_id, job_id, strlen(job_id) + 1);
    return unsbi_begin(client, job_id, result, op);
}
#endif

#if UNSB_LISTS
UNSBI_CALLED int unsbi_begin_list(unsb_client *client, unsb_result *result, const unsbi_op *op)
{
    int rc = unsbi_check(client, op, result);

    return rc != UNSB_OK ? rc : unsbi_begin(client, NULL, result, op);
}
#endif

UNSB_API int unsb_execute(unsb_client *client, const unsb_program *program, unsb_result *result)
{
    static const char target[] = "/execute\0";
    static const unsbi_op op = {"POST", "application/json", target, unsbi_execute_template,
                                unsbi_program_field, &unsbi_outcome_fields,
                                UNSBI_OP_JOB | UNSBI_OP_RUNS};

    return unsbi_begin_execute(client, program, result, &op);
}

#if UNSB_JOBS
UNSB_API int unsb_execute_async(unsb_client *client, const unsb_program *program,
                                unsb_result *result)
{
    static const char target[] = "/execute/async\0";
    static const unsbi_op op = {"POST", "application/json", target, unsbi_execute_template,
                                unsbi_program_field, &unsbi_outcome_fields, UNSBI_OP_JOB};

    return unsbi_begin_execute(client, program, result, &op);
}
#endif

#if UNSB_RUN
static const char unsbi_code_template[] = "\0C\0";

UNSB_API int unsb_run(unsb_client *client, const unsb_program *program, unsb_result *result)
{
    static const unsbi_op op = {"POST", "text/plain", unsbi_run_target, unsbi_code_template,
                                unsbi_run_field, &unsbi_outcome_fields,
                                UNSBI_OP_JOB | UNSBI_OP_RUNS};

    return unsbi_begin_run(client, program, result, &op);
}
#endif

#if UNSB_RUN && UNSB_JOBS
UNSB_API int unsb_run_async(unsb_client *client, const unsb_program *program, unsb_result *result)
{
    static const unsbi_op op = {"POST", "text/plain", unsbi_run_target, unsbi_code_template,
                                unsbi_run_field, &unsbi_outcome_fields, UNSBI_OP_JOB};

    return unsbi_begin_run(client, program, result, &op);
}
#endif

#if UNSB_JOBS
UNSB_API int unsb_job_get(unsb_client *client, const char *job_id, unsb_result *result)
{
    static const unsbi_op op = {"GET", NULL, unsbi_job_target, unsbi_empty_template,
                                unsbi_job_field, &unsbi_outcome_fields,
                                UNSBI_OP_SAFE | UNSBI_OP_BY_ID};

    return unsbi_begin_job(client, job_id, result, &op);
}

UNSB_API int unsb_job_wait(unsb_client *client, const char *job_id, uint32_t timeout_ms,
                           unsb_result *result)
{
    if (client != NULL && client->state == UNSBI_IDLE) /* for unsbi_begin_job() */
        client->pause_ms = timeout_ms != 0 ? timeout_ms : UNSB_FOREVER;
    return unsbi_begin_job(client, job_id, result, &unsbi_wait_op);
}

UNSB_API int unsb_job_cancel(unsb_client *client, const char *job_id, unsb_result *result)
{
    static const unsbi_op op = {"DELETE", NULL, unsbi_job_target, unsbi_empty_template,
                                unsbi_job_field, &unsbi_outcome_fields,
                                UNSBI_OP_BY_ID | UNSBI_OP_EMPTY};

    return unsbi_begin_job(client, job_id, result, &op);
}
#endif

#if UNSB_LISTS
UNSB_API int unsb_job_list(unsb_client *client, unsb_result *result)
{
    static const char target[] = "/jobs\0";
    static const unsbi_op op = {"GET", NULL, target, unsbi_empty_template, NULL,
                                &unsbi_list_fields, UNSBI_OP_SAFE | UNSBI_OP_LIST};

    return unsbi_begin_list(client, result, &op);
}

UNSB_API int unsb_languages(unsb_client *client, unsb_result *result)
{
    static const char target[] = "/languages\0";
    static const unsbi_op op = {"GET", NULL, target, unsbi_empty_template, NULL,
                                &unsbi_list_fields,
                                UNSBI_OP_SAFE | UNSBI_OP_LIST | UNSBI_OP_TEXTS};

    return unsbi_begin_list(client, result, &op);
}
#endif

#if UNSB_KEYS
UNSB_API int unsb_key_validate(unsb_client *client, unsb_key *key, unsb_result *result)
{
    static const char target[] = "/keys/validate\0";
    static const unsbi_op op = {"POST", "application/json", target, unsbi_empty_template, NULL,
                                &unsbi_key_fields, UNSBI_OP_KEY};

    int rc = unsbi_check(client, key, result);

    if (key != NULL && rc != UNSB_E_BUSY) {
        memset(key, 0, sizeof *key);
        key->rate_per_minute = key->burst = key->concurrency = -1;
        key->expires_at = -1;
    }
    if (rc != UNSB_OK)
        return rc;
    client->extra = key;
    return unsbi_begin(client, NULL, result, &op);
}
#endif

#if UNSB_REQUEST
/* RFC 9110 sections 5.1 and 5.5; and the library writes some itself: what frames a message, says
 * where it goes or by whom, or would change how the answer must be read. */
UNSBI_APART int unsbi_check_header(const unsb_header *header)
{
    static const char ours[] =
        "\17accept-encoding\15authorization\12connection\16content-length\14content-type\6expect"
        "\4host\12keep-alive\2te\7trailer\21transfer-encoding\7upgrade\12user-agent\13x-signature"
        "\13x-timestamp";
    size_t size = 0;
    const char *p = header->value;

    if (header->name == NULL || p == NULL)
        return UNSB_E_ARGUMENT;
    while (unsbi_is_token_char((uint8_t)header->name[size]))
        size++;
    for (; *p == ' ' || *p == '\t' || (*p > ' ' && *p < 0x7F); p++)
        continue;
    if (size == 0 || header->name[size] != '\0' || *p != '\0')
        return UNSB_E_HEADER_BYTE;
    return unsbi_find(ours, header->name, size, 0x20) == UNSBI_NO_WORD ? UNSB_OK : UNSB_E_HEADER;
}

UNSBI_APART int unsbi_check_call(const unsb_call *call)
{
    const char *p;
    size_t i;
    int rc = UNSB_OK;

    if (call->method == NULL || call->path == NULL || call->path[0] != '/' ||
        (call->body.size != 0 && !unsbi_has_source(&call->body)) ||
        (call->header_count != 0 && call->headers == NULL) || call->answer > UNSB_ANSWER_OUTCOME)
        return UNSB_E_ARGUMENT;
    for (p = call->method; unsbi_is_token_char((uint8_t)*p); p++)
        continue;
    if (p == call->method || *p != '\0' || !unsbi_is_header_safe(call->path, '~') ||
        (call->content_type != NULL && !unsbi_is_header_safe(call->content_type, ' ')) ||
        *unsbi_seek(call->path, '#') != '\0') /* RFC 9112 section 3.2: no fragment in a target */
        return UNSB_E_HEADER_BYTE;
    for (i = 0; i < call->header_count && rc == UNSB_OK; i++)
        rc = unsbi_check_header(&call->headers[i]);
    return rc;
}

UNSB_API int unsb_request(unsb_client *client, const unsb_call *call, unsb_result *result)
{
#define UNSBI_CALL(fields, flags) {NULL, NULL, target, body, unsbi_call_field, fields, flags}
    static const char target[] = "\0P\0", body[] = "\0B\0";
    static const unsbi_op ops[][2] = { /* by unsb_answer, and whether it may be repeated */
        {UNSBI_CALL(NULL, UNSBI_OP_RAW), UNSBI_CALL(NULL, UNSBI_OP_RAW | UNSBI_OP_SAFE)},
        {UNSBI_CALL(&unsbi_call_fields, UNSBI_OP_EMPTY),
         UNSBI_CALL(&unsbi_call_fields, UNSBI_OP_EMPTY | UNSBI_OP_SAFE)},
        {UNSBI_CALL(&unsbi_outcome_fields, UNSBI_OP_JOB | UNSBI_OP_RUNS),
         UNSBI_CALL(&unsbi_outcome_fields, UNSBI_OP_JOB | UNSBI_OP_RUNS | UNSBI_OP_SAFE)}};
#undef UNSBI_CALL
    int rc = unsbi_check(client, call, result);
    bool safe;

    if (rc == UNSB_OK)
        rc = unsbi_check_call(call);
    if (rc != UNSB_OK)
        return rc;
    safe = unsbi_is_same(call->method, "GET") || unsbi_is_same(call->method, "HEAD");
    client->ttl_s = call->ttl_s != 0 ? call->ttl_s : UNSBI_TTL_S;
    return unsbi_begin(client, call, result, &ops[call->answer][safe]);
}
#endif

UNSB_API int unsb_interest(unsb_client *client, uint32_t *timeout_ms)
{
    const unsb_transport *t = &client->config.transport;
    uint32_t patience = client->state != UNSBI_IDLE ? unsbi_patience(client) : UNSB_FOREVER;
    int want = unsbi_want(client);

    if (timeout_ms != NULL)
        *timeout_ms = patience;
    if (want != 0 && t->vtable->interest != NULL)
        want = t->vtable->interest(t->context, want);
    return want;
}

/* Also after a callback that did not return: then the client is still ENTERED. */
UNSB_API void unsb_abort(unsb_client *client)
{
    if (client->state != UNSBI_IDLE)
        unsbi_stop(client, UNSB_E_ABORTED);
    client->entered = false;
}

UNSB_API void unsb_drop(unsb_client *client)
{
    const unsb_transport *t = &client->config.transport;

    if (client->connected && t->vtable->drop != NULL) {
        t->vtable->drop(t->context);
        client->connected = false;
    }
    unsb_close(client);
}

UNSB_API void unsb_close(unsb_client *client)
{
    unsbi_disconnect(client);
    if (client->config.buffer != NULL)
        unsbi_wipe(client->config.buffer, client->config.buffer_size);
    unsbi_wipe(client, sizeof *client);
}

UNSB_API const char *unsb_error_text(int error)
{
#if UNSB_ERROR_TEXT
#define UNSBI_ERROR_CASE(name, value, text)                                                        \
    case value:                                                                                    \
        return text;
    switch (error) {
    case UNSB_OK:
        return "no error";
    case UNSB_PENDING:
        return "the operation is under way";
        UNSB_ERRORS(UNSBI_ERROR_CASE)
    default:
        break;
    }
#undef UNSBI_ERROR_CASE
#endif
    (void)error;
    return "";
}

UNSB_API const char *unsb_status_text(unsb_status status)
{
    static const char words[][10] = {"",          "",          "pending", "running",
                                     "cancelled", "completed", "failed",  "timeout"};

    return (unsigned)status < sizeof words / sizeof words[0] ? words[status] : "";
}

UNSB_API uint32_t unsb_version(void)
{
    return (uint32_t)UNSB_VERSION;
}

/* What a host may consist of (RFC 3986 section 3.2.2): a name or IPv4 address, or an IPv6 one. */
static bool unsbi_is_host_char(char c, bool v6)
{
    uint8_t u = (uint8_t)c;

    if (v6)
        return unsbi_hex_value(u) < 16 || c == ':' || c == '.';
    return unsbi_is_digit(u) || (uint8_t)((u | 0x20) - 'a') < 26 || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

UNSB_API int unsb_url_split(const char *url, char *host, size_t host_size, uint16_t *port,
                            bool *tls)
{
    const char *p = url, *end;
    uint32_t number = 443;
    bool https, v6, colon = false;

    while ((uint8_t)((*p | 0x20) - 'a') < 26)
        p++;
    https = p - url == 5;
    if (unsbi_find("\4http\5https", url, (size_t)(p - url), 0x20) == UNSBI_NO_WORD ||
        (!https && tls == NULL) || p[0] != ':' || p[1] != '/' || p[2] != '/')
        return UNSB_E_SCHEME;
    v6 = p[3] == '[';
    p += v6 ? 4 : 3;
    for (end = p; unsbi_is_host_char(*end, v6); end++)
        colon = colon || *end == ':';
    if (end == p || (size_t)(end - p) >= host_size || (v6 && (*end != ']' || !colon)))
        return UNSB_E_HOST;
    memcpy(host, p, (size_t)(end - p));
    host[end - p] = '\0';
    end += v6 ? 1 : 0;
    if (!https)
        number = 80;
    if (*end == ':') {
        for (number = 0, end++; unsbi_is_digit((uint8_t)*end) && number <= 65535; end++)
            number = number * 10 + (uint32_t)(*end - '0');
    }
    if (*end == '/')
        end++;
    if (number == 0 || number > 65535 || *end != '\0')
        return UNSB_E_URL;
    *port = (uint16_t)number;
    if (tls != NULL)
        *tls = https;
    return UNSB_OK;
}

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_IMPLEMENTATION */

/* ======================================================================
 * >>history
 *
 *   0.2.0  The service as it runs today, in all its dialects: RFC 3339 times, flat jobs, lists at
 *          the root, every form of artifacts and refusals; runs that become jobs are waited for.
 *          No outcome is lost for the form of one field. New: vcpu, extra, header fields of a
 *          call and unsb_answer, wait_failures, wait_pause_ms, keep_alive_ms, unsb_json_skip()
 *          and a lenient reader, unsb_drop(), codes VCPU, EXTRA, HEADER, CHALLENGE, CLOCK,
 *          JOB_LOST. Changed: a job's time in a list is in created_at, too; total_timeout_ms
 *          needs now_ms; an execution of which nothing is told is UNSB_E_RESPONSE; unsb_artifact
 *          has other members; a transport's table has a seventh member, drop; digits that a JSON
 *          number's mantissa has no room for are dropped at once, and its exponent has 32 bits;
 *          a result is cleared before its call is checked; a callback's codes above UNSB_E_USER are
 *          UNSB_E_SINK or UNSB_E_SOURCE; a success that comes before its request is UNSB_E_HTTP;
 *          unsb_result's members have another order, and http_status no sign; a Content-Length of
 *          more than 20 digits is UNSB_E_RESPONSE_SIZE.
 *          New codes: HOST, SCHEME, URL, CLIENT. New helpers: unsb_status_text(),
 *          unsb_json_read_copy(), unsb_json_double(), UNSB_TRACE.
 *          Smaller, and options that leave out what is not needed. Gone: UNSB_SIMD.
 *
 *   0.1.0  The first version: every operation of the API, blocking and non-blocking; bearer and
 *          signed requests.
 *
 * >>license
 *
 * Public domain, or where that is not recognised, the MIT No Attribution licence. In full in
 * LICENSE; in short: do what you like with it, there is no warranty.
 * ====================================================================== */
