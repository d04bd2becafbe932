import type { SandboxInfo } from 'caisson'
import { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { networkText } from '../network-text.ts'
import { pauseText } from '../pause-text.ts'
import { portLines } from '../ports.ts'
import { printJson, printLine } from '../stdio.ts'
import { ago, bytes, facts, span } from '../table.ts'

const HELP = `
Examples:
  caisson get work
  caisson get sbx_abc123 --json`

export function build(): Command {
  const command = new Command('get').description(
    'Show a sandbox: status, times, limits, network, ports, executions.',
  )
  return withConnection(command.argument('<sandbox>', 'id or name'))
    .addHelpText('after', HELP)
    .action(async (id: string, flags: ConnectionOptions & { json?: boolean }) => {
      const sandbox = await connect(flags).call('getSandbox', { id })
      await (flags.json ? printJson(sandbox) : printLine(describe(sandbox)))
    })
}

/** A sandbox for people. */
export function describe(sandbox: SandboxInfo): string {
  const { granted } = sandbox.resources
  const limits = [
    `${granted.cpuMillis / 1000} CPU`,
    `${bytes(granted.memoryBytes)} memory`,
    `${granted.pids} processes`,
    granted.diskBytes === null ? 'disk not limited' : `${bytes(granted.diskBytes)} disk`,
  ]
  return facts([
    ['id', sandbox.id],
    ['name', sandbox.name],
    ['description', sandbox.description],
    ['status', sandbox.status],
    ['paused', pauseText(sandbox)],
    ['ended', sandbox.ending && `${sandbox.ending.reason}: ${sandbox.ending.message}`],
    ['runtime', sandbox.runtime],
    ['snapshot', sandbox.snapshotId],
    ['template', sandbox.templateId],
    ['start', sandbox.startCommand],
    ['works in', sandbox.workdir],
    ['forked from', sandbox.forkedFrom],
    ['session', sandbox.sessionId],
    ['installed', [...sandbox.dependencies, ...sandbox.packages].join(' ')],
    ['limits', limits.join(', ')],
    ['isolation', sandbox.isolation.description],
    ['network', networkText(sandbox.network)],
    ...portLines(sandbox).map((line) => ['port', line] as const),
    ['other ports', sandbox.allPorts],
    ['Host for ports', sandbox.portHost],
    ...sandbox.volumes.map(
      ({ name, path, readOnly }) =>
        ['volume', `${name} at ${path}${readOnly ? ' (read only)' : ''}`] as const,
    ),
    ['executions', String(sandbox.executionCount)],
    ['created', `${sandbox.createdAt} (${ago(sandbox.createdAt)} ago)`],
    ['last active', `${sandbox.lastActiveAt} (${ago(sandbox.lastActiveAt)} ago)`],
    ['idle timeout', sandbox.idleTimeoutMs === null ? 'never' : span(sandbox.idleTimeoutMs)],
    ['expires', sandbox.expiresAt],
    ['on timeout', sandbox.onTimeout],
    ['pause depth', sandbox.pauseDepth],
    ['paused at most', sandbox.pausedTimeoutMs === null ? null : span(sandbox.pausedTimeoutMs)],
    ['project', sandbox.projectId],
    ['organisation', sandbox.orgId],
    [
      'metadata',
      Object.entries(sandbox.metadata)
        .map(([key, value]) => `${key}=${value}`)
        .join(' '),
    ],
  ])
}
