/*
 * Stands in for the agent in the launcher's tests: PID 1 that answers one command per connection and tries, from
 * inside a sandbox, what hostile code would try. `as <uid> <command…>` drops to a user first.
 */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static void report(const char *name, long result) {
  printf("%s %s\n", name, result < 0 ? strerrorname_np(errno) : "ok");
}

static void try_socket(const char *name, int family, int type, int protocol) {
  int fd = socket(family, type, protocol);
  report(name, fd);
  if (fd >= 0) close(fd);
}

static void try_child_clone(const char *name, unsigned long flags) {
  long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) _exit(0);
  report(name, pid);
  if (pid > 0) waitpid((pid_t)pid, NULL, 0);
}

static void syscalls(void) {
  report("mount", mount("none", "/tmp", "tmpfs", 0, ""));
  report("umount", umount2("/proc", MNT_DETACH));
  report("remount", mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL));
  report("mknod", mknod("/tmp/disk", S_IFBLK | 0600, makedev(8, 0)));
  report("mkfifo", mknod("/tmp/fifo", S_IFIFO | 0600, 0));
  report("sethostname", sethostname("evil", 4));
  report("unshare-user", unshare(CLONE_NEWUSER));
  report("unshare-mount", unshare(CLONE_NEWNS));
  report("unshare-files", unshare(CLONE_FILES));
  try_child_clone("clone-user", CLONE_NEWUSER);
  try_child_clone("clone-plain", 0);
  report("clone3", syscall(SYS_clone3, NULL, 0));
  report("setns", setns(0, 0));
  report("keyctl", syscall(SYS_keyctl, 0, 0));
  report("add_key", syscall(SYS_add_key, 0, 0, 0, 0, 0));
  report("bpf", syscall(SYS_bpf, 0, 0, 0));
  report("userfaultfd", syscall(SYS_userfaultfd, 0));
  report("perf_event_open", syscall(SYS_perf_event_open, 0, 0, 0, 0, 0));
  report("io_uring_setup", syscall(SYS_io_uring_setup, 1, 0));
  report("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, 0, 0));
  report("kexec_load", syscall(SYS_kexec_load, 0, 0, 0, 0));
  report("init_module", syscall(SYS_init_module, 0, 0, 0));
  report("syslog", syscall(SYS_syslog, 3, 0, 0));
  report("settimeofday", syscall(SYS_settimeofday, 0, 0));
  report("not-a-call", syscall(9999));
  report("tiocsti", ioctl(0, TIOCSTI, "x"));
  report("tiocsti-high-bits", syscall(SYS_ioctl, 0, 0xffffffff00000000ul | TIOCSTI, "x"));
  int ready;
  int ends[2];
  if (pipe(ends) == 0) report("fionread", ioctl(ends[0], FIONREAD, &ready));
  report("personality-query", personality(0xffffffff));
  report("personality-no-aslr", personality(ADDR_NO_RANDOMIZE));
  report("ptrace-init", ptrace(PTRACE_SEIZE, 1, 0, 0));
  report("chroot", chroot("/"));
  try_socket("socket-unix", AF_UNIX, SOCK_STREAM, 0);
  try_socket("socket-inet", AF_INET, SOCK_STREAM, 0);
  try_socket("socket-inet6", AF_INET6, SOCK_STREAM, 0);
  try_socket("socket-netlink-route", AF_NETLINK, SOCK_RAW, 0);
  try_socket("socket-netlink-audit", AF_NETLINK, SOCK_RAW, 9);
  try_socket("socket-raw", AF_INET, SOCK_RAW, 1);
  try_socket("socket-cloexec", AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
  try_socket("socket-sctp", AF_INET, SOCK_STREAM, IPPROTO_SCTP);
  try_socket("socket-dccp", AF_INET6, SOCK_DCCP, 0);
  report("socketpair-unix", socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  report("socketpair-tipc", socketpair(AF_TIPC, SOCK_STREAM, 0, ends));
  try_socket("socket-packet", AF_PACKET, SOCK_RAW, 0);
  try_socket("socket-alg", AF_ALG, SOCK_SEQPACKET, 0);
  try_socket("socket-vsock", AF_VSOCK, SOCK_STREAM, 0);
}

static void print_file(const char *path) {
  char bytes[65536];
  int fd = open(path, O_RDONLY | O_NONBLOCK);
  ssize_t got = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
  if (got < 0)
    printf("%s\n", strerrorname_np(errno));
  else
    fwrite(bytes, 1, (size_t)got, stdout);
}

static void try_write(const char *path) {
  int fd = open(path, O_WRONLY);
  report("write", fd < 0 ? -1 : write(fd, "0", 1));
}

static void list(const char *path) {
  DIR *dir = opendir(path);
  if (!dir) {
    printf("%s\n", strerrorname_np(errno));
    return;
  }
  for (struct dirent *entry; (entry = readdir(dir));)
    if (entry->d_name[0] != '.') printf("%s\n", entry->d_name);
}

static void use_memory(size_t mebibytes) {
  pid_t child = fork();
  if (child == 0) {
    for (size_t i = 0; i < mebibytes; i++) memset(malloc(1 << 20), 1, 1 << 20);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) printf("signal %d\n", WTERMSIG(status));
}

static void fork_all(void) {
  int count = 0;
  while (count < 10000) {
    pid_t child = fork();
    if (child < 0) break;
    if (child == 0) {
      sleep(1);
      _exit(0);
    }
    count++;
  }
  printf("%d\n", count);
}

/* A chain of directories deeper than a path can name. */
static void nest(int depth) {
  if (mkdir("/deep", 0755) < 0 || chdir("/deep") < 0) return report("nest", -1);
  for (int i = 0; i < depth; i++)
    if (mkdir("directory", 0755) < 0 || chdir("directory") < 0) return report("nest", -1);
  close(open("file", O_CREAT | O_WRONLY, 0600));
  report("nest", 0);
}

static socklen_t parse_address(const char *text, int port, struct sockaddr_storage *out) {
  struct sockaddr_in *v4 = (void *)out;
  struct sockaddr_in6 *v6 = (void *)out;
  *out = (struct sockaddr_storage){0};
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    return sizeof *v4;
  }
  if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1) _exit(1);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons((uint16_t)port);
  return sizeof *v6;
}

