'use strict'
// What a module may say and a console may not: `import` and `export` become what a console understands, and what waits at the
// top becomes a function that is called. The debugger can wait itself, but Node ends when a run that was interrupted while the
// debugger waited for it is collected.

const { parse } = require('../acorn/dist/acorn.js')

/** @returns the code as it is when it cannot be read, since whoever evaluates it says why; `waits`: its value is a promise. */
exports.transform = (code) => {
  const program = /\b(import|export|await)\b/.test(code) ? read(code) : null
  if (program === null) return { code, waits: false }
  const changes = []
  const top = { names: new Set(), functions: [], waits: false }
  find(program, true, changes, top)
  const waits = top.waits || program.body.some(({ type }) => type === 'ImportDeclaration')
  for (const [at, node] of program.body.entries()) {
    statement(node, code, changes, waits ? top : null, at === program.body.length - 1)
  }
  const changed = apply(code, changes)
  if (!waits) return { code: changed, waits }
  const names = top.names.size > 0 ? `let ${[...top.names].join(', ')}; ` : ''
  return { code: `${names}(async () => { ${changed}\n})()`, waits }
}

function read(code) {
  for (const sourceType of ['module', 'script'])
    try {
      return parse(code, { ecmaVersion: 'latest', sourceType, allowAwaitOutsideFunction: true })
    } catch {
      // The other one may do.
    }
  return null
}

/** Imports that are calls, what is waited for, and whether that is outside of functions. */
function find(node, isTop, changes, top) {
  if (Array.isArray(node)) for (const one of node) find(one, isTop, changes, top)
  if (typeof node?.type !== 'string') return
  const { type, start } = node
  if (type === 'ImportExpression') replace(changes, start, start + 'import'.length, '__import')
  // What is interrupted goes no further than to its next `await`.
  if (type === 'AwaitExpression') {
    replace(changes, start, node.argument.start, 'await __wait(')
    replace(changes, node.end, node.end, ')')
  }
  if (isTop && (type === 'AwaitExpression' || (type === 'ForOfStatement' && node.await))) top.waits = true
  const isWithin = isTop && !/Function|Class/.test(type)
  for (const inner of Object.values(node))
    if (typeof inner === 'object' && inner !== null) find(inner, isWithin, changes, top)
}

/** @param top what is declared by a function that waits must be seen outside of it; null: there is no such function */
function statement(node, code, changes, top, isLast) {
  const { type, start, end } = node
  if (type === 'ExportNamedDeclaration' && node.declaration) {
    replace(changes, start, node.declaration.start, '')
    statement(node.declaration, code, changes, top, isLast)
  } else if (top === null) return
  else if (type === 'ImportDeclaration') {
    for (const { local } of node.specifiers) top.names.add(local.name)
    replace(changes, start, end, imported(node, code))
  } else if (type === 'VariableDeclaration') variables(node, changes, top.names)
  else if (type === 'FunctionDeclaration' || type === 'ClassDeclaration') {
    top.names.add(node.id.name)
    // The first bracket keeps it apart from what stands before it.
    replace(changes, start, start, `;${node.id.name} = `)
    replace(changes, end, end, ';')
  } else if (type === 'ExpressionStatement' && isLast) {
    const last = code[end - 1] === ';' ? end - 1 : end
    replace(changes, start, start, 'return (')
    replace(changes, last, end, ')')
  }
}

/** `const { a } = b, c = d` as assignments. */
function variables({ start, end, declarations }, changes, names) {
  let from = start
  for (const { id, init, start: begin, end: stop } of declarations) {
    bound(id, names)
    replace(changes, from, begin, from === start ? ';(' : '), (')
    if (init === null) replace(changes, stop, stop, ' = undefined')
    from = stop
  }
  replace(changes, from, end, ');')
}

/** The names that a pattern declares. */
function bound(pattern, names) {
  if (pattern === null) return
  const { type } = pattern
  if (type === 'Identifier') names.add(pattern.name)
  else if (type === 'AssignmentPattern') bound(pattern.left, names)
  else if (type === 'RestElement') bound(pattern.argument, names)
  else if (type === 'ArrayPattern') for (const one of pattern.elements) bound(one, names)
  else for (const one of pattern.properties) bound(one.type === 'RestElement' ? one : one.value, names)
}

/** `import a, { b as c } from 'd'` as an assignment. */
function imported({ specifiers, source, attributes = [] }, code) {
  const type = attributes
    .map(({ key, value }) => `${code.slice(key.start, key.end)}: ${value.raw}`)
    .join(', ')
  const load = `await __import(${source.raw}${type && `, { with: { ${type} } }`})`
  const space = specifiers.find((one) => one.type === 'ImportNamespaceSpecifier')
  const names = specifiers.filter((one) => one !== space).map(named)
  const pattern = `{ ${names.join(', ')} }`
  if (space && names.length > 0) return `;(${space.local.name} = ${load}, ${pattern} = ${space.local.name});`
  if (space) return `;${space.local.name} = ${load};`
  return names.length > 0 ? `;(${pattern} = ${load});` : `;${load};`
}

function named({ type, imported: name, local }) {
  return `${type === 'ImportDefaultSpecifier' ? 'default' : (name.name ?? name.raw)}: ${local.name}`
}

function replace(changes, start, end, by) {
  changes.push({ start, end, by })
}

/** From the back to the front, so that places stay what they are; of those at one place the first stands first. */
function apply(code, changes) {
  const order = changes.map((change, at) => ({ ...change, at }))
  order.sort((a, b) => b.start - a.start || b.end - a.end || b.at - a.at)
  return order.reduce((text, { start, end, by }) => text.slice(0, start) + by + text.slice(end), code)
}
