import { Checkpoint, Event, Execution, Job, Sandbox, Session, Snapshot } from '@caisson/protocol/resources'
import { expect, test } from 'vitest'
import { aCheckpoint, aSession, aSnapshot } from '../state/fixtures.ts'
import type { ExecutionRecord, SandboxRecord } from './records.ts'
import {
  jobStatus,
  type Present,
  toCheckpoint,
  toEvent,
  toExecution,
  toJob,
  toSandbox,
  toSession,
  toSnapshot,
} from './view.ts'

const record: SandboxRecord = {
  id: 'sbx_1',
  name: 'web',
  description: null,
  state: 'ready',
  mode: 'interactive',
  runtime: 'base:latest',
  imageDigest: 'abc',
  metadata: { team: 'red' },
  env: { TOKEN: 'canary-secret' },
  asked: { memory: '1Gi' },
  granted: { memoryBytes: 1024 ** 3, cpuMillis: 500, pids: 64, diskBytes: null },
  driver: 'oci',
  storage: 'overlay',
  idBase: 131_072,
  layers: ['canary-layer'],
  base: 'canary-base',
  snapshotId: 'snp_1',
  forkedFrom: 'sbx_0',
  sessionId: 'ses_1',
  templateId: 'tpl_1',
  dependencies: ['jq'],
  packages: ['left-pad'],
  user: 'canary-user',
  workdir: '/srv',
  start: { command: 'serve', ready: 'canary-ready', ports: [3000] },
  volumes: [{ volume: 'vol_1', name: 'data', path: '/data', readOnly: true }],
  internal: null,
  pause: null,
  onTimeout: 'pause',
  pauseDepth: 'filesystem',
  pausedTimeoutMs: 1000,
  resumeOnRequest: true,
  bootedAt: 1_700_000_000_000,
  pauseAfterMs: 3_600_000,
  restoring: null,
  network: {
    default: 'deny',
    allow: ['example.com'],
    deny: [],
    learn: false,
    uploadBytesPerSecond: null,
    downloadBytesPerSecond: null,
    connections: null,
  },
  rulesDigest: 'canary-rules',
  ports: [{ port: 3000, access: 'private', since: 1_700_000_000_000 }],
  allPorts: { access: 'public', since: 1_700_000_000_000 },
  portHost: 'app.localhost',
  trafficBefore: { up: 1, down: 2 },
  idleTimeoutMs: 600_000,
  ttlMs: 60_000,
  expiresAt: 1_700_000_100_000,
  projectId: null,
  orgId: null,
  executionCount: 2,
  createdAt: 1_700_000_000_000,
  updatedAt: 1_700_000_000_001,
  lastActiveAt: 1_700_000_000_002,
  endedAt: null,
  ending: null,
  idempotencyKey: 'canary-key',
  requestDigest: 'canary-digest',
  version: 3,
}

const execution: ExecutionRecord = {
  id: 'exe_1',
  sandboxId: 'sbx_1',
  kind: 'command',
  tag: 'build',
  state: 'ended',
  pid: 17,
  argv: ['true'],
  cwd: null,
  user: null,
  env: { TOKEN: 'canary-secret' },
  tty: { cols: 80, rows: 24 },
  stdin: false,
  timeoutMs: null,
  deadlineAt: null,
  outputLimit: 100,
  outputKeep: 'tail',
  outputBytes: 5,
  outputStart: 2,
  outputTruncated: false,
  killReason: null,
  ending: 'exited',
  exitCode: 0,
  signal: null,
  message: null,
  oomKills: 0,
  autoResumed: true,
  cpuUsec: 10,
  maxRssBytes: 20,
  createdAt: 1_700_000_000_000,
  startedAt: 1_700_000_000_010,
  endedAt: 1_700_000_000_025,
  idempotencyKey: 'canary-key',
  requestDigest: 'canary-digest',
}

const present: Present = {
  busy: false,
  healthy: true,
  isolation: 'namespaces',
  ports: [{ port: 3000, access: 'private', url: null }],
}

test('a sandbox is shown in the shape of the API, and nothing beside it', () => {
  const shown = toSandbox(record, present)
  expect(Sandbox.strict().parse(shown)).toEqual(shown)
  expect(JSON.stringify(shown)).not.toContain('canary')
  expect(shown).toMatchObject({
    status: 'idle',
    health: 'ok',
    expiresAt: '2023-11-14T22:15:00.000Z',
    endedAt: null,
    network: { mode: 'rules', allow: ['example.com'] },
    ports: present.ports,
    onTimeout: 'pause',
    resumeOnRequest: true,
    pause: null,
    snapshotId: 'snp_1',
    templateId: 'tpl_1',
    forkedFrom: 'sbx_0',
    sessionId: 'ses_1',
    dependencies: ['jq'],
    packages: ['left-pad'],
    workdir: '/srv',
    startCommand: 'serve',
    volumes: [{ volumeId: 'vol_1', name: 'data', path: '/data', readOnly: true }],
    allPorts: 'public',
    portHost: 'app.localhost',
  })
})

test('a pause is told with what is left, and when it ends', () => {
  const pause = { depth: 'memory', memory: 'disk', since: 1_700_000_000_000, ttlLeftMs: 5 } as const
  const shown = toSandbox({ ...record, state: 'paused', pause }, present)
  expect(Sandbox.strict().parse(shown)).toEqual(shown)
  expect(shown.pause).toEqual({
    depth: 'memory',
    memory: 'disk',
    since: '2023-11-14T22:13:20.000Z',
    ttlLeftMs: 5,
    deletedAt: '2023-11-14T22:13:21.000Z',
  })
  const lasting = toSandbox({ ...record, state: 'paused', pause, pausedTimeoutMs: null }, present)
  expect(lasting.pause?.deletedAt).toBeNull()
})

