/**
 * Stages that fire spikes and pack them into words of 32 channels.
 *
 * On hardware one thread handles one neuron, so that reads coalesce; words are packed in workgroup memory with bitwise or, whose result
 * does not depend on thread order. On a software adapter, where barriers are expensive, one thread handles all neurons of a word.
 */
import { Spikes } from "@spikeroute/core"
import { forEach, grid, type Operands, type Stage, setGroup, textOf } from "./shader.ts"

export interface Firing {
  /** The spike operand, with `size` elements, of which the last axis has `channels`. */
  readonly name: string
  readonly size: number
  readonly channels: number
  /** Sets `fires` for element `i`. */
  readonly body: string
  readonly declarations?: string
  readonly scratch?: number
  /** A window of pixels per thread; default one pixel. */
  readonly window?: Window
}

/** Windows that tile an image. */
export interface Window {
  readonly height: number
  readonly width: number
  readonly kernelSize: number
  /** Statements for window `place` and `channel`, in which `count` neurons fired. */
  readonly finish: string
}

/** The first pixel of window `place`, and the offset of a tap's pixel from it. */
const pixels = (window: Window | undefined) => {
  if (window === undefined) return { taps: 1, first: "place", tap: "0u" }
  const { height, width, kernelSize } = window
  const across = width / kernelSize
  const down = height / kernelSize
  return {
    taps: kernelSize ** 2,
    first: `(place / ${across * down}u * ${height}u + place / ${across}u % ${down}u * ${kernelSize}u) * ${width}u + place % ${across}u * ${kernelSize}u`,
    tap: `tap / ${kernelSize}u * ${width}u + tap % ${kernelSize}u`,
  }
}

const workgroup = 256

/** A stage that fires spikes. */
export const fire = (operands: Operands, firing: Firing): Stage => {
  const { name, size, channels, body, declarations = "", scratch = 0, window } = firing
  const perRow = Spikes.wordsPerRow(channels)
  const { taps, first, tap } = pixels(window)
  const words = (size / channels / taps) * perRow
  const find = `let place = word / ${perRow}u;
  let firstChannel = word % ${perRow}u * 32u;
  let pixel = ${first};`
  const neuron = (fired: string) => `    let channel = firstChannel + bit;
    var count = 0u;
    for (var tap = 0u; tap < ${taps}u; tap++) {
      let i = (pixel + ${tap}) * ${channels}u + channel;
      var fires = false;
      ${body}
      if (fires) { count++; ${fired} }
    }
    ${window?.finish ?? ""}`
  const wordAt = `(pixel + ${tap}) * ${perRow}u + firstChannel / 32u`
  const made: Stage = operands.target.software
    ? forEach(
        operands,
        words,
        `  let word = i;
  ${find}
  var bits = array<u32, ${taps}>();
  for (var bit = 0u; bit < min(32u, ${channels}u - firstChannel); bit++) {
${neuron("bits[tap] |= 1u << bit;")}
  }
  for (var tap = 0u; tap < ${taps}u; tap++) { set_word_${name}(${wordAt}, bits[tap]); }`,
        declarations,
        scratch,
      )
    : {
        text: textOf(
          operands,
          `var<workgroup> packed: array<atomic<u32>, ${(workgroup / 32) * taps}>;
${declarations}`,
          `  ${setGroup}
  let firstWord = group * (threads / 32u);
  {
    let word = firstWord + local / 32u;
    let bit = local % 32u;
    ${find}
    if (word < ${words}u && firstChannel + bit < ${channels}u) {
${neuron(`atomicOr(&packed[local / 32u * ${taps}u + tap], 1u << bit);`)}
    }
  }
  workgroupBarrier();
  for (var e = local; e < threads / 32u * ${taps}u; e += threads) {
    let word = firstWord + e / ${taps}u;
    let tap = e % ${taps}u;
    ${find}
    if (word < ${words}u) { set_word_${name}(${wordAt}, atomicLoad(&packed[e])); }
  }`,
        ),
        threads: workgroup,
        flexible: true,
        workgroups: (threads) => grid(Math.ceil(words / (threads / 32))),
        scratch,
      }
  return window === undefined ? { ...made, each: { count: size, body, declarations, spikes: name } } : made
}

/** Sets the spikes of operand `name`: `body` sets `fires` for element `i`. */
export const forEachSpike = (operands: Operands, name: string, body: string, declarations = ""): Stage =>
  fire(operands, { name, size: operands.size(name), channels: operands.channels(name), body, declarations })

/** One thread per element `i` of operand `name`, which `body` stores. If the epilogue fires spikes, they are packed into words. */
export const forEachStored = (
  operands: Operands,
  name: string,
  body: string,
  { scratch = 0, declarations = "" }: Pick<Firing, "scratch" | "declarations"> = {},
): Stage => {
  const spikes = operands.get(name).epilogue?.spikes
  const size = operands.size(name)
  if (spikes === undefined) return forEach(operands, size, body, declarations, scratch)
  const channels = operands.channels(name)
  return fire(operands, {
    name: spikes,
    size,
    channels,
    body: `${body}\n      fires = epilogue_fires;`,
    declarations,
    scratch,
  })
}
