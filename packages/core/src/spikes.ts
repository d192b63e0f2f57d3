/**
 * Spikes packed in bits.
 *
 * A spike tensor is stored as rows along its last axis (the channels), each row padded to whole 32-bit words; bit c of a
 * row is channel c, least significant first. Padding bits are 0.
 */
import { type Shape, size } from "./shape.ts"

/** How a buffer's elements are stored: `float32`, spikes packed in bits, or raw unsigned 32-bit `words`. */
export type Elements = "float32" | "spikes" | "words"

/** 32-bit words that one row of `channels` spikes takes. */
export const wordsPerRow = (channels: number): number => (channels + 31) >>> 5

/** Bytes that a tensor takes in memory. */
export const byteLength = (shape: Shape, elements: Elements): number => {
  if (elements !== "spikes") return 4 * size(shape)
  const channels = shape.at(-1) ?? 1
  return channels === 0 ? 0 : 4 * (size(shape) / channels) * wordsPerRow(channels)
}

/** Packs 0/1 values of rows of `channels` into words. Anything but 0 is a spike. */
export const pack = (values: Float32Array, channels: number, words: Uint32Array): void => {
  const perRow = wordsPerRow(channels)
  words.fill(0)
  for (let i = 0, row = 0; i < values.length; row += perRow)
    for (let c = 0; c < channels; c++, i++) if (values[i] !== 0) words[row + (c >>> 5)]! |= 1 << (c & 31)
}

/** Unpacks words into rows of `channels` values, 0 or 1. */
export const unpack = (words: Uint32Array, channels: number, values: Float32Array): void => {
  const perRow = wordsPerRow(channels)
  for (let i = 0, row = 0; i < values.length; row += perRow)
    for (let c = 0; c < channels; c++, i++) values[i] = (words[row + (c >>> 5)]! >>> (c & 31)) & 1
}
