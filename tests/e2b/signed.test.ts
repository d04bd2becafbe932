import { createHash } from 'node:crypto'
import { Sandbox } from 'e2b'
import { describe, expect } from 'vitest'
import { CLIENTS } from './clients.ts'
import { cannotNetwork, type E2b, test } from './fixture.ts'

async function open(Client: typeof Sandbox, { options }: E2b) {
  const sandbox = await Client.create('base', { ...options, timeoutMs: 300_000 })
  return { sandbox, [Symbol.asyncDispose]: async () => void (await Client.kill(sandbox.sandboxId, options)) }
}

async function answerOf(url: string | URL, init?: RequestInit) {
  const answer = await fetch(url, init)
  const text = await answer.text()
  return { status: answer.status, text, headers: answer.headers }
}

function form(text: string, name = 'name'): FormData {
  const data = new FormData()
  data.append('file', new Blob([text]), name)
  return data
}

/** As clients sign, with a token of one's own choice. */
function sign(url: URL, token: string, operation: 'read' | 'write', expiration?: number): URL {
  const signed = new URL(url)
  const { searchParams: query } = signed
  const parts = [query.get('path') ?? '', operation, query.get('username') ?? '', token]
  if (expiration !== undefined) {
    parts.push(String(expiration))
    query.set('signature_expiration', String(expiration))
  }
  query.set(
    'signature',
    `v1_${createHash('sha256').update(parts.join(':')).digest('base64').replace(/=+$/, '')}`,
  )
  return signed
}

const tokenOf = (sandbox: Sandbox) => (sandbox as unknown as { envdAccessToken: string }).envdAccessToken
const soon = () => Math.floor(Date.now() / 1000) + 60

describe.skipIf(cannotNetwork).each(Object.entries(CLIENTS))('links of %s', (_name, Client) => {
  test('read and write, without any other credentials', async ({ e2b }) => {
    await using opened = await open(Client, e2b)
    const { sandbox } = opened
    for (const options of [{}, { useSignatureExpiration: 60 }, { user: 'root' as const }]) {
      const path = `f ${JSON.stringify(options)}é.txt`
      const up = await answerOf(await sandbox.uploadUrl(path, options), {
        method: 'POST',
        body: form('text'),
      })
      expect(up.status).toBe(200)
      const home = 'user' in options ? '/root' : '/home/user'
      expect(JSON.parse(up.text)).toEqual([{ name: path, path: `${home}/${path}`, type: 'file' }])
      const down = await answerOf(await sandbox.downloadUrl(path, options))
      expect(down).toMatchObject({ status: 200, text: 'text' })
      expect(down.headers.get('content-length')).toBe('4')
      expect(down.headers.get('content-security-policy')).toContain('sandbox')
    }
    const bare = await answerOf(await sandbox.uploadUrl(), {
      method: 'POST',
      body: form('bare', 'd/by name'),
    })
    expect(JSON.parse(bare.text)).toEqual([{ name: 'by name', path: '/home/user/d/by name', type: 'file' }])
  })
})

