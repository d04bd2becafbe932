/** A network with rules: what is allowed, what is refused and why, and a change while it runs. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Sandbox } from 'caisson'

await using sandbox = await Sandbox.create({ network: { allow: ['1.1.1.1', '*.example.com'] } })

for (const destination of ['1.1.1.1:443', '8.8.8.8:22', '10.0.0.1:22', 'example.com']) {
  const { verdict, rule } = await sandbox.network.explain(destination)
  console.log(`${destination} is ${verdict}: ${rule}`)
}

// A refused connection fails at once, and the log says why in words that a model can act on.
const connect = 'import socket; socket.create_connection(("8.8.8.8", 22), 60)'
const { stderr } = await sandbox.python(connect)
console.log(stderr.trim().split('\n').at(-1))
let [entry] = await sandbox.network.log({ reverse: true, limit: 1 })
while (!entry) {
  await sleep(50)
  ;[entry] = await sandbox.network.log({ reverse: true, limit: 1 })
}
console.log(entry.protocol, entry.address, entry.port, entry.rule)

// New rules replace the old ones at once, for connections that are open as well.
const { network } = await sandbox.network.set(false)
console.log('the network is', network.mode)
