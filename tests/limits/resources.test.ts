import { Sandbox } from 'caisson'
import { describe, expect } from 'vitest'
import { agentPid, cannotRun, cgroupFile, pidsOf, until } from '../crash/host.ts'
import { test } from '../fixture.ts'

const FORK_BOMB = `
import os, time
n = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(1000)
        n += 1
except OSError as error:
    print(error.strerror, n)
`

describe.skipIf(cannotRun !== null)('limits', () => {
  test('are granted as asked, told, and in force', async ({ server }) => {
    const resources = { memory: '96Mi', cpu: '500m', pids: 40, disk: '64Mi' }
    await using box = await Sandbox.create({ client: server.client(), resources })
    expect(box.info.resources).toEqual({
      asked: resources,
      granted: { memoryBytes: 96 * 2 ** 20, cpuMillis: 500, pids: 40, diskBytes: 64 * 2 ** 20 },
    })
    expect((await box.exec(['true'])).resources).toEqual(box.info.resources.granted)
    const file = (...names: string[]) => cgroupFile(server, box.id, ...names)
    expect(file('memory.limit_in_bytes', 'memory.max')).toBe(String(96 * 2 ** 20))
    expect(file('pids.max')).toBe('40')
    const [quota, period] = (file('cpu.max') ?? '').split(' ')
    const share = Number(quota || file('cpu.cfs_quota_us')) / Number(period || file('cpu.cfs_period_us'))
    expect(share).toBe(0.5)
  })

  test('of disk hold, are told inside, and leave the neighbours theirs', async ({ server }) => {
    const client = server.client()
    await using box = await Sandbox.create({ client, resources: { disk: '64Mi' } })
    await using other = await Sandbox.create({ client, resources: { disk: '64Mi' } })
    const full = await box.exec(['sh', '-c', 'head -c 100M /dev/urandom > data; sync; stat -c %s data'])
    expect(full.stderr).toContain('Disk quota exceeded')
    expect(Number(full.stdout)).toBeLessThanOrEqual(64 * 2 ** 20)
    expect(Number(full.stdout)).toBeGreaterThan(32 * 2 ** 20)
    await expect(box.files.write('more', 'x'.repeat(2 ** 21))).rejects.toMatchObject({ code: 'no_space' })
    const fine = await other.exec(['sh', '-c', 'head -c 32M /dev/urandom > data && sync && echo fine'])
    expect(fine.stdout).toBe('fine\n')
    const again = await box.exec(['sh', '-c', 'rm data && sync && echo small > data && cat data'])
    expect(again.stdout).toBe('small\n')
  })

  test('of disk count many small files', async ({ server }) => {
    await using box = await Sandbox.create({ client: server.client(), resources: { disk: '16Mi' } })
    const made = await box.exec([
      'python3',
      '-c',
      'import os\ntry:\n  for i in range(200000): os.close(os.open(f"f{i}", os.O_CREAT))\nexcept OSError as e: print(e.errno)',
    ])
    expect(made.stdout).toBe('122\n')
  })

  test('that are not asked for are those of the configuration, cut to the host', async ({ server }) => {
    await using box = await Sandbox.create({ client: server.client() })
    const { granted, asked } = box.info.resources
    expect(asked).toEqual({})
    expect(granted.pids).toBe(1024)
    expect(granted.memoryBytes).toBeGreaterThan(0)
    expect(cgroupFile(server, box.id, 'memory.limit_in_bytes', 'memory.max')).toBe(
      String(granted.memoryBytes),
    )
  })

  test('of memory hold also for many processes and for files in memory', async ({ server }) => {
    await using box = await Sandbox.create({ client: server.client(), resources: { memory: '128Mi' } })
    const many = await box.sh(
      'for i in 1 2 3 4 5 6 7 8; do python3 -c "x = bytearray(16 << 20); import time; time.sleep(0.5)" & done; wait',
    )
    expect(many.oomKills).toBeGreaterThan(0)
    await box.sh('head -c 256M /dev/zero > /dev/shm/big')
    await box.sh('rm -f /dev/shm/big')
    expect((await box.sh('echo fine')).stdout).toBe('fine\n')
  })

  test('of processes stop a fork bomb; it and its neighbours stay usable', async ({ server }) => {
    const client = server.client()
    await using neighbour = await Sandbox.create({ client })
    await using box = await Sandbox.create({ client, resources: { pids: 64 } })
    const agent = agentPid(server, box.id)
    const bomb = await box.start(['python3', '-c', FORK_BOMB])
    await until('the limit is reached', async () => pidsOf(server, box.id).length >= 63)
    expect((await neighbour.sh('echo fine')).stdout).toBe('fine\n')
    await bomb.kill('SIGKILL', 'tree')
    const result = await bomb.wait()
    if (result.ending === 'exited') expect(result.stdout).toContain('temporarily unavailable')
    await until('its processes are gone', async () => pidsOf(server, box.id).length < 10)
    expect(agentPid(server, box.id)).toBe(agent)
    expect((await box.sh('echo usable')).stdout).toBe('usable\n')
    expect(pidsOf(server, box.id).length).toBeLessThanOrEqual(64)
  })

  test('of processes that are used up make a command fail with a clear error', async ({ server }) => {
    await using box = await Sandbox.create({ client: server.client(), resources: { pids: 12 } })
    await box.sh('for i in $(seq 20); do sleep 1000 & done 2>/dev/null')
    const failed = await box.exec(['true']).catch((error) => error)
    if (failed.code !== undefined) expect(failed.code).toMatch(/^(cannot_start|too_many)$/)
    await box.delete()
  })

  test('that the host cannot give are refused', async ({ server }) => {
    const client = server.client()
    const create = (resources: object) => Sandbox.create({ client, resources })
    await expect(create({ memory: '900Ti' })).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(create({ memory: '1Mi' })).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(create({ cpu: '5000' })).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(create({ disk: '900Ti' })).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(create({ disk: '1Mi' })).rejects.toMatchObject({ code: 'invalid_request' })
  })
})
