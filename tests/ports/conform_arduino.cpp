/* The Arduino port against the contract, over Clients that differ as the libraries do, and what it
 * makes of their return values. Time is the queues'. */
#include "conformance.h"
#include "queue_peer.h"

#include <Arduino.h>
#include "unsandbox_arduino.h"

/* ======================================================================
 * >>core
 * ====================================================================== */

static unsigned yields;

unsigned long millis(void)
{
    return queue_now_ms();
}

void delay(unsigned long ms)
{
    yield();
    queue_sleep((uint32_t)ms);
}

void yield(void)
{
    yields++;
}

/* ======================================================================
 * >>client
 * ====================================================================== */

enum {
    EARLY = 1, /* connected() is false while bytes are left */
    MINUS = 2, /* read() returns -1 for none, not 0 */
    SHORT = 4, /* and less than available() said, at times nothing */
    TWO = 8,   /* connect() returns 2 */
    LIES = 16, /* write() takes `chip` bytes at the most, and says that it took all */
    WHOLE = 32, /* write() takes all or nothing, and never more than `chip` */
    NEGATIVE = 64, /* available() is negative for none, write() for a failure */
    AHEAD = 128    /* available() counts what read() does not give */
};

class ScriptedClient : public Client {
public:
    unsigned quirks;
    int connect_result;    /* 0: what the queue says, else this */
    bool write_fails;      /* with the write error set */
    size_t chip;           /* see LIES and WHOLE */
    size_t largest;        /* that write() was given */
    unsigned write_ms;     /* how long it takes */
    int phantoms;          /* bytes that available() announces and read() never gives */
    bool hung_up;          /* connected() is false, whatever the queue says */
    unsigned empty_reads;  /* calls of read() that gave none of the phantoms */
    unsigned stops, dials; /* calls */
    unsigned reads_beyond; /* of read(), for more than available() had announced */
    bool flushed;
    bool races; /* the last bytes and the end come between two calls, available() and connected() */

    void reset(unsigned new_quirks)
    {
        quirks = new_quirks;
        connect_result = 0;
        write_fails = flushed = races = hung_up = false;
        chip = 2048;
        largest = 0;
        write_ms = 0;
        phantoms = 0;
        empty_reads = 0;
        stops = dials = reads_beyond = turn_ = 0;
        announced_ = 0;
        open_ = false;
        clearWriteError();
    }
    int connect(IPAddress, uint16_t)
    {
        return 0;
    }
    int connect(const char *host, uint16_t port)
    {
        int rc;

        dials++;
        if (connect_result != 0)
            return connect_result;
        while ((rc = queue_dial(host, port)) == 0)
            delay(1);
        open_ = rc == 1;
        return rc == 1 ? ((quirks & TWO) != 0 ? 2 : 1) : rc == QUEUE_UNKNOWN ? -2 : 0;
    }
    size_t write(uint8_t one)
    {
        return write(&one, 1);
    }
    size_t write(const uint8_t *data, size_t size)
    {
        size_t taken = size;
        int rc;

        if (size > largest)
            largest = size;
        queue_sleep(write_ms);
        if (!open_ || write_fails) {
            if ((quirks & NEGATIVE) != 0)
                return (size_t)-1;
            setWriteError();
            return 0;
        }
        if (!connected())
            return 0;
        if ((quirks & LIES) != 0 && taken > chip)
            taken = chip;
        if ((quirks & (LIES | WHOLE)) != 0) {
            size_t room = QUEUE_ROOM - queue_line.up.count;
            /* in truth they wait for room or refuse: here there is no time for the first */
            if (conf_allow(CONF_SEND, &room) <= 0 || taken > room || taken > chip)
                return 0;
            (void)queue_put(&queue_line.up, data, taken);
            return size;
        }
        rc = queue_write(data, size);
        return rc > 0 ? (size_t)rc : 0;
    }
    int available()
    {
        size_t size = queue_line.down.count;

        /* what ends is not held back: two looks must tell */
        if (!open_ || (conf_allow(CONF_RECV, &size) <= 0 && connected()))
            size = 0;
        if (size != 0 && (quirks & AHEAD) != 0)
            size += 29; /* the frame of a TLS record */
        if (open_)
            size += (size_t)phantoms;
        announced_ = size;
        return size == 0 && (quirks & NEGATIVE) != 0 ? -0x4C : (int)size;
    }
    int read()
    {
        uint8_t one;

        return read(&one, 1) == 1 ? one : -1;
    }
    int read(uint8_t *data, size_t size)
    {
        if (size > announced_)
            reads_beyond++;
        if ((quirks & SHORT) != 0 && ++turn_ % 3 == 0)
            size = 0;
        else if ((quirks & SHORT) != 0 && size > 1)
            size /= 2;
        size = queue_get(&queue_line.down, data, size);
        empty_reads += size == 0;
        announced_ = 0;
        return size != 0 ? (int)size : (quirks & MINUS) != 0 ? -1 : 0;
    }
    int peek()
    {
        return -1;
    }
    void flush()
    {
        flushed = true;
    }
    void stop()
    {
        stops++;
        if (open_)
            queue_hang_up();
        open_ = false;
    }
    uint8_t connected()
    {
        if (races) {
            races = false;
            queue_put(&queue_line.down, "end", 3);
            queue_peer_end();
        }
        if (!open_ || queue_line.broken || hung_up)
            return 0;
        return !queue_line.peer_ended || ((quirks & EARLY) == 0 && queue_line.down.count != 0);
    }
    operator bool()
    {
        return open_;
    }

private:
    bool open_;
    size_t announced_;
    unsigned turn_;
};

