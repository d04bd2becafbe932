/**
 * The agent protocol: what the server and the agent of a sandbox say to each other, generation 1.
 *
 * A connection carries frames: a 12-byte little-endian header (u32 payload length, u32 stream, u8 type,
 * u8 flags, u16 zero) and a payload. Streams are numbered by the host and live as long as one request;
 * stream 0 is the connection itself. Control payloads are *fields*: a sequence of (u8 tag, u32 length,
 * bytes), where a tag may repeat (a list) and an unknown tag is skipped, so that messages only ever grow.
 * Integers in fields are u64 little-endian. Bulk frames (`output`, `data`, `stdin`) are raw bytes behind a
 * u64 offset. A frame for a stream that has ended is ignored, because it may have crossed the end; a request
 * on a stream that is in use breaks the protocol, and the agent closes the connection.
 *
 * Flow control is a cumulative acknowledgement: a sender keeps at most `WINDOW` bytes unacknowledged per
 * stream, and `ack` carries the offset up to which the receiver has *kept* the bytes. The agent holds what
 * is not acknowledged, so that a server that was killed can continue from the offset that it has on disk.
 *
 * The constants here are written to `native/shared/protocol.gen.h` by `npm run gen`.
 */

export const PROTOCOL_GENERATION = 1

/** Limits of the protocol, in bytes unless the name says otherwise. A size that is exceeded closes the connection, a count answers with an ERROR (EAGAIN, or E2BIG for strings). */
export const LIMITS = {
  HEADER: 12,
  /** Largest payload of any frame; bounds argv and environment of one start together. */
  MAX_PAYLOAD: 262_144,
  /** Largest run of bulk bytes in one `output`, `data` or `stdin` frame. */
  MAX_CHUNK: 65_536,
  /** Bulk bytes that a sender may have unacknowledged on one stream. */
  WINDOW: 262_144,
  /** Executions an agent holds at once (running, or ended and not yet forgotten); all their ids fit one HELLO. */
  MAX_EXECUTIONS: 2048,
  /** Requests under way at once on one connection (files and the like, without executions). */
  MAX_REQUESTS: 256,
  /** Longest execution id. */
  MAX_ID: 64,
  /** Longest path, Linux' own PATH_MAX. */
  MAX_PATH: 4096,
  /** Most arguments plus environment entries of one start. */
  MAX_STRINGS: 8192,
  /** Directories that one recursive watch holds at most. */
  MAX_WATCHES: 8192,
  /** Names and values of one file's extended attributes together, so that its ENTRY is no larger than a chunk. */
  MAX_XATTRS: 49_152,
} as const

