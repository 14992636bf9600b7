/* links: spoold/control_filter.c */
/*
 * Filters of control: an empty one wants all, and each thing that is asked
 * for besides makes it want no more than before.
 */
#include "fuzz.h"
#include "spoold/spoold.h"

static struct {
	char	 address[WIRE_ADDRESS];
	char	 lane[WIRE_TARGET];
	char	 reason[WIRE_TEXT];
	int64_t	 stored;
	bool	 active;
} row;

/* ---- the row that the statement stands at ---- */

int64_t
db_integer(enum sql sql, int column)
{
	(void)sql;
	return column == 2 ? row.stored : 7;
}

const char *
db_text(enum sql sql, int column)
{
	(void)sql;
	return column == 18 ? row.lane : column == 21 ? row.reason :
	    row.address;
}

bool
db_is_null(enum sql sql, int column)
{
	(void)sql;
	return column == 18 && row.lane[0] == '\0';
}

struct recipient *
queue_find_recipient(uint64_t id, uint32_t number)
{
	static struct recipient recipient;

	(void)id;
	(void)number;
	return row.active ? &recipient : NULL;
}

static bool
wants(const struct w_ctl_filter *filter, const struct message *message,
    uint32_t state)
{
	return filter_wants_message(filter, message, 1000000) &&
	    filter_wants_row(filter, state);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct w_ctl_filter filter = { 0 }, wider;
	struct message message = { .arrival = 500000 };
	char *sender;
	uint8_t bits = fuzz_byte(&in);
	uint32_t state;

	row.stored = bits % 8;
	row.active = bits & 8;
	filter.states = (bits >> 4) & 7;
	filter.older = (int64_t)fuzz_number(&in) - INT32_MAX;
	fuzz_fill(&in, filter.sender, sizeof(filter.sender));
	fuzz_fill(&in, filter.recipient, sizeof(filter.recipient));
	fuzz_fill(&in, filter.domain, sizeof(filter.domain));
	fuzz_fill(&in, filter.reason, sizeof(filter.reason));
	fuzz_fill(&in, row.address, sizeof(row.address));
	fuzz_fill(&in, row.lane, sizeof(row.lane));
	fuzz_fill(&in, row.reason, sizeof(row.reason));
	message.sender = sender = fuzz_line(&in);

	state = filter_state_of_row(1);
	wider = (struct w_ctl_filter){ 0 };
	require(filter_is_empty(&wider) && !filter_is_private(&wider));
	require(wants(&wider, &message, state) == (state != 0));
	if (wants(&filter, &message, state)) {
		require(strcasestr(row.reason, filter.reason) != NULL);
		require(filter.states == 0 || (filter.states & state) != 0);
		wider = filter;
		wider.reason[0] = '\0';
		require(wants(&wider, &message, state));
		wider.domain[0] = '\0';
		require(wants(&wider, &message, state));
		wider.recipient[0] = wider.sender[0] = '\0';
		require(wants(&wider, &message, state));
		require(!filter_is_private(&wider));
		wider.states = 0;
		require(wants(&wider, &message, state));
	}
	free(sender);
	return 0;
}
