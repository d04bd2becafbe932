import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { describe, expect } from 'vitest'
import { MASKED_PATHS } from '../../packages/server/src/runtime/oci/profile.ts'
import { ATTACKERS, another, attempt, cannotRun, python, shell, test } from './world.ts'

const NAMESPACES = ['pid', 'mnt', 'ipc', 'uts', 'net', 'user', 'cgroup']

/** What SECURITY.md says a sandbox sees of the host below /proc. */
function documented(): string[] {
  const text = readFileSync(resolve(import.meta.dirname, '../../SECURITY.md'), 'utf8')
  const item = /- \*\*Of the host it sees\*\*.*?(?=\n- \*\*)/s.exec(text)![0]
  return [...item.matchAll(/`\/proc\/([\w.]+)`/g)].map((match) => match[1]!)
}

describe.skipIf(cannotRun).each(ATTACKERS)('what %s sees', (who) => {
  test('of the host below /proc is exactly what SECURITY.md lists', async ({ box }) => {
    const file = `/tmp/readable-${who}`
    await attempt(box, who, { list: `open('${file}', 'w').write(readable('/proc'))` })
    const paths: string[] = JSON.parse(await box.files.readText(file))
    const names = new Set(paths.map((path) => path.split('/')[2]!))
    // Not the host's: the sandbox's own IPC namespace, and locks that its own processes hold.
    for (const own of ['sysvipc', 'locks']) names.delete(own)
    expect([...names].toSorted()).toEqual(documented().toSorted())
  })

  test('as processes are its own only', async ({ box }) => {
    const script = 'for p in /proc/[0-9]*; do tr "\\0" " " < $p/cmdline; echo; done'
    const lines = (await shell(box, script, { user: who })).split('\n').filter(Boolean)
    expect(lines[0]).toContain('/.caisson/agent --listen-fd')
    // The agent, the shell that asks, and what it runs at that moment.
    for (const line of lines.slice(1)) expect(line).toMatch(/^(\/bin\/sh -c |tr )/)
    expect(await shell(box, 'kill -0 $$ && echo own', { user: who })).toBe('own')
  })

  test('as open descriptors are its standard streams only', async ({ box }) => {
    const list = `import fcntl
def is_open(fd):
  try: return fcntl.fcntl(fd, fcntl.F_GETFD) >= 0
  except OSError: return False
print(*filter(is_open, range(1024)))`
    expect(await python(box, who, list)).toBe('0 1 2\n')
    expect(await python(box, who, `import os; os.dup(0)\n${list}`)).toBe('0 1 2 3\n')
    const withTerminal = await box.exec(['python3', '-c', list], { tty: { cols: 80, rows: 24 }, user: who })
    expect(withTerminal.stdout.trim()).toBe('0 1 2')
    expect((await box.exec(['python3', '-c', list], { stdin: 'x', user: who })).stdout).toBe('0 1 2\n')
  })

  test('as environment is what the runtime says and nothing of the server’s', async ({ box }) => {
    const names = await shell(box, 'env | cut -d= -f1 | sort', { user: who })
    expect(names.split('\n')).toEqual([
      'CAISSON_EXECUTION',
      'CAISSON_SANDBOX',
      'HOME',
      'LANG',
      'LOGNAME',
      'PATH',
      'PWD',
      'SHELL',
      'USER',
    ])
  })
})

