import { randomBytes } from 'node:crypto'
import { Sandbox as CodeInterpreter } from '@e2b/code-interpreter'
import { Sandbox } from 'e2b'
import { describe, expect } from 'vitest'
import { CLIENTS } from './clients.ts'
import { test as base, cannotNetwork } from './fixture.ts'

const ALL = { ...CLIENTS, 'code interpreter': CodeInterpreter as unknown as typeof Sandbox }
const MB = 1024 * 1024

/** `test` with a sandbox, and a directory in it that is not there yet. */
function testWith(Client: typeof Sandbox) {
  return base.extend<{ sandbox: Sandbox; root: string }>({
    sandbox: async ({ e2b }, use) => {
      const sandbox = await Client.create('base', { ...e2b.options, timeoutMs: 300_000 })
      await use(sandbox)
      await Client.kill(sandbox.sandboxId, e2b.options)
    },
    // biome-ignore lint/correctness/noEmptyPattern: the fixture API reads the parameter's shape.
    root: async ({}, use) => use(`/home/user/${randomBytes(6).toString('hex')}`),
  })
}

/** The name of what a promise fails with, and its message. */
async function failure(promise: Promise<unknown>): Promise<{ name: string; message: string }> {
  const error = await promise.then(
    (value) => Promise.reject(new Error(`nothing failed: ${JSON.stringify(value)}`)),
    (reason) => reason,
  )
  return { name: error.constructor.name, message: error.message }
}

async function sh({ commands }: Sandbox, command: string, user?: string): Promise<string> {
  return (await commands.run(command, user === undefined ? {} : { user })).stdout
}

