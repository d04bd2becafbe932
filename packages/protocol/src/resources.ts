import { z } from 'zod'
import {
  duration,
  envMap,
  filePath,
  name,
  noNul,
  quantity,
  stringMap,
  text,
  userName,
} from './resources/common.ts'
import { PauseDepth, PauseState } from './resources/pause.ts'
import { VolumeMount, VolumeMountAsked } from './resources/volume.ts'

export * from './resources/pause.ts'
export * from './resources/runtime.ts'
export * from './resources/session.ts'
export * from './resources/snapshot.ts'
export * from './resources/storage.ts'
export * from './resources/template.ts'
export * from './resources/volume.ts'

/** What the API speaks of. Answers tolerate fields that are new to a client; requests do not. */

export const STATUSES = [
  'creating',
  'idle',
  'running',
  'paused',
  'suspended',
  'stopping',
  'terminated',
  'failed',
] as const
export const Status = z.enum(STATUSES).meta({
  id: 'Status',
  description: 'idle: ready, nothing runs; running: executions run; terminated and failed are final.',
})
export type Status = z.infer<typeof Status>

export const Scope = z.enum(['read', 'exec', 'admin']).meta({
  id: 'Scope',
  description:
    'read: look; exec: also create, run, write and delete; admin: also manage keys and the server.',
})
export type Scope = z.infer<typeof Scope>

export const ResourcesAsked = z
  .strictObject({
    memory: quantity.optional(),
    cpu: quantity.optional(),
    disk: quantity.optional(),
    pids: z.int().min(8).max(1_000_000).optional(),
  })
  .meta({ id: 'ResourcesAsked' })

export const ResourcesGranted = z
  .object({
    memoryBytes: z.int(),
    cpuMillis: z.int().meta({ description: 'Thousandths of a CPU.' }),
    pids: z.int(),
    diskBytes: z.int().nullable().meta({ description: 'null: this storage enforces no disk limit.' }),
  })
  .meta({ id: 'ResourcesGranted' })

export const Ending = z
  .object({
    reason: z.enum([
      'deleted',
      'completed',
      'idle-timeout',
      'expired',
      'paused-timeout',
      'session-deleted',
      'create-failed',
      'agent-lost',
      'out-of-memory',
      'host-lost',
      'server-restarted',
    ]),
    message: z.string(),
  })
  .meta({ id: 'Ending', description: 'Why a sandbox is no more.' })
export type Ending = z.infer<typeof Ending>

const entries = z.array(z.string().min(1).max(300)).max(1000).meta({
  description:
    'Addresses ("1.2.3.4", "2001:db8::1"), ranges ("1.2.0.0/16"), names ("example.com", "*.example.com"), names with a port ("example.com:22").',
})

export const NetworkRules = z
  .strictObject({
    default: z.enum(['allow', 'deny']).optional().meta({
      description: 'For what no entry matches. Default: deny when there is an `allow` list, else allow.',
    }),
    allow: entries.optional(),
    deny: entries.optional(),
    learn: z
      .boolean()
      .optional()
      .meta({ description: 'Let everything public pass and remember what was used.' }),
    upload: quantity.optional().meta({ description: 'Bytes per second that it may send, such as "10Mi".' }),
    download: quantity.optional().meta({ description: 'Bytes per second that it may receive.' }),
    connections: z.int().min(1).max(65_535).optional().meta({ description: 'Connections open at once.' }),
  })
  .meta({
    id: 'NetworkRules',
    description:
      'The most specific matching entry decides: an address before a name, a name before a wildcard, a wildcard before a range. Private and reserved addresses stay unreachable whatever is listed.',
  })
export type NetworkRules = z.input<typeof NetworkRules>

/** `false`: no network; `true`: the public internet. */
export const NetworkAsked = z.union([z.boolean(), NetworkRules])
export type NetworkAsked = z.input<typeof NetworkAsked>

