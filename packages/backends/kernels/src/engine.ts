/** The interface of the two hosts of the kernels: WebAssembly and the native library. */

/** Memory for one program, and the functions to run it. */
export interface Session {
  /**
   * A view of `count` 32-bit words of the arena from byte `offset`. Valid until another session is opened, because growing memory may move
   * it.
   */
  readonly words: (offset: number, count: number) => Uint32Array
  /** Whether views may be given to callers: reading one after `close` must be harmless. */
  readonly lends: boolean
  /** Total bytes: arena, program and scratch memory. */
  readonly bytes: number
  /** Runs calls, given as pairs of segment number and time step. Returns 0, or a refusal code, in which case nothing has run. */
  readonly run: (calls: Int32Array) => number
  /** Whether all numbers of the `buffer`-th buffer of the program are finite; it is one of float32 with one slot. */
  readonly isFinite: (buffer: number) => boolean
  readonly close: () => void
}

export interface Engine {
  readonly name: string
  /** Vector width and threads, for people. */
  readonly description: string
  /** Upper bound of the bytes available to one more program. */
  readonly availableBytes: () => number
  /** Validates an encoded program and allocates its memory. Returns a negative refusal code on failure: see refusals.ts. */
  readonly open: (program: Int32Array) => Session | number
}