describe.skipIf(cannotNetwork).each(Object.entries(ALL))('files of %s', (name, Client) => {
  const test = testWith(Client)
  const isMoru = name === 'Moru'

  test('are written and read in every form', async ({ sandbox: { files }, root }) => {
    const path = `${root}/a/b/é ü.txt`
    const written = await files.write(path, 'häßlich\n')
    expect(written).toMatchObject({ name: 'é ü.txt', path, type: 'file' })
    expect(await files.read(path)).toBe('häßlich\n')
    const bytes = Buffer.from('häßlich\n')
    expect(Buffer.from(await files.read(path, { format: 'bytes' }))).toEqual(bytes)
    const blob = await files.read(path, { format: 'blob' })
    expect(Buffer.from(await blob.arrayBuffer())).toEqual(bytes)
    const stream = await files.read(path, { format: 'stream' })
    expect(await new Response(stream).text()).toBe('häßlich\n')
    await files.write(path, new Blob(['blob']))
    expect(await files.read(path)).toBe('blob')
    await files.write(path, new Uint8Array([0, 255, 13, 10, 45, 45]).buffer)
    expect([...(await files.read(path, { format: 'bytes' }))]).toEqual([0, 255, 13, 10, 45, 45])
    await files.write(path, new Response('streamed').body as ReadableStream)
    expect(await files.read(path)).toBe('streamed')
    await files.write(path, '')
    expect(await files.read(path)).toBe('')
    expect([...(await files.read(path, { format: 'bytes' }))]).toEqual([])
  })

  test('are written many at once, with directories in their names', async ({ sandbox, root }) => {
    const { files } = sandbox
    const texts = { 'one.txt': '1', 'd/e/two "quoted".txt': '2', 'dé/three;x.txt': '3' }
    const entries = Object.entries(texts).map(([name, data]) => ({ path: `${root}/${name}`, data }))
    const written = await files.write(entries)
    expect(written.map(({ path }) => path)).toEqual(entries.map(({ path }) => path))
    for (const { path, data } of entries) expect(await files.read(path)).toBe(data)
    expect(await files.write([])).toEqual([])
    const twice = await failure(files.write([entries[0]!, { ...entries[0]!, data: 'again' }]))
    expect(twice.message).toContain('twice')
    expect(await files.read(entries[0]!.path)).toBe('1')
  })

  test('are found where people mean them', async ({ sandbox, root }) => {
    const { files } = sandbox
    const name = root.slice('/home/user/'.length)
    expect(await files.write(`${name}/here`, 'x')).toMatchObject({ path: `${root}/here` })
    expect(await files.read(`~/${name}/here`)).toBe('x')
    expect(await files.read(`./${name}/../${name}/here`)).toBe('x')
    expect(await files.write('hidden', 'r', { user: 'root' })).toMatchObject({ path: '/root/hidden' })
    expect(await sh(sandbox, 'stat -c %U /root/hidden', 'root')).toBe('root\n')
    expect(await files.read('/root/hidden')).toBe('r')
  })

  test('belong to the user, wherever they lie', async ({ sandbox }) => {
    const { files } = sandbox
    const path = `/opt/${randomBytes(6).toString('hex')}/deep/f`
    await files.write(path, '#!/bin/sh\n')
    await sh(sandbox, `chmod 751 ${path}`)
    await files.write(path, '#!/bin/sh\nexit 0\n')
    const top = path.split('/').slice(0, 3).join('/')
    expect(await sh(sandbox, `stat -c '%U:%G %a' ${top} ${top}/deep ${path}`)).toBe(
      'user:user 755\nuser:user 755\nuser:user 751\n',
    )
    expect(await sh(sandbox, `stat -c %U /opt`)).toBe('root\n')
  })

  test('are listed', async ({ sandbox, root }) => {
    const { files } = sandbox
    await files.write([
      { path: `${root}/b`, data: '12' },
      { path: `${root}/a/c/d`, data: '1' },
      { path: `${root}/line\nbreak`, data: '' },
    ])
    await sh(sandbox, `cd ${root} && ln -s a link && ln -s gone nowhere && mkfifo fifo && chmod 2755 a`)
    const shallow = await files.list(root)
    const seen = shallow.map(({ name, type, path }) => [name, type, path])
    expect(seen).toEqual([
      ['a', 'dir', `${root}/a`],
      ['b', 'file', `${root}/b`],
      ['line\nbreak', 'file', `${root}/line\nbreak`],
      ['link', 'dir', `${root}/link`],
      ...(isMoru ? [] : [['nowhere', 'symlink', `${root}/nowhere`]]),
    ])
    const deep = await files.list(root, { depth: 3 })
    expect(deep.map(({ path }) => path.slice(root.length)).slice(0, 4)).toEqual([
      '/a',
      '/a/c',
      '/a/c/d',
      '/b',
    ])
    if (isMoru) return
    expect(shallow[0]).toMatchObject({
      permissions: 'dgrwxr-xr-x',
      owner: 'user',
      group: 'user',
      mode: 0o2755,
    })
    expect(shallow[1]).toMatchObject({ permissions: '-rw-r--r--', size: 2, mode: 0o644 })
    expect(shallow.find(({ name }) => name === 'link')).toMatchObject({
      permissions: 'Lrwxrwxrwx',
      symlinkTarget: `${root}/a`,
      mode: 0o2755,
    })
    expect(Math.abs(Date.now() - (shallow[1]?.modifiedTime?.getTime() ?? 0))).toBeLessThan(300_000)
  })

  test('are refused to be listed when they are no directory', async ({ sandbox: { files }, root }) => {
    await files.write(`${root}/f`, 'x')
    expect(await failure(files.list(`${root}/f`))).toMatchObject({ name: 'InvalidArgumentError' })
    const missing = await failure(files.list(`${root}/no`))
    expect(missing.name).toBe(isMoru ? 'NotFoundError' : 'FileNotFoundError')
    expect(await failure(files.list(root, { depth: 0 }))).toMatchObject({ name: 'InvalidArgumentError' })
  })

  test('are described, and missed', async ({ sandbox, root }) => {
    const { files } = sandbox
    await files.write(`${root}/f`, 'four')
    await sh(sandbox, `ln -s f ${root}/l`)
    expect(await files.exists(`${root}/f`)).toBe(true)
    expect(await files.exists(`${root}/g`)).toBe(false)
    expect(await files.getInfo(`${root}/f`)).toMatchObject({
      ...{ name: 'f', path: `${root}/f`, type: 'file', size: 4, mode: 0o644 },
      ...{ permissions: '-rw-r--r--', owner: 'user', group: 'user', symlinkTarget: undefined },
    })
    expect(await files.getInfo(`${root}/l`)).toMatchObject({ type: 'file', symlinkTarget: `${root}/f` })
    expect(await files.getInfo('/')).toMatchObject({ type: 'dir', path: '/' })
    expect(await files.getInfo('')).toMatchObject({ type: 'dir', path: '/home/user' })
    const asked = [
      () => files.getInfo(`${root}/g`),
      () => files.read(`${root}/g`),
      () => files.rename(`${root}/g`, 'x'),
    ]
    for (const ask of asked)
      expect(await failure(ask())).toMatchObject({ name: isMoru ? 'NotFoundError' : 'FileNotFoundError' })
    expect((await failure(files.read(`${root}/g`))).message).toBe(`path '${root}/g' does not exist`)
    expect(await files.exists(`${root}/x`)).toBe(false)
  })

  test('are no directories, and the other way round', async ({ sandbox: { files }, root }) => {
    expect(await files.makeDir(`${root}/d/e`)).toBe(true)
    expect(await files.makeDir(`${root}/d/e`)).toBe(false)
    expect(await files.getInfo(`${root}/d/e`)).toMatchObject({ type: 'dir', owner: 'user' })
    await files.write(`${root}/f`, 'x')
    const asked = [
      () => files.makeDir(`${root}/f`),
      () => files.makeDir(`${root}/f/g`),
      () => files.read(`${root}/d`),
      () => files.write(`${root}/d`, 'x'),
    ]
    for (const ask of asked) expect(await failure(ask())).toMatchObject({ name: 'InvalidArgumentError' })
    expect((await failure(files.read(`${root}/d`))).message).toBe(`path '${root}/d' is a directory`)
    expect(await files.read(`${root}/f`)).toBe('x')
  })

  test('are moved, and directories made for them', async ({ sandbox, root }) => {
    const { files } = sandbox
    await files.write(`${root}/d/f`, 'x')
    expect(await files.rename(`${root}/d/f`, `${root}/new/deep/g`)).toMatchObject({
      name: 'g',
      path: `${root}/new/deep/g`,
      type: 'file',
    })
    expect(await sh(sandbox, `stat -c %U ${root}/new`)).toBe('user\n')
    expect(await files.rename(`${root}/new`, `${root}/other`)).toMatchObject({ type: 'dir' })
    expect(await files.read(`${root}/other/deep/g`)).toBe('x')
    await failure(files.rename(`${root}/missing`, `${root}/made/for/nothing`))
    expect(await files.exists(`${root}/made`)).toBe(false)
  })

  test('are removed with everything in them, and once more', async ({ sandbox: { files }, root }) => {
    await files.write(`${root}/d/e/f`, 'x')
    await files.remove(`${root}/d`)
    expect(await files.exists(`${root}/d`)).toBe(false)
    await files.remove(`${root}/d`)
    await failure(files.remove('/'))
    expect(await files.exists('/etc/passwd')).toBe(true)
  })

  test('of users who are not there are refused', async ({ sandbox: { files }, root }) => {
    const as = (user: string) => ({ user: user as 'root' })
    const asked = [
      () => files.exists(`${root}/f`, as('nobody-here')),
      () => files.makeDir(`${root}/d`, as('nobody-here')),
      ...['nobody-here', 'user:0', '0:0'].flatMap((user) => [
        () => files.read('/etc/hostname', as(user)),
        () => files.write(`${root}/f`, 'x', as(user)),
      ]),
    ]
    for (const ask of asked) expect(await failure(ask())).toMatchObject({ name: 'AuthenticationError' })
    expect(await files.exists(root)).toBe(false)
  })

  test('are streamed, whatever their size', async ({ sandbox, root }) => {
    const { files } = sandbox
    const data = randomBytes(20 * MB)
    await files.write(`${root}/big`, new Blob([data]))
    const back = await files.read(`${root}/big`, { format: 'bytes' })
    expect(Buffer.compare(Buffer.from(back.buffer, back.byteOffset, back.length), data)).toBe(0)
  })
})

