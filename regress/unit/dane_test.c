/* links: relay/dane.c relay/reply.c common/dns_parse.c common/netaddr.c
 *	common/loop.c common/log.c common/queueid.c common/clock.c */
/*
 * What is to be done about TLS, with a DNS and a TLS that say what each test
 * wants.
 */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loop.h"
#include "relay/relay.h"

static struct {
	struct event_base *base;
	bool		 trusted;
	bool		 usable;
	struct policy	 policy;
	struct host	 host;
	bool		 login;
	struct dns_answer addresses;
	struct dns_tlsa	 tlsa[2];
	struct dns_answer answers[2];	/* to the TLSA questions, in turn */
	char		 asked[2][DNS_NAME];
	size_t		 questions;
	int		 cancelled;
	dns_fn		 fn;
	void		*arg;
	struct security	*security;
	char		 text[256];
} test;

/* ---- what the module asks ---- */

bool
dns_is_trusted(void)
{
	return test.trusted;
}

struct dns_lookup *
dns_tlsa(const char *name, dns_fn fn, void *arg)
{
	assert_true(test.questions < 2);
	strlcpy(test.asked[test.questions++], name, DNS_NAME);
	test.fn = fn;
	test.arg = arg;
	return (struct dns_lookup *)&test;
}

void
dns_cancel(struct dns_lookup *lookup)
{
	if (lookup != NULL)
		test.cancelled++;
}

bool
tls_records_usable(const struct dns_tlsa *records, size_t count)
{
	assert_true(count > 0 && records != NULL);
	return test.usable;
}

struct event_base *
relay_base(void)
{
	return test.base;
}

/* ---- the world ---- */

static void
set_answer(struct dns_answer *answer, enum dns_result result, bool secure)
{
	memset(answer, 0, sizeof(*answer));
	answer->result = result;
	answer->reason = "the moon is full";
	answer->secure = secure;
	if (result == DNS_OK) {
		answer->tlsa = test.tlsa;
		answer->count = 2;
	}
}

static const char *own_names[] = { "a.example", "MX.example" };

/* A secure exchanger of a secure domain, with two TLSA records. */
static int
begin(void **state)
{
	static const uint8_t octets[2][2] = { { 1, 2 }, { 3, 4 } };

	(void)state;
	security_free(test.security);
	memset(&test, 0, offsetof(typeof(test), security));
	test.security = NULL;
	test.base = loop_new();
	test.trusted = test.usable = true;
	strlcpy(test.host.name, "mx.example", sizeof(test.host.name));
	strlcpy(test.host.domain, "example.org", sizeof(test.host.domain));
	test.host.secure = true;
	test.host.port = 25;
	set_answer(&test.addresses, DNS_OK, true);
	test.addresses.name = "mx.example";
	test.tlsa[0] = (struct dns_tlsa){ 3, 1, 1, 2, octets[0] };
	test.tlsa[1] = (struct dns_tlsa){ 2, 0, 1, 2, octets[1] };
	set_answer(&test.answers[0], DNS_OK, true);
	set_answer(&test.answers[1], DNS_OK, true);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	security_free(test.security);
	test.security = NULL;
	event_base_free(test.base);
	return 0;
}

static void
on_security(struct security *security, void *arg)
{
	assert_ptr_equal(arg, &test);
	assert_null(test.security);
	test.security = security;
}

static const char *
find(void)
{
	size_t done;

	security_free(test.security);
	test.security = NULL;
	test.questions = 0;
	assert_non_null(dane_find(&test.host, &test.policy, &test.addresses,
	    test.login, on_security, &test));
	assert_null(test.security);
	for (done = 0; done < test.questions; done++)
		test.fn(&test.answers[done], test.arg);
	event_base_loop(test.base, EVLOOP_NONBLOCK);
	assert_non_null(test.security);
	security_print(test.security, test.text, sizeof(test.text));
	return test.text;
}

static void
is_name(size_t i, const char *name)
{
	assert_true(i < test.security->name_count);
	assert_string_equal(test.security->names[i], name);
}

static void
is_fault(const char *text)
{
	assert_string_equal(find(), text);
	assert_int_equal(test.security->fault.code, 451);
	assert_string_equal(test.security->fault.status, "4.7.5");
	assert_int_equal(test.security->record_count, 0);
	assert_int_not_equal(test.security->level, TLS_OPPORTUNISTIC);
	assert_int_not_equal(test.security->level, TLS_NONE);
}

