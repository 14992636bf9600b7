/* links: common/conf.c common/conf_keyword.c common/conf_lex.c
 * common/conf_parse.c common/conf_print.c common/conf_value.c
 * common/target.c common/log.c common/queueid.c common/clock.c
 * common/secretfile.c postmaster/secrets.c */
/*
 * The file of secrets, as postmaster holds it: whole, and as it was read,
 * whoever has a descriptor of it.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "postmaster/postmaster.h"

#define SECRETS	"# logins\nisp me PaSsWoRd\n"

static char scratch[] = "/tmp/secrets_test.XXXXXX";
static char path[64];

struct conf_place
settings_place(const struct conf *conf, const char *type, const char *name)
{
	(void)type;
	(void)name;
	return (struct conf_place){ conf->files[0], 1, 1 };
}

static int
setup(void **state)
{
	(void)state;
	if (mkdtemp(scratch) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/postmaster.secrets", scratch);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(scratch);
}

static void
open_secrets(struct settings *settings)
{
	static const char text[] = "[relay \"isp\"]\naddress = isp.test\n";
	char file[64];
	struct options options = { .file = file };

	snprintf(file, sizeof(file), "%s/postmaster.cf", scratch);
	memset(settings, 0, sizeof(*settings));
	settings->secrets = -1;
	settings->conf = conf_parse(file, text, strlen(text), NULL);
	secrets_open(settings, &options);
	conf_free(settings->conf);
}

static void
write_secrets(size_t length, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, SECRETS, strlen(SECRETS)),
	    strlen(SECRETS));
	assert_int_equal(ftruncate(fd, (off_t)length), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
test_none(void **state)
{
	struct settings settings;

	(void)state;
	open_secrets(&settings);
	assert_int_equal(settings.secrets, -1);
	assert_false(settings.secrets_refused);
	assert_false(settings.unusable);
}

static void
test_sealed(void **state)
{
	struct settings settings;
	char text[64];

	(void)state;
	write_secrets(strlen(SECRETS), 0600);
	open_secrets(&settings);
	assert_int_not_equal(settings.secrets, -1);
	assert_false(settings.secrets_refused);
	assert_int_equal(pread(settings.secrets, text, sizeof(text), 0),
	    strlen(SECRETS));
	assert_memory_equal(text, SECRETS, strlen(SECRETS));
	assert_int_equal(pwrite(settings.secrets, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(settings.secrets, 0), -1);
	assert_int_equal(ftruncate(settings.secrets, 4096), -1);
	assert_ptr_equal(mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED,
	    settings.secrets, 0), MAP_FAILED);
	close(settings.secrets);
}

/* There may be any, so that nobody goes without: none is told, empty. */
static void
test_refused(void **state)
{
	struct settings settings;
	struct stat st;

	(void)state;
	write_secrets(strlen(SECRETS), 0640);
	open_secrets(&settings);
	assert_true(settings.secrets_refused);
	assert_int_not_equal(settings.secrets, -1);
	assert_int_equal(fstat(settings.secrets, &st), 0);
	assert_int_equal(st.st_size, 0);
	close(settings.secrets);
	write_secrets(1024 * 1024 + 1, 0600);
	open_secrets(&settings);
	assert_true(settings.secrets_refused);
	close(settings.secrets);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_refused)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