static int socket_with_timeout(int family, int type, int protocol) {
  struct timeval limit = {.tv_sec = 5};
  int fd = socket(family, type, protocol);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return fd;
}

static int try_connect(const char *address, int port) {
  struct sockaddr_storage to;
  socklen_t size = parse_address(address, port, &to);
  int fd = socket_with_timeout(to.ss_family, SOCK_STREAM, 0);
  report("connect", connect(fd, (struct sockaddr *)&to, size));
  return fd;
}

/* Answers, then goes on alone and sends back what it gets. */
static void hold(const char *address, int port) {
  struct timeval forever = {0};
  int fd = dup2(try_connect(address, port), 100);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever);
  fflush(stdout);
  close_range(0, 99, 0);
  char bytes[256];
  for (ssize_t got; (got = read(fd, bytes, sizeof bytes)) > 0;) (void)!write(fd, bytes, (size_t)got);
  _exit(0);
}

static void ping(const char *address) {
  struct sockaddr_storage to;
  socklen_t size = parse_address(address, 0, &to);
  struct icmphdr request = {.type = ICMP_ECHO};
  char answer[64];
  int fd = socket_with_timeout(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
  report("ping-socket", fd);
  report("ping-send", sendto(fd, &request, sizeof request, 0, (struct sockaddr *)&to, size));
  report("ping-answer", recv(fd, answer, sizeof answer, 0));
}

static void try_bind(int port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  report("bind", bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&at, sizeof at));
}

static void interfaces(void) {
  struct ifaddrs *list;
  if (getifaddrs(&list) < 0) return;
  for (struct ifaddrs *at = list; at; at = at->ifa_next) {
    char text[INET6_ADDRSTRLEN];
    if (!at->ifa_addr || (at->ifa_addr->sa_family != AF_INET && at->ifa_addr->sa_family != AF_INET6)) continue;
    const void *address = at->ifa_addr->sa_family == AF_INET ? (void *)&((struct sockaddr_in *)at->ifa_addr)->sin_addr
                                                             : (void *)&((struct sockaddr_in6 *)at->ifa_addr)->sin6_addr;
    printf("%s %s %s\n", at->ifa_name, inet_ntop(at->ifa_addr->sa_family, address, text, sizeof text),
           at->ifa_flags & IFF_UP ? "up" : "down");
  }
}

