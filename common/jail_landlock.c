/*
 * Landlock by its first two ABIs; nothing here rests on later ones.
 */
#include <sys/syscall.h>

#include <linux/landlock.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "jail_landlock.h"
#include "log.h"

#define DIRECTORIES	64

#define READING	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITING	(LANDLOCK_ACCESS_FS_WRITE_FILE | \
		 LANDLOCK_ACCESS_FS_REMOVE_FILE | \
		 LANDLOCK_ACCESS_FS_REMOVE_DIR | \
		 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG)
#define ABI_1	(READING | WRITING | LANDLOCK_ACCESS_FS_EXECUTE | \
		 LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
		 LANDLOCK_ACCESS_FS_MAKE_FIFO | \
		 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

static struct {
	struct {
		int		fd;
		bool		write;
	}		directories[DIRECTORIES];
	unsigned int	count;
} landlock;

void
landlock_allow(const char *directory, bool write)
{
	int fd;

	if ((fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC)) == -1)
		return;
	if (landlock.count == DIRECTORIES)
		fatalx("jail: more than %d directories", DIRECTORIES);
	landlock.directories[landlock.count].fd = fd;
	landlock.directories[landlock.count++].write = write;
}

static int
add_rule(int ruleset, int fd, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = access, .parent_fd = fd
	};

	return (int)syscall(SYS_landlock_add_rule, ruleset,
	    LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

int
landlock_enforce(void)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = ABI_1 };
	uint64_t access;
	unsigned int i;
	int ruleset, abi, result = -1;

	abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1)
		return -1;
	if (abi >= 2)
		attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr,
	    sizeof(attr), 0);
	if (ruleset == -1)
		return -1;
	for (i = 0; i < landlock.count; i++) {
		access = READING;
		if (landlock.directories[i].write)
			access |= WRITING | (attr.handled_access_fs &
			    LANDLOCK_ACCESS_FS_REFER);
		if (add_rule(ruleset, landlock.directories[i].fd,
		    access) == -1)
			goto out;
	}
	result = (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
 out:
	for (i = 0; i < landlock.count; i++)
		close(landlock.directories[i].fd);
	landlock.count = 0;
	close(ruleset);
	return result;
}
