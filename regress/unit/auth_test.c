/* links: regress/unit/apart.c relay/auth.c common/jail.c
 * common/jail_landlock.c common/log.c common/queueid.c common/clock.c */
/*
 * Logging in: which mechanism is chosen, the exchanges of the RFCs, servers
 * that do not keep to them, and all of it from inside the jail.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "jail.h"
#include "regress/unit/apart.h"
#include "relay/relay.h"

#define HASH	32

static struct secret	 tim = { .login = (char *)(uintptr_t)"tim",
    .password = (char *)(uintptr_t)"tanstaaftanstaaf" };
static struct secret	 user = { .login = (char *)(uintptr_t)"user",
    .password = (char *)(uintptr_t)"pencil" };

/* With just one mechanism allowed, or all. */
static struct auth *
with(const struct secret *secret, const char *mechanism, const char *offered,
    const char **why)
{
	static const char *allowed[1];
	static struct policy policy;

	allowed[0] = mechanism;
	policy.auth = allowed;
	policy.auth_count = mechanism != NULL;
	return auth_new(secret, &policy, offered, "mx.example.org", why);
}

static struct auth *
begin(const struct secret *secret, const char *mechanism)
{
	const char *why;
	struct auth *auth = with(secret, mechanism, mechanism, &why);

	assert_non_null(auth);
	return auth;
}

static void
step(struct auth *auth, const char *challenge, const char *expected)
{
	char line[AUTH_LINE];

	assert_int_equal(auth_step(auth, challenge, line, sizeof(line)), 0);
	assert_string_equal(line, expected);
}

static void
step_fails(struct auth *auth, const char *challenge, const char *fault)
{
	char line[AUTH_LINE];

	if (auth_step(auth, challenge, line, sizeof(line)) == 0)
		fail_msg("%s should fail", challenge);
	assert_string_equal(auth_fault(auth), fault);
	assert_int_equal(auth_step(auth, "", line, sizeof(line)), -1);
}

/* ---- choosing ---- */

static void
check_choice(const char *allowed, const char *offered, const char *chosen)
{
	const char *why = NULL;
	struct auth *auth = with(&tim, allowed, offered, &why);

	if (auth == NULL)
		assert_string_equal(why, chosen);
	else {
		assert_null(why);
		assert_string_equal(auth_mechanism(auth), chosen);
	}
	auth_free(auth);
}

