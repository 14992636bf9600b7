/*
 * The sockets that are listened on: bound here with the rights of root, or
 * taken over from systemd, and handed to the processes that accept on them.
 * One that cannot be had does not take the others with it.
 */
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "netaddr.h"
#include "postmaster.h"

#define BACKLOG		1024
#define SMTP_PORT	"25"
#define QUESTIONS_MAX	128

static struct listeners all = TAILQ_HEAD_INITIALIZER(all);
static uint32_t last_number;
static bool unix_is_ours = true;

const struct listeners *
listen_all(void)
{
	return &all;
}

void
listen_print(const struct sockaddr *address, socklen_t length, char *text,
    size_t size)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getnameinfo(address, length, host, sizeof(host), port,
	    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		strlcpy(text, "?", size);
	else if (address->sa_family == AF_INET6)
		snprintf(text, size, "[%s]:%s", host, port);
	else
		snprintf(text, size, "%s:%s", host, port);
}

int
listen_bind(const struct sockaddr *address, socklen_t length)
{
	int fd, one = 1, saved;

	fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	if (address->sa_family != AF_UNIX && setsockopt(fd, SOL_SOCKET,
	    SO_REUSEADDR, &one, sizeof(one)) == -1)
		goto fail;
	if (address->sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6,
	    IPV6_V6ONLY, &one, sizeof(one)) == -1)
		goto fail;
	if (bind(fd, address, length) == -1 || listen(fd, BACKLOG) == -1)
		goto fail;
	return fd;
fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* ---- what the configuration wants ---- */

/* The resolver would take 65561 for 25, and 0 for any. */
static bool
is_service(const char *service)
{
	const char *error;

	if (service[strspn(service, "0123456789")] != '\0')
		return true;
	(void)strtonum(service, 1, UINT16_MAX, &error);
	return error == NULL;
}

/* Split one listen-port into host and service. */
static int
ask(const char *text, const char *name, struct question *question)
{
	char host[WIRE_DOMAIN], service[WIRE_NAME];

	if (text == NULL)
		text = name;
	if (netaddr_split(text, host, sizeof(host), service,
	    sizeof(service)) == -1)
		return -1;
	if (strcmp(host, "*") == 0)
		host[0] = '\0';
	strlcpy(question->host, host, sizeof(question->host));
	strlcpy(question->service, *service == '\0' ? SMTP_PORT : service,
	    sizeof(question->service));
	return is_service(question->service) ? 0 : -1;
}

static void
wish_for(struct conf_section *section, const char *text,
    const struct conf_place *place, struct conf *conf, struct wish *wishes,
    struct question *questions, size_t *count)
{
	const char *name = conf_string(section, "name", section->name);

	if (*count == QUESTIONS_MAX) {
		conf_wrong(conf, place, "more than %d listen-ports",
		    QUESTIONS_MAX);
		return;
	}
	if (ask(text, name, &questions[*count]) == -1) {
		conf_wrong(conf, place, "\"%s\" is no listen-port; write 25, "
		    "host:25 or [::1]:25", text == NULL ? name : text);
		return;
	}
	wishes[*count].section = section;
	wishes[*count].place = *place;
	strlcpy(wishes[*count].text, text == NULL ? name : text,
	    sizeof(wishes[*count].text));
	(*count)++;
}

/* All wishes, and what is to be asked for each.  Returns how many. */
static size_t
gather(const struct settings *settings, struct wish **wishes,
    struct question **questions)
{
	struct conf_section *section;
	struct conf_setting *setting;
	size_t count = 0, i;

	*wishes = calloc(QUESTIONS_MAX, sizeof(**wishes));
	*questions = calloc(QUESTIONS_MAX, sizeof(**questions));
	if (*wishes == NULL || *questions == NULL)
		fatal("listeners");
	for (section = conf_section(settings->conf, "smtpd", NULL);
	    section != NULL; section = conf_next(section)) {
		setting = conf_setting(section, "listen-port");
		if (setting == NULL)
			wish_for(section, NULL, &section->place,
			    settings->conf, *wishes, *questions, &count);
		for (; setting != NULL; setting = conf_again(setting))
			for (i = 0; i < setting->count; i++)
				wish_for(section, setting->words[i].text,
				    &setting->words[i].place, settings->conf,
				    *wishes, *questions, &count);
	}
	return count;
}

void
listen_check(const struct settings *settings)
{
	struct question *questions;
	struct wish *wishes;

	(void)gather(settings, &wishes, &questions);
	free(questions);
	free(wishes);
}

int
listen_wishes(const struct settings *settings, const struct options *options,
    struct wish **wishes, struct resolved **answers)
{
	struct question *questions;
	size_t count = gather(settings, wishes, &questions);
	int found = 0;

	*answers = NULL;
	if (count > 0)
		found = resolve(questions, count,
		    settings->identities[PROC_SMTPD], options->rootless,
		    answers);
	free(questions);
	return found;
}

/* ---- opening ---- */

static struct listener *
find(const struct sockaddr *address, socklen_t length)
{
	struct listener *listener;

	TAILQ_FOREACH(listener, &all, entry)
		if (listener->length == length &&
		    memcmp(&listener->sockaddr, address, length) == 0)
			return listener;
	return NULL;
}

static struct listener *
add(int fd, const struct sockaddr *address, socklen_t length,
    enum process process)
{
	struct listener *listener;

