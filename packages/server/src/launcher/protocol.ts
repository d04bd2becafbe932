/**
 * What the server and the launcher say to each other, generation 1. Frames and fields are those of the agent
 * protocol (packages/protocol/src/frames.ts); message and field numbers are the launcher's own and are written to
 * `native/launcher/launcher.gen.h` by `npm run gen`.
 *
 * The launcher greets each connection with HELLO. The client numbers its requests (`stream`, from 1); each is
 * answered once, by OK or by ERROR on the same stream, in any order. ENDED comes on stream 0 at any time, to
 * every connection. A request goes on when its connection closes.
 */

export const LAUNCHER_GENERATION = 1

export const LAUNCHER_LIMITS = {
  /** Longest sandbox id and instance name; ids match `[a-z0-9_]{1,64}`. */
  MAX_ID: 64,
  MAX_HOSTNAME: 63,
  /** Longest path in a message. */
  MAX_PATH: 1024,
  MAX_LOWERS: 32,
  /** Volumes of one sandbox. */
  MAX_VOLUMES: 32,
  /** Host uids and gids of one sandbox. */
  ID_COUNT: 65_536,
  /** Operations that run at once; later ones wait in order. */
  MAX_WORKERS: 8,
  /** Of them, tree removals. */
  MAX_REMOVERS: 2,
  MAX_CONNECTIONS: 32,
  /** Requests that wait or run, of all connections. */
  MAX_REQUESTS: 4096,
  /** Ranges in one field of RULES; PINs in one PIN. */
  MAX_RANGES: 4096,
  MAX_PINS: 256,
  /** Interfaces of sandboxes, and with them the addresses of a router. */
  MAX_SLOTS: 4000,
  /** Below this the runtime itself does not start. */
  MIN_MEMORY: 16_777_216,
} as const

export const Message = {
  /** Launcher, once per connection: GENERATION, PID, CGROUP per hierarchy. */
  HELLO: 1,
  /** Request: ID, HOSTNAME, ID_BASE, ROOT_KIND, LOWER* (overlay, topmost first), MEMORY, CPU, PIDS, VOLUME_MOUNT*, DUMP? (its processes come from there instead of being started; not together with volumes). OK: PID, START_TIME, STAGE*. A failed start leaves nothing behind. */
  START: 2,
  /** Request: ID. Kills every process of the sandbox, waits for them, removes its cgroups and socket. Nothing to do for an unknown id. */
  DELETE: 3,
  /** Request: answered by a SANDBOX per id, then OK. */
  LIST: 4,
  /** Request: ID. Makes `sandboxes/<id>/{upper,work}` for container root; fails when it exists. */
  MAKE_DIRS: 5,
  /** Request: PATH. Moves the tree into `trash/`, answers, then deletes it. A path in `trash/` is answered when it is gone. */
  REMOVE_TREE: 6,
  /** Request. OK: ABILITY per thing tried. */
  CHECK: 7,
  /** Request: the launcher ends once no operation is under way; sandboxes go on. */
  SHUTDOWN: 8,
  OK: 9,
  /** ERRNO (Linux number), STEP (what was being done), TEXT (details, for people). */
  ERROR: 10,
  /** Event: ID, WAIT_STATUS when known. Remembered, and shown by LIST, until DELETE. */
  ENDED: 11,
  /** In the answer to LIST: ID, STATE, FROZEN?, PID and START_TIME when it runs, WAIT_STATUS when it is known. */
  SANDBOX: 12,
  /** Request: makes the router unless it is there. PERMIT*, HOST* replace what an earlier request said. OK: ADDRESS4, ADDRESS6?. */
  NETWORK: 13,
  /** Request: ID, UPLOAD?, DOWNLOAD?, CONNECTIONS?. Gives a running sandbox an interface without rules. OK: ADDRESS4, ADDRESS6?; the same for one that has it. */
  PLUG: 14,
  /** Request: ID. Takes the interface away; DELETE does so too. Nothing to do without one. */
  UNPLUG: 15,
  /** Request: ID, ALLOW4?, ALLOW6?, NAMED4?, NAMED6?, BY_NAME?, PIN*. Replaces all rules and pins of a sandbox in one step, and has its open connections judged anew. */
  RULES: 16,
  /** Request: ID, PIN+. Answered when they are in force. */
  PIN: 17,
  /** Request: ID?. Answered by a PLUGGED per interface, or for the one that is named, then OK. */
  TRAFFIC: 18,
  /** In the answer to TRAFFIC: ID, ADDRESS4, ADDRESS6?, UP, DOWN. */
  PLUGGED: 19,
  /** Event: ID, KIND, DATA. Bounded in number; what is too much is not told. */
  PACKET: 20,
  /** Request: ID, PROTOCOL, PORT. Who in the sandbox holds the socket with this local port. OK: PID (as the sandbox counts) and COMMAND, or neither. */
  OWNER: 21,
  /** Request: MAX. Opens the storage pool, and makes it when it is not there; what it may grow to is replaced. OK: KIND (1 = a mounted file, 2 = the data directory's own btrfs), SIZE, USED, MAX, QUOTAS. */
  POOL: 22,
  /** Request: ID, FROM?, QUOTA?. Makes the root of a sandbox in the pool: empty, or a copy of the save FROM. Whole or not at all; fails when it exists. */
  MAKE_ROOT: 23,
  /** Request: ID, SAVE. Makes an immutable copy of a root. Fails when the save exists. */
  SAVE: 24,
  /** Request: ID, FROM, QUOTA?. Puts the root of a sandbox that does not run back to a save; safe to repeat. */
  REPLACE_ROOT: 25,
  /** Request: ID, SAVE or VOLUME. Removes a root, a save or a volume from the pool. Nothing to do when absent; EBUSY for a sandbox that has not ended and for a volume that one has mounted. */
  REMOVE_FROM_POOL: 26,
  /** Request: ID, PATH (relative to the root), OPAQUE?. Removes from the root of a sandbox that does not run everything it wrote outside that directory; safe to repeat. */
  KEEP_ONLY: 27,
  /** Request: answered by an ENTRY per root, save and volume of the pool and per dump, then OK. */
  LIST_POOL: 28,
  /** In the answer to LIST_POOL: ID, SAVE, VOLUME or DUMP, and BYTES that it holds for itself. */
  ENTRY: 29,
  /** Request: SAVE. OK: BYTES of its regular files, FILES (its entries). */
  MEASURE: 30,
  /** Request: ID. Answered when no process of the sandbox runs. */
  FREEZE: 31,
  /** Request: ID. Nothing to do for one that is not frozen or not there. */
  THAW: 32,
  /** Request: ID, DUMP, END?, SAVE?. Writes a frozen sandbox's processes to `dumps/<DUMP>`, whole or not at all; with END they are gone afterwards, without ENDED; with SAVE its root is saved in the same moment. OK: BYTES. */
  DUMP: 33,
  /** Request: DUMP. Nothing to do when absent. */
  REMOVE_DUMP: 34,
  /** Request: VOLUME, QUOTA?. Makes an empty directory of the pool that sandboxes can have mounted, with mode 0777. Whole or not at all; fails when it exists. */
  MAKE_VOLUME: 35,
} as const