export const Network = z
  .object({
    mode: z.enum(['none', 'public', 'rules']),
    default: z.enum(['allow', 'deny']),
    allow: z.array(z.string()),
    deny: z.array(z.string()),
    learn: z.boolean(),
    uploadBytesPerSecond: z.int().nullable(),
    downloadBytesPerSecond: z.int().nullable(),
    connections: z.int().nullable(),
  })
  .meta({ id: 'Network', description: 'What a sandbox may reach. null: the server’s own limit holds.' })
export type Network = z.infer<typeof Network>

const portNumber = z.int().min(1024).max(65_535)
export const PortAccess = z.enum(['public', 'private']).meta({
  id: 'PortAccess',
  description: 'public: whoever has the address; private: whoever has a token for it.',
})
export const PortAsked = z.union([
  portNumber,
  z.strictObject({ port: portNumber, access: PortAccess.optional() }),
])
export const ExposedPort = z
  .object({
    port: portNumber,
    access: PortAccess,
    url: z.string().nullable().meta({ description: 'null: the server listens on no TCP port.' }),
  })
  .meta({ id: 'ExposedPort' })
export type ExposedPort = z.infer<typeof ExposedPort>

export const NetworkLogEntry = z
  .object({
    at: z.iso.datetime(),
    verdict: z.enum(['refused', 'allowed']),
    protocol: z.enum(['tcp', 'udp', 'icmp', 'dns', 'tls', 'http', 'other']),
    name: z.string().nullable(),
    address: z.string().nullable(),
    port: z.int().nullable(),
    rule: z
      .string()
      .meta({ description: 'The entry or the built-in rule that decided, such as "deny example.com".' }),
    message: z.string().meta({ description: 'What happened and what would let it pass, in a sentence.' }),
    count: z.int().meta({ description: 'How often it happened, up to the next entry of the same kind.' }),
    process: z.string().nullable(),
  })
  .meta({ id: 'NetworkLogEntry' })
export type NetworkLogEntry = z.infer<typeof NetworkLogEntry>

export const Destination = z
  .object({
    name: z.string().nullable(),
    address: z.string(),
    port: z.int().nullable(),
    protocol: z.enum(['tcp', 'udp', 'icmp', 'other']),
    connections: z.int(),
    uploadedBytes: z.int().nullable().meta({ description: 'null: not counted for this destination.' }),
    downloadedBytes: z.int().nullable(),
    firstAt: z.iso.datetime(),
    lastAt: z.iso.datetime(),
  })
  .meta({ id: 'Destination' })
export type Destination = z.infer<typeof Destination>

export const NetworkExplanation = z
  .object({
    destination: z.string(),
    verdict: z.enum(['allowed', 'refused']),
    rule: z.string(),
    message: z.string().meta({ description: 'Why, and what would change it, in sentences.' }),
    addresses: z.array(
      z.object({ address: z.string(), verdict: z.enum(['allowed', 'refused']), rule: z.string() }),
    ),
  })
  .meta({ id: 'NetworkExplanation' })
export type NetworkExplanation = z.infer<typeof NetworkExplanation>

export const NetworkState = z
  .object({
    network: Network,
    addresses: z.array(z.string()).meta({ description: 'Its own addresses; none without a network.' }),
    uploadedBytes: z.int(),
    downloadedBytes: z.int(),
    learned: z
      .array(z.string())
      .meta({ description: 'The shortest allow list that lets pass what was used.' }),
  })
  .meta({ id: 'NetworkState' })
export type NetworkState = z.infer<typeof NetworkState>

