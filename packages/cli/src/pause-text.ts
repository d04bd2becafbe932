import type { SandboxInfo } from 'caisson'

const WHERE = {
  ram: 'processes wait in RAM',
  disk: 'processes are on disk',
  none: 'processes have ended',
} as const

/** How a sandbox is paused, for people; null: it is not. */
export function pauseText({ pause }: Pick<SandboxInfo, 'pause'>): string | null {
  if (!pause) return null
  const until = pause.deletedAt === null ? '' : `, deleted ${pause.deletedAt}`
  return `${pause.depth}, ${WHERE[pause.memory]}, since ${pause.since}${until}`
}
