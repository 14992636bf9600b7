/* links: common/loop.c common/log.c common/clock.c common/queueid.c */
/*
 * The end of a relay that a newer one has replaced: it comes when nothing is
 * left to do, not before what spoold has sent meanwhile, and not before
 * spoold has all answers.
 */
int	relay_main(int, char **);
#define main	relay_main
#include "relay/main.c"
#undef main

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "clock.h"

static struct {
	const struct child_ops *ops;
	struct child	 child;
	bool		 idle;
	int		 ended;		/* what rests */
	int		 drained;
} test;

const struct link_role role_spoold;

/* ---- what is played ---- */

int
child_main(int argc, char **argv, const struct child_ops *ops)
{
	(void)argc;
	(void)argv;
	test.ops = ops;
	return 0;
}

struct link *
child_link(enum process process, uint32_t n)
{
	assert_int_equal(process, PROC_SPOOLD);
	return n == 0 ? (struct link *)(void *)&test : NULL;
}

void
link_drain(struct link *link)
{
	assert_ptr_equal(link, &test);
	test.drained++;
}

bool
hop_all_idle(void)
{
	return test.idle;
}

bool
endpoint_all_idle(void)
{
	return true;
}

bool
explain_all_idle(void)
{
	return true;
}

void
endpoint_end_all(void)
{
	test.ended++;
}

void
endpoint_configure(struct event_base *base)
{
	(void)base;
}

void
hop_configure(struct child *child)
{
	(void)child;
}

void
policy_configure(struct child *child)
{
	(void)child;
}

void
policy_check(struct conf *conf)
{
	(void)conf;
}

void
exchange_configure(struct child *child)
{
	(void)child;
}

void
auth_open(void)
{
}

void
tls_open(void)
{
}

void
dns_open(struct event_base *base, const struct dns_settings *settings)
{
	(void)base;
	(void)settings;
}

void
secrets_take(struct child *child, const char *text, size_t length)
{
	(void)child;
	(void)text;
	(void)length;
}

void
forget_gathering(const struct link *link)
{
	(void)link;
}

void
explain_forget(const struct link *link)
{
	(void)link;
}

void
hop_drop(const struct link *link)
{
	(void)link;
}

struct conf_section *
conf_section(const struct conf *conf, const char *type, const char *name)
{
	(void)conf;
	(void)type;
	(void)name;
	return NULL;
}

struct conf_setting *
conf_setting(const struct conf_section *section, const char *name)
{
	(void)section;
	(void)name;
	return NULL;
}

struct conf_setting *
conf_again(const struct conf_setting *setting)
{
	(void)setting;
	return NULL;
}

bool
conf_bool(const struct conf_section *section, const char *name, bool otherwise)
{
	(void)section;
	(void)name;
	return otherwise;
}

/* ---- the test ---- */

/* What spoold sent before it knew arrives, and is dealt with. */
static void
on_request(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;
	test.idle = false;
}

static void
on_done(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;
	test.idle = true;
	relay_idle();
}

static void
after(int64_t time, event_callback_fn fn)
{
	struct timeval tv = { time / SECOND, time % SECOND };

	assert_int_equal(event_base_once(test.child.base, -1, EV_TIMEOUT, fn,
	    NULL, &tv), 0);
}

static void
takes_what_is_on_its_way(void **unused)
{
	char *argv[] = { (char[]){ "relay" }, (char[]){ "1" }, NULL };
	int64_t start = clock_monotonic();

	(void)unused;
	assert_int_equal(relay_main(2, argv), 0);
	test.child.base = loop_new();
	test.idle = true;
	test.ops->before_jail(&test.child);
	test.ops->finish(&test.child);
	assert_int_equal(test.ended, 1);
	after(SECOND / 5, on_request);
	after(GRACE * SECOND + SECOND / 2, on_done);
	assert_int_equal(loop_run(test.child.base), 0);
	/* Not before it was done; the loop's clock is a little coarse. */
	assert_true(clock_monotonic() - start >= GRACE * SECOND +
	    SECOND / 4);
	assert_int_equal(test.drained, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_is_on_its_way)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
