/**
 * What can be read off a packed program without the compiler that made it: c/program.h describes the words, encode.ts packs them.
 * No imports: the inference path is made of this and little else.
 */

export const magic = 0x53524b33

/** Buffers are placed in units of so many bytes. */
export const unit = 64
export const maximumRank = 8
/** Elements of a buffer, and bytes of an arena, that the kernels count at most: MOST_ELEMENTS of c/session.c, and units in 31 bits. */
export const maximumElements = 2 ** 30
export const maximumArenaBytes = unit * (2 ** 31 - 1)
export const elementKinds = ["float32", "spikes", "words"] as const

/** The segments of inference, by their place among core's segments. */
export const segmentNumbers = { clear: 0, begin: 1, forward: 2 } as const

/** MAX_THREADS of c/runtime.h. */
export const maximumThreads = 256

/** The refusal for lack of memory, as c/session.h numbers it. */
export const noMemory = 11

/** Words before the buffers: five, and two for each segment. */
export const headerWords = 5 + 2 * 17
/** Words of a buffer. */
export const bufferWords = 9 + maximumRank

/**
 * The table of kernels that packed words are for: an opcode is a row of c/kernels.def. Words that are kept in a file are of use
 * only where this number is the same. A test says the right one when the table has changed.
 */
export const kernelTable = 37_900_271

/** Bytes of the arena of a packed program. */
export const arenaBytes = (packed: Int32Array): number => unit * (packed[4] as number)

export interface PackedBuffer {
  /** Bytes from the beginning of the arena. */
  readonly offset: number
  /** Time steps after which its slots come round again; 1 where it has one. */
  readonly period: number
  readonly elements: (typeof elementKinds)[number] | undefined
  readonly shape: ReadonlyArray<number>
  readonly size: number
}

/** The `index`-th buffer of a packed program, or undefined where there is none. */
export const bufferAt = (packed: Int32Array, index: number): PackedBuffer | undefined => {
  if (!(Number.isInteger(index) && index >= 0 && index < (packed[2] as number))) return undefined
  const at = headerWords + bufferWords * index
  const [offset = 0, , slots = 0, every = 0, elements = 0, rank = 0] = packed.subarray(at, at + 6)
  return {
    offset: unit * offset,
    period: slots > 1 ? slots * every : 1,
    elements: elementKinds[elements],
    shape: [...packed.subarray(at + 6, at + 6 + rank)],
    size: packed[at + 6 + maximumRank] as number,
  }
}