static ScriptedClient scripted;
static unsb_arduino tcp;
static unsigned quirks;

static unsb_transport make(void)
{
    scripted.reset(quirks);
    return unsb_arduino_transport(&tcp, &scripted);
}

/* ======================================================================
 * >>tests  What only this port has
 * ====================================================================== */

static void values_of_connect(void **state)
{
    static const int values[] = {-1, -2, -3, -4, -100};
    uint8_t one = 0;
    size_t i;

    (void)state;
    conf_begin();
    conf.number = conf.port->listen();
    for (i = 0; i < sizeof values / sizeof values[0]; i++) {
        scripted.connect_result = values[i];
        assert_int_equal(conf_connect(), UNSB_E_CONNECT);
        assert_int_equal(tcp.error, values[i]);
        assert_int_equal(conf_connect(), UNSB_E_CONNECT);
        assert_int_equal(conf_recv(&one, 1), UNSB_E_CONNECT);
        assert_int_equal(conf_send(&one, 1), UNSB_E_CONNECT);
        assert_int_equal(scripted.dials, i + 1);
        conf_close();
        conf_close();
        assert_int_equal(scripted.stops, i + 1);
    }
    scripted.connect_result = 0;
    conf.number = conf.port->refusing();
    assert_int_equal(conf_connect(), UNSB_E_CONNECT);
    assert_int_equal(tcp.error, 0);
    conf_close();
    /* a name that does not exist is not told from a host that does not answer */
    assert_int_equal(conf.t.vtable->connect(conf.t.context, "unknown.test", 7), UNSB_E_CONNECT);
    assert_int_equal(tcp.error, -2);
    conf_end();
}

static void write_errors(void **state)
{
    uint8_t one = 0;
    conf_flow down = conf_flow_of(10, 10, 10, 1);
    unsigned i;

    (void)state;
    conf_begin();
    conf_open();
    assert_int_equal(conf_flow_send(&down, conf.port->peer_send), 10);
    scripted.write_fails = true;
    for (i = 0; i < 3; i++)
        assert_int_equal(conf_send(&one, 1), UNSB_E_IO);
    scripted.write_fails = false;
    assert_int_equal(conf_send(&one, 1), UNSB_E_IO); /* it stays */
    assert_int_equal(conf_wait(UNSB_WRITABLE, UNSB_FOREVER), UNSB_OK);
    while (down.received != down.total) /* what had come can be read */
        assert_true(conf_flow_recv(&down, conf_recv) >= 0);
    conf_close();
    conf_open(); /* and it is over with the connection */
    conf_exchange();
    conf.port->peer_end();
    assert_int_equal(conf_send(&one, 1), UNSB_E_CLOSED);
    assert_int_equal(conf_recv(&one, 1), UNSB_E_CLOSED);
    conf_close();
    /* a reset looks like an end */
    conf_open();
    conf.port->peer_send("x", 1);
    queue_peer_reset();
    scripted.quirks = 0;
    while (conf_recv(&one, 1) >= 0)
        continue;
    assert_int_equal(conf_recv(&one, 1), UNSB_E_CLOSED);
    conf_end();
}

