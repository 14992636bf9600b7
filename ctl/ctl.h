/*
 * The commands: sendmail, mailq, runq, newaliases, rmail and postctl are one
 * program that looks at its name.  It has nobody's rights but the caller's;
 * all it does is talk to the submission socket and the control socket, and
 * leave messages in the drop directory while nobody answers there.
 */
#ifndef CTL_H
#define CTL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "header.h"
#include "link.h"
#include "wire.h"

/* place.c: where things are */

#define PLACE_CONFIGURATION	"/etc/postmaster.cf"

struct place {
	char	submit[PATH_MAX];	/* sockets in run-directory */
	char	control[PATH_MAX];
	char	drop[PATH_MAX];		/* the drop directory */
	char	alias_file[PATH_MAX];
};

/*
 * Take what [core] of the file says; what it does not say, or cannot because
 * it is missing or broken, is as built in.
 */
void	place_find(const char *, struct place *);

/* option.c: sendmail's flags */

enum mode {
	MODE_DELIVER,		/* -bm, and all that is not known */
	MODE_QUEUE_LIST,	/* -bp */
	MODE_QUEUE_COUNT,	/* -bP */
	MODE_QUEUE_RUN,		/* -q */
	MODE_ALIASES,		/* -bi, -I */
	MODE_SMTP,		/* -bs */
	MODE_VERIFY,		/* -bv */
	MODE_TEST,		/* -bt */
	MODE_DAEMON,		/* -bd: refused */
	MODE_NOTHING		/* -bh, -bH: there is nothing to show */
};

enum error_mode {
	ERROR_PRINT,		/* p: say it, exit code */
	ERROR_MAIL,		/* m, w, e, b: a bounce to the sender */
	ERROR_QUIET		/* q: exit code only */
};

struct options {
	enum mode	 mode;
	enum error_mode	 error_mode;
	bool		 dots_are_text;		/* -i */
	bool		 from_header;		/* -t */
	bool		 from_line;		/* the From_ line names the
						   sender: rmail */
	bool		 json;			/* -j */
	bool		 verbose;
	const char	*configuration;		/* -C */
	const char	*sender;		/* -f, -r; NULL not given */
	const char	*full_name;		/* -F */
	const char	*notify;		/* -N */
	const char	*ret;			/* -R */
	const char	*envid;			/* -V */
	const char	*run_id;		/* -qI; "" none */
	const char	*run_recipient;		/* -qR */
	const char	*run_sender;		/* -qS */
};

/*
 * Take the flags; returns the index of the first word behind them.  What is
 * not known, or makes no sense, is passed over.
 */
int	options_take(int, char **, struct options *);

/* input.c, message.c: a message made legal */

struct message {
	char	*header;	/* fields, each line ended by CRLF */
	size_t	 header_length;
	size_t	 header_size;
	FILE	*body;		/* lines ended by CRLF; without the empty line
				   between header and body */
	uint64_t body_length;
	bool	 eight_bit;
	bool	 failed;	/* memory or disk ran out */
	char	*from_line;	/* the first From_ line, without its end */
};

enum form {
	FORM_PLAIN,		/* as it is */
	FORM_SMTP,		/* dots stuffed */
	FORM_UNIX		/* lines end in LF, From_ lines quoted */
};

/*
 * Read it up to the end, or a line of a dot alone if that ends it.  Returns
 * 0, or -1 with errno when reading or storing failed.
 */
int	 message_read(FILE *, bool, struct message *);
int	 message_begin(struct message *);
void	 message_header(struct message *, const char *, size_t);
void	 message_body(struct message *, const char *, size_t);
void	 message_free(struct message *);
uint64_t message_size(const struct message *);

/*
 * Write all of it, header, empty line and body, in a form.  Returns 0, or -1
 * if write did or the body could not be read.
 */
int	 message_copy(const struct message *, enum form,
	    int (*)(void *, const char *, size_t), void *);

/* envelope.c: who sends to whom */

struct recipient {
	char	*address;	/* without angle brackets; may be bare */
	int	 code;		/* the reply to RCPT or DATA; 0 none yet */
	char	*reply;		/* the text behind the code */
	const char *notify;	/* if not as the envelope has it */
	char	*orcpt;		/* ORCPT=, as xtext; NULL none */
};

struct envelope {
	char	 sender[HEADER_ADDRESS];	/* "" is <> */
	struct recipient *recipients;
	size_t	 count;
	const char *notify;
	const char *ret;
	const char *envid;		/* as xtext */
	bool	 eight_bit;
};

