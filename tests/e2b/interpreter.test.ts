/** Python by the real `@e2b/code-interpreter`: output, results, errors, contexts, interrupts. */
import { type OutputMessage, type Result, Sandbox } from '@e2b/code-interpreter'
import { expect } from 'vitest'
import { describeInterpreter, test } from './interpreter-world.ts'

describeInterpreter('runs', () => {
  test('keep their state, and tell the value of the last expression', async ({ sandbox }) => {
    expect((await sandbox.runCode('number = 41')).results).toEqual([])
    const execution = await sandbox.runCode('number + 1')
    expect(execution.text).toBe('42')
    expect(execution.results[0]!.isMainResult).toBe(true)
    expect(execution.error).toBeUndefined()
    expect(execution.executionCount).toBeGreaterThan(1)
    expect((await sandbox.runCode("'it''s text'")).text).toBe('its text')
    expect((await sandbox.runCode('')).executionCount).toBeTypeOf('number')
  })

  test('stream what they write while they run', async ({ sandbox }) => {
    const heard: OutputMessage[] = []
    let wereRunning = false
    const running = sandbox.runCode(
      'import sys, time\nprint("first", flush=True)\nprint("bad", file=sys.stderr, flush=True)\nwhile not __import__("os").path.exists("/tmp/go"): time.sleep(0.01)\nprint("é€😀")',
      {
        onStdout: async (message) => {
          heard.push(message)
          if (message.line !== 'first\n') return
          wereRunning = true
          await sandbox.files.write('/tmp/go', '')
        },
        onStderr: (message) => void heard.push(message),
      },
    )
    const { logs } = await running
    expect(wereRunning).toBe(true)
    expect(logs).toEqual({ stdout: ['first\n', 'é€😀\n'], stderr: ['bad\n'] })
    expect(heard.map(({ error, line }) => [error, line])).toEqual(
      expect.arrayContaining([
        [false, 'first\n'],
        [true, 'bad\n'],
        [false, 'é€😀\n'],
      ]),
    )
  })

  test('have what programs write that they start, and lines of ten megabytes', async ({ sandbox }) => {
    const { logs } = await sandbox.runCode(
      'import subprocess\n_ = subprocess.run("echo out; echo err >&2", shell=True)',
    )
    expect(logs).toEqual({ stdout: ['out\n'], stderr: ['err\n'] })
    const long = await sandbox.runCode('print("x" * 10_000_000)')
    expect(long.logs.stdout.join('')).toBe(`${'x'.repeat(10_000_000)}\n`)
  })

  test('fail with name, value and traceback, and say what was written before', async ({ sandbox }) => {
    const errors: string[] = []
    const execution = await sandbox.runCode('print("before")\n1 / 0', {
      onError: ({ name }) => void errors.push(name),
    })
    expect(execution.error).toMatchObject({ name: 'ZeroDivisionError', value: 'division by zero' })
    expect(execution.error!.traceback).toMatch(/line 2[\s\S]*1 \/ 0/)
    expect(execution.logs.stdout).toEqual(['before\n'])
    expect(errors).toEqual(['ZeroDivisionError'])
    expect((await sandbox.runCode('print(')).error!.name).toBe('SyntaxError')
    expect((await sandbox.runCode('input()')).error!.name).toBe('StdinNotImplementedError')
  })

  test('have variables of their own, and those of the sandbox', async ({ e2b }) => {
    const sandbox = await Sandbox.create({ ...e2b.options, envs: { GLOBAL: 'of the sandbox' } })
    try {
      const look = 'import os\nos.environ.get("GLOBAL"), os.environ.get("OWN")'
      expect((await sandbox.runCode(look)).text).toBe("('of the sandbox', None)")
      const envs = { GLOBAL: 'other', OWN: "o'w\nn" }
      expect((await sandbox.runCode(look, { envs })).text).toBe(`('other', "o'w\\nn")`)
      expect((await sandbox.runCode(look)).text).toBe("('of the sandbox', None)")
      for (const language of ['javascript', 'bash'] as const) {
        const code =
          language === 'bash'
            ? 'printf %s "$GLOBAL,$OWN"'
            : 'process.stdout.write([process.env.GLOBAL, process.env.OWN].join()); undefined'
        expect((await sandbox.runCode(code, { language })).logs.stdout).toEqual(['of the sandbox,'])
        expect((await sandbox.runCode(code, { language, envs })).logs.stdout.join('')).toBe("other,o'w\nn")
        expect((await sandbox.runCode(code, { language })).logs.stdout).toEqual(['of the sandbox,'])
      }
    } finally {
      await sandbox.kill()
    }
  })

  test('are at the home of the user, and see what is written there', async ({ sandbox }) => {
    await sandbox.files.write('/home/user/module_of_mine.py', 'value = 7')
    expect((await sandbox.runCode('import os, module_of_mine\nos.getcwd(), module_of_mine.value')).text).toBe(
      "('/home/user', 7)",
    )
    expect((await sandbox.runCode('import getpass; getpass.getuser()')).text).toBe('user')
    expect((await sandbox.commands.run('pwd; id -un')).stdout).toBe('/home/user\nuser\n')
  })
})

