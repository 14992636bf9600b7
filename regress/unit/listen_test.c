/* links: common/conf.c common/conf_keyword.c common/conf_lex.c
 * common/conf_parse.c common/conf_print.c common/conf_value.c
 * common/target.c common/log.c common/queueid.c common/clock.c
 * common/netaddr.c postmaster/listen.c */
/*
 * What is listened on: as it is written, asked for, opened, kept and closed.
 * The resolver knows what a test says.
 */
#include <netinet/in.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "postmaster/postmaster.h"

static struct settings settings;
static struct options options;
static char asked[256];		/* host/service of each question */
static uint16_t ports[3];	/* of the hosts a, b and c */
static bool unknown;		/* the resolver does not know b now */
static const struct listener *opened;

/* ---- what stands around it ---- */

int
resolve(const struct question *questions, size_t count,
    struct identity identity, bool rootless, struct resolved **answers)
{
	struct sockaddr_in *in;
	size_t i;

	(void)identity;
	(void)rootless;
	asked[0] = '\0';
	*answers = calloc(count, sizeof(**answers));
	for (i = 0; i < count; i++) {
		if (i < 6) {
			strlcat(asked, questions[i].host, sizeof(asked));
			strlcat(asked, "/", sizeof(asked));
			strlcat(asked, questions[i].service, sizeof(asked));
			strlcat(asked, " ", sizeof(asked));
		}
		(*answers)[i].number = i;
		if (strcmp(questions[i].host, "b") == 0 && unknown) {
			(*answers)[i].error = EAI_AGAIN;
			continue;
		}
		in = (struct sockaddr_in *)&(*answers)[i].address;
		in->sin_family = AF_INET;
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		in->sin_port = htons(ports[(questions[i].host[0] - 'a') % 3U]);
		(*answers)[i].length = sizeof(*in);
	}
	return (int)count;
}

int
systemd_socket(const struct sockaddr *address, socklen_t length)
{
	(void)address;
	(void)length;
	return -1;
}

void
holder_name(const struct sockaddr *address, char *text, size_t size)
{
	(void)address;
	strlcpy(text, "", size);
}

static void
on_opened(const struct listener *listener)
{
	opened = listener;
}

/* ---- what the tests do ---- */

static void
configure(const char *text, FILE *errors)
{
	conf_free(settings.conf);
	settings.conf = conf_parse("cf", text, strlen(text), errors);
}

/* A socket that holds a port which is free now. */
static int
hold(uint16_t *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t length = sizeof(in);
	int fd;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = listen_bind((struct sockaddr *)&in, sizeof(in));
	assert_true(fd != -1);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &length), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

static bool
answers(uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
	    .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), result;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	result = connect(fd, (struct sockaddr *)&in, sizeof(in));
	close(fd);
	return result == 0;
}

static unsigned int
count(void)
{
	const struct listener *listener;
	unsigned int found = 0;

	TAILQ_FOREACH(listener, listen_all(), entry)
		found++;
	return found;
}

/* ---- tests ---- */

static void
test_asked(void **state)
{
	struct resolved *resolved;
	struct wish *wishes;

	(void)state;
	configure("[smtpd \"a:26\"]\n"
	    "[smtpd \"s\"]\n listen-port = 25 *:smtp b\n"
	    " listen-port = [::1]:587\n", NULL);
	assert_int_equal(listen_wishes(&settings, &options, &wishes,
	    &resolved), 5);
	assert_string_equal(asked, "a/26 /25 /smtp b/25 ::1/587 ");
	assert_string_equal(wishes[4].text, "[::1]:587");
	assert_int_equal(wishes[4].place.line, 4);
	free(wishes);
	free(resolved);
}