describe.skipIf(cannotRun)('of the host a sandbox sees', () => {
  test('no namespace', async ({ box }) => {
    const links = (await shell(box, `cd /proc/self/ns; readlink ${NAMESPACES.join(' ')}`)).split('\n')
    await using other = await another(box)
    const others = (await shell(other, `cd /proc/self/ns; readlink ${NAMESPACES.join(' ')}`)).split('\n')
    for (const [i, name] of NAMESPACES.entries()) {
      expect(links[i]).toMatch(/^\w+:\[\d+\]$/)
      expect(new Set([links[i], others[i], readlinkSync(`/proc/self/ns/${name}`)]).size, name).toBe(3)
    }
  })

  test('no name, no hardware and no identity', async ({ box }) => {
    expect(await shell(box, 'hostname')).toBe(box.id.replaceAll('_', '-'))
    const names = await shell(box, 'uname -n; cat /etc/hostname /etc/hosts; cat /proc/sys/kernel/hostname')
    expect(names.split(/\s+/)).not.toContain(hostname())
    expect(await shell(box, 'ls -A /sys; cat /sys/class/dmi/id/product_serial 2>/dev/null; true')).toBe('')
    expect(await shell(box, 'cat /proc/cmdline')).toBe(readFileSync('/proc/cmdline', 'utf8').trimEnd())
  })

  test('no mount but pseudo file systems and what is its own', async ({ server, box }) => {
    const lines = (await shell(box, 'cat /proc/self/mountinfo')).split('\n').map((line) => line.split(' '))
    const mounts = lines.map((fields) => {
      const kind = fields[fields.indexOf('-') + 1]
      return { root: fields[3]!, at: fields[4]!, options: fields[5]!, kind }
    })
    const masked = MASKED_PATHS.map((row) => row.name)
    const plain = mounts
      .filter(({ at }) => !masked.includes(at))
      .map(({ kind, root, at }) => `${kind} ${root} ${at}`)
    const devices = ['full', 'null', 'random', 'tty', 'urandom', 'zero'].map((name) => `/dev/${name}`)
    expect(plain.toSorted()).toEqual([
      'devpts / /dev/pts',
      'mqueue / /dev/mqueue',
      'overlay / /',
      'proc / /proc',
      'proc /sys /proc/sys',
      'tmpfs / /dev',
      'tmpfs / /dev/shm',
      'tmpfs / /sys',
      'tmpfs /agent /.caisson/agent',
      ...devices.map((path) => `tmpfs ${path} ${path}`),
    ])
    for (const { root, at, options, kind } of mounts.filter(({ at }) => masked.includes(at))) {
      expect(options.split(','), at).toContain('ro')
      expect([`tmpfs /`, `tmpfs /dev/null`]).toContain(`${kind} ${root}`)
    }
    expect(mounts.find(({ at }) => at === '/')!.options).toContain('nodev')
    expect(lines.join()).not.toContain(server.dataDir)
  })

  test('no socket of an engine, no token, nothing of /run', async ({ box }) => {
    const found = await shell(
      box,
      `find / -xdev -type s; find /dev -type s; ls -A /run
       ls -d /var/run/docker.sock /run/containerd /var/run/secrets /root/.docker /root/.ssh /home/agent/.ssh \
         /etc/kubernetes 2>/dev/null; true`,
      { user: 'root' },
    )
    expect(found).toBe('')
    const control =
      'python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\'/tmp/control\')"; find /tmp -type s'
    expect(await shell(box, control)).toBe('/tmp/control')
  })

  test('no network but a loopback of its own', async ({ box }) => {
    expect(readdirSync('/sys/class/net').length).toBeGreaterThan(0)
    const devices = (await shell(box, 'tail -n +3 /proc/net/dev | cut -d: -f1')).split('\n')
    expect(devices.map((name) => name.trim())).toEqual(['lo'])
    const outcomes = await attempt(box, 'root', {
      'to the internet': "socket.create_connection(('192.0.2.1', 80), 5)",
      'to a metadata service': "socket.create_connection(('169.254.169.254', 80), 5)",
      'by name': "socket.getaddrinfo('example.com', 80) and 'resolved'",
      'control: loopback':
        "(lambda s: socket.create_connection(s.getsockname()))(socket.create_server(('127.0.0.1', 0)))",
    })
    expect(outcomes).toMatchObject({
      'to the internet': 'ENETUNREACH',
      'to a metadata service': 'ENETUNREACH',
      'control: loopback': 'ok',
    })
    expect(outcomes['by name']).not.toMatch(/^(ok|resolved)$/)
  })
})
