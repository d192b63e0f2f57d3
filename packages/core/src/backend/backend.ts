/**
 * A backend turns a program into something that runs.
 *
 * It knows nothing about spiking networks beyond the kernels, and its memory belongs to a scope. To add one, implement {@link
 * Backend} and run the conformance suite of `@spikeroute/core/testing`.
 */

import { Context, type Effect, type Scope } from "effect"
import { type BackendError, OptionError, type UnsupportedKernelError } from "../errors.ts"
import type { Buffer, Call, Program } from "../program/program.ts"

/** Values to write to a buffer: raw words, float32, or a function that fills an array of float32. */
export type BufferValues = Float32Array | Uint32Array | ((out: Float32Array) => void)

/**
 * The values for a buffer as an array. A function fills the array that `room` returns, which has room for all elements of the
 * buffer and may be the buffer itself.
 *
 * @throws OptionError for values of the wrong type
 */
export const asArray = (
  { name, elements }: Pick<Buffer, "name" | "elements">,
  values: BufferValues,
  room: () => Float32Array,
): Float32Array | Uint32Array => {
  if (values instanceof (elements === "words" ? Uint32Array : Float32Array)) return values
  if (typeof values !== "function" || elements === "words")
    throw new OptionError({
      owner: name,
      option: "values",
      value: values,
      expected: elements === "words" ? "raw words, a Uint32Array" : "a Float32Array or a function",
    })
  const out = room()
  const given: unknown = values(out)
  if (given instanceof Promise)
    throw new OptionError({ owner: name, option: "values", value: given, expected: "set synchronously" })
  return out
}

/** A program on a machine, with its memory. After the scope that it was prepared in has closed, all calls fail. */
export interface Executable {
  /** The program that was prepared. */
  readonly program: Program
  /** Peak of the allocated memory so far, in bytes. */
  readonly allocatedBytes: () => number
  /**
   * Sets all elements of a buffer; for a buffer with several slots, those of time step `t` (default 0). Raw words are given as a
   * `Uint32Array`, everything else as float32 (0 and 1 for spikes).
   *
   * The values of an array are copied; the caller may reuse the array once the effect completes. A function receives an array for
   * all elements with undefined contents, which is the buffer itself if possible, to avoid a copy. It must set every element before
   * it returns, and must not keep the array. If it throws, the contents of the buffer are undefined. If it closes the program's
   * scope, the write fails. Raw words can only be written from an array.
   */
  readonly write: (buffer: string, values: BufferValues, t?: number) => Effect.Effect<void, BackendError>
  /**
   * Returns a copy of a buffer, spikes as 0 and 1; for a buffer with several slots, that of time step `t`, 0 to `timeSteps` − 1.
   * Fails for buffers of the kinds `scratch`, `residual` and `accumulator`, whose memory is reused once the step or direction that
   * needs them is over.
   *
   * A buffer with fewer slots than time steps holds only the latest steps: step `t` must be read before as many further steps have
   * run as there are slots. A later read returns the step that has overwritten the slot, undetected, because slots do not record
   * their steps.
   */
  readonly read: (buffer: string, t?: number) => Effect.Effect<Float32Array, BackendError>
  /**
   * Runs segments in order. With the encoding `frames`, `frames` holds [T, N, …] (any other length is an error), and each forward
   * step first copies its frame to the input buffer; otherwise the input is what was last written.
   */
  readonly run: (calls: ReadonlyArray<Call>, frames?: Float32Array) => Effect.Effect<void, BackendError>
  /** Whether all gradients are finite after the last run of the segment `end`; true if the program has none. */
  readonly gradientsAreFinite: Effect.Effect<boolean, BackendError>
  /**
   * Only for backends that copy frames to another memory: starts to copy the frames of the next `run` while the current run
   * continues. The frames must not change until then.
   */
  readonly upload?: (frames: Float32Array) => Effect.Effect<void, BackendError>
}

/** The interface of a backend. */
export interface BackendService {
  /** Name of the backend, for messages. */
  readonly name: string
  /** Description for people: the engine's version, threads, vector instructions. */
  readonly description: string
  /**
   * Allocates memory for a program until the scope closes. Fails with an UnsupportedKernelError if a kernel is missing (never
   * during a run), and with a {@link BackendError} that has `memory` if the program is too large.
   */
  readonly prepare: (program: Program) => Effect.Effect<Executable, UnsupportedKernelError | BackendError, Scope.Scope>
}

const key = "@spikeroute/core/Backend"
const BackendBase: Context.ServiceClass<Backend, typeof key, BackendService> = Context.Service<
  Backend,
  BackendService
>()(key)

/** The service of the backend that runs programs. Every backend package provides a layer for it. */
export class Backend extends BackendBase {}