describe.skipIf(cannotNetwork)('links', () => {
  test('serve ranges and conditions', async ({ e2b }) => {
    await using opened = await open(Sandbox, e2b)
    const { sandbox } = opened
    await sandbox.files.write('f', '0123456789')
    const url = await sandbox.downloadUrl('f')
    const ask = (headers: Record<string, string>) => answerOf(url, { headers })
    const whole = await ask({})
    const part = await ask({ range: 'bytes=2-4' })
    expect(part).toMatchObject({ status: 206, text: '234' })
    expect(part.headers.get('content-range')).toBe('bytes 2-4/10')
    expect(await ask({ range: 'bytes=-3' })).toMatchObject({ status: 206, text: '789' })
    expect(await ask({ range: 'bytes=20-' })).toMatchObject({ status: 416 })
    const etag = whole.headers.get('etag') as string
    expect(await ask({ 'if-none-match': etag })).toMatchObject({ status: 304, text: '' })
    expect(await ask({ range: 'bytes=2-4', 'if-range': '"other"' })).toMatchObject({ status: 200 })
    const none = await ask({ 'accept-encoding': 'br, identity;q=0' })
    expect(none).toMatchObject({ status: 406 })
    expect(JSON.parse(none.text)).toMatchObject({ code: 406 })
    await sandbox.files.write('empty', '')
    const empty = await answerOf(await sandbox.downloadUrl('empty'))
    expect(empty).toMatchObject({ status: 200, text: '' })
    expect(empty.headers.get('content-length')).toBe('0')
    expect(await answerOf(await sandbox.downloadUrl('/proc/version'))).toMatchObject({
      status: 200,
      text: expect.stringMatching(/^Linux/),
    })
  })

  test('are good for what was signed alone', async ({ e2b }) => {
    await using opened = await open(Sandbox, e2b)
    await using second = await open(Sandbox, e2b)
    const { sandbox } = opened
    const token = tokenOf(sandbox)
    await sandbox.files.write([
      { path: 'f', data: 'mine' },
      { path: 'g', data: 'other' },
    ])
    await sandbox.files.write('f', 'of root', { user: 'root' })
    await second.sandbox.files.write('f', 'theirs')
    const read = new URL(await sandbox.downloadUrl('f'))
    const changed = (change: (query: URLSearchParams) => void, of = read) => {
      const url = new URL(of)
      change(url.searchParams)
      return url
    }
    const timed = new URL(await sandbox.downloadUrl('f', { useSignatureExpiration: 60 }))
    const refused: [string, URL, RequestInit?][] = [
      ['no signature', changed((query) => query.delete('signature'))],
      ['an empty one', changed((query) => query.set('signature', ''))],
      ['another path', changed((query) => query.set('path', 'g'))],
      ['the same file by another path', changed((query) => query.set('path', '/home/user/f'))],
      ['another user', changed((query) => query.set('username', 'root'))],
      ['a user where there was none', changed((query) => query.set('username', 'user'))],
      ['writing', read, { method: 'POST', body: form('written') }],
      ['a later end', changed((query) => query.set('signature_expiration', String(soon() + 999)), timed)],
      ['no end', changed((query) => query.delete('signature_expiration'), timed)],
      ['an end where there was none', changed((query) => query.set('signature_expiration', String(soon())))],
      ['padding', changed((query) => query.set('signature', `${query.get('signature')}=`))],
      ["a token that is nobody's", sign(read, 'x'.repeat(40), 'read')],
      ['no token', sign(read, '', 'read')],
      ['a parameter twice', changed((query) => query.append('path', 'g'))],
      ['a signature twice', changed((query) => query.append('signature', 'v1_x'))],
      [
        'another sandbox named',
        read,
        { headers: { 'E2b-Sandbox-Id': second.sandbox.sandboxId, 'E2b-Sandbox-Port': '49983' } },
      ],
      [
        'another token beside it',
        read,
        { headers: { 'X-Access-Token': tokenOf(second.sandbox).replace(/.$/, '_') } },
      ],
    ]
    for (const [what, url, init] of refused) {
      const answer = await answerOf(url, init)
      expect({ what, status: answer.status === 400 ? 401 : answer.status }).toEqual({ what, status: 401 })
      expect(JSON.parse(answer.text)).toMatchObject({ code: answer.status, message: expect.any(String) })
      expect(answer.text).not.toContain(token)
    }
    expect(await sandbox.files.read('f')).toBe('mine')
    expect(await answerOf(read)).toMatchObject({ status: 200, text: 'mine' })
  })

  test('of a name with colons do not become others', async ({ e2b }) => {
    await using opened = await open(Sandbox, e2b)
    const { sandbox } = opened
    await sandbox.files.write('f:write:user', 'x')
    const read = new URL(await sandbox.downloadUrl('f:write:user'))
    expect(await answerOf(read)).toMatchObject({ status: 200, text: 'x' })
    // The same text is signed for writing "f" as "user:read:".
    const write = new URL(read)
    write.searchParams.set('path', 'f')
    write.searchParams.set('username', 'user:read:')
    const answer = await answerOf(write, { method: 'POST', body: form('written') })
    expect(answer.status).toBe(401)
    expect(await sandbox.files.exists('f')).toBe(false)
  })

  test('end when they say so', async ({ e2b }) => {
    await using opened = await open(Sandbox, e2b)
    const { sandbox } = opened
    await sandbox.files.write('f', 'x')
    const ended = await answerOf(await sandbox.downloadUrl('f', { useSignatureExpiration: -1 }))
    expect(ended.status).toBe(401)
    expect(JSON.parse(ended.text)).toEqual({ code: 401, message: 'signature is already expired' })
    const upload = await sandbox.uploadUrl('f', { useSignatureExpiration: -1 })
    expect(await answerOf(upload, { method: 'POST', body: form('new') })).toMatchObject({ status: 401 })
    for (const end of [Number.NaN, 1e20, -soon()]) {
      const url = sign(new URL(await sandbox.downloadUrl('f')), tokenOf(sandbox), 'read', end)
      expect((await answerOf(url)).status).toBe(401)
    }
    expect(await sandbox.files.read('f')).toBe('x')
  })

  test('die with their sandbox', async ({ e2b }) => {
    const opened = await open(Sandbox, e2b)
    await opened.sandbox.files.write('f', 'x')
    const url = await opened.sandbox.downloadUrl('f')
    await opened[Symbol.asyncDispose]()
    const answer = await answerOf(url)
    expect([401, 502]).toContain(answer.status)
  })
})

