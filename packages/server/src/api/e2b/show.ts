import type { Sandbox } from '@caisson/protocol/resources'
import { Refused } from './errors.ts'
import { fromSandboxId, toSandboxId } from './ids.ts'
import { aliasOf, templateIdOf } from './names.ts'
import { fromNetwork, internetOf } from './network.ts'
import type { Dialect } from './route.ts'

/** Which abilities of the daemon clients rely on: all up to watching network mounts. */
export const ENVD_VERSION = '0.6.13'
/** Required by the clients' schema, and told by the service itself to be without meaning. */
const CLIENT_ID = 'caisson'
/** When a sandbox ends that never does: clients insist on a date. */
const NEVER = '9999-01-01T00:00:00.000Z'
const MIB = 2 ** 20

/** What create, connect, resume and fork answer. */
export async function showCreated(dialect: Dialect, sandbox: Sandbox): Promise<object> {
  const tokens = dialect.useCases.sandboxTokens(sandbox.id)
  return {
    ...identity(sandbox),
    ...named(await aliasOf(dialect.useCases, sandbox)),
    domain: dialect.domain(),
    envdAccessToken: tokens.access,
    trafficAccessToken: tokens.traffic,
  }
}

/** Without a token, which lets in to do things: whoever may look is told this. */
export async function showDetail(dialect: Dialect, sandbox: Sandbox): Promise<object> {
  const { onTimeout, resumeOnRequest, network, allPorts, portHost } = sandbox
  return {
    ...showListed(sandbox, await aliasOf(dialect.useCases, sandbox)),
    domain: dialect.domain(),
    allowInternetAccess: internetOf(network),
    network: {
      ...fromNetwork(network),
      allowPublicTraffic: allPorts === 'public',
      ...(portHost !== null && { maskRequestHost: portHost }),
    },
    lifecycle: { onTimeout, autoResume: resumeOnRequest },
  }
}

/** @param alias the name of its template */
export function showListed(sandbox: Sandbox, alias: string | undefined): object {
  const { granted } = sandbox.resources
  return {
    ...identity(sandbox),
    ...named(alias),
    startedAt: sandbox.createdAt,
    endAt: sandbox.expiresAt ?? sandbox.pause?.deletedAt ?? NEVER,
    state: isPaused(sandbox) ? 'paused' : 'running',
    cpuCount: Math.max(1, Math.ceil(granted.cpuMillis / 1000)),
    memoryMB: Math.floor(granted.memoryBytes / MIB),
    diskSizeMB: Math.floor((granted.diskBytes ?? 0) / MIB),
    metadata: sandbox.metadata,
    volumeMounts: sandbox.volumes.map(({ name, path }) => ({ name, path })),
  }
}

export function isPaused({ status }: Sandbox): boolean {
  return status === 'paused' || status === 'suspended'
}

/**
 * The sandbox that a path names, as long as clients can use it.
 * @param text `i…`, or our own id
 * @throws Refused 404
 */
export async function findSandbox(dialect: Dialect, text: string): Promise<Sandbox> {
  const sandbox = await dialect.useCases.getSandbox(sandboxId(text))
  if (sandbox.endedAt !== null) throw hasEnded(sandbox)
  if (sandbox.status === 'stopping') throw new Refused(404, `Sandbox ${text} is being ended.`)
  if (sandbox.status === 'creating') throw new Refused(404, `Sandbox ${text} does not run yet.`)
  return sandbox
}

/** Our id of the sandbox that a path names, whether there is one or not. @throws Refused 404 for what can be none */
export function sandboxId(text: string): string {
  const id = fromSandboxId(text)
  if (id === null) throw new Refused(404, `Sandbox '${text.slice(0, 100)}' does not exist.`)
  return id
}

export function hasEnded({ id, ending }: Sandbox): Refused {
  return new Refused(404, `Sandbox ${toSandboxId(id)} has ended: ${ending?.message ?? 'it is gone.'}`)
}

function identity(sandbox: Sandbox) {
  return {
    sandboxID: toSandboxId(sandbox.id),
    templateID: templateIdOf(sandbox),
    clientID: CLIENT_ID,
    envdVersion: ENVD_VERSION,
  }
}

function named(alias: string | undefined): { alias?: string } {
  return alias === undefined ? {} : { alias }
}
