/**
 * A registry of npm packages and a forward proxy, in a process of its own so that it can be in a network namespace:
 * `registry.ts DIRECTORY PORT PROXY_PORT`. DIRECTORY has `<name>.json` and tarballs. Ends on `GET /quit`.
 */
import { createReadStream, existsSync } from 'node:fs'
import { request as ask, createServer } from 'node:http'
import { join } from 'node:path'

const [directory = '', port = '', proxyPort = ''] = process.argv.slice(2)
const seen: string[] = []

const registry = createServer((request, response) => {
  const path = decodeURIComponent(request.url ?? '/')
  if (path === '/quit') return void response.end('', () => process.exit(0))
  if (path === '/seen') return void response.end(JSON.stringify(seen))
  if (path === '/forget') return void response.end('', () => seen.splice(0))
  seen.push(path)
  const file = join(directory, path.endsWith('.tgz') ? path.replace(/^.*\//, '') : `${path.slice(1)}.json`)
  if (!existsSync(file)) return void response.writeHead(404).end('{"error":"Not found"}')
  createReadStream(file).pipe(response)
})

const proxy = createServer((incoming, outgoing) => {
  const { pathname, host } = new URL(incoming.url ?? '', 'http://none')
  seen.push(`proxy ${host}${pathname}`)
  const onward = ask(
    { host: '127.0.0.1', port, path: pathname, method: incoming.method ?? 'GET' },
    (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    },
  )
  incoming.pipe(onward)
})

registry.listen(Number(port))
proxy.listen(Number(proxyPort))
