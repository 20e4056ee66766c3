/*
 * CSV and TSV from outside: records with lines that rise, fields that are UTF-8; and the
 * same records however the bytes arrive.
 */
#include <stdint.h>

#include "pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct amend_source_options options = {.format = AMEND_FORMAT_CSV};

	if (size > 0 && data[0] == '\t')
		options.format = AMEND_FORMAT_TSV;
	read_in_pieces(data, size, &options, NULL, NULL);
	return 0;
}
