/* A Client over a WiFi module with Espressif's AT firmware (ESP-AT 2.x) on a serial port. TCP, TLS
 * and the resolver are the module's; the sketch needs no RAM for them. One connection.
 *
 * The module keeps what arrives until it is asked for (passive receiving), so the serial port's
 * 64 bytes of buffer are enough. For TLS the module must hold the authority's certificate: that is
 * what AT+CIPSSLCCONF=2 checks the server's against. */
#ifndef AT_CLIENT_H
#define AT_CLIENT_H

#include <Arduino.h>
#include <Client.h>

class AtClient : public Client {
public:
    /* secure: TLS, else plain TCP */
    AtClient(Stream &serial, bool secure)
        : serial_(serial), secure_(secure), open_(false), ready_(0), asked_(0), length_(0),
          number_(0)
    {
    }

    /* Sets the module up; false: it does not answer as it should. */
    bool begin()
    {
        command("ATE0"); /* the first bytes may fall on deaf ears */
        return command("ATE0") && command("AT+CWMODE=1") && command("AT+CIPMUX=0") &&
               command("AT+CIPRECVMODE=1") && (!secure_ || command("AT+CIPSSLCCONF=2"));
    }

    bool join(const char *network, const char *password)
    {
        begin_text("AT+CWJAP=", network);
        serial_.print(",");
        text(password);
        return finish(20000);
    }

    int connect(const char *host, uint16_t port)
    {
        stop();
        if (secure_) {
            begin_text("AT+CIPSSLCSNI=", host);
            if (!finish(1000))
                return 0;
        }
        begin_text(secure_ ? "AT+CIPSTART=\"SSL\"," : "AT+CIPSTART=\"TCP\",", host);
        serial_.print(",");
        serial_.print(port);
        open_ = true; /* "CLOSED" may follow at once */
        open_ = finish(20000) && open_;
        return open_;
    }

    int connect(IPAddress, uint16_t)
    {
        return 0; /* by name alone: an address can be written as one */
    }

    size_t write(uint8_t one)
    {
        return write(&one, 1);
    }

    size_t write(const uint8_t *data, size_t size)
    {
        if (!connected())
            return 0;
        if (size > 512)
            size = 512;
        drain();
        serial_.print("AT+CIPSEND=");
        serial_.print((unsigned)size);
        serial_.print("\r\n");
        if (await(PROMPT, 2000) && serial_.write(data, size) == size && await(SENT, 10000))
            return size;
        setWriteError();
        return 0;
    }

    /* The module is not asked more often than every 10 ms; at the end of the stream once more. */
    int available()
    {
        drain();
        if (ready_ == 0 && (asked_ == 0 || millis() - asked_ >= 10)) {
            serial_.print("AT+CIPRECVLEN?\r\n");
            number_ = 0;
            if (await(OK, 1000))
                ready_ = number_;
            asked_ = millis() | 1;
        }
        return ready_ < 0x7FFF ? (int)ready_ : 0x7FFF;
    }

    int read()
    {
        uint8_t one;

        return read(&one, 1) == 1 ? one : -1;
    }

    int read(uint8_t *data, size_t size)
    {
        size_t have = 0;
        int value;

        if (ready_ == 0 || size == 0)
            return 0;
        drain();
        serial_.print("AT+CIPRECVDATA=");
        serial_.print((unsigned)(size < ready_ ? size : ready_));
        serial_.print("\r\n");
        if (!await(DATA, 2000) || number_ > size) {
            ready_ = 0;
            return 0;
        }
        size = (size_t)number_;
        while (have < size && (value = byte_within(1000)) >= 0)
            data[have++] = (uint8_t)value;
        (void)await(OK, 1000);
        ready_ -= have < ready_ ? have : ready_;
        return (int)have;
    }

    int peek()
    {
        return -1;
    }

    void flush()
    {
    }

    void stop()
    {
        if (open_)
            (void)command("AT+CIPCLOSE");
        open_ = false;
        ready_ = 0;
        asked_ = 0;
        length_ = 0;
    }

    uint8_t connected()
    {
        drain();
        return open_ || ready_ != 0;
    }

    operator bool()
    {
        return open_;
    }

private:
    enum token { NOTHING, OK, FAILED, PROMPT, SENT, DATA };

    int byte_within(unsigned timeout_ms)
    {
        unsigned long start = millis();

        while (serial_.available() <= 0) {
            if (millis() - start >= timeout_ms)
                return -1;
            yield();
        }
        return serial_.read();
    }

    bool line_is(const char *what) const
    {
        return strcmp(line_, what) == 0;
    }

    bool line_begins(const char *what) const
    {
        return strncmp(line_, what, strlen(what)) == 0;
    }

    /* Takes one more byte: what it completes. Lines that mean nothing here are passed over. */
    token take(char c)
    {
        if (c == '>' && length_ == 0)
            return PROMPT;
        if (c == ',' && line_begins("+CIPRECVDATA:")) {
            number_ = strtoul(line_ + 13, NULL, 10);
            length_ = 0;
            line_[0] = '\0';
            return DATA;
        }
        if (c != '\n') {
            if (c != '\r' && c != ' ' && length_ + 1u < sizeof line_)
                line_[length_++] = c;
            line_[length_] = '\0';
            return NOTHING;
        }
        length_ = 0;
        if (line_begins("+CIPRECVLEN:"))
            number_ = strtoul(line_ + 12, NULL, 10);
        if (line_is("CLOSED")) {
            open_ = false;
            asked_ = 0; /* there may be last words */
        }
        token found = line_is("OK")                             ? OK
                      : line_is("SENDOK")                       ? SENT
                      : line_is("ERROR") || line_is("SENDFAIL") ? FAILED
                                                                : NOTHING;
        line_[0] = '\0';
        return found;
    }

    /* What the module says of its own accord. */
    void drain()
    {
        while (serial_.available() > 0)
            (void)take((char)serial_.read());
    }

    bool await(token wanted, unsigned timeout_ms)
    {
        for (;;) {
            int value = byte_within(timeout_ms);
            token found = value < 0 ? FAILED : take((char)value);
            if (found == wanted || found == FAILED)
                return found == wanted;
        }
    }

    bool finish(unsigned timeout_ms)
    {
        serial_.print("\r\n");
        return await(OK, timeout_ms);
    }

    bool command(const char *what)
    {
        drain();
        serial_.print(what);
        return finish(1000);
    }

    /* In quotes; the firmware escapes these three by a backslash. */
    void text(const char *what)
    {
        serial_.print("\"");
        for (; *what != '\0'; what++) {
            if (*what == '"' || *what == ',' || *what == '\\')
                serial_.print("\\");
            serial_.write((uint8_t)*what);
        }
        serial_.print("\"");
    }

    void begin_text(const char *what, const char *argument)
    {
        drain();
        serial_.print(what);
        text(argument);
    }

    Stream &serial_;
    bool secure_, open_;
    unsigned long ready_, asked_; /* bytes in the module; when it was last asked, 0: it must be */
    uint8_t length_;
    unsigned long number_;
    char line_[32] = "";
};

#endif
