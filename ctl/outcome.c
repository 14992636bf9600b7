/*
 * What becomes of a message after its submission: what was taken is done,
 * what could not be judged is kept, what was refused goes back to its sender
 * or to the one who called us.
 */

#include <err.h>
#include <string.h>
#include <sysexits.h>

#include "ctl.h"

/* How many recipients ended in which way. */
struct tally {
	size_t	taken;
	size_t	pending;
	size_t	refused;
};

static struct tally
count(const struct envelope *envelope)
{
	struct tally	tally = { 0, 0, 0 };

	for (size_t i = 0; i < envelope->count; i++) {
		if (envelope->recipients[i].code / 100 == 2)
			tally.taken++;
		else if (envelope->recipients[i].code / 100 == 5)
			tally.refused++;
		else
			tally.pending++;
	}
	return tally;
}

int
outcome_exit_code(const struct recipient *recipient)
{
	static const struct {
		const char	*status;
		int		 code;
	} codes[] = {
		{ "5.7.", EX_NOPERM },
		{ "5.1.3", EX_DATAERR },
		{ "5.1.7", EX_DATAERR },
		{ "5.3.", EX_UNAVAILABLE },
		{ "5.4.", EX_UNAVAILABLE },
		{ "5.5.", EX_DATAERR },
		{ "5.6.", EX_DATAERR },
	};

	if (recipient->code / 100 == 2)
		return EX_OK;
	if (recipient->code / 100 != 5)
		return EX_TEMPFAIL;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (recipient->reply != NULL && strncmp(recipient->reply,
		    codes[i].status, strlen(codes[i].status)) == 0)
			return codes[i].code;
	return EX_NOUSER;
}

/* Say who was refused; returns the exit code of the first. */
static int
print_refused(const struct envelope *envelope, bool quiet)
{
	const struct recipient	*recipient;
	int			 code = EX_OK;

	for (size_t i = 0; i < envelope->count; i++) {
		recipient = &envelope->recipients[i];
		if (recipient->code / 100 != 5)
			continue;
		if (code == EX_OK)
			code = outcome_exit_code(recipient);
		if (!quiet)
			warnx("%s: %d %s", recipient->address, recipient->code,
			    recipient->reply != NULL ? recipient->reply : "");
	}
	return code;
}

/* Send what was refused back to the sender.  Returns -1 if that fails too. */
static int
send_back(const struct place *place, const struct message *message,
    const struct envelope *envelope)
{
	struct message	report;
	struct envelope	back;
	int		result = -1;

	memset(&back, 0, sizeof(back));
	if (envelope->sender[0] == '\0' ||
	    bounce_make(&report, message, envelope) == -1)
		return -1;
	envelope_add(&back, envelope->sender, strlen(envelope->sender));
	back.eight_bit = report.eight_bit;
	submit(place, &report, &back, false);
	if (back.count == 1 && (back.recipients[0].code / 100 == 2 ||
	    (back.recipients[0].code / 100 != 5 &&
	    drop_keep(place, &report, &back) == 0)))
		result = 0;
	envelope_free(&back);
	message_free(&report);
	return result;
}

/* Nobody took it and nobody keeps it: say why, leave it with its sender. */
static int
give_up(const struct place *place, const struct options *options,
    const struct identity *identity, const struct message *message,
    const struct envelope *envelope)
{
	const struct recipient	*recipient = NULL;

	if (options->error_mode == ERROR_QUIET)
		return EX_TEMPFAIL;
	for (size_t i = 0; i < envelope->count && recipient == NULL; i++)
		if (envelope->recipients[i].code / 100 == 4)
			recipient = &envelope->recipients[i];
	if (recipient != NULL)
		warnx("%s: %d %s", recipient->address, recipient->code,
		    recipient->reply);
	else
		warnx("nobody answers at %s, and the "
		    "message cannot be kept in %s", place->submit,
		    place->drop);
	if (drop_dead_letter(identity, message) == 0)
		warnx("it was saved in %s/dead.letter", identity->home);
	return EX_TEMPFAIL;
}

int
outcome_settle(const struct place *place, const struct options *options,
    const struct identity *identity, const struct message *message,
    struct envelope *envelope)
{
	struct tally	tally = count(envelope);
	bool		quiet = options->error_mode == ERROR_QUIET;
	int		code = EX_OK;

	if (tally.pending > 0 && drop_keep(place, message, envelope) == -1)
		code = give_up(place, options, identity, message, envelope);
	if (tally.refused == 0)
		return code;
	if (tally.taken + tally.pending > 0) {
		if (!quiet && send_back(place, message, envelope) == -1)
			print_refused(envelope, false);
		return code;
	}
	if (options->error_mode == ERROR_MAIL &&
	    send_back(place, message, envelope) == 0)
		return EX_OK;
	return print_refused(envelope, quiet);
}
