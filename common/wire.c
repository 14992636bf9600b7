/*
 * The table of messages: who says what to whom, and in what shape.
 */
#include <string.h>

#include "wire.h"

#define BIT(p)		(1U << (p))
#define CHILDREN	(BIT(PROC_SMTPD) | BIT(PROC_POLICYD) | \
			 BIT(PROC_SPOOLD) | BIT(PROC_RELAY) | BIT(PROC_DELIVER))

/* Tails. */
#define TAIL_TARGETS	(WIRE_TARGETS * (sizeof(struct w_target) + WIRE_TARGET))
#define TAIL_JOB	(WIRE_INLINE + 64 * WIRE_ADDRESS)
#define TAIL_TEXT	65536

/* The strings of each payload, checked for their NUL. */
#define STR(type, member) \
	{ offsetof(struct type, member), sizeof(((struct type *)0)->member) }
#define STRINGS(name, ...) \
	static const struct wire_string name[] = { __VA_ARGS__, { 0, 0 } }
#define FILTER(type)	STR(type, filter.sender), STR(type, filter.recipient), \
			STR(type, filter.domain), STR(type, filter.reason)
#define CLIENT(type)	STR(type, client.listener), STR(type, client.helo), \
			STR(type, client.login)

STRINGS(start_log, STR(w_start_log_ntf, name), STR(w_start_log_ntf, ident));
STRINGS(start_listener, STR(w_start_listener_ntf, name),
    STR(w_start_listener_ntf, address));
STRINGS(start_go, STR(w_start_go_ntf, root), STR(w_start_go_ntf, hostname));
STRINGS(rcpt_check_req, CLIENT(w_rcpt_check_req),
    STR(w_rcpt_check_req, sender), STR(w_rcpt_check_req, recipient));
STRINGS(rcpt_check_ans, STR(w_rcpt_check_ans, text));
STRINGS(txn_state, STR(w_txn_state_ntf, reason));
STRINGS(txn_open, CLIENT(w_txn_open_ntf), STR(w_txn_open_ntf, sender),
    STR(w_txn_open_ntf, envid));
STRINGS(txn_rcpt, STR(w_txn_rcpt_ntf, address), STR(w_txn_rcpt_ntf, orcpt));
STRINGS(route_resolve_req, CLIENT(w_route_resolve_req),
    STR(w_route_resolve_req, sender), STR(w_route_resolve_req, address),
    STR(w_route_resolve_req, target));
STRINGS(route_resolve_ans, STR(w_route_resolve_ans, account),
    STR(w_route_resolve_ans, extension), STR(w_route_resolve_ans, domain),
    STR(w_route_resolve_ans, address), STR(w_route_resolve_ans, owner),
    STR(w_route_resolve_ans, hop), STR(w_route_resolve_ans, exchange),
    STR(w_route_resolve_ans, text),
    STR(w_route_resolve_ans, where));
STRINGS(route_explain_req, CLIENT(w_route_explain_req),
    STR(w_route_explain_req, sender), STR(w_route_explain_req, address));
STRINGS(route_explain_ans, STR(w_route_explain_ans, hop),
    STR(w_route_explain_ans, exchange), STR(w_route_explain_ans, address));
STRINGS(user_worker_req, STR(w_user_worker_req, name));
STRINGS(job_deliver_req, STR(w_job_deliver_req, sender),
    STR(w_job_deliver_req, address), STR(w_job_deliver_req, original),
    STR(w_job_deliver_req, extension), STR(w_job_deliver_req, domain),
    STR(w_job_deliver_req, text));
STRINGS(job_deliver_ans, STR(w_job_deliver_ans, status),
    STR(w_job_deliver_ans, place), STR(w_job_deliver_ans, text));
STRINGS(relay_rcpt, STR(w_relay_rcpt_ntf, address),
    STR(w_relay_rcpt_ntf, orcpt));
