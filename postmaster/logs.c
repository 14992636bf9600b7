/*
 * The descriptors of logs: only postmaster opens them.  Each process is
 * handed the one it writes to, and anew when the file's name has changed or
 * the file was moved away.
 */
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SYSLOG_NAMES
#include <syslog.h>

#include "clock.h"
#include "log.h"
#include "postmaster.h"

#define SYSLOG		"syslog"
#define SYSLOG_PATH	"/dev/log"
#define LOGS_MAX	16

/* One log; a template of strftime(3) says its file. */
struct log {
	char	 name[WIRE_NAME];
	char	 template[WIRE_PATH];	/* "" for syslog */
	char	 path[WIRE_PATH];	/* as opened last */
	char	 ident[WIRE_NAME];
	int	 facility;
	int	 fd;			/* -1: cannot be opened now */
	bool	 told;			/* that it cannot */
	struct stat socket;		/* of syslog, when it was opened */
};

static struct {
	const struct settings *settings;
	const struct options *options;
	struct log	 logs[LOGS_MAX];	/* the first is [core]'s */
	size_t		 count;
} state;

int
logs_facility(const char *name)
{
	const CODE *code;

	for (code = facilitynames; code->c_name != NULL; code++)
		if (strcasecmp(code->c_name, name) == 0)
			return code->c_val;
	return -1;
}

/* A connected socket of the system's log. */
static int
open_syslog(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX,
	    .sun_path = SYSLOG_PATH };
	int fd;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd != -1 && connect(fd, (struct sockaddr *)&un,
	    sizeof(un)) == -1) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* The file's name now. */
static void
print_path(const struct log *log, char *path)
{
	time_t now = clock_now() / SECOND;
	struct tm tm;

	localtime_r(&now, &tm);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (strftime(path, WIRE_PATH, log->template, &tm) == 0)
		strlcpy(path, log->template, WIRE_PATH);
#pragma GCC diagnostic pop
}

static int
open_file(const char *path)
{
	const struct settings *settings = state.settings;
	struct stat st;
	int fd;

	if (house_make_parents(path) == -1)
		return -1;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW |
	    O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0640);
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 &&
	    st.st_uid == geteuid() && st.st_gid != settings->log_group &&
	    fchown(fd, -1, settings->log_group) == -1)
		log_errno(LOG_WARNING, "log", "group of %s", path);
	return fd;
}

/* Open it (again); that it cannot be opened is told once. */
static void
open_log(struct log *log)
{
	int was = log->fd;

	if (log->template[0] == '\0') {
		if (stat(SYSLOG_PATH, &log->socket) == -1)
			memset(&log->socket, 0, sizeof(log->socket));
		log->fd = open_syslog();
	} else {
		print_path(log, log->path);
		log->fd = open_file(log->path);
	}
	if (log->fd == -1 && !log->told)
		log_errno(LOG_ERR, "log", "%s", log->template[0] == '\0' ?
		    SYSLOG_PATH : log->path);
	log->told = log->fd == -1;
	if (was != -1)
		close(was);
}

/*
 * Has it a new name, or is its file not the one we have open?  A syslog that
 * was started anew has a socket of its own.
 */
static bool
must_open(const struct log *log)
{
	char path[WIRE_PATH];
	struct stat open, named;

	if (log->fd == -1)
		return true;
	if (log->template[0] == '\0')
		return stat(SYSLOG_PATH, &named) == 0 &&
		    (named.st_dev != log->socket.st_dev ||
		    named.st_ino != log->socket.st_ino ||
		    named.st_ctim.tv_sec != log->socket.st_ctim.tv_sec ||
		    named.st_ctim.tv_nsec != log->socket.st_ctim.tv_nsec);
	print_path(log, path);
	if (strcmp(path, log->path) != 0 || stat(path, &named) == -1 ||
	    fstat(log->fd, &open) == -1)
		return true;
	return open.st_dev != named.st_dev || open.st_ino != named.st_ino;
}

