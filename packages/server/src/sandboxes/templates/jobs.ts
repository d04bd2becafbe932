import { SandboxError } from '@caisson/protocol/errors'
import type { Context } from '../context.ts'

/** Builds at work at the same time: each has a sandbox, and most of them the network and all CPUs. */
const AT_ONCE = 2
/** Builds that wait for those. */
const MAX_WAITING = 100

/** A build that was started and has not ended. */
export interface Job {
  readonly id: string
  readonly templateId: string
  readonly abort: AbortController
  /** Never rejects. */
  done: Promise<void>
}

interface Queue {
  jobs: Map<string, Job>
  working: number
  waiting: (() => void)[]
}

const queues = new WeakMap<Context, Queue>()

function queueOf(context: Context): Queue {
  const known = queues.get(context) ?? { jobs: new Map(), working: 0, waiting: [] }
  queues.set(context, known)
  return known
}

/** Told why it was ended. */
export class Cancelled extends Error {
  constructor() {
    super('It was cancelled.')
  }
}

/**
 * Takes a place for a build, which nobody else can take; `work` begins when one of those that are at work has ended.
 * @param prepare what is refused, or fails, in here leaves nothing
 * @throws SandboxError `build_state` for a build that was started before, `too_many`
 */
export async function enqueue<T>(
  context: Context,
  { id, templateId }: Pick<Job, 'id' | 'templateId'>,
  prepare: () => Promise<T>,
  work: (prepared: T, signal: AbortSignal) => Promise<void>,
): Promise<T> {
  const queue = queueOf(context)
  if (queue.jobs.has(id))
    throw new SandboxError('build_state', { build: id, status: 'waiting', event: 'start' })
  if (queue.jobs.size >= AT_ONCE + MAX_WAITING)
    throw new SandboxError('too_many', { what: 'template builds', limit: AT_ONCE + MAX_WAITING })
  const job: Job = { id, templateId, abort: new AbortController(), done: Promise.resolve() }
  queue.jobs.set(id, job)
  try {
    const prepared = await prepare()
    job.done = inPlace(queue, job.abort.signal, () => work(prepared, job.abort.signal))
      .catch((err) => context.log.error({ build: id, err }, 'the end of a build could not be recorded'))
      .finally(() => queue.jobs.delete(id))
    return prepared
  } catch (error) {
    queue.jobs.delete(id)
    throw error
  }
}

/** Work that is called off while it waits needs no place: it ends at once. */
async function inPlace(queue: Queue, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  if (queue.working < AT_ONCE) queue.working++
  else if (!(await nextPlace(queue, signal))) return work()
  try {
    await work()
  } finally {
    // The place goes to the next, or is free.
    const next = queue.waiting.shift()
    if (next === undefined) queue.working--
    else next()
  }
}

/** @returns whether there is one now; false: the signal came first */
function nextPlace({ waiting }: Queue, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const take = () => {
      signal.removeEventListener('abort', leave)
      resolve(true)
    }
    const leave = () => {
      waiting.splice(waiting.indexOf(take), 1)
      resolve(false)
    }
    waiting.push(take)
    signal.addEventListener('abort', leave, { once: true })
  })
}

/** Ends a build that was started, and waits for that. @returns whether there was one */
export async function cancelJob(context: Context, id: string): Promise<boolean> {
  const job = queueOf(context).jobs.get(id)
  if (job === undefined) return false
  job.abort.abort(new Cancelled())
  await job.done
  return true
}

export async function cancelJobsOf(context: Context, templateId: string): Promise<void> {
  const own = [...queueOf(context).jobs.values()].filter((job) => job.templateId === templateId)
  await Promise.all(own.map(({ id }) => cancelJob(context, id)))
}
