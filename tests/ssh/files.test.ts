import { randomBytes } from 'node:crypto'
import { chmod, cp, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missing, run, SshWorld } from './world.ts'

const reason = missing()
if (reason) console.error(`tests/ssh is skipped: ${reason}`)

const ODD_NAMES = ['with space', 'ünï-✓', '-dash', 'new\nline', 'quo\'te"s', '*?[x]', '$HOME', 'tab\there']

describe.skipIf(reason)('files by sftp, scp, rsync and git', () => {
  let world: SshWorld
  beforeAll(async () => {
    world = await SshWorld.make()
  })
  afterAll(() => world?.[Symbol.asyncDispose]())

  /** A directory of this machine with files, a link and odd names. */
  async function makeTree(name: string): Promise<string> {
    const root = world.path(name)
    await mkdir(join(root, 'sub/empty'), { recursive: true })
    for (const odd of ODD_NAMES) await writeFile(join(root, odd), `content of ${odd}`)
    await writeFile(join(root, 'sub/data'), randomBytes(300_000))
    await writeFile(join(root, 'sub/script'), '#!/bin/sh\n')
    await chmod(join(root, 'sub/script'), 0o750)
    await symlink('data', join(root, 'sub/link'))
    return root
  }

  async function contents(root: string): Promise<Record<string, string>> {
    const entries = await readdir(root, { recursive: true, withFileTypes: true })
    const seen = entries.map(async (entry): Promise<[string, string]> => {
      const path = join(entry.parentPath, entry.name)
      if (entry.isSymbolicLink()) return [path.slice(root.length), `-> ${await readlink(path)}`]
      if (entry.isDirectory()) return [path.slice(root.length), 'directory']
      const mode = ((await stat(path)).mode & 0o777).toString(8)
      return [path.slice(root.length), `${mode} ${(await readFile(path)).toString('base64')}`]
    })
    return Object.fromEntries((await Promise.all(seen)).sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  test('sftp puts, gets, lists, renames, links and changes modes', async () => {
    await writeFile(world.path('one'), 'one')
    const { code, stdout, stderr } = await world.sftp([
      `put ${world.path('one')} /home/agent/one`,
      'chmod 600 one',
      'rename one "two words"',
      'symlink "two words" three',
      'ls -la',
      `get three ${world.path('three')}`,
      'mkdir d',
      'rmdir d',
      'rm three',
    ])
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout.toString()).toMatch(/-rw------- .* agent .* two words/)
    expect(await readFile(world.path('three'), 'utf8')).toBe('one')
    expect(await world.sandbox.files.readText('two words')).toBe('one')
  })

  test('sftp can not do what the user can not', async () => {
    const { code, stderr } = await world.sftp(['rm /etc/passwd'])
    expect(code).not.toBe(0)
    expect(stderr).toContain('Permission denied')
  })

  test.for(ODD_NAMES.filter((name) => !name.includes('\n')))(
    'scp takes the name %j both ways',
    async (name) => {
      const here = world.path(name)
      await writeFile(here, name)
      const up = await world.scp('--', here, world.remote('/tmp/'))
      expect([up.code, up.stderr]).toEqual([0, ''])
      expect(await world.sandbox.files.readText(`/tmp/${name}`)).toBe(name)
    },
  )

  test('scp -r copies a tree there and back', async () => {
    const tree = await makeTree('tree')
    const up = await world.scp('-r', '-p', tree, world.remote('tree'))
    expect([up.code, up.stderr]).toEqual([0, ''])
    const down = await world.scp('-r', '-p', world.remote('tree'), world.path('back'))
    expect([down.code, down.stderr]).toEqual([0, ''])
    // scp follows links.
    const expected = await contents(tree)
    expected['/sub/link'] = (await contents(world.path('back')))['/sub/link']!
    expect(await contents(world.path('back'))).toEqual(expected)
  })

  test('rsync copies a tree there and back, and then finds nothing to send', async () => {
    const tree = await makeTree('synced')
    const sync = (...paths: string[]) =>
      run('rsync', ['-a', '--stats', '--out-format=item %n', '-e', world.command, ...paths])
    const up = await sync(`${tree}/`, world.remote('synced/'))
    expect([up.code, up.stderr]).toEqual([0, ''])
    const again = await sync(`${tree}/`, world.remote('synced/'))
    expect(again.stdout.toString()).not.toMatch(/^item /m)
    const down = await sync(world.remote('synced/'), `${world.path('synced-back')}/`)
    expect([down.code, down.stderr]).toEqual([0, ''])
    expect(await contents(world.path('synced-back'))).toEqual(await contents(tree))
  })

  test('git clones from the sandbox and pushes to it', async () => {
    await world.sandbox.exec([
      'sh',
      '-c',
      'git init -q --bare -b main repo.git && git clone -q repo.git w && cd w && git config user.email a@b && git config user.name a && head -c 2000000 /dev/urandom > big && git add . && git commit -qm first && git push -q origin HEAD:main',
    ])
    const url = `ssh://${world.sandbox.id}@127.0.0.1:${world.port}/home/agent/repo.git`
    const env = { GIT_SSH_COMMAND: world.command, HOME: world.directory, GIT_CONFIG_NOSYSTEM: '1' }
    const git = (...args: string[]) =>
      run('git', ['-c', 'user.email=a@b', '-c', 'user.name=a', ...args], { env })
    const cloned = await git('clone', '-q', url, world.path('clone'))
    expect([cloned.code, cloned.stderr]).toEqual([0, ''])
    await cp(world.path('clone/big'), world.path('clone/bigger'))
    await git('-C', world.path('clone'), 'add', '.')
    await git('-C', world.path('clone'), 'commit', '-qm', 'second')
    const pushed = await git('-C', world.path('clone'), 'push', '-q', 'origin', 'main')
    expect([pushed.code, pushed.stderr]).toEqual([0, ''])
    const log = await world.sandbox.exec(['git', '-C', 'repo.git', 'log', '--format=%s', 'main'])
    expect(log.stdout).toBe('second\nfirst\n')
  })

  test('a sandbox without sftp-server says so', async () => {
    await world.sandbox.exec(['mv', '/usr/lib/openssh/sftp-server', '/usr/lib/openssh/away'], {
      user: 'root',
    })
    const { code, stderr } = await world.sftp(['pwd'])
    await world.sandbox.exec(['mv', '/usr/lib/openssh/away', '/usr/lib/openssh/sftp-server'], {
      user: 'root',
    })
    expect(code).not.toBe(0)
    expect(stderr).toContain('this sandbox has no sftp-server; install openssh-sftp-server in it')
  })
})
