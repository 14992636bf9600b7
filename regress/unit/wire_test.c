/* links: common/wire.c */
/*
 * The wire table: complete, consistent, and checked as it says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire.h"

static bool
ends_with(const char *name, const char *end)
{
	size_t length = strlen(name), n = strlen(end);

	return length > n && strcmp(name + length - n, end) == 0;
}

/* Every type has a row; its name says its kind, its kind fits its row. */
static void
test_rows(void **unused)
{
	const struct wire_row *row;
	uint32_t type;

	(void)unused;
	assert_null(wire_row(IMSG_NONE));
	assert_null(wire_row(IMSG_MAX));
	for (type = IMSG_NONE + 1; type < IMSG_MAX; type++) {
		row = wire_row(type);
		assert_non_null(row);
		assert_true(row->senders != 0 && row->receivers != 0);
		assert_true(row->size >= sizeof(uint64_t));
		assert_true(row->size % sizeof(uint64_t) == 0);
		if (ends_with(row->name, "_REQ")) {
			assert_true(row->answer != IMSG_NONE);
			assert_true(row->window > 0);
		} else {
			assert_true(ends_with(row->name, "_ANS") ||
			    ends_with(row->name, "_NTF"));
			assert_true(row->answer == IMSG_NONE);
		}
	}
}

/* An answer goes the way its request came, and answers one type only. */
static void
test_answers(void **unused)
{
	const struct wire_row *row, *answer;
	uint32_t type;
	int answers[IMSG_MAX] = { 0 };

	(void)unused;
	for (type = IMSG_NONE + 1; type < IMSG_MAX; type++) {
		row = wire_row(type);
		if (row->answer == IMSG_NONE)
			continue;
		answer = wire_row(row->answer);
		assert_int_equal(answer->senders, row->receivers);
		assert_int_equal(answer->receivers, row->senders);
		answers[row->answer]++;
	}
	for (type = IMSG_NONE + 1; type < IMSG_MAX; type++)
		assert_int_equal(answers[type],
		    ends_with(wire_row(type)->name, "_ANS") ? 1 : 0);
}

/* Only postmaster and spoold can speak to a process that is root. */
static void
test_who_reaches_root(void **unused)
{
	const struct wire_row *row;
	uint32_t type;

	(void)unused;
	for (type = IMSG_NONE + 1; type < IMSG_MAX; type++) {
		row = wire_row(type);
		assert_int_equal(row->receivers & 1U << PROC_POSTMASTER, 0);
		if (row->receivers & 1U << PROC_DELIVER)
			assert_int_equal(row->senders & ~(1U << PROC_SPOOLD |
			    1U << PROC_POSTMASTER), 0);
	}
}

/* Requests of a command are small. */
static void
test_control_requests_are_small(void **unused)
{
	const struct wire_row *row;
	uint32_t type;

	(void)unused;
	for (type = IMSG_NONE + 1; type < IMSG_MAX; type++) {
		row = wire_row(type);
		if ((row->senders & 1U << PROC_CTL) == 0)
			continue;
		assert_true(row->size + row->tail <= 1024);
		assert_int_equal(row->fd, FD_NEVER);
		assert_int_equal(row->window, 1);
	}
}

static void
test_targets(void **unused)
{
	char tail[256];
	struct w_target target = { .length = 4, .kind = TARGET_ROUTED };
	enum target_place place;
	const void *walk = tail;
	const char *text;
	size_t length;

	(void)unused;
	memcpy(tail, &target, sizeof(target));
	memcpy(tail + sizeof(target), "joe", 4);
	length = sizeof(target) + 4;
	assert_int_equal(wire_next_target(&walk, &length, &place, &text), 1);
	assert_string_equal(text, "joe");
	assert_int_equal(wire_next_target(&walk, &length, &place, &text), 0);

	walk = tail;
	length = sizeof(target) + 3;
	assert_int_equal(wire_next_target(&walk, &length, &place, &text), -1);
	walk = tail;
	length = 5;
	assert_int_equal(wire_next_target(&walk, &length, &place, &text), -1);
	target.kind = 9;
	memcpy(tail, &target, sizeof(target));
	walk = tail;
	length = sizeof(target) + 4;
	assert_int_equal(wire_next_target(&walk, &length, &place, &text), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_who_reaches_root),
		cmocka_unit_test(test_control_requests_are_small),
		cmocka_unit_test(test_targets),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