static void
test_choice(void **unused)
{
	char many[3000];

	(void)unused;
	check_choice(NULL, "LOGIN PLAIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256",
	    "SCRAM-SHA-256");
	check_choice(NULL, "login plain cram-md5 SCRAM-SHA-1", "CRAM-MD5");
	check_choice(NULL, "LOGIN PLAIN", "PLAIN");
	check_choice(NULL, "  LOGIN\t", "LOGIN");
	check_choice("login", "LOGIN PLAIN CRAM-MD5", "LOGIN");
	check_choice("SCRAM-SHA-1", "PLAIN SCRAM-SHA-1", "SCRAM-SHA-1");
	check_choice(NULL, "", "offers no login");
	check_choice(NULL, " ", "offers no login");
	check_choice(NULL, "GSSAPI PLAINER XPLAIN SCRAM-SHA-256-PLUS",
	    "offers only GSSAPI PLAINER XPLAIN SCRAM-SHA-256-PLUS to log in; "
	    "we may use SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN");
	check_choice("CRAM-MD5", "PLAIN", "offers only PLAIN to log in; we "
	    "may use CRAM-MD5");
	memset(many, 'A', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	assert_null(with(&tim, NULL, many, &(const char *){ NULL }));
}

/* ---- PLAIN, LOGIN, CRAM-MD5 ---- */

/* RFC 4616 4. */
static void
test_plain(void **unused)
{
	struct auth *auth = begin(&tim, "PLAIN");

	(void)unused;
	step(auth, NULL, "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm");
	assert_int_equal(auth_finish(auth, "2.7.0 Welcome"), 0);
	auth_free(auth);
	auth = begin(&tim, "PLAIN");
	step(auth, NULL, "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm");
	step_fails(auth, "", "it asks on where all is said");
	auth_free(auth);
}

/* A response that makes the command too long goes alone (RFC 4954 4). */
static void
test_long(void **unused)
{
	char password[1001], line[AUTH_LINE], small[40];
	struct secret secret = { .login = tim.login, .password = password };
	struct auth *auth;

	(void)unused;
	memset(password, 'x', sizeof(password) - 1);
	password[sizeof(password) - 1] = '\0';
	auth = begin(&secret, "PLAIN");
	step(auth, NULL, "AUTH PLAIN");
	assert_int_equal(auth_step(auth, "", line, sizeof(line)), 0);
	assert_memory_equal(line, "AHRpbQB4eHh4", 12);
	assert_int_equal(strlen(line), (5 + 1000 + 2) / 3 * 4);
	step_fails(auth, "", "it asks on where all is said");
	auth_free(auth);
	auth = begin(&secret, "PLAIN");
	step(auth, NULL, "AUTH PLAIN");
	step_fails(auth, "VXNlcm5hbWU6", "its challenge came before our name");
	auth_free(auth);
	/* The longest that fits: 512 with "AUTH PLAIN " and CRLF. */
	password[(499 / 4 * 3) - 5] = '\0';
	auth = begin(&secret, "PLAIN");
	assert_int_equal(auth_step(auth, NULL, line, sizeof(line)), 0);
	assert_int_equal(strlen(line), 11 + 496);
	auth_free(auth);
	auth = begin(&secret, "PLAIN");
	assert_int_equal(auth_step(auth, NULL, small, sizeof(small)), -1);
	assert_string_equal(auth_fault(auth), "our response is too long");
	auth_free(auth);
}

static void
test_login(void **unused)
{
	struct auth *auth = begin(&tim, "LOGIN");

	(void)unused;
	step(auth, NULL, "AUTH LOGIN");
	step(auth, "VXNlcm5hbWU6", "dGlt");
	step(auth, "UGFzc3dvcmQ6", "dGFuc3RhYWZ0YW5zdGFhZg==");
	assert_int_equal(auth_finish(auth, ""), 0);
	step_fails(auth, "VXNlcm5hbWU6", "it asks on where all is said");
	auth_free(auth);
	auth = begin(&tim, "LOGIN");
	step(auth, NULL, "AUTH LOGIN");
	step(auth, NULL, "dGlt");
	step_fails(auth, "?? not base64 ??", "its challenge is no base64");
	auth_free(auth);
}

/* RFC 2195 2. */
static void
test_cram(void **unused)
{
	struct auth *auth = begin(&tim, "CRAM-MD5");
	char *large = malloc(20001);

	(void)unused;
	step(auth, NULL, "AUTH CRAM-MD5");
	step(auth, "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+",
	    "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw");
	assert_int_equal(auth_finish(auth, ""), 0);
	auth_free(auth);
	memset(large, 'A', 20000);
	large[20000] = '\0';
	auth = begin(&tim, "CRAM-MD5");
	step(auth, NULL, "AUTH CRAM-MD5");
	step_fails(auth, large, "its challenge is too long");
	auth_free(auth);
	free(large);
}

/* ---- SCRAM: a server of our own ---- */

/* The client's proof and the server's signature, both base64. */
static void
scram(const char *password, const unsigned char *salt, size_t size, int rounds,
    const char *message, char *proof, char *signature)
{
	unsigned char salted[HASH], key[HASH], stored[HASH], sign[HASH];
	size_t i;

	PKCS5_PBKDF2_HMAC(password, -1, salt, (int)size, rounds, EVP_sha256(),
	    HASH, salted);
	HMAC(EVP_sha256(), salted, HASH, (const unsigned char *)"Client Key",
	    10, key, NULL);
	EVP_Digest(key, HASH, stored, NULL, EVP_sha256(), NULL);
	HMAC(EVP_sha256(), stored, HASH, (const unsigned char *)message,
	    strlen(message), sign, NULL);
	for (i = 0; i < HASH; i++)
		key[i] ^= sign[i];
	EVP_EncodeBlock((unsigned char *)proof, key, HASH);
	HMAC(EVP_sha256(), salted, HASH, (const unsigned char *)"Server Key",
	    10, key, NULL);
	HMAC(EVP_sha256(), key, HASH, (const unsigned char *)message,
	    strlen(message), sign, NULL);
	EVP_EncodeBlock((unsigned char *)signature, sign, HASH);
}

static const unsigned char salt[] = { 0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12,
    0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81 };

/* RFC 7677 3: the server here is right. */
static void
test_server(void **unused)
{
	char proof[64], signature[64];

	(void)unused;
	scram("pencil", salt, sizeof(salt), 4096, "n=user,"
	    "r=rOprNGfwEbeRWgbNEkqO,"
	    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,"
	    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
	    proof, signature);
	assert_string_equal(proof,
	    "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
	assert_string_equal(signature,
	    "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

static const char *
encode(const char *text)
{
	static char encoded[4096];

	EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)text,
	    (int)strlen(text));
	return encoded;
}

static void
decode(const char *encoded, char *text)
{
	int length;

	length = EVP_DecodeBlock((unsigned char *)text,
	    (const unsigned char *)encoded, (int)strlen(encoded));
	assert_true(length >= 0);
	length -= (encoded[strlen(encoded) - 1] == '=') +
	    (encoded[strlen(encoded) - 2] == '=');
	text[length] = '\0';
}

/* The client's first message; its nonce is copied. */
static struct auth *
scram_begin(const struct secret *secret, char *nonce, char *bare)
{
	struct auth *auth = begin(secret, "SCRAM-SHA-256");
	char line[AUTH_LINE], text[512], start[64];

	assert_int_equal(auth_step(auth, NULL, line, sizeof(line)), 0);
	assert_memory_equal(line, "AUTH SCRAM-SHA-256 ", 19);
	decode(line + 19, text);
	snprintf(start, sizeof(start), "n,,n=%s,r=", secret->login);
	assert_memory_equal(text, start, strlen(start));
	strlcpy(nonce, text + strlen(start), 128);
	strlcpy(bare, text + 3, 256);
	assert_true(strlen(nonce) >= 18);
	return auth;
}

/* The exchange up to the server's last word, which is returned. */
static struct auth *
scram_run(const struct secret *secret, const char *known, int rounds,
    char *last)
{
	char nonce[128], bare[256], first[512], final[512], line[AUTH_LINE];
	char message[2048], proof[64], signature[64], text[512];
	struct auth *auth = scram_begin(secret, nonce, bare);

	snprintf(first, sizeof(first), "r=%s%%hvYD,s=W22ZaJ0SNY7soEsUEjb6gQ=="
	    ",i=%d", nonce, rounds);
	assert_int_equal(auth_step(auth, encode(first), line, sizeof(line)),
	    0);
	decode(line, text);
	snprintf(final, sizeof(final), "c=biws,r=%s%%hvYD", nonce);
	snprintf(message, sizeof(message), "%s,%s,%s", bare, first, final);
	scram(known, salt, sizeof(salt), rounds, message, proof, signature);
	if (strcmp(known, "wrong") != 0) {
		assert_memory_equal(text, final, strlen(final));
		assert_memory_equal(text + strlen(final), ",p=", 3);
		assert_string_equal(text + strlen(final) + 3, proof);
	}
	snprintf(last, 128, "v=%s", signature);
	return auth;
}

static void
test_scram(void **unused)
{
	static struct secret umlaut = { .login = (char *)(uintptr_t)"user",
	    .password = (char *)(uintptr_t)"a\xcc\x88\xc2\xaa" };
	char last[128], text[4200];
	struct auth *auth;

	(void)unused;
	auth = scram_run(&user, "pencil", 4096, last);
	step(auth, encode(last), "");
	assert_int_equal(auth_finish(auth, "2.7.0 Welcome"), 0);
	step_fails(auth, encode(last), "it asks on where all is said");
	auth_free(auth);
	/* RFC 4013: the password is normalized. */
	auth = scram_run(&umlaut, "\xc3\xa4\x61", 4096, last);
	step(auth, encode(last), "");
	auth_free(auth);
	/* The proof comes with the 235. */
	auth = scram_run(&user, "pencil", 5000, last);
	snprintf(text, sizeof(text), "2.7.0 %s", encode(last));
	assert_int_equal(auth_finish(auth, text), 0);
	auth_free(auth);
}

static void
check_finish_fails(const char *text, const char *fault)
{
	char last[128];
	struct auth *auth = scram_run(&user, "pencil", 4096, last);

	assert_int_equal(auth_finish(auth, text), -1);
	assert_string_equal(auth_fault(auth), fault);
	auth_free(auth);
}

/* A server that does not know the password is not believed. */
static void
test_impostor(void **unused)
{
	static const char impostor[] = "its answer does not prove that it "
	    "knows the password, too";
	char last[128], nonce[128], bare[256];
	struct auth *auth;

	(void)unused;
	auth = scram_run(&user, "wrong", 4096, last);
	step_fails(auth, encode(last), impostor);
	assert_int_equal(auth_finish(auth, "2.7.0 Welcome"), -1);
	auth_free(auth);
	check_finish_fails("2.7.0 Welcome", "it did not prove that it knows "
	    "the password, too, as SCRAM demands");
	check_finish_fails("djdj dj0=", "its challenge is none of this "
	    "mechanism");
	check_finish_fails("dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxU"
	    "SlJzamw5NUc0PQ==", impostor);
	auth = scram_begin(&user, nonce, bare);
	assert_int_equal(auth_finish(auth, "2.7.0 Welcome"), -1);
	auth_free(auth);
}

/* The server's first message, with what stands for the nonce filled in. */
static void
check_first_fails(const char *format, const char *fault)
{
	char nonce[128], bare[256], text[3000];
	struct auth *auth = scram_begin(&user, nonce, bare);
	const char *at = strchr(format, '@');

	snprintf(text, sizeof(text), "%.*s%s%s", at == NULL ? 0 :
	    (int)(at - format), format, at == NULL ? "" : nonce, at == NULL ?
	    format : at + 1);
	step_fails(auth, encode(text), fault);
	auth_free(auth);
}

static void
test_hostile(void **unused)
{
	static const char none[] = "its challenge is none of this mechanism";
	static const char rounds[] = "its number of SCRAM iterations is out "
	    "of all proportion";
	char large[2001];
	struct auth *auth;
	char nonce[128], bare[256];

	(void)unused;
	check_first_fails("r=@x,s=W22Z,i=2000000000", rounds);
	check_first_fails("r=@x,s=W22Z,i=200001", rounds);
	check_first_fails("r=@x,s=W22Z,i=4095", rounds);
	check_first_fails("r=@x,s=W22Z,i=1", rounds);
	check_first_fails("r=@x,s=W22Z,i=-1", rounds);
	check_first_fails("r=@x,s=W22Z,i=99999999999999999999", rounds);
	check_first_fails("r=@x,s=W22Z,i=", rounds);
	check_first_fails("r=@x,s=W22Z", none);
	check_first_fails("r=other,s=W22Z,i=4096", "its answer does not prove "
	    "that it knows the password, too");
	check_first_fails("m=x,r=@x,s=W22Z,i=4096", none);
	check_first_fails("e=no", none);
	check_first_fails("x", none);
	memset(large, 'r', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	check_first_fails(large, "its challenge is none of SCRAM");
	auth = scram_begin(&user, nonce, bare);
	step_fails(auth, "AAAA", "its challenge is none of SCRAM");
	auth_free(auth);
}

/* ---- in the jail ---- */

static void
test_in_jail(void **unused)
{
	jail_filter(JAIL_RELAY);
	test_choice(unused);
	test_plain(unused);
	test_login(unused);
	test_cram(unused);
	test_scram(unused);
	test_impostor(unused);
}

static void
test_jail(void **unused)
{
	const struct CMUnitTest test = cmocka_unit_test(test_in_jail);

	(void)unused;
	run_apart(&test);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_cram),
		cmocka_unit_test(test_server),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_impostor),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_jail)
	};

	auth_open();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
