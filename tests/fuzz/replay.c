/*
 * Runs a fuzz target over every file of the folders named, and over each
 * file's beginnings: the corpus as an ordinary test. TAP, one line a folder.
 * Leaves finding new inputs to libFuzzer (make fuzz).
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned char *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	unsigned char *data = malloc(1 << 20);

	*size = file && data ? fread(data, 1, 1 << 20, file) : 0;
	if (!file) {
		free(data);
		return NULL;
	}
	fclose(file);
	return data;
}

/* The whole input, and cut off at up to 64 places: most parsers break where input ends too early. */
static void run_file(const unsigned char *data, size_t size)
{
	size_t step = size / 64 + 1;

	for (size_t cut = 0; cut < size; cut += step) {
		unsigned char *exact = malloc(cut ? cut : 1);

		if (!exact)
			return;
		memcpy(exact, data, cut);
		LLVMFuzzerTestOneInput(exact, cut);
		free(exact);
	}
	LLVMFuzzerTestOneInput(data, size);
}

static int run_folder(const char *folder)
{
	DIR *open = opendir(folder);
	struct dirent *entry;
	int files = 0;

	while (open && (entry = readdir(open)) != NULL) {
		char path[4096];
		unsigned char *data;
		size_t size;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		data = read_file(path, &size);
		if (!data)
			continue;
		run_file(data, size);
		free(data);
		files++;
	}
	if (open)
		closedir(open);
	return files;
}

int main(int argc, char **argv)
{
	int failed = 0;

	printf("1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++) {
		int files = run_folder(argv[i]);

		/* An empty corpus proves nothing. */
		printf("%s %d - replayed %d files\n", files > 0 ? "ok" : "not ok", i, files);
		failed += files == 0;
	}
	return failed > 0;
}