/*
 * Add the addresses of a list: a word of the command line, a field's value.
 * An item that is no address is added with its refusal.  Dies without memory.
 */
void	 envelope_add(struct envelope *, const char *, size_t);
void	 envelope_free(struct envelope *);

/*
 * Add the recipients that the header names, the newest block of Resent-
 * fields before all others.
 */
void	 envelope_from_header(struct envelope *, const struct message *);

/*
 * The sender that a From_ line of UUCP names, as an address; -1 if it names
 * none.
 */
int	 envelope_from_line(const char *, char *, size_t);

/*
 * Remove what must not leave with the message: Bcc, Resent-Bcc, Return-Path,
 * Content-Length.
 */
void	 header_clean(struct message *);

/*
 * Add From if there is none.
 */
void	 header_complete(struct message *, const char *, const char *);

/* identity.c: who calls */

struct identity {
	char	 login[WIRE_LOGIN];	/* uid-N if the uid has no name */
	char	 gecos[256];		/* full name as the system has it */
	char	 home[PATH_MAX];	/* "" if there is none */
};

void	 identity_find(struct identity *);

/*
 * The full name in GECOS: up to the comma, & as the login with a capital.
 */
void	 identity_full_name(const char *, const char *, char *, size_t);

/*
 * A From field of a name, which may be "", and an address.
 */
void	 identity_from(const char *, const char *, char *, size_t);

/* connect.c */

int	 connect_to(const char *, int);

/* smtp.c: the client's side of the submission socket */

struct reply {
	int	 code;			/* 0: the connection is lost */
	char	 text[512];		/* of its last line, behind the code */
};

struct smtp {
	int	 fd;
	bool	 verbose;		/* show the dialogue */
	bool	 size, eight_bit, dsn;	/* what the server offers */
	char	 in[4096];
	size_t	 in_start, in_end;
	char	 out[16384];
	size_t	 out_length;
	bool	 lost;
};

int	 smtp_open(struct smtp *, const char *, bool);
void	 smtp_close(struct smtp *);
void	 smtp_send(struct smtp *, const char *, ...)
	    __attribute__((format(printf, 2, 3)));
int	 smtp_write(void *, const char *, size_t);
int	 smtp_reply(struct smtp *, struct reply *, int);

/* submit.c: transactions */

/*
 * Submit to all recipients without a reply; each gets one, 0 if none came.
 */
void	 submit(const struct place *, const struct message *,
	    struct envelope *, bool);

/* outcome.c: what becomes of those that were not taken */

int	 outcome_settle(const struct place *, const struct options *,
	    const struct identity *, const struct message *,
	    struct envelope *);
int	 outcome_exit_code(const struct recipient *);

/* drop.c: while nobody answers */

int	 drop_keep(const struct place *, const struct message *,
	    const struct envelope *);
int	 drop_dead_letter(const struct identity *, const struct message *);

/* bounce.c: a report of what was refused */

int	 bounce_make(struct message *, const struct message *,
	    const struct envelope *);

/* control.c: questions to spoold */

struct control {
	int	 fd;
	uint32_t id;
};

/*
 * Both say on stderr what went wrong and return an exit code, 0 if all is
 * well.
 */
int	 control_open(const struct place *, struct control *);
void	 control_close(struct control *);

/*
 * Ask, and wait for the answer, which is valid up to the next question.
 */
int	 ask_ctl_list(struct control *, const struct w_ctl_list_req *,
	    struct frame *);
int	 ask_ctl_show(struct control *, const struct w_ctl_show_req *,
	    struct frame *);
int	 ask_ctl_explain(struct control *, const struct w_ctl_explain_req *,
	    struct frame *);
int	 ask_ctl_status(struct control *, const struct w_ctl_status_req *,
	    struct frame *);
int	 ask_ctl_read(struct control *, const struct w_ctl_read_req *,
	    struct frame *);
int	 ask_ctl_why(struct control *, const struct w_ctl_why_req *,
	    struct frame *);
int	 ask_ctl_stats(struct control *, const struct w_ctl_stats_req *,
	    struct frame *);
int	 ask_ctl_probe(struct control *, const struct w_ctl_probe_req *,
	    struct frame *);

/*
 * The exit code of a verdict.
 */
int	 control_code(uint64_t);

/*
 * Have something done; *count is to how many messages.
 */
