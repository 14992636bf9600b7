/* links: deliver/mailer.c deliver/command.c deliver/job.c common/conf.c
 * common/conf_keyword.c common/conf_lex.c common/conf_parse.c
 * common/conf_value.c common/target.c common/log.c common/queueid.c
 * common/clock.c */
/*
 * What a configuration says to deliver, and any text that names a mailer: of
 * one that nobody complains of each mailer is found by its number, and has
 * what its kind needs.  The input is the file, then behind a NUL a text a
 * line.
 */
#include "deliver/deliver.h"
#include "fuzz.h"

#define TEXTS	16

/* No program is looked for; two can be looked up, and one is root. */
enum account_result
account_by_name(const char *name, struct account *account)
{
	memset(account, 0, sizeof(*account));
	account->uid = strcmp(name, "root") == 0 ? 0 : 1000;
	return strcmp(name, "root") == 0 || strcmp(name, "joe") == 0 ?
	    ACCOUNT_YES : strcmp(name, "unsure") == 0 ? ACCOUNT_FAILED :
	    ACCOUNT_NO;
}

void
account_free(struct account *account)
{
	require(account->name == NULL);
}

static void
check_pipe(const struct mailer *mailer)
{
	size_t i;

	require(mailer->word_count > 0 && mailer->words[0][0] == '/');
	for (i = 0; i < mailer->word_count; i++)
		require(command_word_ok(mailer->words[i]));
}

static void
check_mailer(const struct mailer *mailer)
{
	require(mailer->kind > MAILER_NONE && mailer->kind <= MAILER_SPOOL);
	require(mailer->name != NULL && mailer->name[0] != '\0');
	require(mailer->time_limit >= 0);
	if (mailer->kind == MAILER_PIPE)
		check_pipe(mailer);
	else
		require(mailer->text != NULL && mailer->text[0] != '\0');
	if (mailer->kind == MAILER_MAILDIR || mailer->kind == MAILER_MBOX)
		require(mailer->text[0] == '/' ||
		    strncmp(mailer->text, "~/", 2) == 0);
}

static void
load(const struct conf *conf)
{
	struct mailers *mailers = mailers_load(conf);
	const struct mailer *found;
	size_t i;

	for (i = 0; i < mailers->count; i++) {
		check_mailer(&mailers->all[i]);
		found = mailers_find(mailers, mailers->all[i].number);
		require(found != NULL &&
		    found->number == mailers->all[i].number);
	}
	if (mailers->local.kind == MAILER_PIPE)
		check_pipe(&mailers->local);
	require(mailers->program_user != NULL);
	mailers_free(mailers);
}

static void
take_text(char *text)
{
	struct mailer mailer;

	if (mailer_of_text(text, &mailer) == -1)
		return;
	check_mailer(&mailer);
	mailer_clear(&mailer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
	size_t length = nul != NULL ? (size_t)(nul - data) : size;
	struct fuzz_input file = { data, length };
	struct fuzz_input texts = { data + length + (nul != NULL),
	    size - length - (nul != NULL) };
	char *text = fuzz_rest(&file);
	struct conf *conf = conf_parse("fuzz", text, strlen(text), NULL);

	if (conf->wrong == 0)
		mailers_check(conf);
	if (conf->wrong == 0)
		load(conf);
	conf_free(conf);
	free(text);
	fuzz_lines(&texts, TEXTS, take_text);
	return 0;
}