static void
test_wrong(void **state)
{
	char *said = NULL, many[2048] = "[smtpd \"s\"]\n listen-port =";
	size_t length;
	FILE *errors = open_memstream(&said, &length);
	int i;

	(void)state;
	configure("[smtpd \"s\"]\n listen-port = [::1\n"
	    " listen-port = 65536\n listen-port = a:0 65535\n", errors);
	assert_int_equal(settings.conf->wrong, 0);
	listen_check(&settings);
	assert_int_equal(settings.conf->wrong, 3);
	for (i = 0; i < 129; i++)
		strlcat(many, " 25", sizeof(many));
	strlcat(many, "\n", sizeof(many));
	configure(many, errors);
	listen_check(&settings);
	assert_int_equal(settings.conf->wrong, 1);
	fclose(errors);
	assert_non_null(strstr(said, "cf:2:16: \"[::1\" is no listen-port"));
	assert_non_null(strstr(said, "cf:3:16: \"65536\" is no listen-port"));
	assert_non_null(strstr(said, "cf:4:16: \"a:0\" is no listen-port"));
	assert_non_null(strstr(said, "more than 128 listen-ports"));
	free(said);
	configure("", NULL);
}

static void
test_opened(void **state)
{
	int held[3], i;
	uint32_t number;

	(void)state;
	for (i = 0; i < 3; i++)
		held[i] = hold(&ports[i]);
	close(held[0]);
	close(held[1]);

	/* One that is taken takes no other with it. */
	configure("[smtpd \"s\"]\n listen-port = c:1 a:1 b:1\n", NULL);
	assert_int_equal(listen_open(&settings, &options, NULL), 1);
	assert_int_equal(count(), 2);
	assert_true(answers(ports[0]));
	assert_true(answers(ports[1]));
	number = TAILQ_LAST(listen_all(), listeners)->number;

	/* What cannot be told stays open, and is the same. */
	unknown = true;
	assert_int_equal(listen_open(&settings, &options, on_opened), 2);
	unknown = false;
	assert_null(opened);
	assert_true(answers(ports[1]));
	close(held[2]);
	assert_int_equal(listen_open(&settings, &options, on_opened), 0);
	assert_int_equal(count(), 3);
	assert_ptr_equal(opened, TAILQ_LAST(listen_all(), listeners));
	assert_string_equal(opened->name, "s");
	assert_int_equal(opened->number, number + 1);
	opened = NULL;
	assert_int_equal(listen_open(&settings, &options, on_opened), 0);
	assert_null(opened);

	/* What is wanted no longer is closed, be its name known or not. */
	configure("[smtpd \"t\"]\n listen-port = a:1 b:1\n", NULL);
	unknown = true;
	assert_int_equal(listen_open(&settings, &options, NULL), 1);
	unknown = false;
	assert_int_equal(count(), 1);
	assert_true(answers(ports[0]));
	assert_false(answers(ports[1]));
	assert_false(answers(ports[2]));
	assert_string_equal(TAILQ_FIRST(listen_all())->name, "t");
}

/* Both families have the port to themselves; a restart may follow at once. */
static void
test_bound(void **state)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t length = sizeof(int);
	int on = 0, fd, other;
	uint16_t port;

	(void)state;
	close(hold(&port));
	in.sin_port = in6.sin6_port = htons(port);
	fd = listen_bind((struct sockaddr *)&in, sizeof(in));
	assert_true(fd != -1);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
	    &length), 0);
	assert_int_equal(on, 1);
	other = listen_bind((struct sockaddr *)&in6, sizeof(in6));
	if (other == -1)
		assert_int_equal(errno, EAFNOSUPPORT);
	else
		close(other);
	close(fd);
}

static void
test_local(void **state)
{
	char scratch[] = "/tmp/listen_test.XXXXXX";
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(scratch));
	configure("", NULL);
	assert_int_equal(listen_open(&settings, &options, NULL), 0);
	assert_int_equal(count(), 0);
	snprintf(settings.submit_socket, sizeof(settings.submit_socket),
	    "%s/submit", scratch);
	snprintf(settings.control_socket, sizeof(settings.control_socket),
	    "%s/control", scratch);
	close(creat(settings.submit_socket, 0600));
	assert_int_equal(listen_open_local(&settings), 0);
	assert_int_equal(count(), 2);
	assert_int_equal(stat(settings.submit_socket, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0666);
	assert_int_equal(TAILQ_LAST(listen_all(), listeners)->process,
	    PROC_SPOOLD);
	assert_int_equal(listen_open(&settings, &options, NULL), 0);
	assert_int_equal(count(), 2);
	listen_unlink(&settings);
	conf_free(settings.conf);
	assert_int_equal(rmdir(scratch), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asked),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_opened),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_local)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