describeInterpreter('results', () => {
  test('have all their representations', async ({ sandbox }) => {
    const results: Result[] = []
    const code = `
from IPython.display import HTML, JSON, Javascript, Latex, Markdown, SVG, Image, display
for shown in (HTML("<b>h</b>"), JSON({"a": 1}), Javascript("1"), Latex("$x$"), Markdown("*m*")):
    display(shown)
display(SVG('<svg xmlns="http://www.w3.org/2000/svg"></svg>'))
display({"application/x-own": {"a": 1}}, raw=True)
Image(b"\\xff\\xd8\\xff", format="jpeg")`
    const execution = await sandbox.runCode(code, { onResult: (result) => void results.push(result) })
    expect(execution.results.map((result) => result.formats())).toEqual([
      ['html'],
      ['json'],
      ['javascript'],
      ['latex'],
      ['markdown'],
      ['svg'],
      ['application/x-own'],
      ['jpeg'],
    ])
    expect(results).toEqual(execution.results)
    const [html, json, , latex, markdown, svg, own, jpeg] = execution.results
    expect(html).toMatchObject({ html: '<b>h</b>', isMainResult: false })
    expect(json!.json).toEqual({ a: 1 })
    expect([latex!.latex, markdown!.markdown]).toEqual(['$x$', '*m*'])
    expect(svg!.svg).toContain('<svg')
    expect(own!.extra).toEqual({ 'application/x-own': { a: 1 } })
    expect(jpeg).toMatchObject({ isMainResult: true })
    expect(Buffer.from(jpeg!.jpeg!, 'base64')).toEqual(Buffer.from([0xff, 0xd8, 0xff]))
  })

  test('of tables have their data', async ({ sandbox }) => {
    const { results } = await sandbox.runCode(`
import pandas as pd
pd.DataFrame({"n": [1, 2.5, None], "text": ["a", None, "c"], "at": pd.to_datetime(["2024-01-02", None, "2024-01-03"])})`)
    expect(results[0]!.formats()).toEqual(['html', 'data'])
    expect(results[0]!.data).toEqual({
      n: [1, 2.5, null],
      text: ['a', null, 'c'],
      at: ['2024-01-02T00:00:00', null, '2024-01-03T00:00:00'],
    })
    const large = await sandbox.runCode('pd.DataFrame({"n": range(300_000)})')
    expect(large.results[0]!.data).toBeUndefined()
    expect(large.results[0]!.html).toContain('300000 rows')
  })
})