STRINGS(relay_deliver_req, STR(w_relay_deliver_req, sender),
    STR(w_relay_deliver_req, envid), STR(w_relay_deliver_req, hop),
    STR(w_relay_deliver_req, exchange));
STRINGS(relay_result, STR(w_relay_result_ntf, status),
    STR(w_relay_result_ntf, text));
STRINGS(relay_deliver_ans, STR(w_relay_deliver_ans, host),
    STR(w_relay_deliver_ans, tls));
STRINGS(relay_explain_req, STR(w_relay_explain_req, hop),
    STR(w_relay_explain_req, exchange), STR(w_relay_explain_req, sender),
    STR(w_relay_explain_req, address));
STRINGS(ctl_list_req, FILTER(w_ctl_list_req));
STRINGS(ctl_action_req, FILTER(w_ctl_action_req));
STRINGS(ctl_action_ans, STR(w_ctl_action_ans, text));
STRINGS(ctl_explain_req, STR(w_ctl_explain_req, sender),
    STR(w_ctl_explain_req, address));
STRINGS(ctl_why_req, STR(w_ctl_why_req, domain));
STRINGS(ctl_probe_req, STR(w_ctl_probe_req, sender),
    STR(w_ctl_probe_req, address));

#define NAME(type)	.name = #type
#define LINK(from, to)	.senders = from, .receivers = to
#define SIZE(type)	.size = sizeof(struct type)

static const struct wire_row rows[IMSG_MAX] = {
[IMSG_START_CONFIG_NTF] = { NAME(START_CONFIG_NTF),
	LINK(BIT(PROC_POSTMASTER), CHILDREN), SIZE(w_start_config_ntf),
	.fd = FD_ALWAYS, .id = true },
[IMSG_START_SECRETS_NTF] = { NAME(START_SECRETS_NTF),
	LINK(BIT(PROC_POSTMASTER), BIT(PROC_RELAY)),
	SIZE(w_start_secrets_ntf), .fd = FD_ALWAYS, .id = true },
[IMSG_START_LOG_NTF] = { NAME(START_LOG_NTF),
	LINK(BIT(PROC_POSTMASTER), CHILDREN), SIZE(w_start_log_ntf),
	.fd = FD_ALWAYS, .id = true, .strings = start_log },
[IMSG_START_LISTENER_NTF] = { NAME(START_LISTENER_NTF),
	LINK(BIT(PROC_POSTMASTER), BIT(PROC_SMTPD) | BIT(PROC_SPOOLD)),
	SIZE(w_start_listener_ntf), .fd = FD_ALWAYS,
	.strings = start_listener },
[IMSG_START_PEER_NTF] = { NAME(START_PEER_NTF),
	LINK(BIT(PROC_POSTMASTER), CHILDREN), SIZE(w_start_peer_ntf),
	.fd = FD_ALWAYS, .id = true },
[IMSG_START_PEER_DOWN_NTF] = { NAME(START_PEER_DOWN_NTF),
	LINK(BIT(PROC_POSTMASTER), CHILDREN), SIZE(w_start_peer_down_ntf),
	.id = true },
[IMSG_START_GO_NTF] = { NAME(START_GO_NTF),
	LINK(BIT(PROC_POSTMASTER), CHILDREN), SIZE(w_start_go_ntf),
	.id = true, .strings = start_go },
[IMSG_START_FINISH_NTF] = { NAME(START_FINISH_NTF),
	LINK(BIT(PROC_POSTMASTER), CHILDREN), SIZE(w_start_finish_ntf),
	.id = true },

[IMSG_RCPT_CHECK_REQ] = { NAME(RCPT_CHECK_REQ),
	LINK(BIT(PROC_SMTPD), BIT(PROC_POLICYD)), SIZE(w_rcpt_check_req),
	.answer = IMSG_RCPT_CHECK_ANS, .window = 256, .id = true,
	.strings = rcpt_check_req },
[IMSG_RCPT_CHECK_ANS] = { NAME(RCPT_CHECK_ANS),
	LINK(BIT(PROC_POLICYD), BIT(PROC_SMTPD)), SIZE(w_rcpt_check_ans),
	.id = true, .strings = rcpt_check_ans },

[IMSG_TXN_STATE_NTF] = { NAME(TXN_STATE_NTF),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_SMTPD)), SIZE(w_txn_state_ntf),
	.strings = txn_state },
