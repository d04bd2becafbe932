import { SandboxError } from '@caisson/protocol/errors'
import type { ExecutionRecord } from '../../core/records.ts'
import type { FileStat, GuestFiles } from '../../guest/guest.ts'
import { filesOf } from '../archives/scratch.ts'
import { BUILD_DIR } from '../builds/surroundings.ts'
import type { Context } from '../context.ts'
import { start } from '../launch-execution.ts'
import type { Live } from '../live.ts'
import { LineCutter } from '../log-lines.ts'
import { followOutput } from '../output.ts'
import type { BuildLog } from './build-log.ts'
import type { StepState } from './step-state.ts'

/** A step that takes longer has gone wrong. */
const STEP_TIMEOUT = '30m'
/** Longest output of a command that is read. */
const MAX_OUTPUT = 32 * 1024 * 1024
const SMALL_OUTPUT = 64 * 1024

/** $1 the user. Whatever of the two an image has. */
const MAKE_USER = `
id -u "$1" >/dev/null 2>&1 && exit 0
shell=/bin/sh
[ ! -x /bin/bash ] || shell=/bin/bash
if command -v useradd >/dev/null 2>&1; then useradd -m -s "$shell" "$1"
elif command -v adduser >/dev/null 2>&1; then adduser -D -s "$shell" "$1"
else echo "the image has no user $1, and neither useradd nor adduser to make one" >&2; exit 1
fi
[ ! -d /etc/sudoers.d ] || { echo "$1 ALL=(ALL) NOPASSWD:ALL" >"/etc/sudoers.d/$1"; chmod 440 "/etc/sudoers.d/$1"; }`

/** A step that cannot be done, in a sentence. */
export class StepFailure extends Error {}

/** The sandbox in which a template is built. Whatever runs in it may be hostile: nothing of it is used outside. */
export class Workshop {
  readonly context: Context
  readonly live: Live
  readonly signal: AbortSignal
  readonly #log: BuildLog
  /** For all that runs while it is built, and no longer. */
  readonly #env: Record<string, string>
  readonly #homes = new Map<string | null, string>()
  #shell: string[] | undefined

  constructor(
    context: Context,
    live: Live,
    { log, env, signal }: { log: BuildLog; env: Record<string, string>; signal: AbortSignal },
  ) {
    this.context = context
    this.live = live
    this.signal = signal
    this.#log = log
    this.#env = env
  }

  get files(): Promise<GuestFiles> {
    return filesOf(this.context, this.live)
  }

  note(message: string): void {
    this.#log.add('info', message)
  }

  /** Runs a shell command to its end; its output becomes entries of the log. @throws StepFailure */
  async run(command: string, { env, user, workdir }: StepState): Promise<void> {
    const argv = [...(await this.#shellOf()), command]
    const lines = new LineCutter()
    let last = ''
    const tell = ({ stream, bytes }: { stream: string; bytes: Buffer }) => {
      const text = bytes.toString('utf8').trimEnd()
      if (text !== '') last = text
      this.#log.add(stream === 'stderr' ? 'warn' : 'info', text)
    }
    const where = { ...(user !== null && { user }), ...(workdir !== null && { cwd: workdir }) }
    const ended = await this.#execute({ argv, env, ...where, outputLimit: MAX_OUTPUT }, (chunk) => {
      for (const piece of lines.push(chunk)) tell(piece)
    })
    for (const piece of lines.end()) tell(piece)
    if (ended.exitCode !== 0) throw new StepFailure(whyFailed(ended, last))
  }

  async makeUser(user: string): Promise<void> {
    // A number, or one with a group, is taken as it is.
    if (!/^[a-z_][a-z0-9_-]*$/i.test(user)) return
    const { output, ended } = await this.#small(['/bin/sh', '-c', MAKE_USER, 'user', user], 'root')
    if (ended.exitCode !== 0) throw new StepFailure(`The user ${user} could not be made: ${output.trim()}`)
    this.#homes.clear()
  }

