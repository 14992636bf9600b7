/*
 * The world of route_world.h.
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

static const char configuration[] =
    "[core]\n"
    "hostname = mx.home.test\n"
    "mail-name = home.test\n"
    "local-domains = home.test, mx.home.test, localhost, [127.0.0.1]\n"
    "local-domains = [IPv6:2001:db8::1]\n"
    "local-mailer = maildir\n"
    "alias-file = /etc/aliases\n"
    "[pipe \"procmail\"]\n"
    "exec = /usr/bin/procmail -t\n"
    "max_rcpt_to = 16\n"
    "[pipe \"lists\"]\n"
    "exec = /usr/bin/lists\n"
    "user = lister\n"
    "[relay \"*\"]\n"
    "mx = recipient\n"
    "[relay \"hub\"]\n"
    "address = 10.0.0.1\n"
    "[relay \"strict\"]\n"
    "tls = verified\n"
    "[relay \"own\"]\n"
    "name = mx.own.test\n"
    "mx = recipient\n"
    "[relay \"named\"]\n"
    "mx = name\n"
    "[smtpd \"inside\"]\n"
    "routing-table = inside\n"
    "local-rcpt-to = yes\n"
    "[smtpd \"broken\"]\n"
    "routing-table = nowhere\n"
    "[smtpd \"outside\"]\n"
    "[route \"inside\"]\n"
    "bob@home.test          jane\n"
    "jane@                  bob\n"
    "@home.test             reject(550 inside)\n"
    "[route]\n"
    "joe.doe@shop.test      joe\n"
    "list+x@shop.test       joe\n"
    "list@shop.test         jane\n"
    "info@                  jane\n"
    "sales+eu@              bob\n"
    "@shop.test             @home.test\n"
    "@hub.test              hub\n"
    "@host.test             mail.far.test\n"
    "@by-mx.test            relay()\n"
    "@strict.test           strict\n"
    "@own.test              own\n"
    "@named.test            named\n"
    "@star.test             *\n"
    "@lmtp.test             lmtp(127.0.0.1:24)\n"
    "@virtual.test          local()\n"
    "only@listed.test       joe\n"
    "many@listed.test       joe, jane, far@away.test\n"
    "half@listed.test       joe, nobody-here\n"
    "worse@listed.test      nobody-here, no@listed.test, joe\n"
    "coffee@listed.test     cafe\n"
    "eight@listed.test      reject(550 5.7.1 na\xc3\xafve)\n"
    "no@listed.test         reject(550 5.7.1 Go away)\n"
    "later@listed.test      reject(451 come back)\n"
    "none@listed.test       reject()\n"
    "sink@listed.test       discard()\n"
    "box@listed.test        maildir(/srv/box)\n"
    "run@listed.test        pipe(/bin/cat >/dev/null)\n"
    "one@listed.test        lists\n"
    "proc@listed.test       local(jane)\n"
    "joe@proc.test          procmail\n"
    "ghost@proc.test        procmail\n"
    "a@loop.test            b@loop.test\n"
    "b@loop.test            a@loop.test\n"
    "c@loop.test            joe, d@loop.test\n"
    "d@loop.test            c@loop.test\n"
    "keep                   keep, jane@away.test\n"
    "lost                   lost\n"
    "deep@listed.test       many@listed.test, jane\n"
    "joe%away.test@listed.test  joe\n"
    "mail@virtual.test      local()\n"
    "@                      relay()\n";

static const char alias_text[] =
    "postmaster: root\n"
    "root: jane\n"
    "staff: joe, jane, ext@away.test\n"
    "news: :include:/lists/news\n"
    "gone: :include:/lists/gone\n"
    "wild: :include:/lists/wild\n"
    "solo: joe\n"
    "nobody-solo: no-such\n"
    "dotted: joe.doe\n"
    "filter: \"|/usr/bin/filter -a, b\"\n"
    "archive: /var/archive, joe\n"
    "cafe: joe@home.test\n"
    "owner-cafe: jane\n"
    "ring: ring2\n"
    "ring2: ring\n"
    "self: self, bob@away.test\n"
    "keeper: keeper, jane\n"
    "hostmaster: daemon\n"
    "quiet: \\joe\n"
    "bad: two words\n"
    "copied: keeper\n"
    "round: :include:/lists/round\n"
    "void: :include:/lists/void\n"
    "deep1: deep2, joe\n"
    "deep2: deep3, joe\n"
    "deep3: deep4, joe\n"
    "deep4: deep5, joe\n"
    "deep5: deep6, joe\n"
    "deep6: joe, jane\n";

static const struct {
	const char	*name;
	uid_t		 uid;
} accounts[] = {
	{ "root", 0 }, { "daemon", 1 }, { "mail", 8 }, { "nobody", 65534 },
	{ "joe", 1000 }, { "jane", 1001 }, { "bob", 1002 },
	{ "keep", 1003 }, { "keeper", 1004 }, { "joe.doe", 1005 },
	{ "lister", 1006 }, { "a+b", 1007 }
};

struct fake fake;

static struct lines *
find_table(const char *name)
{
	size_t i;

	for (i = 0; i < fake.count; i++)
		if (strcmp(fake.tables[i].name, name) == 0)
			return fake.tables[i].lines;
	return NULL;
}

static enum find
fake_line(void *context, const char *table, const char *left,
    const struct line **line)
{
	struct lines *lines = find_table(table);

	(void)context;
	if (lines == NULL)
		return FIND_FAILED;
	*line = lines_find(lines, left);
	return *line != NULL ? FIND_HIT : FIND_NONE;
}

static enum find
fake_domain(void *context, const char *table, const char *domain)
{
	struct lines *lines = find_table(table);

	(void)context;
	if (lines == NULL)
		return FIND_FAILED;
	return lines_name_domain(lines, domain) ? FIND_HIT : FIND_NONE;
}

static enum find
fake_alias(void *context, const char *name, const struct alias **alias)
{
	(void)context;
	*alias = fake.no_aliases ? NULL : aliases_find(fake.aliases, name);
	return *alias != NULL ? FIND_HIT : FIND_NONE;
}

static enum find
fake_include(void *context, const char *path, const struct alias_list **list)
{
	(void)context;
	if (strcmp(path, "/lists/gone") == 0)
		return FIND_NONE;
	*list = strcmp(path, "/lists/wild") == 0 ? &fake.wild :
	    strcmp(path, "/lists/round") == 0 ? &fake.round :
	    strcmp(path, "/lists/void") == 0 ? &fake.none : &fake.news;
	return FIND_HIT;
}

static enum account_result
fake_account(void *context, const char *name, struct who *who)
{
	size_t i;

	(void)context;
	if (strcmp(name, "unsure") == 0)
		return ACCOUNT_FAILED;
	for (i = 0; i < sizeof(accounts) / sizeof(accounts[0]); i++)
		if (strcmp(accounts[i].name, name) == 0) {
			memset(who, 0, sizeof(*who));
			strcpy(who->name, name);
			who->uid = accounts[i].uid;
			return ACCOUNT_YES;
		}
	return ACCOUNT_NO;
}

static const char *
fake_failure(void *context)
{
	(void)context;
	return "it does not answer";
}

const struct world world = {
	.line = fake_line, .domain = fake_domain, .alias = fake_alias,
	.include = fake_include, .account = fake_account,
	.failure = fake_failure
};

int
make_world(void **state)
{
	static const char news[] = "joe@home.test\nann@away.test, jane\n";
	static const char wild[] = "joe\n|/bin/sh\n";
	static const char ring[] = "joe\n:include:/lists/round\n";
	const struct conf_section *section;

	(void)state;
	fake.conf = conf_parse("cf", configuration, strlen(configuration),
	    stderr);
	assert_int_equal(fake.conf->wrong, 0);
	fake.settings = settings_new(fake.conf, NULL);
	for (section = conf_section(fake.conf, "route", NULL);
	    section != NULL; section = conf_next(section)) {
		fake.tables[fake.count].name = section->name;
		fake.tables[fake.count++].lines = lines_compile(fake.conf,
		    section, true);
	}
	assert_int_equal(fake.conf->wrong, 0);
	fake.aliases = aliases_parse(alias_text, strlen(alias_text), NULL,
	    NULL);
	assert_int_equal(fake.aliases->wrong, 1);
	assert_int_equal(alias_list_parse(news, strlen(news), NULL, NULL,
	    &fake.news), 0);
	assert_int_equal(alias_list_parse(wild, strlen(wild), NULL, NULL,
	    &fake.wild), 0);
	assert_int_equal(alias_list_parse(ring, strlen(ring), NULL, NULL,
	    &fake.round), 0);
	return 0;
}

int
drop_world(void **state)
{
	(void)state;
	while (fake.count > 0)
		lines_free(fake.tables[--fake.count].lines);
	settings_free(fake.settings);
	conf_free(fake.conf);
	aliases_free(fake.aliases);
	alias_list_free(&fake.news);
	alias_list_free(&fake.wild);
	alias_list_free(&fake.round);
	return 0;
}
