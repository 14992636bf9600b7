/* links: regress/unit/route_world.c policyd/walk.c policyd/walk_address.c
 * policyd/walk_name.c policyd/members.c policyd/decide.c policyd/route.c
 * policyd/judge.c policyd/explain.c policyd/lines.c policyd/settings.c
 * common/conf.c common/conf_keyword.c common/conf_lex.c common/conf_parse.c
 * common/conf_value.c common/conf_print.c common/target.c common/address.c
 * common/aliases.c common/log.c common/netaddr.c common/queueid.c
 * common/clock.c */
/*
 * Routes: the order of look-up, names, aliases, lists, loops and system
 * accounts; and what is told of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "regress/unit/route_world.h"

/* Print a list as "R:joe M:|x". */
static void
print_targets(const struct route_targets *targets, FILE *out)
{
	const char *at = targets->octets, *text;
	struct w_target head;
	uint32_t i;

	for (i = 0; i < targets->count; i++) {
		memcpy(&head, at, sizeof(head));
		text = at + sizeof(head);
		assert_int_equal(strlen(text) + 1, head.length);
		fprintf(out, " %c:%s", head.kind == TARGET_ROUTED ? 'R' : 'M',
		    text);
		at = text + head.length;
	}
	assert_int_equal(at - targets->octets, targets->length);
	if (targets->more)
		fprintf(out, " ...");
}

static void
print_decision(const struct decision *d, const struct route_targets *targets,
    FILE *out)
{
	switch (d->kind) {
	case ROUTE_LOCAL:
		fprintf(out, "local %s%s%s%s", d->account,
		    *d->extension != '\0' ? " ext " : "", d->extension,
		    d->worker == WORKER_MBOX ? " mbox" : "");
		break;
	case ROUTE_MAILER:
		assert_int_equal(d->mailer, target_number(d->text));
		/* FALLTHROUGH */
	case ROUTE_TEXT:
		fprintf(out, "%s %s as %s x%u",
		    d->kind == ROUTE_TEXT ? "text" : "mailer", d->text,
		    d->account, (unsigned int)d->max_recipients);
		break;
	case ROUTE_RELAY:
		fprintf(out, "relay %s%s%s for %s", d->exchange,
		    *d->exchange != '\0' ? " by " : "", d->hop, d->address);
		break;
	case ROUTE_LIST:
	case ROUTE_SUPERSEDED:
		fprintf(out, "%s %s%s%s:", d->kind == ROUTE_LIST ? "list" :
		    "superseded", d->address,
		    *d->owner != '\0' ? " owner " : "", d->owner);
		print_targets(targets, out);
		break;
	case ROUTE_REFUSE:
		fprintf(out, "refuse %u %s", (unsigned int)d->code, d->text);
		break;
	case ROUTE_DISCARD:
		fprintf(out, "discard");
		break;
	case ROUTE_UNKNOWN:
		fprintf(out, "unknown %.5s", d->text);
		break;
	case ROUTE_DEFER:
		fprintf(out, "defer %.5s", d->text);
		break;
	}
}

static void
expect_from(const char *listener, const char *sender, const char *address,
    const char *target, const char *expected)
{
	struct w_client client = { .standing = STANDING_STRANGER };
	struct question question = {
		.client = &client, .sender = sender, .address = address,
		.target = target
	};
	struct route_targets targets;
	struct decision decision;
	char *text = NULL;
	size_t length;
	FILE *out;

	strcpy(client.listener, listener);
	route_resolve(&world, fake.settings, &question, &decision, &targets);
	out = open_memstream(&text, &length);
	assert_non_null(out);
	print_decision(&decision, &targets, out);
	fclose(out);
	if (strcmp(text, expected) != 0)
		fail_msg("%s (%s): %s, not %s", address, target, text,
		    expected);
	free(text);
	free(targets.octets);
}

static void
expect(const char *address, const char *expected)
{
	expect_from("outside", "s@away.test", address, "", expected);
}

