import type { OperationName, operations } from '@caisson/protocol/operations'
import type { z } from 'zod'
import { stateExamples } from './state-examples.ts'
import { templateExamples } from './template-examples.ts'
import { volumeExamples } from './volume-examples.ts'

type Table = typeof operations
type Has<N extends OperationName, K extends string, S> = Table[N] extends {
  [P in K]: infer Z extends z.ZodType
}
  ? { [P in K]: S extends 'output' ? z.output<Z> : z.input<Z> }
  : unknown

/** One plausible use of each operation, for the OpenAPI document and the reference; a test parses every one. */
export type Examples = {
  [N in OperationName]: Has<N, 'params', 'input'> &
    Has<N, 'body', 'input'> &
    Has<N, 'output', 'output'> & { query?: Record<string, string> } & (Table[N] extends { upload: true }
      ? { upload: string }
      : unknown)
}

const at = '2026-11-21T09:30:00.000Z'
const id = 'sbx_3kq7c2vfa5m1x8zd'
const execution = 'exe_9w4n6rj0b2t5ys7p'

const network = {
  mode: 'rules' as const,
  default: 'deny' as const,
  allow: ['*.pythonhosted.org', 'pypi.org'],
  deny: [],
  learn: false,
  uploadBytesPerSecond: null,
  downloadBytesPerSecond: 10_485_760,
  connections: null,
}

const port = {
  port: 3000,
  access: 'private' as const,
  url: 'http://3000-sbx-3kq7c2vfa5m1x8zd.localhost:4700/',
}

const networkState = {
  network,
  addresses: ['198.18.0.16'],
  uploadedBytes: 48_211,
  downloadedBytes: 1_902_334,
  learned: ['files.pythonhosted.org', 'pypi.org'],
}

const sandbox = {
  id,
  name: 'notebook',
  description: null,
  status: 'idle' as const,
  health: 'ok' as const,
  mode: 'interactive' as const,
  runtime: 'base:latest',
  metadata: { team: 'research' },
  resources: {
    asked: { memory: '1Gi' },
    granted: { memoryBytes: 1_073_741_824, cpuMillis: 2000, pids: 1024, diskBytes: 10_737_418_240 },
  },
  isolation: {
    driver: 'oci',
    storage: 'btrfs',
    description: 'Linux namespaces, seccomp and cgroups (crun)',
  },
  network,
  ports: [port],
  allPorts: null,
  portHost: null,
  volumes: [],
  idleTimeoutMs: 600_000,
  expiresAt: null,
  onTimeout: 'kill' as const,
  pauseDepth: 'memory' as const,
  pausedTimeoutMs: null,
  resumeOnRequest: false,
  pause: null,
  snapshotId: null,
  forkedFrom: null,
  templateId: null,
  sessionId: null,
  workdir: null,
  startCommand: null,
  dependencies: [],
  packages: [],
  projectId: null,
  orgId: null,
  executionCount: 1,
  createdAt: at,
  updatedAt: at,
  lastActiveAt: at,
  endedAt: null,
  ending: null,
}

const running = {
  id: execution,
  sandboxId: id,
  kind: 'command' as const,
  tag: null,
  state: 'running' as const,
  pid: 17,
  argv: ['python3', '-c', 'print(6*7)'],
  cwd: null,
  user: null,
  tty: false,
  terminal: null,
  ending: null,
  exitCode: null,
  signal: null,
  message: null,
  oomKills: 0,
  autoResumed: false,
  outputBytes: 0,
  outputStart: 0,
  outputTruncated: false,
  timeoutMs: 30_000,
  durationMs: null,
  cpuUsec: null,
  maxRssBytes: null,
  createdAt: at,
  startedAt: at,
  endedAt: null,
}

const file = {
  name: 'notes.txt',
  path: 'notes.txt',
  type: 'file' as const,
  size: 14,
  mode: 0o644,
  uid: 1000,
  gid: 1000,
  owner: 'agent',
  group: 'agent',
  modifiedAt: at,
  link: null,
}

const job = {
  ...running,
  id: 'job_7x2m9c4k1q8v5b3n',
  kind: 'job' as const,
  argv: ['make', 'test'],
  timeoutMs: null,
  status: 'running' as const,
}

const sshKey = {
  id: 'ssk_5d8h2m',
  name: 'ada@laptop',
  type: 'ssh-ed25519',
  fingerprint: 'SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8',
  publicKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI…',
  createdAt: at,
}

const token = 'eyJzIjoic2J4XzNrcTdjIn0.k5vJ0c'

const key = { id: 'key_5d8h2m', name: 'ci', scopes: ['exec' as const], createdAt: at, expiresAt: null }

