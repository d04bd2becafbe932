import type { SandboxRecord } from '../../core/records.ts'
import { Undo } from '../../undo.ts'
import { connectLive } from '../connection.ts'
import type { Context } from '../context.ts'
import { nowOrLater } from '../eventually.ts'
import { Live } from '../live.ts'
import { attach } from '../network/attach.ts'
import { keptLives } from './kept.ts'
import { runAgain, shiftDeadlines } from './run-again.ts'

/** Lets a frozen sandbox go on. `commit` records that it runs. */
export async function thawLive(
  context: Context,
  record: SandboxRecord,
  commit: (change: Partial<SandboxRecord>) => Promise<SandboxRecord>,
): Promise<Live> {
  const { failpoint } = context
  const { memory } = context.driver
  const { id } = record
  const live = keptLives(context).get(id) ?? new Live(record)
  await using undo = new Undo()
  const rulesDigest = await enforceRules(context, record)
  failpoint('resume:prepared')
  undo.add(() => nowOrLater(context, { sandbox: id }, async () => memory?.freeze(id)))
  await memory?.thaw(id)
  failpoint('resume:started')
  undo.add(() => live.drop())
  const guest = await connectLive(context, live)
  failpoint('resume:connected')
  await shiftDeadlines(context, live, record)
  const stored = await commit({ rulesDigest })
  undo.keep()
  runAgain(context, live, stored, guest)
  return live
}

/** Its rules may have been changed while it was frozen, or be unknown to this server: they are in force before it goes on. */
async function enforceRules(
  context: Context,
  { id, network, rulesDigest }: SandboxRecord,
): Promise<string | null> {
  const { networks } = context
  if (network === null || networks === null) return rulesDigest
  const subject = networks.subjects.get(id)
  const known = subject !== undefined && !subject.stale && subject.rules !== null
  if (known && networks.digestOf(networks.compile(network).packets) === rulesDigest) return rulesDigest
  return attach(context, id, network)
}
