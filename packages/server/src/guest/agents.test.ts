import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Driver } from '../runtime/driver.ts'
import { LocalDriver } from '../runtime/local/index.ts'
import { ManagedDriver } from '../runtime/managed.ts'
import { MemoryDriver } from '../runtime/memory/index.ts'
import { connectGuest } from './connect.ts'
import type { Guest, GuestExecution, OutputSink, StartRequest } from './guest.ts'
import { collect } from './scripted-agent.test-kit.ts'

const agent = resolve(import.meta.dirname, '../../../../native/build/agent')
const ID = `sbx_agents_${process.pid}`
const MIB = 1 << 20

/** The same commands in both worlds: the memory agent is held to what the real one does. */
interface Commands {
  flood(bytes: number): string[]
  cat: string[]
  exit(code: number): string[]
  die(signal: string): string[]
  /** Ignores SIGTERM and then writes for ever. */
  stubborn: string[]
}
const WORLDS: Record<
  string,
  { skip: string | false; driver: (dataDir: string) => Driver; commands: Commands }
> = {
  memory: {
    skip: false,
    driver: () => new MemoryDriver(),
    commands: {
      flood: (bytes) => ['flood', String(bytes)],
      cat: ['cat'],
      exit: (code) => ['exit', String(code)],
      die: (signal) => ['die', signal],
      stubborn: ['trap', 'SIGTERM', 'yes'],
    },
  },
  real: {
    skip: !existsSync(agent) && 'native/build/agent is not built',
    driver: (dataDir) => new LocalDriver({ dataDir, agent }),
    commands: {
      flood: (bytes) => ['head', '-c', String(bytes), '/dev/zero'],
      cat: ['cat'],
      exit: (code) => ['sh', '-c', `exit ${code}`],
      die: (signal) => ['sh', '-c', `kill -${signal.slice(3)} $$`],
      stubborn: ['sh', '-c', 'trap "" TERM; yes'],
    },
  },
}

