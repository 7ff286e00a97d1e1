/* A module with AT firmware, as far as examples/arduino uses it, for tests: bytes in, bytes out.
 * What it is connected to is given by functions. */
#ifndef MODEM_H
#define MODEM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>

struct modem_net {
    bool (*dial)(const char *host, uint16_t port);
    int (*send)(const void *data, size_t size); /* all of it, or < 0 */
    int (*recv)(void *data, size_t size);       /* 0: nothing yet, < 0: the end */
    void (*hang_up)();
};

class modem_sim {
public:
    explicit modem_sim(const modem_net &net) : net_(net), open_(false), sending_(0)
    {
    }

    /* From the sketch. */
    void take(uint8_t c)
    {
        if (sending_ != 0) {
            data_ += (char)c;
            if (--sending_ == 0)
                finish_send();
        } else if (c == '\n') {
            std::string line;
            line.swap(line_);
            command(line);
        } else if (c != '\r') {
            line_ += (char)c;
        }
    }

    /* To the sketch. poll() lets the module notice what has come from the network. */
    void poll()
    {
        look();
    }

    bool has() const
    {
        return !out_.empty();
    }

    int give()
    {
        int c = out_.empty() ? -1 : (uint8_t)out_[0];

        if (c >= 0)
            out_.erase(0, 1);
        return c;
    }

    unsigned unknown = 0;     /* commands that this module does not have */
    unsigned deaf = 0;        /* bytes that are lost before it is ready */
    bool refuses_sends = false;
    size_t largest = 0;       /* that was sent at once */
    std::string log;          /* the commands */

private:
    void say(const std::string &text)
    {
        out_ += text + "\r\n";
    }

    static bool is(const std::string &line, const char *begin)
    {
        return line.compare(0, strlen(begin), begin) == 0;
    }

    /* The next quoted argument from `at` on, without its escapes. */
    static std::string quoted(const std::string &line, size_t &at)
    {
        std::string text;

        at = line.find('"', at);
        if (at == std::string::npos)
            return text;
        for (at++; at < line.size() && line[at] != '"'; at++) {
            if (line[at] == '\\')
                at++;
            text += line[at];
        }
        at++;
        return text;
    }

    /* What has come, and the end of it. */
    void look()
    {
        char piece[256];
        int n;

        while (open_ && in_.size() < 2000 && (n = net_.recv(piece, sizeof piece)) != 0) {
            if (n < 0) {
                open_ = false;
                net_.hang_up();
                if (sending_ == 0)
                    say("CLOSED");
            } else {
                in_.append(piece, (size_t)n);
                if (sending_ == 0)
                    say("+IPD," + std::to_string(n)); /* of its own accord */
            }
        }
    }

    void finish_send()
    {
        say("");
        say("Recv " + std::to_string(data_.size()) + " bytes");
        say("");
        say(!refuses_sends && open_ && net_.send(data_.data(), data_.size()) >= 0 ? "SEND OK"
                                                                                 : "SEND FAIL");
        data_.clear();
    }

    void command(const std::string &line)
    {
        size_t at = 0;

        if (deaf != 0) {
            deaf--;
            return;
        }
        log += line + "\n";
        if (line == "ATE0" || is(line, "AT+CWMODE=1") || line == "AT+CIPMUX=0" ||
            line == "AT+CIPRECVMODE=1" || line == "AT+CIPSSLCCONF=2") {
            say("");
            say("OK");
        } else if (is(line, "AT+CWJAP=")) {
            std::string name = quoted(line, at), word = quoted(line, at);
            say("WIFI CONNECTED\r\nWIFI GOT IP\r\n");
            say(name == "network" && word == "password" ? "OK" : "ERROR");
        } else if (is(line, "AT+CIPSSLCSNI=")) {
            server_ = quoted(line, at);
            say("OK");
        } else if (is(line, "AT+CIPSTART=")) {
            std::string type = quoted(line, at), host = quoted(line, at);
            long port = at + 1 < line.size() ? strtol(line.c_str() + at + 1, NULL, 10) : 0;
            if (open_) {
                say("ALREADY CONNECTED\r\n\r\nERROR");
            } else if ((type != "SSL" || server_ == host) &&
                       net_.dial(host.c_str(), (uint16_t)port)) {
                open_ = true;
                in_.clear();
                say("CONNECT\r\n\r\nOK");
            } else {
                say("ERROR\r\nCLOSED");
            }
        } else if (is(line, "AT+CIPSEND=")) {
            sending_ = (size_t)strtoul(line.c_str() + 11, NULL, 10);
            largest = sending_ > largest ? sending_ : largest;
            if (!open_ || sending_ == 0 || sending_ > 2048) {
                sending_ = 0;
                say("ERROR");
            } else {
                say("\r\nOK\r\n");
                out_ += ">";
            }
        } else if (line == "AT+CIPRECVLEN?") {
            look();
            say("+CIPRECVLEN:" + std::to_string(in_.size()) + ",-1,-1,-1,-1");
            say("\r\nOK");
        } else if (is(line, "AT+CIPRECVDATA=")) {
            size_t n = (size_t)strtoul(line.c_str() + 15, NULL, 10);
            n = n < in_.size() ? n : in_.size();
            if (n == 0) {
                say("ERROR");
            } else {
                out_ += "+CIPRECVDATA:" + std::to_string(n) + "," + in_.substr(0, n);
                say("\r\nOK");
                in_.erase(0, n);
            }
        } else if (line == "AT+CIPCLOSE") {
            if (open_)
                net_.hang_up();
            say(open_ ? "CLOSED\r\n\r\nOK" : "ERROR");
            open_ = false;
        } else {
            unknown++;
            say("ERROR");
        }
    }

    modem_net net_;
    bool open_;
    size_t sending_;
    std::string line_, data_, in_, out_, server_;
};

#endif
