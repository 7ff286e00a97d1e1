/* Runs the example's sketch, linked for the ATmega2560, in simavr: simulate SKETCH.elf PORT
 * The module on Serial1 is the tests'; it dials the local service at PORT of loopback. Prints what
 * the sketch printed; 0: an answer came. */
#include "modem.h"
#include "service_net.h"

#include <math.h>
#include <simavr/avr_adc.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>

static const uint64_t frequency = 16000000;
static const uint64_t byte_cycles = frequency * 10 / 115200; /* start bit, 8 bits, stop bit */

static std::string printed;
static modem_sim module_on_1(socket_net);
static bool receiver_full;
static unsigned samples;
static avr_irq_t *analog;

static void from_serial_0(avr_irq_t *, uint32_t value, void *)
{
    printed += (char)value;
}

static void from_serial_1(avr_irq_t *, uint32_t value, void *)
{
    module_on_1.take((uint8_t)value);
}

static void full(avr_irq_t *, uint32_t, void *)
{
    receiver_full = true;
}

static void not_full(avr_irq_t *, uint32_t, void *)
{
    receiver_full = false;
}

/* A conversion begins: the next sample of 31.25 Hz, in millivolts of 5000. */
static void convert(avr_irq_t *, uint32_t, void *)
{
    double phase = 2.0 * 3.14159265358979 * 31.25 * samples++ * 0.004;

    avr_raise_irq(analog, (uint32_t)(2500.0 + 2000.0 * sin(phase)));
}

static void silence(avr_t *avr, char uart)
{
    uint32_t flags = 0;

    (void)avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS(uart), &flags);
    flags &= ~(uint32_t)AVR_UART_FLAG_STDIO;
    (void)avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS(uart), &flags);
}

static void listen_to(avr_t *avr, char uart, int which, avr_irq_notify_t notify)
{
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ(uart), which), notify, NULL);
}

int main(int argc, char **argv)
{
    elf_firmware_t firmware;
    avr_t *avr = avr_make_mcu_by_name("atmega2560");
    avr_irq_t *receiver;
    unsigned ram_end = 0x21FF, stack_low = ram_end;
    uint64_t next_byte = 0, next_poll = 0, cycles_max = frequency * 120;
    time_t started = time(NULL);

    memset(&firmware, 0, sizeof firmware);
    if (argc != 3 || avr == NULL || elf_read_firmware(argv[1], &firmware) != 0)
        return 2;
    service_port = (uint16_t)strtoul(argv[2], NULL, 10);
    avr_init(avr);
    firmware.frequency = (uint32_t)frequency;
    avr_load_firmware(avr, &firmware);
    avr->vcc = avr->avcc = avr->aref = 5000;
    silence(avr, '0');
    silence(avr, '1');
    listen_to(avr, '0', UART_IRQ_OUTPUT, from_serial_0);
    listen_to(avr, '1', UART_IRQ_OUTPUT, from_serial_1);
    listen_to(avr, '1', UART_IRQ_OUT_XOFF, full);
    listen_to(avr, '1', UART_IRQ_OUT_XON, not_full);
    receiver = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('1'), UART_IRQ_INPUT);
    analog = avr_io_getirq(avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_ADC0);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_OUT_TRIGGER), convert,
                            NULL);
    while (avr->cycle < cycles_max && time(NULL) - started < 120) {
        int state = avr_run(avr);
        unsigned stack = avr->data[R_SPL] | (unsigned)avr->data[R_SPH] << 8;
        if (state == cpu_Done || state == cpu_Crashed)
            break;
        if (stack < stack_low && stack > 0x200 && printed.empty())
            stack_low = stack;
        if (avr->cycle >= next_poll) {
            module_on_1.poll();
            next_poll = avr->cycle + frequency / 100;
        }
        if (avr->cycle >= next_byte && !receiver_full && module_on_1.has()) {
            avr_raise_irq(receiver, (uint32_t)module_on_1.give());
            next_byte = avr->cycle + byte_cycles;
        }
        if (!printed.empty() && printed[printed.size() - 1] == '\n')
            break;
    }
    printf("%s", printed.c_str());
    fprintf(stderr, "figures: the sketch in simavr: %u samples, %.2f s, %u bytes of stack\n",
            samples, (double)avr->cycle / (double)frequency, ram_end - stack_low);
    avr_terminate(avr);
    return module_on_1.unknown == 0 && strstr(printed.c_str(), "strongest at 31.25 Hz") != NULL
               ? 0
               : 1;
}
