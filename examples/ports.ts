/** A program in the sandbox, reached from outside. It needs no network, and the server a TCP listener. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Sandbox } from 'caisson'

await using sandbox = await Sandbox.create({ ports: [8000], files: { 'index.html': 'hello from inside\n' } })
await sandbox.jobs.start(['python3', '-m', 'http.server', '8000', '--bind', '127.0.0.1'])

// For a browser: the link opens the port and keeps its token as a cookie.
const { url, token } = await sandbox.ports.link(8000, { ttl: '10m' })
if (url?.startsWith(await sandbox.url(8000))) console.log('a link for a browser')

// For a program, where names of the form <port>-<id>.localhost do not resolve: headers name sandbox and port.
const server = await sandbox.client.call('getServer')
const headers = { 'caisson-sandbox-id': sandbox.id, 'caisson-sandbox-port': '8000' }
const get = (more: Record<string, string>) => fetch(`${server.url}/`, { headers: { ...headers, ...more } })

console.log('without a token:', (await get({})).status)
let response = await get({ 'caisson-port-token': token })
while (response.status === 502) {
  await sleep(100) // Python is still starting.
  response = await get({ 'caisson-port-token': token })
}
console.log('with it:', response.status, (await response.text()).trim())

await sandbox.ports.unexpose(8000)
console.log('exposed ports:', (await sandbox.ports.list()).length)
