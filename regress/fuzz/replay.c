/*
 * Runs a harness over files without a fuzzer: each file or folder that is
 * named, each file whole and, if it is short, each of its beginnings (not
 * with -w as the first word).
 */
#include <sys/stat.h>

#include <dirent.h>
#include <limits.h>

#include "fuzz.h"

#define SHORT	2048		/* octets */

static unsigned long runs;
static size_t	is_short = SHORT;

/* From memory of just that size. */
static void
run(const uint8_t *data, size_t size)
{
	uint8_t *copy = fuzz_need(malloc(size > 0 ? size : 1));

	if (size > 0)
		memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	runs++;
}

static int
run_file(const char *path, size_t size)
{
	uint8_t *data = fuzz_need(malloc(size > 0 ? size : 1));
	FILE *file;
	size_t i;

	if ((file = fopen(path, "re")) == NULL ||
	    fread(data, 1, size, file) != size) {
		perror(path);
		return -1;
	}
	(void)fclose(file);
	/* Said first: if it dies, this is where. */
	printf("# %s\n", path);
	(void)fflush(stdout);
	run(data, size);
	for (i = 0; size <= is_short && i < size; i++)
		run(data, i);
	free(data);
	return 0;
}

static int	run_path(const char *);

static int
run_folder(const char *path)
{
	struct dirent **entries;
	char inner[PATH_MAX];
	int count, i, result = 0;

	if ((count = scandir(path, &entries, NULL, alphasort)) == -1) {
		perror(path);
		return -1;
	}
	for (i = 0; i < count; i++) {
		(void)snprintf(inner, sizeof(inner), "%s/%s", path,
		    entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && run_path(inner) == -1)
			result = -1;
		free(entries[i]);
	}
	free(entries);
	return result;
}

static int
run_path(const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1) {
		perror(path);
		return -1;
	}
	return S_ISDIR(st.st_mode) ? run_folder(path) :
	    run_file(path, (size_t)st.st_size);
}

int
main(int argc, char **argv)
{
	int i = 1, result = 0;

	if (argc > 1 && strcmp(argv[1], "-w") == 0) {
		is_short = 0;
		i++;
	}
	for (; i < argc; i++)
		if (run_path(argv[i]) == -1)
			result = 1;
	printf("# %lu runs\n", runs);
	return result;
}
