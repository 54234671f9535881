/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_TUNNEL_CODEC_H
#define OTD_TUNNEL_CODEC_H 1

/* How requests become bytes and back.
 *
 * The tunnel table keeps, and the store writes, the canonical bytes of each
 * tunnel's merged request.  What those bytes are (the API's own protobuf
 * encoding) is known to one file, grpcsvc/codec.c, which gives this table of
 * two functions to the daemon, and the daemon to the engine: the layers below
 * the gRPC server never see a protobuf type.
 *
 * A codec is owned by one thread (it keeps a scratch arena). */

#include <stdbool.h>
#include <stddef.h>
#include "tunnel/spec.h"

struct ofpbuf;

struct otd_codec {
    /* Decodes 'n' bytes into '*spec' (always initialised on return).  Returns
     * false, with a fault that says so, if the bytes are no message at all;
     * returns true otherwise, with a fault for each field whose value cannot
     * be represented in the model (lengths, UTF-8, ...). */
    bool (*decode)(void *aux, const void *bytes, size_t n,
                   struct otd_spec *spec, struct otd_faults *faults);

    /* Appends the canonical bytes of '*spec' to 'out': operation _CREATE, ids
     * filled in, empty keys.  decode(encode(x)) equals x for every spec that
     * otd_spec_check() accepts. */
    void (*encode)(void *aux, const struct otd_spec *spec, struct ofpbuf *out);

    void *aux;
};

#endif /* tunnel/codec.h */
