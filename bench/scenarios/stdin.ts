import type { Sandbox } from 'caisson'
import { DIGEST_STDIN } from '../payload.ts'
import type { Scenario } from '../scenario.ts'
import { type Transfer, transferScenario } from '../transfer.ts'

/** A command that reads a GiB, sent by the SDK. */
export const stdin: Scenario = {
  name: 'stdin',
  title: 'A GiB of stdin',
  run: (run) => transferScenario(run, (sandbox) => ({ ours: [ours(sandbox)], peers: [] })),
}

const ours = (sandbox: Sandbox): Transfer => ({
  name: 'stdin through the SDK',
  move: async (payload) => {
    const result = await sandbox.python(DIGEST_STDIN, { stdin: payload.stream() })
    return result.throwIfFailed().stdout.trim()
  },
})
