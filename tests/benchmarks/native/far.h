/* What far.c shares with the rest. */
#ifndef FAR_H
#define FAR_H
#include <stddef.h>
#include <stdint.h>

/* canned.c */

enum { ANSWER_MOST = 16384, HELLO_MOST = 16384 };

/* What the canned server made of the bytes it has so far. */
struct answer {
    size_t length;    /* bytes to send; 0: it needs more */
    int closes;       /* and then says that it has no more to say */
    unsigned char bytes[ANSWER_MOST];
};

/* Reads the chain that Certificate carries, as the body of that message. */
void canned_setup(const char *certificate_file);

/* `turn` is by how many places the order of the suites is turned: 0 for servers all alike. */
void canned_reply(const unsigned char *hello, size_t length, unsigned turn, struct answer *out);

/* counts.c */

typedef uint64_t micros;

struct place { /* what an address has seen; in the byte order of the network */
    uint32_t address, connections, live, peak;
    micros first, last;
};

struct place *count_came(uint32_t address, micros t, unsigned *since);
void count_left(struct place *place);
void count_answer(struct place *place, unsigned since, micros t);
void count_reset(void);
void count_tell(void); /* a line of JSON */

/* far.c */

enum { DATA, FIN, RST };

struct chunk { /* what the server said, and when the client may hear it */
    struct chunk *next;
    micros due;
    int kind;
    size_t length, sent;
    unsigned char bytes[];
};

struct side {
    struct conn *conn;
    int fd;
    uint32_t wants;
};

struct conn {
    struct side client, server;
    struct place *place;
    unsigned epoch;
    micros accepted, cause, last;
    int answered, client_done, server_done, told_end, dead;
    struct chunk *head, *tail;
    size_t at; /* in the heap, from 1 */
    unsigned char *held; /* the client's bytes that the server has not taken */
    size_t held_length;
    struct conn *next;
};

void die(const char *what);

/* wait.c */

void await(struct conn *c);   /* or its first chunk is another */
void unwait(struct conn *c);
struct conn *soonest(void);   /* NULL if nobody waits */

#endif
