#define _GNU_SOURCE 1
#include "net_nft.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NFT_TIMEOUT_MSEC = 30000 };

static const char *find_nft(void) {
  static const char *const candidates[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft", "/usr/bin/nft"};
  for (size_t i = 0; i < countof(candidates); i++)
    if (access(candidates[i], X_OK) == 0) return candidates[i];
  return NULL;
}

static void exec_nft(const char *path, int channel) {
  dup2(channel, STDIN_FILENO);
  dup2(channel, STDERR_FILENO);
  int null = open("/dev/null", O_WRONLY);
  dup2(null, STDOUT_FILENO);
  close_range(3, ~0u, 0);
  execle(path, "nft", "-f", "-", (char *)NULL, (char *[]){NULL});
  _exit(127);
}

static bool send_all(int channel, const char *at, size_t size) {
  while (size > 0) {
    /* One that has ended is found out by its status, not by a signal to us. */
    ssize_t sent = send(channel, at, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    at += sent;
    size -= (size_t)sent;
  }
  return true;
}

/* Hands over the commands, then reads what nft complains of, of which the first line is kept. False when it hangs. */
static bool talk(int channel, const struct text *commands, char *complaint, size_t size) {
  char rest[1024];
  size_t length = 0;
  struct pollfd readable = {.fd = channel, .events = POLLIN};
  (void)send_all(channel, commands->data, commands->length);
  (void)shutdown(channel, SHUT_WR);
  while (poll(&readable, 1, NFT_TIMEOUT_MSEC) > 0) {
    bool room = length < size - 1;
    ssize_t got = read(channel, room ? complaint + length : rest, room ? size - 1 - length : sizeof rest);
    if (got > 0 && room) length += (size_t)got;
    complaint[length] = 0;
    if (got > 0) continue;
    complaint[strcspn(complaint, "\n")] = 0;
    return true;
  }
  return false;
}

bool nft_run(const struct text *commands, const char *step, struct failure *failure) {
  const char *path = find_nft();
  if (!path) return fail(failure, ENOENT, step, "nft is not installed; install the package nftables");
  if (commands->failed) return fail(failure, ENOMEM, step, "the launcher has no memory left");
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
    return fail(failure, errno, step, "%s", strerror(errno));
  pid_t child = fork();
  if (child == 0) exec_nft(path, ends[1]);
  close_fd(&ends[1]);
  char complaint[512] = "";
  if (child > 0 && !talk(ends[0], commands, complaint, sizeof complaint)) kill(child, SIGKILL);
  close_fd(&ends[0]);
  if (child < 0) return fail(failure, errno, step, "fork: %s", strerror(errno));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  return fail(failure, EIO, step, "nft: %s", complaint[0] ? complaint : "it ended without a word");
}
