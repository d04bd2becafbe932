import { SandboxError } from '@caisson/protocol/errors'
import { newEvent } from '../core/events.ts'
import { transition } from '../core/lifecycle.ts'
import type { Stage } from '../core/plan.ts'
import type { SandboxRecord, VolumeUse } from '../core/records.ts'
import type { RuntimeImage } from '../storage/images/catalogue.ts'
import { Undo } from '../undo.ts'
import { boot, foreseeNetwork } from './boot.ts'
import { followHeld, keepConnected } from './connection.ts'
import { type Context, join } from './context.ts'
import { FORGOTTEN_KEY } from './end-sandbox.ts'
import { nowOrLater } from './eventually.ts'
import { writeInitialFiles } from './files.ts'
import type { Live } from './live.ts'
import { Meter } from './metering.ts'
import { createEvent, newRecord } from './new-record.ts'
import { endExecutions, startProgram } from './start-program.ts'
import { Stopwatch } from './stopwatch.ts'
import type { UseCases } from './use-cases.ts'

export type CreateInput = Parameters<UseCases['createSandbox']>[0]

/** What a sandbox is made of, found out from what was asked for. */
export interface Made {
  /** null: it has no image, and begins with an empty root. */
  image: RuntimeImage | null
  /** Saves between the image and its own files, topmost first; those of the image not counted. */
  layers: string[]
  /** The save that its own files begin as. */
  from: string | null
  /** Absent: none. */
  volumes?: VolumeUse[]
  /** Granted when none are asked for, before the server's own defaults. */
  resources?: { memory?: string; cpu?: string; disk?: string }
  /** What its record says instead of what follows from the input. */
  record?: Partial<SandboxRecord>
  /**
   * Of the same moment as the save that it begins as there are: processes, or a program that it would start otherwise.
   * Absent: neither.
   */
  memory?: 'processes' | 'program'
  /** Its processes come from here. */
  dump?: string
  /** What it is made of when its program can not be gone on with. */
  anew?: Made
}

/** Makes a sandbox that runs. A failure leaves nothing but a record that says so. */
export async function createLive(
  context: Context,
  input: CreateInput,
  mode: SandboxRecord['mode'],
  made: Made,
  signal?: AbortSignal,
  once: { key: string; digest: string } | null = null,
): Promise<{ live: Live; stages: Stage[] }> {
  if (context.stopping) throw new SandboxError('shutting_down', {})
  const record = newRecord(context, input, mode, made, once)
  return join(context, `creating ${record.id}`, () => build(context, record, made, input.files ?? [], signal))
}

/** Acquires step by step; a failure undoes what was acquired and leaves a record that says so. */
async function build(
  context: Context,
  record: SandboxRecord,
  made: Made,
  files: NonNullable<CreateInput['files']>,
  signal?: AbortSignal,
): Promise<{ live: Live; stages: Stage[] }> {
  const clock = new Stopwatch()
  const { store, layers, failpoint } = context
  await using undo = new Undo()
  undo.add(() => context.idBases.delete(record.idBase))
  foreseeNetwork(context, record)
  // Durable against the server's death is enough until it is acknowledged: a power cut leaves nothing that runs.
  await store.sandboxes.insert(record, { durability: 'process', events: [createEvent(record, files.length)] })
  failpoint('create:recorded')
  clock.lap('record')
  let stage = 'storage'
  try {
    undo.add(() => nowOrLater(context, { sandbox: record.id }, () => layers.remove(record.id)))
    const { image, from, dump } = made
    const wanted = { image, layers: made.layers, from, diskBytes: record.granted.diskBytes }
    const root = await layers.prepare(record.id, wanted, signal)
    failpoint('create:prepared')
    clock.lap(stage)
    stage = 'driver'
    const { live, rulesDigest, stages } = await boot(context, record, root, undo, { signal, dump })
    live.meter = Promise.resolve(new Meter({ executions: 0, cpuUsec: 0, egressBytes: 0 }, live.since))
    clock.add(stages)
    clock.lap(stage)
    stage = 'files'
    if (files.length > 0) {
      await writeInitialFiles(context, live, files, signal)
      clock.lap(stage)
    }
    stage = 'start'
    if (dump !== undefined) await followHeld(context, live, await live.guest(), 'let go')
    if (dump === undefined && record.start !== null) {
      undo.add(() => endExecutions(live, 'The sandbox could not be created.'))
      await startProgram(context, live, signal)
      clock.lap(stage)
    }
    signal?.throwIfAborted()
    // A one-shot sandbox is tied to its request, which a power cut ends too.
    live.record = await store.sandboxes.update(
      record.id,
      {
        state: transition(record, 'started'),
        rulesDigest,
        lastActiveAt: Date.now(),
        bootedAt: Date.now(),
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
