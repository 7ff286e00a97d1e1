/* Samples an analog pin and has the service find the strongest frequency in it: what this board has
 * neither the RAM nor the time for, a few lines of Python do there.
 *
 * Board: one with a second serial port (Mega 2560 ...) and a WiFi module with AT firmware on
 * Serial1. For another network, replace AtClient by its Client (EthernetClient, WiFiSSLClient ...):
 * nothing else changes. The key travels in each request, so let that Client do TLS; a board with a
 * clock and the flash for UNSB_SIGNING sets secret_key and unix_time as well, and signs instead.
 *
 * Copy unsandbox.h and ports/unsandbox_arduino.h into this folder, and set the four constants. */
#define UNSB_ERROR_TEXT 0 /* constants take RAM on AVR: 2.5 KB of sentences, */
#define UNSB_SIGNING 0    /* and SHA-256's */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.h"
#include "unsandbox_arduino.h"
#include "at_client.h"

static const char api_key[] = "unsb-sk-test0-vault-unlck-12345";
static const char host[] = "api.unsandbox.com";
static const char network[] = "network";
static const char password[] = "password";

enum { SAMPLES = 64, PERIOD_MS = 4 };

static const char code[] PROGMEM =
    "import cmath, os, struct, sys\n"
    "places = 'samples', '/tmp/input/samples', '/root/input/samples'\n"
    "data = open(next(p for p in places if os.path.exists(p)), 'rb').read()\n"
    "x = struct.unpack('<%dh' % (len(data) // 2), data)\n"
    "n, mean = len(x), sum(x) / len(x)\n"
    "turn = lambda k: cmath.exp(-2j * cmath.pi * k / n)\n"
    "power = [abs(sum((v - mean) * turn(k * i) for i, v in enumerate(x))) for k in range(n // 2)]\n"
    "print('mean %.1f, strongest at %.2f Hz' % (mean, power.index(max(power)) * 250 / n))\n";

static AtClient modem(Serial1, true);
static unsb_arduino tcp;
static unsb_client client;
static char buffer[256];

/* The code stays in flash: the library asks for it piece by piece. */
static int read_code(void *context, unsb_size offset, void *out, size_t size)
{
    (void)context;
    if (size > sizeof code - 1 - offset)
        size = sizeof code - 1 - (size_t)offset;
    memcpy_P(out, code + offset, size);
    return (int)size;
}

void setup()
{
    unsb_config config = unsb_config();

    Serial.begin(115200);
    Serial1.begin(115200);
    if (!modem.begin() || !modem.join(network, password))
        Serial.println(F("the module does not answer, or there is no such network"));
    config.transport = unsb_arduino_transport(&tcp, &modem);
    config.now_ms = unsb_arduino_now_ms;
    config.api_key = api_key;
    config.host = host;
    config.buffer = buffer;
    config.buffer_size = sizeof buffer;
    if (unsb_init(&client, &config) != UNSB_OK)
        Serial.println(F("the configuration is wrong"));
}

void loop()
{
    int16_t samples[SAMPLES]; /* sent as they lie in memory: little-endian on these boards */
    char answer[80];
    unsb_file file = unsb_file();
    unsb_program program = unsb_program();
    unsb_result result = unsb_result();
    int i, rc;

    for (i = 0; i < SAMPLES; i++) {
        samples[i] = (int16_t)analogRead(A0);
        delay(PERIOD_MS);
    }
    file.name = "samples";
    file.source = unsb_bytes(samples, sizeof samples);
    program.language = "python";
    program.code.read = read_code;
    program.code.size = sizeof code - 1;
    program.files = &file;
    program.file_count = 1;
    result.out = unsb_into(answer, sizeof answer);
    rc = unsb_execute(&client, &program, &result);
    if (rc == UNSB_OK && result.success) {
        Serial.print(answer);
    } else {
        Serial.print(F("error "));
        Serial.print(rc);
        Serial.print(F(", HTTP "));
        Serial.println(result.http_status);
    }
    delay(60000);
}
