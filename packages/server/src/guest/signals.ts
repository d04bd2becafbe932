import { constants } from 'node:os'
import { SandboxError } from '@caisson/protocol/errors'

/** First real-time signal and the last signal of Linux. */
const RTMIN = 34
const MAX = 64

const numbers = new Map<string, number>(Object.entries(constants.signals))
for (let number = RTMIN; number <= MAX; number++) numbers.set(rtName(number), number)
/** First name wins: SIGABRT, not its synonym SIGIOT. */
const names = new Map<number, string>()
for (const [name, number] of numbers) if (!names.has(number)) names.set(number, name)

function rtName(number: number): string {
  return number === RTMIN ? 'SIGRTMIN' : `SIGRTMIN+${number - RTMIN}`
}

/** Linux's number of `SIGTERM`, `SIGRTMIN+3` and the like. @throws SandboxError `invalid_request` */
export function signalNumber(name: string): number {
  const number = numbers.get(name)
  if (number !== undefined) return number
  const message = `"${name}" is not a signal of Linux`
  throw new SandboxError('invalid_request', { issues: [{ path: 'signal', message }] })
}

/** The name of a signal; undefined for a number that is none. */
export function signalName(number: number): string | undefined {
  return names.get(number) ?? (number > 0 && number <= MAX ? `SIG${number}` : undefined)
}