for (const [name, { skip, driver: make, commands }] of Object.entries(WORLDS)) {
  const title = `${name} agent${skip === false ? '' : ` (${skip})`}`
  describe.skipIf(skip !== false)(title, () => {
    let top: string
    let home: string
    let driver: Driver
    let guest: Guest
    let last = 0

    const connect = async () => {
      guest = await connectGuest(await driver.connect(ID), { sandbox: ID })
    }
    const start = (
      argv: string[],
      sink: OutputSink,
      more: Partial<StartRequest> = {},
    ): Promise<GuestExecution> =>
      guest.start({ id: `e${++last}`, argv, env: { CAISSON_SANDBOX: ID }, stdin: false, ...more }, sink)

    beforeAll(async () => {
      top = await mkdtemp(join(tmpdir(), 'caisson-agents-'))
      await mkdir(join(top, 'root'))
      driver = new ManagedDriver(make(top))
      const limits = { memoryBytes: 1 << 30, cpuMillis: 1000, pids: 100 }
      await driver.start({
        id: ID,
        hostname: 'x',
        idBase: 131_072,
        root: { kind: 'directory', path: 'root' },
        limits,
      })
      await connect()
      home = join(top, 'home')
      await guest.files.mkdir(home, { parents: true })
    })
    afterAll(async () => {
      guest?.close()
      await driver?.stop(ID)
      await driver?.close()
      await rm(top, { recursive: true, force: true })
    })

    test('every exit code arrives', async () => {
      const codes = Array.from({ length: 256 }, (_, code) => code)
      const endings = codes.map(async (code) => {
        const execution = await start(commands.exit(code), new Text())
        const ending = await execution.exited
        execution.forget()
        return 'code' in ending ? ending.code : ending
      })
      expect(await Promise.all(endings)).toEqual(codes)
    })

    test('a signal that ends a program is told by name', async () => {
      for (const signal of ['SIGTERM', 'SIGKILL', 'SIGABRT', 'SIGUSR1', 'SIGSEGV']) {
        const execution = await start(commands.die(signal), new Text())
        expect(await execution.exited).toMatchObject({ signal })
        execution.forget()
      }
    })

    test('stdin comes back unaltered from cat', async () => {
      const data = randomBytes(5 * MIB)
      const sink = new Bytes()
      const execution = await start(commands.cat, sink, { stdin: true })
      for (let at = 0; at < data.length; at += 100_003)
        await execution.writeStdin(data.subarray(at, at + 100_003))
      execution.closeStdin()
      expect(await execution.exited).toMatchObject({ code: 0 })
      expect(await execution.outputClosed).toBe(data.length)
      expect(sink.digest()).toBe(sha256(data))
      execution.forget()
    })

    test('a flood into a slow sink arrives whole and in order', async () => {
      const sink = new Bytes(() => new Promise<void>((done) => void setImmediate(done)))
      const execution = await start(commands.flood(20 * MIB), sink)
      await execution.exited
      expect(await execution.outputClosed).toBe(20 * MIB)
      expect(sink.length).toBe(20 * MIB)
      execution.forget()
    })

    test('output survives broken connections without loss or repetition', async () => {
      const sink = new Bytes()
      const breakOff: OutputSink = {
        write: (offset, stream, data) => {
          sink.write(offset, stream, data)
          if (sink.length > 2 * MIB * sink.marks) {
            sink.marks++
            guest.close()
          }
        },
      }
      let execution = await start(commands.flood(20 * MIB), breakOff)
      const id = `e${last}`
      let breaks = 0
      for (let total = await execution.outputClosed.catch(() => null); total === null; breaks++) {
        await connect()
        expect(guest.held).toContain(id)
        execution = await guest.attach(id, sink.length, breakOff)
        total = await execution.outputClosed.catch(() => null)
      }
      expect(breaks).toBeGreaterThan(5)
      expect(sink.length).toBe(20 * MIB)
      expect(await execution.exited).toMatchObject({ code: 0 })
      execution.forget()
    })

    test('a forgotten ending is not held, a remembered one is', async () => {
      const kept = await start(['echo', 'kept'], new Text())
      const keptId = `e${last}`
      const gone = await start(['echo', 'gone'], new Text())
      const goneId = `e${last}`
      await Promise.all([kept.exited, gone.exited, kept.outputClosed, gone.outputClosed])
      gone.forget()
      await guest.files.stat('/', {})
      await connect()
      expect(guest.held).toContain(keptId)
      expect(guest.held).not.toContain(goneId)
      await expect(guest.attach(goneId, 0, new Text())).rejects.toMatchObject({ code: 'execution_not_found' })
      const again = await guest.attach(keptId, 0, new Text())
      expect(await again.exited).toMatchObject({ code: 0 })
      again.forget()
    })

    test('starting a held id again follows it', async () => {
      const first = await start(['sleep', '1000'], new Text())
      const second = await start(['sleep', '1000'], new Text(), { id: `e${last}` })
      expect(second.pid).toBe(first.pid)
      await second.signal('SIGKILL', 'tree')
      expect(await second.exited).toMatchObject({ signal: 'SIGKILL' })
      second.forget()
    })

    test('a program that ignores SIGTERM ends by SIGKILL', async () => {
      const ready = Promise.withResolvers<void>()
      const execution = await start(commands.stubborn, { write: () => ready.resolve() })
      await ready.promise
      await execution.signal('SIGTERM', 'leader')
      await guest.files.stat('/', {})
      await execution.signal('SIGKILL', 'tree')
      expect(await execution.exited).toMatchObject({ signal: 'SIGKILL' })
      await expect(execution.signal('SIGTERM', 'leader')).rejects.toMatchObject({ code: 'execution_ended' })
      execution.forget()
    })

    test('what cannot start is told apart', async () => {
      await expect(start(['no-such-program'], new Text())).rejects.toMatchObject({
        code: 'command_not_found',
      })
      await expect(start(['true'], new Text(), { cwd: '/no/such/place' })).rejects.toMatchObject({
        code: 'cannot_start',
      })
      await expect(start(['true'], new Text(), { user: 'no-such-user' })).rejects.toMatchObject({
        code: 'cannot_start',
      })
    })

    test('stderr is told apart and the offsets are one sequence', async () => {
      const sink = new Text()
      const argv = name === 'memory' ? ['warn', 'oops'] : ['sh', '-c', 'echo oops >&2']
      const execution = await start(argv, sink)
      expect([await execution.outputClosed, sink.stdout, sink.stderr]).toEqual([5, '', 'oops\n'])
      execution.forget()
    })

    test('200 programs at once', async () => {
      const outputs = Array.from({ length: 200 }, async (_, index) => {
        const sink = new Text()
        const execution = await start(['echo', String(index)], sink)
        await execution.outputClosed
        await execution.exited
        execution.forget()
        return sink.stdout
      })
      expect(await Promise.all(outputs)).toEqual(Array.from({ length: 200 }, (_, index) => `${index}\n`))
    })

    test('files: write, read, stat, list, rename, chmod, remove', async () => {
      const { files } = guest
      const data = randomBytes(3 * MIB + 5)
      const written = await files.write(join(home, 'a/b/file'), pieces(data), { mode: 0o640, parents: true })
      expect(written).toMatchObject({
        created: [join(home, 'a'), join(home, 'a/b')],
        stat: { size: data.length, mode: 0o640 },
      })
      const all = await files.read(join(home, 'a/b/file'), {})
      expect(all.stat.size).toBe(data.length)
      expect(sha256(Buffer.concat(await collect(all.data)))).toBe(sha256(data))
      const part = await files.read(join(home, 'a/b/file'), { offset: 10, length: 20 })
      expect(Buffer.concat(await collect(part.data))).toEqual(data.subarray(10, 30))
      expect((await files.list(join(home, 'a/b'), {})).map((entry) => [entry.name, entry.type])).toEqual([
        ['file', 'file'],
      ])
      await files.rename(join(home, 'a/b/file'), join(home, 'a/moved'), {})
      await files.chmod(join(home, 'a/moved'), 0o600, {})
      expect(await files.stat(join(home, 'a/moved'), {})).toMatchObject({ type: 'file', mode: 0o600 })
      await expect(files.remove(join(home, 'a'), {})).rejects.toMatchObject({ code: 'directory_not_empty' })
      await files.remove(join(home, 'a'), { recursive: true })
      await expect(files.stat(join(home, 'a'), {})).rejects.toMatchObject({ code: 'file_not_found' })
    })

    test('files: attributes, and where links lead', async () => {
      const { files } = guest
      const path = join(home, 'attributes/f')
      const link = { path: join(home, 'attributes/l'), type: 'symlink', link: 'f' } as const
      await files.write(path, Buffer.from('x'), { parents: true, attributes: { a: '1', b: 'é' } })
      await files.writeTree(null, [link], {})
      expect(await files.stat(path, { attributes: true })).toMatchObject({ attributes: { a: '1', b: 'é' } })
      await files.setAttributes(path, { a: null, c: '' }, {})
      const told = { attributes: { b: 'é', c: '' } }
      const seen: unknown[] = []
      const { entries } = await files.readTree(join(home, 'attributes'), { attributes: true })
      for await (const { path: name, attributes, resolved } of entries)
        seen.push({ name, attributes, resolved })
      const listed = await files.list(join(home, 'attributes'), { attributes: true })
      listed.sort((one, other) => (one.name < other.name ? -1 : 1))
      const resolved = { path: expect.stringMatching(/attributes\/f$/), type: 'file', mode: 0o644 }
      expect(seen).toEqual([
        { name: 'f', ...told, resolved: undefined },
        { name: 'l', attributes: undefined, resolved },
      ])
      expect(listed).toMatchObject([
        { name: 'f', ...told },
        { name: 'l', resolved },
      ])
      expect(await files.stat(link.path, { attributes: true })).toMatchObject({ resolved })
      expect(await files.stat(path, {})).not.toHaveProperty('attributes')
      const missing = files.setAttributes(join(home, 'gone'), { a: '1' }, {})
      await expect(missing).rejects.toMatchObject({ code: 'file_not_found' })
    })

    test('files: what is wrong is told', async () => {
      const { files } = guest
      expect(await files.mkdir(join(home, 'd'), {})).toEqual([join(home, 'd')])
      await expect(files.mkdir(join(home, 'd'), {})).rejects.toMatchObject({ code: 'file_exists' })
      expect(await files.mkdir(join(home, 'd'), { parents: true })).toEqual([])
      await expect(files.mkdir(join(home, 'x/y'), {})).rejects.toMatchObject({ code: 'file_not_found' })
      await expect(files.read(join(home, 'd'), {})).rejects.toMatchObject({ code: 'file_wrong_type' })
      await expect(files.read(join(home, 'none'), {})).rejects.toMatchObject({ code: 'file_not_found' })
      await expect(files.write(join(home, 'd'), Buffer.from('x'), {})).rejects.toMatchObject({
        code: 'file_wrong_type',
      })
      await expect(files.write(join(home, 'no/f'), Buffer.from('x'), {})).rejects.toMatchObject({
        code: 'file_not_found',
      })
      await files.write(join(home, 'f'), Buffer.from('x'), {})
      await expect(files.list(join(home, 'f'), {})).rejects.toMatchObject({ code: 'file_wrong_type' })
    })

    test('files: a write that is given up leaves the old file', async () => {
      const path = join(home, 'kept')
      await guest.files.write(path, Buffer.from('old'), {})
      const broken = async function* () {
        yield Buffer.from('new')
        throw new Error('source broke')
      }
      await expect(guest.files.write(path, broken(), {})).rejects.toThrow('source broke')
      const { data } = await guest.files.read(path, {})
      expect(String(Buffer.concat(await collect(data)))).toBe('old')
    })

    test('files: leaving a read early leaves the connection usable', async () => {
      const path = join(home, 'large')
      await guest.files.write(path, new Uint8Array(4 * MIB), {})
      for (let round = 0; round < 20; round++) {
        const { data } = await guest.files.read(path, {})
        for await (const _ of data) break
      }
      expect(await guest.files.stat(path, {})).toMatchObject({ size: 4 * MIB })
    })
  })
}

class Text implements OutputSink {
  stdout = ''
  stderr = ''

  write(_offset: number, stream: 'stdout' | 'stderr', data: Uint8Array): void {
    this[stream] += Buffer.from(data).toString('latin1')
  }
}

/** Checks that bytes come once and in order, and hashes them. */
class Bytes implements OutputSink {
  length = 0
  marks = 1
  readonly #hash = createHash('sha256')
  readonly #keep: () => void | Promise<void>

  constructor(keep: () => void | Promise<void> = () => {}) {
    this.#keep = keep
  }

  write(offset: number, _stream: 'stdout' | 'stderr', data: Uint8Array): void | Promise<void> {
    expect(offset).toBe(this.length)
    this.length += data.length
    this.#hash.update(data)
    return this.#keep()
  }

  digest(): string {
    return this.#hash.digest('hex')
  }
}

function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

async function* pieces(data: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += 70_001) yield data.subarray(at, at + 70_001)
}
