/* Generated from packages/server/src/runtime/oci/seccomp.json by "npm run gen". Do not edit. */
#define DEFAULT_ERRNO ENOSYS

static const struct rule RULES[] = {
#ifdef __NR_access
    {.name = "access", .number = __NR_access, .error = 0},
#endif
#ifdef __NR_chdir
    {.name = "chdir", .number = __NR_chdir, .error = 0},
#endif
#ifdef __NR_chmod
    {.name = "chmod", .number = __NR_chmod, .error = 0},
#endif
#ifdef __NR_chown
    {.name = "chown", .number = __NR_chown, .error = 0},
#endif
#ifdef __NR_chown32
    {.name = "chown32", .number = __NR_chown32, .error = 0},
#endif
#ifdef __NR_close
    {.name = "close", .number = __NR_close, .error = 0},
#endif
#ifdef __NR_close_range
    {.name = "close_range", .number = __NR_close_range, .error = 0},
#endif
#ifdef __NR_copy_file_range
    {.name = "copy_file_range", .number = __NR_copy_file_range, .error = 0},
#endif
#ifdef __NR_creat
    {.name = "creat", .number = __NR_creat, .error = 0},
#endif
#ifdef __NR_dup
    {.name = "dup", .number = __NR_dup, .error = 0},
#endif
#ifdef __NR_dup2
    {.name = "dup2", .number = __NR_dup2, .error = 0},
#endif
#ifdef __NR_dup3
    {.name = "dup3", .number = __NR_dup3, .error = 0},
#endif
#ifdef __NR_faccessat
    {.name = "faccessat", .number = __NR_faccessat, .error = 0},
#endif
#ifdef __NR_faccessat2
    {.name = "faccessat2", .number = __NR_faccessat2, .error = 0},
#endif
#ifdef __NR_fadvise64
    {.name = "fadvise64", .number = __NR_fadvise64, .error = 0},
#endif
#ifdef __NR_fallocate
    {.name = "fallocate", .number = __NR_fallocate, .error = 0},
#endif
#ifdef __NR_fchdir
    {.name = "fchdir", .number = __NR_fchdir, .error = 0},
#endif
#ifdef __NR_fchmod
    {.name = "fchmod", .number = __NR_fchmod, .error = 0},
#endif
#ifdef __NR_fchmodat
    {.name = "fchmodat", .number = __NR_fchmodat, .error = 0},
#endif
#ifdef __NR_fchown
    {.name = "fchown", .number = __NR_fchown, .error = 0},
#endif
#ifdef __NR_fchownat
    {.name = "fchownat", .number = __NR_fchownat, .error = 0},
#endif
#ifdef __NR_fcntl
    {.name = "fcntl", .number = __NR_fcntl, .error = 0},
#endif
#ifdef __NR_fdatasync
    {.name = "fdatasync", .number = __NR_fdatasync, .error = 0},
#endif
#ifdef __NR_fgetxattr
    {.name = "fgetxattr", .number = __NR_fgetxattr, .error = 0},
#endif
#ifdef __NR_flistxattr
    {.name = "flistxattr", .number = __NR_flistxattr, .error = 0},
#endif
#ifdef __NR_flock
    {.name = "flock", .number = __NR_flock, .error = 0},
#endif
#ifdef __NR_fremovexattr
    {.name = "fremovexattr", .number = __NR_fremovexattr, .error = 0},
#endif
#ifdef __NR_fsetxattr
    {.name = "fsetxattr", .number = __NR_fsetxattr, .error = 0},
#endif
#ifdef __NR_fstat
    {.name = "fstat", .number = __NR_fstat, .error = 0},
#endif
#ifdef __NR_fstatfs
    {.name = "fstatfs", .number = __NR_fstatfs, .error = 0},
#endif
#ifdef __NR_fsync
    {.name = "fsync", .number = __NR_fsync, .error = 0},
#endif
#ifdef __NR_ftruncate
    {.name = "ftruncate", .number = __NR_ftruncate, .error = 0},
#endif
#ifdef __NR_futimesat
    {.name = "futimesat", .number = __NR_futimesat, .error = 0},
#endif
#ifdef __NR_getcwd
    {.name = "getcwd", .number = __NR_getcwd, .error = 0},
#endif
#ifdef __NR_getdents
    {.name = "getdents", .number = __NR_getdents, .error = 0},
#endif
#ifdef __NR_getdents64
    {.name = "getdents64", .number = __NR_getdents64, .error = 0},
#endif
#ifdef __NR_getxattr
    {.name = "getxattr", .number = __NR_getxattr, .error = 0},
#endif
#ifdef __NR_lchown
    {.name = "lchown", .number = __NR_lchown, .error = 0},
#endif
#ifdef __NR_lgetxattr
    {.name = "lgetxattr", .number = __NR_lgetxattr, .error = 0},
#endif
#ifdef __NR_link
    {.name = "link", .number = __NR_link, .error = 0},
#endif
#ifdef __NR_linkat
    {.name = "linkat", .number = __NR_linkat, .error = 0},
#endif
#ifdef __NR_listxattr
    {.name = "listxattr", .number = __NR_listxattr, .error = 0},
#endif
#ifdef __NR_llistxattr
    {.name = "llistxattr", .number = __NR_llistxattr, .error = 0},
#endif
#ifdef __NR_lremovexattr
    {.name = "lremovexattr", .number = __NR_lremovexattr, .error = 0},
#endif
#ifdef __NR_lseek
    {.name = "lseek", .number = __NR_lseek, .error = 0},
#endif
#ifdef __NR_lsetxattr
    {.name = "lsetxattr", .number = __NR_lsetxattr, .error = 0},
#endif
#ifdef __NR_lstat
    {.name = "lstat", .number = __NR_lstat, .error = 0},
#endif
#ifdef __NR_mkdir
    {.name = "mkdir", .number = __NR_mkdir, .error = 0},
#endif
#ifdef __NR_mkdirat
    {.name = "mkdirat", .number = __NR_mkdirat, .error = 0},
#endif
#ifdef __NR_mknod
    {.name = "mknod", .number = __NR_mknod, .error = 0},
#endif
#ifdef __NR_mknodat
    {.name = "mknodat", .number = __NR_mknodat, .error = 0},
#endif
#ifdef __NR_newfstatat
    {.name = "newfstatat", .number = __NR_newfstatat, .error = 0},
#endif
#ifdef __NR_open
    {.name = "open", .number = __NR_open, .error = 0},
#endif
#ifdef __NR_openat
    {.name = "openat", .number = __NR_openat, .error = 0},
#endif
#ifdef __NR_openat2
    {.name = "openat2", .number = __NR_openat2, .error = 0},
#endif
#ifdef __NR_pread64
    {.name = "pread64", .number = __NR_pread64, .error = 0},
#endif
#ifdef __NR_preadv
    {.name = "preadv", .number = __NR_preadv, .error = 0},
#endif
#ifdef __NR_preadv2
    {.name = "preadv2", .number = __NR_preadv2, .error = 0},
#endif
#ifdef __NR_pwrite64
    {.name = "pwrite64", .number = __NR_pwrite64, .error = 0},
#endif
#ifdef __NR_pwritev
    {.name = "pwritev", .number = __NR_pwritev, .error = 0},
#endif
#ifdef __NR_pwritev2
    {.name = "pwritev2", .number = __NR_pwritev2, .error = 0},
#endif
#ifdef __NR_read
    {.name = "read", .number = __NR_read, .error = 0},
#endif
#ifdef __NR_readahead
    {.name = "readahead", .number = __NR_readahead, .error = 0},
#endif
#ifdef __NR_readlink
    {.name = "readlink", .number = __NR_readlink, .error = 0},
#endif
#ifdef __NR_readlinkat
    {.name = "readlinkat", .number = __NR_readlinkat, .error = 0},
#endif
#ifdef __NR_readv
    {.name = "readv", .number = __NR_readv, .error = 0},
#endif
#ifdef __NR_removexattr
    {.name = "removexattr", .number = __NR_removexattr, .error = 0},
#endif
#ifdef __NR_rename
    {.name = "rename", .number = __NR_rename, .error = 0},
#endif
#ifdef __NR_renameat
    {.name = "renameat", .number = __NR_renameat, .error = 0},
#endif
#ifdef __NR_renameat2
    {.name = "renameat2", .number = __NR_renameat2, .error = 0},
#endif
#ifdef __NR_rmdir
    {.name = "rmdir", .number = __NR_rmdir, .error = 0},
#endif
#ifdef __NR_sendfile
    {.name = "sendfile", .number = __NR_sendfile, .error = 0},
#endif
#ifdef __NR_setxattr
    {.name = "setxattr", .number = __NR_setxattr, .error = 0},
#endif
#ifdef __NR_splice
    {.name = "splice", .number = __NR_splice, .error = 0},
#endif
#ifdef __NR_stat
    {.name = "stat", .number = __NR_stat, .error = 0},
#endif
#ifdef __NR_statfs
    {.name = "statfs", .number = __NR_statfs, .error = 0},
#endif
#ifdef __NR_statx
    {.name = "statx", .number = __NR_statx, .error = 0},
#endif
#ifdef __NR_symlink
    {.name = "symlink", .number = __NR_symlink, .error = 0},
#endif
#ifdef __NR_symlinkat
    {.name = "symlinkat", .number = __NR_symlinkat, .error = 0},
#endif
#ifdef __NR_sync
    {.name = "sync", .number = __NR_sync, .error = 0},
#endif
#ifdef __NR_sync_file_range
    {.name = "sync_file_range", .number = __NR_sync_file_range, .error = 0},
#endif
#ifdef __NR_syncfs
    {.name = "syncfs", .number = __NR_syncfs, .error = 0},
#endif
#ifdef __NR_tee
    {.name = "tee", .number = __NR_tee, .error = 0},
#endif
#ifdef __NR_truncate
    {.name = "truncate", .number = __NR_truncate, .error = 0},
#endif
#ifdef __NR_umask
    {.name = "umask", .number = __NR_umask, .error = 0},
#endif
#ifdef __NR_unlink
    {.name = "unlink", .number = __NR_unlink, .error = 0},
#endif
#ifdef __NR_unlinkat
    {.name = "unlinkat", .number = __NR_unlinkat, .error = 0},
#endif
#ifdef __NR_utime
    {.name = "utime", .number = __NR_utime, .error = 0},
#endif
#ifdef __NR_utimensat
    {.name = "utimensat", .number = __NR_utimensat, .error = 0},
#endif
#ifdef __NR_utimes
    {.name = "utimes", .number = __NR_utimes, .error = 0},
#endif
#ifdef __NR_vmsplice
    {.name = "vmsplice", .number = __NR_vmsplice, .error = 0},
#endif
#ifdef __NR_write
    {.name = "write", .number = __NR_write, .error = 0},
#endif
#ifdef __NR_writev
    {.name = "writev", .number = __NR_writev, .error = 0},
#endif
#ifdef __NR_inotify_add_watch
    {.name = "inotify_add_watch", .number = __NR_inotify_add_watch, .error = 0},
#endif
#ifdef __NR_inotify_init
    {.name = "inotify_init", .number = __NR_inotify_init, .error = 0},
#endif
#ifdef __NR_inotify_init1
    {.name = "inotify_init1", .number = __NR_inotify_init1, .error = 0},
#endif
#ifdef __NR_inotify_rm_watch
    {.name = "inotify_rm_watch", .number = __NR_inotify_rm_watch, .error = 0},
#endif
#ifdef __NR_memfd_create
    {.name = "memfd_create", .number = __NR_memfd_create, .error = 0},
#endif
#ifdef __NR_chroot
    {.name = "chroot", .number = __NR_chroot, .error = 0},
#endif
#ifdef __NR_brk
    {.name = "brk", .number = __NR_brk, .error = 0},
#endif
#ifdef __NR_madvise
    {.name = "madvise", .number = __NR_madvise, .error = 0},
#endif
#ifdef __NR_membarrier
    {.name = "membarrier", .number = __NR_membarrier, .error = 0},
#endif
#ifdef __NR_mincore
    {.name = "mincore", .number = __NR_mincore, .error = 0},
#endif
#ifdef __NR_mlock
    {.name = "mlock", .number = __NR_mlock, .error = 0},
#endif
#ifdef __NR_mlock2
    {.name = "mlock2", .number = __NR_mlock2, .error = 0},
#endif
#ifdef __NR_mlockall
    {.name = "mlockall", .number = __NR_mlockall, .error = 0},
#endif
#ifdef __NR_mmap
    {.name = "mmap", .number = __NR_mmap, .error = 0},
#endif
#ifdef __NR_mprotect
    {.name = "mprotect", .number = __NR_mprotect, .error = 0},
#endif
#ifdef __NR_mremap
    {.name = "mremap", .number = __NR_mremap, .error = 0},
#endif
#ifdef __NR_msync
    {.name = "msync", .number = __NR_msync, .error = 0},
#endif
#ifdef __NR_munlock
    {.name = "munlock", .number = __NR_munlock, .error = 0},
#endif
#ifdef __NR_munlockall
    {.name = "munlockall", .number = __NR_munlockall, .error = 0},
#endif
#ifdef __NR_munmap
    {.name = "munmap", .number = __NR_munmap, .error = 0},
#endif
#ifdef __NR_pkey_alloc
    {.name = "pkey_alloc", .number = __NR_pkey_alloc, .error = 0},
#endif
#ifdef __NR_pkey_free
    {.name = "pkey_free", .number = __NR_pkey_free, .error = 0},
#endif
#ifdef __NR_pkey_mprotect
    {.name = "pkey_mprotect", .number = __NR_pkey_mprotect, .error = 0},
#endif
#ifdef __NR_remap_file_pages
    {.name = "remap_file_pages", .number = __NR_remap_file_pages, .error = 0},
#endif
#ifdef __NR_process_madvise
    {.name = "process_madvise", .number = __NR_process_madvise, .error = 0},
#endif
#ifdef __NR_process_mrelease
    {.name = "process_mrelease", .number = __NR_process_mrelease, .error = 0},
#endif
#ifdef __NR_alarm
    {.name = "alarm", .number = __NR_alarm, .error = 0},
#endif
#ifdef __NR_capget
    {.name = "capget", .number = __NR_capget, .error = 0},
#endif
#ifdef __NR_capset
    {.name = "capset", .number = __NR_capset, .error = 0},
#endif
#ifdef __NR_execve
    {.name = "execve", .number = __NR_execve, .error = 0},
#endif
#ifdef __NR_execveat
    {.name = "execveat", .number = __NR_execveat, .error = 0},
#endif
#ifdef __NR_exit
    {.name = "exit", .number = __NR_exit, .error = 0},
#endif
#ifdef __NR_exit_group
    {.name = "exit_group", .number = __NR_exit_group, .error = 0},
#endif
#ifdef __NR_fork
    {.name = "fork", .number = __NR_fork, .error = 0},
#endif
#ifdef __NR_vfork
    {.name = "vfork", .number = __NR_vfork, .error = 0},
#endif
#ifdef __NR_getcpu
    {.name = "getcpu", .number = __NR_getcpu, .error = 0},
#endif
#ifdef __NR_getegid
    {.name = "getegid", .number = __NR_getegid, .error = 0},
#endif
#ifdef __NR_geteuid
    {.name = "geteuid", .number = __NR_geteuid, .error = 0},
#endif
#ifdef __NR_getgid
    {.name = "getgid", .number = __NR_getgid, .error = 0},
#endif
#ifdef __NR_getgroups
    {.name = "getgroups", .number = __NR_getgroups, .error = 0},
#endif
#ifdef __NR_getitimer
    {.name = "getitimer", .number = __NR_getitimer, .error = 0},
#endif
#ifdef __NR_getpgid
    {.name = "getpgid", .number = __NR_getpgid, .error = 0},
#endif
#ifdef __NR_getpgrp
    {.name = "getpgrp", .number = __NR_getpgrp, .error = 0},
#endif
#ifdef __NR_getpid
    {.name = "getpid", .number = __NR_getpid, .error = 0},
#endif
#ifdef __NR_getppid
    {.name = "getppid", .number = __NR_getppid, .error = 0},
#endif
#ifdef __NR_getpriority
    {.name = "getpriority", .number = __NR_getpriority, .error = 0},
#endif
#ifdef __NR_getresgid
    {.name = "getresgid", .number = __NR_getresgid, .error = 0},
#endif
#ifdef __NR_getresuid
    {.name = "getresuid", .number = __NR_getresuid, .error = 0},
#endif
#ifdef __NR_getrlimit
    {.name = "getrlimit", .number = __NR_getrlimit, .error = 0},
#endif
#ifdef __NR_getrusage
    {.name = "getrusage", .number = __NR_getrusage, .error = 0},
#endif
#ifdef __NR_getsid
    {.name = "getsid", .number = __NR_getsid, .error = 0},
#endif
#ifdef __NR_gettid
    {.name = "gettid", .number = __NR_gettid, .error = 0},
#endif
#ifdef __NR_getuid
    {.name = "getuid", .number = __NR_getuid, .error = 0},
#endif
#ifdef __NR_get_robust_list
    {.name = "get_robust_list", .number = __NR_get_robust_list, .error = 0},
#endif
#ifdef __NR_get_thread_area
    {.name = "get_thread_area", .number = __NR_get_thread_area, .error = 0},
#endif
#ifdef __NR_ioprio_get
    {.name = "ioprio_get", .number = __NR_ioprio_get, .error = 0},
#endif
#ifdef __NR_ioprio_set
    {.name = "ioprio_set", .number = __NR_ioprio_set, .error = 0},
#endif
#ifdef __NR_kill
    {.name = "kill", .number = __NR_kill, .error = 0},
#endif
#ifdef __NR_landlock_add_rule
    {.name = "landlock_add_rule", .number = __NR_landlock_add_rule, .error = 0},
#endif
#ifdef __NR_landlock_create_ruleset
    {.name = "landlock_create_ruleset", .number = __NR_landlock_create_ruleset, .error = 0},
#endif
#ifdef __NR_landlock_restrict_self
    {.name = "landlock_restrict_self", .number = __NR_landlock_restrict_self, .error = 0},
#endif
#ifdef __NR_pause
    {.name = "pause", .number = __NR_pause, .error = 0},
#endif
#ifdef __NR_pidfd_open
    {.name = "pidfd_open", .number = __NR_pidfd_open, .error = 0},
#endif
#ifdef __NR_pidfd_send_signal
    {.name = "pidfd_send_signal", .number = __NR_pidfd_send_signal, .error = 0},
#endif
#ifdef __NR_prctl
    {.name = "prctl", .number = __NR_prctl, .error = 0},
#endif
#ifdef __NR_prlimit64
    {.name = "prlimit64", .number = __NR_prlimit64, .error = 0},
#endif
#ifdef __NR_restart_syscall
    {.name = "restart_syscall", .number = __NR_restart_syscall, .error = 0},
#endif
#ifdef __NR_rseq
    {.name = "rseq", .number = __NR_rseq, .error = 0},
#endif
#ifdef __NR_rt_sigaction
    {.name = "rt_sigaction", .number = __NR_rt_sigaction, .error = 0},
#endif
#ifdef __NR_rt_sigpending
    {.name = "rt_sigpending", .number = __NR_rt_sigpending, .error = 0},
#endif
#ifdef __NR_rt_sigprocmask
    {.name = "rt_sigprocmask", .number = __NR_rt_sigprocmask, .error = 0},
#endif
#ifdef __NR_rt_sigqueueinfo
    {.name = "rt_sigqueueinfo", .number = __NR_rt_sigqueueinfo, .error = 0},
#endif
#ifdef __NR_rt_sigreturn
    {.name = "rt_sigreturn", .number = __NR_rt_sigreturn, .error = 0},
#endif
#ifdef __NR_rt_sigsuspend
    {.name = "rt_sigsuspend", .number = __NR_rt_sigsuspend, .error = 0},
#endif
#ifdef __NR_rt_sigtimedwait
    {.name = "rt_sigtimedwait", .number = __NR_rt_sigtimedwait, .error = 0},
#endif
#ifdef __NR_rt_tgsigqueueinfo
    {.name = "rt_tgsigqueueinfo", .number = __NR_rt_tgsigqueueinfo, .error = 0},
#endif
#ifdef __NR_sched_get_priority_max
    {.name = "sched_get_priority_max", .number = __NR_sched_get_priority_max, .error = 0},
#endif
#ifdef __NR_sched_get_priority_min
    {.name = "sched_get_priority_min", .number = __NR_sched_get_priority_min, .error = 0},
#endif
#ifdef __NR_sched_getaffinity
    {.name = "sched_getaffinity", .number = __NR_sched_getaffinity, .error = 0},
#endif
#ifdef __NR_sched_getattr
    {.name = "sched_getattr", .number = __NR_sched_getattr, .error = 0},
#endif
#ifdef __NR_sched_getparam
    {.name = "sched_getparam", .number = __NR_sched_getparam, .error = 0},
#endif
#ifdef __NR_sched_getscheduler
    {.name = "sched_getscheduler", .number = __NR_sched_getscheduler, .error = 0},
#endif
#ifdef __NR_sched_rr_get_interval
    {.name = "sched_rr_get_interval", .number = __NR_sched_rr_get_interval, .error = 0},
#endif
#ifdef __NR_sched_setaffinity
    {.name = "sched_setaffinity", .number = __NR_sched_setaffinity, .error = 0},
#endif
#ifdef __NR_sched_setattr
    {.name = "sched_setattr", .number = __NR_sched_setattr, .error = 0},
#endif
#ifdef __NR_sched_setparam
    {.name = "sched_setparam", .number = __NR_sched_setparam, .error = 0},
#endif
#ifdef __NR_sched_setscheduler
    {.name = "sched_setscheduler", .number = __NR_sched_setscheduler, .error = 0},
#endif
#ifdef __NR_sched_yield
    {.name = "sched_yield", .number = __NR_sched_yield, .error = 0},
#endif
#ifdef __NR_seccomp
    {.name = "seccomp", .number = __NR_seccomp, .error = 0},
#endif
#ifdef __NR_set_robust_list
    {.name = "set_robust_list", .number = __NR_set_robust_list, .error = 0},
#endif
#ifdef __NR_set_thread_area
    {.name = "set_thread_area", .number = __NR_set_thread_area, .error = 0},
#endif
#ifdef __NR_set_tid_address
    {.name = "set_tid_address", .number = __NR_set_tid_address, .error = 0},
#endif
#ifdef __NR_setfsgid
    {.name = "setfsgid", .number = __NR_setfsgid, .error = 0},
#endif
#ifdef __NR_setfsuid
    {.name = "setfsuid", .number = __NR_setfsuid, .error = 0},
#endif
#ifdef __NR_setgid
    {.name = "setgid", .number = __NR_setgid, .error = 0},
#endif
#ifdef __NR_setgroups
    {.name = "setgroups", .number = __NR_setgroups, .error = 0},
#endif
#ifdef __NR_setitimer
    {.name = "setitimer", .number = __NR_setitimer, .error = 0},
#endif
#ifdef __NR_setpgid
    {.name = "setpgid", .number = __NR_setpgid, .error = 0},
#endif
#ifdef __NR_setpriority
    {.name = "setpriority", .number = __NR_setpriority, .error = 0},
#endif
#ifdef __NR_setregid
    {.name = "setregid", .number = __NR_setregid, .error = 0},
#endif
#ifdef __NR_setresgid
    {.name = "setresgid", .number = __NR_setresgid, .error = 0},
#endif
#ifdef __NR_setresuid
    {.name = "setresuid", .number = __NR_setresuid, .error = 0},
#endif
#ifdef __NR_setreuid
    {.name = "setreuid", .number = __NR_setreuid, .error = 0},
#endif
#ifdef __NR_setrlimit
    {.name = "setrlimit", .number = __NR_setrlimit, .error = 0},
#endif
#ifdef __NR_setsid
    {.name = "setsid", .number = __NR_setsid, .error = 0},
#endif
#ifdef __NR_setuid
    {.name = "setuid", .number = __NR_setuid, .error = 0},
#endif
#ifdef __NR_sigaltstack
    {.name = "sigaltstack", .number = __NR_sigaltstack, .error = 0},
#endif
#ifdef __NR_tgkill
    {.name = "tgkill", .number = __NR_tgkill, .error = 0},
#endif
#ifdef __NR_tkill
    {.name = "tkill", .number = __NR_tkill, .error = 0},
#endif
#ifdef __NR_wait4
    {.name = "wait4", .number = __NR_wait4, .error = 0},
#endif
#ifdef __NR_waitid
    {.name = "waitid", .number = __NR_waitid, .error = 0},
#endif
#ifdef __NR_arch_prctl
    {.name = "arch_prctl", .number = __NR_arch_prctl, .error = 0},
#endif
#ifdef __NR_uname
    {.name = "uname", .number = __NR_uname, .error = 0},
#endif
#ifdef __NR_sysinfo
    {.name = "sysinfo", .number = __NR_sysinfo, .error = 0},
#endif
#ifdef __NR_times
    {.name = "times", .number = __NR_times, .error = 0},
#endif
#ifdef __NR_signalfd
    {.name = "signalfd", .number = __NR_signalfd, .error = 0},
#endif
#ifdef __NR_signalfd4
    {.name = "signalfd4", .number = __NR_signalfd4, .error = 0},
#endif
#ifdef __NR_sethostname
    {.name = "sethostname", .number = __NR_sethostname, .error = 0},
#endif
#ifdef __NR_setdomainname
    {.name = "setdomainname", .number = __NR_setdomainname, .error = 0},
#endif
#ifdef __NR_ptrace
    {.name = "ptrace", .number = __NR_ptrace, .error = 0},
#endif
#ifdef __NR_process_vm_readv
    {.name = "process_vm_readv", .number = __NR_process_vm_readv, .error = 0},
#endif
#ifdef __NR_process_vm_writev
    {.name = "process_vm_writev", .number = __NR_process_vm_writev, .error = 0},
#endif
#ifdef __NR_kcmp
    {.name = "kcmp", .number = __NR_kcmp, .error = 0},
#endif
#ifdef __NR_pidfd_getfd
    {.name = "pidfd_getfd", .number = __NR_pidfd_getfd, .error = 0},
#endif
#ifdef __NR_clock_getres
    {.name = "clock_getres", .number = __NR_clock_getres, .error = 0},
#endif
#ifdef __NR_clock_gettime
    {.name = "clock_gettime", .number = __NR_clock_gettime, .error = 0},
#endif
#ifdef __NR_clock_nanosleep
    {.name = "clock_nanosleep", .number = __NR_clock_nanosleep, .error = 0},
#endif
#ifdef __NR_epoll_create
    {.name = "epoll_create", .number = __NR_epoll_create, .error = 0},
#endif
#ifdef __NR_epoll_create1
    {.name = "epoll_create1", .number = __NR_epoll_create1, .error = 0},
#endif
#ifdef __NR_epoll_ctl
    {.name = "epoll_ctl", .number = __NR_epoll_ctl, .error = 0},
#endif
#ifdef __NR_epoll_ctl_old
    {.name = "epoll_ctl_old", .number = __NR_epoll_ctl_old, .error = 0},
#endif
#ifdef __NR_epoll_pwait
    {.name = "epoll_pwait", .number = __NR_epoll_pwait, .error = 0},
#endif
#ifdef __NR_epoll_pwait2
    {.name = "epoll_pwait2", .number = __NR_epoll_pwait2, .error = 0},
#endif
#ifdef __NR_epoll_wait
    {.name = "epoll_wait", .number = __NR_epoll_wait, .error = 0},
#endif
#ifdef __NR_epoll_wait_old
    {.name = "epoll_wait_old", .number = __NR_epoll_wait_old, .error = 0},
#endif
#ifdef __NR_eventfd
    {.name = "eventfd", .number = __NR_eventfd, .error = 0},
#endif
#ifdef __NR_eventfd2
    {.name = "eventfd2", .number = __NR_eventfd2, .error = 0},
#endif
#ifdef __NR_futex
    {.name = "futex", .number = __NR_futex, .error = 0},
#endif
#ifdef __NR_futex_waitv
    {.name = "futex_waitv", .number = __NR_futex_waitv, .error = 0},
#endif
#ifdef __NR_gettimeofday
    {.name = "gettimeofday", .number = __NR_gettimeofday, .error = 0},
#endif
#ifdef __NR_nanosleep
    {.name = "nanosleep", .number = __NR_nanosleep, .error = 0},
#endif
#ifdef __NR_poll
    {.name = "poll", .number = __NR_poll, .error = 0},
#endif
#ifdef __NR_ppoll
    {.name = "ppoll", .number = __NR_ppoll, .error = 0},
#endif
#ifdef __NR_pselect6
    {.name = "pselect6", .number = __NR_pselect6, .error = 0},
#endif
#ifdef __NR_select
    {.name = "select", .number = __NR_select, .error = 0},
#endif
#ifdef __NR_time
    {.name = "time", .number = __NR_time, .error = 0},
#endif
#ifdef __NR_timer_create
    {.name = "timer_create", .number = __NR_timer_create, .error = 0},
#endif
#ifdef __NR_timer_delete
    {.name = "timer_delete", .number = __NR_timer_delete, .error = 0},
#endif
#ifdef __NR_timer_getoverrun
    {.name = "timer_getoverrun", .number = __NR_timer_getoverrun, .error = 0},
#endif
#ifdef __NR_timer_gettime
    {.name = "timer_gettime", .number = __NR_timer_gettime, .error = 0},
#endif
#ifdef __NR_timer_settime
    {.name = "timer_settime", .number = __NR_timer_settime, .error = 0},
#endif
#ifdef __NR_timerfd_create
    {.name = "timerfd_create", .number = __NR_timerfd_create, .error = 0},
#endif
#ifdef __NR_timerfd_gettime
    {.name = "timerfd_gettime", .number = __NR_timerfd_gettime, .error = 0},
#endif
#ifdef __NR_timerfd_settime
    {.name = "timerfd_settime", .number = __NR_timerfd_settime, .error = 0},
#endif
#ifdef __NR_io_cancel
    {.name = "io_cancel", .number = __NR_io_cancel, .error = 0},
#endif
#ifdef __NR_io_destroy
    {.name = "io_destroy", .number = __NR_io_destroy, .error = 0},
#endif
#ifdef __NR_io_getevents
    {.name = "io_getevents", .number = __NR_io_getevents, .error = 0},
#endif
#ifdef __NR_io_pgetevents
    {.name = "io_pgetevents", .number = __NR_io_pgetevents, .error = 0},
#endif
#ifdef __NR_io_setup
    {.name = "io_setup", .number = __NR_io_setup, .error = 0},
#endif
#ifdef __NR_io_submit
    {.name = "io_submit", .number = __NR_io_submit, .error = 0},
#endif
#ifdef __NR_accept
    {.name = "accept", .number = __NR_accept, .error = 0},
#endif
#ifdef __NR_accept4
    {.name = "accept4", .number = __NR_accept4, .error = 0},
#endif
#ifdef __NR_bind
    {.name = "bind", .number = __NR_bind, .error = 0},
#endif
#ifdef __NR_connect
    {.name = "connect", .number = __NR_connect, .error = 0},
#endif
#ifdef __NR_getpeername
    {.name = "getpeername", .number = __NR_getpeername, .error = 0},
#endif
#ifdef __NR_getsockname
    {.name = "getsockname", .number = __NR_getsockname, .error = 0},
#endif
#ifdef __NR_getsockopt
    {.name = "getsockopt", .number = __NR_getsockopt, .error = 0},
#endif
#ifdef __NR_listen
    {.name = "listen", .number = __NR_listen, .error = 0},
#endif
#ifdef __NR_pipe
    {.name = "pipe", .number = __NR_pipe, .error = 0},
#endif
#ifdef __NR_pipe2
    {.name = "pipe2", .number = __NR_pipe2, .error = 0},
#endif
#ifdef __NR_recvfrom
    {.name = "recvfrom", .number = __NR_recvfrom, .error = 0},
#endif
#ifdef __NR_recvmmsg
    {.name = "recvmmsg", .number = __NR_recvmmsg, .error = 0},
#endif
#ifdef __NR_recvmsg
    {.name = "recvmsg", .number = __NR_recvmsg, .error = 0},
#endif
#ifdef __NR_sendmmsg
    {.name = "sendmmsg", .number = __NR_sendmmsg, .error = 0},
#endif
#ifdef __NR_sendmsg
    {.name = "sendmsg", .number = __NR_sendmsg, .error = 0},
#endif
#ifdef __NR_sendto
    {.name = "sendto", .number = __NR_sendto, .error = 0},
#endif
#ifdef __NR_setsockopt
    {.name = "setsockopt", .number = __NR_setsockopt, .error = 0},
#endif
#ifdef __NR_shutdown
    {.name = "shutdown", .number = __NR_shutdown, .error = 0},
#endif
#ifdef __NR_socketpair
    {.name = "socketpair", .number = __NR_socketpair, .error = 0},
#endif
#ifdef __NR_mq_getsetattr
    {.name = "mq_getsetattr", .number = __NR_mq_getsetattr, .error = 0},
#endif
#ifdef __NR_mq_notify
    {.name = "mq_notify", .number = __NR_mq_notify, .error = 0},
#endif
#ifdef __NR_mq_open
    {.name = "mq_open", .number = __NR_mq_open, .error = 0},
#endif
#ifdef __NR_mq_timedreceive
    {.name = "mq_timedreceive", .number = __NR_mq_timedreceive, .error = 0},
#endif
#ifdef __NR_mq_timedsend
    {.name = "mq_timedsend", .number = __NR_mq_timedsend, .error = 0},
#endif
#ifdef __NR_mq_unlink
    {.name = "mq_unlink", .number = __NR_mq_unlink, .error = 0},
#endif
#ifdef __NR_msgctl
    {.name = "msgctl", .number = __NR_msgctl, .error = 0},
#endif
#ifdef __NR_msgget
    {.name = "msgget", .number = __NR_msgget, .error = 0},
#endif
#ifdef __NR_msgrcv
    {.name = "msgrcv", .number = __NR_msgrcv, .error = 0},
#endif
#ifdef __NR_msgsnd
    {.name = "msgsnd", .number = __NR_msgsnd, .error = 0},
#endif
#ifdef __NR_semctl
    {.name = "semctl", .number = __NR_semctl, .error = 0},
#endif
#ifdef __NR_semget
    {.name = "semget", .number = __NR_semget, .error = 0},
#endif
#ifdef __NR_semop
    {.name = "semop", .number = __NR_semop, .error = 0},
#endif
#ifdef __NR_semtimedop
    {.name = "semtimedop", .number = __NR_semtimedop, .error = 0},
#endif
#ifdef __NR_shmat
    {.name = "shmat", .number = __NR_shmat, .error = 0},
#endif
#ifdef __NR_shmctl
    {.name = "shmctl", .number = __NR_shmctl, .error = 0},
#endif
#ifdef __NR_shmdt
    {.name = "shmdt", .number = __NR_shmdt, .error = 0},
#endif
#ifdef __NR_shmget
    {.name = "shmget", .number = __NR_shmget, .error = 0},
#endif
#ifdef __NR_getrandom
    {.name = "getrandom", .number = __NR_getrandom, .error = 0},
#endif
#ifdef __NR_socket
    {.name = "socket", .number = __NR_socket, .error = 0, .conditions = {{.op = OP_IN, .index = 0, .count = 1, .values = {AF_UNIX}}}},
#endif
#ifdef __NR_socketpair
    {.name = "socketpair", .number = __NR_socketpair, .error = 0, .conditions = {{.op = OP_IN, .index = 0, .count = 1, .values = {AF_UNIX}}}},
#endif
#ifdef __NR_socket
    {.name = "socket", .number = __NR_socket, .error = 0, .conditions = {{.op = OP_IN, .index = 0, .count = 2, .values = {AF_INET, AF_INET6}}, {.op = OP_IN, .index = 1, .count = 8, .values = {SOCK_STREAM, SOCK_STREAM | SOCK_CLOEXEC, SOCK_STREAM | SOCK_NONBLOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, SOCK_DGRAM, SOCK_DGRAM | SOCK_CLOEXEC, SOCK_DGRAM | SOCK_NONBLOCK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK}}, {.op = OP_IN, .index = 2, .count = 5, .values = {IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6}}}},
#endif
#ifdef __NR_socket
    {.name = "socket", .number = __NR_socket, .error = 0, .conditions = {{.op = OP_IN, .index = 0, .count = 1, .values = {AF_NETLINK}}, {.op = OP_IN, .index = 2, .count = 1, .values = {NETLINK_ROUTE}}}},
#endif
#ifdef __NR_socket
    {.name = "socket", .number = __NR_socket, .error = EAFNOSUPPORT, .otherwise = true},
#endif
#ifdef __NR_socketpair
    {.name = "socketpair", .number = __NR_socketpair, .error = EAFNOSUPPORT, .otherwise = true},
#endif
#ifdef __NR_ioctl
    {.name = "ioctl", .number = __NR_ioctl, .error = 0, .conditions = {{.op = OP_IN, .index = 1, .count = 3, .values = {FICLONE, FICLONERANGE, FIDEDUPERANGE}}}},
#endif
#ifdef __NR_ioctl
    {.name = "ioctl", .number = __NR_ioctl, .error = 0, .conditions = {{.op = OP_NOT, .index = 1, .count = 1, .values = {TIOCSTI}}, {.op = OP_NOT_OF_TYPE, .index = 1, .count = 1, .values = {BTRFS_IOCTL_MAGIC}}}},
#endif
#ifdef __NR_ioctl
    {.name = "ioctl", .number = __NR_ioctl, .error = EPERM, .otherwise = true},
#endif
#ifdef __NR_clone
    {.name = "clone", .number = __NR_clone, .error = 0, .conditions = {{.op = OP_NONE, .index = 0, .count = 1, .values = {CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP | 0x80u}}}},
#endif
#ifdef __NR_clone
    {.name = "clone", .number = __NR_clone, .error = EPERM, .otherwise = true},
#endif
#ifdef __NR_unshare
    {.name = "unshare", .number = __NR_unshare, .error = 0, .conditions = {{.op = OP_NONE, .index = 0, .count = 1, .values = {CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP | 0x80u}}}},
#endif
#ifdef __NR_unshare
    {.name = "unshare", .number = __NR_unshare, .error = EPERM, .otherwise = true},
#endif
#ifdef __NR_clone3
    {.name = "clone3", .number = __NR_clone3, .error = ENOSYS},
#endif
#ifdef __NR_personality
    {.name = "personality", .number = __NR_personality, .error = 0, .conditions = {{.op = OP_IN, .index = 0, .count = 5, .values = {PER_LINUX, PER_LINUX32, UNAME26, PER_LINUX32 | UNAME26, 0xffffffffu}}}},
#endif
#ifdef __NR_personality
    {.name = "personality", .number = __NR_personality, .error = EPERM, .otherwise = true},
#endif
#ifdef __NR_mount
    {.name = "mount", .number = __NR_mount, .error = EPERM},
#endif
#ifdef __NR_umount2
    {.name = "umount2", .number = __NR_umount2, .error = EPERM},
#endif
#ifdef __NR_pivot_root
    {.name = "pivot_root", .number = __NR_pivot_root, .error = EPERM},
#endif
#ifdef __NR_fsopen
    {.name = "fsopen", .number = __NR_fsopen, .error = EPERM},
#endif
#ifdef __NR_fsconfig
    {.name = "fsconfig", .number = __NR_fsconfig, .error = EPERM},
#endif
#ifdef __NR_fsmount
    {.name = "fsmount", .number = __NR_fsmount, .error = EPERM},
#endif
#ifdef __NR_fspick
    {.name = "fspick", .number = __NR_fspick, .error = EPERM},
#endif
#ifdef __NR_move_mount
    {.name = "move_mount", .number = __NR_move_mount, .error = EPERM},
#endif
#ifdef __NR_open_tree
    {.name = "open_tree", .number = __NR_open_tree, .error = EPERM},
#endif
#ifdef __NR_mount_setattr
    {.name = "mount_setattr", .number = __NR_mount_setattr, .error = EPERM},
#endif
#ifdef __NR_swapon
    {.name = "swapon", .number = __NR_swapon, .error = EPERM},
#endif
#ifdef __NR_swapoff
    {.name = "swapoff", .number = __NR_swapoff, .error = EPERM},
#endif
#ifdef __NR_quotactl
    {.name = "quotactl", .number = __NR_quotactl, .error = EPERM},
#endif
#ifdef __NR_quotactl_fd
    {.name = "quotactl_fd", .number = __NR_quotactl_fd, .error = EPERM},
#endif
#ifdef __NR_setns
    {.name = "setns", .number = __NR_setns, .error = EPERM},
#endif
#ifdef __NR_add_key
    {.name = "add_key", .number = __NR_add_key, .error = EPERM},
#endif
#ifdef __NR_keyctl
    {.name = "keyctl", .number = __NR_keyctl, .error = EPERM},
#endif
#ifdef __NR_request_key
    {.name = "request_key", .number = __NR_request_key, .error = EPERM},
#endif
#ifdef __NR_bpf
    {.name = "bpf", .number = __NR_bpf, .error = EPERM},
#endif
#ifdef __NR_perf_event_open
    {.name = "perf_event_open", .number = __NR_perf_event_open, .error = EPERM},
#endif
#ifdef __NR_userfaultfd
    {.name = "userfaultfd", .number = __NR_userfaultfd, .error = EPERM},
#endif
#ifdef __NR_io_uring_enter
    {.name = "io_uring_enter", .number = __NR_io_uring_enter, .error = EPERM},
#endif
#ifdef __NR_io_uring_register
    {.name = "io_uring_register", .number = __NR_io_uring_register, .error = EPERM},
#endif
#ifdef __NR_io_uring_setup
    {.name = "io_uring_setup", .number = __NR_io_uring_setup, .error = EPERM},
#endif
#ifdef __NR_open_by_handle_at
    {.name = "open_by_handle_at", .number = __NR_open_by_handle_at, .error = EPERM},
#endif
#ifdef __NR_name_to_handle_at
    {.name = "name_to_handle_at", .number = __NR_name_to_handle_at, .error = EPERM},
#endif
#ifdef __NR_acct
    {.name = "acct", .number = __NR_acct, .error = EPERM},
#endif
#ifdef __NR_create_module
    {.name = "create_module", .number = __NR_create_module, .error = EPERM},
#endif
#ifdef __NR_delete_module
    {.name = "delete_module", .number = __NR_delete_module, .error = EPERM},
#endif
#ifdef __NR_finit_module
    {.name = "finit_module", .number = __NR_finit_module, .error = EPERM},
#endif
#ifdef __NR_get_kernel_syms
    {.name = "get_kernel_syms", .number = __NR_get_kernel_syms, .error = EPERM},
#endif
#ifdef __NR_init_module
    {.name = "init_module", .number = __NR_init_module, .error = EPERM},
#endif
#ifdef __NR_ioperm
    {.name = "ioperm", .number = __NR_ioperm, .error = EPERM},
#endif
#ifdef __NR_iopl
    {.name = "iopl", .number = __NR_iopl, .error = EPERM},
#endif
#ifdef __NR_kexec_file_load
    {.name = "kexec_file_load", .number = __NR_kexec_file_load, .error = EPERM},
#endif
#ifdef __NR_kexec_load
    {.name = "kexec_load", .number = __NR_kexec_load, .error = EPERM},
#endif
#ifdef __NR_nfsservctl
    {.name = "nfsservctl", .number = __NR_nfsservctl, .error = EPERM},
#endif
#ifdef __NR_query_module
    {.name = "query_module", .number = __NR_query_module, .error = EPERM},
#endif
#ifdef __NR_reboot
    {.name = "reboot", .number = __NR_reboot, .error = EPERM},
#endif
#ifdef __NR_syslog
    {.name = "syslog", .number = __NR_syslog, .error = EPERM},
#endif
#ifdef __NR_vhangup
    {.name = "vhangup", .number = __NR_vhangup, .error = EPERM},
#endif
#ifdef __NR_uselib
    {.name = "uselib", .number = __NR_uselib, .error = EPERM},
#endif
#ifdef __NR_lookup_dcookie
    {.name = "lookup_dcookie", .number = __NR_lookup_dcookie, .error = EPERM},
#endif
#ifdef __NR_vserver
    {.name = "vserver", .number = __NR_vserver, .error = EPERM},
#endif
#ifdef __NR__sysctl
    {.name = "_sysctl", .number = __NR__sysctl, .error = EPERM},
#endif
#ifdef __NR_sysfs
    {.name = "sysfs", .number = __NR_sysfs, .error = EPERM},
#endif
#ifdef __NR_ustat
    {.name = "ustat", .number = __NR_ustat, .error = EPERM},
#endif
#ifdef __NR_modify_ldt
    {.name = "modify_ldt", .number = __NR_modify_ldt, .error = EPERM},
#endif
#ifdef __NR_fanotify_init
    {.name = "fanotify_init", .number = __NR_fanotify_init, .error = EPERM},
#endif
#ifdef __NR_fanotify_mark
    {.name = "fanotify_mark", .number = __NR_fanotify_mark, .error = EPERM},
#endif
#ifdef __NR_adjtimex
    {.name = "adjtimex", .number = __NR_adjtimex, .error = EPERM},
#endif
#ifdef __NR_clock_adjtime
    {.name = "clock_adjtime", .number = __NR_clock_adjtime, .error = EPERM},
#endif
#ifdef __NR_clock_settime
    {.name = "clock_settime", .number = __NR_clock_settime, .error = EPERM},
#endif
#ifdef __NR_settimeofday
    {.name = "settimeofday", .number = __NR_settimeofday, .error = EPERM},
#endif
#ifdef __NR_stime
    {.name = "stime", .number = __NR_stime, .error = EPERM},
#endif
#ifdef __NR_mbind
    {.name = "mbind", .number = __NR_mbind, .error = EPERM},
#endif
#ifdef __NR_migrate_pages
    {.name = "migrate_pages", .number = __NR_migrate_pages, .error = EPERM},
#endif
#ifdef __NR_move_pages
    {.name = "move_pages", .number = __NR_move_pages, .error = EPERM},
#endif
#ifdef __NR_set_mempolicy
    {.name = "set_mempolicy", .number = __NR_set_mempolicy, .error = EPERM},
#endif
};
