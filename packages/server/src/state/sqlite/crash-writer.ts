import { writeSync } from 'node:fs'
import {
  aCheckpoint,
  anEvent,
  anExecution,
  aRecordedSandbox,
  aSandbox,
  aSession,
  aSnapshot,
} from '../fixtures.ts'
import { openSqliteStore } from './index.ts'

/** Run by crash.test.ts: writes for ever, and tells each write on stdout when it is acknowledged, until it is killed. */
const store = await openSqliteStore(process.argv[2]!)
const acknowledge = (what: string) => writeSync(1, `${what}\n`)

for (let i = 0; ; i++) {
  const box = aSandbox()
  await store.sandboxes.insert(box, {
    durability: i % 2 === 0 ? 'power' : 'process',
    events: [anEvent(box.id)],
  })
  acknowledge(`sandbox ${box.id}`)
  const execution = anExecution(box.id)
  await store.executions.insert(execution, { events: [anEvent(box.id)] })
  acknowledge(`execution ${execution.id}`)
  const checkpoint = aCheckpoint(box.id)
  await store.checkpoints.insert(checkpoint, { events: [anEvent(box.id)] })
  acknowledge(`checkpoint ${checkpoint.id} ${box.id} ${checkpoint.save}`)
  // Each takes the tag from the one before.
  const snapshot = aSnapshot({ tag: 'latest' })
  await store.snapshots.insert(snapshot)
  acknowledge(`snapshot ${snapshot.id} ${snapshot.save}`)
  const recorded = aRecordedSandbox()
  const session = aSession(recorded.id)
  await store.sessions.insert(session, recorded, { events: [anEvent(recorded.id)] })
  acknowledge(`session ${session.id} ${recorded.id}`)
  const ending = { state: 'ended', ending: 'exited', exitCode: 3 } as const
  await store.executions.update(execution.id, ending, { events: [anEvent(box.id)] })
  acknowledge(`ended ${execution.id}`)
  await store.sandboxes.update(
    box.id,
    { state: 'stopping' },
    { durability: 'process', events: [anEvent(box.id)] },
  )
  acknowledge(`stopping ${box.id}`)
}
