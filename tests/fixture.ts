import { test as base } from 'vitest'
import { TestServer } from './test-server.ts'

export * from './test-server.ts'

/** `test` with a server that all tests of a file share; a test that needs a special one calls `TestServer.start()`. */
export const test = base.extend<{ server: TestServer }>({
  server: [
    // biome-ignore lint/correctness/noEmptyPattern: the fixture API reads the parameter's shape.
    async ({}, use) => {
      await using server = await TestServer.start()
      await use(server)
    },
    { scope: 'file' },
  ],
})
