/* A server that never finishes a handshake: TLS 1.2 and 1.3 in its own order, from canned bytes.
 *
 * Six ECDHE suites in TLS 1.2, three in TLS 1.3, three groups; alert 70 for what is older and for
 * SSLv2, alert 40 when nothing is shared. The signature and the key shares are not true. */
#include "far.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef const unsigned char *bytes;

static const uint16_t SUITES12[] = {0xC02F, 0xC030, 0xC027, 0xC013, 0xC028, 0xC014};
static const uint16_t SUITES13[] = {0x1302, 0x1303, 0x1301};
static const uint16_t GROUPS[] = {29, 23, 24};
static const uint16_t SIGNATURES[] = {0x0804, 0x0401, 0x0805, 0x0501, 0x0806, 0x0601, 0x0201};
enum { N12 = 6, N13 = 3, NGROUPS = 3, NSIGNATURES = 7 };
enum { HANDSHAKE_FAILURE = 40, DECODE_ERROR = 50, PROTOCOL_VERSION = 70, FALLBACK = 86 };

static const unsigned char RETRY[32] = { /* RFC 8446, section 4.1.3 */
    0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
    0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C};
/* The base points, which every client takes for a public key. */
static const unsigned char P256[65] = {
    4,    0x6B, 0x17, 0xD1, 0xF2, 0xE1, 0x2C, 0x42, 0x47, 0xF8, 0xBC, 0xE6, 0xE5, 0x63, 0xA4, 0x40,
    0xF2, 0x77, 0x03, 0x7D, 0x81, 0x2D, 0xEB, 0x33, 0xA0, 0xF4, 0xA1, 0x39, 0x45, 0xD8, 0x98, 0xC2,
    0x96, 0x4F, 0xE3, 0x42, 0xE2, 0xFE, 0x1A, 0x7F, 0x9B, 0x8E, 0xE7, 0xEB, 0x4A, 0x7C, 0x0F, 0x9E,
    0x16, 0x2B, 0xCE, 0x33, 0x57, 0x6B, 0x31, 0x5E, 0xCE, 0xCB, 0xB6, 0x40, 0x68, 0x37, 0xBF, 0x51,
    0xF5};
static const unsigned char P384[97] = {
    4,    0xAA, 0x87, 0xCA, 0x22, 0xBE, 0x8B, 0x05, 0x37, 0x8E, 0xB1, 0xC7, 0x1E, 0xF3, 0x20, 0xAD,
    0x74, 0x6E, 0x1D, 0x3B, 0x62, 0x8B, 0xA7, 0x9B, 0x98, 0x59, 0xF7, 0x41, 0xE0, 0x82, 0x54, 0x2A,
    0x38, 0x55, 0x02, 0xF2, 0x5D, 0xBF, 0x55, 0x29, 0x6C, 0x3A, 0x54, 0x5E, 0x38, 0x72, 0x76, 0x0A,
    0xB7, 0x36, 0x17, 0xDE, 0x4A, 0x96, 0x26, 0x2C, 0x6F, 0x5D, 0x9E, 0x98, 0xBF, 0x92, 0x92, 0xDC,
    0x29, 0xF8, 0xF4, 0x1D, 0xBD, 0x28, 0x9A, 0x14, 0x7C, 0xE9, 0xDA, 0x31, 0x13, 0xB5, 0xF0, 0xB8,
    0xC0, 0x0A, 0x60, 0xB1, 0xCE, 0x1D, 0x7E, 0x81, 0x9D, 0x7A, 0x43, 0x1D, 0x7C, 0x90, 0xEA, 0x0E,
    0x5F};

static unsigned char chain[8192];
static size_t chain_length;

void canned_setup(const char *file) {
    FILE *in = fopen(file, "rb");
    if (!in || !(chain_length = fread(chain, 1, sizeof chain, in)) || !feof(in)) {
        perror(file);
        exit(1);
    }
    fclose(in);
}

static unsigned get16(bytes at) { return (unsigned)at[0] << 8 | at[1]; }

static void put(struct answer *out, const void *from, size_t length) {
    memcpy(out->bytes + out->length, from, length);
    out->length += length;
}

static void put_uint(struct answer *out, int width, size_t value) {
    while (width--) out->bytes[out->length++] = (unsigned char)(value >> 8 * width);
}