/* ---- tests ---- */

static void
uses_records(void **state)
{
	struct security *s;

	(void)state;
	assert_string_equal(find(), "dane, 2 records");
	s = test.security;
	assert_int_equal(test.questions, 1);
	assert_string_equal(test.asked[0], "_25._tcp.mx.example");
	assert_int_equal(s->level, TLS_DANE);
	assert_int_equal(s->record_count, 2);
	assert_int_equal(s->records[1].usage, 2);
	assert_memory_equal(s->records[1].octets, "\3\4", 2);
	assert_ptr_not_equal(s->records[1].octets, test.tlsa[1].octets);
	assert_int_equal(s->name_count, 2);
	is_name(0, "mx.example");
	is_name(1, "example.org");
	assert_int_equal(s->fault.code, 0);
	test.host.port = 2525;
	test.policy.tls = TLS_DANE;
	assert_string_equal(find(), "dane, 2 records");
	assert_string_equal(test.asked[0], "_2525._tcp.mx.example");
}

/* RFC 7672 2.2.2: where CNAMEs led, then the host's own name. */
static void
follows_aliases(void **state)
{
	(void)state;
	test.addresses.name = "real.example";
	assert_string_equal(find(), "dane, 2 records");
	assert_int_equal(test.questions, 1);
	assert_string_equal(test.asked[0], "_25._tcp.real.example");
	is_name(0, "real.example");
	is_name(1, "example.org");

	set_answer(&test.answers[0], DNS_NO_NAME, true);
	assert_string_equal(find(), "dane, 2 records");
	assert_int_equal(test.questions, 2);
	assert_string_equal(test.asked[1], "_25._tcp.mx.example");
	is_name(0, "mx.example");

	set_answer(&test.answers[0], DNS_OK, false);	/* insecure: none */
	find();
	assert_int_equal(test.questions, 2);

	set_answer(&test.answers[1], DNS_NONE, true);
	assert_string_equal(find(), "opportunistic");
	assert_int_equal(test.questions, 2);
}

static void
never_falls_back_from_a_failure(void **state)
{
	(void)state;
	set_answer(&test.answers[0], DNS_FAILED, false);
	is_fault("DANE: the TLSA look-up of _25._tcp.mx.example failed: "
	    "the moon is full");
	test.addresses.name = "real.example";	/* nor to the other name */
	is_fault("DANE: the TLSA look-up of _25._tcp.real.example failed: "
	    "the moon is full");
	assert_int_equal(test.questions, 1);
	set_answer(&test.answers[0], DNS_NONE, true);
	set_answer(&test.answers[1], DNS_FAILED, false);
	is_fault("DANE: the TLSA look-up of _25._tcp.mx.example failed: "
	    "the moon is full");
	test.login = true;
	is_fault("DANE: the TLSA look-up of _25._tcp.mx.example failed: "
	    "the moon is full");
}

static void
does_without_records(void **state)
{
	(void)state;
	set_answer(&test.answers[0], DNS_NONE, true);
	assert_string_equal(find(), "opportunistic");
	assert_int_equal(test.security->level, TLS_OPPORTUNISTIC);
	set_answer(&test.answers[0], DNS_OK, false);
	assert_string_equal(find(), "opportunistic");
	test.host.domain[0] = '\0';
	test.login = true;
	assert_string_equal(find(), "verified: mx.example");
	assert_int_equal(test.security->level, TLS_VERIFIED);
	test.policy.tls = TLS_DANE;
	is_fault("DANE: there are no TLSA records secured by DNSSEC at "
	    "_25._tcp.mx.example");
}

/* RFC 7672 2.2: encrypted, but nobody can be told from another. */
static void
heeds_unusable_records(void **state)
{
	(void)state;
	test.usable = false;
	assert_string_equal(find(), "required");
	assert_int_equal(test.security->level, TLS_REQUIRED);
	assert_int_equal(test.security->record_count, 0);
	assert_int_equal(test.security->fault.code, 0);
	test.policy.tls = TLS_DANE;
	is_fault("DANE: none of the TLSA records at _25._tcp.mx.example can "
	    "be used");
}

