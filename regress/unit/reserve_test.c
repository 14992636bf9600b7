/* links: spoold/reserve.c common/log.c common/queueid.c */
/*
 * When mail is taken: as long as the disk has more than its reserve, and
 * again when it has an eighth more, not at once.  The disk is played.
 */
#include <sys/statvfs.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "spoold/spoold.h"

#define MIB	(INT64_C(1) << 20)

static struct {
	struct settings	 settings;
	int64_t		 now;
	int64_t		 octets;	/* that are free */
	fsfilcnt_t	 files;		/* of those there can be */
	fsfilcnt_t	 free_files;
	bool		 is_unknown;	/* nothing is said of the disk */
	bool		 is_stalled;
	int		 told;		/* smtpd, how often */
	bool		 takes_mail;	/* as it was told last */
} test;

/* ---- what is around ---- */

const struct settings *
settings(void)
{
	return &test.settings;
}

int64_t
clock_now(void)
{
	return test.now;
}

int64_t
clock_monotonic(void)
{
	return test.now;
}

int
statvfs(const char *path, struct statvfs *fs)
{
	assert_string_equal(path, ".");
	if (test.is_unknown) {
		errno = EIO;
		return -1;
	}
	memset(fs, 0, sizeof(*fs));
	fs->f_frsize = 4096;
	fs->f_bavail = (fsblkcnt_t)(test.octets / 4096);
	fs->f_files = test.files;
	fs->f_favail = test.free_files;
	return 0;
}

bool
batch_stalled(void)
{
	return test.is_stalled;
}

void
txn_tell_state(bool takes_mail, const char *why)
{
	assert_true(why[0] != '\0');
	test.told++;
	test.takes_mail = takes_mail;
}

/* ---- tests ---- */

/* Open, with much of everything. */
static int
begin(void **state)
{
	(void)state;
	test.settings.disk_reserve = 64 * MIB;
	test.octets = 1000 * MIB;
	test.files = 1000000;
	test.free_files = 500000;
	test.is_unknown = test.is_stalled = false;
	test.now += HOUR;
	reserve_tick(test.now);
	test.told = 0;
	return 0;
}

/* So many seconds later. */
static bool
takes(int seconds)
{
	const char	*why;

	test.now += seconds * SECOND;
	reserve_tick(test.now);
	return reserve_takes_mail(&why);
}

static void
keeps_its_reserve(void **state)
{
	(void)state;
	test.octets = 64 * MIB;
	assert_true(takes(1));
	assert_int_equal(test.told, 0);
	test.octets = 64 * MIB - 4096;
	assert_false(takes(1));
	assert_false(takes(1));
	assert_int_equal(test.told, 1);
	assert_false(test.takes_mail);
	/* Not for each message that leaves. */
	test.octets = 72 * MIB - 4096;
	assert_false(takes(100));
	test.octets = 72 * MIB;
	assert_true(takes(1));
	assert_int_equal(test.told, 2);
	assert_true(test.takes_mail);
}

static void
needs_files_as_well(void **state)
{
	(void)state;
	test.free_files = 64;
	assert_true(takes(1));
	test.free_files = 63;
	assert_false(takes(1));
	test.free_files = 64;
	assert_true(takes(10));
	/* Some file systems have no such number. */
	test.files = test.free_files = 0;
	assert_true(takes(1));
	test.is_unknown = true;
	assert_true(takes(1));
}

static void
opens_not_at_once(void **state)
{
	(void)state;
	reserve_trouble("a write failed");
	assert_false(takes(0));
	assert_int_equal(test.told, 1);
	assert_false(takes(5));
	assert_true(takes(1));
	/* Trouble again: so long from then. */
	reserve_trouble("a write failed");
	assert_false(takes(4));
	reserve_trouble("a write failed");
	assert_false(takes(4));
	assert_true(takes(2));
	/* Results that cannot be stored need no mail behind them. */
	reserve_trouble("a write failed");
	test.is_stalled = true;
	assert_false(takes(60));
	test.is_stalled = false;
	assert_true(takes(1));
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test_setup(keeps_its_reserve, begin),
		cmocka_unit_test_setup(needs_files_as_well, begin),
		cmocka_unit_test_setup(opens_not_at_once, begin)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