int	 ask_ctl_action(struct control *, const struct w_ctl_action_req *,
	    uint64_t *);

/*
 * Show the text in an answer.
 */
void	 control_print(const struct frame *);

/* json.c */

void	 json_string(FILE *, const char *);

/* record.c: what spoold knows, for people or as JSON */

void	 record_print(FILE *, const char *, size_t, int64_t);
void	 record_json(FILE *, const char *, size_t);

/*
 * A time, and how far from now it is; text from outside, of which nothing
 * moves the cursor.
 */
void	 record_time(FILE *, int64_t, int64_t);
void	 record_text(FILE *, const char *);

/*
 * The same of lines, as an answer's tail has them; and of a text, in place.
 */
void	 record_lines(FILE *, const char *, size_t);
void	 record_clean(char *);

/* The commands; all return exit codes of sysexits.h. */

/* sendmail.c */
int	 sendmail_main(int, char **);
int	 sendmail_deliver(const struct place *, const struct options *,
	    FILE *, char **);

/* through.c */
int	 sendmail_through(const struct place *);

/* verify.c */
int	 sendmail_verify(const struct place *, const struct options *,
	    char **);
int	 sendmail_test(const struct place *, char **);

/* rmail.c */
int	 rmail_main(int, char **);

/* mailq.c */
enum list_style {
	LIST_MAILQ,			/* as administrators know it */
	LIST_LONG,			/* with what will happen next */
	LIST_JSON
};

int	 mailq_main(int, char **);
int	 mailq_list(const struct place *, const struct w_ctl_filter *,
	    enum list_style);
int	 mailq_count(const struct place *);

/*
 * Show each message that a filter, which may be NULL, wants with its
 * recipients; the last argument but one says whether it is the first.
 */
typedef void	(*list_fn)(const struct w_ctl_message *,
		    const struct w_ctl_recipient *, bool, void *);
int	 list_each(const struct place *, const struct w_ctl_filter *,
	    list_fn, void *, struct w_ctl_list_ans *);

/* runq.c */
int	 runq_main(int, char **);
int	 runq_run(const struct place *, const struct options *, char **);

/* newaliases.c */
int	 newaliases_main(int, char **);
int	 newaliases_check(const struct place *);

/* postctl.c: its verbs by families */

/* What a command line holds. */
struct request {
	struct place	 place;
	bool		 json;
	const char	*sender;	/* -s, --from; NULL not given */
	const char	*recipient;	/* -r, --to */
	const char	*domain;	/* -d, --domain */
	const char	*older;		/* --older */
	const char	*reason;	/* --reason */
	const char	*count;		/* -n */
	char		**words;	/* that are no options */
	int		 count_words;
};

struct verb {
	const char	 *name;
	const char	 *arguments;	/* as the usage shows them */
	int		(*run)(const struct verb *, struct request *);
	unsigned int	  options;	/* it takes; set of these */
	enum ctl_action	  action;
	const char	 *done;		/* "3 messages held" */
};

#define TAKES_FILTER	1U		/* -s -r -d --older --reason */
#define TAKES_SENDER	2U		/* -s */
#define TAKES_COUNT	4U		/* -n */

int	 postctl_main(int, char **);
int	 verb_usage(const struct verb *);

/* choice.c: which messages a command line means */
int	 choice_filter(const struct request *, struct w_ctl_filter *);
int	 choice_state(const char *, uint32_t *);
int	 choice_duration(const char *, int64_t *);
int	 choice_id(const char *, uint64_t *);
int	 choice_copy(char *, size_t, const char *);

/* look.c, stats.c, why.c: what only looks */
int	 look_list(const struct verb *, struct request *);
int	 look_show(const struct verb *, struct request *);
int	 look_status(const struct verb *, struct request *);
int	 look_explain(const struct verb *, struct request *);
int	 look_probe(const struct verb *, struct request *);
int	 look_stats(const struct verb *, struct request *);
int	 look_why(const struct verb *, struct request *);
void	 look_status_json(FILE *, const char *, size_t);

/* act.c: what changes something */
int	 act_on_messages(const struct verb *, struct request *);
int	 act_on_queue(const struct verb *, struct request *);
int	 act_age(const struct verb *, struct request *);
int	 act_backup(const struct verb *, struct request *);

/* export.c, import.c: messages out of the queue and into it */

int	 export_messages(const struct place *, char **);
int	 import_messages(const struct place *, char **);

#endif
