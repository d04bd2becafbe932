/** Runs inside a network namespace: passes what comes to a unix socket on to a port of the namespace's loopback. */
import { connect, createServer } from 'node:net'

const [socket, port] = process.argv.slice(2)

createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
  const far = connect({ host: '127.0.0.1', port: Number(port), allowHalfOpen: true, noDelay: true })
  // Whichever end breaks, the other one must see a break and no orderly end.
  near.on('error', () => far.resetAndDestroy())
  far.on('error', () => near.destroy())
  near.pipe(far)
  far.pipe(near)
}).listen(socket, () => process.send?.('ready'))