export const Sandbox = z
  .object({
    id: z.string(),
    name: z.string().nullable(),
    description: z.string().nullable(),
    status: Status,
    health: z.enum(['ok', 'unresponsive']).meta({
      description: 'unresponsive: it runs, and its agent does not answer; calls fail until it does.',
    }),
    mode: z.enum(['oneshot', 'interactive']),
    runtime: z.string(),
    metadata: z.record(z.string(), z.string()),
    resources: z.object({ asked: ResourcesAsked, granted: ResourcesGranted }),
    isolation: z.object({ driver: z.string(), storage: z.string(), description: z.string() }),
    network: Network,
    ports: z.array(ExposedPort),
    allPorts: PortAccess.nullable().meta({
      description: 'Who reaches the ports that are not listed; null: nobody.',
    }),
    portHost: z.string().nullable().meta({
      description: 'The Host that programs behind exposed ports see; null: the one that was asked for.',
    }),
    volumes: z.array(VolumeMount),
    idleTimeoutMs: z.int().nullable(),
    expiresAt: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'null: never, or it is paused, and what was left of its time waits.' }),
    onTimeout: z.enum(['kill', 'pause']),
    pauseDepth: PauseDepth,
    pausedTimeoutMs: z.int().nullable(),
    resumeOnRequest: z.boolean(),
    pause: PauseState.nullable().meta({ description: 'null: it is not paused.' }),
    snapshotId: z.string().nullable().meta({ description: 'The snapshot that it was made from.' }),
    forkedFrom: z.string().nullable().meta({ description: 'The sandbox that it was forked from.' }),
    templateId: z.string().nullable().meta({ description: 'The template that it was made from.' }),
    sessionId: z.string().nullable(),
    workdir: z.string().nullable().meta({
      description: 'Where commands run that name no directory; null: the home of their user.',
    }),
    startCommand: z.string().nullable().meta({
      description: 'Runs from its start on, in the background; of its template or runtime.',
    }),
    dependencies: z.array(z.string()),
    packages: z.array(z.string()),
    projectId: z.string().nullable(),
    orgId: z.string().nullable(),
    executionCount: z.int(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
    lastActiveAt: z.iso.datetime(),
    endedAt: z.iso.datetime().nullable(),
    ending: Ending.nullable(),
  })
  .meta({ id: 'Sandbox' })
export type Sandbox = z.infer<typeof Sandbox>

/** Options that name later abilities are part of the shape, so that asking for one is refused with its reason. */
export const CreateSandbox = z
  .strictObject({
    name: name.optional(),
    description: text.optional(),
    runtime: z.string().max(256).optional().meta({ description: 'Default "base:latest".' }),
    resources: ResourcesAsked.optional(),
    env: envMap.optional(),
    metadata: stringMap.optional(),
    files: z
      .array(
        z.strictObject({
          path: filePath,
          content: z.string(),
          encoding: z.enum(['utf8', 'base64']).default('utf8'),
          mode: z.int().min(0).max(0o7777).optional(),
        }),
      )
      .max(1000)
      .optional(),
    idleTimeout: duration
      .optional()
      .meta({ description: 'Deleted after so long with nothing running. Default: 10 minutes; 0: never.' }),
    ttl: duration
      .optional()
      .meta({ description: 'Deleted so long after creation, whatever runs. Default: never.' }),
    projectId: text.optional(),
    orgId: text.optional(),
    network: NetworkAsked.optional().meta({ description: 'Default: false, no network.' }),
    ports: z
      .array(PortAsked)
      .max(64)
      .optional()
      .meta({ description: 'Ports to expose; private unless said otherwise.' }),
    allPorts: PortAccess.optional().meta({
      description: 'Expose every other port, too: to whoever has the address, or a token. Default: none.',
    }),
    portHost: z
      .string()
      .min(1)
      .max(255)
      .optional()
      .meta({ description: `The Host that programs behind exposed ports see; "\${PORT}" is the port.` }),
    volumes: z.array(VolumeMountAsked).max(32).optional(),
    onTimeout: z
      .enum(['kill', 'pause'])
      .optional()
      .meta({ description: 'What the idle timeout and the end of its time to live do. Default: kill.' }),
    pauseDepth: PauseDepth.optional().meta({
      description:
        'How deep it is paused when nobody says. Default: memory where the server can, else filesystem.',
    }),
    pausedTimeout: duration.optional().meta({ description: 'Deleted after so long paused. Default: never.' }),
    resumeOnRequest: z
      .boolean()
      .optional()
      .meta({ description: 'A request to an exposed port resumes it. Default: false.' }),
    snapshot: text.optional().meta({
      description: 'Made from this snapshot instead of a runtime: an id, "name:tag", a name, or a tag.',
    }),
    processes: z.boolean().optional().meta({
      description:
        'Go on with the processes that its snapshot has, or its template’s or runtime’s program. Default: where there are any and nothing asked stands against it; true: fail where it cannot be; false: start anew.',
    }),
    template: text.optional().meta({
      description: 'Made from a template instead of a runtime: an id, a name, or "name:tag".',
    }),
    dependencies: z
      .array(text)
      .max(256)
      .optional()
      .meta({ description: 'Debian packages to install, "name" or "name=version".' }),
    packages: z
      .array(text)
      .max(256)
      .optional()
      .meta({ description: 'npm packages to install globally, "name" or "name@version".' }),
    scopes: z.array(text).max(64).optional(),
  })
  .meta({ id: 'CreateSandbox' })
