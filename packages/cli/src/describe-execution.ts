import type { ExecutionInfo } from 'caisson'
import { bytes, facts, span } from './table.ts'

const COMMAND_WIDTH = 48

/** A command in one line, cut where it is long. */
export function commandText({ argv }: ExecutionInfo): string {
  const command = argv.join(' ')
  return command.length > COMMAND_WIDTH ? `${command.slice(0, COMMAND_WIDTH - 1)}…` : command
}

/** How it ended, or that it has not. */
export const outcome = ({ state, ending, exitCode, signal }: ExecutionInfo): string =>
  ending === null ? state : ending === 'exited' ? `exit ${exitCode}` : (signal ?? ending)

export const took = ({ durationMs }: ExecutionInfo): string => (durationMs === null ? '-' : span(durationMs))

/** An execution for people. `status` is that of a job. */
export function describeExecution(execution: ExecutionInfo, status?: string): string {
  const { terminal } = execution
  return facts([
    ['id', execution.id],
    ['sandbox', execution.sandboxId],
    ['tag', execution.tag],
    ['command', JSON.stringify(execution.argv)],
    ['directory', execution.cwd],
    ['user', execution.user],
    ['status', status],
    ['state', execution.state],
    ['process', execution.state === 'running' && execution.pid !== null ? String(execution.pid) : null],
    ['terminal', terminal && `${terminal.cols}x${terminal.rows}`],
    ['ended', execution.ending && outcome(execution)],
    ['evidence', execution.message],
    ['took', execution.durationMs === null ? null : took(execution)],
    ['output', outputText(execution)],
    ['largest', execution.maxRssBytes === null ? null : `${bytes(execution.maxRssBytes)} resident`],
    ['resumed', execution.autoResumed ? 'the sandbox was paused, and was resumed for it' : null],
    ['started', execution.startedAt],
    ['ended at', execution.endedAt],
  ])
}

function outputText({ outputBytes, outputStart, outputTruncated }: ExecutionInfo): string {
  if (outputStart > 0) return `${bytes(outputBytes)}, kept from byte ${outputStart} on`
  return `${bytes(outputBytes)}${outputTruncated ? ', cut at its limit' : ''}`
}
