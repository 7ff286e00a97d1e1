/* What a process uses, as Linux tells it: for the suites that show that it does not grow. */
#ifndef RESOURCES_H
#define RESOURCES_H

/* A line of /proc/self/status, in its own unit; -1: there is none. */
static inline long status_of(const char *name)
{
    char *text = read_text("/proc/self/status");
    const char *line = strstr(text, name);
    long value = line != NULL ? strtol(line + strlen(name), NULL, 10) : -1;

    free(text);
    return value;
}

static inline unsigned threads_alive(void)
{
    return (unsigned)status_of("\nThreads:");
}

static inline unsigned descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned count = 0;

    while (folder != NULL && readdir(folder) != NULL)
        count++;
    if (folder != NULL)
        (void)closedir(folder);
    return count;
}

static inline long memory_kb(void)
{
    return status_of("\nVmRSS:");
}

/* The most since peak_forget(). */
static inline long peak_kb(void)
{
    return status_of("\nVmHWM:");
}

static inline void peak_forget(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY);

    if (fd >= 0) {
        (void)!write(fd, "5", 1);
        (void)close(fd);
    }
}

#endif
