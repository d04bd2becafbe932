import { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { SandboxError } from '@caisson/protocol/errors'
import type {
  Build,
  BuildProgress,
  Execution,
  ExposedPort,
  Job,
  Network,
  NetworkState,
  Runtime,
  Sandbox,
  Scope,
  Session,
  Snapshot,
  Template,
  Volume,
} from '@caisson/protocol/resources'
import type { FileStat } from '../../packages/server/src/guest/guest.ts'
import type { OutputChunk, UseCases } from '../../packages/server/src/sandboxes/use-cases.ts'

/** What a program of the fake does: its output, and how it ends. */
export type Program = (signal: AbortSignal) => AsyncGenerator<{
  stream: OutputChunk['stream']
  data: Uint8Array
  /** Bytes before these that are not kept. */
  gap?: number
}>

export const KEYS: Record<Scope, string> = {
  read: 'csk_read00000000000000000000000000',
  exec: 'csk_exec00000000000000000000000000',
  admin: 'csk_admin0000000000000000000000000',
}

const at = '2026-11-21T09:30:00.000Z'

const noNetwork: Network = {
  mode: 'none',
  default: 'deny',
  allow: [],
  deny: [],
  learn: false,
  uploadBytesPerSecond: null,
  downloadBytesPerSecond: null,
  connections: null,
}

export function sandboxNamed(id: string): Sandbox {
  return {
    id,
    name: null,
    description: null,
    status: 'idle',
    health: 'ok',
    mode: 'interactive',
    runtime: 'base:latest',
    metadata: {},
    resources: { asked: {}, granted: { memoryBytes: 1, cpuMillis: 1, pids: 8, diskBytes: null } },
    isolation: { driver: 'memory', storage: 'memory', description: 'none' },
    network: noNetwork,
    ports: [],
    allPorts: null,
    portHost: null,
    volumes: [],
    idleTimeoutMs: null,
    expiresAt: null,
    onTimeout: 'kill',
    pauseDepth: 'memory',
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
    executionCount: 0,
    createdAt: at,
    updatedAt: at,
    lastActiveAt: at,
    endedAt: null,
    ending: null,
  }
}

function executionOf(id: string, ended: boolean): Execution {
  return {
    id,
    sandboxId: 'sbx_1',
    kind: 'command',
    tag: null,
    state: ended ? 'ended' : 'running',
    pid: 17,
    argv: ['x'],
    cwd: null,
    user: null,
    tty: false,
    terminal: null,
    ending: ended ? 'exited' : null,
    exitCode: ended ? 0 : null,
    signal: null,
    message: null,
    oomKills: 0,
    autoResumed: false,
    outputBytes: 0,
    outputStart: 0,
    outputTruncated: false,
    timeoutMs: null,
    durationMs: null,
    cpuUsec: null,
    maxRssBytes: null,
    createdAt: at,
    startedAt: at,
    endedAt: ended ? at : null,
  }
}

const JOB: Job = { ...executionOf('job_1', false), kind: 'job', status: 'running' }

const CHECKPOINT = {
  id: 'ckpt_1',
  sandboxId: 'sbx_1',
  name: 'c',
  sizeBytes: null,
  fileCount: null,
  createdAt: at,
}

const SNAPSHOT: Snapshot = {
  id: 'snp_1',
  name: 's',
  tag: 'latest',
  description: null,
  public: false,
  memory: false,
  metadata: {},
  runtime: 'base:latest',
  sandboxId: 'sbx_1',
  parentId: null,
  sizeBytes: 1,
  fileCount: 1,
  sandboxes: 0,
  contentHash: null,
  env: [],
  dependencies: [],
  packages: [],
  createdAt: at,
  updatedAt: at,
}

const VOLUME: Volume = {
  id: 'vol_1',
  name: 'v',
  metadata: {},
  limitBytes: null,
  usedBytes: 0,
  mounts: [],
  createdAt: at,
  updatedAt: at,
}

const TEMPLATE: Template = {
  id: 'tpl_1',
  name: 't',
  tags: [],
  resources: {},
  sandboxes: 0,
  createdAt: at,
  updatedAt: at,
}

const BUILD: Build = {
  id: 'bld_1',
  templateId: 'tpl_1',
  status: 'waiting',
  tags: ['latest'],
  reason: null,
  createdAt: at,
  startedAt: null,
  endedAt: null,
}

const SESSION: Session = {
  id: 'ses_1',
  name: null,
  status: 'recorded',
  sandboxId: 'sbx_1',
  workspace: '/home/agent/workspace',
  pauseAfterMs: null,
  metadata: {},
  projectId: null,
  orgId: null,
  createdAt: at,
  updatedAt: at,
  bootedAt: null,
  deletedAt: null,
}

const RUNTIME: Runtime = {
  id: 'base:latest',
  name: 'Base',
  description: '',
  icon: null,
  color: null,
  url: null,
  tags: [],
  requirements: { memory: null, cpu: null, disk: null },
  notes: null,
  source: 'recipe',
  built: true,
  createdAt: at,
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

async function textOf(data: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of data) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

/** A build that fails after its first step: the answer has begun by then. */
async function* progress(): AsyncGenerator<BuildProgress> {
  yield { step: 'one' }
  throw new SandboxError('build_failed', { what: 'base:latest', reason: 'no network', log: 'end' })
}

const SSH_KEY = {
  id: 'ssk_1',
  name: 'k',
  type: 'ssh-ed25519',
  fingerprint: 'SHA256:x',
  publicKey: 'ssh-ed25519 x',
  createdAt: at,
}

/** The one token of a signed link that the fake knows; it names the file "notes.txt". */
export const TOKEN = 'good'

const STAT: Omit<FileStat, 'size'> = {
  type: 'file',
  mode: 0o644,
  uid: 1000,
  gid: 1000,
  owner: 'agent',
  group: 'agent',
  mtimeMs: 0,
  link: null,
}

const VOLUME_FILE = { ...STAT, name: 'a', path: '/a', size: 1 }

/** A sandbox "sbx_1", an execution "exe_1" whose program a test chooses, and files in a map. Nothing runs. */
export class FakeUseCases implements UseCases {
  readonly calls: string[] = []
  readonly files = new Map<string, Buffer>()
  readonly stdin: Buffer[] = []
  readonly resizes: [number, number][] = []
  readonly signals: string[] = []
  stdinClosed = false
  brokenUploads = 0
  /** Iterations that a reader left before their end. */
  left = 0
  /** Bytes of output that there are, for whoever reads from the end. */
  kept = 0
  /** Bytes that were asked of the program so far. */
  produced = 0
  /** Resolves when `run` saw its client leave. */
  readonly aborted = Promise.withResolvers<void>()
  program: Program = async function* () {}
  /** Holds back stdin until it resolves. */
  stdinGate: Promise<void> = Promise.resolve()

  async createSandbox(input: { name?: string | undefined }, options?: { idempotencyKey?: string }) {
    this.calls.push(`createSandbox ${options?.idempotencyKey ?? ''}`)
    if (input.name === 'taken') throw new SandboxError('name_taken', { name: 'taken', sandbox: 'sbx_1' })
    if (input.name === 'bug') throw new Error('secret detail')
    return {
      sandbox: sandboxNamed('sbx_1'),
      stages: [
        { name: 'prepare', ms: 1.5 },
        { name: 'start', ms: 2 },
      ],
    }
  }
  async getSandbox(id: string) {
    if (id !== 'sbx_1') throw new SandboxError('sandbox_not_found', { sandbox: id })
    return sandboxNamed(id)
  }
  async listSandboxes() {
    return { sandboxes: [sandboxNamed('sbx_1')], total: 1 }
  }
  updateSandbox = (id: string) => this.getSandbox(id)
  deleteSandbox = (id: string) => this.getSandbox(id)

  async run(_: unknown, signal: AbortSignal) {
    signal.addEventListener('abort', () => this.aborted.resolve())
    return { output: this.#output(0, signal), stages: [{ name: 'start', ms: 2 }] }
  }
  async startExecution(id: string, input: { argv: string[] }) {
    await this.getSandbox(id)
    if (input.argv[0] === 'missing') {
      throw new SandboxError('command_not_found', { command: 'missing', reason: 'no such file' })
    }
    return executionOf('exe_1', false)
  }
  async listExecutions(id: string) {
    await this.getSandbox(id)
    return { executions: [executionOf('exe_1', true)], total: 1 }
  }
  async getExecution(id: string) {
    if (id !== 'exe_1') throw new SandboxError('execution_not_found', { execution: id })
    return executionOf(id, true)
  }
  async readOutput(
    id: string,
    from: { offset: number } | { tail: number },
    _follow: boolean,
    signal?: AbortSignal,
  ) {
    await this.getExecution(id)
    const offset = 'tail' in from ? Math.max(0, this.kept - from.tail) : from.offset
    return this.#output(offset, signal ?? new AbortController().signal)
  }
  async readLogs(id: string, query: object) {
    if (id !== 'job_1') await this.getExecution(id)
    this.calls.push(`readLogs ${JSON.stringify(query)}`)
    return (async function* () {
      yield Buffer.from('a line\n')
      yield Buffer.from('another')
    })()
  }
  async createJob(id: string, input: { argv: string[] }, options?: { idempotencyKey?: string }) {
    await this.startExecution(id, input)
    this.calls.push(`createJob ${options?.idempotencyKey ?? ''}`)
    return JOB
  }
  async listJobs(id: string) {
    await this.getSandbox(id)
    return { jobs: [JOB], total: 1 }
  }
  async getJob(id: string, job: string) {
    await this.getSandbox(id)
    if (job !== JOB.id) throw new SandboxError('execution_not_found', { execution: job })
    return JOB
  }
  async stopJob(id: string, job: string, force: boolean) {
    this.calls.push(`stopJob ${force}`)
    return this.getJob(id, job)
  }
  async getEnvironment(id: string) {
    await this.getSandbox(id)
    return { STAGE: 'test' }
  }
  async updateEnvironment(id: string, change: Record<string, string | null>) {
    await this.getSandbox(id)
    this.calls.push(`updateEnvironment ${JSON.stringify(change)}`)
    return { STAGE: 'test' }
  }
  async listEvents(id: string) {
    await this.getSandbox(id)
    const event = { id: 'evt_1', sandboxId: id, type: 'create', payload: { name: null }, createdAt: at }
    return { events: [event], total: 1 }
  }
  async getUsage(id: string) {
    await this.getSandbox(id)
    return {
      memoryBytes: 1,
      memoryLimitBytes: 2,
      cpuUsec: 3,
      cpuMillis: 4,
      pids: 5,
      pidsLimit: 6,
      oomKills: 0,
      diskBytes: null,
      diskLimitBytes: null,
      sampledAt: at,
    }
  }
  async getStats() {
    return {
      start: at,
      end: at,
      totalActive: 1,
      running: 0,
      idle: 1,
      creating: 0,
      paused: 0,
      totalExecutions: 0,
      totalCpuTimeMs: 0,
      totalMemoryByteSec: 0.5,
      totalNetworkEgressBytes: 0,
    }
  }
  async getNetwork(id: string): Promise<NetworkState> {
    await this.getSandbox(id)
    return { network: noNetwork, addresses: [], uploadedBytes: 0, downloadedBytes: 0, learned: [] }
  }
  setNetwork = (id: string) => this.getNetwork(id)
  readNetworkLog = async () => ({ entries: [], total: 0 })
  listDestinations = async () => ({ destinations: [], total: 0 })
  explainNetwork = async (_id: string, destination: string) => ({
    destination,
    verdict: 'refused' as const,
    rule: 'no network',
    message: 'It has no network.',
    addresses: [],
  })
  listPorts = async () => []
  exposePort = async (_id: string, port: number): Promise<ExposedPort> => ({
    port,
    access: 'private',
    url: null,
  })
  unexposePort = async () => {}
  linkPort = async () => ({ url: null, token: TOKEN, expiresAt: at })
  reachPort = async (sandbox: string, port: number): Promise<never> => {
    throw new SandboxError('port_not_exposed', { sandbox, port })
  }
  async dial() {
    return new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  }
  async killExecution(id: string, input: { signal: string }) {
    this.signals.push(input.signal)
    return this.getExecution(id)
  }
  async writeStdin(id: string, data: AsyncIterable<Uint8Array>, close: boolean) {
    await this.getExecution(id)
    for await (const bytes of data) {
      await this.stdinGate
      this.stdin.push(Buffer.from(bytes))
    }
    if (close) this.stdinClosed = true
  }
  async resizeTerminal(_: string, cols: number, rows: number) {
    this.resizes.push([cols, rows])
  }

  async readFile(_: string, { path }: { path: string }) {
    const bytes = this.#file(path)
    const use = this
    async function* data() {
      try {
        for (let i = 0; i < bytes.length; i += 65_536) yield bytes.subarray(i, i + 65_536)
      } finally {
        use.left++
      }
    }
    const size = path === 'lies' ? bytes.length + 1 : bytes.length
    return { stat: { ...STAT, size }, data: data() }
  }
  async writeFile(_: string, { path }: { path: string }, data: AsyncIterable<Uint8Array>) {
    if (path === 'denied') throw new SandboxError('file_denied', { path, user: 'agent' })
    const pieces: Uint8Array[] = []
    try {
      for await (const bytes of data) {
        pieces.push(bytes)
        if (path === 'full') throw new SandboxError('no_space', { path })
      }
    } catch (error) {
      this.brokenUploads++
      throw error
    }
    this.files.set(path, Buffer.concat(pieces))
    return { stat: { ...STAT, size: this.files.get(path)!.length }, created: ['made'] }
  }
  async statFile(_: string, { path }: { path: string }) {
    return { ...STAT, size: this.#file(path).length, mtimeMs: Number.MAX_VALUE }
  }
  writeFiles = async () => ({ files: 1, bytes: 1, created: [] })
  putUpload = async (_: string, __: string, ___: object, data: AsyncIterable<Uint8Array>) => {
    let offset = 0
    for await (const bytes of data) offset += bytes.length
    return { stat: { ...STAT, size: offset }, offset, created: [] }
  }
  getUpload = async () => 0
  deleteUpload = async () => {}
  checksumFile = async () => ({ algorithm: 'sha256', digest: '00', size: 0 })
  async downloadArchive() {
    const data = (async function* () {
      yield Buffer.from('archive')
    })()
    return { data, skipped: () => 0 }
  }
  async uploadArchive(_: string, __: object, data: AsyncIterable<Uint8Array>) {
    let bytes = 0
    for await (const piece of data) bytes += piece.length
    return { files: 1, directories: 0, links: 0, bytes }
  }
  async watchFiles() {
    return (async function* () {
      yield { type: 'create' as const, path: 'a', target: null, fileType: 'file' as const }
    })()
  }
  signFile = async () => ({ token: TOKEN, expiresAt: Date.parse(at) })
  async readSigned(token: string) {
    this.#verify(token)
    return { path: 'notes.txt', ...(await this.readFile('', { path: 'notes.txt' })) }
  }
  async writeSigned(token: string, data: AsyncIterable<Uint8Array>) {
    this.#verify(token)
    return (await this.writeFile('', { path: 'notes.txt' }, data)).stat
  }
  async listFiles() {
    return [{ name: 'é', ...STAT, size: 1 }]
  }
  makeDirectory = async () => ['a']
  renameFile = async () => {}
  removeFile = async () => {}
  changeMode = async () => {}
  changeOwner = async () => {}
  setAttributes = async () => {}
  findAccount = async () => ({ name: 'agent', uid: 1000, gid: 1000, home: '/home/agent' })
  listUsage = async (id: string) => {
    await this.getSandbox(id)
    return []
  }
  createVolume = async () => VOLUME
  listVolumes = async () => ({ volumes: [VOLUME], total: 1 })
  getVolume = async () => VOLUME
  deleteVolume = async () => {}
  listVolumeFiles = async () => [VOLUME_FILE]
  statVolumeFile = async () => VOLUME_FILE
  readVolumeFile = async (_: string, { path }: { path: string }) => this.readFile(_, { path: path.slice(1) })
  writeVolumeFile = async (_: string, { path }: { path: string }, data: AsyncIterable<Uint8Array>) => {
    await this.writeFile(_, { path }, data)
    return VOLUME_FILE
  }
  makeVolumeDirectory = async () => VOLUME_FILE
  changeVolumeFile = async () => VOLUME_FILE
  removeVolumeFile = async () => {}
  measureVolume = async () => ({ files: 1, bytes: 11 })
  createTemplate = async () => ({ template: TEMPLATE, build: BUILD })
  startBuild = async () => BUILD
  getBuild = async () => BUILD
  readBuildLog = async () => []
  cancelBuild = async () => BUILD
  hasBuildFiles = async () => true
  putBuildFiles = async (_: string, data: AsyncIterable<Uint8Array>) => {
    await textOf(data)
  }
  listTemplates = async () => ({ templates: [TEMPLATE], total: 1 })
  getTemplate = async () => TEMPLATE
  deleteTemplate = async () => {}
  tagTemplate = async () => TEMPLATE
  untagTemplate = async () => TEMPLATE
  sandboxTokens = (id: string) => ({ access: `access-${id}`, traffic: `traffic-${id}` })
  admittedBy = (token: string) => (token === 'access-sbx_1' ? 'sbx_1' : null)
  whoseToken = (passes: (token: string) => boolean) => (passes('access-sbx_1') ? 'sbx_1' : null)
  volumeToken = (volume: string) => `volume-${volume}`
  admittedToVolume = (token: string, volume: string) => token === `volume-${volume}`
  buildFilesToken = (hash: string) => `files-${hash}`
  buildFilesOf = (token: string) => (token.startsWith('files-') ? token.slice(6) : null)
  pauseSandbox = (id: string) => this.getSandbox(id)
  resumeSandbox = (id: string) => this.getSandbox(id)
  forkSandbox = async (id: string) => ({ sandboxes: [await this.getSandbox(id)], stages: [] })
  createSession = async () => SESSION
  listSessions = async () => ({ sessions: [SESSION], total: 1 })
  getSession = async () => SESSION
  deleteSession = async () => SESSION
  createCheckpoint = async () => CHECKPOINT
  listCheckpoints = async () => ({ checkpoints: [CHECKPOINT], total: 1 })
  restoreCheckpoint = (id: string) => this.getSandbox(id)
  deleteCheckpoint = async () => {}
  createSnapshot = async () => SNAPSHOT
  listSnapshots = async () => ({ snapshots: [SNAPSHOT], total: 1 })
  getSnapshot = async () => SNAPSHOT
  getLineage = async () => ({ ancestors: [], children: [], sandboxes: ['sbx_1'] })
  tagSnapshot = async () => SNAPSHOT
  deleteSnapshot = async () => {}
  exportSnapshot = async () => bytesOf('archive')
  exportPublicSnapshot = async () => bytesOf('archive')
  async importSnapshot(_: unknown, data: AsyncIterable<Uint8Array>) {
    this.calls.push(`importSnapshot ${await textOf(data)}`)
    return SNAPSHOT
  }
  listRuntimes = async () => ({ runtimes: [RUNTIME], total: 1 })
  getRuntime = async () => RUNTIME
  buildRuntime = async () => progress()
  importRuntime = async () => progress()
  deleteRuntime = async () => {}
  getDiskUsage = async () => ({
    storage: 'memory',
    pool: null,
    sandboxes: [],
    saved: { count: 0, bytes: 0 },
    volumes: { count: 0, bytes: 0 },
    images: [],
  })
  collectGarbage = async ({ dryRun }: { dryRun: boolean }) => ({ dryRun, freedBytes: 0, removed: [] })
  async getServer() {
    return {
      version: '0',
      driver: 'memory',
      storage: 'memory',
      memoryPause: 'frozen' as const,
      isolation: 'none',
      dataDir: '/',
      pid: 1,
      startedAt: at,
      sandboxes: 1,
      url: null,
      previewDomain: 'localhost',
      ssh: null,
    }
  }
  async createKey() {
    const key = { id: 'key_1', name: 'k', scopes: ['read' as const], createdAt: at, expiresAt: null }
    return { key, secret: KEYS.read }
  }
  listKeys = async () => []
  deleteKey = async () => {}
  addSshKey = async () => SSH_KEY
  listSshKeys = async () => [SSH_KEY]
  deleteSshKey = async () => {}
  authenticateSsh = async () => true
  async authenticate(secret: string) {
    const found = (Object.keys(KEYS) as Scope[]).find((scope) => KEYS[scope] === secret)
    return found === undefined ? null : { keyId: `key_${found}`, scopes: [found] }
  }
  gauges = () => ({ sandboxes: { idle: 1, running: 0 }, executionsRunning: 0 })

  #verify(token: string): void {
    if (token !== TOKEN) throw new SandboxError('signature_invalid', {})
  }

  #file(path: string): Buffer {
    const bytes = this.files.get(path)
    if (bytes === undefined) throw new SandboxError('file_not_found', { path })
    return bytes
  }

  #output(from: number, signal: AbortSignal) {
    return {
      execution: executionOf('exe_1', false),
      offset: from,
      chunks: this.#chunks(from, signal),
      result: async () => executionOf('exe_1', true),
    }
  }

  async *#chunks(from: number, signal: AbortSignal): AsyncGenerator<OutputChunk> {
    let offset = 0
    let whole = false
    try {
      for await (const { stream, data, gap = 0 } of this.program(signal)) {
        offset += gap
        this.produced += data.length
        const skip = Math.max(0, from - offset)
        if (skip < data.length) yield { offset: offset + skip, time: 0, stream, data: data.subarray(skip) }
        offset += data.length
      }
      whole = true
    } finally {
      if (!whole) this.left++
    }
  }
}

/** A program that says nothing until it is left. */
export const silent: Program = async function* (signal) {
  yield { stream: 'stdout', data: Buffer.from('waiting\n') }
  await sleep(600_000, undefined, { signal })
}