/* Opens a field of `width` bytes of length, and closes it over what was put in between. */
static size_t open_field(struct answer *out, int width) {
    put_uint(out, width, 0);
    return out->length;
}

static void close_field(struct answer *out, int width, size_t start) {
    size_t length = out->length - start;
    for (int i = 0; i < width; i++)
        out->bytes[start - 1 - (size_t)i] = (unsigned char)(length >> 8 * i);
}

static void alert(struct answer *out, int code) {
    const unsigned char record[] = {21, 3, 3, 0, 2, 2, (unsigned char)code};
    put(out, record, sizeof record);
    out->closes = 1;
}

/* A list of the hello: where it is and how many bytes it has. */
struct list {
    bytes at;
    size_t length;
};

struct hello {
    unsigned version;
    bytes session;
    struct list suites, versions, groups, shares, signatures;
    int renegotiation, master_secret, points;
};

static int has(struct list list, unsigned value) {
    for (size_t i = 0; i + 1 < list.length; i += 2)
        if (get16(list.at + i) == value) return 1;
    return 0;
}

/* The first of ours that is in theirs, beginning with the one at `turn`; 0 for none. */
static unsigned pick(const uint16_t *ours, unsigned count, unsigned turn, struct list theirs) {
    for (unsigned i = 0; i < count; i++)
        if (has(theirs, ours[(i + turn) % count])) return ours[(i + turn) % count];
    return 0;
}

static struct list listed(bytes at, size_t length, size_t width) {
    size_t said = length < width ? 0 : width == 1 ? at[0] : get16(at);
    struct list none = {0, 0}, list = {at + width, said};
    return length < width || said > length - width ? none : list;
}

static int parse(bytes at, size_t length, struct hello *out) {
    bytes end = at + length;
    memset(out, 0, sizeof *out);
    if (length < 4 + 2 + 32 + 1 || at[0] != 1) return 0;
    out->version = get16(at + 4);
    at += 4 + 2 + 32;
    out->session = at;
    at += 1 + at[0];
    if (end - at < 2) return 0;
    out->suites = listed(at, (size_t)(end - at), 2);
    at += 2 + get16(at);
    if (end - at < 1 || !out->suites.length) return 0;
    at += 1 + at[0];
    if (end - at < 2) return at == end; /* no extensions */
    at += 2;
    while (end - at >= 4) {
        unsigned kind = get16(at), size = get16(at + 2);
        at += 4;
        if (size > (size_t)(end - at)) return 0;
        switch (kind) {
        case 10: out->groups = listed(at, size, 2); break;
        case 11: out->points = 1; break;
        case 13: out->signatures = listed(at, size, 2); break;
        case 23: out->master_secret = 1; break;
        case 43: out->versions = listed(at, size, 1); break;
        case 51: out->shares = listed(at, size, 2); break;
        case 0xFF01: out->renegotiation = 1; break;
        }
        at += size;
    }
    return 1;
}

static void put_share(struct answer *out, unsigned group, int width) {
    unsigned char base[32] = {9};
    bytes point = group == 29 ? base : group == 23 ? P256 : P384;
    size_t size = group == 29 ? sizeof base : group == 23 ? sizeof P256 : sizeof P384;
    put_uint(out, width, size);
    put(out, point, size);
}

/* Leaves the record and the message open; the extensions are the caller's. */
static size_t server_hello(struct answer *out, const struct hello *hello,
                           const unsigned char *random, unsigned suite, size_t *message) {
    /* TLS 1.3 echoes the session; ours of TLS 1.2 has none. */
    size_t session = has(hello->versions, 0x0304) && hello->session[0] <= 32 ? hello->session[0] : 0;
    put_uint(out, 1, 22);
    put_uint(out, 2, 0x0303);
    size_t record = open_field(out, 2);
    put_uint(out, 1, 2);
    *message = open_field(out, 3);
    put_uint(out, 2, 0x0303);
    put(out, random, 32);
    put_uint(out, 1, session);
    put(out, hello->session + 1, session);
    put_uint(out, 2, suite);
    put_uint(out, 1, 0);
    return record;
}

