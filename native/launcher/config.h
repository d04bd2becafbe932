/* The runtime's configuration, composed here so that a client can only ask for a sandbox, never for a mount. */
#ifndef CAISSON_LAUNCHER_CONFIG_H
#define CAISSON_LAUNCHER_CONFIG_H

#include "host.h"
#include "plan.h"

/* `config.failed` tells that memory ran out. */
void config_compose(const struct host *host, const struct plan *plan, struct text *config);

#endif
