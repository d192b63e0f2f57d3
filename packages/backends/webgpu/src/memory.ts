/** Locations of a program's buffers in the arena, and conversion of values to and from words. */
import { asArray, BackendError, type BufferValues, Program, quote, Shape, Spikes } from "@spikeroute/core"

/** This backend's name. */
export const name = "webgpu"

export const fail = (reason: string) => new BackendError({ backend: name, reason })

export interface Memory {
  /** Byte offset and size of a buffer's slot at a time step. */
  readonly find: (
    buffer: string,
    t: number,
  ) => { readonly buffer: Program.Buffer; readonly offset: number; readonly bytes: number }
  /** Converts values to the buffer's words. */
  readonly pack: (buffer: string, values: BufferValues) => Uint32Array<ArrayBuffer>
  /** Converts a buffer's words to numbers, in new memory. */
  readonly unpack: (buffer: Program.Buffer, words: Uint32Array<ArrayBuffer>) => Float32Array
}

export const memoryOf = (buffers: ReadonlyArray<Program.Buffer>): Memory => {
  const byName = new Map(buffers.map((buffer) => [buffer.name, buffer]))
  const find: Memory["find"] = (bufferName, t) => {
    const buffer = byName.get(bufferName)
    if (buffer === undefined) throw fail(`the program has no buffer ${quote(bufferName)}`)
    return {
      buffer,
      offset: buffer.offset + Program.slotOf(buffer, {}, t) * buffer.stride,
      bytes: Spikes.byteLength(buffer.shape, buffer.elements),
    }
  }
  return {
    find,
    pack: (bufferName, given) => {
      const { buffer, bytes } = find(bufferName, 0)
      const words = new Uint32Array(bytes / 4)
      const floats = new Float32Array(words.buffer)
      const size = Shape.size(buffer.shape)
      const values = asArray(buffer, given, () => (buffer.elements === "float32" ? floats : new Float32Array(size)))
      const expected = values instanceof Uint32Array ? bytes / 4 : size
      if (values.length !== expected) throw fail(`${bufferName} takes ${expected} values, not ${values.length}`)
      if (values instanceof Uint32Array) words.set(values)
      else if (buffer.elements === "spikes") Spikes.pack(values, buffer.shape.at(-1) ?? 1, words)
      else floats.set(values)
      return words
    },
    unpack: ({ shape, elements }, words) => {
      if (elements !== "spikes")
        return new Float32Array(words.buffer.slice(words.byteOffset, words.byteOffset + words.byteLength))
      const values = new Float32Array(Shape.size(shape))
      Spikes.unpack(words, shape.at(-1) ?? 1, values)
      return values
    },
  }
}