static void reply13(struct answer *out, const struct hello *hello, unsigned turn) {
    unsigned suite = pick(SUITES13, N13, turn, hello->suites);
    unsigned group = pick(GROUPS, NGROUPS, 0, hello->groups);
    unsigned char random[32];
    int shared = 0;
    size_t message;
    if (!suite || !group) {
        alert(out, HANDSHAKE_FAILURE);
        return;
    }
    for (size_t i = 0; i + 4 <= hello->shares.length; i += 4 + get16(hello->shares.at + i + 2))
        shared |= get16(hello->shares.at + i) == group;
    memset(random, 0x5A, sizeof random);
    size_t record = server_hello(out, hello, shared ? random : RETRY, suite, &message);
    size_t extensions = open_field(out, 2);
    put_uint(out, 2, 43);
    put_uint(out, 2, 2);
    put_uint(out, 2, 0x0304);
    put_uint(out, 2, 51);
    size_t share = open_field(out, 2);
    put_uint(out, 2, group);
    if (shared) put_share(out, group, 2);
    close_field(out, 2, share);
    close_field(out, 2, extensions);
    close_field(out, 3, message);
    close_field(out, 2, record);
}

static void reply12(struct answer *out, const struct hello *hello, unsigned turn) {
    unsigned suite = pick(SUITES12, N12, turn, hello->suites);
    /* RFC 4492, section 4: without the extension the server may choose. */
    unsigned group = hello->groups.length ? pick(GROUPS, NGROUPS, 0, hello->groups) : 23;
    unsigned signature =
        hello->signatures.length ? pick(SIGNATURES, NSIGNATURES, 0, hello->signatures) : 0x0201;
    unsigned char random[32];
    size_t message;
    if (has(hello->suites, 0x5600)) { /* RFC 7507: it could have had TLS 1.3 */
        alert(out, FALLBACK);
        return;
    }
    if (!suite || !group || !signature) {
        alert(out, HANDSHAKE_FAILURE);
        return;
    }
    memset(random, 0x5A, sizeof random);
    memcpy(random + 24, "DOWNGRD\x01", 8);
    size_t record = server_hello(out, hello, random, suite, &message);
    size_t extensions = open_field(out, 2);
    if (hello->renegotiation || has(hello->suites, 0x00FF)) put(out, "\xFF\x01\0\1\0", 5);
    if (hello->points) put(out, "\0\x0B\0\2\1\0", 6);
    if (hello->master_secret) put(out, "\0\x17\0\0", 4);
    if (out->length == extensions) out->length -= 2;
    else close_field(out, 2, extensions);
    close_field(out, 3, message);
    put(out, "\x0B", 1);
    message = open_field(out, 3);
    put(out, chain, chain_length);
    close_field(out, 3, message);
    put(out, "\x0C", 1);
    message = open_field(out, 3);
    put_uint(out, 1, 3); /* named_curve */
    put_uint(out, 2, group);
    put_share(out, group, 1);
    put_uint(out, 2, signature);
    put_uint(out, 2, 256);
    memset(out->bytes + out->length, 0xA5, 256);
    out->length += 256;
    close_field(out, 3, message);
    put(out, "\x0E\0\0\0", 4);
    close_field(out, 2, record);
}

void canned_reply(const unsigned char *at, size_t length, unsigned turn, struct answer *out) {
    static unsigned char message[HELLO_MOST]; /* the hello, out of its records */
    size_t have = 0;
    struct hello hello;
    out->length = 0;
    out->closes = 0;
    if (length < 5) return;
    if (at[0] != 22) { /* SSLv2, or no TLS at all */
        alert(out, PROTOCOL_VERSION);
        return;
    }
    while (length >= 5 && at[0] == 22 && length - 5 >= get16(at + 3)) {
        size_t size = get16(at + 3);
        if (have + size > sizeof message) break;
        memcpy(message + have, at + 5, size);
        have += size;
        at += 5 + size;
        length -= 5 + size;
    }
    if (have < 4 || have < 4 + ((size_t)message[1] << 16 | get16(message + 2))) return;
    if (!parse(message, have, &hello)) alert(out, DECODE_ERROR);
    else if (has(hello.versions, 0x0304)) reply13(out, &hello, turn);
    else if (hello.versions.length ? has(hello.versions, 0x0303) : hello.version >= 0x0303)
        reply12(out, &hello, turn);
    else alert(out, PROTOCOL_VERSION);
}
