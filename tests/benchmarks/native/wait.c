/* Those who wait to hear something, in a heap by when their first chunk is due. */
#include "far.h"
#include <stdlib.h>

static struct conn **heap; /* from 1 */
static size_t waiting, heap_size;

static void set(size_t i, struct conn *c) {
    heap[i] = c;
    c->at = i;
}

static void sift(size_t i, struct conn *c) {
    while (i > 1 && heap[i / 2]->head->due > c->head->due) {
        set(i, heap[i / 2]);
        i /= 2;
    }
    for (size_t k; (k = 2 * i) <= waiting; i = k) {
        if (k < waiting && heap[k + 1]->head->due < heap[k]->head->due) k++;
        if (heap[k]->head->due >= c->head->due) break;
        set(i, heap[k]);
    }
    set(i, c);
}

void await(struct conn *c) {
    if (!c->at) {
        if (++waiting >= heap_size) {
            heap_size = heap_size ? 2 * heap_size : 4096;
            if (!(heap = realloc(heap, heap_size * sizeof *heap))) die("memory");
        }
        c->at = waiting;
    }
    sift(c->at, c);
}

void unwait(struct conn *c) {
    size_t i = c->at;
    struct conn *last;
    if (!i) return;
    c->at = 0;
    last = heap[waiting--];
    if (last != c) sift(i, last);
}

struct conn *soonest(void) { return waiting ? heap[1] : NULL; }
