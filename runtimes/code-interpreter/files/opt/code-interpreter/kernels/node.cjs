'use strict'
// Runs in Node: code is evaluated as the console of a debugger does it, where `await` stands at the top and `const` may be
// said again. What it prints goes to stdout and stderr; what is told here comes and goes by a socket.

const { Session } = require('node:inspector')
const { createRequire, stripTypeScriptTypes } = require('node:module')
const { Socket } = require('node:net')
const { inspect } = require('node:util')
const { constants, runInThisContext } = require('node:vm')
const { Worker } = require('node:worker_threads')
const { transform } = require('./transform.cjs')

const [socketFd, switchFd, language] = process.argv.slice(2)
const GROUP = 'run'
const DISPLAY = Symbol.for('Jupyter.display')
const TAKE = 'function (value) { this.__hand(value) }'
const INTERRUPTED = errorLine('Interrupted', 'The run was interrupted.', 'The run was interrupted.')

process.argv.length = 1
process.execArgv.length = 0
process.on('SIGINT', () => {})
process.on('uncaughtException', (error) => console.error(`Uncaught ${thrown(error).traceback}`))
hide('require', createRequire(`${process.cwd()}/`))
hide('__import', importer(process.cwd()))
hide('__wait', wait)
// Who writes faster than is read waits, as elsewhere; and what was written is there before a run is over.
for (const stream of [process.stdout, process.stderr]) stream._handle?.setBlocking?.(true)
new Worker(`${__dirname}/switch.cjs`, { workerData: Number(switchFd), stdout: false }).unref()

const session = new Session()
session.connect()
const socket = new Socket({ fd: Number(socketFd) })
/** The run that is not over. */
let current = null
/** Of these nothing goes on that waits. */
const interrupted = new Set()

let received = ''
socket.setEncoding('utf8')
socket.on('data', (text) => {
  received += text
  for (let end = received.indexOf('\n'); end >= 0; end = received.indexOf('\n')) {
    const message = JSON.parse(received.slice(0, end))
    received = received.slice(end + 1)
    if ('run' in message) begin(message)
    else interrupt(message)
  }
})
socket.on('close', () => process.exit())

function tell(message) {
  socket.write(`${JSON.stringify(message)}\n`)
}

function begin({ run, code, env }) {
  const before = Object.keys(env).map((name) => [name, process.env[name]])
  Object.assign(process.env, env)
  current = { run, before }
  // Not from within the event of the socket: an interrupted loop would take that along.
  setImmediate(() => evaluate(run, code))
}

function interrupt({ interrupt: run }) {
  tell({ answered: run })
  interrupted.add(run)
  end(run, [INTERRUPTED])
}

/** Tells how a run ended, unless that was told. */
function end(run, lines) {
  if (current?.run !== run) return
  for (const [name, value] of current.before)
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  current = null
  tell({ ended: run, lines })
}

/** What stands behind `await`: for ever, when the run in which it began was interrupted. */
async function wait(value) {
  const run = current?.run
  try {
    return await value
  } finally {
    if (interrupted.has(run)) await new Promise(() => {})
  }
}

function evaluate(run, code) {
  let changed
  try {
    changed = transform(language === 'typescript' ? stripTypeScriptTypes(code, { mode: 'transform' }) : code)
  } catch (error) {
    end(run, [thrown(error)])
    return
  }
  const expression = `${changed.code}\n//# sourceURL=cell-${run}.js`
  session.post('Runtime.evaluate', { expression, replMode: true, objectGroup: GROUP }, (refused, answer) => {
    if (refused) end(run, [INTERRUPTED])
    else finish(run, answer, changed.waits)
  })
}

async function finish(run, { result, exceptionDetails }, waits) {
  const value = valueBehind(exceptionDetails?.exception ?? result)
  session.post('Runtime.releaseObjectGroup', { objectGroup: GROUP })
  try {
    if (exceptionDetails) return end(run, [thrown(value)])
    const found = waits ? await value : value
    end(run, found === undefined ? [] : [await shown(found)])
  } catch (error) {
    end(run, [thrown(error)])
  }
}

/** What the debugger speaks of. */
function valueBehind(remote) {
  let found
  hide('__hand', (value) => {
    found = value
  })
  const { objectId, unserializableValue, value } = remote
  const argument = objectId ? { objectId } : unserializableValue ? { unserializableValue } : { value }
  const hand = session.post.bind(session, 'Runtime.callFunctionOn')
  session.post('Runtime.evaluate', { expression: 'globalThis', objectGroup: GROUP }, (_, { result }) => {
    hand({ objectId: result.objectId, functionDeclaration: TAKE, arguments: [argument] })
  })
  delete globalThis.__hand
  return found
}

async function shown(value) {
  const display = value !== null && typeof value === 'object' ? value[DISPLAY] : undefined
  const data = typeof display === 'function' ? await display.call(value) : { 'text/plain': inspect(value) }
  return { display: data }
}

function thrown(error) {
  if (!(error instanceof Error) && typeof error?.stack !== 'string') {
    return errorLine('Error', inspect(error), inspect(error))
  }
  return errorLine(String(error.name), String(error.message), stackOf(error))
}

/** Without the lines that are of this program. */
function stackOf(error) {
  const lines = String(error.stack).split('\n')
  const own = (line) => /^\s+at /.test(line) && (line.includes(__dirname) || line.includes('node:'))
  return lines.filter((line) => !own(line)).join('\n')
}

function errorLine(name, value, traceback) {
  return { type: 'error', name, value, traceback }
}

/** Imports as a file in this directory would. */
function importer(directory) {
  return runInThisContext('(name, options) => import(name, options)', {
    filename: `${directory}/cell.js`,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  })
}

function hide(name, value) {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false })
}
