import type { ServerInfo } from '@caisson/protocol/resources'
import type { Driver } from '../runtime/driver.ts'
import { importRuntime } from './archives/import-runtime.ts'
import { snapshotArchiveUseCases } from './archives/snapshots.ts'
import { runtimeUseCases } from './builds/runtimes.ts'
import type { Context } from './context.ts'
import { createSandbox } from './create-sandbox.ts'
import { dial } from './dial.ts'
import { getDiskUsage } from './disk-usage.ts'
import { deleteSandbox } from './end-sandbox.ts'
import { getEnvironment, updateEnvironment } from './environment.ts'
import { fileUseCases } from './files.ts'
import { collectGarbage } from './gc.ts'
import { behindDoor } from './internal.ts'
import { createJob, getJob, listJobs, stopJob } from './jobs.ts'
import { authenticate, createKey, deleteKey, listKeys } from './keys.ts'
import { killExecution } from './kill-execution.ts'
import { readLogs } from './logs.ts'
import { findExecution, findSandbox, showExecution, showSandbox } from './lookup.ts'
import { explainNetwork } from './network/explain-network.ts'
import { setNetwork } from './network/set-network.ts'
import { getNetwork, listDestinations, readNetworkLog } from './network/state.ts'
import { readOutput } from './output.ts'
import { pauseSandbox } from './pausing/pause.ts'
import { resumeSandbox } from './pausing/resume.ts'
import { portUseCases } from './ports.ts'
import { listEvents, listExecutions, listSandboxes } from './query.ts'
import { run } from './run.ts'
import { checkpointUseCases } from './saved/checkpoints.ts'
import { forkSandbox } from './saved/fork.ts'
import { snapshotUseCases } from './saved/snapshots.ts'
import { sessionUseCases } from './sessions/sessions.ts'
import { sshKeyUseCases } from './ssh-keys.ts'
import { startExecution } from './start-execution.ts'
import { getStats, getUsage } from './statistics.ts'
import { resizeTerminal, writeStdin } from './stdin.ts'
import { templateUseCases } from './templates/index.ts'
import { tokenUseCases } from './tokens.ts'
import { updateSandbox } from './update-sandbox.ts'
import { listUsage } from './usage-samples.ts'
import type { UseCases } from './use-cases.ts'
import { volumeUseCases } from './volumes/index.ts'

export function createUseCases(context: Context): UseCases {
  return behindDoor(context, useCases(context))
}

function useCases(context: Context): UseCases {
  return {
    createSandbox: (...args) => createSandbox(context, ...args),
    getSandbox: async (id) => showSandbox(context, await findSandbox(context, id)),
    listSandboxes: (query) => listSandboxes(context, query),
    updateSandbox: (...args) => updateSandbox(context, ...args),
    deleteSandbox: (id) => deleteSandbox(context, id),
    run: (...args) => run(context, ...args),
    startExecution: (...args) => startExecution(context, ...args),
    listExecutions: (...args) => listExecutions(context, ...args),
    getExecution: async (id) => showExecution(context, await findExecution(context, id)),
    readOutput: (...args) => readOutput(context, ...args),
    killExecution: (...args) => killExecution(context, ...args),
    writeStdin: (...args) => writeStdin(context, ...args),
    resizeTerminal: (...args) => resizeTerminal(context, ...args),
    readLogs: (...args) => readLogs(context, ...args),
    createJob: (...args) => createJob(context, ...args),
    listJobs: (...args) => listJobs(context, ...args),
    getJob: (...args) => getJob(context, ...args),
    stopJob: (...args) => stopJob(context, ...args),
    getEnvironment: (id) => getEnvironment(context, id),
    updateEnvironment: (...args) => updateEnvironment(context, ...args),
    listEvents: (...args) => listEvents(context, ...args),
    getUsage: (id) => getUsage(context, id),
    listUsage: (...args) => listUsage(context, ...args),
    getStats: (query) => getStats(context, query),
    dial: (...args) => dial(context, ...args),
    getNetwork: (id) => getNetwork(context, id),
    setNetwork: (...args) => setNetwork(context, ...args),
    readNetworkLog: (...args) => readNetworkLog(context, ...args),
    listDestinations: (...args) => listDestinations(context, ...args),
    explainNetwork: (...args) => explainNetwork(context, ...args),
    ...portUseCases(context),
    ...fileUseCases(context),
    ...volumeUseCases(context),
    ...templateUseCases(context),
    ...tokenUseCases(context),
    ...sshKeyUseCases(context),
    pauseSandbox: (...args) => pauseSandbox(context, ...args),
    resumeSandbox: (...args) => resumeSandbox(context, ...args),
    forkSandbox: (...args) => forkSandbox(context, ...args),
    ...checkpointUseCases(context),
    ...snapshotUseCases(context),
    ...snapshotArchiveUseCases(context),
    ...sessionUseCases(context),
    ...runtimeUseCases(context),
    importRuntime: (...args) => importRuntime(context, ...args),
    getDiskUsage: () => getDiskUsage(context),
    collectGarbage: (input) => collectGarbage(context, input),
    getServer: async () => ({
      version: context.version,
      driver: context.driver.name,
      storage: context.layers.name,
      memoryPause: memoryPause(context.driver),
      isolation: context.driver.isolation,
      dataDir: context.config.dataDir,
      pid: process.pid,
      startedAt: new Date(context.startedAt).toISOString(),
      sandboxes: [...context.live.values()].filter(({ record }) => record.internal === null).length,
      previewDomain: context.config.previewDomain,
      ...context.doors,
    }),
    createKey: (input) => createKey(context, input),
    listKeys: () => listKeys(context),
    deleteKey: (id) => deleteKey(context, id),
    authenticate: (secret) => authenticate(context, secret),
    gauges: () => gauges(context),
  }
}

function memoryPause({ memory }: Driver): ServerInfo['memoryPause'] {
  if (memory === undefined) return 'no'
  return memory.noDumps === null ? 'disk' : 'frozen'
}

function gauges(context: Context): ReturnType<UseCases['gauges']> {
  const sandboxes = { idle: 0, running: 0, unresponsive: 0, paused: context.paused.size }
  let executionsRunning = 0
  for (const live of context.live.values()) {
    if (live.record.internal !== null) continue
    executionsRunning += live.executions.size
    if (!live.healthy) sandboxes.unresponsive++
    else if (live.busy) sandboxes.running++
    else sandboxes.idle++
  }
  return { sandboxes, executionsRunning }
}
