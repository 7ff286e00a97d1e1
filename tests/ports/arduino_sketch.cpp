/* The example's sketch on the host: its modem is one of the tests', its Client and the port over it
 * are tested against the contract, and it runs as it stands. UNSB_TEST_PORT: where a service
 * listens that really runs the code. */
#define UNSB_ERROR_TEXT 0 /* as the sketch has it */
#define UNSB_SIGNING 0
#define UNSB_ARDUINO_WRITE_MAX 200 /* less than AtClient sends at once */
#include "conformance.h"
#include "queue_peer.h"
#include "arduino_host/modem.h"
#include "arduino_host/service_net.h"

#include <Arduino.h>
#include "arduino.ino"

#include <math.h>

/* ======================================================================
 * >>board
 * ====================================================================== */

static unsigned long samples_taken;
static std::string printed; /* to Serial */

unsigned long millis(void)
{
    return queue_now_ms();
}

void delay(unsigned long ms)
{
    queue_sleep((uint32_t)ms);
}

/* A wait for the modem: a little real time, as a real service may have to answer. */
void yield(void)
{
    queue_sleep(1);
}

/* 31.25 Hz, which is the 8th of the 32 frequencies. */
int analogRead(uint8_t pin)
{
    double at = (double)samples_taken++ * (int)PERIOD_MS / 1000.0;

    assert_int_equal(pin, A0);
    return (int)(512.5 + 400.0 * sin(2.0 * 3.14159265358979 * 31.25 * at));
}

/* ======================================================================
 * >>modem
 * ====================================================================== */

static bool queue_net_dial(const char *name, uint16_t port)
{
    int rc;

    while ((rc = queue_dial(name, port)) == 0)
        delay(1);
    return rc == 1;
}

/* The module takes all that it is given, and keeps what the peer does not take. */
static std::string backlog;

static int queue_net_push()
{
    int n = 1;

    while (n > 0 && !backlog.empty()) {
        n = queue_write(backlog.data(), backlog.size());
        if (n > 0)
            backlog.erase(0, (size_t)n);
    }
    return n;
}

static int queue_net_send(const void *data, size_t size)
{
    backlog.append((const char *)data, size);
    return queue_net_push();
}

static int queue_net_recv(void *data, size_t size)
{
    int n = queue_net_push();

    return n < 0 ? n : queue_read(data, size);
}

static void queue_net_hang_up()
{
    backlog.clear();
    queue_hang_up();
}

static const modem_net queue_net = {queue_net_dial, queue_net_send, queue_net_recv,
                                    queue_net_hang_up};
static modem_sim *sim;

HardwareSerial Serial(0), Serial1(1);

int HardwareSerial::available()
{
    if (number_ == 1)
        sim->poll();
    return number_ == 1 && sim->has();
}

int HardwareSerial::read()
{
    return number_ == 1 ? sim->give() : -1;
}

int HardwareSerial::peek()
{
    return -1;
}

size_t HardwareSerial::write(uint8_t one)
{
    if (number_ == 1)
        sim->take(one);
    else
        printed += (char)one;
    return 1;
}

static void plug_in(const modem_net &net)
{
    delete sim;
    sim = new modem_sim(net);
}

/* ======================================================================
 * >>tests
 * ====================================================================== */

static AtClient plain(Serial1, false);
static unsb_arduino plain_tcp;

static unsb_transport make(void)
{
    plain.stop();
    queue_net_hang_up();
    plug_in(queue_net);
    assert_true(plain.begin());
    return unsb_arduino_transport(&plain_tcp, &plain);
}

static void modem_that_is_slow_or_wrong(void **state)
{
    (void)state;
    plug_in(queue_net);
    sim->deaf = 1;
    assert_true(plain.begin());
    sim->deaf = 2;
    assert_false(plain.begin());
    assert_true(plain.join("network", "password"));
    assert_false(plain.join("network", "pass\"wo,rd\\"));
    assert_true(sim->log.find("AT+CWJAP=\"network\",\"pass\\\"wo\\,rd\\\\\"\n") !=
                std::string::npos);
    assert_int_equal(sim->unknown, 0);
}

