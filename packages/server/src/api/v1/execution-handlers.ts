import type { UseCases } from '../../sandboxes/use-cases.ts'
import { done, type Handlers, once } from './call.ts'

type ExecutionHandlers = Pick<
  Handlers,
  | 'run'
  | 'exec'
  | 'startExecution'
  | 'listExecutions'
  | 'getExecution'
  | 'attachExecution'
  | 'writeStdin'
  | 'killExecution'
  | 'resizeExecution'
  | 'readLogs'
  | 'createJob'
  | 'listJobs'
  | 'getJob'
  | 'stopJob'
>

/** Executions, jobs and what is told of them. */
export function executionHandlers(useCases: UseCases): ExecutionHandlers {
  return {
    run: ({ body, signal }) => useCases.run(body, signal),
    exec: async ({ params, body, idempotencyKey, signal }) => {
      const execution = await useCases.startExecution(params.id, body, once(idempotencyKey))
      return { output: await useCases.readOutput(execution.id, { offset: 0 }, true, signal) }
    },
    startExecution: async ({ params, body, idempotencyKey }) => ({
      json: await useCases.startExecution(params.id, body, once(idempotencyKey)),
    }),
    listExecutions: async ({ params, query }) => ({ json: await useCases.listExecutions(params.id, query) }),
    getExecution: async ({ params }) => ({ json: await useCases.getExecution(params.execution) }),
    attachExecution: async ({ params, query, signal }) => ({
      output: await useCases.readOutput(params.execution, beginningOf(query), query.follow, signal),
    }),
    writeStdin: async ({ params, query, upload, signal }) => {
      await useCases.writeStdin(params.execution, upload, query.close, signal)
      return undefined
    },
    killExecution: async ({ params, body }) => ({
      json: await useCases.killExecution(params.execution, body),
    }),
    resizeExecution: async ({ params, body }) =>
      done(useCases.resizeTerminal(params.execution, body.cols, body.rows)),
    readLogs: async ({ params, query, signal }) => ({
      body: await useCases.readLogs(params.execution, query, signal),
    }),
    createJob: async ({ params, body, idempotencyKey }) => ({
      json: await useCases.createJob(params.id, body, once(idempotencyKey)),
    }),
    listJobs: async ({ params, query }) => ({ json: await useCases.listJobs(params.id, query) }),
    getJob: async ({ params }) => ({ json: await useCases.getJob(params.id, params.job) }),
    stopJob: async ({ params, query }) => ({
      json: await useCases.stopJob(params.id, params.job, query.force),
    }),
  }
}

/** Where reading begins: `tail`, when it is given, counts in place of `offset`. */
export function beginningOf(query: {
  offset: number
  tail?: number | undefined
}): Parameters<UseCases['readOutput']>[1] {
  return query.tail === undefined ? { offset: query.offset } : { tail: query.tail }
}
