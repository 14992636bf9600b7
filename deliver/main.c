/*
 * deliver(8): what the skeleton of a process calls.
 */
#include "deliver.h"

static const struct child_peer peers[] = {
	{ .role = &parent_role, .up = parent_up, .lost = parent_lost },
	{ .role = NULL }
};

static const struct child_ops ops = {
	.self = PROC_DELIVER,
	.jail = JAIL_MAX,
	.peers = peers,
	.check = mailers_check,
	.begin = parent_begin,
	.reconfigured = parent_reconfigured,
	.end = parent_end
};

int
main(int argc, char **argv)
{
	return child_main(argc, argv, &ops);
}