describe.skipIf(cannotNetwork)('files of the newest client', () => {
  const test = testWith(Sandbox)

  test('carry metadata', async ({ sandbox, root }) => {
    const { files } = sandbox
    const metadata = { Author: 'me & you', 'x-y_z.1': '' }
    const told = { author: 'me & you', 'x-y_z.1': '' }
    expect(await files.write(`${root}/f`, '1', { metadata })).toMatchObject({ metadata: told })
    expect((await files.getInfo(`${root}/f`)).metadata).toEqual(told)
    expect((await files.list(root))[0]?.metadata).toEqual(told)
    expect((await files.list(root, { depth: 2 }))[0]?.metadata).toEqual(told)
    expect((await files.rename(`${root}/f`, `${root}/g`)).metadata).toEqual(told)
    expect(await sh(sandbox, `python3 -c 'import os; print(sorted(os.listxattr("${root}/g")))'`)).toBe(
      "['user.e2b.author', 'user.e2b.x-y_z.1']\n",
    )
    await files.write(`${root}/g`, '2', { metadata: { other: '1' }, useOctetStream: true })
    expect((await files.getInfo(`${root}/g`)).metadata).toEqual({ other: '1' })
    await files.write(`${root}/g`, '3')
    expect((await files.getInfo(`${root}/g`)).metadata).toBeUndefined()
    const many = [`${root}/1`, `${root}/2`].map((path) => ({ path, data: 'x' }))
    for (const written of await files.write(many, { metadata })) expect(written.metadata).toEqual(told)
    for (const metadata of [{ k: 'x'.repeat(4096) }, { ['k'.repeat(247)]: '1' }])
      expect(await failure(files.write(`${root}/no`, '1', { metadata }))).toMatchObject({
        name: 'InvalidArgumentError',
      })
    expect(await files.exists(`${root}/no`)).toBe(false)
  })

  test('come as octets and zipped', async ({ sandbox: { files }, root }) => {
    const text = 'again and again '.repeat(10_000)
    for (const options of [{ useOctetStream: true }, { gzip: true }, { useOctetStream: false }]) {
      expect(await files.write(`${root}/f`, text, options)).toMatchObject({ path: `${root}/f`, type: 'file' })
      expect(await files.read(`${root}/f`, { gzip: true })).toBe(text)
      await files.remove(`${root}/f`)
    }
    const several = [1, 2, 3].map((n) => ({ path: `${root}/${n}`, data: `${n}` }))
    expect(await files.write(several, { gzip: true })).toHaveLength(3)
    expect(await files.read(`${root}/3`)).toBe('3')
  })

  test('of 200 MB are streamed in and out', async ({ sandbox: { files, commands }, root }) => {
    const chunk = randomBytes(MB)
    let sent = 0
    const source = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent++ === 200) controller.close()
        else controller.enqueue(chunk)
      },
    })
    await files.write(`${root}/huge`, source)
    let bytes = 0
    for await (const piece of await files.read(`${root}/huge`, { format: 'stream' })) bytes += piece.length
    expect(bytes).toBe(200 * MB)
    const { stdout } = await commands.run(`stat -c %s ${root}/huge; tail -c 1048576 ${root}/huge | sha256sum`)
    const digest = await crypto.subtle.digest('SHA-256', chunk)
    expect(stdout).toBe(`${200 * MB}\n${Buffer.from(digest).toString('hex')}  -\n`)
  })

  test('stay as they were when an upload breaks off', async ({ sandbox: { files }, root }) => {
    await files.write(`${root}/f`, 'old')
    const broken = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(randomBytes(MB))
        if (Math.random() < 0.2) controller.error(new Error('enough'))
      },
    })
    await failure(files.write(`${root}/f`, broken))
    expect(await files.read(`${root}/f`)).toBe('old')
    // The client gives up before the server has heard of it.
    while ((await files.list(root)).length > 1) await new Promise((wake) => setTimeout(wake, 20))
    expect(await files.read(`${root}/f`)).toBe('old')
  })

  test('of a sandbox that these clients did not make', async ({ e2b }) => {
    const made = await e2b.server.client().call('createSandbox', {})
    const { files } = await Sandbox.connect(made.id.replace('sbx_', 'i'), e2b.options)
    expect(await files.write('d/f', 'x')).toMatchObject({ path: '/home/agent/d/f' })
    expect(await files.getInfo('d/f')).toMatchObject({ owner: 'agent', group: 'agent' })
    await e2b.server.client().call('deleteSandbox', { id: made.id })
  })
})
