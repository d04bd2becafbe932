/*
 * The bare peer of a terminal: `terminal <socket>` passes bytes between one client of a unix socket and a terminal that
 * echoes, and does nothing else. It ends with its client.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void pass(int from, int to) {
  char bytes[4096];
  ssize_t got = read(from, bytes, sizeof bytes);
  if (got <= 0 || write(to, bytes, (size_t)got) != got) exit(0);
}

int main(int argc, char **argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  if (argc != 2 || terminal < 0 || grantpt(terminal) || unlockpt(terminal)) return 1;
  /* The echo is the terminal's own, as long as somebody has its other end open. */
  if (open(ptsname(terminal), O_RDWR | O_NOCTTY) < 0) return 1;
  strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1)) return 1;
  if (write(STDOUT_FILENO, "ready\n", 6) != 6) return 1;
  int client = accept(listener, NULL, NULL);
  struct pollfd both[2] = {{.fd = client, .events = POLLIN}, {.fd = terminal, .events = POLLIN}};
  while (poll(both, 2, -1) > 0) {
    if (both[0].revents) pass(client, terminal);
    if (both[1].revents) pass(terminal, client);
  }
  return 0;
}
