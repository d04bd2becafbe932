import { SandboxError } from '@caisson/protocol/errors'
import type { Sandbox } from '@caisson/protocol/resources'
import { newEvent } from '../core/events.ts'
import { sha256 } from '../core/ids.ts'
import { transition } from '../core/lifecycle.ts'
import type { Stage } from '../core/plan.ts'
import type { SandboxRecord } from '../core/records.ts'
import { refuseLater } from '../core/spec.ts'
import type { RuntimeImage } from '../storage/images/catalogue.ts'
import { Undo } from '../undo.ts'
import { connectLive, keepConnected } from './connection.ts'
import { type Context, join } from './context.ts'
import { FORGOTTEN_KEY } from './end-sandbox.ts'
import { nowOrLater } from './eventually.ts'
import { writeInitialFiles } from './files.ts'
import { Live } from './live.ts'
import { showSandbox } from './lookup.ts'
import { Meter } from './metering.ts'
import { attach, forget, networksOf } from './network/attach.ts'
import { createEvent, newRecord } from './new-record.ts'
import type { Once, UseCases } from './use-cases.ts'

type Input = Parameters<UseCases['createSandbox']>[0]
type Created = { sandbox: Sandbox; stages: Stage[] }

/** Creates a sandbox, or returns the one that the same idempotency key made. */
export async function createSandbox(
  context: Context,
  input: Input,
  options: Once = {},
  signal?: AbortSignal,
): Promise<Created> {
  const { live, stages } = await createLive(context, input, 'interactive', options, signal)
  return { sandbox: showSandbox(context, live.record), stages }
}

export async function createLive(
  context: Context,
  input: Input,
  mode: SandboxRecord['mode'],
  options: Once,
  signal?: AbortSignal,
): Promise<{ live: { record: SandboxRecord }; stages: Stage[] }> {
  const key = options.idempotencyKey
  if (key === undefined) return create(context, input, mode, null, signal)
  const digest = sha256(JSON.stringify(input))
  // A repeat that comes while the first is under way waits for it; one that comes later finds its record.
  const first = await join(context, `create ${key}`, async () => {
    const known = await context.store.sandboxes.findByIdempotencyKey(key)
    if (known === null) return { digest, ...(await create(context, input, mode, { key, digest }, signal)) }
    return {
      digest: known.requestDigest,
      live: { record: context.live.get(known.id)?.record ?? known },
      stages: [],
    }
  })
  if (first.digest !== digest) throw new SandboxError('idempotency_conflict', { key })
  return first
}

async function create(
  context: Context,
  input: Input,
  mode: SandboxRecord['mode'],
  once: { key: string; digest: string } | null,
  signal?: AbortSignal,
): Promise<{ live: Live; stages: Stage[] }> {
  if (context.stopping) throw new SandboxError('shutting_down', {})
  refuseLater(input)
  const image = await resolveImage(context, input.runtime)
  const record = newRecord(context, input, mode, image, once)
  return join(context, `creating ${record.id}`, () =>
    build(context, record, image, input.files ?? [], signal),
  )
}

/** A driver without images runs commands on what the host has, so there is no runtime to choose. */
async function resolveImage(
  { driver, images }: Context,
  runtime: string | undefined,
): Promise<RuntimeImage | null> {
  if (driver.roots.includes('overlay')) return images.resolve(runtime ?? 'base:latest')
  if (runtime === undefined) return null
  throw new SandboxError('not_supported', {
    what: `runtime "${runtime}"`,
    reason: `the ${driver.name} driver has no images`,
  })
}

