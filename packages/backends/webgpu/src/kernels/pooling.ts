/** Pools. In the backward pass each input element gathers from the windows that contain it, so no two threads add to one element. */

import { type KernelAttributes, Spikes, Windows } from "@spikeroute/core"
import { forEachInImage, type Operands, type WgslKernelsOf } from "../shader.ts"

type Window = KernelAttributes["maxPool.forward"]
type WeightedWindow = KernelAttributes["averagePool.forward"]

type Extents = readonly [batch: number, height: number, width: number, channels: number]

const extents = (operands: Operands, name: string): Extents => Windows.imagesOf(operands.shape(name))

/** Index of element (n, y, x, c) of an image. */
const index = ([, height, width, channels]: Extents, y: string, x: string): string =>
  `((n * ${height}u + ${y}) * ${width}u + ${x}) * ${channels}u + c`

/** Coordinates of element i of an image: channel c of pixel (n, py, px). */
export const pixelOf = ([, height, width, channels]: Extents): string => `
  let c = i % ${channels}u;
  let px = i / ${channels}u % ${width}u;
  let py = i / ${channels * width}u % ${height}u;
  let n = i / ${channels * width * height}u;`

/** PyTorch's adaptive windows. */
const adaptive = `
fn window_from(o: u32, length: u32, outputs: u32) -> u32 { return o * length / outputs; }
fn window_to(o: u32, length: u32, outputs: u32) -> u32 { return ((o + 1u) * length + outputs - 1u) / outputs; }`

/** Runs `body` for every input pixel (y, x) in the window of output pixel (oy, ox). Negative positions are large as u32. */
const eachInWindow = (
  { rows, columns }: Window,
  [, height, width]: Extents,
  oy: string,
  ox: string,
  body: string,
): string => {
  const along = (name: string, tap: string, o: string, axis: Windows.Axis, length: number, inner: string) => `
  for (var ${tap} = 0u; ${tap} < ${axis.kernel}u; ${tap}++) {
    let ${name} = ${o} * ${axis.stride}u + ${tap} * ${axis.dilation}u - ${axis.before}u;
    ${axis.before + axis.after === 0 ? inner : `if (${name} < ${length}u) { ${inner} }`}
  }`
  return along("y", "down", oy, rows, height, along("x", "across", ox, columns, width, body))
}

/** Runs `body` for every output pixel (oy, ox) whose window contains input pixel (py, px). */
const eachWindow = (window: Window, [, height, width]: Extents, body: string): string => {
  const side = Windows.sideOfTiles(window)
  if (side !== undefined)
    return `
  let oy = py / ${side}u;
  let ox = px / ${side}u;
  if (oy < ${height}u && ox < ${width}u) { ${body} }`
  const along = (name: string, tap: string, p: string, axis: Windows.Axis, outputs: number, inner: string) => `
  for (var ${tap} = 0u; ${tap} < ${axis.kernel}u; ${tap}++) {
    let at_${name} = ${p} + ${axis.before}u - ${tap} * ${axis.dilation}u;
    let ${name} = at_${name} / ${axis.stride}u;
    if (at_${name} <= ${p} + ${axis.before}u && at_${name} % ${axis.stride}u == 0u && ${name} < ${outputs}u) { ${inner} }
  }`
  return along(
    "oy",
    "from_above",
    "py",
    window.rows,
    height,
    along("ox", "from_left", "px", window.columns, width, body),
  )
}

/** `arrived`: the gradient that channel c of pixel (n, py, px) receives from an average pool. */
export const averageSpread = (operands: Operands, gradient: string, window: WeightedWindow): string => {
  const y = extents(operands, gradient)
  return `
  var arrived = 0f;${eachWindow(window, y, `arrived += load_${gradient}(${index(y, "oy", "ox")});`)}
  arrived *= ${window.share}f;`
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
  store_y(i, sum * ${window.share}f);`,
      ),
    ]
  },
  "averagePool.backward": (operands, window) => {
    const x = extents(operands, "inputGradient")
    return [
      forEachInImage(
        operands,
        x,
        `${averageSpread(operands, "outputGradient", window)}\n  add_inputGradient(i, arrived);`,
      ),
    ]
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
      // The maximum of spikes is their bitwise or, a word at a time.
      const words = Spikes.wordsPerRow(x[3])
      const inWords = ([batch, height, width]: Extents): Extents => [batch, height, width, words]
      return [
        forEachInImage(
          operands,
          inWords(y),
          `
  var word = 0u;${eachInWindow(window, x, "py", "px", `word |= word_x(${index(inWords(x), "y", "x")});`)}
  set_word_y(i, word);`,
        ),
      ]
    }
    const each = `let value = load_x(${index(x, "y", "x")}); if (!any || value > best) { best = value; any = true; }`
    const best = `
  var best = 0f; var any = false;${eachInWindow(window, x, "py", "px", each)}`
    return [forEachInImage(operands, y, `${best} store_y(i, best);`)]
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
      ),
    ]
  },
}