	if ((listener = calloc(1, sizeof(*listener))) == NULL)
		fatal("listener");
	listener->fd = fd;
	listener->process = process;
	listener->local = address->sa_family == AF_UNIX;
	listener->wanted = true;
	listener->number = ++last_number;
	listener->length = length;
	memcpy(&listener->sockaddr, address, length);
	TAILQ_INSERT_TAIL(&all, listener, entry);
	return listener;
}

/* Say why an address cannot be listened on; a repetition is for the curious. */
static void
complain(const struct wish *wish, const struct sockaddr *address,
    const char *printed, bool again)
{
	char holder[128] = "";
	int error = errno;

	if (error == EADDRINUSE)
		holder_name(address, holder, sizeof(holder));
	log_begin(again ? LOG_DEBUG : LOG_ERR, "listen");
	log_string("address", printed);
	log_string("listener", wish->section->name);
	log_number("line", wish->place.line);
	if (*holder != '\0')
		log_string("holder", holder);
	log_string("reason", strerror(error));
	log_end();
}

/* Open one address for its [smtpd], unless it is open. */
static int
open_one(const struct wish *wish, const struct resolved *answer,
    void (*opened)(const struct listener *))
{
	const struct sockaddr *address;
	struct listener *listener;
	char printed[WIRE_NAME];
	bool is_new;
	int fd;

	address = (const struct sockaddr *)&answer->address;
	listen_print(address, answer->length, printed, sizeof(printed));
	listener = find(address, answer->length);
	is_new = listener == NULL;
	if (is_new) {
		if ((fd = systemd_socket(address, answer->length)) == -1 &&
		    (fd = listen_bind(address, answer->length)) == -1) {
			complain(wish, address, printed,
			    opened != NULL);
			return -1;
		}
		listener = add(fd, address, answer->length, PROC_SMTPD);
		log_begin(LOG_INFO, "listen");
		log_string("address", printed);
		log_string("listener", wish->section->name);
		log_end();
	}
	listener->wanted = true;
	strlcpy(listener->name, wish->section->name, sizeof(listener->name));
	strlcpy(listener->wish, wish->text, sizeof(listener->wish));
	strlcpy(listener->address, printed, sizeof(listener->address));
	if (is_new && opened != NULL)
		opened(listener);
	return 0;
}

/* Where a name leads cannot be told now: what it led to before stays open. */
static void
keep_open(const struct wish *wish)
{
	struct listener *listener;

	TAILQ_FOREACH(listener, &all, entry)
		if (strcmp(listener->wish, wish->text) == 0 &&
		    strcmp(listener->name, wish->section->name) == 0)
			listener->wanted = true;
}

/* Close what no configuration wants any longer. */
static void
close_unwanted(void)
{
	struct listener *listener, *next;

	for (listener = TAILQ_FIRST(&all); listener != NULL; listener = next) {
		next = TAILQ_NEXT(listener, entry);
		if (listener->wanted)
			continue;
		log_begin(LOG_INFO, "unlisten");
		log_string("address", listener->address);
		log_end();
		TAILQ_REMOVE(&all, listener, entry);
		close(listener->fd);
		free(listener);
	}
}

int
listen_open(const struct settings *settings, const struct options *options,
    void (*opened)(const struct listener *))
{
	struct resolved *answers;
	struct listener *listener;
	struct wish *wishes;
	int found, i, failed = 0;

	TAILQ_FOREACH(listener, &all, entry)
		listener->wanted = listener->local;
	found = listen_wishes(settings, options, &wishes, &answers);
	for (i = 0; i < found; i++) {
		if (answers[i].error == 0) {
			failed += open_one(&wishes[answers[i].number],
			    &answers[i], opened) == -1;
			continue;
		}
		log_begin(opened != NULL ? LOG_DEBUG : LOG_ERR, "listen");
		log_string("address", wishes[answers[i].number].text);
		log_string("listener",
		    wishes[answers[i].number].section->name);
		log_string("reason", gai_strerror(answers[i].error));
		log_end();
		keep_open(&wishes[answers[i].number]);
		failed++;
	}
	close_unwanted();
	free(wishes);
	free(answers);
	return failed;
}

/* ---- the Unix sockets ---- */

/* Open one, mode 0666: who asks is told by the kernel. */
static int
open_local(const char *path, enum process process)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const struct sockaddr *address = (const struct sockaddr *)&un;
	struct listener *listener;
	int fd;

	strlcpy(un.sun_path, path, sizeof(un.sun_path));
	if ((fd = systemd_socket(address, sizeof(un))) != -1) {
		unix_is_ours = false;
	} else {
		if (unlink(path) == -1 && errno != ENOENT)
			return -1;
		if ((fd = listen_bind(address, sizeof(un))) == -1)
			return -1;
		if (chmod(path, 0666) == -1) {
			close(fd);
			return -1;
		}
	}
	listener = add(fd, address, sizeof(un), process);
	strlcpy(listener->address, path, sizeof(listener->address));
	return 0;
}

int
listen_open_local(const struct settings *settings)
{
	if (open_local(settings->submit_socket, PROC_SMTPD) == -1) {
		log_errno(LOG_ERR, "listen", "%s", settings->submit_socket);
		return -1;
	}
	if (open_local(settings->control_socket, PROC_SPOOLD) == -1) {
		log_errno(LOG_ERR, "listen", "%s", settings->control_socket);
		return -1;
	}
	return 0;
}

void
listen_unlink(const struct settings *settings)
{
	unlink(settings->control_socket);
	if (unix_is_ours)
		unlink(settings->submit_socket);
}
