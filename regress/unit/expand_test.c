/* links: spoold/expand.c spoold/checksum.c common/wire.c common/log.c
 * common/queueid.c common/clock.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "spoold/spoold.h"

#define ROWS	64

/* ---- what stands in for the database and the rest of spoold */

static struct {
	struct {
		uint32_t	 row;
		char		 address[32];
	}		 rows[ROWS];
	size_t		 count;		/* committed */
	size_t		 added;		/* behind these, not committed */
	size_t		 at;
	unsigned int	 loads;
	bool		 refuse;	/* the next row */
	/* Of the row that was added last. */
	uint32_t	 notify;
	char		 sender[32];
	char		 orcpt[32];
} s;

int
db_ask(enum sql sql, const char *types, ...)
{
	(void)types;
	assert_int_equal(sql, SQL_RECIPIENT_TEXTS);
	s.loads++;
	s.at = 0;
	return s.count > 0;
}

int
db_next(enum sql sql)
{
	(void)sql;
	return ++s.at < s.count;
}

void
db_end(enum sql sql)
{
	(void)sql;
}

int64_t
db_integer(enum sql sql, int column)
{
	(void)sql;
	return column == 0 ? s.rows[s.at].row : 0;
}

const char *
db_text(enum sql sql, int column)
{
	(void)sql;
	return column == 3 ? s.rows[s.at].address : "";
}

int
store_add_recipient(struct recipient *recipient, enum stored stored)
{
	size_t	 at = s.count + s.added;

	(void)stored;
	if (s.refuse || at == ROWS)
		return -1;
	s.rows[at].row = recipient->row;
	(void)strlcpy(s.rows[at].address, recipient->address,
	    sizeof(s.rows[at].address));
	s.added++;
	s.notify = recipient->notify;
	(void)strlcpy(s.sender, recipient->sender != NULL ?
	    recipient->sender : "", sizeof(s.sender));
	(void)strlcpy(s.orcpt, recipient->orcpt, sizeof(s.orcpt));
	return 0;
}

struct recipient *
recipient_new(struct message *message, uint32_t row, const char *address)
{
	struct recipient	*recipient = calloc(1, sizeof(*recipient));

	recipient->message = message;
	recipient->row = row;
	recipient->address = strdup(address);
	recipient->original = strdup(address);
	recipient->target = strdup("");
	recipient->account = strdup("");
	recipient->orcpt = strdup("");
	TAILQ_INSERT_TAIL(&message->recipients, recipient, of_message);
	return recipient;
}

void
recipient_free(struct recipient *recipient)
{
	free(recipient->address);
	free(recipient->original);
	free(recipient->target);
	free(recipient->account);
	free(recipient->sender);
	free(recipient->orcpt);
	free(recipient);
}

struct outcome *
outcome_new(struct message *message)
{
	(void)message;
	fail();
	return NULL;
}

struct ending *
outcome_add(struct outcome *outcome, struct recipient *recipient,
    enum ending_kind kind, const char *status, const char *text,
    const char *where)
{
	(void)outcome;
	(void)recipient;
	(void)kind;
	(void)status;
	(void)text;
	(void)where;
	fail();
	return NULL;
}

void
outcome_store(struct outcome *outcome)
{
	(void)outcome;
	fail();
}

void
outcome_one(struct recipient *recipient, enum ending_kind kind,
    const char *status, const char *text, const char *where)
{
	(void)outcome_add(NULL, recipient, kind, status, text, where);
}

/* ---- the tests */

static struct message	 message;
static struct recipient	*list;

static int
begin(void **state)
{
	(void)state;
	memset(&s, 0, sizeof(s));
	memset(&message, 0, sizeof(message));
	TAILQ_INIT(&message.recipients);
	list = recipient_new(&message, 1, "list@x");
	s.rows[s.count++].row = 1;
	(void)strlcpy(s.rows[0].address, "list@x", sizeof(s.rows[0].address));
	return 0;
}

static int
end(void **state)
{
	(void)state;
	expansion_forget_known(&message);
	TAILQ_REMOVE(&message.recipients, list, of_message);
	recipient_free(list);
	return 0;
}

/* A part of a list: addresses, NULL. */
static struct expansion *
part_of(int more, ...)
{
	struct frame		 frame = { .tail = NULL };
	struct expansion	*expansion;
	struct w_target		 target = { .kind = TARGET_ROUTED };
	const char		*address;
	char			 tail[1024];
	uint32_t		 count = 0;
	size_t			 length = 0;
	va_list			 addresses;

	va_start(addresses, more);
	while ((address = va_arg(addresses, const char *)) != NULL) {
		target.length = (uint32_t)strlen(address) + 1;
		memcpy(tail + length, &target, sizeof(target));
		length += sizeof(target);
		memcpy(tail + length, address, target.length);
		length += target.length;
		count++;
	}
	va_end(addresses);
	frame.tail = tail;
	frame.tail_length = length;
	expansion = expansion_of(list, &frame, count, more != 0, "empty", "");
	assert_non_null(expansion);
	expansion->found_under = strdup("list@x");
	return expansion;
}

