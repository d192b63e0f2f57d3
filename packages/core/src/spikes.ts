/**
 * Spikes packed into bits.
 *
 * A spike tensor is stored as rows along its last axis (the channels). Every row is padded to whole 32-bit words with zero bits;
 * bit c of a row is channel c, least significant bit first.
 */
import { type Shape, size } from "./shape.ts"

/** How a buffer's elements are stored: `float32`, `spikes` packed into bits, or raw unsigned 32-bit `words`. */
export type Elements = "float32" | "spikes" | "words"

/** Number of 32-bit words per row of `channels` spikes. */
export const wordsPerRow = (channels: number): number => (channels + 31) >>> 5

/** Size of a tensor in memory, in bytes. */
export const byteLength = (shape: Shape, elements: Elements): number => {
  if (elements !== "spikes") return 4 * size(shape)
  const channels = shape.at(-1) ?? 1
  return channels === 0 ? 0 : 4 * (size(shape) / channels) * wordsPerRow(channels)
}

/** Packs rows of `channels` values into words: 0 is no spike, any other value is a spike. */
export const pack = (values: Float32Array, channels: number, words: Uint32Array): void => {
  const perRow = wordsPerRow(channels)
  words.fill(0)
  for (let i = 0, row = 0; i < values.length && channels > 0; row += perRow)
    for (let c = 0; c < channels; c++, i++) if (values[i] !== 0) words[row + (c >>> 5)]! |= 1 << (c & 31)
}

/** Unpacks words into rows of `channels` values 0 and 1. */
export const unpack = (words: Uint32Array, channels: number, values: Float32Array): void => {
  const perRow = wordsPerRow(channels)
  for (let i = 0, row = 0; i < values.length && channels > 0; row += perRow)
    for (let c = 0; c < channels; c++, i++) values[i] = (words[row + (c >>> 5)]! >>> (c & 31)) & 1
}