export const Tag = {
  GENERATION: 1,
  PID: 2,
  /** `<controller>\t<1 or 2>\t<directory of the instance>`; a sandbox's own directory beneath it is its id. */
  CGROUP: 3,
  ID: 4,
  HOSTNAME: 5,
  ID_BASE: 6,
  /** 1 = overlay over LOWERs with `sandboxes/<id>/{upper,work}`, 2 = the directory `sandboxes/<id>/rootfs`, 3 = overlay over LOWERs with the root of the pool, or without LOWERs that root's own directory. */
  ROOT_KIND: 7,
  /** `images/<path>`: a path beneath the images directory; `saves/<save>`: a save of the pool. */
  LOWER: 8,
  /** Bytes. */
  MEMORY: 9,
  /** Thousandths of a CPU. */
  CPU: 10,
  PIDS: 11,
  /** Of the init, in clock ticks since boot (field 22 of /proc/<pid>/stat). */
  START_TIME: 12,
  /** `<name>\t<microseconds>` of one step of START. */
  STAGE: 13,
  /** 1 = starting, 2 = running, 3 = being ended, 4 = ended. */
  STATE: 14,
  /** As `wait(2)` gives it. Absent when the sandbox was started by an earlier launcher. */
  WAIT_STATUS: 15,
  PATH: 16,
  ERRNO: 17,
  STEP: 18,
  TEXT: 19,
  /** `<name>\t<ok or missing>\t<detail>`. */
  ABILITY: 20,
  /** A private range (CIDR) that rules may open. */
  PERMIT: 21,
  /** An address of the host. */
  HOST: 22,
  /** Text. Of the router's uplink on the host's side, or of a sandbox. */
  ADDRESS4: 23,
  ADDRESS6: 24,
  /** Bytes per second. */
  UPLOAD: 25,
  DOWNLOAD: 26,
  CONNECTIONS: 27,
  /** Ranges one after the other, ascending and disjoint: first and last address, 8 or 32 bytes each. */
  ALLOW4: 28,
  ALLOW6: 29,
  NAMED4: 30,
  NAMED6: 31,
  BY_NAME: 32,
  /** u32 seconds, u16 port (little-endian both), address of 4 or 16 bytes. */
  PIN: 33,
  /** Bytes that the sandbox has sent and received. */
  UP: 34,
  DOWN: 35,
  /** 1 = refused by rules, 2 = too many connections, 3 = QUIC or DNS over TLS where names decide, 4 = new and allowed. */
  KIND: 36,
  /** The beginning of an IP packet. */
  DATA: 37,
  /** 6 = TCP, 17 = UDP. */
  PROTOCOL: 38,
  PORT: 39,
  /** As the kernel keeps it: at most 15 bytes, chosen by the guest. */
  COMMAND: 40,
  /** Id of a save, of a dump: as sandbox ids. */
  SAVE: 41,
  FROM: 42,
  DUMP: 43,
  /** Bytes; absent: no limit. */
  QUOTA: 44,
  SIZE: 45,
  USED: 46,
  MAX: 47,
  /** 1: limits are enforced. */
  QUOTAS: 48,
  BYTES: 49,
  FILES: 50,
  END: 51,
  /** 1: none of its processes runs. */
  FROZEN: 52,
  /** 1: nothing of what lies beneath the directory is seen in it any more. */
  OPAQUE: 53,
  /** Id of a volume: as sandbox ids. */
  VOLUME: 54,
  /** `<volume>\t<ro or rw>\t<path>`: where a sandbox sees a volume. Absolute, no part empty, `.` or `..`, nothing that a sandbox needs itself, no two beneath one another. */
  VOLUME_MOUNT: 55,
} as const

export const RootKind = { OVERLAY: 1, DIRECTORY: 2, POOL: 3 } as const
export const PacketKind = { REFUSED: 1, CONNECTIONS: 2, BY_NAME: 3, NEW: 4 } as const
export const SandboxState = { STARTING: 1, RUNNING: 2, ENDING: 3, ENDED: 4 } as const
