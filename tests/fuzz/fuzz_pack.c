/* A packed base, perhaps damaged: the reader stays inside it, and packs again what it read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct amend_pack_reader reader = {data, data + size};
	struct amend_buffer again = AMEND_BUFFER_INIT;
	struct amend_value value;
	size_t name_size;
	const char *name;

	while (amend_pack_next(&reader, &name, &name_size, &value)) {
		char copy[64];
		struct amend_pack_reader second;
		struct amend_value same;
		size_t same_size;

		if (name_size >= sizeof(copy) || memchr(name, '\0', name_size))
			continue;
		memcpy(copy, name, name_size);
		copy[name_size] = '\0';
		amend_buffer_reset(&again);
		amend_pack_add(&again, copy, &value);
		second.at = (const unsigned char *)again.data;
		second.end = second.at + again.size;
		if (!amend_pack_next(&second, &name, &same_size, &same) || same_size != name_size ||
		    !amend_value_equal(&value, &same) || second.at != second.end)
			abort();
	}
	amend_pack_find(data, size, "name", &value);
	amend_buffer_release(&again);
	return 0;
}