/* A positive value of connect() for a connection that there is not. */
static void connect_that_did_not(void **state)
{
    static const int values[] = {1, 2};
    uint8_t one = 0;
    size_t i;

    (void)state;
    conf_begin();
    conf.number = conf.port->listen();
    for (i = 0; i < sizeof values / sizeof values[0]; i++) {
        scripted.connect_result = values[i];
        assert_int_equal(conf_connect(), UNSB_E_CONNECT);
        assert_int_equal(tcp.error, values[i]);
        assert_int_equal(conf_send(&one, 1), UNSB_E_CONNECT);
        assert_int_equal(conf_connect(), UNSB_E_CONNECT);
        assert_int_equal(scripted.dials, i + 1);
        conf_close();
        assert_int_equal(scripted.stops, i + 1);
    }
    scripted.connect_result = 0;
    conf_open();
    conf_exchange();
    conf_end();
}

/* No write() is given more than it can be trusted with, whatever the size above. */
static void writes_are_capped(void **state)
{
    static uint8_t large[40000];

    (void)state;
    conf_begin();
    conf_open();
    assert_int_equal(conf_send(large, sizeof large), UNSB_ARDUINO_WRITE_MAX);
    assert_int_equal(conf_send(large, UNSB_ARDUINO_WRITE_MAX + 1u), UNSB_ARDUINO_WRITE_MAX);
    assert_int_equal(conf_send(large, 3), 3);
    assert_int_equal(scripted.largest, UNSB_ARDUINO_WRITE_MAX);
    conf_end();
}

/* A Client that refuses what it cannot take whole is offered half as much each time, and all again
 * when it has taken something; a single byte is offered for as long as it takes. */
static void refusals(void **state)
{
    static const size_t chips[] = {1, 2, 100, 511, 512, 513, 1023};
    static uint8_t large[5000];
    unsigned calls;
    size_t i;
    int rc;

    (void)state;
    for (i = 0; i < sizeof chips / sizeof chips[0]; i++) {
        conf_begin();
        scripted.quirks = WHOLE;
        scripted.chip = chips[i];
        conf_open();
        for (calls = 1; (rc = conf_send(large, sizeof large)) == 0; calls++)
            assert_true(calls < 20);
        assert_true(rc > 0 && (size_t)rc <= chips[i] && (size_t)rc >= chips[i] / 2);
        scripted.chip = 0;
        for (calls = 0; calls < 100; calls++)
            assert_int_equal(conf_send(large, sizeof large), 0);
        assert_int_equal(conf_wait(UNSB_WRITABLE, 1000), UNSB_OK);
        scripted.chip = 1024;
        assert_int_equal(conf_send(large, sizeof large), 1);
        assert_int_equal(conf_send(large, sizeof large), UNSB_ARDUINO_WRITE_MAX);
        conf_end();
    }
}

/* 0 at once is "not now"; after a long time it is a failure, as nobody knows what became of the
 * bytes. A negative number is one, too. */
static void writes_that_gave_up(void **state)
{
    conf_flow down = conf_flow_of(10, 10, 10, 1);
    uint8_t one = 0;

    (void)state;
    conf_begin();
    conf_open();
    assert_int_equal(conf_flow_send(&down, conf.port->peer_send), 10);
    scripted.quirks = WHOLE;
    scripted.chip = 0;
    scripted.write_ms = UNSB_ARDUINO_GIVEN_UP_MS - 1;
    assert_int_equal(conf_send(&one, 1), 0);
    scripted.write_ms = UNSB_ARDUINO_GIVEN_UP_MS;
    assert_int_equal(conf_send(&one, 1), UNSB_E_IO);
    scripted.chip = 1024;
    assert_int_equal(conf_send(&one, 1), UNSB_E_IO);
    while (down.received != down.total)
        assert_true(conf_flow_recv(&down, conf_recv) >= 0);
    conf_close();
    scripted.quirks = NEGATIVE;
    scripted.write_ms = 0;
    conf_open();
    conf_exchange();
    scripted.write_fails = true;
    assert_int_equal(conf_send(&one, 1), UNSB_E_IO);
    assert_int_equal(conf_recv(&one, 1), 0);
    scripted.hung_up = true;
    assert_int_equal(conf_recv(&one, 1), UNSB_E_CLOSED);
    conf_end();
}

