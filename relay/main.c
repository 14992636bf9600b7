/*
 * relay: speaks SMTP and LMTP with next hops.  Opens no file and accepts no
 * connection; knows no queue.
 */
#include "dns.h"
#include "log.h"
#include "loop.h"
#include "relay.h"

static struct {
	bool	 finishing;
} state;

static void
before_jail(struct child *child)
{
	dns_open(child->base);
	hop_configure(child);
}

static void
lost_spoold(struct child *child, struct link *link)
{
	(void)child;
	forget_gathering(link);
	hop_drop(link);
}

void
relay_idle(void)
{
	if (state.finishing && hop_all_idle())
		loop_stop(0);
}

/* A newer relay has taken over: end with the last transaction. */
static void
on_finish(struct child *child)
{
	(void)child;
	state.finishing = true;
	hop_end();
	relay_idle();
}

static const struct child_peer peers[] = {
	{ &role_spoold, NULL, lost_spoold },
	{ NULL, NULL, NULL }
};

static const struct child_ops ops = {
	.self = PROC_RELAY,
	.jail = JAIL_RELAY,
	.peers = peers,
	.check = hop_check,
	.before_jail = before_jail,
	.finish = on_finish,
};

int
main(int argc, char **argv)
{
	return child_main(argc, argv, &ops);
}
