/* Runs a command and tells what it took, it and its children:
 *
 *   measure FILE COMMAND...    {"wall": s, "cpu": s, "memory": bytes, "status": n} into FILE
 *
 * In C, for the peak of the memory begins with that of the process that starts the command. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int count, char **words) {
    struct rusage used;
    int status;
    double begun = now();
    pid_t child;
    if (count < 3) return 2;
    child = fork();
    if (!child) {
        execvp(words[2], words + 2);
        perror(words[2]);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &used) != child) return 1;
    double wall = now() - begun;
    FILE *out = fopen(words[1], "w");
    if (!out) return 1;
    fprintf(out, "{\"wall\": %.6f, \"cpu\": %.6f, \"memory\": %ld, \"status\": %d}\n", wall,
            seconds(used.ru_utime) + seconds(used.ru_stime), used.ru_maxrss * 1024L,
            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return fclose(out) ? 1 : 0;
}
