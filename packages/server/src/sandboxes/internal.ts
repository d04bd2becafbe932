import { SandboxError } from '@caisson/protocol/errors'
import { readSandboxId } from '../core/sandbox-id.ts'
import type { Context } from './context.ts'
import type { UseCases } from './use-cases.ts'

/** What the first argument of a use case names. */
type Subject = 'sandbox' | 'execution' | null

/** A use case that is missing here does not compile, so that none can forget to hide what is the server's own. */
const SUBJECTS: Record<keyof UseCases, Subject> = {
  createSandbox: null,
  getSandbox: 'sandbox',
  listSandboxes: null,
  updateSandbox: 'sandbox',
  deleteSandbox: 'sandbox',
  pauseSandbox: 'sandbox',
  resumeSandbox: 'sandbox',
  forkSandbox: 'sandbox',
  createCheckpoint: 'sandbox',
  listCheckpoints: 'sandbox',
  restoreCheckpoint: 'sandbox',
  deleteCheckpoint: 'sandbox',
  createSnapshot: 'sandbox',
  listSnapshots: null,
  getSnapshot: null,
  getLineage: null,
  tagSnapshot: null,
  deleteSnapshot: null,
  exportSnapshot: null,
  exportPublicSnapshot: null,
  importSnapshot: null,
  createSession: null,
  listSessions: null,
  getSession: null,
  deleteSession: null,
  run: null,
  startExecution: 'sandbox',
  listExecutions: 'sandbox',
  getExecution: 'execution',
  readOutput: 'execution',
  readLogs: 'execution',
  createJob: 'sandbox',
  listJobs: 'sandbox',
  getJob: 'sandbox',
  stopJob: 'sandbox',
  killExecution: 'execution',
  writeStdin: 'execution',
  resizeTerminal: 'execution',
  getEnvironment: 'sandbox',
  updateEnvironment: 'sandbox',
  listEvents: 'sandbox',
  getUsage: 'sandbox',
  listUsage: 'sandbox',
  getStats: null,
  dial: 'sandbox',
  getNetwork: 'sandbox',
  setNetwork: 'sandbox',
  readNetworkLog: 'sandbox',
  listDestinations: 'sandbox',
  explainNetwork: 'sandbox',
  listPorts: 'sandbox',
  exposePort: 'sandbox',
  unexposePort: 'sandbox',
  linkPort: 'sandbox',
  reachPort: 'sandbox',
  readFile: 'sandbox',
  writeFile: 'sandbox',
  writeFiles: 'sandbox',
  putUpload: 'sandbox',
  getUpload: 'sandbox',
  deleteUpload: 'sandbox',
  checksumFile: 'sandbox',
  downloadArchive: 'sandbox',
  uploadArchive: 'sandbox',
  watchFiles: 'sandbox',
  signFile: 'sandbox',
  // Only for sandboxes that `signFile` was asked for.
  readSigned: null,
  writeSigned: null,
  statFile: 'sandbox',
  listFiles: 'sandbox',
  makeDirectory: 'sandbox',
  renameFile: 'sandbox',
  removeFile: 'sandbox',
  changeMode: 'sandbox',
  changeOwner: 'sandbox',
  setAttributes: 'sandbox',
  findAccount: 'sandbox',
  createVolume: null,
  listVolumes: null,
  getVolume: null,
  deleteVolume: null,
  listVolumeFiles: null,
  statVolumeFile: null,
  readVolumeFile: null,
  writeVolumeFile: null,
  makeVolumeDirectory: null,
  changeVolumeFile: null,
  removeVolumeFile: null,
  measureVolume: null,
  createTemplate: null,
  startBuild: null,
  getBuild: null,
  readBuildLog: null,
  cancelBuild: null,
  hasBuildFiles: null,
  putBuildFiles: null,
  listTemplates: null,
  getTemplate: null,
  deleteTemplate: null,
  tagTemplate: null,
  untagTemplate: null,
  // They compute and compare; what a token opens is asked for by one of the others.
  sandboxTokens: null,
  admittedBy: null,
  whoseToken: null,
  volumeToken: null,
  admittedToVolume: null,
  buildFilesToken: null,
  buildFilesOf: null,
  listRuntimes: null,
  getRuntime: null,
  buildRuntime: null,
  importRuntime: null,
  deleteRuntime: null,
  getDiskUsage: null,
  collectGarbage: null,
  getServer: null,
  createKey: null,
  listKeys: null,
  deleteKey: null,
  addSshKey: null,
  listSshKeys: null,
  deleteSshKey: null,
  authenticate: null,
  authenticateSsh: null,
  gauges: null,
}

/**
 * The use cases as everybody has them: sandboxes that serve the server itself, and what runs in them, do not exist. The
 * functions behind them work on all sandboxes, so that builders and keepers are used like any other.
 */
export function behindDoor(context: Context, useCases: UseCases): UseCases {
  const guarded = Object.entries(useCases).map(([name, work]) => {
    const subject = SUBJECTS[name as keyof UseCases]
    return [name, subject === null ? work : guard(context, subject, work as Work)]
  })
  return Object.fromEntries(guarded)
}

type Work = (reference: string, ...rest: unknown[]) => Promise<unknown>

function guard(context: Context, subject: 'sandbox' | 'execution', work: Work): Work {
  const isHidden = subject === 'sandbox' ? isInternal : isOfInternal
  return (reference, ...rest) => {
    const hidden = isHidden(context, reference)
    if (hidden === false) return work(reference, ...rest)
    return Promise.resolve(hidden).then((is) => {
      if (!is) return work(reference, ...rest)
      throw subject === 'sandbox'
        ? new SandboxError('sandbox_not_found', { sandbox: reference })
        : new SandboxError('execution_not_found', { execution: reference })
    })
  }
}

/** Without a wait for those that run or are paused: every command comes this way. Internal sandboxes have no names. */
function isInternal(context: Context, reference: string): boolean | Promise<boolean> {
  const id = readSandboxId(reference)
  if (id === null) return false
  const known = context.live.get(id)?.record ?? context.paused.get(id)
  if (known !== undefined) return known.internal !== null
  return context.store.sandboxes.get(id).then((record) => record !== null && record.internal !== null)
}

function isOfInternal(context: Context, execution: string): boolean | Promise<boolean> {
  for (const live of context.live.values())
    if (live.executions.has(execution)) return live.record.internal !== null
  return context.store.executions
    .get(execution)
    .then((record) => record !== null && isInternal(context, record.sandboxId))
}
