/*
 * Sets of IP addresses: a text becomes an immutable, sorted table.
 *
 *   203.0.113.7  198.51.100.0/24  2001:db8::/32
 *
 * in a file one a line, in an attribute with commas between.
 */

#ifndef NETWORKS_H
#define NETWORKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETWORKS_FILE_MAX      (64 * 1024 * 1024)     /* bytes */

/* an IPv6 address in network order, or an IPv4 one mapped into it */
#define NETWORKS_ADDRESS_SIZE  16

struct networks;

struct networks_error {
    unsigned     line;               /* from 1; 0: not about a line */
    const char  *what;               /* constant; never quotes the text */
};

/*
 * Reads a file of n bytes: whole lines, at least one, with blanks around and
 * comments after "#".  NULL if any line is wrong, with the first one named in
 * *error; else networks_free() frees it.
 */
struct networks *networks_parse(const char *text, size_t n,
    struct networks_error *error);

/* The same of one line with commas and no blanks; NULL if it is none. */
struct networks *networks_parse_list(const char *text, size_t n);

/* Nothing happens if networks is NULL. */
void networks_free(struct networks *networks);

/* How many, where those that touch or overlap are one. */
size_t networks_count(const struct networks *networks);

bool networks_hold(const struct networks *networks,
    const uint8_t address[NETWORKS_ADDRESS_SIZE]);

#endif
