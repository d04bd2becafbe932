import { execFileSync } from 'node:child_process'
import { expect } from 'vitest'
import { test as base, DRIVER, TestServer } from '../fixture.ts'

const test = base.extend<{ server: TestServer }>({
  server: [
    // biome-ignore lint/correctness/noEmptyPattern: the fixture API reads the parameter's shape.
    async ({}, use) => {
      await using server = await TestServer.start({ listen: '127.0.0.1:0' })
      await use(server)
    },
    { scope: 'file' },
  ],
})

/** What a shell has after `eval`. */
const evaluated = (script: string): Record<string, string> =>
  Object.fromEntries(
    execFileSync('/bin/sh', ['-c', `${script}\nenv`], { env: {}, encoding: 'utf8' })
      .split('\n')
      .map((line) => line.split(/=(.*)/s).slice(0, 2)),
  )

test('a key is told to the clients of E2B in their own variables', async ({ server }) => {
  const { url } = await server.client().call('getServer')
  const { port } = new URL(url as string)
  const { stdout } = await server.cli(['keys', 'create', 'agent', '--export', 'e2b'])
  expect(
    stdout
      .trim()
      .split('\n')
      .every((line) => line.startsWith('export E2B_')),
  ).toBe(true)
  const told = evaluated(stdout)
  expect(told).toMatchObject({
    E2B_API_KEY: expect.stringMatching(/^e2b_[0-9a-f]+$/),
    E2B_API_URL: `http://127.0.0.1:${port}`,
    E2B_SANDBOX_URL: `http://127.0.0.1:${port}`,
    E2B_VOLUME_API_URL: `http://127.0.0.1:${port}`,
    E2B_DOMAIN: `localhost:${port}`,
  })
  const asked = await fetch(`${told.E2B_API_URL}/v2/sandboxes`, {
    headers: { 'x-api-key': told.E2B_API_KEY as string },
  })
  expect([asked.status, await asked.json()]).toEqual([200, []])
})

test('and to those of Moru; with --json as a document', async ({ server }) => {
  const { stdout } = await server.cli(['keys', 'create', 'agent', '--export', 'moru', '--json'])
  expect(JSON.parse(stdout)).toEqual({
    MORU_API_KEY: expect.stringMatching(/^csk_/),
    MORU_API_URL: expect.stringMatching(/^http:/),
    MORU_SANDBOX_URL: expect.stringMatching(/^http:/),
    MORU_DOMAIN: expect.stringMatching(/^localhost:\d+$/),
  })
})

test('a key may have the form that older clients insist on', async ({ server }) => {
  expect((await server.cli(['keys', 'create', 'old', '--format', 'e2b'])).stdout).toMatch(/^e2b_[0-9a-f]+\n$/)
  expect((await server.cli(['keys', 'create', 'new'])).stdout).toMatch(/^csk_/)
  expect((await server.cli(['keys', 'create', 'odd', '--format', 'odd'])).code).toBe(2)
})

test('without a TCP listener no key is made for them', async () => {
  await using silent = await TestServer.start()
  const refused = await silent.cli(['keys', 'create', 'agent', '--export', 'e2b'])
  expect(refused).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('no TCP port') })
  expect((await silent.client().call('listKeys')).keys).toEqual([])
})

test('all ports of a sandbox are opened, with the Host that programs shall see', async ({ server }) => {
  const host = `localhost:${'$'}{PORT}`
  const id = (await server.cli(['create', '--all-ports', 'public', '--port-host', host])).stdout.trim()
  const shown = (await server.cli(['get', id])).stdout
  expect(shown).toMatch(/other ports +public/)
  expect(shown).toContain(host)
  expect((await server.cli(['port', 'list', id])).stderr).toContain('all ports are public')
  expect((await server.cli(['port', 'link', id, '80'])).stdout).toContain('http://80-')
  await server.cli(['port', 'add', id, '3000'])
  expect((await server.cli(['port', 'list', id])).stderr).toContain('all other ports are public')
  expect((await server.cli(['port', 'rm', id, '3000'])).stderr).toContain('it is public now')
  expect((await server.cli(['create', '--all-ports', 'some'])).code).toBe(2)
  expect((await server.cli(['create', '--port-host', 'a b'])).stderr).toContain('portHost')
  await server.cli(['delete', id])
})

test('sandboxes are found by several statuses, and by their age', async ({ server }) => {
  const id = (await server.cli(['create'])).stdout.trim()
  const found = async (...args: string[]) => {
    const { stdout } = await server.cli(['list', ...args, '--json'])
    return (JSON.parse(stdout).sandboxes as { id: string }[]).map((each) => each.id)
  }
  expect(await found('--status', 'paused,idle')).toEqual([id])
  expect(await found('--status', 'paused', '--status', 'suspended')).toEqual([])
  expect(await found('--created-after', '2020-01-01T00:00:00Z')).toEqual([id])
  expect(await found('--created-after', '2999-01-01T00:00:00Z')).toEqual([])
  expect((await server.cli(['list', '--status', 'bored'])).code).toBe(2)
  await server.cli(['delete', id])
})

test('attributes of files are set, shown and taken away', async ({ server }) => {
  const id = (await server.cli(['create', '--file', `/tmp/f:${import.meta.filename}`])).stdout.trim()
  const attr = (...args: string[]) => server.cli(['fs', 'attr', ...args])
  expect(await attr('set', id, '/tmp/f', 'origin=a b', 'seen=1', '--user', 'root')).toMatchObject({ code: 0 })
  expect((await attr('get', id, '/tmp/f')).stdout).toBe('origin=a b\nseen=1\n')
  expect((await attr('get', id, '/tmp/f', 'origin')).stdout).toBe('a b\n')
  await attr('set', id, '/tmp/f', '--remove', 'seen', '--user', 'root')
  expect(JSON.parse((await attr('get', id, '/tmp/f', '--json')).stdout)).toEqual({
    attributes: { origin: 'a b' },
  })
  expect((await attr('get', id, '/tmp/f', 'seen')).stderr).toContain('no attribute "seen"')
  expect((await attr('set', id, '/tmp/f')).code).toBe(2)
  await server.cli(['delete', id])
})

test.runIf(DRIVER === 'oci')('a sandbox tells what it used', async ({ server }) => {
  const id = (await server.cli(['create'])).stdout.trim()
  const { stdout } = await server.cli(['metrics', id])
  expect(stdout).toMatch(/^AT +CPU +MEMORY[^\n]*\n20\S+Z +[\d.]+% /)
  const { samples } = JSON.parse((await server.cli(['metrics', id, '--json'])).stdout)
  expect(samples.at(-1).memoryBytes).toBeGreaterThan(0)
  await server.cli(['delete', id])
})
