/**
 * Constants and accessors of the packed format, which encode.ts writes and c/program.h describes.
 * No imports: this is on the inference path, which must stay small.
 */

export const magic = 0x53524b33

/** Buffer offsets are multiples of this many bytes. */
export const unit = 64
export const maximumRank = 8
/** Maximum elements of a buffer (MAX_ELEMENTS of c/session.c) and bytes of an arena (31-bit offsets in units). */
export const maximumElements = 2 ** 30
export const maximumArenaBytes = unit * (2 ** 31 - 1)
export const elementKinds = ["float32", "spikes", "words"] as const

/** Segments of inference, by their index among core's segments. */
export const segmentNumbers = { clear: 0, begin: 1, forward: 2 } as const

/** MAX_THREADS of c/runtime.h. */
export const maximumThreads = 256

/** The refusal code for insufficient memory (c/session.h). */
export const noMemory = 11

/** Header words before the buffers: five, and two per segment. */
export const headerWords = 5 + 2 * 17
/** Words per buffer. */
export const bufferWords = 9 + maximumRank

/**
 * Hash of the kernel table. Opcodes are rows of c/kernels.def, so a stored program is valid only for the table with the same hash. When
 * the table changes, a test fails with the new value.
 */
export const kernelTable = 1_346_730_504

/** Size of a packed program's arena in bytes. */
export const arenaBytes = (packed: Int32Array): number => unit * (packed[4] as number)

export interface PackedBuffer {
  /** Byte offset in the arena. */
  readonly offset: number
  /** Time steps after which its slots repeat; 1 for a single slot. */
  readonly period: number
  readonly elements: (typeof elementKinds)[number] | undefined
  readonly shape: ReadonlyArray<number>
  readonly size: number
}

/** Buffer `index` of a packed program, or undefined if there is none. */
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
