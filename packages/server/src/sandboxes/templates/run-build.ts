import { SandboxError } from '@caisson/protocol/errors'
import type { BuildStep } from '@caisson/protocol/resources'
import type { BuildRecord, BuiltRecord, StartProgram } from '../../core/records.ts'
import type { Context } from '../context.ts'
import { killTree } from '../kill-tree.ts'
import { lastLines } from '../last-lines.ts'
import type { RunningExecution } from '../running-execution.ts'
import { memoryOf, whyNoMemory, withMemory } from '../saved/memory.ts'
import { saveRoot } from '../saved/save-root.ts'
import { withNewSave } from '../saved/saves.ts'
import { launchProgram } from '../start-program.ts'
import type { UseCases } from '../use-cases.ts'
import { type Base, findBase } from './base.ts'
import { BuildLog } from './build-log.ts'
import { doStep } from './do-step.ts'
import { Cancelled } from './jobs.ts'
import { chainOf, findStep, keepStep } from './step-cache.ts'
import { describeStep, type StepState, stateAfter } from './step-state.ts'
import { withWorkshop } from './with-workshop.ts'
import { StepFailure, type Workshop } from './workshop.ts'

/** Of a reason that has the end of somebody's output in it. */
const REASON_LINES = 30

type Asked = Parameters<UseCases['startBuild']>[1]

/** Builds a template to its end, whichever that is, and records it. A server that dies on the way leaves it to the next. */
export async function runBuild(
  context: Context,
  record: BuildRecord,
  asked: Asked,
  signal: AbortSignal,
): Promise<void> {
  const { id } = record
  const log = new BuildLog(context, id)
  const began = performance.now()
  try {
    signal.throwIfAborted()
    if (context.stopping) return
    const { builds } = context.store
    await builds.update(id, { status: 'building', startedAt: Date.now() }, { ifStatus: 'waiting' })
    context.failpoint('build:begun')
    await build(context, record, asked, log, signal)
    context.log.info({ build: id, ms: Math.round(performance.now() - began) }, 'template built')
  } catch (error) {
    // What was under way when it was called off says something else.
    await fail(context, record, log, signal.aborted ? signal.reason : error)
  }
}

/** Its template may have been deleted meanwhile, and it with that. */
async function fail(context: Context, { id }: BuildRecord, log: BuildLog, error: unknown): Promise<void> {
  if (context.stopping) return
  const message = lastLines(reasonOf(error), REASON_LINES)
  context.log.warn({ build: id, step: log.step, err: error }, 'a template could not be built')
  const { step } = log
  await log.end('error', message)
  const change = { status: 'failed', reason: { message, step }, endedAt: Date.now() } as const
  await context.store.builds.update(id, change).catch((failure) => {
    if (!SandboxError.is(failure, 'build_not_found')) throw failure
  })
}

/** What went wrong in here is for the server's own log. */
function reasonOf(error: unknown): string {
  if (error instanceof SandboxError && error.code === 'build_failed') {
    const { reason, log } = error.details as { reason: string; log: string }
    return log === '' ? reason : `${reason}\n${log}`
  }
  const isTold = [SandboxError, StepFailure, StartFailure, Cancelled].some((kind) => error instanceof kind)
  return isTold ? (error as Error).message : 'The server failed at it; its log says why.'
}

class StartFailure extends Error {}

async function build(
  context: Context,
  record: BuildRecord,
  asked: Asked,
  log: BuildLog,
  signal: AbortSignal,
): Promise<void> {
  using holds = new DisposableStack()
  const note = (message: string) => log.add('info', message)
  const base = await findBase(context, asked.from, holds, note, signal)
  const chain = chainOf(base, asked)
  const first = asked.force ? 0 : asked.steps.findIndex(({ force }) => force === true)
  const reusable = first < 0 ? asked.steps : asked.steps.slice(0, first)
  const known = await findStep(context, chain.slice(0, reusable.length), holds)
  const changes = reusable.findIndex(({ type }, at) => at >= (known?.steps ?? 0) && type !== 'env')
  // Variables are no files: nothing is kept of them.
  const done = changes < 0 ? reusable.length : changes
  await withWorkshop(
    context,
    { record, base, save: known?.save ?? base.save, log, signal },
    async (workshop) => {
      const { user } = asked
      if (user !== undefined && known === null) await workshop.makeUser(user)
      const first = await firstState(workshop, base, user)
      const work = { workshop, log, chain, done }
      const state = await takeSteps(context, asked.steps, first, work)
      await finish(context, { record, asked, base, state, workshop, log })
    },
  )
}

interface Work {
  workshop: Workshop
  log: BuildLog
  chain: string[]
  /** Steps that the save that was begun with has already. */
  done: number
}

