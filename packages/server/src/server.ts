import { chmodSync, mkdirSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import { createApi } from './api/app.ts'
import type { Readiness } from './api/service.ts'
import type { Config } from './config.ts'
import { runDoctor } from './doctor/index.ts'
import { createFailpoints } from './failpoint.ts'
import type { Log } from './log.ts'
import { createMetrics } from './metrics.ts'
import { openParts } from './parts.ts'
import type { Context } from './sandboxes/context.ts'
import { watchAgents } from './sandboxes/heartbeat.ts'
import { createUseCases } from './sandboxes/index.ts'
import { purgeHourly } from './sandboxes/purge.ts'
import { Reaper } from './sandboxes/reaper.ts'
import { reconcile } from './sandboxes/reconcile.ts'
import { watchEnds } from './sandboxes/watch-ends.ts'
import { OutputLogs } from './state/output-log.ts'
import { openSqliteStore } from './state/sqlite/index.ts'
import { lockDataDirectory } from './state/sqlite/lock.ts'
import { Undo } from './undo.ts'
import { VERSION } from './version.ts'

export interface RunningServer {
  /** Stops the server; sandboxes go on running. */
  stop(): Promise<void>
  readonly stopped: Promise<void>
  /** Where the TCP listener is; null without one. */
  readonly address: { host: string; port: number } | null
}

/** Everything that a server is, in the order in which it comes up; a failure takes down what is up already. */
export async function startServer(config: Config, log: Log): Promise<RunningServer> {
  await using undo = new Undo()
  mkdirSync(join(config.dataDir, 'run'), { recursive: true, mode: 0o700 })
  // Images hold set-user-id programs, and the lock could be held by whoever can open it.
  chmodSync(config.dataDir, 0o700)
  const lock = lockDataDirectory(config.dataDir)
  undo.add(() => lock.release())
  const store = await openSqliteStore(config.dataDir)
  undo.add(() => store.close())
  const parts = await openParts(config, log, undo)

  let reaper: Reaper | undefined
  const context: Context = {
    config,
    log,
    store,
    ...parts,
    outputs: new OutputLogs(join(config.dataDir, 'executions')),
    host: { memoryBytes: totalmem(), cpus: availableParallelism() },
    failpoint: createFailpoints(config.failpoint),
    live: new Map(),
    idBases: new Set(),
    joined: new Map(),
    reschedule: () => reaper?.reschedule(),
    startedAt: Date.now(),
    version: VERSION,
    stopping: false,
  }
  reaper = new Reaper(context)
  undo.add(() => reaper.stop())
  undo.add(watchEnds(context))

  let readiness: Readiness = { ready: false, reason: 'sandboxes of the last server are being found again' }
  const stopped = Promise.withResolvers<void>()
  const useCases = createUseCases(context)
  const api = await createApi({
    useCases,
    log,
    metrics: createMetrics(() => useCases.gauges()),
    version: VERSION,
    doctor: () => runDoctor(config),
    stop: () => void stop(),
    ready: () => readiness,
    allowedHosts: config.allowedHosts,
    allowedOrigins: config.allowedOrigins,
  })
  undo.add(() => api.close())
  await reconcile(context)
  undo.add(purgeHourly(context))
  undo.add(watchAgents(context))
  await api.listeners.listenUnix(join(config.dataDir, 'run/api.sock'))
  const address = config.listen === null ? null : await api.listeners.listenTcp(config.listen)
  readiness = { ready: true }
  log.info(
    { dataDir: config.dataDir, driver: context.driver.name, listen: address, sandboxes: context.live.size },
    'ready',
  )

  const shutdown = undo.move()
  async function stop(): Promise<void> {
    if (context.stopping) return stopped.promise
    context.stopping = true
    readiness = { ready: false, reason: 'the server is stopping' }
    for (const live of context.live.values()) live.drop()
    await shutdown[Symbol.asyncDispose]().then(stopped.resolve, stopped.reject)
    log.info('stopped')
  }
  return { stop, stopped: stopped.promise, address }
}
