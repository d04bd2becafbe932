import { constants } from 'node:os'
import type { Execution } from '@caisson/protocol/resources'
import type { ServerChannel } from 'ssh2'
import type { ChannelWriter } from './channel-writer.ts'

/** The signals that SSH has names for. */
const NAMED = [
  'ABRT',
  'ALRM',
  'FPE',
  'HUP',
  'ILL',
  'INT',
  'KILL',
  'PIPE',
  'QUIT',
  'SEGV',
  'TERM',
  'USR1',
  'USR2',
]

/** What OpenSSH's client ends with when there is no status; a program could say the same, so that stderr tells more. */
const NO_STATUS = 255

/** Tells the client how its program ended; what a status or signal does not tell is said on stderr. */
export async function tellEnding(
  channel: ServerChannel,
  writer: ChannelWriter,
  { ending, exitCode, signal, message }: Execution,
  tty: boolean,
): Promise<void> {
  if (ending !== 'exited' && ending !== 'signalled')
    await writer.write('stderr', Buffer.from(`caisson: ${message ?? ending}${tty ? '\r\n' : '\n'}`))
  if (exitCode !== null) channel.exit(exitCode)
  else if (signal === null) channel.exit(NO_STATUS)
  else tellSignal(channel, signal, message ?? '')
}

function tellSignal(channel: ServerChannel, signal: string, message: string): void {
  const name = signal.replace(/^SIG/, '')
  if (NAMED.includes(name)) channel.exit(name, false, message)
  else channel.exit(128 + ((constants.signals as Record<string, number>)[signal] ?? 127))
}
