import { SandboxError } from '@caisson/protocol/errors'
import type { CreateSandbox } from '@caisson/protocol/resources'
import { invalid } from '../core/invalid.ts'
import type { SandboxRecord } from '../core/records.ts'

/** A port, who may reach it, and since when. */
export type Exposed = SandboxRecord['ports'][number]

/** Exposed ports of one sandbox, apart from all at once. */
export const MAX_PORTS = 64
const MIN_PORT = 1024
const MAX_PORT = 65_535
/** A name or an address, and a port: what may stand in a Host header. */
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/i

/** The ports that a new sandbox was asked to expose. @throws SandboxError `invalid_request` */
export function parsePorts(asked: CreateSandbox['ports']): Exposed[] {
  const since = Date.now()
  const ports = (asked ?? []).map((each) => {
    const { port, access = 'private' } = typeof each === 'number' ? { port: each } : each
    assertPort(port, 'ports')
    return { port, access, since }
  })
  if (ports.length > MAX_PORTS) throw invalid('ports', `at most ${MAX_PORTS} ports can be exposed`)
  const twice = ports.find(({ port }, at) => ports.findIndex((other) => other.port === port) !== at)
  if (twice !== undefined) throw invalid('ports', `port ${twice.port} is named twice`)
  return ports.sort(byNumber)
}

/** Whether a new sandbox was asked to expose every port, and from now on to whom. */
export function parseAllPorts(asked: CreateSandbox['allPorts']): SandboxRecord['allPorts'] {
  return asked === undefined ? null : { access: asked, since: Date.now() }
}

/** The Host that programs of a new sandbox shall see. @throws SandboxError `invalid_request` for what no Host can be */
export function parsePortHost(asked: CreateSandbox['portHost']): string | null {
  if (asked === undefined) return null
  if (!HOST.test(hostFor(asked, MAX_PORT)))
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how it is written.
    throw invalid('portHost', 'must be a host name or an address, such as "localhost:${PORT}"')
  return asked
}

/** How a port is exposed: as it is listed, or else as all are. @throws SandboxError `port_not_exposed` */
export function findExposed({ id, ports, allPorts }: SandboxRecord, port: number): Exposed {
  const listed = ports.find((each) => each.port === port)
  if (listed !== undefined) return listed
  if (allPorts === null || port < 1 || port > MAX_PORT)
    throw new SandboxError('port_not_exposed', { sandbox: id, port })
  return { port, ...allPorts }
}

/** What programs behind a port see as Host, of what a sandbox was made with. */
export function hostFor(pattern: string, port: number): string {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how it is written.
  return pattern.replaceAll('${PORT}', `${port}`)
}

/** @throws SandboxError `invalid_request` for a port that can not be exposed by its number */
export function assertPort(port: number, path: string): void {
  if (!Number.isInteger(port) || port < MIN_PORT || port > MAX_PORT)
    throw invalid(path, `${port} can not be exposed; ports ${MIN_PORT} to ${MAX_PORT} can`)
}

export function byNumber(a: Exposed, b: Exposed): number {
  return a.port - b.port
}
