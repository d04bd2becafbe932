import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import { formatAddress } from './address.ts'
import { createApi } from './api/app.ts'
import type { Readiness } from './api/service.ts'
import { openTcp } from './api/tcp-door.ts'
import { type Config, DEFAULT_SSH } from './config.ts'
import { runDoctor } from './doctor/index.ts'
import { createFailpoints } from './failpoint.ts'
import type { Log } from './log.ts'
import { createMetrics } from './metrics.ts'
import { openParts } from './parts.ts'
import { Previews } from './proxy/index.ts'
import type { Driver } from './runtime/driver.ts'
import type { Context } from './sandboxes/context.ts'
import { collectHourly } from './sandboxes/gc.ts'
import { watchAgents } from './sandboxes/heartbeat.ts'
import { createUseCases } from './sandboxes/index.ts'
import { meterUsage } from './sandboxes/metering.ts'
import { SandboxNetworks } from './sandboxes/network/index.ts'
import { doorsOf } from './sandboxes/network/open-doors.ts'
import { watchPackets } from './sandboxes/network/packets.ts'
import { tendNetworks } from './sandboxes/network/tend.ts'
import { purgeHourly } from './sandboxes/purge.ts'
import { Reaper } from './sandboxes/reaper.ts'
import { reconcile } from './sandboxes/reconcile.ts'
import { measurePending } from './sandboxes/saved/measure.ts'
import type { UseCases } from './sandboxes/use-cases.ts'
import { endKeepers } from './sandboxes/volumes/keeper.ts'
import { watchEnds } from './sandboxes/watch-ends.ts'
import { makeHostKey } from './ssh/host-key.ts'
import { SshServer } from './ssh/index.ts'
import { OutputLogs } from './state/output-log.ts'
import { loadSecret } from './state/secret.ts'
import { openSqliteStore } from './state/sqlite/index.ts'
import { lockDataDirectory } from './state/sqlite/lock.ts'
import type { Store } from './state/store.ts'
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

  const networks = openNetworks(config, log, store, parts.driver, undo)

  let reaper: Reaper | undefined
  const context: Context = {
    config,
    log,
    store,
    ...parts,
    outputs: new OutputLogs(join(config.dataDir, 'executions')),
    host: { memoryBytes: totalmem(), cpus: availableParallelism() },
    failpoint: createFailpoints(config.failpoint),
    networks,
    live: new Map(),
    paused: new Map(),
    heldSaves: new Map(),
    idBases: new Set(),
    joined: new Map(),
    reschedule: () => reaper?.reschedule(),
    signingKey: loadSecret(join(config.dataDir, 'signing.key'), () => randomBytes(32)),
    doors: { url: null, ssh: null },
    startedAt: Date.now(),
    version: VERSION,
    stopping: false,
  }
  reaper = new Reaper(context)
  undo.add(() => reaper.stop())
  undo.add(watchEnds(context))
  undo.add(watchPackets(context))

  let readiness: Readiness = { ready: false, reason: 'sandboxes of the last server are being found again' }
  const stopped = Promise.withResolvers<void>()
  const useCases = createUseCases(context)
  const metrics = createMetrics(() => useCases.gauges())
  const { previewDomain: domain, trustedProxies } = config
  const api = await createApi({
    useCases,
    log,
    metrics,
    beside: new Previews({ useCases, log, metrics, domain, trustedProxies }),
    version: VERSION,
    doctor: () => runDoctor(config),
    stop: () => void stop(),
    ready: () => readiness,
    e2b: { domain, url: () => context.doors.url, volumeIdIsCapability: config.moru.volumeIdIsCapability },
    allowedHosts: [...config.allowedHosts, `api.${domain}`, `sandbox.${domain}`],
    allowedOrigins: config.allowedOrigins,
  })
  undo.add(() => api.close())
  await reconcile(context)
  undo.add(purgeHourly(context))
  undo.add(watchAgents(context))
  undo.add(meterUsage(context))
  undo.add(tendNetworks(context))
  await api.listeners.listenUnix(join(config.dataDir, 'run/api.sock'))
  const tcp = await openTcp(api.listeners, config, log)
  context.doors.url = tcp?.url ?? null
  context.doors.ssh = await openSsh(context, useCases, undo)
  undo.add(collectHourly(context))
  void measurePending(context)
  readiness = { ready: true }
  log.info(
    {
      dataDir: config.dataDir,
      driver: context.driver.name,
      listen: context.doors.url,
      ssh: context.doors.ssh && formatAddress(context.doors.ssh),
      sandboxes: context.live.size,
    },
    'ready',
  )

  const shutdown = undo.move()
  async function stop(): Promise<void> {
    if (context.stopping) return stopped.promise
    readiness = { ready: false, reason: 'the server is stopping' }
    context.stopping = true
    await endKeepers(context)
    for (const live of context.live.values()) live.drop()
    await shutdown[Symbol.asyncDispose]().then(stopped.resolve, stopped.reject)
    log.info('stopped')
  }
  return { stop, stopped: stopped.promise, address: tcp?.address ?? null }
}

/** Nothing is opened before a sandbox needs it. */
function openNetworks(
  config: Config,
  log: Log,
  store: Store,
  driver: Driver,
  undo: Undo,
): SandboxNetworks | null {
  const hand = driver.network
  if (hand === undefined) return null
  const networks = new SandboxNetworks({ config, log, store, hand, openDoors: doorsOf(config, log) })
  undo.add(() => networks.close())
  return networks
}

/** Nobody asked for the default address, so that another server's having it is no reason not to start. */
async function openSsh(context: Context, useCases: UseCases, undo: Undo): Promise<Context['doors']['ssh']> {
  const { config, log } = context
  if (config.sshListen === null) return null
  const hostKey = loadSecret(join(config.dataDir, 'ssh_host_ed25519_key'), makeHostKey)
  const ssh = new SshServer({ useCases, log, hostKey, stopping: () => context.stopping })
  undo.add(() => ssh.close())
  try {
    const address = await ssh.listen(config.sshListen)
    return { ...address, hostKey: ssh.hostKey, fingerprint: ssh.fingerprint }
  } catch (err) {
    if (config.sshListen !== DEFAULT_SSH) throw err
    log.warn({ err }, 'there is no SSH: its default address is taken')
    return null
  }
}