/** Acquires step by step; a failure undoes what was acquired and leaves a record that says so. */
async function build(
  context: Context,
  record: SandboxRecord,
  image: RuntimeImage | null,
  files: NonNullable<Input['files']>,
  signal?: AbortSignal,
): Promise<{ live: Live; stages: Stage[] }> {
  const clock = new Stopwatch()
  const { store, layers, driver, failpoint } = context
  await using undo = new Undo()
  undo.add(() => context.idBases.delete(record.idBase))
  // The first sandbox with a network waits for the router; a failure is told where it is needed.
  if (record.network !== null)
    networksOf(context)
      .router.open()
      .catch(() => {})
  // Durable against the server's death is enough until it is acknowledged: a power cut leaves nothing that runs.
  await store.sandboxes.insert(record, { durability: 'process', events: [createEvent(record, files.length)] })
  failpoint('create:recorded')
  clock.lap('record')
  let stage = 'storage'
  try {
    undo.add(() => nowOrLater(context, { sandbox: record.id }, () => layers.remove(record.id)))
    const root = await layers.prepare(record.id, image, signal)
    failpoint('create:prepared')
    clock.lap(stage)
    stage = 'driver'
    undo.add(() => nowOrLater(context, { sandbox: record.id }, () => driver.stop(record.id)))
    const limits = record.granted
    const stages = await driver.start(
      {
        id: record.id,
        hostname: record.name ?? record.id.replaceAll('_', '-'),
        idBase: record.idBase,
        root,
        limits,
      },
      signal,
    )
    failpoint('create:started')
    clock.add(stages)
    clock.lap(stage)
    stage = 'agent'
    const live = new Live(record)
    live.meter = Promise.resolve(new Meter({ executions: 0, cpuUsec: 0, egressBytes: 0 }, live.since))
    undo.add(() => live.ended('its creation failed'))
    undo.add(() => forget(context, record.id))
    const [, attached] = await bothOver(connectLive(context, live, signal), attachTimed(context, record))
    failpoint('create:connected')
    clock.add(attached.stages)
    clock.lap(stage)
    stage = 'files'
    if (files.length > 0) {
      await writeInitialFiles(context, live, files, signal)
      clock.lap(stage)
    }
    signal?.throwIfAborted()
    // A one-shot sandbox is tied to its request, which a power cut ends too.
    live.record = await store.sandboxes.update(
      record.id,
      {
        state: transition(record, 'started'),
        rulesDigest: attached.rulesDigest,
        lastActiveAt: Date.now(),
      },
      {
        durability: record.mode === 'oneshot' ? 'process' : 'power',
        events: [newEvent(record.id, 'lifecycle:started', { runtime: record.runtime })],
      },
    )
    clock.lap('commit')
    undo.keep()
    context.live.set(record.id, live)
    // The connection may have broken before anybody looked after it.
    void keepConnected(context, live)
    context.reschedule()
    failpoint('create:acknowledged')
    return { live, stages: clock.stages }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const ending = { reason: 'create-failed' as const, message: `${stage}: ${reason}` }
    undo.add(() =>
      nowOrLater(context, { sandbox: record.id }, () =>
        store.sandboxes.update(
          record.id,
          { state: transition(record, 'fail'), endedAt: Date.now(), ending, ...FORGOTTEN_KEY },
          { events: [newEvent(record.id, 'lifecycle:failed', ending)] },
        ),
      ),
    )
    context.log.warn({ sandbox: record.id, stage, err: error }, 'create failed')
    if (error instanceof SandboxError || signal?.aborted) throw error
    throw new SandboxError('create_failed', { sandbox: record.id, stage, reason }, { cause: error })
  }
}

/** The network is made while the agent greets. */
async function attachTimed(
  context: Context,
  { id, network }: SandboxRecord,
): Promise<Pick<SandboxRecord, 'rulesDigest'> & { stages: Stage[] }> {
  if (network === null) return { rulesDigest: null, stages: [] }
  const began = performance.now()
  const rulesDigest = await attach(context, id, network).catch((cause) => {
    if (!SandboxError.is(cause, 'internal')) throw cause
    const reason = cause.details.request
    throw new SandboxError('create_failed', { sandbox: id, stage: 'network', reason }, { cause })
  })
  return { rulesDigest, stages: [{ name: 'network', ms: performance.now() - began }] }
}

/** Both results, or the first failure when neither is under way any more, so that nothing is undone too early. */
async function bothOver<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b])
  return Promise.all([a, b])
}

/** Collects the stages of a create; `add` takes those that a layer below measured itself. */
class Stopwatch {
  readonly stages: Stage[] = []
  #last = performance.now()

  lap(name: string): void {
    const now = performance.now()
    this.stages.push({ name, ms: now - this.#last })
    this.#last = now
  }

  add(stages: Stage[]): void {
    this.stages.push(...stages)
  }
}
