/* links: policyd/lines.c common/conf.c common/conf_keyword.c
 * common/conf_lex.c common/conf_parse.c common/conf_print.c
 * common/conf_value.c common/target.c common/address.c common/log.c
 * common/queueid.c common/clock.c */
/*
 * Tables as policyd compiles them: every left side is found, in order, with
 * targets that are sound.
 */
#include <strings.h>

#include "fuzz.h"
#include "policyd/policyd.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *conf = conf_parse_table("fuzz", (const char *)data, size,
	    NULL);
	struct lines *lines = lines_compile(conf, TAILQ_FIRST(&conf->sections),
	    false);
	const struct line *line, *found;
	const struct target *target;
	struct address address;
	size_t i, j;

	for (i = 0; i < lines->count; i++) {
		line = &lines->entries[i];
		found = lines_find(lines, line->left);
		require(found != NULL &&
		    strcasecmp(found->left, line->left) == 0);
		require(i == 0 || strcasecmp(line[-1].left, line->left) <= 0);
		for (j = 0; j < line->count; j++) {
			target = &line->targets[j];
			require(target->text != NULL && *target->text != '\0');
			require(target->kind != TARGET_PROGRAM &&
			    target->kind != TARGET_FILE);
			if (target->kind == TARGET_ADDRESS)
				require(address_parse(target->text,
				    &address) == ADDRESS_OK);
		}
	}
	for (i = 0; i < lines->domain_count; i++)
		require(lines_name_domain(lines, lines->domains[i]));
	require(!lines_name_domain(lines, "") && lines_find(lines, "") == NULL);
	lines_free(lines);
	conf_free(conf);
	return 0;
}