  /** With those above it that are missing. What is there stays as it is. */
  async makeDirectory(path: string, user: string | null): Promise<void> {
    const files = await this.files
    const created = await files.mkdir(path, { parents: true }, this.signal)
    const owner = created.length === 0 ? null : await this.ownerOf(user)
    for (const each of created) await files.chown(each, owner!.uid, owner!.gid, {}, this.signal)
  }

  /** null: there is nothing. */
  async stat(path: string): Promise<FileStat | null> {
    const files = await this.files
    return files.stat(path, { follow: true }, this.signal).catch((error) => {
      if (SandboxError.is(error, 'file_not_found') || SandboxError.is(error, 'file_wrong_type')) return null
      throw error
    })
  }

  /** The numbers of a user, `user` or `user:group`, as the sandbox knows it: those of what it makes. */
  async ownerOf(user: string | null): Promise<{ uid: number; gid: number }> {
    const files = await this.files
    const probe = `${BUILD_DIR}/owner`
    await files.mkdir(BUILD_DIR, { parents: true }, this.signal)
    // Whoever it is makes something in here.
    await files.chmod(BUILD_DIR, 0o1777, {}, this.signal)
    await files.remove(probe, { recursive: true }, this.signal).catch(unlessAbsent)
    await files.mkdir(probe, user === null ? {} : { user }, this.signal)
    const { uid, gid } = await files.stat(probe, {}, this.signal)
    await files.remove(probe, { recursive: true }, this.signal)
    return { uid, gid }
  }

  async homeOf(user: string | null): Promise<string> {
    const known = this.#homes.get(user)
    if (known !== undefined) return known
    const { output } = await this.#small(['/bin/sh', '-c', 'printf %s "$HOME"'], user)
    const home = output.startsWith('/') ? output : '/'
    this.#homes.set(user, home)
    return home
  }

  /** What builds have for themselves goes, and stays out of what is saved. */
  async clean(): Promise<void> {
    const files = await this.files
    await files.remove(BUILD_DIR, { recursive: true }, this.signal).catch(unlessAbsent)
  }

  async #shellOf(): Promise<string[]> {
    this.#shell ??=
      (await this.stat('/bin/bash')) === null
        ? ['/bin/sh', '-e', '-c']
        : ['/bin/bash', '-e', '-o', 'pipefail', '-c']
    return this.#shell
  }

  async #small(argv: string[], user: string | null): Promise<{ output: string; ended: ExecutionRecord }> {
    const pieces: Buffer[] = []
    const input = { argv, env: {}, cwd: '/', outputLimit: SMALL_OUTPUT, ...(user !== null && { user }) }
    const ended = await this.#execute(input, ({ data }) => pieces.push(Buffer.from(data)))
    return { output: Buffer.concat(pieces).toString('utf8'), ended }
  }

  async #execute(
    input: Parameters<typeof start>[2] & { env: Record<string, string> },
    onChunk: (chunk: Parameters<LineCutter['push']>[0]) => void,
  ): Promise<ExecutionRecord> {
    const { context, live, signal } = this
    signal.throwIfAborted()
    const asked = { ...input, env: { ...this.#env, ...input.env }, timeout: STEP_TIMEOUT }
    const running = await start(context, live, asked, null)
    const { chunks } = followOutput(context, running, { offset: 0 }, signal)
    for await (const chunk of chunks) onChunk(chunk)
    signal.throwIfAborted()
    return running.ended
  }
}

function whyFailed({ exitCode, message }: ExecutionRecord, last: string): string {
  const how =
    exitCode === null ? (message ?? 'The command was ended.') : `The command exited with code ${exitCode}.`
  return last === '' ? how : `${how} Its last line: ${last.slice(0, 500)}`
}

function unlessAbsent(error: unknown): void {
  if (!SandboxError.is(error, 'file_not_found')) throw error
}