[IMSG_TXN_LEASE_NTF] = { NAME(TXN_LEASE_NTF),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_SMTPD)), SIZE(w_txn_lease_ntf),
	.id = true },
[IMSG_TXN_OPEN_NTF] = { NAME(TXN_OPEN_NTF),
	LINK(BIT(PROC_SMTPD), BIT(PROC_SPOOLD)), SIZE(w_txn_open_ntf),
	.id = true, .strings = txn_open },
[IMSG_TXN_RCPT_NTF] = { NAME(TXN_RCPT_NTF),
	LINK(BIT(PROC_SMTPD), BIT(PROC_SPOOLD)), SIZE(w_txn_rcpt_ntf),
	.id = true, .strings = txn_rcpt },
[IMSG_TXN_BODY_REQ] = { NAME(TXN_BODY_REQ),
	LINK(BIT(PROC_SMTPD), BIT(PROC_SPOOLD)), SIZE(w_txn_body_req),
	.tail = WIRE_PIECE, .answer = IMSG_TXN_BODY_ANS, .window = 8,
	.id = true },
[IMSG_TXN_BODY_ANS] = { NAME(TXN_BODY_ANS),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_SMTPD)), SIZE(w_txn_body_ans),
	.id = true },
[IMSG_TXN_COMMIT_REQ] = { NAME(TXN_COMMIT_REQ),
	LINK(BIT(PROC_SMTPD), BIT(PROC_SPOOLD)), SIZE(w_txn_commit_req),
	.tail = WIRE_INLINE, .answer = IMSG_TXN_COMMIT_ANS, .window = 256,
	.id = true },
[IMSG_TXN_COMMIT_ANS] = { NAME(TXN_COMMIT_ANS),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_SMTPD)), SIZE(w_txn_commit_ans),
	.id = true },
[IMSG_TXN_ABORT_NTF] = { NAME(TXN_ABORT_NTF),
	LINK(BIT(PROC_SMTPD), BIT(PROC_SPOOLD)), SIZE(w_txn_abort_ntf),
	.id = true },

[IMSG_ROUTE_RESOLVE_REQ] = { NAME(ROUTE_RESOLVE_REQ),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_POLICYD)), SIZE(w_route_resolve_req),
	.answer = IMSG_ROUTE_RESOLVE_ANS, .window = 256, .id = true,
	.strings = route_resolve_req },
[IMSG_ROUTE_RESOLVE_ANS] = { NAME(ROUTE_RESOLVE_ANS),
	LINK(BIT(PROC_POLICYD), BIT(PROC_SPOOLD)), SIZE(w_route_resolve_ans),
	.tail = TAIL_TARGETS, .id = true, .strings = route_resolve_ans },
[IMSG_ROUTE_EXPLAIN_REQ] = { NAME(ROUTE_EXPLAIN_REQ),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_POLICYD)), SIZE(w_route_explain_req),
	.answer = IMSG_ROUTE_EXPLAIN_ANS, .window = 16, .id = true,
	.strings = route_explain_req },
[IMSG_ROUTE_EXPLAIN_ANS] = { NAME(ROUTE_EXPLAIN_ANS),
	LINK(BIT(PROC_POLICYD), BIT(PROC_SPOOLD)), SIZE(w_route_explain_ans),
	.tail = TAIL_TEXT, .id = true, .strings = route_explain_ans },