/** What the first step finds. */
async function firstState(workshop: Workshop, base: Base, asked: string | undefined): Promise<StepState> {
  const { env, workdir } = base
  if (asked !== undefined) return { env, user: asked, workdir: await workshop.homeOf(asked) }
  return { env, user: base.user ?? base.image?.user.name ?? null, workdir }
}

async function takeSteps(
  context: Context,
  steps: BuildStep[],
  first: StepState,
  work: Work,
): Promise<StepState> {
  const { workshop, log, chain, done } = work
  let state = first
  for (const [at, step] of steps.entries()) {
    if (context.stopping) throw new SandboxError('shutting_down', {})
    log.enter(at + 1)
    const cached = at < done
    log.add('info', `[${at + 1}/${steps.length}]${cached ? ' CACHED' : ''} ${describeStep(step)}`)
    if (!cached) await doStep(workshop, step, state)
    state = await stateAfter(workshop, step, state)
    if (cached || step.type === 'env') continue
    await keepStep(context, workshop, { digest: chain[at]!, what: describeStep(step) })
    context.failpoint('build:stepped')
  }
  log.enter(null)
  return state
}

interface Finished {
  record: BuildRecord
  asked: Asked
  base: Base
  state: StepState
  workshop: Workshop
  log: BuildLog
}

/**
 * What the start program does on its first start is in the template; it is kept as it runs, where that can be, and has ended
 * otherwise when that is saved.
 */
async function finish(context: Context, finished: Finished): Promise<void> {
  const { asked, base, state, workshop, log } = finished
  const start = startOf(asked, base)
  const ready = asked.readyCommand ?? start?.ready ?? null
  const running = start === null && ready === null ? null : await tryStart(workshop, start, ready, state, log)
  await workshop.clean()
  log.add('info', 'Saving the template')
  if (running !== null && (await keepRunning(context, finished, start))) return
  if (running !== null && running.record.ending === null)
    await killTree(context, workshop.live, running, 'stopped')
  await keep(context, finished, start, false)
}

/** @returns whether the template is ready, and its program is in it as it runs */
async function keepRunning(
  context: Context,
  finished: Finished,
  start: StartProgram | null,
): Promise<boolean> {
  const { workshop, log } = finished
  if (whyNoMemory(context) !== null) return false
  try {
    await keep(context, finished, start, true)
    return true
  } catch (error) {
    if (!SandboxError.is(error, 'save_failed')) throw error
    workshop.signal.throwIfAborted()
    const { reason } = error.details
    log.add(
      'warn',
      `The program is started anew in each sandbox, since it cannot be kept as it runs: ${reason}`,
    )
    return false
  }
}

/** Saves what the template is, and records that it is ready. @param memory with its processes */
function keep(
  context: Context,
  { record, base, state, workshop, log }: Finished,
  start: StartProgram | null,
  memory: boolean,
): Promise<void> {
  const { id, templateId, tags } = record
  return withNewSave(context, { passing: false }, async (save) => {
    const dump = memory ? memoryOf(save) : null
    await withMemory(context, dump, async () => {
      await saveRoot(context, workshop.live.record, save, 'build:saved', dump)
      workshop.signal.throwIfAborted()
      await log.end('info', 'The template is ready')
      const now = Date.now()
      const made = madeOf(base, state, save, memory)
      const change = { status: 'ready', made, start, endedAt: now } as const
      const tagged = tags.map((tag) => ({ templateId, tag, buildId: id, createdAt: now }))
      await context.store.builds.update(id, change, { ifStatus: 'building', tags: tagged })
      await context.store.templates.update(templateId, { updatedAt: now })
    })
    context.failpoint('build:ready')
  })
}

/** What was not said is as in what it began with. */
function startOf({ startCommand, readyCommand }: Asked, base: Base): StartProgram | null {
  if (startCommand !== undefined) return { command: startCommand, ready: readyCommand ?? null }
  return base.start && { ...base.start, ready: readyCommand ?? base.start.ready }
}

async function tryStart(
  workshop: Workshop,
  start: StartProgram | null,
  ready: string | null,
  { env, user, workdir }: StepState,
  log: BuildLog,
): Promise<RunningExecution | null> {
  const { context, live, signal } = workshop
  if (start !== null) log.add('info', `START ${start.command}`)
  if (ready !== null) log.add('info', `READY ${ready}`)
  const as = { env, ...(user !== null && { user }), ...(workdir !== null && { cwd: workdir }) }
  try {
    return await launchProgram(context, live, { command: start?.command ?? null, ready }, as, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof SandboxError) throw error
    throw new StartFailure(`The template was built, but ${(error as Error).message}.`, { cause: error })
  }
}

function madeOf(base: Base, { env, user, workdir }: StepState, save: string, memory: boolean): BuiltRecord {
  const { runtime, imageDigest, layers, dependencies, packages } = base
  return { runtime, imageDigest, layers, save, memory, env, user, workdir, dependencies, packages }
}
