import type { Duplex } from 'node:stream'
import { SandboxError } from '@caisson/protocol/errors'
import type { ServerChannel } from 'ssh2'
import { noting } from '../sandboxes/pausing/noted.ts'
import { ChannelWriter } from './channel-writer.ts'
import type { SshConnection } from './connection.ts'
import { endOutput, takesPackets } from './ssh2-internals.ts'

export interface ForwardRequest {
  accept: () => ServerChannel
  reject: () => void
  destIP: string
  destPort: number
}

const LOOPBACK: readonly string[] = ['localhost', '127.0.0.1', '::1']

/** A connection of `ssh -L`: to a port of the sandbox's own loopback, and nowhere else. */
export function serveForward(connection: SshConnection, request: ForwardRequest): void {
  const { destIP, destPort } = request
  if (!LOOPBACK.includes(destIP) && destIP !== connection.sandbox) {
    connection.refuse(request.reject, {
      reason: 1,
      description: "only the sandbox's own loopback can be reached; write -L port:localhost:port",
    })
    return
  }
  const closed = forward(connection, request).catch((err) =>
    connection.log.debug({ err, port: destPort }, 'a forwarded connection failed'),
  )
  connection.counts(request, closed)
}

async function forward(connection: SshConnection, request: ForwardRequest): Promise<void> {
  const { gone, useCases, sandbox } = connection
  let stream: Duplex
  try {
    const dial = () => useCases.dial(sandbox, request.destPort, gone)
    stream = await noting({ resumed: false, by: 'ssh' }, dial)
  } catch (error) {
    if (gone.aborted) return
    const description = error instanceof SandboxError ? error.message : 'the server failed'
    return connection.refuse(request.reject, { reason: 2, description })
  }
  const onGone = () => stream.destroy()
  gone.addEventListener('abort', onGone)
  try {
    if (gone.aborted) return
    await splice(connection, request.accept(), stream)
  } finally {
    gone.removeEventListener('abort', onGone)
    stream.destroy()
  }
}

/** Passes bytes both ways until both sides have ended, each of which may end first. */
async function splice(connection: SshConnection, channel: ServerChannel, stream: Duplex): Promise<void> {
  channel.on('error', () => stream.destroy())
  stream.on('error', () => channel.close())
  try {
    if (!takesPackets(channel)) return
    connection.watches(channel, new Promise((resolve) => channel.once('close', resolve)))
    const received = new Promise<void>((resolve) => {
      stream.once('finish', resolve)
      stream.once('close', resolve)
    })
    channel.pipe(stream)
    const writer = new ChannelWriter(channel, connection, connection.gone)
    for await (const data of stream.iterator({ destroyOnReturn: false })) await writer.write('stdout', data)
    endOutput(channel)
    await received
  } finally {
    channel.close()
    channel.resume()
  }
}
