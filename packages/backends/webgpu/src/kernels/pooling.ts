/** Pools. Backward every input element looks at the windows that hold it, so that no two threads add to one place. */

import { type KernelAttributes, Spikes } from "@spikeroute/core"
import { forEachInImage, type Operands, type WgslKernelsOf } from "../shader.ts"

type Window = KernelAttributes["averagePool.forward"]

/** Windows side by side. */
export const tiles = (kernelSize: number): Window => ({ kernelSize, stride: kernelSize, padding: 0 })

type Extents = readonly [batch: number, height: number, width: number, channels: number]

const extents = (operands: Operands, name: string): Extents => operands.shape(name) as unknown as Extents

/** Index of element (n, y, x, c) of an image. */
const index = ([, height, width, channels]: Extents, y: string, x: string): string =>
  `((n * ${height}u + ${y}) * ${width}u + ${x}) * ${channels}u + c`

/** Where element i of an image lies: channel c of pixel (n, py, px). */
export const pixelOf = ([, height, width, channels]: Extents): string => `
  let c = i % ${channels}u;
  let px = i / ${channels}u % ${width}u;
  let py = i / ${channels * width}u % ${height}u;
  let n = i / ${channels * width * height}u;`

/** `window_from(o)` and `window_to(o, length)`: the input positions that output position o looks at, clipped to the image. */
const windows = ({ kernelSize, stride, padding }: Window): string => `
fn window_from(o: u32) -> u32 { return max(o * ${stride}u, ${padding}u) - ${padding}u; }
fn window_to(o: u32, length: u32) -> u32 { return min(length, max(o * ${stride}u + ${kernelSize}u, ${padding}u) - ${padding}u); }
fn first_window(p: u32) -> u32 { return (max(p + ${padding}u + 1u, ${kernelSize}u) - ${kernelSize}u + ${stride - 1}u) / ${stride}u; }
fn last_window(p: u32, outputs: u32) -> u32 { return min(outputs, (p + ${padding}u) / ${stride}u + 1u); }`

/** PyTorch's adaptive windows. */
const adaptive = `
fn window_from(o: u32, length: u32, outputs: u32) -> u32 { return o * length / outputs; }
fn window_to(o: u32, length: u32, outputs: u32) -> u32 { return ((o + 1u) * length + outputs - 1u) / outputs; }`

/** Runs `body` for every input pixel (y, x) of the window of output pixel (oy, ox). */
const eachInWindow = (
  { kernelSize, stride, padding }: Window,
  [, height, width]: Extents,
  oy: string,
  ox: string,
  body: string,
): string =>
  padding === 0
    ? `
  for (var y = ${oy} * ${stride}u; y < ${oy} * ${stride}u + ${kernelSize}u; y++) {
    for (var x = ${ox} * ${stride}u; x < ${ox} * ${stride}u + ${kernelSize}u; x++) { ${body} }
  }`
    : `
  for (var y = window_from(${oy}); y < window_to(${oy}, ${height}u); y++) {
    for (var x = window_from(${ox}); x < window_to(${ox}, ${width}u); x++) { ${body} }
  }`

/** Runs `body` for every output pixel (oy, ox) whose window holds input pixel (py, px). */
const eachWindow = ({ kernelSize, stride, padding }: Window, [, height, width]: Extents, body: string): string =>
  padding === 0 && stride === kernelSize
    ? `
  let oy = py / ${stride}u;
  let ox = px / ${stride}u;
  if (oy < ${height}u && ox < ${width}u) { ${body} }`
    : `
  for (var oy = first_window(py); oy < last_window(py, ${height}u); oy++) {
    for (var ox = first_window(px); ox < last_window(px, ${width}u); ox++) { ${body} }
  }`

/** `arrived`, what channel c of pixel (n, py, px) gets of a gradient by an average pool. */
export const averageSpread = (operands: Operands, gradient: string, window: Window) => {
  const y = extents(operands, gradient)
  return {
    body: `
  var arrived = 0f;${eachWindow(window, y, `arrived += load_${gradient}(${index(y, "oy", "ox")});`)}
  arrived *= ${1 / window.kernelSize ** 2}f;`,
    declarations: windows(window),
  }
}

