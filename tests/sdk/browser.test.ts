import { Client, Sandbox } from 'caisson'
import { expect, test } from 'vitest'
import { createFetchTransport } from '../../packages/sdk/src/transport/fetch.ts'
import { TestServer } from '../fixture.ts'

test('with fetch and the global WebSocket alone, as in a browser, everything works the same', async () => {
  await using server = await TestServer.start({ listen: '127.0.0.1:0' })
  const url = `http://127.0.0.1:${/"port":(\d+)/.exec(server.log())?.[1]}`
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

  await expect(Sandbox.connect('no-such', { client })).rejects.toMatchObject({ code: 'sandbox_not_found' })
  const stranger = new Client({ apiKey: 'csk_wrong', transport: createFetchTransport(url) })
  await expect(stranger.call('getServer')).rejects.toMatchObject({ code: 'unauthenticated' })
})
