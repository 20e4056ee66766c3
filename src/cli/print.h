/*
 * Text for people: values as one can tell them apart, aligned columns, colour
 * where a terminal shows it (never with NO_COLOR).
 */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include <stdio.h>

#include <amend/amend.h>

#include "pool.h"

enum cli_ink { CLI_PLAIN, CLI_GOOD, CLI_BAD, CLI_NOTE, CLI_FAINT };

/* `text` in that ink, where `out` shows colours. */
void cli_ink(FILE *out, enum cli_ink ink, const char *text);
/* Standard output shows the colours that it shows now, whatever stands between it and the terminal later. */
void cli_ink_anyway(void);

/*
 * A value: NULL as NULL; text bare, or in double quotes where it could be
 * taken for something else; bytes as \x6869. No control character gets through.
 * What is longer than `limit` characters ends with an ellipsis; 0: no limit.
 */
char *cli_show(struct cli_pool *pool, const struct amend_value *value, size_t limit);
char *cli_show_text(struct cli_pool *pool, const char *text);
/* "2026-11-21 21:30:04 UTC" */
char *cli_show_time(struct cli_pool *pool, const char *at);

/* How many columns of a terminal `text` takes. */
size_t cli_width(const char *text);

/* Rows of `columns` cells, aligned, the first row faint; a NULL cell is empty. */
void cli_table(FILE *out, const char *indent, const char *const *cells, size_t rows, size_t columns);

/* "  name: old -> new", a line each. */
void cli_print_changes(struct cli_pool *pool, FILE *out, const char *indent,
		       const struct amend_change *changes, size_t n);
/* "sku=42 place=3" */
char *cli_show_fields(struct cli_pool *pool, const struct amend_field *fields, size_t n);

#endif
