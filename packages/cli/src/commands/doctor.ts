import { SandboxError } from 'caisson'
import { Command } from 'commander'
import { type ConnectionOptions, connectOnly, withConnection } from '../connection.ts'
import { EXIT } from '../failure.ts'
import { askServerProgram } from '../server-program.ts'
import { printJson, printLine } from '../stdio.ts'
import { printable, styled } from '../table.ts'

interface Report {
  ok: boolean
  checks: {
    id: string
    ability: string
    state: 'ok' | 'missing' | 'degraded'
    detail: string
    fix: string | null
  }[]
}

const HELP = `
Exit code 1 when something that sandboxes need is missing.

Examples:
  caisson doctor
  caisson doctor --json | jq '.checks[] | select(.state != "ok")'`

export function build(): Command {
  const command = new Command('doctor').description(
    'Check what this host can do, by trying, and how to mend the rest.',
  )
  return withConnection(command)
    .addHelpText('after', HELP)
    .action(async (flags: ConnectionOptions & { json?: boolean }) => {
      const report = await examine(flags)
      await (flags.json ? printJson(report) : printLine(describe(report)))
      process.exitCode = report.ok ? EXIT.ok : EXIT.failed
    })
}

/** A running server answers for its own host and rights; without one the checks run here. */
async function examine(flags: ConnectionOptions): Promise<Report> {
  const client = connectOnly(flags)
  try {
    return (await client.json('/v1/doctor')) as Report
  } catch (error) {
    if (!client.local || !SandboxError.is(error, 'server_unreachable')) throw error
    return (await askServerProgram('doctor', flags.dataDir)) as Report
  }
}

const MARKS = { ok: ['green', '✓'], degraded: ['yellow', '!'], missing: ['red', '✗'] } as const

function describe({ ok, checks }: Report): string {
  const width = Math.max(...checks.map((check) => check.ability.length))
  const lines = checks.flatMap(({ ability, state, detail, fix }) => {
    const [color, mark] = MARKS[state]
    const line = `${styled(color, mark)} ${printable(ability).padEnd(width)}  ${printable(detail)}`
    return state === 'ok' || !fix
      ? [line]
      : [line, `  ${' '.repeat(width)}  ${styled('dim', `→ ${printable(fix)}`)}`]
  })
  return [...lines, '', ok ? 'This host can run sandboxes.' : 'This host cannot run sandboxes yet.'].join(
    '\n',
  )
}
