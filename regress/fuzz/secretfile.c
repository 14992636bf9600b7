/* links: common/secretfile.c common/conf_lex.c common/log.c
 * common/queueid.c common/clock.c */
/*
 * The file of logins: entries are sound, and no complaint tells what stands
 * in a line.
 */
#include "fuzz.h"
#include "secretfile.h"
#include "wire.h"

#define MARK	"Geheimnis"	/* stands in no complaint of ours */

static void
take(const struct secretfile_entry *entry, void *arg)
{
	int *count = arg;

	require(entry->key[0] != '\0' && strlen(entry->key) < WIRE_DOMAIN);
	require(entry->login[0] != '\0' && entry->password[0] != '\0');
	require(strlen(entry->login) <= SECRETFILE_WORD &&
	    strlen(entry->password) <= SECRETFILE_WORD);
	require(entry->sender[0] == '\0' ||
	    strchr(entry->sender, '@') != NULL);
	require(entry->line >= 1);
	(*count)++;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *said = NULL;
	size_t length;
	FILE *out = fuzz_need(open_memstream(&said, &length));
	int wrong, count = 0, again = 0;

	wrong = secretfile_read("fuzz", (const char *)data, size, take, &count,
	    out);
	require(fclose(out) == 0);
	require(wrong >= 0 && (wrong > 0) == (length > 0));
	require(strstr(said, MARK) == NULL);
	free(said);
	require(secretfile_read("fuzz", (const char *)data, size, take, &again,
	    NULL) == wrong && again == count);
	return 0;
}
