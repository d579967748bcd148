/* A PAM application, as sshd is one, that says how long pam_open_session takes. Needs root.
 *     session time ROUNDS USER SERVICE... /PROGRAM   nanoseconds, one line a round; of a program, its start and end
 *     session hold MANY USER SERVICE                 so many sessions, until standard input ends
 */
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int silent(int many, const struct pam_message **messages, struct pam_response **answers, void *data)
{
    (void)messages, (void)data;
    *answers = calloc(many, sizeof **answers);
    return *answers ? PAM_SUCCESS : PAM_BUF_ERR;
}

static const struct pam_conv conversation = { silent, NULL };

static void check(int status, const char *what)
{
    if (status != PAM_SUCCESS) {
        fprintf(stderr, "%s: %d\n", what, status);
        exit(1);
    }
}

static pam_handle_t *start(const char *service, const char *user)
{
    pam_handle_t *pam = NULL;
    check(pam_start(service, user, &conversation, &pam), "pam_start");
    check(pam_set_item(pam, PAM_RHOST, "192.0.2.1"), "pam_set_item");
    return pam;
}

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static long long run(const char *program)
{
    char *arguments[] = { (char *)program, NULL };
    long long before = now();
    pid_t child = fork();
    if (child == 0) {
        execv(program, arguments);
        _exit(127);
    }
    int status = 1;
    check(waitpid(child, &status, 0) == child ? status : 1, program);
    return now() - before;
}

static long long open_session(const char *service, const char *user)
{
    pam_handle_t *pam = start(service, user);
    long long before = now();
    int status = pam_open_session(pam, 0);
    long long elapsed = now() - before;
    check(status, "pam_open_session");
    check(pam_close_session(pam, 0), "pam_close_session");
    pam_end(pam, PAM_SUCCESS);
    return elapsed;
}

int main(int count, char **arguments)
{
    if (count < 5) return 2;
    const char *user = arguments[3];
    long many = strtol(arguments[2], NULL, 10);
    if (!strcmp(arguments[1], "hold")) {
        for (long n = 0; n < many; n++) check(pam_open_session(start(arguments[4], user), 0), "pam_open_session");
        puts("held");
        fflush(stdout);
        while (getchar() != EOF) continue;
        return 0;
    }
    int kinds = count - 4;
    long long times[8];
    if (kinds > 8) return 2;
    for (long round = 0; round < many; round++) {
        for (int step = 0; step < kinds; step++) {
            int which = (round + step) % kinds;
            const char *kind = arguments[4 + which];
            times[which] = kind[0] == '/' ? run(kind) : open_session(kind, user);
            /* An agent that ends is not to be in the way of the next measure. */
            usleep(20000);
        }
        for (int which = 0; which < kinds; which++) printf("%lld%c", times[which], which + 1 < kinds ? ' ' : '\n');
    }
    return 0;
}