static void sends_that_fail(void **state)
{
    char one = 'x';

    (void)state;
    conf_begin();
    conf_open();
    sim->refuses_sends = true;
    assert_int_equal(conf_send(&one, 1), UNSB_E_IO);
    assert_int_equal(conf_send(&one, 1), UNSB_E_IO);
    conf_close();
    sim->refuses_sends = false;
    conf_open();
    conf_exchange();
    conf_end();
}

static void whole_sketch(void **state)
{
    (void)state;
    conf_needs(service_port != 0, "there is no service");
    plug_in(socket_net);
    setup();
    assert_int_equal(strcmp(printed.c_str(), ""), 0);
    loop();
    if (printed != "mean 512.0, strongest at 31.25 Hz\n")
        fail_msg("the sketch printed: %s", printed.c_str());
    /* the connection is kept for the next round, 60 seconds later */
    printed.clear();
    loop();
    if (printed != "mean 512.0, strongest at 31.25 Hz\n")
        fail_msg("the sketch printed: %s", printed.c_str());
    assert_int_equal(sim->log.find("AT+CIPSTART=\"SSL\",\"api.unsandbox.com\",443\n") ==
                         std::string::npos,
                     0);
    assert_int_equal(sim->unknown, 0);
    assert_int_equal(sim->largest, UNSB_ARDUINO_WRITE_MAX); /* the option is kept */
    unsb_close(&client);
}

/* The network is down: the sketch says so, and goes on when it is there again. */
static void sketch_without_network(void **state)
{
    uint16_t kept = service_port;

    (void)state;
    conf_needs(service_port != 0, "there is no service");
    plug_in(socket_net);
    printed.clear();
    setup();
    service_port = 1;
    loop();
    service_port = kept;
    if (printed != "error -31, HTTP 0\r\n")
        fail_msg("the sketch printed: %s", printed.c_str());
    printed.clear();
    loop();
    if (printed != "mean 512.0, strongest at 31.25 Hz\n")
        fail_msg("the sketch printed: %s", printed.c_str());
    unsb_close(&client);
}

int main(void)
{
    /* those that a Client, and a module that takes whatever it is given, can show */
    const struct CMUnitTest contract[] = {
        cmocka_unit_test(pieces_of_every_size),
        cmocka_unit_test(pieces_beneath),
        cmocka_unit_test(nothing_yet),
        cmocka_unit_test(large_transfers),
        cmocka_unit_test(end_of_stream),
        cmocka_unit_test(refused),
        cmocka_unit_test(not_connected),
        cmocka_unit_test(closed_while_connecting),
        cmocka_unit_test(used_again),
        cmocka_unit_test(time_outs),
        cmocka_unit_test(ready),
        cmocka_unit_test(woken_while_waiting),
        cmocka_unit_test(wait_without_connection),
        cmocka_unit_test(whole_calls),
        cmocka_unit_test(stalled_peer),
        cmocka_unit_test(aborted_calls)};
    const struct CMUnitTest own[] = {
        cmocka_unit_test(modem_that_is_slow_or_wrong), cmocka_unit_test(sends_that_fail),
        cmocka_unit_test(whole_sketch), cmocka_unit_test(sketch_without_network)};
    conf_port port;
    int failed;

    if (getenv("UNSB_TEST_PORT") != NULL)
        service_port = (uint16_t)strtoul(getenv("UNSB_TEST_PORT"), NULL, 10);
    plug_in(queue_net);
    memset(&port, 0, sizeof port);
    queue_fill(&port);
    port.name = "conform sketch";
    port.make = make;
    port.large = 20000;
    conf.port = &port;
    failed = cmocka_run_group_tests_name("the sketch's Client", contract, NULL, NULL);
    failed += cmocka_run_group_tests_name("sketch", own, NULL, NULL);
    conf_close();
    delete sim;
    return failed;
}