describeInterpreter('contexts', () => {
  test('are made, listed, used, begun anew and removed', async ({ sandbox }) => {
    const context = await sandbox.createCodeContext({ cwd: '/tmp' })
    expect(context).toMatchObject({ id: expect.any(String), language: 'python', cwd: '/tmp' })
    expect(await sandbox.listCodeContexts()).toContainEqual(context)
    await sandbox.runCode('own = 1', { context })
    expect((await sandbox.runCode('import os; os.getcwd(), own', { context })).text).toBe("('/tmp', 1)")
    expect((await sandbox.runCode('own')).error!.name).toBe('NameError')
    await sandbox.restartCodeContext(context)
    expect((await sandbox.runCode('own', { context })).error!.name).toBe('NameError')
    expect((await sandbox.runCode('1', { context })).text).toBe('1')
    await sandbox.removeCodeContext(context.id)
    expect(await sandbox.listCodeContexts()).not.toContainEqual(context)
    await expect(sandbox.runCode('1', { context })).rejects.toThrow(context.id)
    await expect(sandbox.removeCodeContext(context)).rejects.toThrow('not found')
    await expect(sandbox.restartCodeContext('nope')).rejects.toThrow('nope')
  })

  test('run beside each other', async ({ sandbox }) => {
    const contexts = await Promise.all([1, 2].map(() => sandbox.createCodeContext()))
    const wait = (own: string, other: string) =>
      `import os, time\nopen("/tmp/${own}", "w").close()\nwhile not os.path.exists("/tmp/${other}"): time.sleep(0.01)\n"met"`
    const met = await Promise.all([
      sandbox.runCode(wait('one', 'two'), { context: contexts[0]! }),
      sandbox.runCode(wait('two', 'one'), { context: contexts[1]! }),
    ])
    expect(met.map(({ text }) => text)).toEqual(['met', 'met'])
    for (const context of contexts) await sandbox.removeCodeContext(context)
  })

  test('that are restarted or removed under a run end it with an error', async ({ sandbox }) => {
    const context = await sandbox.createCodeContext()
    const begun = Promise.withResolvers<void>()
    const onStdout = () => begun.resolve()
    const running = sandbox.runCode('print("on", flush=True)\nimport time; time.sleep(300)', {
      context,
      onStdout,
    })
    await begun.promise
    await sandbox.restartCodeContext(context)
    expect((await running).error).toMatchObject({ name: 'KernelDied', value: 'The context was restarted.' })
    await sandbox.removeCodeContext(context)
  })

  test('that cannot be are refused with the reason', async ({ sandbox }) => {
    await expect(sandbox.createCodeContext({ cwd: '/nope' })).rejects.toThrow('400')
    await expect(sandbox.createCodeContext({ language: 'java' })).rejects.toThrow('400')
    for (const language of ['r', 'java', 'cobol'])
      expect((await sandbox.runCode('1', { language })).error).toMatchObject({
        name: 'NotSupported',
        value: expect.stringContaining(language),
      })
  })
})

describeInterpreter('a run that does not end', () => {
  const SLEEP = 'print("on", flush=True)\nimport time\nfor _ in range(3000): time.sleep(0.1)'

  test('is interrupted when its client leaves, and the next one is run at once, with the same state', async ({
    sandbox,
  }) => {
    await sandbox.runCode('kept = "still here"')
    await expect(sandbox.runCode(SLEEP, { timeoutMs: 1000 })).rejects.toThrow(/timed out/i)
    expect((await sandbox.runCode('kept')).text).toBe('still here')
  })

  test('and does not listen is ended with its context, and the next run says so', async ({ sandbox }) => {
    const context = await sandbox.createCodeContext()
    const deaf = `import time
while True:
    try: time.sleep(1)
    except KeyboardInterrupt: pass`
    await expect(sandbox.runCode(deaf, { context, timeoutMs: 500 })).rejects.toThrow(/timed out/i)
    const next = await sandbox.runCode('"anew"', { context })
    expect(next.text).toBe('anew')
    expect(next.logs.stderr.join('')).toContain('could not be interrupted')
    await sandbox.removeCodeContext(context)
  })

  test('whose process ends is told, and the next begins a new one', async ({ sandbox }) => {
    const context = await sandbox.createCodeContext()
    const died = await sandbox.runCode('print("last words", flush=True)\nimport os; os._exit(9)', { context })
    expect(died.error).toMatchObject({ name: 'KernelDied', value: expect.stringContaining('exit code 9') })
    expect((await sandbox.runCode('"anew"', { context })).text).toBe('anew')
    await sandbox.removeCodeContext(context)
  })

  test('and whose sandbox is killed meanwhile is told so', async ({ e2b }) => {
    const sandbox = await Sandbox.create({ ...e2b.options })
    const begun = Promise.withResolvers<void>()
    const running = sandbox.runCode(SLEEP, { onStdout: () => begun.resolve() })
    const failed = expect(running).rejects.toThrow(/killed|terminated|closed|other side/)
    await begun.promise
    await sandbox.kill()
    await failed
    expect(await sandbox.isRunning()).toBe(false)
  })
})
