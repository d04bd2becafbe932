/** The code interpreter beyond its client: who is let in, what is told while nothing happens, pauses, snapshots. */
import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { Sandbox } from '@e2b/code-interpreter'
import { expect } from 'vitest'
import type { E2b } from './fixture.ts'
import { describeInterpreter, test } from './interpreter-world.ts'

/** Headers that lead to the interpreter of a sandbox, without what lets in. */
function toward(sandbox: Sandbox): Record<string, string> {
  return { 'E2b-Sandbox-Id': sandbox.sandboxId, 'E2b-Sandbox-Port': '49999' }
}

const tokenOf = (sandbox: Sandbox) =>
  (sandbox as unknown as { trafficAccessToken: string }).trafficAccessToken

function ask(e2b: E2b, headers: Record<string, string>, method: string, path: string, body?: unknown) {
  return fetch(`${e2b.url}${path}`, {
    method,
    headers,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}

describeInterpreter('the door', () => {
  const REQUESTS: [string, string, unknown?][] = [
    ['POST', '/execute', { code: '1' }],
    ['POST', '/contexts', {}],
    ['GET', '/contexts'],
    ['GET', '/health'],
  ]

  test('is shut without the token of this sandbox', async ({ e2b, sandbox }) => {
    await using other = await closing(Sandbox.create(e2b.options))
    for (const [method, path, body] of REQUESTS) {
      expect((await ask(e2b, toward(sandbox), method, path, body)).status, path).toBe(403)
      for (const name of ['E2B-Traffic-Access-Token', 'X-Access-Token']) {
        const foreign = { ...toward(sandbox), [name]: tokenOf(other.sandbox) }
        expect((await ask(e2b, foreign, method, path, body)).status, path).toBe(403)
      }
    }
    expect(await sandbox.listCodeContexts()).toHaveLength(1)
  })

  test('is open with it, also for what is no request', async ({ e2b, sandbox }) => {
    const headers = { ...toward(sandbox), 'E2B-Traffic-Access-Token': tokenOf(sandbox) }
    expect((await ask(e2b, headers, 'GET', '/health')).status).toBe(200)
    for (const [body, reason] of [
      [[], 'The body is not an object'],
      [{}, 'code is missing'],
      [{ code: 1 }, 'code is not a string'],
      [{ code: '', env_vars: { 'A-B': 'x' } }, 'env_vars: A-B is not a variable with a text'],
      [
        { code: '', language: 'python', context_id: 'x' },
        'Only one of context_id or language can be provided',
      ],
    ] as const) {
      const answer = await ask(e2b, headers, 'POST', '/execute', body)
      expect([answer.status, await answer.text()]).toEqual([400, reason])
    }
    expect((await ask(e2b, headers, 'GET', '/nothing')).status).toBe(404)
  })
})

describeInterpreter('an answer', () => {
  test('says every now and then that the run goes on', async ({ e2b, sandbox }) => {
    const headers = { ...toward(sandbox), 'E2B-Traffic-Access-Token': tokenOf(sandbox) }
    const code = 'import os, time\nwhile not os.path.exists("/tmp/enough"): time.sleep(0.05)'
    const answer = await ask(e2b, headers, 'POST', '/execute', { code })
    const types: string[] = []
    for await (const line of lines(answer.body!)) {
      types.push(line.type)
      if (line.type === 'keepalive') await sandbox.files.write('/tmp/enough', '')
    }
    expect(types.slice(0, 2)).toEqual(['number_of_executions', 'keepalive'])
    expect(types.at(-1)).toBe('end_of_execution')
  })

  test.for([
    ['python', 'for i in range(1000): print(f"{i:07d}" * 15000)'],
    ['javascript', 'for (let i = 0; i < 1000; i++) console.log(String(i).padStart(7, "0").repeat(15000))'],
    ['bash', 'for i in $(seq 0 999); do head -c 105000 /dev/zero | tr "\\0" x; echo; done'],
  ])(
    'that is not read makes the program wait, and nothing of it is lost: %s',
    async ([language, code], { e2b, sandbox }) => {
      const headers = {
        ...toward(sandbox),
        'X-Access-Token': tokenOf(sandbox),
        'E2B-Traffic-Access-Token': tokenOf(sandbox),
      }
      // What a context takes is there before.
      await sandbox.runCode('', { language: language! })
      const { response, socket } = await slowly(`${e2b.url}/execute`, headers, { code, language })
      const used = "ps -eo rss= | awk '{ sum += $1 } END { print sum * 1024 }'"
      const memory = async () => Number((await sandbox.commands.run(used)).stdout)
      const before = await memory()
      await new Promise((resolve) => setTimeout(resolve, 2000))
      // 105 MB are written, and most of them are nowhere.
      expect((await memory()) - before).toBeLessThan(60_000_000)
      const hash = createHash('sha256')
      let length = 0
      for await (const line of lines(response)) {
        if (line.type !== 'stdout') continue
        hash.update(line.text)
        length += line.text.length
      }
      expect(length).toBe(1000 * 105_001)
      const row = (i: number) =>
        language === 'bash' ? 'x'.repeat(105_000) : `${i}`.padStart(7, '0').repeat(15_000)
      const expected = createHash('sha256')
      for (let i = 0; i < 1000; i++) expected.update(`${row(i)}\n`)
      expect(hash.digest('hex')).toBe(expected.digest('hex'))
      socket.destroy()
    },
  )
})

describeInterpreter('a sandbox', () => {
  test('that was paused goes on where its contexts were', async ({ e2b }) => {
    await using opened = await closing(Sandbox.create(e2b.options))
    const { sandbox } = opened
    const languages = { python: 'kept = 1', javascript: 'var kept = 1', bash: 'kept=1' }
    for (const [language, code] of Object.entries(languages)) await sandbox.runCode(code, { language })
    await sandbox.pause()
    const again = await Sandbox.connect(sandbox.sandboxId, e2b.options)
    expect((await again.runCode('kept')).text).toBe('1')
    expect((await again.runCode('kept', { language: 'javascript' })).text).toBe('1')
    expect((await again.runCode('echo $kept', { language: 'bash' })).logs.stdout).toEqual(['1\n'])
  })

  test('that was paused without its memory begins its contexts anew', async ({ e2b }) => {
    await using opened = await closing(Sandbox.create(e2b.options))
    await opened.sandbox.runCode('open("kept.py", "w").write("value = 4"); gone = 1')
    await opened.sandbox.pause({ keepMemory: false })
    const again = await Sandbox.connect(opened.sandbox.sandboxId, e2b.options)
    expect((await again.runCode('import kept; kept.value')).text).toBe('4')
    expect((await again.runCode('gone')).error!.name).toBe('NameError')
  })

  test('of a snapshot of another has the program, and the files', async ({ e2b, sandbox }) => {
    await sandbox.files.write('/home/user/kept.py', 'value = 3')
    const { snapshotId } = await sandbox.createSnapshot()
    await using made = await closing(Sandbox.create(snapshotId, e2b.options))
    expect((await made.sandbox.runCode('import kept; kept.value')).text).toBe('3')
  })
})

async function closing(making: Promise<Sandbox>): Promise<AsyncDisposable & { sandbox: Sandbox }> {
  const sandbox = await making
  return { sandbox, [Symbol.asyncDispose]: async () => void (await sandbox.kill()) }
}

/** A request whose answer is not read until somebody does. */
function slowly(url: string, headers: Record<string, string>, body: unknown) {
  return new Promise<{ response: AsyncIterable<Uint8Array>; socket: { destroy(): void } }>(
    (resolve, reject) => {
      const asking = request(url, { method: 'POST', headers }, (response) =>
        resolve({ response, socket: response.socket }),
      )
      asking.once('error', reject)
      asking.end(JSON.stringify(body))
    },
  )
}

async function* lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<{ type: string; text: string }> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const data of body) {
    const parts = (rest + decoder.decode(data, { stream: true })).split('\n')
    rest = parts.pop()!
    for (const part of parts) yield JSON.parse(part)
  }
}
