import { Client, Sandbox } from 'caisson'
import { expect, test } from 'vitest'
import { createFetchTransport } from '../../packages/sdk/src/transport/fetch.ts'
import { TestServer } from '../fixture.ts'

test('with fetch and the global WebSocket alone, as in a browser, everything works the same', async () => {
  await using server = await TestServer.start({ listen: '127.0.0.1:0' })
  const url = (await server.client().call('getServer')).url!
  const { key: apiKey } = await server.client().call('createKey', { name: 'page', scopes: ['exec'] })
  const client = new Client({ apiKey, transport: createFetchTransport(url) })
  await using sandbox = await Sandbox.create({ client })

  const bytes = Buffer.alloc(700_000, 'abc')
  const echoed = await sandbox.exec(['cat'], { stdin: new Blob([bytes]) })
  expect(Buffer.from(echoed.stdoutBytes).equals(bytes)).toBe(true)

  await sandbox.files.write('f', new Blob(['content']))
  expect(await sandbox.files.readText('f')).toBe('content')

  const shell = await sandbox.start(['sh'], { tty: { cols: 80, rows: 24 }, stdin: true })
  let text = ''
  for await (const { data } of shell.terminal()) {
    if (text === '') await shell.stdin.write('echo $((40+2)); exit\n')
    text += Buffer.from(data).toString()
  }
  expect(text).toContain('42')

  const job = await sandbox.jobs.start('echo one; echo two >&2')
  await job.wait()
  for await (const line of job.logs({ stream: 'stderr' })) expect(line).toBe('two\n')

  await using watch = await sandbox.files.watch()
  const options = { resumable: true, partSize: 300_000 }
  expect((await sandbox.files.write('parts', new Blob([bytes]), options)).size).toBe(bytes.length)
  for await (const { path } of watch) if (path === 'parts') break
  const archive = await sandbox.files.download('parts', { format: 'tar' })
  let size = 0
  for await (const part of archive) size += part.length
  expect(size).toBeGreaterThan(bytes.length)
  expect(archive.skipped).toBeUndefined()

  await expect(Sandbox.connect('no-such', { client })).rejects.toMatchObject({ code: 'sandbox_not_found' })
  const stranger = new Client({ apiKey: 'csk_wrong', transport: createFetchTransport(url) })
  await expect(stranger.call('getServer')).rejects.toMatchObject({ code: 'unauthenticated' })
})
