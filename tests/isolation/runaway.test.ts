import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sandbox } from 'caisson'
import { describe, expect } from 'vitest'
import { another, cannotRun, codeOf, python, shell, test } from './world.ts'

const PIDS = 64

/** Processes of the host, whatever namespace they are in, whose command line holds a text. */
const processesWith = (tag: string) =>
  readdirSync('/proc').filter((pid) => {
    try {
      // Not those of this test, which name it as well.
      const ours = readlinkSync(`/proc/${pid}/ns/pid`) === readlinkSync('/proc/self/ns/pid')
      return !ours && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(tag)
    } catch {
      return false
    }
  })

/** Waits for what has no event. The test's own deadline bounds it. */
async function until(probe: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await probe())) await sleep(10)
}

/** Processes and threads of the sandbox, seen from inside by a program that starts none. */
const COUNT = `import os
print(sum(len(os.listdir('/proc/%s/task' % p)) for p in os.listdir('/proc') if p.isdigit()))`

const FORK_BOMB = `import os, time
while True:
  try: os.fork()
  except OSError: time.sleep(0.001)`

const THREADS = `import threading, time
started = 0
try:
  while True:
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
    started += 1
except RuntimeError: print(started, flush=True)
time.sleep(1000)`

const ZOMBIES = `import os, time
made = 0
try:
  while True:
    if os.fork() == 0: os._exit(0)
    made += 1
except OSError: print(made, flush=True)
time.sleep(1000)`

/** Writes until it cannot, at most 200 MiB; says why it ended and how much there was. */
const FILL = `import errno, os, sys
where, written = sys.argv[1], 0
block = b'x' * (1 << 16)
try:
  if where == 'pipes':
    while written < 200 << 20:
      ends = os.pipe()
      os.set_blocking(ends[1], False)
      written += os.write(ends[1], block)
  fd = os.memfd_create('x') if where == 'memfd' else os.open(where + '/fill', os.O_CREAT | os.O_WRONLY)
  while written < 200 << 20: written += os.write(fd, block)
  print('all', written >> 20)
except OSError as error: print(errno.errorcode[error.errno], written >> 20)`

/** Starts a program and waits for its first output. */
async function startUntilSaid(box: Sandbox, code: string) {
  const execution = await box.start(['python3', '-u', '-c', code])
  let said = ''
  for await (const { data } of execution) {
    said = Buffer.from(data).toString()
    break
  }
  return { execution, said }
}

describe.skipIf(cannotRun)('a sandbox that runs away', () => {
  test('with a fork bomb is held by its pids limit, and its tree is killed as a whole', async ({ box }) => {
    await using bomb = await another(box, { resources: { pids: PIDS } })
    const pidsOf = async () => Number(await python(bomb, 'agent', COUNT).catch(() => Number.NaN))
    const idle = await pidsOf()
    const execution = await bomb.start(['python3', '-c', FORK_BOMB])
    // Full: a command can not be started any more, and says so.
    await until(async () => (await codeOf(bomb.exec(['true']))) === 'cannot_start')
    expect(await shell(box, 'echo works')).toBe('works')
    expect(await bomb.files.exists('/etc/passwd')).toBe(true)
    await execution.kill()
    expect((await execution.wait()).signal).toBe('SIGKILL')
    await until(async () => (await pidsOf()) === idle)
  })

  test.for([
    ['threads', THREADS],
    ['zombies', ZOMBIES],
  ] as const)('with %s is held by its pids limit, and recovers', async ([, code], { box }) => {
    await using full = await another(box, { resources: { pids: PIDS } })
    const idle = await python(full, 'agent', COUNT)
    const { execution, said } = await startUntilSaid(full, code)
    expect(Number(said)).toBeGreaterThan(PIDS / 2)
    expect(Number(said)).toBeLessThan(PIDS)
    expect(await codeOf(full.exec(['true']))).toBe('cannot_start')
    await execution.kill()
    await until(async () => (await codeOf(full.exec(['true']))) === 'ok')
    await until(async () => (await python(full, 'agent', COUNT)) === idle)
  })

  test('with daemons leaves none when its tree is killed', async ({ box }) => {
    const daemon =
      'setsid sh -c "sleep 7001 & exec sleep 7001" & (setsid sleep 7001 &) ; (sleep 7001 &); echo said; sleep 7001'
    const execution = await box.start(['sh', '-c', daemon])
    const count = async () => Number(await shell(box, 'pgrep -cx -f "sleep 7001"; true'))
    await until(async () => (await count()) === 5)
    await execution.kill()
    expect(await count()).toBe(0)
  })

  test('with a daemon that hides from everything leaves none when it is deleted', async ({ box }) => {
    await using own = await another(box)
    const tag = `hidden-${own.id}`
    const hide = `import os, sys, time
if os.fork(): sys.exit()
os.setsid()
if os.fork(): os._exit(0)
os.execve('/usr/bin/python3', ['python3', '-c', '''
import ctypes, signal, time
ctypes.CDLL(None).prctl(4, 0)
signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
time.sleep(7002)''', '${tag}'], {})`
    await own.exec(['sudo', '-n', 'python3', '-c', hide])
    await until(() => processesWith(tag).length === 1)
    await own.delete()
    expect(processesWith(tag)).toEqual([])
  })

  test('with memory is stopped at its limit, and its neighbour does not notice', async ({ box }) => {
    await using hog = await another(box, { resources: { memory: '64Mi' } })
    const neighbour = await box.start(['sleep', '1000'])
    const result = await hog.python('import os\nwhile os.fork() >= 0: x = os.urandom(1 << 24)')
    expect(result.ending).toBe('out-of-memory')
    expect(result.oomKills).toBeGreaterThan(0)
    expect((await neighbour.refresh()).state).toBe('running')
    const { oomKills } = await box.python('x = bytearray(100 << 20)')
    expect(oomKills).toBe(0)
    await neighbour.kill()
  })

  test.for([
    ['/dev/shm', '96Mi', 'exited ENOSPC'],
    ['/dev/shm', '48Mi', 'exited ENOSPC'],
    ['/dev', '96Mi', 'exited ENOSPC'],
    ['/dev/mqueue', '96Mi', 'exited EINVAL'],
    ['/sys', '96Mi', 'exited EROFS'],
    ['memfd', '96Mi', 'out-of-memory'],
    ['pipes', '96Mi', 'exited EMFILE'],
  ] as const)('by filling %s with %s of memory meets an end that is its own', async (row, { box }) => {
    const [where, memory, expected] = row
    await using own = await another(box, { resources: { memory } })
    const { ending, stdout } = await own.exec(['python3', '-c', FILL, where], { user: 'root' })
    const [outcome = '', mebibytes = '0'] = stdout.split(' ')
    expect(`${ending} ${outcome}`.trim()).toBe(expected)
    expect(Number(mebibytes)).toBeLessThanOrEqual(Number.parseInt(memory, 10))
    expect(await shell(box, 'echo works')).toBe('works')
  })
})