/** Frame types. Requests come from the host, the others from the agent unless a comment says both. */
export const FrameType = {
  /** Agent, once per connection, stream 0: generation, nonce, and an `EXECUTION` id per held execution. The host answers with its generation. Both. */
  HELLO: 1,
  /** Request: start a program. ID, ARG+, ENV*, CWD? (relative to the home; absent: the home, or / where there is none), USER?, TTY_COLS+TTY_ROWS?, STDIN (1 = open a pipe, else /dev/null). An ID that is held already is attached from OFFSET (absent: 0), not started again. Answered by STARTED once the program runs, or by ERROR whose MESSAGE begins with what failed: `user`, `cwd`, `exec`, `pty` or `start`. */
  START: 2,
  /** Request: follow a held execution (ID) on this stream, its output from OFFSET on, which acknowledges what is below; output that is gone already is skipped. Answered by STARTED, OUTPUT…, and EXIT and OUTPUT_CLOSED when they have happened, or by ERROR (ENOENT: not held; EINVAL: OFFSET is past the end). */
  ATTACH: 3,
  /** Answer to START and ATTACH: PID, and OFFSET, up to which stdin was received: the host goes on from there. */
  STARTED: 4,
  /** Bulk: u64 offset of the first byte in the execution's interleaved output, bytes. FLAG_STDERR tells the stream. */
  OUTPUT: 5,
  /** The program ended: exactly one of EXIT_CODE and SIGNAL, and CPU_USEC, MAX_RSS. Repeated on ATTACH until FORGET. */
  EXIT: 6,
  /** Every writer of the output has closed it: OFFSET is the total length. May come before or long after EXIT. */
  OUTPUT_CLOSED: 7,
  /** Bulk, from the host: u64 offset, bytes for the program's stdin. ACK says what the program's pipe took, or would have: bytes nobody can read any more are dropped. Bytes below what was received are skipped. */
  STDIN: 8,
  /** Request: end of stdin (Ctrl-D on a terminal). No answer. */
  STDIN_CLOSE: 9,
  /** Request: SIGNAL to the execution of this stream, SCOPE says to whom. Answered by OK, or by ERROR (ESRCH: nobody left) without ending the stream. */
  SIGNAL: 10,
  /** Request: TTY_COLS, TTY_ROWS. No answer. */
  RESIZE: 11,
  /** Both: u64 offset up to which bulk bytes of this stream are kept. */
  ACK: 12,
  /** Request: drop the execution of this stream, and with it the stream; a program that still runs goes on, output still coming is drained and discarded. No answer. */
  FORGET: 13,
  /** Request succeeded. Its fields depend on the request. */
  OK: 14,
  /** Request failed: ERRNO (Linux number; ENOSYS for a type that is not known), MESSAGE (what was being done). */
  ERROR: 15,
  /** Bulk of file contents: u64 offset from the start of the transfer, bytes. Both. */
  DATA: 16,
  /** End of a stream of DATA or ENTRY frames. Both. */
  END: 17,
  /** From the host: give up the request of this stream; its temporary files are removed. No answer. */
  CANCEL: 18,
  /** One entry of a directory or a tree: NAME and the fields of a stat. In TREE_WRITE it comes from the host. Both. */
  ENTRY: 19,
  /** Something happened below a watched directory: CHANGE, NAME (relative to it; absent for `overflow`), TARGET (the new name of a `rename`), FILE_TYPE where it is known; CONTENT = 1: what came has been written already, by the agent or before it was found. */
  EVENT: 20,
  /** Request: PATH, USER?, OFFSET?, LENGTH?, RESUME? (what was received of that upload so far, instead of the file). Answered by OK (a stat), DATA… (which the host acknowledges), END. Only regular files: others are EINVAL and MESSAGE names the type. */
  FILE_READ: 32,
  /** Request: PATH, USER?, MODE?, PARENTS?. Answered by OK, then the host sends DATA… (acknowledged), END; answered by OK (a stat) once a temporary file was renamed into place. A symbolic link is written through. Owned by USER, or by the owner of what root replaces; MODE absent: that of the replaced file, or 0644. With UID and GID (both; only root, without RESUME) it is theirs in the end and from the start, and root's rights still decide; XATTR* (`user.…`) are set before it takes its place. With RESUME the temporary file is kept when the request ends in any way, and found again by the same PATH, USER and RESUME: the first OK carries OFFSET, how much it holds, and the first DATA has that offset; the host may ask to go on at a lower OFFSET (what is above is cut off; a higher one is EINVAL); at END it is renamed into place when it holds exactly SIZE bytes, else the OK carries OFFSET and no stat. One request at a time goes on with it: others are EBUSY; EEXIST: the name is another user's file. */
  FILE_WRITE: 33,
  /** Request: PATH, USER?, FOLLOW? (1 = what a symbolic link points to), ATTRIBUTES?. Answered by OK (a stat). */
  FILE_STAT: 34,
  /** Request: PATH, USER?, ATTRIBUTES?. Answered by ENTRY…, END. */
  FILE_LIST: 35,
  /** Request: PATH, USER?, MODE?, PARENTS? (1 = missing parents too, and an existing directory is no error), UID and GID? (both; only root: what is made belongs to them, and root's rights still decide). Answered by OK with CREATED per directory made, as many as fit a frame. */
  FILE_MKDIR: 36,
  /** Request: PATH, TARGET, USER?. Replaces a file at TARGET. Answered by OK. */
  FILE_RENAME: 37,
  /** Request: PATH, USER?, RECURSIVE? (1 = a directory's contents too, else it must be empty), RESUME? (what was received of that upload, instead of the file). Never follows a symbolic link nor enters another mount. Answered by OK. */
  FILE_REMOVE: 38,
  /** Request: PATH, USER?, MODE. Follows symbolic links. Answered by OK. */
  FILE_CHMOD: 39,
  /** Request: PATH, USER?, UID?, GID?. Follows symbolic links. Answered by OK. */
  FILE_CHOWN: 40,
  /** Request: PATH (a directory), USER?, RECURSIVE?. Answered by OK once it is watched, then EVENT… until CANCEL; nothing is acknowledged. Directories made later below a recursive watch are watched too, and what is in them already is told as `create`. Links are not followed, other mounts and directories that the user may not read not entered, and temporary files of the agent's own not told. What could not be told (the kernel's queue ran over because the host does not read, too many directories) is told as one CHANGE `overflow`, then it goes on. ERROR ends it; the directory's own removal or renaming (that of one above it only once something new has to be found by its path) is told as `remove` with an empty NAME, and END; a change of its mode has an empty NAME, too. */
  FILE_WATCH: 41,
  /** Request: PATH? (a directory, made when it is missing, that all names stay beneath, links followed or not; absent: each NAME is a path like that of FILE_WRITE, and a link in the place of a file is written through), USER?. Answered by OK; then the host sends per entry an ENTRY (NAME, FILE_TYPE: S_IFREG, S_IFDIR or S_IFLNK, MODE?, MTIME_NS?, SIZE, LINK) and, for a regular file, DATA of exactly SIZE bytes; then END. With PATH, names that are absolute or have a `..` in them are EINVAL, and what leads out through a link is EXDEV. Missing parents are made; files are replaced atomically (MODE absent: that of the replaced file, or 0644), a file or link replaces whatever is no directory, an existing directory is kept with its mode and time, one that is made gets its own at END. The offset of DATA and ACK counts the payload of ENTRY frames too; ACK comes when a quarter of the window has. Set-user-id and set-group-id bits are dropped. EXACT? (1; only root, with PATH): entries are as they say in everything: UID and GID, all bits of MODE, XATTR*, S_IFIFO too, and one with TARGET is a hard link to that name beneath PATH; a directory that is there already is changed to what its entry says, and replaces what is none; links are followed as if PATH were the root, other mounts not entered; SKIPPED in the answer counts attributes that could not be set. Answered by OK with COUNT (entries), SIZE (bytes of files) and CREATED (absolute paths of directories, as many as fit a frame); or by ERROR whose COUNT says how many entries were completed and NAME which one failed. */
  TREE_WRITE: 42,
  /** Request: PATH, USER?, DEPTH? (1 = the directory's own entries; absent: all), CONTENT? (1 = contents too), ATTRIBUTES?. Answered by OK (a stat of PATH, followed when it is a link), then ENTRY (NAME relative to PATH; that of a regular file at PATH is its last component), directories before what is in them, in the order of their names' bytes; with CONTENT each regular file is followed by DATA of exactly its SIZE (one that shrinks meanwhile is filled up with zeros and counted as skipped). The host acknowledges; offsets count the payload of ENTRY frames too. Links are not followed, other mounts not entered. END carries SKIPPED: entries that could not be read, whose path is too long, or, with CONTENT, that no archive can hold (all but files, directories and links; these are not told). EXACT? (1): entries carry XATTR* and, where a file has several names, FILE_ID; with CONTENT FIFOs are told, too. E2BIG: a directory of millions of entries. */
  TREE_READ: 43,
  /** Request: PORT. Connects to a TCP port of the sandbox's own loopback, IPv4 first, then IPv6. Answered by OK; then DATA, ACK and END (no more from this side) both ways; after END from both sides the stream is over. DATA may be sent before OK. CANCEL resets. ERROR: ECONNREFUSED and the like, ECONNRESET later. */
  DIAL: 44,
  /** Request: PATH (a regular file or a directory), USER?, XATTR* (set), REMOVED* (names of attributes to remove; one that is not there is no error). Only `user.…`; all names are looked at before anything is done, then they are done one by one, the removals last. Follows symbolic links. Answered by OK. EINVAL where MESSAGE names the type: neither file nor directory; E2BIG: more than MAX_XATTRS bytes; ENOTSUP: that file system has none. */
  FILE_ATTRIBUTES: 45,
} as const
export type FrameType = (typeof FrameType)[keyof typeof FrameType]

