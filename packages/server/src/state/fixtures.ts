import { newId, newSecret, sha256 } from '../core/ids.ts'
import type {
  DestinationRecord,
  EventRecord,
  ExecutionRecord,
  KeyRecord,
  SandboxRecord,
  SshKeyRecord,
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
    network: null,
    rulesDigest: null,
    ports: [],
    trafficBefore: { up: 0, down: 0 },
    idleTimeoutMs: 600_000,
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
