import type { SandboxRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import { openOutput } from '../launch-execution.ts'
import { Live } from '../live.ts'
import { seeOomKills } from '../oom-kills.ts'
import { RunningExecution } from '../running-execution.ts'
import { supervise } from '../supervise.ts'

/** A sandbox that an earlier server paused, with its executions; their time stands still. */
export async function rebuild(context: Context, record: SandboxRecord): Promise<Live> {
  const live = new Live(record)
  const before = seeOomKills(context, live)
  for (const execution of await context.store.executions.open(record.id)) {
    // Nobody was told of its start; if it runs, it is ended when the sandbox goes on.
    if (execution.state === 'pending') {
      await context.store.executions.remove(execution.id)
      await context.outputs.remove(execution.id)
      continue
    }
    const running = new RunningExecution(execution, await openOutput(context, execution))
    running.oomKillsBefore = before
    live.executions.set(execution.id, running)
    supervise(context, live, running)
    running.deadline?.stop()
  }
  return live
}
