/*
 * Text from outside, made harmless for a terminal: control characters (C0, DEL, C1), the characters
 * that turn the direction of writing, and bytes that are not UTF-8 are shown as \n, \x1b, \u009b.
 */
#ifndef CLI_PLAIN_H
#define CLI_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool.h"

/* How many bytes the character at `at` has; 0: it is not UTF-8. */
size_t cli_utf8(const char *at, const char *end, uint32_t *point);
bool cli_is_harmless(uint32_t point);

enum { CLI_ESCAPE_ROOM = 10 }; /* what one character, or one byte that is none, takes at most */

/* What stands for the `size` bytes of one character, or of none; returns its end. */
char *cli_escape(char *to, const char *at, size_t size);

/* Names and messages. Values are shown by cli_show, which tells them apart as well. */
char *cli_plain(struct cli_pool *pool, const char *text);

#endif
