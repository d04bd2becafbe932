import { EventEmitter, on } from 'node:events'
import { SandboxError } from '@caisson/protocol/errors'
import type { BuildProgress, Runtime } from '@caisson/protocol/resources'
import type { Context } from '../context.ts'
import type { UseCases } from '../use-cases.ts'
import { assertBuildable, buildRuntime } from './build-runtime.ts'
import type { Progress } from './shared.ts'

type RuntimeUseCases = Pick<UseCases, 'listRuntimes' | 'getRuntime' | 'buildRuntime' | 'deleteRuntime'>

export function runtimeUseCases(context: Context): RuntimeUseCases {
  const { images } = context
  return {
    listRuntimes: (query) => listRuntimes(context, query),
    getRuntime: (reference) => images.get(reference),
    buildRuntime: (reference, force, signal) => startBuild(context, reference, force, signal),
    deleteRuntime: (reference) => deleteRuntime(context, reference),
  }
}

async function listRuntimes(
  { images }: Context,
  { sort, direction, limit, offset }: Parameters<UseCases['listRuntimes']>[0],
): Promise<{ runtimes: Runtime[]; total: number }> {
  const all = await images.list()
  // What was not built yet comes after all that was, whichever the direction: it has no time.
  const key = ({ id, createdAt }: Runtime) => (sort === 'name' ? id : (createdAt ?? ''))
  const sign = direction === 'asc' ? 1 : -1
  const sorted = all.toSorted((a, b) => {
    if (sort === 'created' && (a.createdAt === null) !== (b.createdAt === null))
      return a.createdAt === null ? 1 : -1
    return key(a) < key(b) ? -sign : key(a) > key(b) ? sign : 0
  })
  return { runtimes: sorted.slice(offset, offset + limit), total: all.length }
}

async function startBuild(
  context: Context,
  reference: string,
  force: boolean,
  signal?: AbortSignal,
): Promise<AsyncIterable<BuildProgress>> {
  if (context.stopping) throw new SandboxError('shutting_down', {})
  const entry = await context.images.entry(reference)
  if (entry === null)
    throw new SandboxError('not_supported', {
      what: `building runtime "${reference}"`,
      reason: 'it was imported; import it anew',
    })
  assertBuildable(context, entry.recipe)
  return steps(async (progress) => {
    await buildRuntime(context, entry, { force }, progress, signal)
    return context.images.get(reference)
  })
}

/** What `work` tells and how it ends, one after the other. Nothing is lost when it is read slowly. */
export async function* steps(work: (progress: Progress) => Promise<Runtime>): AsyncGenerator<BuildProgress> {
  const told = new EventEmitter()
  const lines = on(told, 'line', { close: ['end'] })
  work((step) => told.emit('line', { step }))
    .then(
      (runtime) => told.emit('line', { runtime }),
      (error) => told.emit('line', { error: describe(error) }),
    )
    .finally(() => told.emit('end'))
  for await (const [line] of lines) yield line as BuildProgress
}

function describe(error: unknown): { code: string; message: string } {
  if (error instanceof SandboxError) return { code: error.code, message: error.message }
  return { code: 'internal', message: error instanceof Error ? error.message : String(error) }
}

/** What was made from it keeps its image, until garbage collection finds that nothing needs it. */
async function deleteRuntime(context: Context, reference: string): Promise<void> {
  await context.images.removeImported(reference)
}
