/*
 * What a fork has inherited and must not keep: descriptors, and of root more
 * than its work takes.
 */
#include <sys/syscall.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <unistd.h>

#include "deliver.h"
#include "log.h"

int
cleanse_descriptors(int kept)
{
	int	 null, log, low, high;

	null = open("/dev/null", O_RDWR);
	if (null == -1 || dup2(null, 0) == -1 || dup2(null, 1) == -1 ||
	    dup2(null, 2) == -1 ||
	    (kept = fcntl(kept, F_DUPFD_CLOEXEC, 3)) == -1 ||
	    (log = fcntl(null, F_DUPFD_CLOEXEC, 3)) == -1)
		_exit(71);
	/* The log's descriptor is the parent's: ours leads nowhere. */
	log_to(log, LOG_TO_FILE, "deliver", 0, "", false);
	low = kept < log ? kept : log;
	high = kept < log ? log : kept;
	if (low > 3)
		close_range(3, (unsigned int)low - 1, 0);
	if (high > low + 1)
		close_range((unsigned int)low + 1, (unsigned int)high - 1, 0);
	close_range((unsigned int)high + 1, ~0U, 0);
	return kept;
}

void
cleanse_capabilities(uint32_t kept)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) == -1)
		fatal("capget");
	data[0].permitted &= kept;
	data[0].effective = data[0].permitted;
	data[0].inheritable = data[1].inheritable = 0;
	data[1].permitted = data[1].effective = 0;
	if (syscall(SYS_capset, &header, data) == -1)
		fatal("capset");
}
