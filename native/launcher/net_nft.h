/* Firewall tables as text. A table's frame is loaded so, once; what changes often goes by netlink instead. */
#ifndef CAISSON_LAUNCHER_NET_NFT_H
#define CAISSON_LAUNCHER_NET_NFT_H

#include "util.h"

/* Has nft carry out `commands` as one transaction, in the caller's network namespace. */
bool nft_run(const struct text *commands, const char *step, struct failure *failure);

#endif
