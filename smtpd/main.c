/*
 * smtpd's beginning: who its neighbours are, and what it does when it is
 * told something by postmaster.
 */
#include "smtpd.h"

static void
before_jail(struct child *child)
{
	settings_load(child);
}

static void
begin(struct child *child)
{
	sessions_begin(child);
	policy_begin(child);
	transactions_begin();
}

static void
finish(struct child *child)
{
	(void)child;
	listeners_close();
	sessions_finish();
}

static void
end(struct child *child)
{
	(void)child;
	listeners_close();
	sessions_end();
}

int
main(int argc, char **argv)
{
	const struct child_peer peers[] = {
		policy_peer, transaction_peer, { NULL, NULL, NULL }
	};
	const struct child_ops ops = {
		.self = PROC_SMTPD,
		.jail = JAIL_SMTPD,
		.peers = peers,
		.check = settings_check,
		.before_jail = before_jail,
		.begin = begin,
		.listener = listener_add,
		.finish = finish,
		.end = end
	};

	return child_main(argc, argv, &ops);
}
