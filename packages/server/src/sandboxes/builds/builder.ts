import { SandboxError } from '@caisson/protocol/errors'
import type { RuntimeImage } from '../../storage/images/catalogue.ts'
import type { Context } from '../context.ts'
import { createLive } from '../create-live.ts'
import { endSandbox } from '../end-sandbox.ts'
import { lastLines } from '../last-lines.ts'
import { start } from '../launch-execution.ts'
import type { Live } from '../live.ts'
import { networksOf } from '../network/attach.ts'
import { followOutput } from '../output.ts'
import { savesOf, withNewSave } from '../saved/saves.ts'
import type { Progress } from './shared.ts'
import { BUILD_DIR, CA_BUNDLE, NO_SURROUNDINGS, type Surroundings, surroundingsOf } from './surroundings.ts'

/** A step that takes longer has gone wrong. */
const STEP_TIMEOUT = '30m'
/** Longest output of a step that is read. */
const MAX_OUTPUT = 32 * 1024 * 1024
/** Of a failed step's output, so much is told. */
const LOG_LINES = 15

/** What a sandbox that builds is made from, and what for. */
export interface Wanted {
  /** In words, with which an error begins: `Runtime "node:lts"`. */
  what: string
  image: RuntimeImage
  /** Saves above those of the image, topmost first. */
  layers: string[]
  /** URLs of what it may reach; none: it has no network. */
  sources: string[]
}

/** What a command is given beside its arguments. */
export interface StepOptions {
  /** Default: root. */
  user?: string
  env?: Record<string, string>
  input?: string
}

/**
 * A sandbox in which something is built. Whatever runs in it may be hostile: it reaches the operator's mirrors and
 * registries and nothing else, and nothing of it is run outside.
 */
export class Builder {
  readonly surroundings: Surroundings
  readonly #context: Context
  readonly #live: Live
  readonly #wanted: Wanted
  readonly #signal: AbortSignal | undefined

  constructor(
    context: Context,
    live: Live,
    wanted: Wanted,
    surroundings: Surroundings,
    signal?: AbortSignal,
  ) {
    this.#context = context
    this.#live = live
    this.#wanted = wanted
    this.surroundings = surroundings
    this.#signal = signal
  }

  /**
   * Runs a command to its end. @returns what it wrote to stdout
   * @throws SandboxError `build_failed` with the end of its output when its exit code is not 0
   */
  async run(argv: string[], options: StepOptions = {}): Promise<string> {
    const { code, stdout, log, message } = await this.#execute(argv, options)
    if (code === 0) return stdout
    const how = code === null ? (message ?? 'it was ended') : `exit code ${code}`
    throw this.failed(`"${argv.slice(0, 3).join(' ').slice(0, 80)}" failed with ${how}`, log)
  }

  /** Whether a command ends with 0. */
  async succeeds(argv: string[]): Promise<boolean> {
    return (await this.#execute(argv, {})).code === 0
  }

  /** @param args come to the script as $1, $2 … and are never part of its text */
  script(text: string, args: string[] = [], options: StepOptions = {}): Promise<string> {
    return this.run(['/bin/sh', '-eu', '-c', text, 'build', ...args], options)
  }

  failed(reason: string, log: string): SandboxError {
    return new SandboxError('build_failed', { what: this.#wanted.what, reason, log })
  }

  /** Keeps what is in the sandbox's own files now, without the traces of the build. `record` names the save. */
  async keep<T>(record: (save: string) => Promise<T>): Promise<T> {
    await this.script(CLEAN, [BUILD_DIR])
    return withNewSave(this.#context, { passing: false }, async (save) => {
      await savesOf(this.#context).save(this.#live.id, save, this.#signal)
      this.#context.failpoint('layer:saved')
      return record(save)
    })
  }

  async #execute(argv: string[], { user = 'root', env = {}, input }: StepOptions) {
    this.#signal?.throwIfAborted()
    const running = await start(
      this.#context,
      this.#live,
      {
        argv,
        user,
        cwd: '/',
        env: { ...this.surroundings.env, ...env },
        timeout: STEP_TIMEOUT,
        outputLimit: MAX_OUTPUT,
        ...(input !== undefined && { input }),
      },
      null,
    )
    const pieces: { stream: string; data: Buffer }[] = []
    for await (const { stream, data } of followOutput(this.#context, running, { offset: 0 }, this.#signal)
      .chunks)
      pieces.push({ stream, data: Buffer.from(data) })
    const ended = await running.ended
    const text = (chosen: typeof pieces) => Buffer.concat(chosen.map(({ data }) => data)).toString('utf8')
    return {
      code: ended.exitCode,
      message: ended.message,
      stdout: text(pieces.filter(({ stream }) => stream === 'stdout')),
      log: lastLines(text(pieces), LOG_LINES),
    }
  }
}

/** What package managers and this build leave that is of no use to anybody else. */
const CLEAN = `
rm -rf "$1" /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/* \
  /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/log/alternatives.log /var/cache/debconf/*-old \
  /root/.npm /root/.cache /root/.bun /tmp/* /tmp/.[!.]*
sync
`

/** Prepares a builder, lets `work` use it, and ends it. @throws SandboxError `not_supported`, `build_failed` */
export async function withBuilder<T>(
  context: Context,
  wanted: Wanted,
  work: (builder: Builder) => Promise<T>,
  progress: Progress,
  signal?: AbortSignal,
): Promise<T> {
  progress('starting a builder sandbox')
  const { image, layers, sources } = wanted
  const surroundings = sources.length === 0 ? NO_SURROUNDINGS : await surroundingsOf(context.config, sources)
  const hasNetwork = sources.length > 0
  if (hasNetwork) await networksOf(context).router.vouch(surroundings.network.vouched)
  const made = {
    image,
    layers,
    from: null,
    record: { internal: 'build' as const, network: hasNetwork ? surroundings.network : null },
  }
  const input = { metadata: { caisson: 'build' }, idleTimeout: 0, description: wanted.what }
  const { live } = await createLive(context, input, 'oneshot', made, signal)
  try {
    const builder = new Builder(context, live, wanted, surroundings, signal)
    if (surroundings.certificates !== null)
      await builder.script('mkdir -p "$1" && cat >"$2"', [BUILD_DIR, CA_BUNDLE], {
        input: surroundings.certificates,
      })
    return await work(builder)
  } finally {
    await endSandbox(context, live.record, 'completed').catch((err) =>
      context.log.error({ sandbox: live.id, err }, 'a builder sandbox could not be ended at once'),
    )
  }
}
