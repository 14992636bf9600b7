/* links: common/header.c */
/*
 * Fields and address lists: the walk comes to its end within the text, and
 * a completed list has nothing left to complete.
 */
#include "fuzz.h"
#include "header.h"

/* How many addresses there are in a list, and how many of them are bare. */
static size_t
count_list(const char *text, size_t length, size_t *bare)
{
	struct header_list list;
	struct header_mailbox mailbox;
	size_t count = 0;
	int more;

	*bare = 0;
	header_list_begin(&list, text, length);
	while ((more = header_list_next(&list, &mailbox)) != 0) {
		count += more == 1;
		*bare += more == 1 && mailbox.bare;
	}
	return count;
}

static void
walk_list(const char *text, size_t length)
{
	struct header_list list;
	struct header_mailbox mailbox;
	const char *before;
	char *once, *twice;
	size_t first, second, count = 0, bare = 0, found, still_bare;
	int more;

	header_list_begin(&list, text, length);
	for (;;) {
		before = list.at;
		if ((more = header_list_next(&list, &mailbox)) == 0)
			break;
		require(list.at > before && list.at <= text + length);
		require(strpbrk(mailbox.address, "\r\n") == NULL);
		require(mailbox.behind >= text &&
		    mailbox.behind <= text + length);
		require(more == -1 || !mailbox.bare ||
		    mailbox.address[0] != '\0');
		bare += more == 1 && mailbox.bare;
		require(++count <= length);
	}
	require(list.at == text + length);

	once = fuzz_need(header_qualify(text, length, "d.test", &first));
	require(first == length + bare * strlen("@d.test"));
	require(count_list(text, length, &found) ==
	    count_list(once, first, &still_bare));
	require(found == bare && still_bare == 0);
	twice = fuzz_need(header_qualify(once, first, "d.test", &second));
	require(second == first && memcmp(once, twice, first) == 0);
	free(once);
	free(twice);
}

static void
walk_fields(const char *text, size_t length)
{
	struct header_field field, found;
	const char *at = text;
	size_t left = length, whole, rest, n;
	char copy[64], name[64];
	int more;

	whole = header_length(text, length, &rest);
	require(whole <= rest && rest <= length && rest - whole <= 2);
	while ((more = header_next(&at, &left, &field)) == 1) {
		require(field.start >= text && field.length > 0 &&
		    field.name_length > 0 && at == field.start + field.length);
		require(field.value > field.start + field.name_length &&
		    field.value + field.value_length <= at);
		require(left == length - (size_t)(at - text));
		n = header_unfold(&field, copy, sizeof(copy));
		require(n <= field.value_length);
		require(strpbrk(copy, "\r\n") == NULL);
		walk_list(field.value, field.value_length);
		if (field.name_length >= sizeof(name))
			continue;
		memcpy(name, field.start, field.name_length);
		name[field.name_length] = '\0';
		require(header_is(&field, name));
		require(header_find(text, length, name, &found) == 0 &&
		    found.start <= field.start);
	}
	require((size_t)(at - text) == whole);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	walk_fields((const char *)data, size);
	if (size <= 512)
		walk_list((const char *)data, size);
	return 0;
}
