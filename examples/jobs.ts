/** A job goes on by itself: start it, follow it, come back to it, stop it. */
import { Sandbox } from 'caisson'

await using sandbox = await Sandbox.create()

const job = await sandbox.jobs.start('for i in 1 2 3; do echo step $i; sleep 0.1; done', { tag: 'build' })
for await (const text of job.logs({ follow: true })) process.stdout.write(text)
await job.wait()
console.log('the job has', (await sandbox.jobs.get(job.id)).status)

const server = await sandbox.jobs.start(['sleep', '3600'])
await server.stop()
console.log('the server was', (await sandbox.jobs.get(server.id)).status)
for (const { type, payload } of await sandbox.events({ type: 'job:ended' })) console.log(type, payload.status)
