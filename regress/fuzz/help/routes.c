/*
 * No table but the unnamed one, no include that is not there but /gone, and
 * one account that cannot be looked up.
 */
#include "../fuzz.h"
#include "routes.h"

static const char head[] =
    "[core]\n"
    "hostname = mx.home.test\n"
    "local-domains = home.test\n"
    "local-mailer = maildir\n"
    "[pipe \"procmail\"]\nexec = /bin/cat\n"
    "[relay \"hub\"]\nname = hub.test\n"
    "[route]\n";

static struct {
	struct conf	*conf;
	struct settings	*settings;
	struct lines	*lines;
	struct aliases	*aliases;
	struct alias_list list;
	bool		 is_empty;	/* no routes */
	unsigned long	 looks;
} fake;

/* ---- look-ups ---- */

static enum find
find_line(void *context, const char *table, const char *left,
    const struct line **line)
{
	(void)context;
	fake.looks++;
	if (*table != '\0')
		return FIND_FAILED;
	*line = lines_find(fake.lines, left);
	return *line != NULL ? FIND_HIT : FIND_NONE;
}

static enum find
find_domain(void *context, const char *table, const char *domain)
{
	(void)context;
	return *table == '\0' && lines_name_domain(fake.lines, domain) ?
	    FIND_HIT : FIND_NONE;
}

static enum find
find_alias(void *context, const char *name, const struct alias **alias)
{
	(void)context;
	fake.looks++;
	*alias = aliases_find(fake.aliases, name);
	return *alias != NULL ? FIND_HIT : FIND_NONE;
}

static enum find
find_include(void *context, const char *path, const struct alias_list **list)
{
	(void)context;
	fake.looks++;
	*list = &fake.list;
	return strcmp(path, "/gone") == 0 ? FIND_NONE : FIND_HIT;
}

static enum account_result
find_account(void *context, const char *name, struct who *who)
{
	static const char *const names[] = { "root", "joe", "jane", "a+b" };
	size_t i;

	(void)context;
	fake.looks++;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0) {
			memset(who, 0, sizeof(*who));
			strlcpy(who->name, name, sizeof(who->name));
			who->uid = i == 0 ? 0 : (uid_t)(1000 + i);
			return ACCOUNT_YES;
		}
	return strcmp(name, "unsure") == 0 ? ACCOUNT_FAILED : ACCOUNT_NO;
}

static const char *
tell_failure(void *context)
{
	(void)context;
	return "it does not answer";
}

const struct world routes_world = {
	.line = find_line, .domain = find_domain, .alias = find_alias,
	.include = find_include, .account = find_account,
	.failure = tell_failure
};

bool
routes_are_none(void)
{
	return fake.is_empty;
}

unsigned long
routes_looks(void)
{
	return fake.looks;
}

/* ---- reading ---- */

/* Up to a NUL, which is taken. */
static struct fuzz_input
take_part(struct fuzz_input *in)
{
	const uint8_t *nul = in->left > 0 ? memchr(in->at, '\0', in->left) :
	    NULL;
	struct fuzz_input part = { in->at, nul != NULL ?
	    (size_t)(nul - in->at) : in->left };

	in->at += part.left + (nul != NULL);
	in->left -= part.left + (nul != NULL);
	return part;
}

static struct conf *
read_lines(const struct fuzz_input *part)
{
	size_t size = sizeof(head) - 1 + part->left;
	char *text = fuzz_need(malloc(size));
	struct conf *conf;

	memcpy(text, head, sizeof(head) - 1);
	if (part->left > 0)
		memcpy(text + sizeof(head) - 1, part->at, part->left);
	conf = conf_parse("fuzz", text, size, NULL);
	free(text);
	return conf;
}

const struct settings *
routes_read(struct fuzz_input *in)
{
	struct fuzz_input part = take_part(in);

	fake.is_empty = part.left == 0;
	fake.looks = 0;
	fake.conf = read_lines(&part);
	fake.settings = settings_new(fake.conf, NULL);
	fake.lines = lines_compile(fake.conf,
	    conf_section(fake.conf, "route", NULL), true);
	part = take_part(in);
	fake.aliases = aliases_parse((const char *)part.at, part.left, NULL,
	    NULL);
	part = take_part(in);
	(void)alias_list_parse((const char *)part.at, part.left, NULL, NULL,
	    &fake.list);
	return fake.settings;
}

void
routes_free(void)
{
	alias_list_free(&fake.list);
	aliases_free(fake.aliases);
	lines_free(fake.lines);
	settings_free(fake.settings);
	conf_free(fake.conf);
}