export const pooling: WgslKernelsOf<"averagePool" | "adaptiveAveragePool" | "maxPool"> = {
  "averagePool.forward": (operands, window) => {
    const x = extents(operands, "x")
    return [
      forEachInImage(
        operands,
        extents(operands, "y"),
        `
  var sum = 0f;${eachInWindow(window, x, "py", "px", `sum += load_x(${index(x, "y", "x")});`)}
  store_y(i, sum * ${1 / window.kernelSize ** 2}f);`,
        windows(window),
      ),
    ]
  },
  "averagePool.backward": (operands, window) => {
    const { body, declarations } = averageSpread(operands, "outputGradient", window)
    const x = extents(operands, "inputGradient")
    return [forEachInImage(operands, x, `${body}\n  add_inputGradient(i, arrived);`, declarations)]
  },
  "adaptiveAveragePool.forward": (operands) => {
    const x = extents(operands, "x")
    const y = extents(operands, "y")
    const [, height, width] = x
    const [, rows, columns] = y
    return [
      forEachInImage(
        operands,
        y,
        `
  let top = window_from(py, ${height}u, ${rows}u);
  let bottom = window_to(py, ${height}u, ${rows}u);
  let left = window_from(px, ${width}u, ${columns}u);
  let right = window_to(px, ${width}u, ${columns}u);
  let area = f32((bottom - top) * (right - left));
  var sum = 0f;
  for (var y = top; y < bottom; y++) { for (var x = left; x < right; x++) { sum += load_x(${index(x, "y", "x")}) / area; } }
  store_y(i, sum);`,
        adaptive,
      ),
    ]
  },
  "adaptiveAveragePool.backward": (operands) => {
    const x = extents(operands, "inputGradient")
    const y = extents(operands, "outputGradient")
    const [, height, width] = x
    const [, rows, columns] = y
    return [
      forEachInImage(
        operands,
        x,
        `
  var sum = 0f;
  for (var oy = py * ${rows}u / ${height}u; oy * ${height}u < (py + 1u) * ${rows}u; oy++) {
    for (var ox = px * ${columns}u / ${width}u; ox * ${width}u < (px + 1u) * ${columns}u; ox++) {
      let tall = window_to(oy, ${height}u, ${rows}u) - window_from(oy, ${height}u, ${rows}u);
      let wide = window_to(ox, ${width}u, ${columns}u) - window_from(ox, ${width}u, ${columns}u);
      sum += load_outputGradient(${index(y, "oy", "ox")}) / f32(tall * wide);
    }
  }
  add_inputGradient(i, sum);`,
        adaptive,
      ),
    ]
  },
  "maxPool.forward": (operands, window) => {
    const x = extents(operands, "x")
    const y = extents(operands, "y")
    if (operands.isSpikes("x") && operands.isSpikes("y")) {
      // The largest of spikes is their "or": a word at a time.
      const words = Spikes.wordsPerRow(x[3])
      const inWords = ([batch, height, width]: Extents): Extents => [batch, height, width, words]
      return [
        forEachInImage(
          operands,
          inWords(y),
          `
  var word = 0u;${eachInWindow(window, x, "py", "px", `word |= word_x(${index(inWords(x), "y", "x")});`)}
  set_word_y(i, word);`,
          windows(window),
        ),
      ]
    }
    const best = `
  var best = load_x(${index(x, "window_from(py)", "window_from(px)")});${eachInWindow(
    window,
    x,
    "py",
    "px",
    `let value = load_x(${index(x, "y", "x")}); if (value > best) { best = value; }`,
  )}`
    return [forEachInImage(operands, y, `${best} store_y(i, best);`, windows(window))]
  },
  "maxPool.backward": (operands, window) => {
    const x = extents(operands, "x")
    const y = extents(operands, "outputGradient")
    return [
      forEachInImage(
        operands,
        x,
        `
  let own = load_x(i);
  var sum = 0f;${eachWindow(
    window,
    y,
    `var wins = true;
      ${eachInWindow(
        window,
        x,
        "oy",
        "ox",
        `let value = load_x(${index(x, "y", "x")});
      let earlier = y < py || (y == py && x < px);
      if (value > own || (earlier && value == own)) { wins = false; }`,
      )}
      if (wins) { sum += load_outputGradient(${index(y, "oy", "ox")}); }`,
  )}
  add_inputGradient(i, sum);`,
        windows(window),
      ),
    ]
  },
}