/* What would change the sandbox's network from inside. */
static void change_network(void) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct ifreq request = {.ifr_name = "eth0"};
  request.ifr_flags = 0;
  report("link-down", ioctl(fd, SIOCSIFFLAGS, &request));
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001)};
  memcpy(&request.ifr_addr, &address, sizeof address);
  report("address", ioctl(fd, SIOCSIFADDR, &request));
  struct rtentry route = {.rt_flags = RTF_UP, .rt_dev = "eth0"};
  memcpy(&route.rt_dst, &address, sizeof address);
  route.rt_genmask = route.rt_gateway = route.rt_dst;
  report("route", ioctl(fd, SIOCADDRT, &route));
  report("raw", socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
  int on = 1;
  report("transparent", setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on));
  try_write("/proc/sys/net/ipv4/ip_forward");
}

static void network(const char *command, char *rest) {
  char *port = rest ? strchr(rest, ' ') : NULL;
  if (port) *port++ = 0;
  if (strcmp(command, "connect") == 0) try_connect(rest, atoi(port));
  if (strcmp(command, "hold") == 0) hold(rest, atoi(port));
  if (strcmp(command, "ping") == 0) ping(rest);
  if (strcmp(command, "bind") == 0) try_bind(atoi(rest));
  if (strcmp(command, "interfaces") == 0) interfaces();
  if (strcmp(command, "change-network") == 0) change_network();
}

/* Writes megabytes, as many as fit. */
static void fill(const char *path, int megabytes) {
  static char block[1 << 20];
  memset(block, 'x', sizeof block);
  int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
  long result = fd;
  for (int i = 0; i < megabytes && result >= 0; i++) {
    result = write(fd, block, sizeof block);
    if (result >= 0) result = fsync(fd);
  }
  report("fill", result);
}

static void put(const char *path, const char *text) {
  int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
  report("put", fd < 0 ? -1 : write(fd, text, strlen(text)));
}

/* Goes on computing after the answer. */
static void spin(void) {
  long pid = fork();
  if (pid == 0) {
    close_range(0, 1023, 0);
    for (volatile unsigned long i = 0;; i++) continue;
  }
  report("spin", pid);
}

/* A copy of this program, which says for whom it runs; with the set-user-id bit. */
static void copy_program(const char *path) {
  static char bytes[4 << 20];
  int from = open("/proc/self/exe", O_RDONLY);
  int to = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0755);
  ssize_t got = read(from, bytes, sizeof bytes);
  bool ok = got > 0 && write(to, bytes, (size_t)got) == got && close(to) == 0 && chmod(path, 04755) == 0;
  report("copy", ok ? 0 : -1);
}

static void execute(const char *path) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    execl(path, "probe", "euid", (char *)NULL);
    _exit(126);
  }
  waitpid(child, NULL, 0);
}

/* What of a btrfs belongs to those who have its directories, unless somebody refuses it. */
static void subvolumes(const char *path) {
  struct btrfs_ioctl_vol_args named = {.name = "subvolume"};
  struct btrfs_ioctl_vol_args_v2 copied = {.name = "copy"};
  uint64_t read_only = BTRFS_SUBVOL_RDONLY;
  int dir = open(path, O_RDONLY | O_DIRECTORY);
  report("open", dir);
  report("create", ioctl(dir, BTRFS_IOC_SUBVOL_CREATE, &named));
  copied.fd = dir;
  report("copy", ioctl(dir, BTRFS_IOC_SNAP_CREATE_V2, &copied));
  report("read-only", ioctl(dir, BTRFS_IOC_SUBVOL_SETFLAGS, &read_only));
  report("destroy", ioctl(dir, BTRFS_IOC_SNAP_DESTROY, &named));
  report("received", ioctl(dir, BTRFS_IOC_SET_RECEIVED_SUBVOL, &(struct btrfs_ioctl_received_subvol_args){0}));
  report("high-bits", syscall(SYS_ioctl, dir, 0xffffffff00000000ul | BTRFS_IOC_SUBVOL_CREATE, &named));
  char file[256];
  snprintf(file, sizeof file, "%s/file", path);
  int from = open(file, O_CREAT | O_RDWR, 0600);
  snprintf(file, sizeof file, "%s/clone", path);
  int to = open(file, O_CREAT | O_RDWR, 0600);
  report("clone", write(from, "x", 1) == 1 ? ioctl(to, FICLONE, from) : -1);
}