/* Bytes that are announced and do not come: no busy loop, and an end to it. */
static void announced_and_not_given(void **state)
{
    uint32_t start_ms;
    uint8_t one = 0;
    int rc, round;

    (void)state;
    for (round = 0; round < 2; round++) {
        uint32_t patience_ms = round == 0 ? 60000 : 1000;
        conf_begin();
        conf_open();
        scripted.phantoms = 7;
        scripted.hung_up = round == 1;
        start_ms = queue_now_ms();
        while ((rc = conf_recv(&one, 1)) == 0)
            assert_int_equal(conf_wait(UNSB_READABLE, UNSB_FOREVER), UNSB_OK);
        assert_int_equal(rc, UNSB_E_IO);
        assert_true(queue_now_ms() - start_ms >= patience_ms);
        assert_true(queue_now_ms() - start_ms <= patience_ms + 20);
        assert_true(scripted.empty_reads <= patience_ms / 5 + 2);
        assert_int_equal(conf_recv(&one, 1), UNSB_E_IO);
        assert_int_equal(conf_wait(UNSB_READABLE, UNSB_FOREVER), UNSB_OK);
        conf_close();
        scripted.phantoms = 0;
        scripted.hung_up = false;
        conf_open();
        conf_exchange();
        conf_end();
    }
    /* they come late, and they do not come: the announcement is taken back, then repeated */
    conf_begin();
    conf_open();
    for (round = 0; round < 5; round++) {
        scripted.phantoms = 7;
        for (start_ms = queue_now_ms(); queue_now_ms() - start_ms < 50000;)
            if ((rc = conf_recv(&one, 1)) == 0)
                assert_int_equal(conf_wait(UNSB_READABLE, UNSB_FOREVER), UNSB_OK);
            else
                fail_msg("%d after %u ms", rc, (unsigned)(queue_now_ms() - start_ms));
        scripted.phantoms = 0;
        if (round % 2 == 0)
            assert_int_equal(conf_recv(&one, 1), 0);
        else
            conf_exchange();
    }
    conf_end();
}

/* What was announced is gone with the connection: not an end in good order. */
static void announced_and_lost(void **state)
{
    uint8_t one = 0;

    (void)state;
    conf_begin();
    conf_open();
    scripted.phantoms = 7;
    assert_int_equal(conf_recv(&one, 1), 0);
    scripted.phantoms = 0;
    scripted.hung_up = true;
    assert_int_equal(conf_recv(&one, 1), UNSB_E_IO);
    conf_stays(UNSB_E_IO);
    conf_end();
}

/* What came between the look for bytes and the look for the end is not lost. */
static void last_words_at_the_last_moment(void **state)
{
    char text[4] = "";

    (void)state;
    conf_begin();
    conf_open();
    scripted.quirks = EARLY;
    scripted.races = true;
    assert_int_equal(conf_recv(text, 3), 3);
    assert_int_equal(strcmp(text, "end"), 0);
    assert_int_equal(conf_recv(text, 3), UNSB_E_CLOSED);
    conf_end();
}

/* No Client says when it will take bytes again: it is asked every few milliseconds, and only after
 * it has refused some. */
static void waits_to_write(void **state)
{
    conf_flow up = conf_flow_of(2 * QUEUE_ROOM, 1000, 1000, 2);
    uint32_t start_ms;

    (void)state;
    conf_begin();
    scripted.write_fails = true; /* a write error of the connection before */
    assert_int_equal(scripted.write((const uint8_t *)"x", 1), 0);
    scripted.write_fails = false;
    conf_open();
    start_ms = queue_now_ms();
    assert_int_equal(conf_wait(UNSB_WRITABLE, UNSB_FOREVER), UNSB_OK);
    assert_int_equal(queue_now_ms() - start_ms, 0);
    while (conf_flow_send(&up, conf_send) > 0)
        continue;
    assert_int_equal(up.sent, QUEUE_ROOM); /* 0: not now, as the old error is forgotten */
    assert_int_equal(conf_wait(UNSB_WRITABLE, 2), UNSB_E_TIMEOUT);
    assert_int_equal(queue_now_ms() - start_ms, 2);
    assert_int_equal(conf_wait(UNSB_WRITABLE, UNSB_FOREVER), UNSB_OK);
    assert_true(queue_now_ms() - start_ms > 2 && queue_now_ms() - start_ms <= 12);
    assert_int_equal(conf_wait(UNSB_READABLE | UNSB_WRITABLE, 1000), UNSB_OK);
    while (conf_flow_recv(&up, conf.port->peer_recv) > 0)
        continue;
    assert_true(conf_flow_send(&up, conf_send) > 0);
    start_ms = queue_now_ms();
    assert_int_equal(conf_wait(UNSB_WRITABLE, 1000), UNSB_OK);
    assert_int_equal(queue_now_ms() - start_ms, 0);
    conf_end();
}

