/*
 * The verbs of postctl that look: at lists, at one message, at the figures, at
 * what would become of an address.
 */

#include <ctype.h>
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "clock.h"
#include "ctl.h"

int
look_list(const struct verb *verb, struct request *request)
{
	struct w_ctl_filter	filter;

	memset(&filter, 0, sizeof(filter));
	for (int i = 0; i < request->count_words; i++)
		if (choice_state(request->words[i], &filter.states) == -1)
			return verb_usage(verb);
	if (choice_filter(request, &filter) == -1)
		return EX_USAGE;
	return mailq_list(&request->place, &filter, request->json ?
	    LIST_JSON : LIST_LONG);
}

/* Show one message; *shown is whether there was another before. */
static int
show_one(struct control *control, const char *word, bool json, bool *shown)
{
	struct w_ctl_show_req		 ask;
	const struct w_ctl_show_ans	*answer;
	struct frame			 frame;
	int				 code;

	if (choice_id(word, &ask.id) == -1)
		return EX_USAGE;
	if ((code = ask_ctl_show(control, &ask, &frame)) != EX_OK)
		return code;
	answer = frame.payload;
	if (!answer->found) {
		warnx("%s: there is no such message, or you may not see it",
		    word);
		return EX_NOINPUT;
	}
	if (json)
		record_json(stdout, frame.tail, frame.tail_length);
	else {
		if (*shown)
			fputs("\n\n", stdout);
		record_print(stdout, frame.tail, frame.tail_length,
		    clock_now());
	}
	*shown = true;
	return EX_OK;
}

int
look_show(const struct verb *verb, struct request *request)
{
	struct control	control;
	bool		shown = false;
	int		code, worst = EX_OK;

	if (request->count_words == 0)
		return verb_usage(verb);
	if ((code = control_open(&request->place, &control)) != EX_OK)
		return code;
	for (int i = 0; i < request->count_words; i++) {
		code = show_one(&control, request->words[i], request->json,
		    &shown);
		if (code != EX_OK)
			worst = code;
		if (code == EX_UNAVAILABLE || code == EX_PROTOCOL)
			break;
	}
	control_close(&control);
	return worst;
}

/* Show lines key=value as one JSON object; figures stay figures. */
void
look_status_json(FILE *out, const char *text, size_t length)
{
	char		*copy = strndup(text, length), *rest = copy, *line;
	char		*value;
	bool		 first = true;

	putc('{', out);
	while (copy != NULL && (line = strsep(&rest, "\n")) != NULL) {
		if ((value = strchr(line, '=')) == NULL)
			continue;
		*value++ = '\0';
		fputs(first ? "" : ", ", out);
		first = false;
		json_string(out, line);
		fputs(": ", out);
		if (*value != '\0' && strlen(value) < 19 &&
		    value[strspn(value, "0123456789")] == '\0' &&
		    (value[0] != '0' || value[1] == '\0'))
			fputs(value, out);
		else
			json_string(out, value);
	}
	fputs("}\n", out);
	free(copy);
}

int
look_status(const struct verb *verb, struct request *request)
{
	struct w_ctl_status_req	ask = { 0 };
	struct control		control;
	struct frame		frame;
	int			code;

	if (request->count_words != 0)
		return verb_usage(verb);
	if ((code = control_open(&request->place, &control)) != EX_OK)
		return code;
	code = ask_ctl_status(&control, &ask, &frame);
	if (code == EX_OK && request->json)
		look_status_json(stdout, frame.tail, frame.tail_length);
	else if (code == EX_OK)
		control_print(&frame);
	control_close(&control);
	return code;
}

/* ---- texts of others ---- */

/* The lines of a text as an object; the caller has begun it. */
static void
print_lines_json(const char *text, size_t length)
{
	char	*copy = strndup(text, length), *rest = copy, *line;
	bool	 first = true;

	fputs("\"text\": [", stdout);
	while (copy != NULL && (line = strsep(&rest, "\n")) != NULL) {
		if (*line == '\0')
			continue;
		fputs(first ? "" : ", ", stdout);
		json_string(stdout, line);
		first = false;
	}
	fputs("]}\n", stdout);
	free(copy);
}

int
look_explain(const struct verb *verb, struct request *request)
{
	struct w_ctl_explain_req	 ask;
	const struct w_ctl_explain_ans	*answer;
	struct control			 control;
	struct frame			 frame;
	int				 code;

	memset(&ask, 0, sizeof(ask));
	if (request->count_words != 1)
		return verb_usage(verb);
	if (choice_copy(ask.address, sizeof(ask.address),
	    request->words[0]) == -1 || choice_copy(ask.sender,
	    sizeof(ask.sender), request->sender) == -1)
		return EX_USAGE;
	if ((code = control_open(&request->place, &control)) != EX_OK)
		return code;
	code = ask_ctl_explain(&control, &ask, &frame);
	if (code == EX_OK) {
		answer = frame.payload;
		if (request->json) {
			fputs("{\"address\": ", stdout);
			json_string(stdout, ask.address);
			fputs(", ", stdout);
			print_lines_json(frame.tail, frame.tail_length);
		} else
			control_print(&frame);
		code = answer->verdict == CTL_ERROR ? EX_TEMPFAIL :
		    control_code(answer->verdict);
	}
	control_close(&control);
	return code;
}

/* Was the last that a server refused refused for good? */
static bool
is_refused(const char *text, size_t length)
{
	const char	*at = text, *end = text + length, *stop;
	bool		 refused = false;

	for (; at < end; at = stop + 1) {
		if ((stop = memchr(at, '\n', (size_t)(end - at))) == NULL)
			stop = end;
		while (at < stop && (*at == ' ' || *at == '<' || *at == '-'))
			at++;
		if (stop - at >= 3 && (at[0] == '4' || at[0] == '5') &&
		    isdigit((unsigned char)at[1]) &&
		    isdigit((unsigned char)at[2]))
			refused = at[0] == '5';
	}
	return refused;
}

int
look_probe(const struct verb *verb, struct request *request)
{
	struct w_ctl_probe_req		 ask;
	const struct w_ctl_probe_ans	*answer;
	struct control			 control;
	struct frame			 frame;
	const char			*word = request->words[0];
	int				 code;

	memset(&ask, 0, sizeof(ask));
	if (request->count_words != 1)
		return verb_usage(verb);
	if (choice_copy(ask.address, sizeof(ask.address),
	    *word == '@' ? word + 1 : word) == -1 || choice_copy(ask.sender,
	    sizeof(ask.sender), request->sender) == -1)
		return EX_USAGE;
	if ((code = control_open(&request->place, &control)) != EX_OK)
		return code;
	if ((code = ask_ctl_probe(&control, &ask, &frame)) == EX_OK) {
		answer = frame.payload;
		if (request->json) {
			printf("{\"good\": %s, ", answer->good ? "true" :
			    "false");
			print_lines_json(frame.tail, frame.tail_length);
		} else
			control_print(&frame);
		if (answer->verdict == CTL_DENIED)
			code = EX_NOPERM;
		else if (answer->verdict == CTL_NO_SUCH)
			code = EX_UNAVAILABLE;
		else if (answer->verdict != CTL_OK)
			code = EX_TEMPFAIL;
		else if (!answer->good)
			code = is_refused(frame.tail, frame.tail_length) ?
			    EX_UNAVAILABLE : EX_TEMPFAIL;
	}
	control_close(&control);
	return code;
}
