import { Sandbox, Volume } from '@moru-ai/core'
import { afterEach } from 'vitest'
import { test as base, type E2b } from '../e2b/fixture.ts'

export * from '../e2b/fixture.ts'

/** `test` with the environment as a user of this client has it; several of its methods read nothing else. */
export const test = base.extend<{
  moru: E2b & { client: { Sandbox: typeof Sandbox; Volume: typeof Volume } }
}>({
  moru: [
    async ({ e2b }, use) => {
      const environment = { MORU_API_KEY: e2b.apiKey, MORU_API_URL: e2b.url, MORU_SANDBOX_URL: e2b.url }
      const before = Object.keys(environment).map((name) => [name, process.env[name]] as const)
      Object.assign(process.env, environment)
      await use({ ...e2b, client: { Sandbox, Volume } })
      for (const [name, value] of before)
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
    },
    { scope: 'file' },
  ],
})

/** Ends what a test has made, whatever became of it. */
export const made: Sandbox[] = []
afterEach(async () => {
  for (const sandbox of made.splice(0)) await sandbox.kill().catch(() => {})
})