static void
test_order(void **state)
{
	static const struct {
		const char	*address;
		const char	*expected;
	} cases[] = {
		/* 1: with extension, 2: without */
		{ "joe.doe@shop.test", "local joe" },
		{ "JOE.DOE@Shop.Test", "local joe" },
		{ "list+x@shop.test", "local joe" },
		{ "list+y@shop.test", "local jane" },
		{ "list@shop.test", "local jane" },
		{ "LIST+X@shop.test", "local joe" },
		/* 3: the user at every domain that is not relayed */
		{ "info@home.test", "local jane" },
		{ "info+x@home.test", "local jane" },
		{ "info@shop.test", "local jane" },
		{ "info@listed.test", "local jane" },
		{ "info@hub.test", "relay hub for info@hub.test" },
		{ "info@away.test", "relay away.test by relay() for info@away.test" },
		{ "sales+eu@home.test", "local bob" },
		{ "sales@home.test", "unknown 5.1.1" },
		/* 4: the domain */
		{ "joe@shop.test", "local joe" },
		{ "joe+tag@shop.test", "local joe ext tag" },
		{ "x@hub.test", "relay hub for x@hub.test" },
		{ "postmaster@hub.test", "relay hub for postmaster@hub.test" },
		{ "x@host.test", "relay relay(mail.far.test) for x@host.test" },
		{ "x@lmtp.test", "relay lmtp(127.0.0.1:24) for x@lmtp.test" },
		/* by the mail exchangers of the recipient's domain */
		{ "x@By-MX.test", "relay by-mx.test by relay() for"
		    " x@By-MX.test" },
		{ "info@by-mx.test", "relay by-mx.test by relay() for"
		    " info@by-mx.test" },
		{ "x@strict.test", "relay strict.test by strict for"
		    " x@strict.test" },
		{ "x@own.test", "relay own.test by own for x@own.test" },
		{ "x@named.test", "relay named for x@named.test" },
		{ "x@star.test", "defer 4.3.5" },
		{ "bob@virtual.test", "local bob" },
		{ "none@virtual.test", "unknown 5.1.1" },
		/* 5: the name, or postmaster */
		{ "bob@home.test", "local bob" },
		{ "Bob+Tag@HOME.test", "local bob ext Tag" },
		{ "a+b@home.test", "local a+b" },
		{ "bob@[127.0.0.1]", "local bob" },
		{ "bob@[ipv6:2001:DB8:0:0:0:0:0:1]", "local bob" },
		{ "nobody-here@home.test", "unknown 5.1.1" },
		{ "postmaster@listed.test", "local jane" },
		{ "Postmaster@home.test", "local jane" },
		{ "mailer-daemon@home.test", "local jane" },
		/* 6: the rest */
		{ "x@away.test", "relay away.test by relay() for x@away.test" },
		{ "other@listed.test", "relay listed.test by relay() for other@listed.test" },
		{ "joe@[10.1.2.3]", "relay [10.1.2.3] by relay() for joe@[10.1.2.3]" },
		/* bare */
		{ "joe", "local joe" },
		{ "postmaster", "local jane" },
		{ "unsure@home.test", "defer 4.3.0" }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(cases[i].address, cases[i].expected);
}

static void
test_ends(void **state)
{
	(void)state;
	expect("no@listed.test", "refuse 550 5.7.1 Go away");
	expect("later@listed.test", "refuse 451 4.7.1 come back");
	expect("none@listed.test", "refuse 550 5.7.1 Recipient refused");
	expect("sink@listed.test", "discard");
	expect("box@listed.test", "mailer maildir(/srv/box) as _maild x1");
	expect("run@listed.test",
	    "mailer pipe(/bin/cat >/dev/null) as _maild x1");
	expect("one@listed.test", "mailer [pipe] lists as lister x1");
	expect("joe@proc.test", "mailer [pipe] procmail as joe x16");
	expect("ghost@proc.test", "unknown 5.1.1");
	expect("proc@listed.test", "local jane");
}

static void
test_listener_tables(void **state)
{
	(void)state;
	/* Each step asks the listener's table, then the unnamed one. */
	expect_from("inside", "", "bob@home.test", "", "local jane");
	expect_from("inside", "", "jane@home.test", "", "local bob");
	expect_from("inside", "", "x@home.test", "", "refuse 550 5.7.1 inside");
	expect_from("inside", "", "info@home.test", "", "local jane");
	expect_from("inside", "", "joe.doe@shop.test", "", "local joe");
	/* One that is gone means the unnamed table. */
	expect_from("vanished", "", "bob@home.test", "", "local bob");
	/* A table that is missing is no answer. */
	expect_from("broken", "", "bob@home.test", "", "defer 4.3.0");
}

static void
test_lists(void **state)
{
	(void)state;
	expect("many@listed.test",
	    "list many@listed.test: R:joe R:jane R:far@away.test");
	expect("deep@listed.test",
	    "list deep@listed.test: R:many@listed.test R:jane");
	/* A name on its own path is a member: the account itself. */
	expect("keep@home.test",
	    "list keep@home.test: M:keep R:jane@away.test");
	expect_from("", "s@x", "keep@home.test", "keep", "local keep");
	expect_from("", "s@x", "keep", "keep", "local keep");
	/* What is no longer in the list is superseded by what is. */
	expect_from("", "s@x", "keep", "was",
	    "superseded keep: M:keep R:jane@away.test");
	expect_from("", "s@x", "joe@home.test", "was",
	    "superseded joe@home.test: R:joe@home.test");
	expect_from("", "s@x", "gone@home.test", "was", "defer 4.3.5");
	expect_from("", "s@x", "nobody-here@home.test", "was",
	    "unknown 5.1.1");
}

static void
test_aliases(void **state)
{
	(void)state;
	expect("staff@home.test",
	    "list staff@home.test: R:joe R:jane R:ext@away.test");
	expect("STAFF+x@home.test",
	    "list STAFF+x@home.test: R:joe R:jane R:ext@away.test");
	expect("news@home.test",
	    "list news@home.test: R:joe@home.test R:ann@away.test R:jane");
	expect("gone@home.test", "defer 4.3.5");
	/* Nobody is no answer, nor is a file that includes itself. */
	expect("void@home.test", "defer 4.3.5");
	expect("round@home.test", "defer 4.3.5");
	/* Only addresses count in an included file. */
	expect("wild@home.test", "list wild@home.test: R:joe M:|/bin/sh");
	expect_from("", "s@x", "wild@home.test", "|/bin/sh", "defer 4.3.5");
	expect("solo@home.test", "local joe");
	expect("dotted@home.test", "local joe.doe");
	/* The one member is nobody: that is told to the sender. */
	expect("nobody-solo@home.test",
	    "list nobody-solo@home.test: R:no-such");
	expect("filter@home.test",
	    "text |/usr/bin/filter -a, b as _maild x1");
	expect("archive@home.test",
	    "list archive@home.test: M:/var/archive R:joe");
	expect_from("", "s@x", "archive@home.test", "/var/archive",
	    "text /var/archive as _maild x1");
	expect("cafe@home.test", "list cafe@home.test owner "
	    "owner-cafe@home.test: R:joe@home.test");
	expect("cafe@virtual.test", "list cafe@virtual.test owner "
	    "owner-cafe@virtual.test: R:joe@home.test");
	/* The owner is there where names are, whatever has led to it. */
	expect("coffee@listed.test", "list coffee@listed.test owner "
	    "owner-cafe@home.test: R:joe@home.test");
	/* The null sender stays null. */
	expect_from("", "", "cafe@home.test", "",
	    "list cafe@home.test: R:joe@home.test");
	expect("quiet@home.test", "local joe");
	expect("bad@home.test", "defer 4.3.5");
	expect("keeper@home.test", "list keeper@home.test: M:keeper R:jane");
	expect_from("", "s@x", "keeper@home.test", "keeper", "local keeper");
	/* The list of a list is found under the same address. */
	expect("copied@home.test", "list copied@home.test: M:keeper R:jane");
	expect_from("", "s@x", "copied@home.test", "keeper", "local keeper");
}

static void
test_loops(void **state)
{
	(void)state;
	expect("a@loop.test", "defer 4.3.5");
	expect("ring@home.test", "defer 4.3.5");
	expect("lost@home.test", "defer 4.3.5");
	expect("self@home.test", "list self@home.test: M:self R:bob@away.test");
	expect_from("", "s@x", "self@home.test", "self", "defer 4.3.5");
	expect("c@loop.test", "list c@loop.test: R:joe R:d@loop.test");
	expect("d@loop.test", "list c@loop.test: R:joe R:d@loop.test");
}

static void
test_system_accounts(void **state)
{
	(void)state;
	expect("root@home.test", "local jane");
	expect("daemon@home.test", "local mail mbox");
	expect("nobody@home.test", "local mail mbox");
	expect("mail@home.test", "local mail mbox");
	expect("hostmaster@home.test", "local mail mbox");
}

static void
test_root_mail(void **state)
{
	const char *saved = fake.settings->root_mail;

	(void)state;
	fake.settings->root_mail = "bob";
	expect("daemon@home.test", "local bob");
	fake.settings->root_mail = "ops@away.test";
	expect("daemon@home.test", "relay away.test by relay() for ops@away.test");
	fake.settings->root_mail = "daemon@home.test";
	expect("daemon@home.test", "defer 4.3.5");
	fake.settings->root_mail = "root";
	expect("daemon@home.test", "defer 4.3.5");
	fake.settings->root_mail = "no-such";
	expect("daemon@home.test", "defer 4.3.5");
	fake.settings->root_mail = saved;
}

static void
test_extension(void **state)
{
	const char *saved = fake.settings->separators;

	(void)state;
	fake.settings->separators = "-";
	expect("joe-a-b@home.test", "local joe ext a-b");
	expect("joe+a@home.test", "unknown 5.1.1");
	fake.settings->separators = "";
	expect("joe+a@home.test", "unknown 5.1.1");
	fake.settings->separators = saved;
}

static void
test_local_mailer(void **state)
{
	(void)state;
	fake.settings->local_mailer = LOCAL_PIPE;
	fake.settings->local_pipe = "procmail";
	expect("joe@home.test", "local joe");
	fake.settings->local_pipe = "lists";
	expect("joe@home.test", "mailer [pipe] lists as lister x1");
	fake.settings->local_pipe = "missing";
	expect("joe@home.test", "defer 4.3.5");
	fake.settings->local_mailer = LOCAL_MAILDIR;
}

/* Let the list news be so many addresses, until unlengthen(). */
static void
lengthen(int count, struct alias_list *saved)
{
	char *text = malloc((size_t)count * 16), *at = text;
	int i;

	*saved = fake.news;
	for (i = 0; i < count; i++)
		at += sprintf(at, "u%d@a.test\n", i);
	assert_int_equal(alias_list_parse(text, (size_t)(at - text), NULL,
	    NULL, &fake.news), 0);
	free(text);
}

static void
unlengthen(const struct alias_list *saved)
{
	alias_list_free(&fake.news);
	fake.news = *saved;
}

/* A list of more than one answer holds goes on where the last ended. */
static void
test_long_list(void **state)
{
	struct w_client client = { .standing = STANDING_STRANGER };
	struct question question = {
		.client = &client, .sender = "", .address = "news@home.test",
		.target = ""
	};
	struct route_targets targets;
	struct decision decision;
	struct alias_list saved;
	int i;

	(void)state;
	lengthen(600, &saved);
	for (i = 0; i < 600; i += WIRE_TARGETS) {
		question.skip = (uint32_t)i;
		route_resolve(&world, fake.settings, &question, &decision,
		    &targets);
		assert_int_equal(decision.kind, ROUTE_LIST);
		assert_int_equal(targets.more, i + WIRE_TARGETS < 600);
		assert_int_equal(targets.count, targets.more ? WIRE_TARGETS :
		    600 - i);
		free(targets.octets);
	}
	unlengthen(&saved);
}

/* ---- what is told ---- */

/* What is told of an address; to be freed. */
static char *
told(const char *address, struct decision *decision)
{
	struct w_client client = { .standing = STANDING_STRANGER };
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	explain(&world, fake.settings, &client, address, out, decision);
	fclose(out);
	return text;
}

static void
test_explain(void **state)
{
	struct decision decision;
	char *text;

	(void)state;
	text = told("deep@listed.test", &decision);
	assert_int_equal(decision.kind, ROUTE_LIST);
	assert_non_null(strstr(text, "address <deep@listed.test>, domain "
	    "listed\n"));
	assert_non_null(strstr(text, "deep@listed.test: cf:"));
	assert_non_null(strstr(text, "  address <many@listed.test>"));
	assert_non_null(strstr(text, "    mailbox of account joe\n"));
	assert_non_null(strstr(text, "RCPT from a stranger: accepted\n"));
	free(text);
	text = told("x@by-mx.test", &decision);
	assert_non_null(strstr(text, "next hop by-mx.test by relay(), for "
	    "<x@by-mx.test>\n"));
	assert_int_equal(decision.kind, ROUTE_RELAY);
	assert_string_equal(decision.hop, "relay()");
	assert_string_equal(decision.exchange, "by-mx.test");
	free(text);
	text = told("cafe@home.test", &decision);
	assert_non_null(strstr(text, "failures go to "
	    "<owner-cafe@home.test>\n"));
	free(text);
}

static int
count_of(const char *text, const char *what)
{
	int count = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		count++;
	return count;
}

/* However long and deep lists are, what is told of them has an end. */
static void
test_explain_much(void **state)
{
	static const char wide[] = "wide: p1,p2,p3,p4,p5,p6,p7,p8,p9,pa,pb,"
	    "pc,pd,pe,pf\n";
	struct aliases *aliases = fake.aliases;
	struct alias_list saved;
	struct decision decision;
	char *text, *at, lines[1024];
	const char *p;

	(void)state;
	lengthen(600, &saved);
	text = told("news@home.test", &decision);
	assert_int_equal(count_of(text, "target "), 40);
	assert_non_null(strstr(text, "\nand 560 more\n"));
	free(text);
	text = told("deep1@home.test", &decision);
	assert_non_null(strstr(text, "and so on\n"));
	assert_null(strstr(text, "name deep6"));
	free(text);
	at = lines + sprintf(lines, "%s", wide);
	for (p = "123456789abcdef"; *p != '\0'; p++)
		at += sprintf(at, "p%c: :include:/lists/news\n", *p);
	fake.aliases = aliases_parse(lines, strlen(lines), NULL, NULL);
	text = told("wide@home.test", &decision);
	assert_int_equal(count_of(text, "target "), 500);
	free(text);
	aliases_free(fake.aliases);
	fake.aliases = aliases;
	unlengthen(&saved);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_listener_tables),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_system_accounts),
		cmocka_unit_test(test_root_mail),
		cmocka_unit_test(test_extension),
		cmocka_unit_test(test_local_mailer),
		cmocka_unit_test(test_long_list),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_explain_much)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_world, drop_world);
}