/* One transaction, and what the next part is numbered from. */
static int
store(struct expansion *expansion)
{
	return expansion_store(expansion, list,
	    (uint32_t)(s.count + s.added) + 1, STORED_NEW);
}

static void
commit(struct expansion *expansion)
{
	list->skip += (uint32_t)expansion->count;
	s.count += s.added;
	s.added = 0;
	expansion_free(expansion);
}

static void
has(const char *addresses)
{
	char	 text[1024] = "";
	size_t	 i;

	for (i = 1; i < s.count; i++)
		(void)snprintf(text + strlen(text),
		    sizeof(text) - strlen(text), " %s", s.rows[i].address);
	assert_string_equal(text, addresses);
}

static void
reads_the_rows_once_for_a_list(void **state)
{
	struct expansion	*part;

	(void)state;
	assert_int_equal(store(part = part_of(true, "a@x", "b@x", NULL)), 0);
	commit(part);
	assert_int_equal(store(part = part_of(true, "B@X", "c@x", NULL)), 0);
	commit(part);
	assert_int_equal(store(part = part_of(false, "a@x", "list@x", "d@x",
	    "d@x", NULL)), 0);
	commit(part);
	has(" a@x b@x c@x d@x");
	assert_int_equal(s.loads, 1);
	/* It was the last part: another list begins with what is stored. */
	assert_null(message.known_rows);
	assert_int_equal(store(part = part_of(false, "d@x", "e@x", NULL)), 0);
	commit(part);
	has(" a@x b@x c@x d@x e@x");
	assert_int_equal(s.loads, 2);
}

static void
a_transaction_run_again_adds_all_again(void **state)
{
	struct expansion	*part;

	(void)state;
	assert_int_equal(store(part = part_of(true, "a@x", NULL)), 0);
	commit(part);
	assert_int_equal(store(part = part_of(true, "b@x", "c@x", NULL)), 0);
	s.added = 0;			/* rolled back */
	assert_int_equal(store(part), 0);
	commit(part);
	has(" a@x b@x c@x");
}

static void
what_was_refused_is_not_known(void **state)
{
	struct expansion	*part, *other;

	(void)state;
	assert_int_equal(store(part = part_of(true, "a@x", NULL)), 0);
	commit(part);
	s.refuse = true;
	assert_int_equal(store(part = part_of(true, "b@x", NULL)), -1);
	assert_null(message.known_rows);
	s.refuse = false;
	assert_int_equal(store(other = part_of(true, "b@x", NULL)), 0);
	commit(other);
	expansion_free(part);
	has(" a@x b@x");
}

static void
a_new_list_looks_again(void **state)
{
	struct expansion	*part;

	(void)state;
	assert_int_equal(store(part = part_of(true, "a@x", NULL)), 0);
	commit(part);
	part = part_of(false, "b@x", NULL);
	part->replaces = true;
	assert_int_equal(store(part), 0);
	commit(part);
	assert_int_equal(s.loads, 2);
}

/* The owner hears of failures, and nothing of what the sender asked for. */
static void
members_are_their_owners(void **state)
{
	struct expansion	*part;

	(void)state;
	list->notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
	free(list->orcpt);
	list->orcpt = strdup("rfc822;list@x");
	assert_int_equal(store(part = part_of(false, "a@x", "b@x", NULL)), 0);
	commit(part);
	assert_string_equal(s.sender, "");
	assert_string_equal(s.orcpt, "rfc822;list@x");
	assert_int_equal(s.notify, NOTIFY_DELAY);
	part = part_of(false, "c@x", "d@x", NULL);
	part->owner = strdup("owner@x");
	assert_int_equal(store(part), 0);
	commit(part);
	assert_string_equal(s.sender, "owner@x");
	assert_string_equal(s.orcpt, "");
	assert_int_equal(s.notify, NOTIFY_FAILURE);
}

int
main(void)
{
	static const struct CMUnitTest	 tests[] = {
		cmocka_unit_test_setup_teardown(
		    reads_the_rows_once_for_a_list, begin, end),
		cmocka_unit_test_setup_teardown(
		    a_transaction_run_again_adds_all_again, begin, end),
		cmocka_unit_test_setup_teardown(
		    what_was_refused_is_not_known, begin, end),
		cmocka_unit_test_setup_teardown(
		    a_new_list_looks_again, begin, end),
		cmocka_unit_test_setup_teardown(
		    members_are_their_owners, begin, end)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
