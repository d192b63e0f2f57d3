/** Views of native memory, detached before that memory is freed. */

/**
 * Whether a view can be detached with `ArrayBuffer.prototype.transfer`: Bun, Deno, and Node from 22. Node's `structuredClone` does not detach
 * views of memory outside V8.
 */
export const canDetach = typeof ArrayBuffer.prototype.transfer === "function"

/** The views of a session's arena, cached: creating one takes longer than copying a small buffer. */
export class Views {
  /** By byte offset; buffers of different lengths may share an offset. */
  private readonly byOffset = new Map<number, Array<Uint32Array<ArrayBuffer>>>()

  constructor(private readonly view: (offset: number, bytes: number) => ArrayBuffer) {}

  /** The words from byte `offset`. */
  words(offset: number, count: number): Uint32Array {
    // Foreign functions may interpret zero bytes as "up to the next 0".
    if (count === 0) return new Uint32Array(0)
    const found = this.byOffset.get(offset)?.find(({ length }) => length === count)
    if (found) return found
    const made = new Uint32Array(this.view(offset, 4 * count))
    this.byOffset.set(offset, [...(this.byOffset.get(offset) ?? []), made])
    return made
  }

  /** Detaches all views; they have length 0 from then on. Returns false if a borrower had transferred one and still has access to the memory. */
  detach(): boolean {
    const buffers = [...this.byOffset.values()].flat().map(({ buffer }) => buffer)
    const attached = buffers.filter(({ byteLength }) => byteLength > 0)
    if (canDetach) for (const buffer of attached) buffer.transfer(0)
    this.byOffset.clear()
    return attached.length === buffers.length
  }
}
