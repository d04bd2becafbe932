import { expect, test } from 'vitest'
import { EVENTS, isFinal, LIVE_STATES, next, STATES, transition } from './lifecycle.ts'

/** The whole matrix, for people; a changed cell is a changed promise. */
const MATRIX = `
            started   fail      pause     paused    resume    stop      ended
creating    ready     failed    -         -         -         stopping  -
ready       -         failed    pausing   -         -         stopping  terminated
pausing     ready     failed    -         paused    -         stopping  -
paused      -         failed    pausing   -         resuming  stopping  -
resuming    ready     failed    -         paused    -         stopping  -
stopping    -         failed    -         -         -         stopping  terminated
terminated  -         -         -         -         -         -         -
failed      -         -         -         -         -         -         -
`

function print(): string {
  const line = (first: string, cells: readonly string[]) =>
    [first.padEnd(12), ...cells.map((cell) => cell.padEnd(10))].join('').trimEnd()
  const rows = STATES.map((state) =>
    line(
      state,
      EVENTS.map((event) => next(state, event) ?? '-'),
    ),
  )
  return `\n${[line('', EVENTS), ...rows].join('\n')}\n`
}

test('the matrix of states and events is the documented one', () => {
  expect(print()).toBe(MATRIX)
})

test('every cell either leads to a state or is refused by name', () => {
  for (const state of STATES) {
    for (const event of EVENTS) {
      const to = next(state, event)
      const move = () => transition({ id: 'sbx_1', state }, event)
      if (to !== null) expect(move()).toBe(to)
      else expect(move).toThrow(`Sandbox sbx_1 is ${state} and cannot ${event}.`)
    }
  }
})

test('final states lead nowhere, and every other state can end', () => {
  expect(LIVE_STATES).toEqual(['creating', 'ready', 'pausing', 'paused', 'resuming', 'stopping'])
  for (const state of STATES) {
    const leads = EVENTS.map((event) => next(state, event)).filter((to) => to !== null)
    expect(isFinal(state)).toBe(leads.length === 0)
    if (!isFinal(state)) expect(leads.some(isFinal)).toBe(true)
  }
})

test('a pause and a resume that fail lead back to where they began', () => {
  const after = (state: (typeof STATES)[number], ...events: (typeof EVENTS)[number][]) =>
    events.reduce((now, event) => transition({ id: 'sbx_1', state: now }, event), state)
  expect(after('ready', 'pause', 'started')).toBe('ready')
  expect(after('ready', 'pause', 'paused', 'pause', 'paused')).toBe('paused')
  expect(after('paused', 'resume', 'paused')).toBe('paused')
  expect(after('paused', 'resume', 'started')).toBe('ready')
  expect(after('paused', 'stop', 'ended')).toBe('terminated')
})
