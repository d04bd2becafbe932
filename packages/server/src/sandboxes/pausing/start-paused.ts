import { WORKSPACE } from '@caisson/protocol/resources'
import type { RootPlan } from '../../core/plan.ts'
import type { SandboxRecord } from '../../core/records.ts'
import type { Guest } from '../../guest/guest.ts'
import { Undo } from '../../undo.ts'
import { boot } from '../boot.ts'
import { ask } from '../connection.ts'
import type { Context } from '../context.ts'
import { nowOrLater } from '../eventually.ts'
import type { Live } from '../live.ts'
import { rootPlan, wantedRoot } from '../roots.ts'
import { endExecutions, startProgram } from '../start-program.ts'
import { dumpOf } from './dump.ts'
import { keptLives } from './kept.ts'
import { runAgain, shiftDeadlines } from './run-again.ts'

/** Starts a paused sandbox of which nothing is in RAM: from its dump, or on its files alone. `commit` records that it runs. */
export async function startPaused(
  context: Context,
  record: SandboxRecord,
  commit: (change: Partial<SandboxRecord>) => Promise<SandboxRecord>,
): Promise<Live> {
  const { id } = record
  const fromDump = record.pause?.memory === 'disk'
  await using undo = new Undo()
  const root = await prepare(context, record, undo)
  context.failpoint('resume:prepared')
  const options = { dump: fromDump ? dumpOf(id) : undefined, live: keptLives(context).get(id) }
  const { live, rulesDigest } = await boot(context, record, root, undo, options)
  const guest = await live.guest()
  if (record.sessionId !== null) await makeWorkspace(context, live)
  if (!fromDump && record.start !== null) {
    undo.add(() => endExecutions(live, 'The sandbox could not be resumed.'))
    await startProgram(context, live)
  }
  await shiftDeadlines(context, live, record)
  countAnew(live)
  // A session's sandbox may have been recorded when the server used another storage.
  const stored = await commit({ rulesDigest, storage: context.layers.name })
  undo.keep()
  runAgain(context, live, stored, fromDump ? guest : null)
  if (fromDump)
    await nowOrLater(context, { sandbox: id }, async () => context.driver.memory?.removeDump(dumpOf(id)))
  return live
}

/** A session's sandbox gets its files when it is started first; what a start that was cut off has left is nobody's. */
async function prepare(context: Context, record: SandboxRecord, undo: Undo): Promise<RootPlan> {
  if (record.bootedAt !== null) return rootPlan(context, record)
  const remove = () => context.layers.remove(record.id)
  await remove()
  undo.add(() => nowOrLater(context, { sandbox: record.id }, remove))
  return context.layers.prepare(record.id, await wantedRoot(context, record))
}

/** As the user that commands run as. */
async function makeWorkspace(context: Context, live: Live): Promise<void> {
  const user = live.record.user ?? context.driver.defaultUser
  const options = { parents: true, ...(user !== null && { user }) }
  await ask(context, live, (guest: Guest, signal) => guest.files.mkdir(WORKSPACE, options, signal))
}

/** The kernel counts memory kills from the start of a sandbox. */
function countAnew(live: Live): void {
  live.oomKills = 0
  for (const running of live.executions.values()) running.oomKillsBefore = 0
}
