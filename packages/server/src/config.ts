import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { SandboxError } from '@caisson/protocol/errors'
import { z } from 'zod'
import { addressList } from './address-list.ts'
import { parseDuration } from './core/duration.ts'
import { FAILPOINTS } from './failpoint.ts'

const root = resolve(import.meta.dirname, '../../..')
const native = join(root, 'native/build')

function areAddresses(entries: string[], context: z.RefinementCtx): void {
  try {
    addressList(entries)
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
  }
}

/** Everything that can be set. This is the only file that reads the environment. */
/** Refused here: where it is used first, nobody could be told. */
const Duration = z.union([z.string(), z.int()]).superRefine((value, context) => {
  try {
    parseDuration(value, 'it')
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
  }
})

const Config = z.strictObject({
  /** All data: database, images, sandboxes, sockets. */
  dataDir: z.string(),
  /** Built images; several data directories may share them. */
  imagesDir: z.string(),
  /** `host:port` of the TCP listener, which asks for API keys; null: the unix socket only. A port that is taken is no failure when it is the default. */
  listen: z.string().nullable(),
  /** `host:port` of the SSH server; null: off. A port that is taken is no failure when `sshListen` is the default. */
  sshListen: z.string().nullable(),
  /** Address under which clients reach the TCP listener, for links; null: as it listens. */
  publicUrl: z.url({ protocol: /^https?$/ }).nullable(),
  /** Sandboxes' exposed ports are `<port>-<id>.<previewDomain>`. */
  previewDomain: z
    .string()
    .toLowerCase()
    .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/, 'must be a domain name such as preview.example.com'),
  /** Certificate chain and key (PEM files) with which the TCP listener speaks TLS; null: plain HTTP. */
  tls: z.strictObject({ cert: z.string(), key: z.string() }).nullable(),
  /** Addresses and ranges of reverse proxies whose X-Forwarded headers are believed. */
  trustedProxies: z.array(z.string()).superRefine(areAddresses),
  network: z.strictObject({
    /** Private ranges (CIDR) that rules of a sandbox may open. */
    permit: z.array(z.string()),
    /** Name servers, `address` or `address:port`; empty: those of this host. */
    dns: z.array(z.string()),
    /** Connections of one sandbox at once when it asks for no number. */
    connections: z.int().min(1).max(65_535),
  }),
  /** Host names beside localhost and that of `publicUrl` that requests over TCP may name. */
  allowedHosts: z.array(z.string()),
  /** Origins of web pages that may call the API over TCP. */
  allowedOrigins: z.array(z.string()),
  driver: z.enum(['oci', 'local', 'memory']),
  /** `auto`: btrfs where the host has it, else overlay. */
  storage: z.enum(['auto', 'btrfs', 'overlay', 'copy', 'memory']),
  /** What the storage pool may grow to; `null`: 80 % of what is free where it lies when it is made. Nothing to do with a data directory on btrfs. */
  poolSize: z.string().nullable(),
  /** A sandbox that is paused with its memory is put on disk after so long, where the host can; 0: at once; null, or "off" in the environment: never. */
  dumpAfter: Duration.nullable(),
  /** The session’s sandbox is paused so long after each start. */
  sessionPause: Duration,
  /** Installed packages that no sandbox has asked for are kept so long. */
  layerRetention: Duration,
  build: z.strictObject({
    /** HTTP proxy that every build uses, `http://host:port`; null: none. */
    proxy: z.url({ protocol: /^https?$/ }).nullable(),
    /** PEM file of certificate authorities that every build trusts beside the usual ones; null: none. */
    caFile: z.string().nullable(),
    /** Largest archive of files that a template's build may copy, in bytes. */
    maxUpload: z.int().min(1),
    /** Where npm packages come from. */
    npmRegistry: z.url({ protocol: /^https?$/ }),
  }),
  /** The program of a runtime is kept as it runs, for later sandboxes of it to begin with; takes disk for its memory, once a runtime. */
  warmStarts: z.boolean(),
  moru: z.strictObject({
    /** Moru's client sends no credentials with files of a volume: its id, which cannot be guessed, is enough for reading and writing them. */
    volumeIdIsCapability: z.boolean(),
  }),
  /** criu, for memory on disk: a path or a name that is looked up; null: memory stays in RAM. */
  criu: z.string().nullable(),
  /** The OCI runtime: a path, or a name that is looked up in PATH. */
  crun: z.string(),
  agent: z.string(),
  launcher: z.string(),
  seccomp: z.string(),
  runtimesDir: z.string(),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
  /** Granted when a request names none; clamped to what the host has. */
  defaults: z.strictObject({
    memory: z.string(),
    cpu: z.string(),
    /** Where the storage enforces it. */
    disk: z.string(),
    pids: z.int(),
    idleTimeout: Duration,
  }),
  maxSandboxes: z.int().min(1),
  maxExecutionsPerSandbox: z.int().min(1),
  /** Output kept of one execution when the request sets no limit, in bytes. */
  outputLimit: z.int().min(0),
  /** Records and output of ended sandboxes are kept so long. */
  retention: z.union([z.string(), z.int()]),
  /** Milliseconds between SIGTERM and SIGKILL. */
  killGraceMs: z.int().min(0),
  /** Milliseconds that an agent may take to answer before a call fails. */
  agentDeadlineMs: z.int().min(100),
  failpoint: z.enum(FAILPOINTS).nullable(),
})
export type Config = Readonly<z.infer<typeof Config>>

