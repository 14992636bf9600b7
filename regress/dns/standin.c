/*
 * Asks the resolver what its arguments say, all at once, and prints the
 * answers in the order of the questions:
 *	standin [-t|-T] SERVERS KIND NAME ...
 * KIND is address, mx or tlsa; -t believes the AD bit wherever it comes from,
 * -T nowhere.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns.h"
#include "log.h"
#include "loop.h"

struct question {
	const char	*kind;
	const char	*name;
	char		*text;		/* of its answer */
};

static struct {
	size_t	 pending;
} state;

static void
print_record(FILE *out, const struct dns_answer *answer, size_t i)
{
	const struct dns_tlsa *tlsa;
	char text[NETADDR_TEXT];
	size_t k;

	if (answer->addresses != NULL)
		fprintf(out, " %s", netaddr_print(&answer->addresses[i], text,
		    sizeof(text)));
	if (answer->exchanges != NULL)
		fprintf(out, " %u:%s.", answer->exchanges[i].preference,
		    answer->exchanges[i].name);
	if (answer->tlsa != NULL) {
		tlsa = &answer->tlsa[i];
		fprintf(out, " %u/%u/%u/", tlsa->usage, tlsa->selector,
		    tlsa->matching);
		for (k = 0; k < tlsa->length; k++)
			fprintf(out, "%02x", tlsa->octets[k]);
	}
}

static void
on_answer(const struct dns_answer *answer, void *arg)
{
	static const char *const results[] = {
		"ok", "none", "no-name", "failed"
	};
	struct question *question = arg;
	FILE *out;
	size_t size, i;

	if ((out = open_memstream(&question->text, &size)) == NULL)
		fatal("open_memstream");
	fprintf(out, "%s", results[answer->result]);
	if (answer->secure)
		fprintf(out, " secure");
	fprintf(out, " %llds", (long long)(answer->lifetime + 999999) /
	    1000000);
	if (answer->addresses != NULL)
		fprintf(out, " %s", answer->name);
	if (answer->result == DNS_FAILED)
		fprintf(out, " (%s)", answer->reason);
	for (i = 0; i < answer->count; i++)
		print_record(out, answer, i);
	fclose(out);
	if (--state.pending == 0)
		loop_stop(0);
}

static void
ask(struct question *question)
{
	state.pending++;
	if (strcmp(question->kind, "mx") == 0)
		dns_exchanges(question->name, on_answer, question);
	else if (strcmp(question->kind, "tlsa") == 0)
		dns_tlsa(question->name, on_answer, question);
	else
		dns_addresses(question->name, on_answer, question);
}

int
main(int argc, char **argv)
{
	struct dns_settings settings = { NULL, false, false };
	struct event_base *base;
	struct question *questions;
	int i, n;

	log_start("standin", true);
	if (argc > 1 && strcasecmp(argv[1], "-t") == 0) {
		settings.trust_given = true;
		settings.trusted = argv[1][1] == 't';
		argv++;
		argc--;
	}
	if (argc < 4 || argc % 2 != 0)
		return 64;
	settings.servers = argv[1];
	n = (argc - 2) / 2;
	base = loop_new();
	dns_open(base, &settings);
	if ((questions = calloc((size_t)n, sizeof(*questions))) == NULL)
		fatal("calloc");
	for (i = 0; i < n; i++) {
		questions[i].kind = argv[2 + 2 * i];
		questions[i].name = argv[3 + 2 * i];
		ask(&questions[i]);
	}
	loop_run(base);
	for (i = 0; i < n; i++) {
		printf("%s\n", questions[i].text);
		free(questions[i].text);
	}
	free(questions);
	return 0;
}
