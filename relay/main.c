/*
 * relay: speaks SMTP and LMTP with next hops.  Opens no file and accepts no
 * connection; knows no queue.  As relay -l it has Unix sockets in place of
 * the network.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "loop.h"
#include "relay.h"

#define GRACE	2	/* seconds: spoold may not know yet of a newer relay */

static struct {
	struct child	*child;
	bool		 local;
	bool		 finishing;	/* and what spoold sent is there */
} state;

struct event_base *
relay_base(void)
{
	return state.child->base;
}

const char *
relay_hostname(void)
{
	return state.child != NULL ? state.child->hostname : "localhost";
}

bool
relay_is_local(void)
{
	return state.local;
}

/* ---- the start ---- */

/* "a, b" of what resolver lists; NULL if it is not set.  Never freed. */
static char *
read_resolvers(const struct conf_section *core)
{
	struct conf_setting *s;
	char *servers = NULL;
	size_t size, i;
	FILE *out;

	if (conf_setting(core, "resolver") == NULL)
		return NULL;
	if ((out = open_memstream(&servers, &size)) == NULL)
		fatal("open_memstream");
	for (s = conf_setting(core, "resolver"); s != NULL; s = conf_again(s))
		for (i = 0; i < s->count; i++)
			fprintf(out, "%s%s", ftell(out) > 0 ? "," : "",
			    s->words[i].text);
	if (fclose(out) == EOF || servers == NULL)
		fatal("open_memstream");
	return servers;
}

static void
open_network(struct child *child)
{
	const struct conf_section *core = conf_section(child->conf, "core",
	    NULL);
	struct dns_settings settings = {
		.servers = read_resolvers(core),
		.trust_given = conf_setting(core, "resolver-trusted") != NULL,
		.trusted = conf_bool(core, "resolver-trusted", false)
	};

	dns_open(child->base, &settings);
	tls_open();
	exchange_configure(child);
}

static void
before_jail(struct child *child)
{
	state.child = child;
	if (!state.local)
		open_network(child);
	auth_open();
	policy_configure(child);
	hop_configure(child);
	endpoint_configure(child->base);
}

/* ---- the end ---- */

static void
lost_spoold(struct child *child, struct link *link)
{
	(void)child;
	forget_gathering(link);
	explain_forget(link);
	hop_drop(link);
	relay_idle();
}

/*
 * The end, if it is time.  spoold must have every answer: what it has not
 * been told it would send again.
 */
void
relay_idle(void)
{
	struct link *spoold;

	if (!state.finishing || !hop_all_idle() || !endpoint_all_idle() ||
	    !explain_all_idle())
		return;
	if ((spoold = child_link(PROC_SPOOLD, 0)) != NULL)
		link_drain(spoold);
	loop_stop(0);
}

static void
on_grace(int fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;
	state.finishing = true;
	relay_idle();
}

/* A newer relay has taken over: end with the last transaction. */
static void
on_finish(struct child *child)
{
	static const struct timeval grace = { .tv_sec = GRACE };

	endpoint_end_all();
	if (event_base_once(child->base, -1, EV_TIMEOUT, on_grace, NULL,
	    &grace) == -1)
		fatalx("no timer");
}

static const struct child_peer peers[] = {
	{ &role_spoold, NULL, lost_spoold },
	{ NULL, NULL, NULL }
};

static const struct child_ops network_ops = {
	.self = PROC_RELAY,
	.jail = JAIL_RELAY,
	.peers = peers,
	.check = policy_check,
	.secrets = secrets_take,
	.before_jail = before_jail,
	.finish = on_finish,
};

static const struct child_ops local_ops = {
	.self = PROC_RELAY,
	.jail = JAIL_RELAY_LOCAL,
	.peers = peers,
	.secrets = secrets_take,
	.before_jail = before_jail,
	.finish = on_finish,
};

int
main(int argc, char **argv)
{
	if (argc != 3 || strcmp(argv[1], "-l") != 0)
		return child_main(argc, argv, &network_ops);
	state.local = true;
	argv[1] = argv[0];
	return child_main(argc - 1, argv + 1, &local_ops);
}
