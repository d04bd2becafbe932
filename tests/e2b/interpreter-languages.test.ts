/** JavaScript, TypeScript and Bash by the real `@e2b/code-interpreter`. */
import type { Sandbox } from '@e2b/code-interpreter'
import { expect } from 'vitest'
import { describeInterpreter, test } from './interpreter-world.ts'

const running = (language: string) => {
  const run = (sandbox: Sandbox, code: string, timeoutMs?: number) =>
    sandbox.runCode(code, { language, ...(timeoutMs && { timeoutMs }) })
  return Object.assign(run, {
    text: async (sandbox: Sandbox, code: string) => {
      const { text, error } = await run(sandbox, code)
      if (error) throw new Error(error.traceback)
      return text
    },
  })
}

describeInterpreter('JavaScript', () => {
  const run = running('javascript')

  test('keeps its state, and lets names be declared again', async ({ sandbox }) => {
    expect(
      await run.text(sandbox, 'const a = 1; let b = 2; function f() { return a }; class K { x = 3 }; a + b'),
    ).toBe('3')
    expect(await run.text(sandbox, 'const a = 5; [f(), new K().x, b]')).toBe('[ 5, 3, 2 ]')
    expect(await run.text(sandbox, '"text"')).toBe('text')
    expect(await run.text(sandbox, 'undefined')).toBeUndefined()
    expect((await run(sandbox, 'a')).executionCount).toBeGreaterThan(4)
  })

  test('waits at the top, and what is declared there stays', async ({ sandbox }) => {
    const code = `const { one, list: [, ...rest] } = await Promise.resolve({ one: 1, list: [2, 3, 4] })
function helper() { return one }
let empty
const slow = await new Promise((resolve) => setTimeout(() => resolve('slow'), 20)), more = 7
slow`
    expect(await run.text(sandbox, code)).toBe('slow')
    expect(await run.text(sandbox, '[one, rest, helper(), empty, slow, more]')).toBe(
      "[ 1, [ 3, 4 ], 1, undefined, 'slow', 7 ]",
    )
    expect(await run.text(sandbox, '(await 3, { x: await 4 })')).toBe('{ x: 4 }')
    expect((await run(sandbox, 'await Promise.reject(new RangeError("far"))')).error).toMatchObject({
      name: 'RangeError',
      value: 'far',
      traceback: expect.stringMatching(/^RangeError: far\n {4}at cell-\d+\.js:1/),
    })
  })

  test('imports modules and files of the working directory', async ({ sandbox }) => {
    await sandbox.files.write('/home/user/mine.mjs', 'export const mine = 1; export default 2')
    await sandbox.files.write('/home/user/mine.json', '{"n": 3}')
    const code = `import fs, { existsSync as exists } from 'node:fs'
import * as path from 'node:path'
import two, { mine } from './mine.mjs'
import data from './mine.json' with { type: 'json' }
export const all = [exists('/'), typeof fs.readFileSync, path.sep, mine, two, data.n, (await import('./mine.mjs')).mine]
all`
    expect(await run.text(sandbox, code)).toBe("[ true, 'function', '/', 1, 2, 3, 1 ]")
    expect(await run.text(sandbox, 'require("./mine.json").n + mine')).toBe('4')
    expect((await run(sandbox, 'import "./absent.mjs"')).error!.value).toContain('absent.mjs')
  })

  test('has what is written, also by its children, in their order and whole', async ({ sandbox }) => {
    const { logs } = await run(
      sandbox,
      'console.log("out"); console.error("err"); require("node:child_process").execSync("echo child", { stdio: "inherit" })',
    )
    expect(logs).toEqual({ stdout: expect.any(Array), stderr: ['err\n'] })
    expect(logs.stdout.join('')).toBe('out\nchild\n')
    const long = await run(sandbox, 'console.log("x".repeat(10_000_000))')
    expect(long.logs.stdout.join('')).toBe(`${'x'.repeat(10_000_000)}\n`)
  })

  test('shows what objects show of themselves', async ({ sandbox }) => {
    const code =
      '({ [Symbol.for("Jupyter.display")]: async () => ({ "text/html": "<b>h</b>", "text/plain": "h" }) })'
    const { results } = await run(sandbox, code)
    expect(results[0]).toMatchObject({ html: '<b>h</b>', text: 'h', isMainResult: true })
  })

  test('tells errors, and goes on after those that nobody caught', async ({ sandbox }) => {
    const thrown = (await run(sandbox, 'function deep() { throw new TypeError("bad") }\ndeep()')).error!
    expect(thrown).toMatchObject({ name: 'TypeError', value: 'bad' })
    expect(thrown.traceback).toMatch(/at deep \(cell-\d+\.js:1:\d+\)/)
    expect(thrown.traceback).not.toMatch(/node:|code-interpreter/)
    expect((await run(sandbox, 'throw { a: 1 }')).error).toMatchObject({ name: 'Error', value: '{ a: 1 }' })
    expect((await run(sandbox, 'let let = 1')).error!.name).toBe('SyntaxError')
    const later = await run(
      sandbox,
      'Promise.reject(new Error("unheard")); await new Promise((r) => setTimeout(r, 20))',
    )
    expect(later.logs.stderr.join('')).toContain('unheard')
    expect(await run.text(sandbox, '"alive"')).toBe('alive')
  })

  test.for([
    'while (true) {}',
    'await new Promise((resolve) => setTimeout(resolve, 5)); while (true) {}',
    'setTimeout(() => { while (true) {} }, 5); await new Promise(() => {})',
    'await new Promise(() => {})',
    'require("node:child_process").execSync("sleep 300")',
  ])('is interrupted and keeps its state: %s', async (code, { sandbox }) => {
    await run(sandbox, 'var kept = 1')
    await expect(run(sandbox, code, 700)).rejects.toThrow(/timed out/i)
    expect(await run.text(sandbox, 'kept')).toBe('1')
  })

  test('tells that its process has ended, and begins a new one', async ({ sandbox }) => {
    const { error, logs } = await run(sandbox, 'console.log("last"); process.exit(4)')
    expect(error).toMatchObject({ name: 'KernelDied', value: expect.stringContaining('exit code 4') })
    expect(logs.stdout).toEqual(['last\n'])
    expect(await run.text(sandbox, 'typeof kept')).toBe('undefined')
  })
})

