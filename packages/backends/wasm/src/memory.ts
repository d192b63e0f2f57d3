/** A first-fit allocator for the memory of a WebAssembly module; blocks are aligned to cache lines. */

const alignment = 64
const page = 65536

const align = (bytes: number): number => Math.ceil(bytes / alignment) * alignment

interface Block {
  readonly from: number
  readonly to: number
}

export interface Memory {
  /** Allocates a zeroed block and returns its offset, or undefined if there is not enough memory. */
  readonly allocate: (bytes: number) => number | undefined
  readonly free: (from: number) => void
  /** Allocated bytes. */
  readonly allocated: () => number
  /** Free bytes, possibly fragmented. */
  readonly available: () => number
}

/** Manages the memory from offset `base`, which can grow to `maximum` bytes. */
export const make = (memory: WebAssembly.Memory, base: number, maximum: number): Memory => {
  /** Sorted by offset. */
  let blocks: ReadonlyArray<Block> = []

  const grow = (to: number): boolean => {
    const lacking = Math.ceil(to / page) - memory.buffer.byteLength / page
    if (lacking <= 0) return true
    try {
      memory.grow(lacking)
      return true
    } catch {
      return false
    }
  }

  const allocated = () => blocks.reduce((sum, { from, to }) => sum + to - from, 0)

  return {
    allocate: (bytes) => {
      const length = Math.max(alignment, align(bytes))
      let from = align(base)
      let before = 0
      for (const block of blocks) {
        if (block.from - from >= length) break
        from = block.to
        before++
      }
      if (!grow(from + length)) return undefined
      blocks = [...blocks.slice(0, before), { from, to: from + length }, ...blocks.slice(before)]
      new Uint8Array(memory.buffer, from, length).fill(0)
      return from
    },
    free: (from) => {
      blocks = blocks.filter((block) => block.from !== from)
    },
    allocated,
    available: () => maximum - align(base) - allocated(),
  }
}