/** Flags of the header. */
export const Flag = {
  /** On OUTPUT: the bytes came from stderr. */
  STDERR: 1,
} as const

/** Field tags, one namespace for all messages. Numbers are never reused. */
export const Field = {
  GENERATION: 1,
  /** 16 random bytes made when the agent started: another value means another agent. */
  NONCE: 2,
  /** HELLO: id of a held execution; repeats. */
  EXECUTION: 3,
  ID: 4,
  ARG: 5,
  /** `KEY=value`; repeats. The agent adds HOME, USER, LOGNAME, SHELL and PATH when they are absent. */
  ENV: 6,
  CWD: 7,
  /** `name`, `uid`, `name:group` or `uid:gid`, looked up in the sandbox's own /etc/passwd and /etc/group. Absent: the agent's own user, container root. Relative paths begin at this user's home. */
  USER: 8,
  TTY_COLS: 9,
  TTY_ROWS: 10,
  STDIN: 11,
  PID: 12,
  OFFSET: 13,
  LENGTH: 14,
  EXIT_CODE: 15,
  SIGNAL: 16,
  /** 0 = the leader only, 1 = its process group, 2 = every descendant, those that left the group included. */
  SCOPE: 17,
  CPU_USEC: 18,
  /** Peak resident size of the leader and its waited-for children, in bytes. */
  MAX_RSS: 19,
  ERRNO: 20,
  MESSAGE: 21,
  PATH: 22,
  TARGET: 23,
  NAME: 24,
  MODE: 25,
  PARENTS: 26,
  RECURSIVE: 27,
  FOLLOW: 28,
  UID: 29,
  GID: 30,
  SIZE: 31,
  /** Modification time, nanoseconds since the epoch. */
  MTIME_NS: 32,
  /** `st_mode & S_IFMT`, the file's type. */
  FILE_TYPE: 33,
  /** A directory that the request made, outermost first; repeats. */
  CREATED: 34,
  /** What a symbolic link points to. */
  LINK: 35,
  /** Owner's name in the sandbox's /etc/passwd, when it has one. */
  OWNER: 36,
  /** Group's name in the sandbox's /etc/group, when it has one. */
  GROUP: 37,
  /** Name of a resumable upload: letters, digits, `_` and `-`, at most MAX_ID. */
  RESUME: 38,
  /** What happened: one of `Change`. */
  CHANGE: 39,
  DEPTH: 40,
  CONTENT: 41,
  COUNT: 42,
  SKIPPED: 43,
  PORT: 44,
  /** Trees as they are, for copies of a whole file system. */
  EXACT: 45,
  /** An extended attribute that is kept (`user.*`, `security.capability`): its name, NUL, its value; repeats. */
  XATTR: 46,
  /** Bytes that all names of one file have in common, and no other file of the tree. */
  FILE_ID: 47,
  /** 1: regular files and directories are told with XATTR* (only `user.…`, as many as fit MAX_XATTRS) and SKIPPED, how many could not be told; symbolic links with RESOLVED, RESOLVED_TYPE and RESOLVED_MODE, where they lead to something. */
  ATTRIBUTES: 48,
  /** The name of an attribute to remove; repeats. */
  REMOVED: 49,
  /** The path of what a symbolic link leads to, without links in it. */
  RESOLVED: 50,
  /** FILE_TYPE and MODE of what a symbolic link leads to. */
  RESOLVED_TYPE: 51,
  RESOLVED_MODE: 52,
} as const
export type Field = (typeof Field)[keyof typeof Field]

/** What can happen to a file, as a watch tells it. */
export const Change = {
  create: 1,
  write: 2,
  remove: 3,
  /** Within the watched tree; a file that leaves it is told as `remove`, one that comes in as `create`. */
  rename: 4,
  /** Mode, owner, times or attributes. */
  chmod: 5,
  /** Events were lost: look again. */
  overflow: 6,
} as const
export type Change = keyof typeof Change

export interface Frame {
  type: number
  flags: number
  stream: number
  payload: Uint8Array
}
