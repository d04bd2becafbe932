/** The internet of the launcher's network tests: listens, and on each message of its parent sees who still answers. */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

const open = new Set<Socket>()
const server = createServer((socket) => {
  open.add(socket)
  socket.on('error', () => {})
  socket.on('close', () => open.delete(socket))
})
server.listen(7, '::', () => process.send?.('listening'))

async function poke(socket: Socket): Promise<string> {
  const answer = once(socket, 'data', { signal: AbortSignal.timeout(2000) })
  socket.write('p')
  return answer.then(
    () => 'answers',
    () => 'silent',
  )
}

process.on('message', async () => process.send?.(await Promise.all([...open].map(poke))))
