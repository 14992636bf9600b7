/*
 * One message as records: lines "key: value", which postctl shows to people
 * or makes JSON of.  An empty line begins a recipient; lines that begin with
 * two blanks are an attempt's, the first of which is its number.  Times are
 * seconds since 1970.  A value is one line of printable octets.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "netaddr.h"
#include "queueid.h"
#include "spoold.h"

#define ROWS		SQL_RECIPIENT_OF
#define TRIES		SQL_ATTEMPT_OF
#define SHOW_MAX	(250 * 1024)
#define PAUSED		"all deliveries pause: see postctl resume"

/* Print a line; what came from outside cannot begin another. */
__attribute__((format(printf, 3, 4)))
static void
put(FILE *out, const char *key, const char *format, ...)
{
	va_list	 values;
	char	*value, *at;

	va_start(values, format);
	if (vasprintf(&value, format, values) == -1)
		fatal("show");
	va_end(values);
	for (at = value; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	fprintf(out, "%s: %s\n", key, value);
	free(value);
}

static void
put_time(FILE *out, const char *key, int64_t when)
{
	put(out, key, "%lld", (long long)(when / SECOND));
}

/* ---- a recipient ---- */

static const char *
state_name(const struct recipient *row, const struct recipient *in_work)
{
	static const char *const names[] = {
		[STORED_NEW] = "new", [STORED_DEFERRED] = "deferred",
		[STORED_HELD] = "held", [STORED_DONE] = "done",
		[STORED_EXPANDED] = "expanded", [STORED_MARKED] = "removed"
	};

	if (in_work != NULL && row->stored <= STORED_DEFERRED)
		return "active";
	return names[row->stored];
}

/* What of it goes on at this moment. */
static const char *
doing_name(const struct recipient *in_work)
{
	switch (in_work->state) {
	case RECIPIENT_READY:
		return "waits to be routed";
	case RECIPIENT_ROUTING:
		return "being routed";
	case RECIPIENT_ROUTED:
		return "waits for its turn";
	case RECIPIENT_OUT:
		return "being delivered";
	default:
		return "its result is being stored";
	}
}

static void
put_notify(FILE *out, uint32_t notify)
{
	static const struct {
		uint32_t	 bit;
		const char	*name;
	} names[] = {
		{ NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" },
		{ NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" }
	};
	char	 text[64] = "";
	size_t	 i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((notify & names[i].bit) == 0)
			continue;
		if (text[0] != '\0')
			(void)strlcat(text, ",", sizeof(text));
		(void)strlcat(text, names[i].name, sizeof(text));
	}
	if (text[0] != '\0')
		put(out, "notify", "%s", text);
}

/* Was its sender told that it is late, or will he be? */
static void
put_delay_notice(FILE *out, const struct message *message,
    const struct recipient *row)
{
	if (settings()->delay_notice == 0 || message->kind != MESSAGE_MAIL ||
	    recipient_sender(row)[0] == '\0' ||
	    (row->notify != 0 && (row->notify & NOTIFY_DELAY) == 0))
		put(out, "delay-notice", "none");
	else if (row->warned)
		put(out, "delay-notice", "sent");
	else
		put_time(out, "notice-due", message->arrival +
		    settings()->delay_notice);
}

static void
put_attempts(FILE *out, uint64_t id, uint32_t row)
{
	static const char *const stages[] = {
		[STAGE_LOOKUP] = "looking up the hosts",
		[STAGE_CONNECT] = "connecting", [STAGE_GREETING] = "greeting",
		[STAGE_TLS] = "TLS", [STAGE_LOGIN] = "login",
		[STAGE_MAIL] = "MAIL", [STAGE_RCPT] = "RCPT",
		[STAGE_DATA] = "DATA", [STAGE_MESSAGE] = "message sent"
	};
	int64_t	 stage;
	int	 result;

	for (result = db_ask(TRIES, "iu", (int64_t)id, row); result == 1;
	    result = db_next(TRIES)) {
		stage = db_integer(TRIES, 2);
		put(out, "  attempt", "%lld", (long long)db_integer(TRIES, 0));
		put_time(out, "  time", db_integer(TRIES, 1));
		if (db_text(TRIES, 4)[0] != '\0')
			put(out, "  host", "%s", db_text(TRIES, 4));
		if (db_text(TRIES, 5)[0] != '\0')
			put(out, "  tls", "%s", db_text(TRIES, 5));
		if (stage > STAGE_NONE && stage <= STAGE_MESSAGE)
			put(out, "  stage", "%s", stages[stage]);
		put(out, "  status", "%s", db_text(TRIES, 6));
		put(out, db_integer(TRIES, 3) != 0 ? "  reply" : "  reason",
		    "%s", db_text(TRIES, 7));
	}
	db_end(TRIES);
}

/* Where it goes, and by which line of the configuration. */
static void
put_route(FILE *out, const struct recipient *in_work)
{
	if (in_work != NULL && in_work->lane != NULL)
		put(out, "route", "%s", in_work->lane->text);
	else if (!db_is_null(ROWS, 18))
		put(out, "route", "%s", db_text(ROWS, 18));
	if (in_work != NULL && in_work->route != NULL &&
	    in_work->route->where != NULL && in_work->route->where[0] != '\0')
		put(out, "decided-by", "%s", in_work->route->where);
	else if (db_text(ROWS, 23)[0] != '\0')
		put(out, "decided-by", "%s", db_text(ROWS, 23));
}

/* What the row that the statement stands at tells of its future. */
static void
put_future(FILE *out, const struct recipient *row,
    const struct recipient *in_work)
{
	const struct lane	*lane;
	char			 why[WIRE_TEXT + 64] = "";

	if (in_work != NULL) {
		put(out, "now", "%s", doing_name(in_work));
		if (in_work->state == RECIPIENT_OUT ||
		    in_work->state == RECIPIENT_ENDING)
			return;
		if (queue_is_paused())
			(void)strlcpy(why, PAUSED, sizeof(why));
		else if (in_work->state == RECIPIENT_ROUTED &&
		    in_work->lane != NULL)
			lane_why(in_work->lane, why, sizeof(why));
		if (why[0] != '\0')
			put(out, "why", "%s", why);
		return;
	}
	if (row->stored == STORED_HELD)
		put(out, "why", "held: see postctl release");
	if (row->stored != STORED_DEFERRED)
		return;
	put_time(out, "next", queue_next_of_row(ROWS));
	if (row->waits && !db_is_null(ROWS, 18) &&
	    (lane = lane_find(db_text(ROWS, 18))) != NULL) {
		lane_why(lane, why, sizeof(why));
		/* Its row says so until the lane comes to it. */
		if (why[0] == '\0' && lane_may_wake(lane, clock_now()))
			(void)strlcpy(why, "its next hop has opened",
			    sizeof(why));
	}
	if (queue_is_paused())
		put(out, "why", "%s", PAUSED);
	else if (why[0] != '\0')
		put(out, "why", "%s", why);
	else if (db_text(ROWS, 24)[0] != '\0')
		put(out, "why", "%s", db_text(ROWS, 24));
}

static void
put_row(FILE *out, const struct message *message, const struct recipient *row)
{
	const struct recipient	*in_work;

	in_work = queue_find_recipient(message->id, row->row);
	fputs("\n", out);
	put(out, "recipient", "%u", row->row);
	put(out, "address", "%s", row->address);
	if (strcmp(row->original, row->address) != 0)
		put(out, "original", "%s", row->original);
	if (row->target[0] != '\0')
		put(out, "target", "%s", row->target);
	if (row->parent != 0)
		put(out, "expanded-from", "%u", row->parent);
	if (row->sender != NULL)
		put(out, "sent-as", "<%s>", row->sender);
	put(out, "state", "%s", state_name(row, in_work));
	put_route(out, in_work);
	if (row->orcpt[0] != '\0')
		put(out, "orcpt", "%s", row->orcpt);
	put_notify(out, row->notify);
	put(out, "attempts", "%u", row->attempts);
	if (row->poison > 0)
		put(out, "deaths", "%u", row->poison);
	if (!db_is_null(ROWS, 22))
		put_time(out, "tried", db_integer(ROWS, 22));
	if (!db_is_null(ROWS, 20)) {
		put(out, "status", "%s", db_text(ROWS, 20));
		put(out, "reason", "%s", db_text(ROWS, 21));
	}
	if (row->stored <= STORED_HELD) {
		put_future(out, row, in_work);
		if (row->stored != STORED_HELD)
			put_delay_notice(out, message, row);
	}
	put_attempts(out, message->id, row->row);
}

/*
 * All rows, as far as there is room; says how many did not fit.  The row's
 * object is of this moment: what is in work has one of its own.
 */
static void
put_rows(FILE *out, struct message *message)
{
	struct recipient	*row;
	unsigned int		 left = 0;
	long			 end;
	int			 result;

	for (result = db_ask(ROWS, "iui", (int64_t)message->id, 0U,
	    INT64_MAX); result == 1; result = db_next(ROWS)) {
		if (left > 0) {
			left++;
			continue;
		}
		if ((row = store_recipient(ROWS, message)) == NULL)
			continue;
		end = ftell(out);
		put_row(out, message, row);
		if (ftell(out) > SHOW_MAX && fseek(out, end, SEEK_SET) == 0)
			left = 1;
		TAILQ_REMOVE(&message->recipients, row, of_message);
		recipient_free(row);
	}
	db_end(ROWS);
	if (left > 0) {
		fputs("\n", out);
		put(out, "not-shown", "%u", left);
	}
}

/* ---- the message ---- */

/* Who gave it to us, and how. */
static void
put_client(FILE *out, const struct w_client *client)
{
	static const char *const standings[] = {
		[STANDING_STRANGER] = "stranger",
		[STANDING_TRUSTED] = "trusted",
		[STANDING_LOGIN] = "login", [STANDING_LOCAL] = "local"
	};
	struct netaddr	 address = { .family = client->family };
	char		 printed[64];

	put(out, "standing", "%s", standings[client->standing]);
	if (client->standing == STANDING_LOCAL)
		put(out, "uid", "%u", client->uid);
	if (client->login[0] != '\0')
		put(out, "login", "%s", client->login);
	if (client->family != 0) {
		memcpy(address.octets, client->address,
		    sizeof(address.octets));
		put(out, "client", "%s", netaddr_print(&address, printed,
		    sizeof(printed)));
		put(out, "port", "%u", client->port);
	}
	if (client->helo[0] != '\0')
		put(out, client->esmtp ? "ehlo" : "helo", "%s", client->helo);
	if (client->listener[0] != '\0')
		put(out, "listener", "%s", client->listener);
	if (client->standing != STANDING_LOCAL)
		put(out, "tls", "%s", client->tls ? "yes" : "no");
}

static int64_t
lifetime_of(const struct message *message)
{
	int64_t	 bounce = settings()->bounce_expire;

	return message->kind != MESSAGE_MAIL && bounce < settings()->expire ?
	    bounce : settings()->expire;
}

static void
put_message(FILE *out, const struct message *message)
{
	static const char *const kinds[] = {
		[MESSAGE_MAIL] = "mail", [MESSAGE_BOUNCE] = "report",
		[MESSAGE_NOTICE] = "delay notice"
	};
	char	 id[QUEUEID_LENGTH + 1];

	put(out, "id", "%s", queueid_print(message->id, id));
	put(out, "sender", "<%s>", message->sender);
	put(out, "size", "%llu", (unsigned long long)message->size);
	put(out, "body", "%s", message->body_type == BODY_8BITMIME ?
	    "8BITMIME" : "7BIT");
	if (message->kind <= MESSAGE_NOTICE)
		put(out, "kind", "%s", kinds[message->kind]);
	put_time(out, "arrival", message->arrival);
	put_time(out, "expires", message->arrival + lifetime_of(message));
	if (message->kind == MESSAGE_MAIL)
		put_client(out, &message->client);
	if (message->envid[0] != '\0')
		put(out, "envid", "%s", message->envid);
	if (message->ret != RET_NONE)
		put(out, "ret", "%s", message->ret == RET_FULL ? "FULL" :
		    "HDRS");
}

/* All that is known of one message, for those who may know it. */
void
show_message(struct client *client, uint64_t id)
{
	struct w_ctl_show_ans	 answer = { .id = id };
	struct message		*message = store_load_message(id);
	char			*text = NULL;
	size_t			 length = 0;
	FILE			*out;

	if ((out = open_memstream(&text, &length)) == NULL)
		fatal("show");
	if (message != NULL && client_owns(client, message)) {
		answer.found = 1;
		put_message(out, message);
		put_rows(out, message);
	}
	if (fclose(out) == EOF)
		fatal("show");
	client_answer(client, IMSG_CTL_SHOW_ANS, &answer, text, length);
	message_free(message);
	free(text);
}
