import { posix } from 'node:path'
import type { BuildStep } from '@caisson/protocol/resources'
import { assertFits } from '../../core/environment.ts'
import type { Workshop } from './workshop.ts'

/** What steps leave to those behind them, and the last to the template. */
export interface StepState {
  env: Record<string, string>
  user: string | null
  workdir: string | null
}

/** A step in a few words, for the log. */
export function describeStep(step: BuildStep): string {
  if (step.type === 'copy') return `COPY ${step.source} ${step.target}`
  if (step.type === 'run') return `RUN ${step.command}`
  if (step.type === 'env') return `ENV ${Object.keys(step.env).join(' ')}`
  return step.type === 'workdir' ? `WORKDIR ${step.path}` : `USER ${step.user}`
}

/** The state behind a step, whether it was done now or in an earlier build. @throws SandboxError `invalid_request` */
export async function stateAfter(workshop: Workshop, step: BuildStep, state: StepState): Promise<StepState> {
  if (step.type === 'user') return { ...state, user: step.user }
  if (step.type === 'workdir') return { ...state, workdir: await pathIn(workshop, step.path, state) }
  if (step.type !== 'env') return state
  const env = { ...state.env, ...step.env }
  assertFits(env)
  return { ...state, env }
}

/** A path as a step means it: from the working directory on, or from the home of its user where there is none. */
export async function pathIn(
  workshop: Workshop,
  path: string,
  { workdir, user }: Pick<StepState, 'workdir' | 'user'>,
): Promise<string> {
  const whole = path.startsWith('/') ? path : posix.join(workdir ?? (await workshop.homeOf(user)), path)
  const plain = posix.normalize(whole)
  return plain.length > 1 && plain.endsWith('/') ? plain.slice(0, -1) : plain
}