describe.skipIf(cannotNetwork)('forms', () => {
  const boundary = 'xxBOUNDARYxx'
  const send = (url: string, body: string | Uint8Array, type = `multipart/form-data; boundary=${boundary}`) =>
    answerOf(url, { method: 'POST', body: body as BodyInit, headers: { 'content-type': type } })
  const part = (head: string, text: string) => `--${boundary}\r\n${head}\r\n\r\n${text}\r\n`
  const end = `--${boundary}--\r\n`
  const file = (filename: string | null, text: string) =>
    part(
      `Content-Disposition: form-data; name="file"${filename === null ? '' : `; filename="${filename}"`}`,
      text,
    )

  test('are taken as they come', async ({ e2b }) => {
    await using opened = await open(Sandbox, e2b)
    const { sandbox } = opened
    const url = await sandbox.uploadUrl()
    const named = await sandbox.uploadUrl('by/path')
    const written = async (at: string, body: string) => {
      const answer = await send(at, body)
      expect(answer.status).toBe(200)
      return JSON.parse(answer.text).map(({ path }: { path: string }) => path)
    }
    expect(await written(named, file('ignored', '1') + end)).toEqual(['/home/user/by/path'])
    expect(await written(named, file(null, '2') + end)).toEqual(['/home/user/by/path'])
    expect(await sandbox.files.read('by/path')).toBe('2')
    expect(await written(url, `preamble\r\n${file('/tmp/a', '3')}${end}epilogue`)).toEqual(['/tmp/a'])
    const other = part('Content-Disposition: form-data; name="other"', 'x')
    expect(await written(url, other + file('b', `4\r\n--${boundary.slice(0, -1)}`) + other + end)).toEqual([
      '/home/user/b',
    ])
    expect(await sandbox.files.read('b')).toBe(`4\r\n--${boundary.slice(0, -1)}`)
    expect(await written(url, file('100%25 %22q%22 \\"x\\" \\n', '5') + end)).toEqual([
      '/home/user/100%25 "q" "x" \\n',
    ])
  })

  test('that are none are refused, and change nothing', async ({ e2b }) => {
    await using opened = await open(Sandbox, e2b)
    const { sandbox } = opened
    await sandbox.files.write('f', 'old')
    const url = await sandbox.uploadUrl()
    const bodies: Record<string, [string, string?]> = {
      'no end': [file('f', 'new').slice(0, -10)],
      'no last boundary': [
        `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nnew`,
      ],
      nothing: [''],
      'no parts': [end],
      'no part of ours': [part('Content-Disposition: form-data; name="x"; filename="f"', 'new') + end],
      'no name': [file(null, 'new') + end],
      'an empty name': [file('', 'new') + end],
      'no disposition': [part('Content-Type: text/plain', 'new') + end],
      'long headers': [
        part(`X: ${'x'.repeat(20_000)}\r\nContent-Disposition: form-data; name="file"; filename="f"`, 'new') +
          end,
      ],
      'a long preamble': [`${'x'.repeat(10_000)}\r\n${file('f', 'new')}${end}`],
      'another boundary': [file('f', 'new') + end, 'multipart/form-data; boundary=other'],
      'no boundary': [file('f', 'new') + end, 'multipart/form-data'],
      'a long boundary': [file('f', 'new') + end, `multipart/form-data; boundary=${'x'.repeat(71)}`],
      'another type': ['new', 'text/plain'],
      'octets without a path': ['new', 'application/octet-stream'],
      'a NUL': [file('f\0g', 'new') + end],
      'a home of others': [file('~root/f', 'new') + end],
    }
    for (const [what, [body, type]] of Object.entries(bodies)) {
      const answer = await send(url, body, type)
      expect({ what, status: answer.status }).toEqual({ what, status: 400 })
      expect(JSON.parse(answer.text)).toMatchObject({ code: 400 })
    }
    const zipped = await answerOf(url, {
      method: 'POST',
      body: 'no gzip',
      headers: { 'content-type': `multipart/form-data; boundary=${boundary}`, 'content-encoding': 'gzip' },
    })
    expect(zipped.status).toBe(400)
    expect(await sandbox.files.read('f')).toBe('old')
    expect(
      (await sandbox.files.list('.')).map(({ name }) => name).filter((name) => !name.startsWith('.')),
    ).toEqual(['f'])
  })

  test('that do not fit are refused as such', async ({ e2b }) => {
    await using opened = await open(Sandbox, e2b)
    const { sandbox } = opened
    const full = await send(
      await sandbox.uploadUrl('/dev/shm/f'),
      file(null, 'x'.repeat(80 * 1024 * 1024)) + end,
    )
    expect(full.status).toBe(507)
    expect(JSON.parse(full.text)).toMatchObject({ code: 507 })
  })
})