/* Add the log of that name, unless we have it. */
static void
add_log(const char *name)
{
	const struct conf *conf = state.settings->conf;
	struct conf_section *section;
	struct log *log;
	size_t i;

	for (i = 0; i < state.count; i++)
		if (strcmp(state.logs[i].name, name) == 0)
			return;
	if (state.count == LOGS_MAX) {
		log_note(LOG_ERR, "log", "no room for the log %s", name);
		return;
	}
	log = &state.logs[state.count++];
	memset(log, 0, sizeof(*log));
	log->fd = -1;
	strlcpy(log->name, name, sizeof(log->name));
	section = conf_section(conf, "syslog", NULL);
	strlcpy(log->ident, conf_string(section, "ident", "postmaster"),
	    sizeof(log->ident));
	log->facility = logs_facility(conf_string(section, "facility",
	    "mail"));
	if (log->facility == -1)
		log->facility = LOG_MAIL;
	section = conf_section(conf, "logfile", name);
	if (section != NULL)
		strlcpy(log->template, conf_string(section, "file", ""),
		    sizeof(log->template));
	open_log(log);
}

void
logs_use_own(void)
{
	struct log *log = &state.logs[0];
	bool copy = state.options->debug || state.options->starting;
	int fd = -1;

	if (log->fd != -1)
		fd = fcntl(log->fd, F_DUPFD_CLOEXEC, 0);
	else if (copy)
		fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd != -1)
		log_to(fd, log->template[0] == '\0' && log->fd != -1 ?
		    LOG_TO_SYSLOG : LOG_TO_FILE, log->ident, log->facility,
		    state.settings->hostname, copy);
}

void
logs_open(const struct settings *settings, const struct options *options)
{
	const struct conf_section *section;
	size_t i;

	for (i = 0; i < state.count; i++)
		if (state.logs[i].fd != -1)
			close(state.logs[i].fd);
	state.count = 0;
	state.settings = settings;
	state.options = options;
	section = conf_section(settings->conf, "core", NULL);
	add_log(conf_string(section, "logger", SYSLOG));
	for (section = conf_section(settings->conf, "smtpd", NULL);
	    section != NULL; section = conf_next(section))
		if (conf_setting(section, "logger") != NULL)
			add_log(conf_string(section, "logger", SYSLOG));
	logs_use_own();
	log_set_verbose(options->verbose);
}

bool
logs_follow(void)
{
	bool opened = false;
	size_t i;
	int before;

	for (i = 0; i < state.count; i++) {
		if (!must_open(&state.logs[i]))
			continue;
		before = state.logs[i].fd;
		open_log(&state.logs[i]);
		opened |= before != -1 || state.logs[i].fd != -1;
	}
	if (opened)
		logs_use_own();
	return opened;
}

int
logs_hand_over(enum process process, logs_tell tell, void *arg)
{
	struct w_start_log_ntf ntf;
	const struct log *log;
	size_t i;
	int fd;

	for (i = 0; i < state.count; i++) {
		log = &state.logs[i];
		if (i > 0 && process != PROC_SMTPD)
			break;
		if (log->fd != -1)
			fd = fcntl(log->fd, F_DUPFD_CLOEXEC, 0);
		else if (i == 0 && state.options->debug)
			fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
		else
			continue;
		memset(&ntf, 0, sizeof(ntf));
		ntf.kind = log->template[0] == '\0' && log->fd != -1 ?
		    WIRE_LOG_SYSLOG : WIRE_LOG_FILE;
		ntf.facility = log->facility;
		ntf.copy_to_stderr = state.options->debug;
		ntf.verbose = state.options->verbose;
		ntf.additional = i > 0;
		strlcpy(ntf.name, log->name, sizeof(ntf.name));
		strlcpy(ntf.ident, log->ident, sizeof(ntf.ident));
		if (tell(arg, &ntf, fd) == -1)
			return -1;
	}
	return 0;
}
