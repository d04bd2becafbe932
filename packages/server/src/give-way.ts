/** A request has the way for so long, in ms: most are answered by then. */
const YOUNG_MS = 15

let cameAt = Number.NEGATIVE_INFINITY

/** A request has come: whoever moves much at once gives way to it. */
export function requestCame(): void {
  cameAt = performance.now()
}

/** Whether there is somebody to give way to. */
export function mustGiveWay(): boolean {
  return performance.now() - cameAt < YOUNG_MS
}
