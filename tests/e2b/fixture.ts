import { test as base, type ServerOptions, type TestServer } from '../fixture.ts'
import { World } from '../network/world.ts'
import { Reach } from './reach.ts'

export * from '../fixture.ts'
export { cannotNetwork } from '../network/world.ts'

/** Of the server, inside its own network namespace. */
const PORT = 3000

/** A server as a user of these clients meets it: one address, one key. */
export interface E2b {
  /** `http://127.0.0.1:<port>` */
  url: string
  apiKey: string
  /** What every call of a client takes, instead of the environment. */
  options: { apiKey: string; apiUrl: string; sandboxUrl: string; domain: string }
  server: TestServer
  world: World
}

/** A server in an internet of its own, so that sandboxes with a network, as these clients make them, touch nothing real. */
export async function openE2b(options: ServerOptions = {}): Promise<AsyncDisposable & E2b> {
  await using stack = new AsyncDisposableStack()
  const world = stack.use(await World.create())
  const reach = stack.use(await Reach.open())
  const url = `http://127.0.0.1:${reach.port}`
  const { env, ...rest } = options
  const server = stack.use(
    await world.server({
      ...rest,
      listen: `127.0.0.1:${PORT}`,
      env: { CAISSON_PUBLIC_URL: url, ...env },
    }),
  )
  await reach.lead(world.host, PORT)
  const { key } = await server.client().call('createKey', { name: 'e2b', scopes: ['exec'], format: 'e2b' })
  const moved = stack.move()
  return {
    url,
    apiKey: key,
    options: { apiKey: key, apiUrl: url, sandboxUrl: url, domain: `localhost:${reach.port}` },
    server,
    world,
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  }
}

/** `test` with a server that all tests of a file share; skip with `describe.skipIf(cannotNetwork)`. */
export const test = base.extend<{ e2b: E2b }>({
  e2b: [
    // biome-ignore lint/correctness/noEmptyPattern: the fixture API reads the parameter's shape.
    async ({}, use) => {
      await using opened = await openE2b()
      await use(opened)
    },
    { scope: 'file' },
  ],
})