export const examples: Examples = {
  ...stateExamples(sandbox),
  ...volumeExamples(file),
  ...templateExamples,
  createSandbox: {
    body: {
      name: 'notebook',
      resources: { memory: '1Gi' },
      metadata: { team: 'research' },
      idleTimeout: '10m',
      network: { allow: network.allow, download: '10Mi' },
      ports: [3000],
    },
    output: sandbox,
  },
  listSandboxes: {
    query: { status: 'idle', metadata: '{"team":"research"}', limit: '10' },
    output: { sandboxes: [sandbox], total: 1 },
  },
  getSandbox: { params: { id: 'notebook' }, output: sandbox },
  updateSandbox: { params: { id }, body: { ttl: '2h', metadata: { team: 'research' } }, output: sandbox },
  deleteSandbox: {
    params: { id },
    output: {
      ...sandbox,
      status: 'terminated',
      endedAt: at,
      ending: { reason: 'deleted', message: 'It was deleted.' },
    },
  },
  run: {
    body: { sandbox: { resources: { memory: '512Mi' } }, execution: { argv: running.argv, timeout: '30s' } },
  },
  exec: { params: { id }, body: { argv: running.argv, timeout: '30s' } },
  startExecution: { params: { id }, body: { argv: running.argv, timeout: '30s' }, output: running },
  listExecutions: { params: { id }, query: { limit: '10' }, output: { executions: [running], total: 1 } },
  getExecution: { params: { execution }, output: running },
  attachExecution: { params: { execution }, query: { offset: '0' } },
  writeStdin: { params: { execution }, query: { close: 'true' }, upload: 'text for the program' },
  killExecution: {
    params: { execution },
    body: { signal: 'SIGTERM', scope: 'tree' },
    output: running,
  },
  connectExecution: { params: { execution }, query: { offset: '0' } },
  resizeExecution: { params: { execution }, body: { cols: 120, rows: 40 } },
  readLogs: { params: { execution: job.id }, query: { tail: '100', grep: 'error|warn', timestamps: 'true' } },
  createJob: { params: { id }, body: { argv: job.argv, tag: 'tests' }, output: job },
  listJobs: { params: { id }, query: { limit: '10' }, output: { jobs: [job], total: 1 } },
  getJob: { params: { id, job: job.id }, output: job },
  stopJob: {
    params: { id, job: job.id },
    output: {
      ...job,
      state: 'ended',
      status: 'cancelled',
      ending: 'cancelled',
      signal: 'SIGTERM',
      endedAt: at,
    },
  },
  getEnvironment: { params: { id }, output: { env: { STAGE: 'test' } } },
  updateEnvironment: {
    params: { id },
    body: { env: { STAGE: 'test', OLD: null } },
    output: { env: { STAGE: 'test' } },
  },
  listEvents: {
    params: { id },
    query: { direction: 'desc', limit: '10' },
    output: {
      events: [
        {
          id: 'evt_6p3w8z',
          sandboxId: id,
          type: 'lifecycle:started',
          payload: { runtime: 'base:latest' },
          createdAt: at,
        },
      ],
      total: 1,
    },
  },
  listUsage: {
    params: { id },
    query: { start: '2026-11-21T09:00:00.000Z' },
    output: {
      samples: [
        {
          at,
          cpuMillis: 2000,
          cpuPercent: 12.5,
          memoryBytes: 48_234_496,
          memoryLimitBytes: 1_073_741_824,
          pids: 4,
          diskBytes: 1_228_800,
          diskLimitBytes: 10_737_418_240,
        },
      ],
    },
  },
  setAttributes: {
    params: { id },
    body: { path: 'notes.txt', attributes: { author: 'ada', draft: null } },
  },
  getUsage: {
    params: { id },
    output: {
      memoryBytes: 12_582_912,
      memoryLimitBytes: 1_073_741_824,
      cpuUsec: 41_000,
      cpuMillis: 2000,
      pids: 3,
      pidsLimit: 1024,
      oomKills: 0,
      diskBytes: 4_194_304,
      diskLimitBytes: 10_737_418_240,
      sampledAt: at,
    },
  },
  getStats: {
    query: { start: '2026-11-01T00:00:00Z', end: '2026-11-21T00:00:00Z' },
    output: {
      start: '2026-11-01T00:00:00.000Z',
      end: '2026-11-21T00:00:00.000Z',
      totalActive: 3,
      running: 1,
      idle: 2,
      creating: 0,
      paused: 0,
      totalExecutions: 128,
      totalCpuTimeMs: 90_000,
      totalMemoryByteSec: 4_500_000_000,
      totalNetworkEgressBytes: 0,
    },
  },
  getNetwork: { params: { id }, output: networkState },
  setNetwork: {
    params: { id },
    body: { network: { allow: network.allow, download: '10Mi' } },
    output: networkState,
  },
  readNetworkLog: {
    params: { id },
    query: { reverse: 'true', limit: '10' },
    output: {
      entries: [
        {
          at,
          verdict: 'refused',
          protocol: 'tls',
          name: 'example.org',
          address: null,
          port: 443,
          rule: 'default deny',
          message: 'example.org is refused: no rule allows this name.',
          count: 1,
          process: 'curl (pid 31)',
        },
      ],
      total: 1,
    },
  },
  listDestinations: {
    params: { id },
    query: { limit: '10' },
    output: {
      destinations: [
        {
          name: 'pypi.org',
          address: '151.101.64.223',
          port: 443,
          protocol: 'tcp',
          connections: 2,
          uploadedBytes: 2210,
          downloadedBytes: 91_022,
          firstAt: at,
          lastAt: at,
        },
      ],
      total: 1,
    },
  },
  explainNetwork: {
    params: { id },
    query: { destination: 'pypi.org:443' },
    output: {
      destination: 'pypi.org:443',
      verdict: 'allowed',
      rule: 'allow pypi.org',
      message: 'pypi.org is allowed by "allow pypi.org".',
      addresses: [{ address: '151.101.64.223', verdict: 'allowed', rule: 'allow pypi.org' }],
    },
  },
  listPorts: { params: { id }, output: { ports: [port] } },
  exposePort: { params: { id, port: '3000' }, body: { access: 'private' }, output: port },
  unexposePort: { params: { id, port: '3000' } },
  linkPort: {
    params: { id, port: '3000' },
    body: { ttl: '24h' },
    output: { url: `${port.url}?caisson_token=${token}`, token, expiresAt: at },
  },
  readFile: { params: { id }, query: { path: 'notes.txt' } },
  writeFile: {
    params: { id },
    query: { path: 'notes.txt' },
    upload: 'Hello, world.\n',
    output: { ...file, directoriesCreated: [] },
  },
  writeFiles: {
    params: { id },
    body: { files: [{ path: 'src/main.py', content: 'print(6*7)' }] },
    output: { files: 1, bytes: 10, directoriesCreated: ['/home/agent/src'] },
  },
  putUpload: {
    params: { id, upload: 'dataset-1' },
    query: { path: 'data.csv', offset: '0', size: '14' },
    upload: 'Hello, world.\n',
    output: {
      offset: 14,
      complete: true,
      file: { ...file, path: 'data.csv', name: 'data.csv' },
      directoriesCreated: [],
    },
  },
  getUpload: { params: { id, upload: 'dataset-1' }, query: { path: 'data.csv' }, output: { offset: 14 } },
  deleteUpload: { params: { id, upload: 'dataset-1' }, query: { path: 'data.csv' } },
  checksumFile: {
    params: { id },
    query: { path: 'notes.txt' },
    output: {
      algorithm: 'sha256',
      digest: 'd9014c4624844aa5bac314773d6b689ad467fa4e1d1a50a1b8a99d5a95f72ff5',
      size: 13,
    },
  },
  downloadArchive: { params: { id }, query: { path: 'src', format: 'zip' } },
  uploadArchive: {
    params: { id },
    query: { path: 'src' },
    upload: 'a tar, tar.gz or zip',
    output: { files: 12, directories: 3, links: 1, bytes: 48_211 },
  },
  watchFiles: { params: { id }, query: { path: 'src', recursive: 'true' } },
  signFile: {
    params: { id },
    body: { path: 'report.pdf', operation: 'read', ttl: '1h' },
    output: {
      path: `/v1/signed/${token}`,
      url: `https://sandboxes.example.org/v1/signed/${token}`,
      expiresAt: at,
    },
  },
  readSigned: { params: { token } },
  writeSigned: { params: { token }, upload: 'Hello, world.\n', output: { bytes: 14 } },
  statFile: { params: { id }, query: { path: 'notes.txt' }, output: file },
  listFiles: { params: { id }, query: { path: '.' }, output: { files: [file] } },
  makeDirectory: {
    params: { id },
    body: { path: 'data/raw', parents: true },
    output: { directoriesCreated: ['data', 'data/raw'] },
  },
  renameFile: { params: { id }, body: { path: 'notes.txt', target: 'data/notes.txt' } },
  removeFile: { params: { id }, query: { path: 'data', recursive: 'true' } },
  changeMode: { params: { id }, body: { path: 'notes.txt', mode: 0o600 } },
  changeOwner: { params: { id }, body: { path: 'notes.txt', uid: 1000, gid: 1000 } },
  getServer: {
    output: {
      version: '0.1.0',
      driver: 'oci',
      storage: 'btrfs',
      memoryPause: 'disk',
      isolation: sandbox.isolation.description,
      dataDir: '/var/lib/caisson',
      pid: 4711,
      startedAt: at,
      sandboxes: 1,
      url: null,
      previewDomain: 'localhost',
      ssh: {
        host: '127.0.0.1',
        port: 2222,
        hostKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI…',
        fingerprint: 'SHA256:4a7Wc1…',
      },
    },
  },
  doctor: {
    output: {
      ok: true,
      driver: 'oci',
      storage: 'btrfs',
      isolation: sandbox.isolation.description,
      checks: [
        {
          id: 'user-namespaces',
          ability: 'User namespaces',
          state: 'ok',
          detail: 'one was made',
          fix: null,
          required: true,
        },
      ],
    },
  },
  stopServer: {},
  createKey: {
    body: { name: 'ci', scopes: ['exec'], ttl: '30d' },
    output: { ...key, key: 'csk_2mZ8x…' },
  },
  listKeys: { output: { keys: [key] } },
  deleteKey: { params: { key: key.id } },
  addSshKey: { body: { publicKey: `${sshKey.publicKey} ada@laptop` }, output: sshKey },
  listSshKeys: { output: { keys: [sshKey] } },
  deleteSshKey: { params: { key: sshKey.id } },
}
