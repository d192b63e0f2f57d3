/**
 * A backend prepares a program into something that runs.
 *
 * It knows nothing of spiking networks beyond the kernels; the memory that it takes belongs to a scope. To add one: implement
 * {@link Backend}, and run the conformance suite of `@spikeroute/core/testing`.
 */

import { Context, type Effect, type Scope } from "effect"
import { type BackendError, OptionError, type UnsupportedKernelError } from "../errors.ts"
import type { Buffer, Call, Program } from "../program/program.ts"

/** What a buffer is set to: raw words, float32, or what a function puts into an array of float32. */
export type BufferValues = Float32Array | Uint32Array | ((out: Float32Array) => void)

/**
 * Values of the kind that a buffer takes, as an array: where a function gives them, in the room for all of the buffer's elements, the buffer itself
 * where that is possible. Throws for values of another kind.
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
  values(out)
  return out
}

/** A program on a machine, with its memory. Once the scope has closed that it was prepared in, all that it is asked for is refused. */
export interface Executable {
  readonly program: Program
  /** Bytes of memory taken, at their peak so far. */
  readonly allocatedBytes: () => number
  /**
   * Sets a buffer, all its elements (of one with several slots, those of time step `t`, 0 unless told): raw words as `Uint32Array`, all else as float32 (0 and 1 for spikes). The values of an array are copied
   * before it is done: whoever writes may use the array for something else then. A function is given an array for all elements, whose
   * contents are undefined: the buffer itself where that is possible, so that nobody needs a second one. It sets every element before
   * it returns, and does not keep the array; where it throws, the buffer's contents are undefined. Where it closes the program's scope, the
   * write fails. Raw words are written as an array only.
   */
  readonly write: (buffer: string, values: BufferValues, t?: number) => Effect.Effect<void, BackendError>
  /**
   * A copy of a buffer as it is, spikes as 0 and 1; of one with several slots, that of time step `t`, 0 to `timeSteps` − 1. Of the kinds that last:
   * what only one step or one direction needs (`scratch`, `residual`, `accumulator`) gives up its memory to others, and is refused.
   *
   * A buffer with fewer slots than time steps holds the latest steps only: read step `t` before as many further steps as it has slots have
   * run. A later read returns the step that has taken the slot, undetected, because slots hold values and no record of their steps.
   */
  readonly read: (buffer: string, t?: number) => Effect.Effect<Float32Array, BackendError>
  /**
   * Runs segments in order. With the encoding `frames`, `frames` holds [T, N, …] (another number of values is an error), and
   * each forward step first puts its frame into the input buffer; otherwise the input is what was written.
   */
  readonly run: (calls: ReadonlyArray<Call>, frames?: Float32Array) => Effect.Effect<void, BackendError>
  /** Whether all gradients are finite, as the last run of a segment `end` left them; true where the program has none. */
  readonly gradientsAreFinite: Effect.Effect<boolean, BackendError>
  /**
   * Only where frames have to be carried to another memory: begins with those that the next `run` is given, while this goes on with what
   * it was told before. They must stay as they are until then.
   */
  readonly upload?: (frames: Float32Array) => Effect.Effect<void, BackendError>
}

/** What a backend does. */
export interface BackendService {
  readonly name: string
  /** For people: the engine's version, threads, vector instructions. */
  readonly description: string
  /**
   * Takes memory for a program until the scope closes. A kernel that is lacking is an error here, never at run; so is a program that the
   * backend cannot hold, a {@link BackendError} with `memory`.
   */
  readonly prepare: (program: Program) => Effect.Effect<Executable, UnsupportedKernelError | BackendError, Scope.Scope>
}

const key = "@spikeroute/core/Backend"
const BackendBase: Context.ServiceClass<Backend, typeof key, BackendService> = Context.Service<
  Backend,
  BackendService
>()(key)

/** The backend that programs are run on, as a service: a backend's package has a layer of it. */
export class Backend extends BackendBase {}
