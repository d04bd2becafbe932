import { execFile, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { chmod, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Sandbox } from 'caisson'
import { describe, expect } from 'vitest'
import { instanceOf } from '../../packages/server/src/parts.ts'
import type { TestServer } from '../fixture.ts'
import { processesOf } from '../test-server.ts'
import { another, attempt, cannotRun, codeOf, shell, test } from './world.ts'

const run = promisify(execFile)
const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty']

/** Where a sandbox's files lie: in the pool, which only the launcher sees. */
const upper = (server: TestServer, box: Sandbox) =>
  join('/proc', String(launcherOf(server)), 'root', server.dataDir, 'pool/sandboxes', box.id, 'upper')

const launcherOf = (server: TestServer) =>
  processesOf(server.dataDir).find((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]?.endsWith('/launcher'),
  )

/** Whether a user without rights can reach a path of the host. */
const reachable = (path: string) =>
  run('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', 'stat', path]).then(
    () => true,
    () => false,
  )

/** Host processes of a sandbox, by the control group that holds them. */
const insiders = (box: Sandbox) =>
  readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`/${box.id}`)
    } catch {
      return false
    }
  })

/** What sandboxes could leave behind. */
async function traces(server: TestServer) {
  const groups = ['memory', 'pids', 'cpu', 'unified', ''].flatMap((controller) => {
    const dir = join('/sys/fs/cgroup', controller)
    try {
      return readdirSync(dir, { recursive: true, withFileTypes: true }).filter(
        (entry) => entry.isDirectory() && entry.name.startsWith('sbx_'),
      )
    } catch {
      return []
    }
  })
  return {
    groups: groups
      .map(({ parentPath, name }) => join(parentPath, name))
      .filter((path) => path.includes(instanceOf(server.dataDir))),
    mounts: (await readFile('/proc/self/mountinfo', 'utf8'))
      .split('\n')
      .filter((line) => line.includes(server.dataDir)),
    run: (await readdir(join(server.dataDir, 'run'))).filter((name) => name.includes('sbx_')),
    sandboxes: await readdir(join(server.dataDir, 'sandboxes')),
  }
}

describe.skipIf(cannotRun)('the host', () => {
  test('keeps its devices as they were', async ({ box }) => {
    const look = async () => {
      const infos = await Promise.all(DEVICES.map((name) => stat(`/dev/${name}`)))
      return infos.map(({ uid, gid, mode, rdev, ino }) => ({ uid, gid, mode, rdev, ino }))
    }
    const before = await look()
    const each = (change: (path: string) => string) => DEVICES.map((name) => change(`/dev/${name}`))
    const attacks = [
      ...each((path) => `os.chmod('${path}', 0o600)`),
      ...each((path) => `os.chown('${path}', 1000, 1000)`),
      ...each((path) => `os.unlink('${path}')`),
      ...each((path) => `os.rename('${path}', '/dev/moved')`),
      ...each((path) => `os.setxattr('${path}', 'user.x', b'x')`),
    ]
    const outcomes = await attempt(box, 'root', Object.fromEntries(attacks.map((code) => [code, code])))
    for (const [code, outcome] of Object.entries(outcomes))
      expect(['EPERM', 'EBUSY', 'EACCES', 'EXDEV', 'ENOTSUP', 'EOPNOTSUPP'], `${code}: ${outcome}`).toContain(
        outcome,
      )
    expect(await look()).toEqual(before)
    expect(before[0]).toMatchObject({ uid: 0, gid: 0, mode: 0o20666 })
    expect(
      await attempt(box, 'root', {
        'control: chmod': "os.chmod('/dev/shm', 0o1777)",
        'control: use': "write('/dev/null')",
      }),
    ).toEqual({ 'control: chmod': 'ok', 'control: use': 'ok' })
  })

  test('does not let its users reach files that guests made, set-user-id ones among them', async ({
    server,
    box,
  }) => {
    await shell(
      box,
      'cp /bin/true /home/agent/suid && chown 0:0 /home/agent/suid && chmod 6755 /home/agent/suid',
      {
        user: 'root',
      },
    )
    const file = join(upper(server, box), 'home/agent/suid')
    // On disk it is real root's: so the way there is closed, even in a data directory that is open.
    expect(await stat(file)).toMatchObject({ uid: 0, mode: 0o106755 })
    await chmod(server.dataDir, 0o755)
    expect(await reachable(join(server.dataDir, 'sandboxes'))).toBe(true)
    expect(await reachable(file)).toBe(false)
    expect(await readdir(join(server.dataDir, 'pool'))).toEqual([])
    for (const dir of ['run', 'sandboxes', 'trash', 'pool', 'dumps', 'pool.img']) {
      const { mode, uid, gid } = await stat(join(server.dataDir, dir))
      expect([dir, uid, gid, mode & 0o027]).toEqual([dir, 0, 0, 0])
    }
    await chmod(server.dataDir, 0o700)
  })

  test('makes no device usable that somehow lies in a root', async ({ server, box }) => {
    const dir = join(upper(server, box), 'home/agent')
    await shell(box, 'touch /home/agent/there')
    await run('mknod', ['-m', '666', join(dir, 'null-device'), 'c', '1', '3'])
    expect(await shell(box, 'stat -c %F /home/agent/null-device')).toBe('character special file')
    expect(
      await attempt(box, 'root', {
        open: "os.open('/home/agent/null-device', os.O_RDWR)",
        'control: the same device in /dev': "os.open('/dev/null', os.O_RDWR)",
      }),
    ).toEqual({ open: 'EACCES', 'control: the same device in /dev': 'ok' })
    expect(await codeOf(box.files.read('null-device'))).toBe('file_wrong_type')
  })

  test('runs sandboxes as users that own nothing on it, each in a range of its own', async ({ box }) => {
    await using other = await another(box)
    const ranges = [box, other].map((one) => {
      const uids = insiders(one).map((pid) =>
        Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]),
      )
      expect(uids.length).toBeGreaterThan(0)
      for (const uid of uids) expect(uid).toBeGreaterThanOrEqual(65_536)
      return Math.floor(uids[0]! / 65_536)
    })
    expect(ranges[0]).not.toBe(ranges[1])
  })

  test('keeps its processes: no signal leaves a sandbox', async ({ server, box }) => {
    const bystander = spawn('sleep', ['1000'], { stdio: 'ignore' })
    try {
      const target = bystander.pid!
      const victim = await box.start(['sleep', '1000'])
      await attempt(box, 'root', {
        'by pid': `os.kill(${target}, 9)`,
        'the server': `os.kill(${server.pid}, 9)`,
        all: 'os.kill(-1, 9)',
      }).catch(() => {})
      await box.sh('kill -9 -1', { user: 'root' })
      expect((await victim.wait()).signal).toBe('SIGKILL')
      expect(bystander.exitCode ?? bystander.signalCode).toBeNull()
      expect(await codeOf(box.exec(['true']))).toBe('ok')
    } finally {
      bystander.kill('SIGKILL')
    }
  })

  test('keeps nothing of a sandbox that was deleted', async ({ server, box }) => {
    const before = await traces(server)
    const own = await another(box)
    await own.start(['sh', '-c', 'setsid sleep 1000 & setsid sleep 1000 & sleep 1000'])
    expect(insiders(own).length).toBeGreaterThan(1)
    const during = await traces(server)
    expect(during.groups.length).toBeGreaterThan(before.groups.length)
    expect(during.run).toContain(`${own.id}.sock`)
    await own.delete()
    expect(insiders(own)).toEqual([])
    expect(await traces(server)).toEqual(before)
  })
})
