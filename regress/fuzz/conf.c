/* links: common/conf.c common/conf_keyword.c common/conf_lex.c
 * common/conf_parse.c common/conf_print.c common/conf_value.c
 * common/target.c */
/*
 * The configuration and tables: what is printed is read again as the same,
 * with places if they are kept.
 */
#include "conf.h"
#include "conf_keyword.h"
#include "fuzz.h"

static char *
print(const struct conf *conf, size_t *length)
{
	char *text = NULL;
	FILE *out = fuzz_need(open_memstream(&text, length));

	require(conf_print(conf, out) == 0);
	require(fclose(out) == 0);
	return text;
}

static bool
all(const struct conf_section *section, const struct conf_route *route,
    void *arg)
{
	(void)section;
	(void)route;
	(void)arg;
	return true;
}

static void
same_words(const struct conf_word *a, const struct conf_word *b, size_t count)
{
	for (; count > 0; count--, a++, b++)
		require(strcmp(a->text, b->text) == 0 &&
		    a->place.line == b->place.line);
}

/* The same sections and words, on the same lines. */
static void
same(const struct conf *a, const struct conf *b)
{
	const struct conf_section *s = TAILQ_FIRST(&a->sections);
	const struct conf_section *t = TAILQ_FIRST(&b->sections);
	const struct conf_setting *i, *j;
	const struct conf_route *k, *l;

	for (; s != NULL; s = TAILQ_NEXT(s, entry), t = TAILQ_NEXT(t, entry)) {
		require(t != NULL && strcmp(s->type, t->type) == 0 &&
		    strcmp(s->name, t->name) == 0);
		j = TAILQ_FIRST(&t->settings);
		TAILQ_FOREACH(i, &s->settings, entry) {
			require(j != NULL && strcmp(i->name, j->name) == 0 &&
			    i->count == j->count);
			same_words(i->words, j->words, i->count);
			j = TAILQ_NEXT(j, entry);
		}
		l = TAILQ_FIRST(&t->routes);
		TAILQ_FOREACH(k, &s->routes, entry) {
			require(l != NULL && k->count == l->count &&
			    (k->left == NULL) == (l->left == NULL));
			require(k->left == NULL ||
			    strcmp(k->left, l->left) == 0);
			same_words(k->targets, l->targets, k->count);
			l = TAILQ_NEXT(l, entry);
		}
		require(j == NULL && l == NULL);
	}
	require(t == NULL);
}

static void
check_placed(const struct conf *conf)
{
	char *text = NULL;
	size_t length;
	FILE *out = fuzz_need(open_memstream(&text, &length));
	struct conf *again;

	require(conf_print_placed(conf, all, NULL, out) == 0);
	require(fclose(out) == 0);
	again = conf_parse("fuzz", text, length, NULL);
	require(again->wrong == 0);
	same(conf, again);
	conf_free(again);
	free(text);
}

static void
check_printed(const struct conf *conf)
{
	char *once, *twice;
	size_t first, second;
	struct conf *again;

	once = print(conf, &first);
	again = conf_parse("fuzz", once, first, NULL);
	require(again->wrong == 0);
	twice = print(again, &second);
	require(first == second && memcmp(once, twice, first) == 0);
	conf_free(again);
	free(once);
	free(twice);
}

/* What was found to be of a type can be read in it. */
static void
check_type(const struct conf_section *section,
    const struct conf_setting *setting)
{
	const struct conf_keyword *row = conf_keyword(section->type,
	    setting->name);
	const char *text = setting->words[0].text;
	int64_t number;
	bool truth;

	require(row != NULL);
	require(conf_setting(section, setting->name) != NULL);
	require(row->type != CONF_NUMBER ||
	    conf_parse_number(text, &number) == 0);
	require(row->type != CONF_SIZE || conf_parse_size(text, &number) == 0);
	require(row->type != CONF_DURATION ||
	    conf_parse_duration(text, &number) == 0);
	require(row->type != CONF_BOOL || conf_parse_bool(text, &truth) == 0);
	require(row->type != CONF_PATH || text[0] == '/');
	(void)conf_number(section, setting->name, 1);
	(void)conf_size(section, setting->name, 1);
	(void)conf_duration(section, setting->name, 1);
	(void)conf_bool(section, setting->name, true);
	require(conf_string(section, setting->name, NULL) != NULL);
	require(conf_number(section, "no-such", 7) == 7);
}

/* Every value in every type: asking does no harm. */
static void
ask(const char *text)
{
	int64_t number, time;
	bool truth;

	if (conf_parse_size(text, &number) == 0)
		require(number >= 0);
	if (conf_parse_duration(text, &number) == 0)
		require(number >= 0);
	(void)conf_parse_number(text, &number);
	(void)conf_parse_bool(text, &truth);
	if (conf_parse_rate(text, &number, &time) == 0)
		require(number >= 1 && time >= 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const struct conf_section *section;
	const struct conf_setting *setting;
	struct conf *conf;
	char *said = NULL;
	size_t said_length, i;
	FILE *errors = fuzz_need(open_memstream(&said, &said_length));

	conf = conf_parse("fuzz", text, size, errors);
	require(fclose(errors) == 0);
	require((conf->wrong + conf->lacking + conf->warnings > 0) ==
	    (said_length > 0));
	free(said);
	if (conf->wrong == 0) {
		check_printed(conf);
		check_placed(conf);
	}
	TAILQ_FOREACH(section, &conf->sections, entry)
		TAILQ_FOREACH(setting, &section->settings, entry) {
			if (conf->wrong == 0)
				check_type(section, setting);
			for (i = 0; i < setting->count; i++)
				ask(setting->words[i].text);
		}
	conf_free(conf);
	conf = conf_parse_table("fuzz", text, size, NULL);
	if (conf->wrong == 0)
		check_printed(conf);
	conf_free(conf);
	return 0;
}
