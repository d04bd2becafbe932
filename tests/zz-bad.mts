import { TestServer } from './test-server.ts'
import { smallDisk } from './limits/host.ts'
import { writeFile } from 'node:fs/promises'
import { Sandbox } from 'caisson'
const server = await TestServer.start({ started: false })
const disk = await smallDisk(server.dataDir, '8m')
try {
await server.up()
const client = server.client()
const box = (await Sandbox.create({ client, name: 'early' })).keep()
const execution = await box.start(['sh', '-c', 'cat; exit 9'], { stdin: true })
for (const bytes of [2**20, 4096, 1]) for (let n=0;n<1e5;n++) { if (await writeFile(server.dataDir + '/filler', Buffer.alloc(bytes), { flag: 'a' }).then(() => false, () => true)) break }
for (let i = 0; i < 5; i++) console.log(await Sandbox.create({ client }).then(b => b.id, (e) => [e.code, e.message]))
await new Promise(r => setTimeout(r, 500))
console.log(await box.exec(['echo','hi']).then((r) => r.stdout, (e) => [e.code, e.message]))
await execution.stdin.end().catch(console.log)
console.log(await execution.wait().then((r) => r.ending, (e) => [e.code, e.message]))
} catch (e) { console.log('E', e) }
console.log(server.log().slice(-9000))
try { await server[Symbol.asyncDispose]() } catch (e) { console.log(String(e)) }
await disk[Symbol.asyncDispose]()