/* Without a question. */
static void
asks_only_where_it_means_anything(void **state)
{
	(void)state;
	test.trusted = false;
	assert_string_equal(find(), "opportunistic");
	assert_int_equal(test.questions, 0);
	test.policy.tls = TLS_DANE;
	is_fault("DANE: the resolver is not trusted to validate what it "
	    "answers about mx.example (see resolver-trusted)");
	assert_int_equal(test.questions, 0);

	test.trusted = true;
	test.host.secure = false;
	is_fault("DANE: the mail exchangers of example.org are not secured "
	    "by DNSSEC");
	test.policy.tls = TLS_UNSET;
	assert_string_equal(find(), "opportunistic");
	assert_int_equal(test.questions, 0);

	test.host.secure = true;
	test.addresses.secure = false;
	assert_string_equal(find(), "opportunistic");
	test.policy.tls = TLS_DANE;
	is_fault("DANE: the addresses of mx.example are not secured by "
	    "DNSSEC");
	assert_int_equal(test.questions, 0);

	test.addresses.secure = true;
	strlcpy(test.host.address, "192.0.2.1", sizeof(test.host.address));
	is_fault("DANE: the address of mx.example is not from the DNS but "
	    "configured");
	assert_int_equal(test.questions, 0);
}

static void
obeys_a_level(void **state)
{
	static const struct {
		enum tls_level	 level;
		const char	*text;
	} levels[] = {
		{ TLS_NONE, "none" }, { TLS_OPPORTUNISTIC, "opportunistic" },
		{ TLS_REQUIRED, "required" },
		{ TLS_VERIFIED, "verified: mx.example example.org" }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		test.policy.tls = levels[i].level;
		assert_string_equal(find(), levels[i].text);
		assert_int_equal(test.security->level, levels[i].level);
		assert_int_equal(test.questions, 0);
		test.login = !test.login;
	}
}

/* A name that the DNS gives without proof proves nothing. */
static void
knows_what_to_verify(void **state)
{
	(void)state;
	test.policy.tls = TLS_VERIFIED;
	test.policy.tls_names = own_names;
	test.policy.tls_name_count = 2;
	assert_string_equal(find(), "verified: mx.example example.org "
	    "a.example");
	test.host.secure = false;
	assert_string_equal(find(), "verified: example.org a.example "
	    "MX.example");
	test.host.domain[0] = '\0';
	assert_string_equal(find(), "verified: mx.example a.example");
	test.policy.tls = TLS_UNSET;
	test.host.secure = true;
	assert_string_equal(find(), "dane, 2 records");
	assert_int_equal(test.security->name_count, 2);
	is_name(1, "a.example");
}

static void
forgets_the_cancelled(void **state)
{
	(void)state;
	dane_cancel(NULL);
	security_free(NULL);
	dane_cancel(dane_find(&test.host, &test.policy, &test.addresses, false,
	    on_security, &test));
	assert_int_equal(test.cancelled, 1);
	test.policy.tls = TLS_NONE;
	dane_cancel(dane_find(&test.host, &test.policy, &test.addresses, false,
	    on_security, &test));
	event_base_loop(test.base, EVLOOP_NONBLOCK);
	assert_null(test.security);
}

static void
is_held_by_many(void **state)
{
	(void)state;
	find();
	test.security->holders++;
	security_free(test.security);
	is_name(0, "mx.example");
	security_print(test.security, test.text, 5);
	assert_string_equal(test.text, "dane");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(uses_records, begin, end),
		cmocka_unit_test_setup_teardown(follows_aliases, begin, end),
		cmocka_unit_test_setup_teardown(
		    never_falls_back_from_a_failure, begin, end),
		cmocka_unit_test_setup_teardown(does_without_records, begin,
		    end),
		cmocka_unit_test_setup_teardown(heeds_unusable_records, begin,
		    end),
		cmocka_unit_test_setup_teardown(
		    asks_only_where_it_means_anything, begin, end),
		cmocka_unit_test_setup_teardown(obeys_a_level, begin, end),
		cmocka_unit_test_setup_teardown(knows_what_to_verify, begin,
		    end),
		cmocka_unit_test_setup_teardown(forgets_the_cancelled, begin,
		    end),
		cmocka_unit_test_setup_teardown(is_held_by_many, begin, end)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