test('paused shows as suspended when none of it is in memory; on the way there and back as paused', () => {
  const pause = { depth: 'memory', since: 0, ttlLeftMs: null } as const
  const status = (state: SandboxRecord['state'], memory: 'ram' | 'disk' | 'none') =>
    toSandbox({ ...record, state, pause: { ...pause, memory } }, present).status
  expect(status('paused', 'ram')).toBe('paused')
  for (const memory of ['disk', 'none'] as const) expect(status('paused', memory)).toBe('suspended')
  for (const state of ['pausing', 'resuming'] as const) expect(status(state, 'none')).toBe('paused')
})

test('ready shows as idle or running; every other state as it is', () => {
  expect(toSandbox(record, { ...present, busy: true }).status).toBe('running')
  for (const state of ['creating', 'stopping', 'terminated', 'failed'] as const) {
    expect(toSandbox({ ...record, state }, { ...present, busy: true }).status).toBe(state)
  }
  expect(toSandbox(record, { ...present, healthy: false }).health).toBe('unresponsive')
})

test('an execution is shown in the shape of the API, and nothing beside it', () => {
  const shown = toExecution(execution)
  expect(Execution.strict().parse(shown)).toEqual(shown)
  expect(JSON.stringify(shown)).not.toContain('canary')
  expect(shown).toMatchObject({
    tty: true,
    terminal: { cols: 80, rows: 24 },
    outputStart: 2,
    durationMs: 15,
    autoResumed: true,
    endedAt: '2023-11-14T22:13:20.025Z',
  })
  expect(toExecution({ ...execution, endedAt: null }).durationMs).toBeNull()
  expect(toExecution({ ...execution, endedAt: 1 }).durationMs).toBe(0)
})

test.each([
  ['pending', null, null, 'pending'],
  ['running', null, null, 'running'],
  ['ended', 'exited', 0, 'completed'],
  ['ended', 'exited', 1, 'failed'],
  ['ended', 'cancelled', null, 'cancelled'],
  ['ended', 'signalled', null, 'failed'],
  ['ended', 'out-of-memory', null, 'failed'],
  ['ended', 'execution-timeout', null, 'failed'],
  ['ended', 'sandbox-ended', null, 'failed'],
  ['ended', 'exited', 0, 'cancelled', 'stopped'],
  ['ended', 'exited', 143, 'cancelled', 'stopped'],
  ['ended', 'exited', 0, 'completed', 'cancelled'],
] as [
  ExecutionRecord['state'],
  ExecutionRecord['ending'],
  number | null,
  string,
  ExecutionRecord['killReason']?,
][])(
  'a job that is %s, %s with the code %s, shows as %4$s',
  (state, ending, exitCode, status, killReason = null) => {
    expect(jobStatus({ state, ending, exitCode, killReason })).toBe(status)
  },
)

test('a job is shown in the shape of the API, and nothing beside it', () => {
  const shown = toJob(toExecution({ ...execution, kind: 'job' }), execution)
  expect(Job.strict().parse(shown)).toEqual(shown)
  expect(JSON.stringify(shown)).not.toContain('canary')
})

test('an event is shown in the shape of the API', () => {
  const shown = toEvent({ id: 'evt_1', sandboxId: 'sbx_1', type: 'create', payload: { a: 1 }, createdAt: 0 })
  expect(Event.strict().parse(shown)).toEqual(shown)
})

test('a checkpoint is shown in the shape of the API, and nothing beside it', () => {
  const shown = toCheckpoint(aCheckpoint('sbx_1', { save: 'canary-save', layers: ['canary-layer'] }))
  expect(Checkpoint.strict().parse(shown)).toEqual(shown)
  expect(JSON.stringify(shown)).not.toContain('canary')
})

test('a snapshot is shown in the shape of the API, without the values of its environment', () => {
  const hidden = { save: 'canary-save', layers: ['canary-layer'], user: 'canary-user', imageDigest: 'canary' }
  const shown = toSnapshot(aSnapshot({ ...hidden, env: { B: 'canary-value', A: '' } }), 3)
  expect(Snapshot.strict().parse(shown)).toEqual(shown)
  expect(JSON.stringify(shown)).not.toContain('canary')
  expect(shown).toMatchObject({ env: ['A', 'B'], sandboxes: 3 })
})

test('a session is shown in the shape of the API, with what its sandbox tells', () => {
  const session = aSession('sbx_1', { idempotencyKey: 'canary-key', requestDigest: 'canary-digest' })
  const shown = toSession(session, record)
  expect(Session.strict().parse(shown)).toEqual(shown)
  expect(JSON.stringify(shown)).not.toContain('canary')
  expect(shown).toMatchObject({ status: 'active', bootedAt: '2023-11-14T22:13:20.000Z', deletedAt: null })
  const ended = toSession(session, { ...record, state: 'terminated', endedAt: 0 })
  expect(ended).toMatchObject({ status: 'deleted', deletedAt: '1970-01-01T00:00:00.000Z' })
  const purged = toSession({ ...session, deletedAt: 1000 }, null)
  expect(purged).toMatchObject({ status: 'deleted', bootedAt: null, deletedAt: '1970-01-01T00:00:01.000Z' })
})
