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
  /** Host uids and gids of one sandbox. */
  ID_COUNT: 65_536,
  /** Operations that run at once; later ones wait in order. */
  MAX_WORKERS: 8,
  /** Of them, tree removals. */
  MAX_REMOVERS: 2,
  MAX_CONNECTIONS: 32,
  /** Requests that wait or run, of all connections. */
  MAX_REQUESTS: 4096,
  /** Below this the runtime itself does not start. */
  MIN_MEMORY: 16_777_216,
} as const

export const Message = {
  /** Launcher, once per connection: GENERATION, PID, CGROUP per hierarchy. */
  HELLO: 1,
  /** Request: ID, HOSTNAME, ID_BASE, ROOT_KIND, LOWER* (overlay, topmost first), MEMORY, CPU, PIDS. OK: PID, START_TIME, STAGE*. A failed start leaves nothing behind. */
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
  /** In the answer to LIST: ID, STATE, PID and START_TIME when it runs, WAIT_STATUS when it is known. */
  SANDBOX: 12,
} as const

export const Tag = {
  GENERATION: 1,
  PID: 2,
  /** `<controller>\t<1 or 2>\t<directory of the instance>`; a sandbox's own directory beneath it is its id. */
  CGROUP: 3,
  ID: 4,
  HOSTNAME: 5,
  ID_BASE: 6,
  /** 1 = overlay over LOWERs with `sandboxes/<id>/{upper,work}`, 2 = the directory `sandboxes/<id>/rootfs`. */
  ROOT_KIND: 7,
  /** `images/<path>`: a path beneath the images directory. */
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
} as const

export const RootKind = { OVERLAY: 1, DIRECTORY: 2 } as const
export const SandboxState = { STARTING: 1, RUNNING: 2, ENDING: 3, ENDED: 4 } as const
