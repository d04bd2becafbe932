import type { CreateOptions } from 'caisson'
import { type Command, Option } from 'commander'
import { defined } from './options.ts'

/** How deep a pause goes. */
export const DEPTHS = ['memory', 'filesystem', 'workspace'] as const

/** What the options say of pausing, as the parser gives it. */
export interface PauseFlags {
  onTimeout?: 'kill' | 'pause'
  pauseDepth?: (typeof DEPTHS)[number]
  pausedTimeout?: string
  resumeOnRequest?: boolean
}

/** Options of verbs that make a sandbox that stays. */
export function withPauseOptions(command: Command): Command {
  const ends = ['kill', 'pause'] as const
  return command
    .addOption(
      new Option('--on-timeout <what>', 'what --idle-timeout and --ttl do (default: kill)').choices(ends),
    )
    .addOption(
      new Option(
        '--pause-depth <depth>',
        'what a pause keeps (default: memory where the server can, else filesystem)',
      ).choices(DEPTHS),
    )
    .option('--paused-timeout <duration>', 'delete after so long paused (default: never)')
    .option('--resume-on-request', 'a request to an exposed port resumes it')
}

export const pausesOf = (flags: PauseFlags): Partial<CreateOptions> => {
  const { onTimeout, pauseDepth, pausedTimeout, resumeOnRequest } = flags
  return defined({ onTimeout, pauseDepth, pausedTimeout, resumeOnRequest })
}
