import { test as base, type TestServer } from '../fixture.ts'
import { World } from './world.ts'

export * from './guest.ts'

/** `test` with a world and a server in it that all tests of a file share. */
export const test = base.extend<{ world: World; server: TestServer }>({
  world: [
    // biome-ignore lint/correctness/noEmptyPattern: the fixture API reads the parameter's shape.
    async ({}, use) => {
      await using world = await World.create()
      await use(world)
    },
    { scope: 'file' },
  ],
  server: [
    async ({ world }, use) => {
      await using server = await world.server()
      await use(server)
    },
    { scope: 'file' },
  ],
})