describeInterpreter('TypeScript', () => {
  test('has types, enumerations and a state of its own', async ({ sandbox }) => {
    const run = running('typescript')
    const code = `import type { Stats } from 'node:fs'
enum Level { Low = 3 }
interface Box<T> { value: T }
const box: Box<Level> = { value: await Promise.resolve(Level.Low) }
box.value satisfies number`
    expect(await run.text(sandbox, code)).toBe('3')
    expect(await run.text(sandbox, '(box as any).value! + Level.Low')).toBe('6')
    expect((await run(sandbox, 'const broken: = 1')).error!.name).toBe('SyntaxError')
    expect((await running('javascript')(sandbox, 'box')).error!.name).toBe('ReferenceError')
    const context = await sandbox.createCodeContext({ language: 'ts', cwd: '/tmp' })
    expect(context).toMatchObject({ language: 'typescript', cwd: '/tmp' })
    expect((await sandbox.runCode('process.cwd()', { context })).text).toBe('/tmp')
    await sandbox.removeCodeContext(context)
  })
})

describeInterpreter('Bash', () => {
  const run = running('bash')

  test('keeps directory, variables and functions', async ({ sandbox }) => {
    await run(sandbox, 'cd /tmp; x=5; declare -A map=([k]=v); f() { echo "f$1"; }; alias greet="echo hello"')
    const { logs } = await run(sandbox, `pwd; echo $x \${map[k]}; f 3\ngreet`)
    // In as many pieces as it was read in.
    expect(logs.stdout.join('')).toBe('/tmp\n5 v\nf3\nhello\n')
    expect(logs.stderr).toEqual([])
  })

  test('tells exit codes as errors, and lets nothing read what is to be run', async ({ sandbox }) => {
    const { error, logs } = await run(sandbox, 'echo out; echo err >&2; cat; (exit 3)')
    expect(error).toMatchObject({ name: 'ExitCode', value: '3' })
    expect(logs).toEqual({ stdout: ['out\n'], stderr: ['err\n'] })
    expect((await run(sandbox, 'if [')).logs.stderr.join('')).toContain('syntax error')
    expect((await run(sandbox, 'true')).error).toBeUndefined()
    const long = await run(sandbox, 'head -c 10000000 /dev/zero | tr "\\0" x')
    expect(long.logs.stdout.join('')).toBe('x'.repeat(10_000_000))
  })

  test.for(['sleep 300', 'while true; do :; done', 'while true; do sleep 0.1; done; echo after'])(
    'is interrupted and keeps its state: %s',
    async (code, { sandbox }) => {
      await run(sandbox, 'kept=here')
      await expect(run(sandbox, code, 700)).rejects.toThrow(/timed out/i)
      expect((await run(sandbox, 'echo $kept')).logs).toEqual({ stdout: ['here\n'], stderr: [] })
    },
  )

  test('tells that the shell has ended, and begins a new one', async ({ sandbox }) => {
    expect((await run(sandbox, 'exit 7')).error).toMatchObject({
      name: 'KernelDied',
      value: expect.stringContaining('exit code 7'),
    })
    expect((await run(sandbox, 'echo "[$kept]"')).logs.stdout).toEqual(['[]\n'])
  })
})
