import { Sandbox } from '@e2b/code-interpreter'
import { describe } from 'vitest'
import { test as base, cannotNetwork } from './fixture.ts'

/** Tests of `@e2b/code-interpreter` share one sandbox a file; those that end it make their own. */
export const test = base.extend<{ sandbox: Sandbox }>({
  sandbox: [
    async ({ e2b }, use) => {
      const sandbox = await Sandbox.create({ ...e2b.options, timeoutMs: 600_000 })
      await use(sandbox)
      await sandbox.kill()
    },
    { scope: 'file' },
  ],
})

export const describeInterpreter = describe.skipIf(cannotNetwork)