[IMSG_USER_WORKER_REQ] = { NAME(USER_WORKER_REQ),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_DELIVER)), SIZE(w_user_worker_req),
	.answer = IMSG_USER_WORKER_ANS, .window = 16, .id = true,
	.strings = user_worker_req },
[IMSG_USER_WORKER_ANS] = { NAME(USER_WORKER_ANS),
	LINK(BIT(PROC_DELIVER), BIT(PROC_SPOOLD)), SIZE(w_user_worker_ans),
	.fd = FD_MAYBE, .id = true },
[IMSG_USER_KILL_NTF] = { NAME(USER_KILL_NTF),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_DELIVER)), SIZE(w_user_kill_ntf),
	.id = true },
[IMSG_USER_STUCK_NTF] = { NAME(USER_STUCK_NTF),
	LINK(BIT(PROC_DELIVER), BIT(PROC_SPOOLD)), SIZE(w_user_stuck_ntf),
	.id = true },
[IMSG_USER_ENDED_NTF] = { NAME(USER_ENDED_NTF),
	LINK(BIT(PROC_DELIVER), BIT(PROC_SPOOLD)), SIZE(w_user_ended_ntf),
	.id = true },

[IMSG_JOB_DELIVER_REQ] = { NAME(JOB_DELIVER_REQ),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_WORKER)), SIZE(w_job_deliver_req),
	.tail = TAIL_JOB, .fd = FD_MAYBE, .answer = IMSG_JOB_DELIVER_ANS,
	.window = 32, .id = true, .strings = job_deliver_req },
[IMSG_JOB_DELIVER_ANS] = { NAME(JOB_DELIVER_ANS),
	LINK(BIT(PROC_WORKER), BIT(PROC_SPOOLD)), SIZE(w_job_deliver_ans),
	.tail = TAIL_TARGETS, .id = true, .strings = job_deliver_ans },

[IMSG_RELAY_RCPT_NTF] = { NAME(RELAY_RCPT_NTF),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_RELAY)), SIZE(w_relay_rcpt_ntf),
	.id = true, .strings = relay_rcpt },
[IMSG_RELAY_DELIVER_REQ] = { NAME(RELAY_DELIVER_REQ),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_RELAY)), SIZE(w_relay_deliver_req),
	.tail = WIRE_INLINE, .fd = FD_MAYBE,
	.answer = IMSG_RELAY_DELIVER_ANS, .window = 4096, .id = true,
	.strings = relay_deliver_req },
[IMSG_RELAY_RESULT_NTF] = { NAME(RELAY_RESULT_NTF),
	LINK(BIT(PROC_RELAY), BIT(PROC_SPOOLD)), SIZE(w_relay_result_ntf),
	.id = true, .strings = relay_result },
[IMSG_RELAY_DELIVER_ANS] = { NAME(RELAY_DELIVER_ANS),
	LINK(BIT(PROC_RELAY), BIT(PROC_SPOOLD)), SIZE(w_relay_deliver_ans),
	.id = true, .strings = relay_deliver_ans },
[IMSG_RELAY_EXPLAIN_REQ] = { NAME(RELAY_EXPLAIN_REQ),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_RELAY)), SIZE(w_relay_explain_req),
	.answer = IMSG_RELAY_EXPLAIN_ANS, .window = 16, .id = true,
	.strings = relay_explain_req },
[IMSG_RELAY_EXPLAIN_ANS] = { NAME(RELAY_EXPLAIN_ANS),
	LINK(BIT(PROC_RELAY), BIT(PROC_SPOOLD)), SIZE(w_relay_explain_ans),
	.tail = TAIL_TEXT, .id = true },

[IMSG_CTL_LIST_REQ] = { NAME(CTL_LIST_REQ),
	LINK(BIT(PROC_CTL), BIT(PROC_SPOOLD)), SIZE(w_ctl_list_req),
	.answer = IMSG_CTL_LIST_ANS, .window = 1, .strings = ctl_list_req },
