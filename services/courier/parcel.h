/* A notice with an address on it, ready to be sent: by whom it goes, and how it is judged. */
#ifndef PARCEL_H
#define PARCEL_H

#include "arena.h"
#include "notice.h"
#include "wire.h"

/* Whom it goes to, as claim.sql says; strings live as long as the parcel. */
struct parcel {
    struct str channel, account, address, talk;
    struct str region_name;
    int64_t page_id; /* VK: number of the page that answers */
    struct str id;   /* the same for every try: doubles can be told by it */
    struct notice notice;
    struct arena *arena; /* for what is written to be sent */
    struct wire_call call;
};

enum parcel_fate {
    PARCEL_SENT,
    PARCEL_LATER,   /* the other side, or the way to it, is in trouble */
    PARCEL_REFUSED, /* it says no; a few more tries, then it has failed */
    PARCEL_SLOWER   /* it says: too fast */
};

struct parcel_result {
    enum parcel_fate fate;
    int after_s;     /* PARCEL_SLOWER: when to come again */
    char error[160]; /* without addresses, texts and secrets */
};

/* Makes the call of P, not yet sent. 0, or -1 with *why set: it cannot be sent now. */
int mail_address(struct wire *w, struct parcel *p, struct parcel_result *why);
void mail_judge(const struct parcel *p, struct parcel_result *out);
int network_address(struct wire *w, struct parcel *p, struct parcel_result *why);
void network_judge(const struct parcel *p, struct parcel_result *out);
/* µs between two calls in the name of an account of a network; 0: as fast as you like. */
int64_t network_pause(struct str channel);

/* Settings out of the environment; 0, or -1 with the reason logged. */
int mail_configure(void);
int network_configure(void);

#endif
