import { newId, newSecret, sha256 } from '../core/ids.ts'
import type {
  BuildRecord,
  CheckpointRecord,
  DestinationRecord,
  EventRecord,
  ExecutionRecord,
  KeyRecord,
  LayerRecord,
  SandboxRecord,
  SessionRecord,
  SnapshotRecord,
  SshKeyRecord,
  TemplateRecord,
  UsageRecord,
} from '../core/records.ts'

/** Records for tests: valid, with new ids, and nothing set that is optional. */

export function aSandbox(fields: Partial<SandboxRecord> = {}): SandboxRecord {
  return {
    id: newId('sbx'),
    name: null,
    description: null,
    state: 'ready',
    mode: 'interactive',
    runtime: 'base:latest',
    imageDigest: null,
    metadata: {},
    env: {},
    asked: {},
    granted: { memoryBytes: 1024 ** 3, cpuMillis: 1000, pids: 1024, diskBytes: null },
    driver: 'memory',
    storage: 'memory',
    idBase: 0,
    layers: [],
    base: null,
    snapshotId: null,
    forkedFrom: null,
    sessionId: null,
    templateId: null,
    dependencies: [],
    packages: [],
    user: null,
    workdir: null,
    start: null,
    volumes: [],
    internal: null,
    pause: null,
    onTimeout: 'kill',
    pauseDepth: 'filesystem',
    pausedTimeoutMs: null,
    resumeOnRequest: false,
    bootedAt: 1_700_000_000_000,
    pauseAfterMs: null,
    restoring: null,
    network: null,
    rulesDigest: null,
    ports: [],
    allPorts: null,
    portHost: null,
    trafficBefore: { up: 0, down: 0 },
    idleTimeoutMs: 600_000,
    ttlMs: null,
    expiresAt: null,
    projectId: null,
    orgId: null,
    executionCount: 0,
    createdAt: 1_700_000_000_000,
    updatedAt: 1_700_000_000_000,
    lastActiveAt: 1_700_000_000_000,
    endedAt: null,
    ending: null,
    idempotencyKey: null,
    requestDigest: null,
    version: 1,
    ...fields,
  }
}

export function anExecution(sandboxId: string, fields: Partial<ExecutionRecord> = {}): ExecutionRecord {
  return {
    id: newId('exe'),
    sandboxId,
    kind: 'command',
    tag: null,
    state: 'pending',
    pid: null,
    argv: ['true'],
    cwd: null,
    user: null,
    env: {},
    tty: null,
    stdin: false,
    timeoutMs: null,
    deadlineAt: null,
    outputLimit: 1024,
    outputKeep: 'head',
    outputBytes: 0,
    outputStart: 0,
    outputTruncated: false,
    killReason: null,
    ending: null,
    exitCode: null,
    signal: null,
    message: null,
    oomKills: 0,
    autoResumed: false,
    cpuUsec: null,
    maxRssBytes: null,
    createdAt: 1_700_000_000_000,
    startedAt: null,
    endedAt: null,
    idempotencyKey: null,
    requestDigest: null,
    ...fields,
  }
}

export function aKey(fields: Partial<KeyRecord> = {}): KeyRecord {
  return {
    id: newId('key'),
    name: 'test',
    hash: sha256(newSecret()),
    scopes: ['read'],
    createdAt: 1_700_000_000_000,
    expiresAt: null,
    ...fields,
  }
}

export function anEvent(sandboxId: string, fields: Partial<EventRecord> = {}): EventRecord {
  return {
    id: newId('evt'),
    sandboxId,
    type: 'create',
    payload: {},
    createdAt: 1_700_000_000_000,
    ...fields,
  }
}

export function aUsage(sandboxId: string, fields: Partial<UsageRecord> = {}): UsageRecord {
  return {
    hour: 1_699_999_200_000,
    sandboxId,
    projectId: null,
    orgId: null,
    executions: 0,
    cpuUsec: 0,
    memoryByteSec: 0,
    egressBytes: 0,
    ...fields,
  }
}

export function aDestination(sandboxId: string, fields: Partial<DestinationRecord> = {}): DestinationRecord {
  return {
    sandboxId,
    name: 'example.com',
    address: '93.184.216.34',
    port: 443,
    protocol: 'tcp',
    connections: 1,
    uploadedBytes: null,
    downloadedBytes: null,
    firstAt: 1_700_000_000_000,
    lastAt: 1_700_000_000_000,
    ...fields,
  }
}

export function anSshKey(fields: Partial<SshKeyRecord> = {}): SshKeyRecord {
  const id = newId('ssk')
  return {
    id,
    name: 'test',
    type: 'ssh-ed25519',
    fingerprint: `SHA256:${sha256(id)}`,
    publicKey: `ssh-ed25519 ${id}`,
    createdAt: 1_700_000_000_000,
    ...fields,
  }
}

export function aCheckpoint(sandboxId: string, fields: Partial<CheckpointRecord> = {}): CheckpointRecord {
  return {
    id: newId('ckpt'),
    sandboxId,
    name: null,
    save: newId('sav'),
    layers: [],
    sizeBytes: null,
    fileCount: null,
    createdAt: 1_700_000_000_000,
    ...fields,
  }
}

export function aSnapshot(fields: Partial<SnapshotRecord> = {}): SnapshotRecord {
  return {
    id: newId('snp'),
    name: 'web',
    tag: null,
    description: null,
    public: false,
    memory: false,
    metadata: {},
    runtime: 'base:latest',
    imageDigest: null,
    layers: [],
    save: newId('sav'),
    env: {},
    user: null,
    workdir: null,
    start: null,
    dependencies: [],
    packages: [],
    sandboxId: null,
    parentId: null,
    contentHash: null,
    sizeBytes: null,
    fileCount: null,
    createdAt: 1_700_000_000_000,
    updatedAt: 1_700_000_000_000,
    ...fields,
  }
}

export function aSession(sandboxId: string, fields: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id: newId('ses'),
    name: null,
    sandboxId,
    pauseAfterMs: 3_600_000,
    metadata: {},
    projectId: null,
    orgId: null,
    createdAt: 1_700_000_000_000,
    updatedAt: 1_700_000_000_000,
    deletedAt: null,
    idempotencyKey: null,
    requestDigest: null,
    ...fields,
  }
}

/** Of a session that was never started: nothing of it is on disk. */
export function aRecordedSandbox(fields: Partial<SandboxRecord> = {}): SandboxRecord {
  const pause = { depth: 'workspace', memory: 'none', since: 1_700_000_000_000, ttlLeftMs: null } as const
  return aSandbox({ state: 'paused', pauseDepth: 'workspace', bootedAt: null, pause, ...fields })
}

export function aLayer(fields: Partial<LayerRecord> = {}): LayerRecord {
  const save = newId('sav')
  return {
    digest: sha256(save),
    save,
    what: 'jq on base:latest',
    createdAt: 1_700_000_000_000,
    usedAt: 1_700_000_000_000,
    ...fields,
  }
}

export function aTemplate(fields: Partial<TemplateRecord> = {}): TemplateRecord {
  const id = newId('tpl')
  return { id, name: id.replace('_', '-'), resources: {}, createdAt: 1, updatedAt: 1, ...fields }
}

export function aBuild(fields: Partial<BuildRecord> & { templateId: string }): BuildRecord {
  return {
    id: newId('bld'),
    status: 'waiting',
    tags: ['latest'],
    from: null,
    steps: [],
    start: null,
    reason: null,
    made: null,
    createdAt: 1,
    startedAt: null,
    endedAt: null,
    ...fields,
  }
}
