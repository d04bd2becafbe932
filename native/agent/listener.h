/* The socket on which the host comes, and how it is given up and got again when all that runs here is put on disk. */
#ifndef CAISSON_LISTENER_H
#define CAISSON_LISTENER_H

#include <stdbool.h>

/* Takes `fd` over. `ready` is called when somebody has come. With `same_user` its peers are the agent's own user, else
   processes that are in no namespace of ours. */
void listener_open(int fd, bool same_user, void (*ready)(void));
/* The next peer that may come in; -1 with errno when there is none. */
int listener_accept(void);
/*
 * The host says that it has done, or is about to do, something with the socket. One that listens is replaced by a fresh one,
 * which belongs to our own network namespace and has no name: only then can it be put on disk. The host takes that from
 * us, gives it its name, and says so: it is served again. Returns whether the socket was given up.
 */
bool listener_told(void);

#endif