static void files(const char *command, char *path) {
  char *rest = path ? strchr(path, ' ') : NULL;
  if (rest) *rest++ = 0;
  if (strcmp(command, "fill") == 0) fill(path, atoi(rest));
  if (strcmp(command, "put") == 0) put(path, rest);
  if (strcmp(command, "mkdir") == 0) report("mkdir", mkdir(path, 0755));
  if (strcmp(command, "rmdir") == 0) report("rmdir", rmdir(path));
  if (strcmp(command, "unlink") == 0) report("unlink", unlink(path));
  if (strcmp(command, "rename") == 0) report("rename", rename(path, rest));
  if (strcmp(command, "link") == 0) report("link", link(path, rest));
  if (strcmp(command, "chown") == 0) report("chown", chown(path, (uid_t)atoi(rest), (gid_t)atoi(rest)));
  if (strcmp(command, "copy-program") == 0) copy_program(path);
  if (strcmp(command, "execute") == 0) execute(path);
  if (strcmp(command, "subvolumes") == 0) subvolumes(path);
  if (strcmp(command, "spin") == 0) spin();
}

static void run(char *command) {
  char *rest = strchr(command, ' ');
  if (rest) *rest++ = 0;
  if (strcmp(command, "as") == 0 && rest) {
    uid_t uid = (uid_t)strtoul(rest, &rest, 10);
    if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0) _exit(1);
    prctl(PR_SET_DUMPABLE, 1);
    return run(rest + 1);
  }
  if (strcmp(command, "syscalls") == 0) syscalls();
  if (strcmp(command, "cat") == 0) print_file(rest);
  if (strcmp(command, "write") == 0) try_write(rest);
  if (strcmp(command, "ls") == 0) list(rest);
  if (strcmp(command, "memory") == 0) use_memory(strtoul(rest, NULL, 10));
  if (strcmp(command, "forks") == 0) fork_all();
  if (strcmp(command, "nest") == 0) nest(atoi(rest));
  if (strcmp(command, "symlink") == 0) {
    char *name = strchr(rest, ' ');
    *name++ = 0;
    report("symlink", symlink(rest, name));
  }
  if (strcmp(command, "owner") == 0) {
    struct stat info = {0};
    report("owner", stat(rest, &info));
    printf("%u\n", info.st_uid);
  }
  char copy[4096] = "";
  if (rest) strcpy(copy, rest);
  files(command, rest ? copy : NULL);
  network(command, rest);
}

static void serve(int fd) {
  char command[4096];
  ssize_t got = read(fd, command, sizeof command - 1);
  if (got <= 0) _exit(0);
  command[got] = 0;
  dup2(fd, STDOUT_FILENO);
  signal(SIGCHLD, SIG_DFL);
  run(command);
  fflush(stdout);
  _exit(0);
}

int main(int count, char **values) {
  if (count == 2 && strcmp(values[1], "euid") == 0) return printf("%u\n", geteuid()) < 0;
  if (count != 3 || strcmp(values[1], "--listen-fd") != 0) return 64;
  prctl(PR_SET_DUMPABLE, 0);
  signal(SIGCHLD, SIG_IGN);
  for (;;) {
    int fd = accept4(atoi(values[2]), NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) continue;
    char first = 0;
    /* The exit is the init's own, everything else a child's. */
    if (recv(fd, &first, 1, MSG_PEEK) == 1 && first == 'q') return read(fd, (char[16]){0}, 16) > 0 ? 7 : 1;
    if (fork() == 0) serve(fd);
    close(fd);
  }
}
