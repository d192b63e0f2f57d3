/** What the kernels run on: WebAssembly or a native library. */

/** Memory for one program, and what runs it. */
export interface Session {
  /**
   * `count` 32-bit words of the arena, from the byte `offset` on. To be asked for anew after anything was opened, for memory that grows
   * moves.
   */
  readonly words: (offset: number, count: number) => Uint32Array
  /** Whether views of the arena may be handed out: reading one that somebody kept does no harm after `close`. */
  readonly lends: boolean
  /** All bytes taken: arena, program, scratch memory. */
  readonly bytes: number
  /** Runs calls, pairs of a segment's number and a time step: 0, or what was refused; then nothing has run. */
  readonly run: (calls: Int32Array) => number
  readonly close: () => void
}

export interface Engine {
  readonly name: string
  /** For people: vector width, threads. */
  readonly description: string
  /** Bytes that one more program can take at most. */
  readonly availableBytes: () => number
  /** Checks a packed program and takes memory for it; a negative number says what is wrong: see refusals.ts. */
  readonly open: (program: Int32Array) => Session | number
}
