/* unsandbox_address.h - tells IPv4 and IPv6 addresses from names, for the ports that must know
 *
 * For TLS ports, which hold a name against other entries of a certificate than an address, and for
 * unsandbox_proxy.h, whose exceptions may be networks; a program that uses one of those need not
 * know it. Nothing is resolved, and no operating system is asked.
 *
 * All functions are static: include the file wherever it is needed, there is no implementation
 * macro. C99 or C++11; nothing is included but the standard's own headers, and nothing is
 * allocated. Code, 0.5 K on Cortex-M3.
 *
 * Stricter than resolvers, which take "127.1", "0x7f.1" and "010.0.0.1" for addresses: here these
 * are nothing at all, so that what one part of a program takes for a name is never an address to
 * another. */
#ifndef UNSANDBOX_ADDRESS_H
#define UNSANDBOX_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define UNSBI_ADDRESS_FN static __attribute__((unused))
#else
#define UNSBI_ADDRESS_FN static
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * >>api  Texts end with a NUL. What is written to is undefined after a false.
 * ====================================================================== */

/* "192.0.2.1": exactly four decimal numbers up to 255, none with a zero before it, and nothing
 * behind them. true: `address` has the 4 bytes. */
UNSBI_ADDRESS_FN bool unsb_address_ipv4(const char *text, uint8_t *address);
/* The text forms of RFC 4291 section 2.2, without brackets. A zone ("%eth0") may stand behind, but
 * not behind four decimal numbers; it is not looked at. true: `address` has the 16 bytes. */
UNSBI_ADDRESS_FN bool unsb_address_ipv6(const char *text, uint8_t *address);
/* The hexadecimal digits that `text` begins with. Returns their number, 0 to 4, and their value
 * (0 if there is none); 0, too, if they are more than four. */
UNSBI_ADDRESS_FN size_t unsb_address_hex(const char *text, unsigned *value);
/* What a host to connect to is. true: an address, `*size` bytes of it (4 or 16; a host with a ':'
 * is never anything else) in `address`, which has room for 16; or a name, `*size` 0, that `name`
 * gets as SNI has it (RFC 6066 section 3), without the root's dot. false: neither. That are NULL
 * and "", names over 255 bytes, with an empty label at either end, or with a last label of digits
 * alone (RFC 1123 section 2.1), which resolvers may take for addresses. Which characters a name is
 * made of is not looked at. */
UNSBI_ADDRESS_FN bool unsb_address_host(const char *host, char name[256], uint8_t *address,
                                        uint8_t *size);

/* ======================================================================
 * >>implementation
 * ====================================================================== */

UNSBI_ADDRESS_FN bool unsb_address_ipv4(const char *text, uint8_t *address)
{
    int i;
    for (i = 0; i < 4; i++) {
        unsigned value = 0;
        int digits = 0;
        while (*text >= '0' && *text <= '9') {
            if (digits > 0 && value == 0) {
                return false; /* a leading zero: octal to some readers */
            }
            value = value * 10u + (unsigned)(*text - '0');
            digits++;
            text++;
            if (value > 255) {
                return false;
            }
        }
        if (digits == 0 || *text != (i < 3 ? '.' : '\0')) {
            return false;
        }
        address[i] = (uint8_t)value;
        text++;
    }
    return true;
}

UNSBI_ADDRESS_FN size_t unsb_address_hex(const char *text, unsigned *value)
{
    size_t digits = 0;
    *value = 0;
    for (;; digits++) {
        char c = text[digits];
        unsigned digit;
        if (c >= '0' && c <= '9') {
            digit = (unsigned)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = (unsigned)(c - 'a') + 10u;
        } else if (c >= 'A' && c <= 'F') {
            digit = (unsigned)(c - 'A') + 10u;
        } else {
            return digits;
        }
        if (digits == 4) {
            return 0;
        }
        *value = *value * 16u + digit;
    }
}

UNSBI_ADDRESS_FN bool unsb_address_ipv6(const char *text, uint8_t *address)
{
    size_t at = 0;
    size_t gap = 17; /* where "::" stands; 17: nowhere */

    if (text[0] == ':' && text[1] == ':') {
        gap = 0;
        text += 2;
    }
    while (*text != '\0' && *text != '%') {
        unsigned value;
        size_t digits = unsb_address_hex(text, &value);
        if (digits > 0 && text[digits] == '.') {
            if (at > 12 || !unsb_address_ipv4(text, address + at)) {
                return false;
            }
            at += 4;
            break;
        }
        if (digits == 0 || at > 14) {
            return false;
        }
        address[at++] = (uint8_t)(value >> 8);
        address[at++] = (uint8_t)(value & 0xFFu);
        text += digits;
        if (*text == ':') {
            text++;
            if (*text == ':' && gap == 17) {
                gap = at;
                text++;
            } else if (*text == '\0' || *text == '%') {
                return false;
            }
        } else if (*text != '\0' && *text != '%') {
            return false;
        }
    }
    if (gap == 17) {
        return at == 16;
    }
    if (at > 14) {
        return false;
    }
    memmove(address + 16 - (at - gap), address + gap, at - gap);
    memset(address + gap, 0, 16 - at);
    return true;
}

UNSBI_ADDRESS_FN bool unsb_address_host(const char *host, char name[256], uint8_t *address,
                                        uint8_t *size)
{
    size_t length = host == NULL ? 0 : strlen(host);
    size_t i;
    bool digits = true;

    *size = 0;
    if (length > 0 && strchr(host, ':') != NULL) {
        *size = 16;
        return unsb_address_ipv6(host, address);
    }
    if (length > 0 && host[length - 1] == '.') {
        length--;
    }
    if (length == 0 || length > 255 || host[length - 1] == '.' || host[0] == '.') {
        return false;
    }
    for (i = length; i > 0 && host[i - 1] != '.'; i--) {
        digits = digits && host[i - 1] >= '0' && host[i - 1] <= '9';
    }
    if (digits) {
        *size = 4;
        return unsb_address_ipv4(host, address);
    }
    memcpy(name, host, length);
    name[length] = '\0';
    return true;
}

#ifdef __cplusplus
}
#endif
#endif /* UNSANDBOX_ADDRESS_H */