static void after_25_days(void)
{
    queue_line.now_ms += 0x7FFFFFFFu;
    (void)queue_later(10, conf_late_byte);
}

static void forever(void **state)
{
    char one;

    (void)state;
    conf_begin();
    conf_open();
    assert_true(queue_later(10, after_25_days));
    assert_int_equal(conf_wait(UNSB_READABLE, UNSB_FOREVER), UNSB_OK);
    assert_int_equal(conf_recv(&one, 1), 1);
    conf_end();
}

/* The time passes in delay(), a millisecond at a time, so that other tasks have their turn. */
static void waits_yield(void **state)
{
    unsigned before;

    (void)state;
    conf_begin();
    conf_open();
    before = yields;
    assert_int_equal(conf_wait(UNSB_READABLE, 100), UNSB_E_TIMEOUT);
    assert_int_equal(yields - before, 100);
    assert_int_equal(scripted.reads_beyond, 0);
    assert_false(scripted.flushed);
    conf_end();
}

/* The clock wraps within a wait. */
static void clock_wraps(void **state)
{
    (void)state;
    conf_begin();
    conf_open();
    queue_line.now_ms = 0xFFFFFFF0u;
    conf_times_out(UNSB_READABLE, 50);
    assert_true(queue_line.now_ms < 100);
    conf_times_out(0, 50);
    conf_end();
}

static void calls_of_the_client(void **state)
{
    (void)state;
    conf_begin();
    conf_open();
    conf_exchange();
    conf.port->peer_end();
    conf_end();
    assert_int_equal(scripted.dials, 1);
    assert_int_equal(scripted.stops, 1);
    assert_int_equal(scripted.reads_beyond, 0);
    assert_false(scripted.flushed);
}

int main(void)
{
    static const unsigned kinds[] = {EARLY | MINUS,  SHORT | TWO,      EARLY | MINUS | SHORT,
                                     LIES,           WHOLE | NEGATIVE, AHEAD | MINUS,
                                     AHEAD | NEGATIVE | SHORT | LIES | EARLY};
    const struct CMUnitTest again[] = {
        cmocka_unit_test(pieces_of_every_size), cmocka_unit_test(pieces_beneath),
        cmocka_unit_test(nothing_yet),          cmocka_unit_test(large_transfers),
        cmocka_unit_test(end_of_stream),        cmocka_unit_test(used_again),
        cmocka_unit_test(time_outs),            cmocka_unit_test(ready),
        cmocka_unit_test(woken_while_waiting),  cmocka_unit_test(whole_calls)};
    const struct CMUnitTest own[] = {
        cmocka_unit_test(values_of_connect), cmocka_unit_test(connect_that_did_not),
        cmocka_unit_test(write_errors), cmocka_unit_test(writes_are_capped),
        cmocka_unit_test(refusals), cmocka_unit_test(writes_that_gave_up),
        cmocka_unit_test(announced_and_not_given), cmocka_unit_test(announced_and_lost),
        cmocka_unit_test(last_words_at_the_last_moment), cmocka_unit_test(waits_to_write),
        cmocka_unit_test(forever), cmocka_unit_test(waits_yield),
        cmocka_unit_test(clock_wraps), cmocka_unit_test(calls_of_the_client)};
    conf_port port;
    int failed = 0;
    size_t i;

    memset(&port, 0, sizeof port);
    queue_fill(&port);
    port.name = "conform arduino";
    port.make = make;
    port.peer_reset = NULL;   /* Client does not tell it from an end, */
    port.unknown_host = NULL; /* nor a name from a host that does not answer */
    port.faultless = true;
    failed += conf_run(&port);
    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        quirks = kinds[i];
        failed += cmocka_run_group_tests_name("arduino, another Client", again, NULL, NULL);
    }
    quirks = 0;
    failed += cmocka_run_group_tests_name("arduino", own, NULL, NULL);
    return failed;
}
