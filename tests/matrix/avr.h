/* What AVR needs besides the program: stdout to the first UART, where simavr prints it, and an end
 * that simavr sees. Compiled before it (-include). */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <stdint.h>
#include <stdio.h>

static int avr_put(char c, FILE *stream)
{
    (void)stream;
    while ((UCSR0A & _BV(UDRE0)) == 0)
        ;
    UDR0 = (uint8_t)c;
    return 0;
}

static FILE avr_uart;

__attribute__((constructor)) static void avr_begin(void)
{
    fdev_setup_stream(&avr_uart, avr_put, NULL, _FDEV_SETUP_WRITE);
    UCSR0B = _BV(TXEN0);
    stdout = &avr_uart;
}

/* After main(): asleep without interrupts, nothing can happen any more. */
__attribute__((destructor)) static void avr_end(void)
{
    cli();
    sleep_enable();
    sleep_cpu();
}
