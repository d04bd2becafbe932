import { writeSync } from 'node:fs'
import { anExecution, aSandbox } from '../fixtures.ts'
import { openSqliteStore } from './index.ts'

/** Run by crash.test.ts: writes for ever, and tells each write on stdout when it is acknowledged, until it is killed. */
const store = await openSqliteStore(process.argv[2]!)
const acknowledge = (what: string) => writeSync(1, `${what}\n`)

for (let i = 0; ; i++) {
  const box = aSandbox()
  await store.sandboxes.insert(box, i % 2 === 0 ? 'power' : 'process')
  acknowledge(`sandbox ${box.id}`)
  const execution = anExecution(box.id)
  await store.executions.insert(execution)
  acknowledge(`execution ${execution.id}`)
  await store.executions.update(execution.id, { state: 'ended', ending: 'exited', exitCode: 3 })
  acknowledge(`ended ${execution.id}`)
}
