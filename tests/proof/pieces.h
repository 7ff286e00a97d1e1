/* What cut.c and http.c ask of the HTTP decoder: two bytes in one piece or in two. By induction
 * over the pieces' lengths, all of them may be cut anywhere. */
#ifndef UNSB_PROOF_PIECES_H
#define UNSB_PROOF_PIECES_H

/* Feeds any two bytes to two decoders in the same state, in one piece and in two. */
static void feed_both(unsb_http *h, unsb_http *g)
{
    char data[2];
    size_t used, body, used1 = 0, body1 = 0, used2 = 0, body2 = 0;
    int rc, rc1, rc2;

    rc = unsb_http_feed(h, data, 2, &used, &body);
    if (rc == UNSB_PENDING && used < 2) { /* as its caller does: go on with what is left */
        prove(used == 1 && body == 1, "it stops early only after a body");
        rc = unsb_http_feed(h, data + 1, 1, &used, &body);
        used += 1;
        body += 1;
    }
    rc1 = rc2 = unsb_http_feed(g, data, 1, &used1, &body1);
    if (rc1 == UNSB_PENDING)
        rc2 = unsb_http_feed(g, data + 1, 1, &used2, &body2);
    prove(rc == rc2, "the same result");
    prove(used == used1 + used2 && body == body1 + body2, "as much is used");
}

#endif