describe.skipIf(cannotNetwork)('files that are put together', () => {
  test('are one, and their parts gone', async ({ e2b }) => {
    await using opened = await open(Sandbox, e2b)
    const { sandbox } = opened
    const compose = (body: unknown) =>
      answerOf(`${e2b.url}/files/compose`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-access-token': tokenOf(sandbox) },
        body: JSON.stringify(body),
      })
    await sandbox.files.write([1, 2, 3].map((n) => ({ path: `p${n}`, data: `${n}`.repeat(n) })))
    const done = await compose({ source_paths: ['p1', 'p3', '/home/user/p2'], destination: 'd/whole' })
    expect(JSON.parse(done.text)).toEqual({ name: 'whole', path: '/home/user/d/whole', type: 'file' })
    expect(await sandbox.files.read('d/whole')).toBe('133322')
    expect(await sandbox.files.getInfo('d/whole')).toMatchObject({ owner: 'user' })
    for (const name of ['p1', 'p2', 'p3']) expect(await sandbox.files.exists(name)).toBe(false)
    const wrong: [number, unknown][] = [
      [400, { source_paths: [], destination: 'x' }],
      [400, { source_paths: ['d/whole'] }],
      [400, { source_paths: ['d/whole'], destination: '/home/user/d/../d/whole' }],
      [400, { source_paths: ['d'], destination: 'x' }],
      [404, { source_paths: ['d/whole', 'gone'], destination: 'x' }],
      [401, { source_paths: ['d/whole'], destination: 'x', username: 'nobody-here' }],
    ]
    for (const [status, body] of wrong) expect(await compose(body)).toMatchObject({ status })
    expect(await sandbox.files.exists('x')).toBe(false)
    expect(await sandbox.files.read('d/whole')).toBe('133322')
  })
})