/** Where the API and the exposed ports listen unless it is told otherwise; requests need a key. */
export const DEFAULT_LISTEN = '127.0.0.1:4700'

/** Where the SSH server listens unless it is told otherwise; only keys that were added get in. */
export const DEFAULT_SSH = '127.0.0.1:2222'

type Environment = Record<string, string | undefined>

/** Defaults < `caisson.json` in the data directory < environment < flags; validated and frozen. */
export function loadConfig(flags: Partial<Config> = {}, environment: Environment = process.env): Config {
  const fromEnvironment = readEnvironment(environment)
  const dataDir = resolve(flags.dataDir ?? fromEnvironment.dataDir ?? defaultDataDir(environment))
  const sources = [
    defaults(dataDir, environment),
    readFile(join(dataDir, 'caisson.json')),
    fromEnvironment,
    flags,
  ]
  const merged: Record<string, unknown> = Object.assign({}, ...sources, { dataDir })
  merged.build = Object.assign({}, ...sources.map(({ build }) => build))
  if (merged.driver === 'local' && ['auto', 'overlay'].includes(String(merged.storage)))
    merged.storage = 'copy'
  if (String(merged.sshListen) === 'off') merged.sshListen = null
  if (String(merged.listen) === 'off') merged.listen = null
  if (String(merged.dumpAfter) === 'off') merged.dumpAfter = null
  if (merged.driver === 'memory') merged.storage = 'memory'
  merged.crun = findProgram(String(merged.crun), environment.PATH ?? '')
  if (typeof merged.criu === 'string') merged.criu = findProgram(merged.criu, environment.PATH ?? '')
  const parsed = Config.safeParse(merged)
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => ({
      path: issue.path.join('.'),
      message: issue.message,
    }))
    throw new SandboxError(
      'host_not_ready',
      { what: 'configuration', fix: '' },
      {
        message: `The configuration is not valid: ${issues.map((i) => `${i.path}: ${i.message}`).join('; ')}. "caisson config" prints what is in force.`,
      },
    )
  }
  const { allowedHosts, publicUrl } = parsed.data
  if (publicUrl !== null) allowedHosts.push(new URL(publicUrl).hostname)
  return Object.freeze(parsed.data)
}

/** criu, where there is one under a full name, which is what the launcher takes. */
export function criuOf({ criu }: Pick<Config, 'criu'>): { criu?: string } {
  return criu !== null && isAbsolute(criu) ? { criu } : {}
}

/** The launcher has no PATH and takes full names. A name that is nowhere stays as it is: the driver tells. */
function findProgram(name: string, path: string): string {
  const places = [...path.split(delimiter).filter(isAbsolute), '/usr/sbin', '/usr/bin', '/sbin', '/bin']
  return places.map((place) => resolve(place, name)).find((file) => existsSync(file)) ?? name
}

/** root: /var/lib/caisson; else below XDG_DATA_HOME. */
function defaultDataDir(environment: Environment): string {
  if (process.getuid?.() === 0) return '/var/lib/caisson'
  return join(environment.XDG_DATA_HOME ?? join(homedir(), '.local/share'), 'caisson')
}

