import type { DoctorReport } from '@caisson/protocol/resources'
import type { UseCases } from '../../sandboxes/use-cases.ts'
import { done, type Handlers, once } from './call.ts'
import { executionHandlers } from './execution-handlers.ts'
import { fileHandlers } from './file-handlers.ts'
import { networkHandlers } from './network-handlers.ts'
import { stateHandlers } from './state-handlers.ts'
import { templateHandlers } from './template-handlers.ts'
import { volumeHandlers } from './volume-handlers.ts'

export interface HandlerOptions {
  useCases: UseCases
  doctor(): Promise<DoctorReport>
  /** Stops the server soon; the answer is sent first. */
  stop(): void
}

export function createHandlers({ useCases, doctor, stop }: HandlerOptions): Handlers {
  return {
    ...executionHandlers(useCases),
    ...fileHandlers(useCases),
    ...networkHandlers(useCases),
    ...stateHandlers(useCases),
    ...volumeHandlers(useCases),
    ...templateHandlers(useCases),
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
    getEnvironment: async ({ params }) => ({ json: { env: await useCases.getEnvironment(params.id) } }),
    updateEnvironment: async ({ params, body }) => ({
      json: { env: await useCases.updateEnvironment(params.id, body.env) },
    }),
    listEvents: async ({ params, query }) => ({ json: await useCases.listEvents(params.id, query) }),
    listUsage: async ({ params, query }) => ({
      json: { samples: await useCases.listUsage(params.id, query) },
    }),
    getUsage: async ({ params }) => ({ json: await useCases.getUsage(params.id) }),
    getStats: async ({ query }) => ({ json: await useCases.getStats(query) }),
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
    addSshKey: async ({ body }) => ({ json: await useCases.addSshKey(body) }),
    listSshKeys: async () => ({ json: { keys: await useCases.listSshKeys() } }),
    deleteSshKey: async ({ params }) => done(useCases.deleteSshKey(params.key)),
  }
}
