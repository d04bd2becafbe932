/** SECURITY D 27: networked sandboxes reach one another by no address, in no direction, in no protocol. */
import { Sandbox } from 'caisson'
import { describe, expect } from 'vitest'
import { attempt, cannotNetwork, inside, PUBLIC, test } from './fixture.ts'
import { plugged } from './host.ts'

const MANY = 50

/** Listens on TCP and UDP port 7003 of every address, and prints what came. */
const LISTEN = `import socket, threading
t = socket.create_server(('::', 7003), family=socket.AF_INET6, dualstack_ipv6=True)
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.bind(('::', 7003))
def datagrams():
  while True: print('heard', u.recvfrom(100), flush=True)
threading.Thread(target=datagrams, daemon=True).start()
print('ready', flush=True)
while True: print('heard', t.accept()[1], flush=True)`

const addressesOf = async (box: Sandbox) => (await box.client.call('getNetwork', { id: box.id })).addresses

describe.skipIf(cannotNetwork)('networked sandboxes', () => {
  test('do not reach one another, whatever their rules', async ({ world, server }) => {
    await using open = await inside(world, server, true)
    await using other = await inside(world, server, { default: 'allow' })
    const listener = await other.start(['python3', '-u', '-c', LISTEN])
    for await (const _ of listener) break
    const addresses = await addressesOf(other)
    expect(addresses.length).toBe(2)
    const own = await attempt(other, Object.fromEntries(addresses.map((a) => [a, `tcp('${a}', 7003)`])))
    expect(new Set(Object.values(own))).toEqual(new Set(['ok']))
    for (const as of [[], ['sudo', '-n']])
      for (const address of addresses) {
        const tries = {
          tcp: `tcp('${address}', 7003)`,
          udp: `udp('${address}', 7003)`,
          ping: `ping('${address}')`,
        }
        for (const [name, said] of Object.entries(await attempt(open, tries, as)))
          expect.soft(said, `${name} ${address}`).not.toMatch(/^ok$|timeout/)
      }
    const heard = await (await other.attach(listener.id))
      .wait({ signal: AbortSignal.timeout(300) })
      .catch(() => null)
    expect(heard).toBeNull()
    const { logs } = { logs: [] as string[] }
    for await (const text of (await other.attach(listener.id)).logs({ stream: 'stdout' })) logs.push(text)
    const strangers = logs
      .join('')
      .match(/heard.*/g)
      ?.filter((line) => !addresses.some((a) => line.includes(a)))
    expect(strangers ?? []).toEqual([])
  })

  test('can not speak with another address than their own', async ({ world, server }) => {
    await using box = await inside(world, server, true)
    await using other = await inside(world, server, true)
    const [theirs] = await addressesOf(other)
    await world.forget()
    const said = await box.exec(['sudo', '-n', 'python3', '-c', SPOOF, theirs!, PUBLIC.example.v4])
    expect(said.stdout.trim()).toMatch(/^(EPERM|EADDRNOTAVAIL|EACCES)$/)
    expect(await world.seen()).toEqual([])
  })

  test(`${MANY} at once: each reaches the internet, none another, and none leaves anything`, async ({
    world,
    server,
  }) => {
    const client = server.client()
    const boxes = await Promise.all(
      Array.from({ length: MANY }, () =>
        Sandbox.create({ client, network: true, resources: { memory: '64Mi' } }),
      ),
    )
    try {
      const addresses = (await Promise.all(boxes.map(addressesOf))).flat()
      expect(new Set(addresses).size).toBe(2 * MANY)
      expect((await plugged(world, server)).length).toBeGreaterThanOrEqual(MANY)
      for (const box of boxes.slice(0, 10)) {
        const others = addresses.filter((address) => !box.id.includes(address))
        const mine = await addressesOf(box)
        const code = `import errno, socket, sys
def go(a, port):
  s = socket.socket(socket.AF_INET6 if ':' in a else socket.AF_INET); s.settimeout(3)
  try: s.connect((a, port)); return 'ok'
  except OSError as e: return errno.errorcode.get(e.errno, 'timeout')
print(go('${PUBLIC.example.v4}', 80), *sorted({go(a, 22) for a in sys.argv[1:]}))`
        const { stdout } = await box.exec(['python3', '-c', code, ...others.filter((a) => !mine.includes(a))])
        expect(stdout.trim()).toMatch(/^ok (ECONNREFUSED ?|EHOSTUNREACH ?|EACCES ?)+$/)
      }
    } finally {
      await Promise.all(boxes.map((box) => box.delete()))
    }
    expect(await plugged(world, server)).toEqual([])
  })
})

/** Sends a datagram from an address that is not its own, which needs a right that it should not have. */
const SPOOF = `import errno, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
  s.setsockopt(socket.IPPROTO_IP, 19, 1)
  s.bind((sys.argv[1], 5555)); s.sendto(b'spoof', (sys.argv[2], 9000)); print('sent')
except OSError as e: print(errno.errorcode[e.errno])`
