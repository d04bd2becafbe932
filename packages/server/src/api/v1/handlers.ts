import type { OperationName, operations } from '@caisson/protocol/operations'
import type { DoctorReport } from '@caisson/protocol/resources'
import type { z } from 'zod'
import type { Stage } from '../../core/plan.ts'
import type { Output, UseCases } from '../../sandboxes/use-cases.ts'
import type { FileAnswer } from './file-stream.ts'
import { toFileInfo } from './map.ts'

type Table = typeof operations
type Parsed<N extends OperationName, K extends 'params' | 'query' | 'body'> = Table[N] extends {
  [P in K]: infer S extends z.ZodType
}
  ? z.output<S>
  : undefined

/** A request after the door: parsed, allowed. */
export interface Call<N extends OperationName> {
  params: Parsed<N, 'params'>
  query: Parsed<N, 'query'>
  body: Parsed<N, 'body'>
  /** The raw body of an upload. */
  upload: AsyncIterable<Uint8Array>
  idempotencyKey: string | undefined
  /** Aborts when the client has gone. */
  signal: AbortSignal
}

type Answer<N extends OperationName> = Table[N] extends { streams: 'execution' }
  ? { output: Output; stages?: Stage[] }
  : Table[N] extends { streams: 'bytes' }
    ? FileAnswer
    : Table[N] extends { output: infer S extends z.ZodType }
      ? { json: z.input<S>; stages?: Stage[] }
      : undefined

/** The operations that one request answers; `connectExecution` lives in websocket.ts. */
export type RequestName = {
  [N in OperationName]: Table[N] extends { streams: 'websocket' } ? never : N
}[OperationName]

/** One handler an operation: a missing one does not compile. */
export type Handlers = { [N in RequestName]: (call: Call<N>) => Promise<Answer<N>> }

export interface HandlerOptions {
  useCases: UseCases
  doctor(): Promise<DoctorReport>
  /** Stops the server soon; the answer is sent first. */
  stop(): void
}

const once = (idempotencyKey: string | undefined) => (idempotencyKey === undefined ? {} : { idempotencyKey })

export function createHandlers({ useCases, doctor, stop }: HandlerOptions): Handlers {
  return {
    createSandbox: async ({ body, idempotencyKey, signal }) => {
      // A client that repeats its key will ask again for what it has missed; for others nobody would know the id.
      const leaving = idempotencyKey === undefined ? signal : undefined
      const { sandbox, stages } = await useCases.createSandbox(body, once(idempotencyKey), leaving)
      return { json: sandbox, stages }
    },
    listSandboxes: async ({ query }) => ({ json: await useCases.listSandboxes(query) }),
    getSandbox: async ({ params }) => ({ json: await useCases.getSandbox(params.id) }),
    updateSandbox: async ({ params, body }) => ({ json: await useCases.updateSandbox(params.id, body) }),
    deleteSandbox: async ({ params }) => ({ json: await useCases.deleteSandbox(params.id) }),
    run: ({ body, signal }) => useCases.run(body, signal),
    exec: async ({ params, body, idempotencyKey, signal }) => {
      const execution = await useCases.startExecution(params.id, body, once(idempotencyKey))
      return { output: await useCases.readOutput(execution.id, 0, true, signal) }
    },
    startExecution: async ({ params, body, idempotencyKey }) => ({
      json: await useCases.startExecution(params.id, body, once(idempotencyKey)),
    }),
    listExecutions: async ({ params, query }) => ({ json: await useCases.listExecutions(params.id, query) }),
    getExecution: async ({ params }) => ({ json: await useCases.getExecution(params.execution) }),
    attachExecution: async ({ params, query, signal }) => ({
      output: await useCases.readOutput(params.execution, query.offset, query.follow, signal),
    }),
    writeStdin: async ({ params, query, upload, signal }) => {
      await useCases.writeStdin(params.execution, upload, query.close, signal)
      return undefined
    },
    killExecution: async ({ params, body }) => ({
      json: await useCases.killExecution(params.execution, body),
    }),
    readFile: async ({ params, query, signal }) => ({
      ...(await useCases.readFile(params.id, query, signal)),
      path: query.path,
      offset: query.offset,
      length: query.length,
    }),
    writeFile: async ({ params, query, upload, signal }) => {
      const { stat, created } = await useCases.writeFile(params.id, query, upload, signal)
      return { json: { ...toFileInfo(query.path, stat), directoriesCreated: created } }
    },
    statFile: async ({ params, query }) => ({
      json: toFileInfo(query.path, await useCases.statFile(params.id, query)),
    }),
    listFiles: async ({ params, query, signal }) => {
      const base = query.path.endsWith('/') ? query.path : `${query.path}/`
      const entries = await useCases.listFiles(params.id, query, signal)
      return { json: { files: entries.map(({ name, ...stat }) => toFileInfo(base + name, stat)) } }
    },
    makeDirectory: async ({ params, body }) => ({
      json: { directoriesCreated: await useCases.makeDirectory(params.id, body) },
    }),
    renameFile: async ({ params, body }) => done(useCases.renameFile(params.id, body)),
    removeFile: async ({ params, query, signal }) => done(useCases.removeFile(params.id, query, signal)),
    changeMode: async ({ params, body }) => done(useCases.changeMode(params.id, body)),
    changeOwner: async ({ params, body }) => done(useCases.changeOwner(params.id, body)),
    listRuntimes: async () => ({ json: { runtimes: await useCases.listRuntimes() } }),
    getServer: async () => ({ json: await useCases.getServer() }),
    doctor: async () => ({ json: await doctor() }),
    stopServer: async () => {
      setImmediate(stop)
      return undefined
    },
    createKey: async ({ body }) => {
      const { key, secret } = await useCases.createKey(body)
      return { json: { ...key, key: secret } }
    },
    listKeys: async () => ({ json: { keys: await useCases.listKeys() } }),
    deleteKey: async ({ params }) => done(useCases.deleteKey(params.key)),
  }
}

async function done(work: Promise<void>): Promise<undefined> {
  await work
  return undefined
}
