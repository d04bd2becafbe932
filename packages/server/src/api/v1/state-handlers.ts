import type { BuildProgress } from '@caisson/protocol/resources'
import type { UseCases } from '../../sandboxes/use-cases.ts'
import { toSandboxError } from '../errors.ts'
import { done, type Handlers, once } from './call.ts'

type Paused =
  | 'pauseSandbox'
  | 'resumeSandbox'
  | 'forkSandbox'
  | 'createSession'
  | 'listSessions'
  | 'getSession'
  | 'deleteSession'
type Saved =
  | 'createCheckpoint'
  | 'listCheckpoints'
  | 'restoreCheckpoint'
  | 'deleteCheckpoint'
  | 'createSnapshot'
  | 'listSnapshots'
  | 'getSnapshot'
  | 'getLineage'
  | 'tagSnapshot'
  | 'deleteSnapshot'
  | 'exportSnapshot'
  | 'exportPublicSnapshot'
  | 'importSnapshot'
type Built =
  | 'listRuntimes'
  | 'getRuntime'
  | 'buildRuntime'
  | 'importRuntime'
  | 'deleteRuntime'
  | 'getDiskUsage'
  | 'collectGarbage'

/** What a sandbox remembers: pauses, sessions, checkpoints, snapshots; runtimes and the disk that all of it takes. */
export function stateHandlers(useCases: UseCases): Pick<Handlers, Paused | Saved | Built> {
  return { ...pauseHandlers(useCases), ...savedHandlers(useCases), ...builtHandlers(useCases) }
}

function pauseHandlers(useCases: UseCases): Pick<Handlers, Paused> {
  return {
    pauseSandbox: async ({ params, body }) => ({ json: await useCases.pauseSandbox(params.id, body) }),
    resumeSandbox: async ({ params, body }) => ({ json: await useCases.resumeSandbox(params.id, body) }),
    forkSandbox: async ({ params, body, idempotencyKey, signal }) => {
      // As with a create: who repeats its key asks again for what it has missed.
      const leaving = idempotencyKey === undefined ? signal : undefined
      const answer = await useCases.forkSandbox(params.id, body, once(idempotencyKey), leaving)
      return { json: { sandboxes: answer.sandboxes }, stages: answer.stages }
    },
    createSession: async ({ body, idempotencyKey }) => ({
      json: await useCases.createSession(body, once(idempotencyKey)),
    }),
    listSessions: async ({ query }) => ({ json: await useCases.listSessions(query) }),
    getSession: async ({ params }) => ({ json: await useCases.getSession(params.session) }),
    deleteSession: async ({ params }) => ({ json: await useCases.deleteSession(params.session) }),
  }
}

function savedHandlers(useCases: UseCases): Pick<Handlers, Saved> {
  return {
    createCheckpoint: async ({ params, body }) => ({
      json: await useCases.createCheckpoint(params.id, body),
    }),
    listCheckpoints: async ({ params, query }) => ({
      json: await useCases.listCheckpoints(params.id, query),
    }),
    restoreCheckpoint: async ({ params }) => ({
      json: await useCases.restoreCheckpoint(params.id, params.checkpoint),
    }),
    deleteCheckpoint: async ({ params }) => done(useCases.deleteCheckpoint(params.id, params.checkpoint)),
    createSnapshot: async ({ params, body }) => ({ json: await useCases.createSnapshot(params.id, body) }),
    listSnapshots: async ({ query }) => ({ json: await useCases.listSnapshots(query) }),
    getSnapshot: async ({ params }) => ({ json: await useCases.getSnapshot(params.snapshot) }),
    getLineage: async ({ params }) => ({ json: await useCases.getLineage(params.snapshot) }),
    tagSnapshot: async ({ params, body }) => ({
      json: await useCases.tagSnapshot(params.snapshot, body.tag),
    }),
    deleteSnapshot: async ({ params }) => done(useCases.deleteSnapshot(params.snapshot)),
    exportSnapshot: async ({ params, signal }) => ({
      body: await useCases.exportSnapshot(params.snapshot, signal),
    }),
    exportPublicSnapshot: async ({ params, signal }) => ({
      body: await useCases.exportPublicSnapshot(params.snapshot, signal),
    }),
    importSnapshot: async ({ query, upload, signal }) => ({
      json: await useCases.importSnapshot(query, upload, signal),
    }),
  }
}

function builtHandlers(useCases: UseCases): Pick<Handlers, Built> {
  return {
    listRuntimes: async ({ query }) => ({ json: await useCases.listRuntimes(query) }),
    getRuntime: async ({ params }) => ({ json: await useCases.getRuntime(params.runtime) }),
    buildRuntime: async ({ params, query, signal }) => ({
      body: lines(await useCases.buildRuntime(params.runtime, query.force ?? false, signal)),
    }),
    importRuntime: async ({ query, upload, signal }) => ({
      body: lines(await useCases.importRuntime(query, upload, signal)),
    }),
    deleteRuntime: async ({ params }) => done(useCases.deleteRuntime(params.runtime)),
    getDiskUsage: async () => ({ json: await useCases.getDiskUsage() }),
    collectGarbage: async ({ body }) => ({ json: await useCases.collectGarbage(body) }),
  }
}

/** The answer has begun by the time a step fails: the last line tells it. */
async function* lines(steps: AsyncIterable<BuildProgress>): AsyncIterable<Uint8Array> {
  try {
    for await (const step of steps) yield line(step)
  } catch (error) {
    const { code, message } = toSandboxError(error, 'the build')
    yield line({ error: { code, message } })
  }
}

function line(step: BuildProgress): Uint8Array {
  return Buffer.from(`${JSON.stringify(step)}\n`)
}
