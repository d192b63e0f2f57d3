/** Checks that all backends share, and the form of their errors. */

import { Effect } from "effect"
import { BackendError } from "../errors.ts"
import { persistent } from "../program/layout.ts"
import { bufferNames, type Call, forwardSegments, type Program } from "../program/program.ts"
import { size } from "../shape.ts"
import { formatBytes, named, quote } from "../text.ts"

/** The error for a program that needs more memory than is available. Both are in bytes. */
export const tooLarge = (backend: string, needed: number, available: number): BackendError =>
  new BackendError({
    backend,
    reason: `the program needs ${formatBytes(needed)} plus a workspace for its kernels; only ${formatBytes(available)} are available here: use a smaller batch, micro-batches or a policy that stores fewer time steps`,
    memory: { needed, available },
  })

/** Converts any thrown value to a BackendError. */
export const toBackendError =
  (backend: string) =>
  (error: unknown): BackendError =>
    error instanceof BackendError
      ? error
      : new BackendError({
          backend,
          reason: error instanceof Error && error.message !== "" ? error.message : `${error}`,
        })

/** Checks of calls to an executable. They throw a {@link BackendError}. */
export interface Guard {
  /** An error of this backend. */
  readonly fail: (reason: string) => BackendError
  /** The index of the buffer with this name. */
  readonly indexOf: (buffer: string) => number
  /** Throws if the program's scope has closed. */
  readonly checkOpen: () => void
  /** The index of the buffer, if the program has this time step. */
  readonly writable: (buffer: string, t: number) => number
  /** The index of the buffer, if it may be read at this time step. */
  readonly readable: (buffer: string, t: number) => number
  /** Throws for unknown segments, time steps out of range and frames that do not match. */
  readonly checkCalls: (calls: ReadonlyArray<Call>, frames?: Float32Array) => void
  /** Throws unless the program takes frames, and this many values. */
  readonly checkFrames: (frames: Float32Array) => void
  /** Runs `body`. Fails with a {@link BackendError} if it throws, or if the program's scope is closed before or after it. */
  readonly attempt: <A>(body: () => A) => Effect.Effect<A, BackendError>
  /** To be called when the scope of the program closes. */
  readonly close: () => void
}

/** The checks for one program on one backend. */
export const guard = (backend: string, program: Program): Guard => {
  const { timeSteps, buffers, segments, encoding } = program
  const byName = new Map(buffers.map(({ name }, i) => [name, i]))
  let isOpen = true
  const fail = (reason: string) => new BackendError({ backend, reason })
  const checkOpen = () => {
    if (!isOpen) throw fail("the scope of this program has closed")
  }
  const indexOf: Guard["indexOf"] = (name) => {
    const index = byName.get(name)
    if (index === undefined) throw fail(`the program has no buffer ${quote(name)}`)
    return index
  }
  const checkStep = (t: number) => {
    if (!(Number.isInteger(t) && t >= 0 && t < timeSteps))
      throw fail(`there is no time step ${quote(t)}; there are 0 to ${timeSteps - 1}`)
  }
  const readable: Guard["readable"] = (name, t) => {
    checkStep(t)
    const index = indexOf(name)
    if (!persistent.has(buffers[index]!.kind))
      throw fail(`${named(name)} cannot be read: its memory is reused within a step; \`observe\` its node`)
    return index
  }
  const checkFrames: Guard["checkFrames"] = (frames) => {
    if (encoding !== "frames") throw fail("the program's input is static: it takes no frames")
    const expected = timeSteps * size(buffers[indexOf(bufferNames.input)]?.shape ?? [])
    if (!(frames instanceof Float32Array) || frames.length !== expected)
      throw fail(`frames must be a Float32Array of ${expected} values, not ${quote(frames)}`)
  }
  return {
    fail,
    indexOf,
    checkOpen,
    writable: (name, t) => {
      checkStep(t)
      return indexOf(name)
    },
    readable,
    checkFrames,
    checkCalls: (calls, frames) => {
      for (const { segment, t } of calls) {
        if (!Object.hasOwn(segments, segment)) throw fail(`there is no segment ${quote(segment)}`)
        checkStep(t)
      }
      if (frames !== undefined && calls.some(({ segment }) => forwardSegments.has(segment))) checkFrames(frames)
    },
    attempt: (body) =>
      Effect.try({
        try: () => {
          checkOpen()
          const result = body()
          checkOpen()
          return result
        },
        catch: toBackendError(backend),
      }),
    close: () => {
      isOpen = false
    },
  }
}
