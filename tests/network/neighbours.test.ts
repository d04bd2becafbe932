/** SECURITY D 27: networked sandboxes reach one another by no address, in no direction, in no protocol. */
import { Sandbox } from 'caisson'
import { describe, expect } from 'vitest'
import { attempt, cannotNetwork, inside, PUBLIC, test } from './fixture.ts'
import { plugged } from './host.ts'

const MANY = 50

/** Listens on TCP and UDP port 7003 of every address, and prints what came, until it is told to stop. */
const LISTEN = `import os, selectors, socket
t = socket.create_server(('::', 7003), family=socket.AF_INET6, dualstack_ipv6=True)
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.bind(('::', 7003))
ready = selectors.DefaultSelector()
for s in (t, u): ready.register(s, selectors.EVENT_READ)
print('ready', flush=True)
while not os.path.exists('/tmp/stop'):
  for key, _ in ready.select(0.05):
    print('heard', u.recvfrom(100) if key.fileobj is u else t.accept()[1], flush=True)`

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
    await other.files.write('/tmp/stop', '')
    const { stdout } = await (await other.attach(listener.id)).wait()
    const heard = stdout.match(/heard.*/g) ?? []
    expect(heard.filter((line) => !addresses.some((address) => line.includes(address)))).toEqual([])
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
      for (const box of boxes) await box.start(['python3', '-u', '-c', LISTEN])
      for (const box of boxes.slice(0, 10)) {
        const mine = await addressesOf(box)
        const others = addresses.filter((address) => !mine.includes(address))
        const code = `import errno, socket, sys
def go(a, port):
  s = socket.socket(socket.AF_INET6 if ':' in a else socket.AF_INET); s.settimeout(3)
  try: s.connect((a, port)); return 'ok'
  except OSError as e: return errno.errorcode.get(e.errno, 'timeout')
while go('::1', 7003) != 'ok': pass
print(go('${PUBLIC.example.v4}', 80), *sorted({go(a, 7003) for a in sys.argv[1:]}))`
        const { stdout } = await box.exec(['python3', '-c', code, ...others])
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