export type CreateSandbox = z.input<typeof CreateSandbox>

export const ENDINGS = [
  'exited',
  'signalled',
  'out-of-memory',
  'execution-timeout',
  'idle-timeout',
  'sandbox-ended',
  'agent-lost',
  'host-lost',
  'cancelled',
] as const
export const ExecutionEnding = z.enum(ENDINGS).meta({
  id: 'ExecutionEnding',
  description:
    'How an execution ended, told by evidence. Only "exited" has an exit code, and every "exited" has one.',
})
export type ExecutionEnding = z.infer<typeof ExecutionEnding>

export const Execution = z
  .object({
    id: z.string(),
    sandboxId: z.string(),
    kind: z.enum(['command', 'job']),
    tag: z.string().nullable().meta({ description: 'A name that its starter chose; need not be unique.' }),
    state: z.enum(['pending', 'running', 'ended']),
    pid: z.int().nullable().meta({ description: 'Of the leader, as the sandbox sees it.' }),
    argv: z.array(z.string()),
    cwd: z.string().nullable(),
    user: z.string().nullable(),
    tty: z.boolean(),
    stdin: z
      .boolean()
      .optional()
      .meta({ description: 'Whether its stdin takes bytes: it was opened, and nobody has closed it.' }),
    terminal: z
      .object({ cols: z.int(), rows: z.int() })
      .nullable()
      .meta({ description: 'The size that was asked for last, by whichever viewer.' }),
    ending: ExecutionEnding.nullable(),
    exitCode: z.int().nullable(),
    signal: z
      .string()
      .nullable()
      .meta({ description: 'The signal that ended the program, such as "SIGKILL".' }),
    message: z.string().nullable().meta({ description: 'The evidence for the ending, in a sentence.' }),
    oomKills: z
      .int()
      .meta({ description: 'Processes of the sandbox that the kernel killed for memory while this ran.' }),
    autoResumed: z.boolean().meta({ description: 'The sandbox was paused, and was resumed for this.' }),
    outputBytes: z.int(),
    outputStart: z.int().meta({ description: 'Offset of the first byte that is kept.' }),
    outputTruncated: z.boolean().meta({ description: 'Some of the output is not kept.' }),
    timeoutMs: z.int().nullable(),
    durationMs: z.number().nullable(),
    cpuUsec: z.int().nullable(),
    maxRssBytes: z.int().nullable(),
    createdAt: z.iso.datetime(),
    startedAt: z.iso.datetime().nullable(),
    endedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Execution' })
export type Execution = z.infer<typeof Execution>

export const StartExecution = z
  .strictObject({
    argv: z.array(noNul(131_072)).min(1).max(4096),
    cwd: filePath.optional(),
    env: envMap.optional(),
    user: userName
      .optional()
      .meta({ description: 'Name or uid, "user:group" allowed. Default: the runtime’s user, "agent".' }),
    input: z.string().optional().meta({ description: 'Sent to stdin, which is then closed.' }),
    inputEncoding: z.enum(['utf8', 'base64']).optional(),
    stdin: z
      .boolean()
      .optional()
      .meta({ description: 'Keep stdin open for later writes. Default: stdin is empty.' }),
    tty: z.strictObject({ cols: z.int().min(1).max(65_535), rows: z.int().min(1).max(65_535) }).optional(),
    timeout: duration
      .optional()
      .meta({ description: 'Terminated after so long (SIGTERM, then SIGKILL). Default: none.' }),
    outputLimit: z
      .int()
      .min(0)
      .optional()
      .meta({ description: 'Bytes of output kept; what goes is told by outputTruncated.' }),
    outputKeep: z
      .enum(['head', 'tail'])
      .optional()
      .meta({ description: 'Which end is kept at the limit. Default: head; for jobs and terminals, tail.' }),
    tag: z.string().min(1).max(256).optional(),
  })
  .meta({ id: 'StartExecution' })
export type StartExecution = z.input<typeof StartExecution>

export const JobStatus = z.enum(['pending', 'running', 'completed', 'failed', 'cancelled']).meta({
  id: 'JobStatus',
  description:
    'completed: exit code 0; cancelled: it was stopped; failed: any other ending, told by `ending`.',
})
export type JobStatus = z.infer<typeof JobStatus>

export const Job = Execution.extend({ status: JobStatus }).meta({
  id: 'Job',
  description: 'An execution in the background, without a time limit unless one is given.',
})
export type Job = z.infer<typeof Job>

export const Event = z
  .object({
    id: z.string(),
    sandboxId: z.string(),
    type: z.string().meta({ description: 'Such as "create", "lifecycle:started", "env", "destroy".' }),
    payload: z.record(z.string(), z.unknown()),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Event' })
export type Event = z.infer<typeof Event>

export const Usage = z
  .object({
    memoryBytes: z.int(),
    memoryLimitBytes: z.int(),
    cpuUsec: z.int().meta({ description: 'CPU time since the sandbox started, in microseconds.' }),
    cpuMillis: z.int().meta({ description: 'The limit, in thousandths of a CPU.' }),
    pids: z.int(),
    pidsLimit: z.int(),
    oomKills: z.int(),
    diskBytes: z
      .int()
      .nullable()
      .meta({ description: 'What it has written, as far as nobody shares it; null: not counted here.' }),
    diskLimitBytes: z.int().nullable(),
    sampledAt: z.iso.datetime(),
  })
  .meta({ id: 'Usage' })
export type Usage = z.infer<typeof Usage>

export const UsageSample = z
  .object({
    at: z.iso.datetime(),
    cpuMillis: z.int().meta({ description: 'The limit, in thousandths of a CPU.' }),
    cpuPercent: z
      .number()
      .meta({ description: 'Of one CPU, since the sample before; 200 is two CPUs at work.' }),
    memoryBytes: z.int(),
    memoryLimitBytes: z.int(),
    pids: z.int(),
    diskBytes: z.int().nullable(),
    diskLimitBytes: z.int().nullable(),
  })
  .meta({ id: 'UsageSample', description: 'What a sandbox used at one time.' })
export type UsageSample = z.infer<typeof UsageSample>

export const Stats = z
  .object({
    start: z.iso.datetime(),
    end: z.iso.datetime(),
    totalActive: z.int().meta({ description: 'Sandboxes that live now, whatever the dates.' }),
    running: z.int(),
    idle: z.int(),
    creating: z.int(),
    paused: z.int(),
    totalExecutions: z.int().meta({ description: 'Between the dates, like all that follow.' }),
    totalCpuTimeMs: z.int(),
    totalMemoryByteSec: z.number().meta({ description: 'Memory in use times time, sampled every minute.' }),
    totalNetworkEgressBytes: z.int(),
  })
  .meta({ id: 'Stats' })
export type Stats = z.infer<typeof Stats>

export const SshKey = z
  .object({
    id: z.string(),
    name: z.string(),
    type: z.string(),
    fingerprint: z.string().meta({ description: '"SHA256:…", as ssh-keygen -l shows it.' }),
    publicKey: z.string(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'SshKey' })
export type SshKey = z.infer<typeof SshKey>

export const FileChange = z
  .object({
    type: z.enum(['create', 'write', 'remove', 'rename', 'chmod', 'overflow']),
    path: z.string().meta({ description: 'Relative to the watched directory; empty: that itself.' }),
    target: z.string().nullable().meta({ description: 'The new path of a rename.' }),
    fileType: z.enum(['file', 'directory', 'symlink', 'other']).nullable(),
    content: z
      .literal(true)
      .optional()
      .meta({ description: 'Of create: it has been written already, and no write need follow.' }),
  })
  .meta({ id: 'FileChange', description: 'overflow: changes were lost; look again.' })
export type FileChange = z.infer<typeof FileChange>

export const FileInfo = z
  .object({
    name: z.string(),
    path: z.string(),
    type: z.enum(['file', 'directory', 'symlink', 'other']),
    size: z.int(),
    mode: z.int(),
    uid: z.int(),
    gid: z.int(),
    owner: z.string().nullable(),
    group: z.string().nullable(),
    modifiedAt: z.iso.datetime(),
    link: z.string().nullable(),
    attributes: z
      .record(z.string(), z.string())
      .optional()
      .meta({ description: 'Extended attributes "user.…", without that prefix; when they were asked for.' }),
    resolved: z
      .object({
        path: z.string(),
        type: z.enum(['file', 'directory', 'symlink', 'other']),
        mode: z.int(),
      })
      .optional()
      .meta({ description: 'What a link leads to in the end, told with attributes.' }),
    attributesSkipped: z.int().optional().meta({
      description: 'Attributes that could not be told, because they are too large or not readable.',
    }),
  })
  .meta({ id: 'FileInfo' })
export type FileInfo = z.infer<typeof FileInfo>

export const ApiKey = z
  .object({
    id: z.string(),
    name: z.string(),
    scopes: z.array(Scope),
    createdAt: z.iso.datetime(),
    expiresAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'ApiKey' })
export type ApiKey = z.infer<typeof ApiKey>

export const ServerInfo = z
  .object({
    version: z.string(),
    driver: z.string(),
    storage: z.string(),
    memoryPause: z.enum(['no', 'frozen', 'disk']).meta({
      description: 'What a pause of depth "memory" can do: nothing, keep it in RAM, or put it on disk.',
    }),
    isolation: z.string(),
    dataDir: z.string(),
    pid: z.int(),
    startedAt: z.iso.datetime(),
    sandboxes: z.int(),
    url: z.string().nullable().meta({ description: 'Where it listens for requests over TCP.' }),
    previewDomain: z
      .string()
      .meta({ description: 'Exposed ports are `<port>-<id>.<previewDomain>`, with "-" for "_".' }),
    ssh: z
      .object({
        host: z.string(),
        port: z.int(),
        hostKey: z.string().meta({ description: 'As in a known_hosts file, without the host.' }),
        fingerprint: z.string(),
      })
      .nullable()
      .meta({ description: 'null: the SSH server is off.' }),
  })
  .meta({ id: 'ServerInfo' })
export type ServerInfo = z.infer<typeof ServerInfo>

export const DoctorReport = z
  .object({
    ok: z.boolean().meta({ description: 'The configured driver has all that it requires.' }),
    driver: z.string(),
    storage: z.string(),
    isolation: z.string().meta({ description: 'What stands between a sandbox and this host.' }),
    checks: z.array(
      z.object({
        id: z.string(),
        ability: z.string(),
        state: z.enum(['ok', 'degraded', 'missing']),
        detail: z.string().meta({ description: 'What was tried and what came out.' }),
        fix: z.string().nullable().meta({ description: 'What to do about it; null: nothing.' }),
        required: z.boolean().meta({ description: 'Without it the configured driver cannot run a sandbox.' }),
      }),
    ),
  })
  .meta({ id: 'DoctorReport' })
export type DoctorReport = z.infer<typeof DoctorReport>

export const Fields = { duration, quantity, filePath, userName, name }