[IMSG_CTL_LIST_ANS] = { NAME(CTL_LIST_ANS),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_CTL)), SIZE(w_ctl_list_ans),
	.tail = 4 * TAIL_TEXT },
[IMSG_CTL_SHOW_REQ] = { NAME(CTL_SHOW_REQ),
	LINK(BIT(PROC_CTL), BIT(PROC_SPOOLD)), SIZE(w_ctl_show_req),
	.answer = IMSG_CTL_SHOW_ANS, .window = 1, .id = true },
[IMSG_CTL_SHOW_ANS] = { NAME(CTL_SHOW_ANS),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_CTL)), SIZE(w_ctl_show_ans),
	.tail = 4 * TAIL_TEXT, .id = true },
[IMSG_CTL_ACTION_REQ] = { NAME(CTL_ACTION_REQ),
	LINK(BIT(PROC_CTL), BIT(PROC_SPOOLD)), SIZE(w_ctl_action_req),
	.answer = IMSG_CTL_ACTION_ANS, .window = 1,
	.strings = ctl_action_req },
[IMSG_CTL_ACTION_ANS] = { NAME(CTL_ACTION_ANS),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_CTL)), SIZE(w_ctl_action_ans),
	.strings = ctl_action_ans },
[IMSG_CTL_EXPLAIN_REQ] = { NAME(CTL_EXPLAIN_REQ),
	LINK(BIT(PROC_CTL), BIT(PROC_SPOOLD)), SIZE(w_ctl_explain_req),
	.answer = IMSG_CTL_EXPLAIN_ANS, .window = 1,
	.strings = ctl_explain_req },
[IMSG_CTL_EXPLAIN_ANS] = { NAME(CTL_EXPLAIN_ANS),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_CTL)), SIZE(w_ctl_explain_ans),
	.tail = TAIL_TEXT, .id = true },
[IMSG_CTL_STATUS_REQ] = { NAME(CTL_STATUS_REQ),
	LINK(BIT(PROC_CTL), BIT(PROC_SPOOLD)), SIZE(w_ctl_status_req),
	.answer = IMSG_CTL_STATUS_ANS, .window = 1 },
[IMSG_CTL_STATUS_ANS] = { NAME(CTL_STATUS_ANS),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_CTL)), SIZE(w_ctl_status_ans),
	.tail = TAIL_TEXT, .id = true },
[IMSG_CTL_READ_REQ] = { NAME(CTL_READ_REQ),
	LINK(BIT(PROC_CTL), BIT(PROC_SPOOLD)), SIZE(w_ctl_read_req),
	.answer = IMSG_CTL_READ_ANS, .window = 1, .id = true },
[IMSG_CTL_READ_ANS] = { NAME(CTL_READ_ANS),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_CTL)), SIZE(w_ctl_read_ans),
	.tail = WIRE_INLINE, .id = true },
[IMSG_CTL_WHY_REQ] = { NAME(CTL_WHY_REQ),
	LINK(BIT(PROC_CTL), BIT(PROC_SPOOLD)), SIZE(w_ctl_why_req),
	.answer = IMSG_CTL_WHY_ANS, .window = 1, .strings = ctl_why_req },
[IMSG_CTL_WHY_ANS] = { NAME(CTL_WHY_ANS),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_CTL)), SIZE(w_ctl_why_ans),
	.tail = 4 * TAIL_TEXT, .id = true },
[IMSG_CTL_STATS_REQ] = { NAME(CTL_STATS_REQ),
	LINK(BIT(PROC_CTL), BIT(PROC_SPOOLD)), SIZE(w_ctl_stats_req),
	.answer = IMSG_CTL_STATS_ANS, .window = 1 },
[IMSG_CTL_STATS_ANS] = { NAME(CTL_STATS_ANS),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_CTL)), SIZE(w_ctl_stats_ans),
	.tail = 4 * TAIL_TEXT, .id = true },
