/* Enough of an Arduino core's interface to build the port and the example's sketch on the host. The
 * test program defines the functions declared here, and what the objects do. */
#ifndef Arduino_h
#define Arduino_h

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* These are macros and types in the real one, too. */
#define A0 54
#define LED_BUILTIN 13
#define HIGH 1
#define LOW 0
#define INPUT 0
#define OUTPUT 1
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define F(text) (text)
#define PROGMEM
#define memcpy_P memcpy
#define strlen_P strlen
typedef uint8_t byte;

unsigned long millis(void);
void delay(unsigned long ms);
void yield(void);
int analogRead(uint8_t pin);
void pinMode(uint8_t pin, uint8_t mode);
void digitalWrite(uint8_t pin, uint8_t value);

/* The sketch's. */
void setup(void);
void loop(void);

class Print {
public:
    Print() : write_error(0)
    {
    }
    virtual ~Print()
    {
    }
    virtual size_t write(uint8_t) = 0;
    virtual size_t write(const uint8_t *data, size_t size)
    {
        size_t n = 0;

        while (n < size && write(data[n]) == 1)
            n++;
        return n;
    }
    size_t write(const char *text)
    {
        return write((const uint8_t *)text, strlen(text));
    }
    virtual int availableForWrite()
    {
        return 0;
    }
    virtual void flush()
    {
    }
    int getWriteError()
    {
        return write_error;
    }
    void clearWriteError()
    {
        write_error = 0;
    }
    size_t print(const char *text)
    {
        return write(text);
    }
    size_t println(const char *text)
    {
        return write(text) + write("\r\n");
    }
    size_t print(long value);
    size_t print(int value)
    {
        return print((long)value);
    }
    size_t print(unsigned value)
    {
        return print((long)value);
    }
    size_t println(int value)
    {
        return print((long)value) + write("\r\n");
    }

protected:
    void setWriteError(int error = 1)
    {
        write_error = error;
    }

private:
    int write_error;
};

inline size_t Print::print(long value)
{
    char digits[24], *p = digits + sizeof digits;
    unsigned long rest = value < 0 ? 0ul - (unsigned long)value : (unsigned long)value;

    *--p = '\0';
    do
        *--p = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (value < 0)
        *--p = '-';
    return write(p);
}

class Stream : public Print {
public:
    virtual int available() = 0;
    virtual int read() = 0;
    virtual int peek() = 0;
};

/* Bytes of a serial port go to and come from the test. */
class HardwareSerial : public Stream {
public:
    explicit HardwareSerial(int number) : number_(number)
    {
    }
    void begin(unsigned long)
    {
    }
    int available();
    int read();
    int peek();
    size_t write(uint8_t byte);
    using Print::write;
    operator bool()
    {
        return true;
    }

private:
    int number_;
};

extern HardwareSerial Serial, Serial1;

#endif
