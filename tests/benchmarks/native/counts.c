/* Who came, address by address, and how many at once. */
#include "far.h"
#include <stdio.h>
#include <sys/resource.h>

enum { PLACES = 1 << 16 };

static struct place places[PLACES];
static uint32_t connections, live, peak;
static unsigned epoch; /* one more at each reset: what began before it does not count */

static struct place *place_of(uint32_t address) {
    for (uint32_t i = address * 2654435761u >> 16;; i = (i + 1) % PLACES)
        if (places[i].address == address || !places[i].address) {
            places[i].address = address;
            return &places[i];
        }
}

struct place *count_came(uint32_t address, micros t, unsigned *since) {
    struct place *place = place_of(address);
    *since = epoch;
    connections++;
    if (!place->connections++) place->first = t;
    if (++place->live > place->peak) place->peak = place->live;
    if (++live > peak) peak = live;
    return place;
}

void count_left(struct place *place) {
    place->live--;
    live--;
}

void count_answer(struct place *place, unsigned since, micros t) {
    if (since == epoch) place->last = t;
}

void count_reset(void) {
    epoch++;
    connections = 0;
    peak = live;
    for (int i = 0; i < PLACES; i++) {
        places[i].connections = 0;
        places[i].peak = places[i].live;
        places[i].first = places[i].last = 0;
    }
}

void count_tell(void) {
    struct rusage used;
    const char *comma = "";
    getrusage(RUSAGE_SELF, &used);
    printf("{\"connections\": %u, \"peak\": %u, \"cpu\": %ld.%06ld, \"places\": [", connections, peak,
           used.ru_utime.tv_sec + used.ru_stime.tv_sec +
               (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000000,
           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) % 1000000);
    for (int i = 0; i < PLACES; i++)
        if (places[i].connections) {
            micros span = places[i].last > places[i].first ? places[i].last - places[i].first : 0;
            printf("%s[%u, %u, %llu]", comma, places[i].connections, places[i].peak,
                   (unsigned long long)span);
            comma = ", ";
        }
    printf("]}\n");
}
