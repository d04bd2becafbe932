import { createSocket, type Socket } from 'node:dgram'
import { decode, encode } from 'dns-packet'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { NO_SURROUNDINGS, surroundingsOf } from './surroundings.ts'

const ADDRESSES: Record<string, string> = {
  'mirror.example': '10.0.0.5',
  'registry.example': '93.184.216.34',
  'proxy.example': '10.0.0.7',
  'loop.example': '127.0.0.1',
}

let server: Socket
let dns: string[]
beforeAll(async () => {
  server = createSocket('udp4')
  server.on('message', (data, peer) => {
    const { id, questions } = decode(data)
    const { name, type } = questions![0]!
    const address = type === 'A' ? ADDRESSES[name] : undefined
    const answers = address === undefined ? [] : [{ type: 'A' as const, name, ttl: 0, data: address }]
    const flags = ADDRESSES[name] === undefined ? 3 : 0
    server.send(encode({ id, type: 'response', questions, answers, flags }), peer.port, peer.address)
  })
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
  dns = [`127.0.0.1:${server.address().port}`]
})
afterAll(() => server.close())

const none = { proxy: null, caFile: null, npmRegistry: 'https://registry.example/', maxUpload: 1 }
const find = (sources: string[], build: Partial<typeof none> | { proxy: string } = {}) =>
  surroundingsOf({ build: { ...none, ...build }, network: { permit: [], connections: 1, dns } }, sources)

describe('what a builder reaches', () => {
  test('the names of its sources, and of their addresses those that somebody must vouch for', async () => {
    const { network, env } = await find(['http://mirror.example/debian', 'https://registry.example/'])
    expect(network).toMatchObject({
      default: 'deny',
      allow: ['mirror.example', 'registry.example'],
      vouched: ['10.0.0.5'],
    })
    expect(env).toEqual({})
  })

  test.each([
    ['http://registry.example:4873/', ['registry.example:4873']],
    ['https://registry.example:443/npm/', ['registry.example']],
    ['http://192.168.7.7:4873/', ['192.168.7.7']],
    ['http://[fd00::5]:4873/', ['fd00::5']],
  ])('%s: %j', async (source, allow) => {
    expect((await find([source])).network.allow).toEqual(allow)
  })

  test('with a proxy that alone, by its addresses, and every program is told of it', async () => {
    const proxy = 'http://user:secret@proxy.example:3128'
    const { network, env } = await find(['http://mirror.example/'], { proxy })
    expect(network).toMatchObject({ allow: ['10.0.0.7', 'proxy.example'], vouched: ['10.0.0.7'] })
    for (const name of ['http_proxy', 'HTTPS_PROXY', 'npm_config_proxy']) expect(env[name]).toBe(proxy)
  })

  test.each([
    'http://absent.example/',
    'http://registry/',
    'http://registry.local/',
    'http://loop.example/',
    'http://127.0.0.1:4873/',
    'http://169.254.169.254/',
  ])('%s cannot be reached, which is told before anything is started', async (source) => {
    await expect(find([source])).rejects.toMatchObject({ code: 'build_failed' })
  })

  test('without sources nothing', () => {
    expect(NO_SURROUNDINGS.network).toMatchObject({ default: 'deny', allow: [], vouched: [] })
  })
})
