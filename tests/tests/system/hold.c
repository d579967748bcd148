/* Holds the lock of its own memory: one thread waits in a page fault on the file that is the last argument, the other to
 * map something. Who reads its arguments by /proc waits behind them. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

static void *map(void *nothing) {
    for (;;) munmap(mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
    return nothing;
}

int main(int argc, char **argv) {
    volatile char *page = mmap(0, 4096, PROT_READ, MAP_SHARED, open(argv[argc - 1], O_RDONLY), 0);
    pthread_t thread;
    if (page == MAP_FAILED || madvise((void *)page, 4096, MADV_RANDOM)) return 1;
    if (pthread_create(&thread, 0, map, 0)) return 1;
    return *page;
}
