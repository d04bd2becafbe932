import { SandboxError } from '@caisson/protocol/errors'
import type { BuildProgress, Runtime } from '@caisson/protocol/resources'
import { linesOf } from './lines.ts'
import { errorFromWire } from './wire-error.ts'

/**
 * Reads the progress of a build to its last line.
 *
 * @throws SandboxError what the last line says; `connection_lost` when there is none
 */
export async function readBuild(
  body: AsyncIterable<Uint8Array>,
  onStep: (step: string) => void = () => {},
): Promise<Runtime> {
  let made: Runtime | undefined
  for await (const line of linesOf(body)) {
    if (line === '') continue
    const { step, runtime, error } = parse(line)
    if (error) throw errorFromWire({ error: { retry: false, ...error } })
    if (step !== undefined) onStep(step)
    made = runtime ?? made
  }
  if (made) return made
  throw new SandboxError('connection_lost', { what: 'the build: its progress ended before the build did' })
}

function parse(line: string): BuildProgress {
  try {
    return JSON.parse(line) as BuildProgress
  } catch (cause) {
    throw new SandboxError('connection_lost', { what: 'the build: a line is not JSON' }, { cause })
  }
}