function defaults(dataDir: string, environment: Environment): Config {
  return {
    dataDir,
    imagesDir: join(dataDir, 'images'),
    listen: DEFAULT_LISTEN,
    sshListen: DEFAULT_SSH,
    publicUrl: null,
    previewDomain: 'localhost',
    tls: null,
    trustedProxies: [],
    network: { permit: [], dns: [], connections: 4096 },
    allowedHosts: [],
    allowedOrigins: [],
    driver: 'oci',
    storage: 'auto',
    poolSize: null,
    dumpAfter: '1m',
    sessionPause: '1h',
    layerRetention: '7d',
    build: {
      proxy: null,
      // Node's own variable for the same thing: who needs it to reach a registry needs it for builds, too.
      caFile: environment.NODE_EXTRA_CA_CERTS || null,
      npmRegistry: 'https://registry.npmjs.org/',
      maxUpload: 1024 ** 3,
    },
    warmStarts: true,
    moru: { volumeIdIsCapability: false },
    criu: join(native, 'criu/criu'),
    crun: 'crun',
    agent: join(native, 'agent'),
    launcher: join(native, 'launcher'),
    seccomp: join(native, 'seccomp.bpf'),
    runtimesDir: join(root, 'runtimes'),
    logLevel: 'info',
    defaults: { memory: '4Gi', cpu: '2', disk: '10Gi', pids: 1024, idleTimeout: '10m' },
    maxSandboxes: 1000,
    maxExecutionsPerSandbox: 512,
    outputLimit: 4 * 1024 ** 3,
    retention: '24h',
    killGraceMs: 5000,
    agentDeadlineMs: 15_000,
    failpoint: null,
  }
}

function readEnvironment(
  environment: Environment,
): Partial<Record<keyof Config, unknown>> & { dataDir?: string } {
  const names: Partial<
    Record<keyof Config | 'tlsCert' | 'tlsKey' | 'buildProxy' | 'buildCaFile' | 'npmRegistry', string>
  > = {
    dataDir: 'CAISSON_DATA_DIR',
    imagesDir: 'CAISSON_IMAGES_DIR',
    listen: 'CAISSON_LISTEN',
    sshListen: 'CAISSON_SSH_LISTEN',
    publicUrl: 'CAISSON_PUBLIC_URL',
    previewDomain: 'CAISSON_PREVIEW_DOMAIN',
    tlsCert: 'CAISSON_TLS_CERT',
    tlsKey: 'CAISSON_TLS_KEY',
    trustedProxies: 'CAISSON_TRUSTED_PROXIES',
    driver: 'CAISSON_DRIVER',
    storage: 'CAISSON_STORAGE',
    poolSize: 'CAISSON_POOL_SIZE',
    dumpAfter: 'CAISSON_DUMP_AFTER',
    buildProxy: 'CAISSON_BUILD_PROXY',
    buildCaFile: 'CAISSON_BUILD_CA_FILE',
    npmRegistry: 'CAISSON_NPM_REGISTRY',
    criu: 'CAISSON_CRIU',
    crun: 'CAISSON_CRUN',
    logLevel: 'CAISSON_LOG_LEVEL',
    failpoint: 'CAISSON_FAILPOINT',
  }
  const found: Record<string, string> = {}
  for (const [key, name] of Object.entries(names)) {
    const value = environment[name]
    if (value !== undefined && value !== '') found[key] = value
  }
  const { tlsCert, tlsKey, trustedProxies, buildProxy, buildCaFile, npmRegistry, ...plain } = found
  const build = {
    ...(buildProxy !== undefined && { proxy: buildProxy }),
    ...(buildCaFile !== undefined && { caFile: buildCaFile }),
    ...(npmRegistry !== undefined && { npmRegistry }),
  }
  return {
    ...plain,
    ...(Object.keys(build).length > 0 && { build }),
    ...((tlsCert ?? tlsKey) !== undefined && { tls: { cert: tlsCert, key: tlsKey } }),
    ...(trustedProxies !== undefined && { trustedProxies: trustedProxies.split(/[\s,]+/).filter(Boolean) }),
  }
}

function readFile(path: string): Record<string, unknown> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new SandboxError(
      'host_not_ready',
      { what: `${path} is not JSON`, fix: 'Mend or remove that file.' },
      { cause },
    )
  }
}
