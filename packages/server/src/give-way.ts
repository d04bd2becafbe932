/** A request gets the event loop's better half for so long, in ms: most are answered by then. */
const YOUNG_MS = 15

let cameAt = Number.NEGATIVE_INFINITY

/** A request, or a key at a terminal, has come: whoever moves much at once gives way to it. */
export function requestCame(): void {
  cameAt = performance.now()
}

/** Whether there is somebody to give way to. */
export function mustGiveWay(): boolean {
  return performance.now() - cameAt < YOUNG_MS
}