[IMSG_CTL_PROBE_REQ] = { NAME(CTL_PROBE_REQ),
	LINK(BIT(PROC_CTL), BIT(PROC_SPOOLD)), SIZE(w_ctl_probe_req),
	.answer = IMSG_CTL_PROBE_ANS, .window = 1,
	.strings = ctl_probe_req },
[IMSG_CTL_PROBE_ANS] = { NAME(CTL_PROBE_ANS),
	LINK(BIT(PROC_SPOOLD), BIT(PROC_CTL)), SIZE(w_ctl_probe_ans),
	.tail = TAIL_TEXT, .id = true },
};

static const char *const processes[PROC_MAX] = {
	[PROC_NONE] = "nobody",
	[PROC_POSTMASTER] = "postmaster",
	[PROC_SMTPD] = "smtpd",
	[PROC_POLICYD] = "policyd",
	[PROC_SPOOLD] = "spoold",
	[PROC_RELAY] = "relay",
	[PROC_DELIVER] = "deliver",
	[PROC_WORKER] = "worker",
	[PROC_CTL] = "ctl",
};

const struct wire_row *
wire_row(uint32_t type)
{
	if (type >= IMSG_MAX || rows[type].name == NULL)
		return NULL;
	return &rows[type];
}

uint32_t
wire_request(uint32_t answer)
{
	static uint32_t requests[IMSG_MAX];
	static bool known;
	uint32_t type;

	if (!known) {
		for (type = IMSG_NONE + 1; type < IMSG_MAX; type++)
			if (rows[type].answer != IMSG_NONE)
				requests[rows[type].answer] = type;
		known = true;
	}
	return answer < IMSG_MAX ? requests[answer] : IMSG_NONE;
}

const char *
wire_process(enum process process)
{
	return (unsigned int)process < PROC_MAX ? processes[process] :
	    "nobody";
}

const char *
wire_name(uint32_t type)
{
	const struct wire_row *row = wire_row(type);

	return row != NULL ? row->name : "unknown";
}

const char *
wire_check(enum process sender, enum process receiver, uint32_t type,
    uint32_t id, const void *payload, size_t length, bool has_fd)
{
	const struct wire_row *row;
	const struct wire_string *s;
	const char *bytes = payload;
	uint64_t first;

	if ((row = wire_row(type)) == NULL)
		return "unknown type";
	if ((row->senders & BIT(sender)) == 0)
		return "wrong sender";
	if ((row->receivers & BIT(receiver)) == 0)
		return "wrong receiver";
	if (length < row->size || length - row->size > row->tail)
		return "wrong length";
	if (row->fd == FD_ALWAYS && !has_fd)
		return "missing descriptor";
	if (row->fd == FD_NEVER && has_fd)
		return "stray descriptor";
	if (row->answer != IMSG_NONE && id == 0)
		return "request without id";
	for (s = row->strings; s != NULL && s->size != 0; s++)
		if (memchr(bytes + s->offset, '\0', s->size) == NULL)
			return "unterminated string";
	memcpy(&first, bytes, sizeof(first));
	if (row->id && first == 0)
		return "id is zero";
	return NULL;
}

int
wire_next_target(const void **tail, size_t *length, enum target_place *place,
    const char **text)
{
	const char *bytes = *tail;
	struct w_target target;

	if (*length == 0)
		return 0;
	if (*length < sizeof(target))
		return -1;
	memcpy(&target, bytes, sizeof(target));
	bytes += sizeof(target);
	*length -= sizeof(target);
	if (target.length == 0 || target.length > *length ||
	    target.length > WIRE_TARGET || bytes[target.length - 1] != '\0' ||
	    memchr(bytes, '\0', target.length) != bytes + target.length - 1)
		return -1;
	if (target.kind < TARGET_ROUTED || target.kind > TARGET_FORWARD)
		return -1;
	*place = (enum target_place)target.kind;
	*text = bytes;
	*tail = bytes + target.length;
	*length -= target.length;
	return 1;
}
