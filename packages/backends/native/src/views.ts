/** Views of memory outside of JavaScript, which end with it. */

/**
 * Whether such a view can be detached from its memory: by `ArrayBuffer.prototype.transfer`, of Bun, Deno and Node from 22 on. Node's
 * `structuredClone` leaves views of memory outside of V8 attached.
 */
export const canDetach = typeof ArrayBuffer.prototype.transfer === "function"

/** The views of a session's arena, made where they are asked for and kept: to make one takes longer than to copy a small buffer. */
export class Views {
  /** By the offset of their first byte; buffers of other lengths may begin at the same. */
  private readonly byOffset = new Map<number, Array<Uint32Array<ArrayBuffer>>>()

  constructor(private readonly view: (offset: number, bytes: number) => ArrayBuffer) {}

  /** The words from the byte `offset` on. */
  words(offset: number, count: number): Uint32Array {
    // For a runtime's foreign functions, no bytes may mean: up to the next 0.
    if (count === 0) return new Uint32Array(0)
    const found = this.byOffset.get(offset)?.find(({ length }) => length === count)
    if (found) return found
    const made = new Uint32Array(this.view(offset, 4 * count))
    this.byOffset.set(offset, [...(this.byOffset.get(offset) ?? []), made])
    return made
  }

  /** Detaches all of them: they have no elements from then on. Whether nobody reaches the memory any more: who was lent one may have transferred it. */
  detach(): boolean {
    const buffers = [...this.byOffset.values()].flat().map(({ buffer }) => buffer)
    const attached = buffers.filter(({ byteLength }) => byteLength > 0)
    if (canDetach) for (const buffer of attached) buffer.transfer(0)
    this.byOffset.clear()
    return attached.length === buffers.length
  }
}
