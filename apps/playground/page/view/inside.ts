/** The network's activity for one sample: input, spikes, membrane potentials, answer. */
import { type Activity, side } from "../protocol.ts"
import { clear, shape } from "./chart.ts"
import { color, element, make, percent, whole } from "./dom.ts"

interface Shown {
  readonly activity: Activity
  readonly classes: ReadonlyArray<string>
}

let shown: Shown | undefined

/** Shows a sample and returns the network's answer as a sentence. */
export const showActivity = (activity: Activity, classes: ReadonlyArray<string>): string => {
  shown = { activity, classes }
  return drawInside()
}

/** Redraws the last sample, after the width or the colours changed. */
export const drawInside = (): string => {
  if (shown === undefined) return ""
  const { activity, classes } = shown
  drawInput(activity)
  drawRaster(activity)
  drawMembranes(activity)
  return drawAnswer(activity, classes)
}

/** Red, green and blue of a colour of the style sheet. */
const channelsOf = (name: string): readonly [number, number, number] => {
  const value = Number.parseInt(color(name).trim().slice(1), 16)
  return [value >> 16, (value >> 8) & 255, value & 255]
}

/** Paints images of [side, side, channels] on a canvas, in a grid. */
export const paint = (
  canvas: HTMLCanvasElement,
  images: ReadonlyArray<Float32Array>,
  channels: number,
  columns: number,
): void => {
  const rows = Math.ceil(images.length / columns)
  canvas.width = columns * (side + 1) - 1
  canvas.height = rows * (side + 1) - 1
  const context = canvas.getContext("2d")!
  const [ground, ink, on, off] = [channelsOf("faint"), channelsOf("ink"), channelsOf("on"), channelsOf("off")]
  images.forEach((image, i) => {
    const data = context.createImageData(side, side)
    for (let p = 0; p < side * side; p++) {
      const strengths = channels === 1 ? [image[p]!, 0] : [image[2 * p + 1]!, image[2 * p]!]
      const [first, second] = strengths.map((count) => (channels === 1 ? count : 1 - 0.35 ** count)) as [number, number]
      const target = channels === 1 ? ink : second > first ? off : on
      const strength = Math.min(1, Math.max(first, second))
      for (let c = 0; c < 3; c++) data.data[4 * p + c] = ground[c]! + strength * (target[c]! - ground[c]!)
      data.data[4 * p + 3] = 255
    }
    context.putImageData(data, (i % columns) * (side + 1), Math.floor(i / columns) * (side + 1))
  })
}

const drawInput = ({ input, channels }: Activity): void => {
  const size = side * side * channels
  const images = Array.from({ length: input.length / size }, (_, i) => input.subarray(i * size, (i + 1) * size))
  const canvas = element<HTMLCanvasElement>("frames")
  paint(canvas, images, channels, Math.ceil(Math.sqrt(images.length)))
  canvas.style.maxWidth = images.length === 1 ? "160px" : ""
  if (channels === 1) {
    element("frames-title").textContent = "Input, repeated at every step"
    element("frames-text").textContent = "A drawing of 16 by 16 pixels."
    return
  }
  let [events, on] = [0, 0]
  for (const [i, count] of input.entries()) {
    events += count
    if (i % 2 === 1) on += count
  }
  element("frames-title").textContent = "Input, one frame per step"
  element("frames-text").textContent =
    `${images.length} frames of 16 by 16 pixels: ${on} ON events in one colour, ${events - on} OFF events in another.`
}

/** The centre of a time step on the x axis that raster and potentials share. */
const place = (t: number, timeSteps: number, width: number): number => ((t + 0.5) / timeSteps) * width

const axis = (svg: SVGSVGElement, timeSteps: number, width: number, y: number): void => {
  for (const [t, anchor] of [
    [0, "start"],
    [timeSteps - 1, "end"],
  ] as const)
    if (t > 0 || anchor === "start")
      svg.append(
        shape(
          "text",
          { class: "tick", x: anchor === "start" ? 0 : width, y, "text-anchor": anchor },
          anchor === "start" ? "t = 1" : String(timeSteps),
        ),
      )
}

const neuronHeight = 2

const drawRaster = ({ layers, timeSteps }: Activity): void => {
  const svg = element<SVGSVGElement>("raster")
  const heights = layers.map(({ shown }) => Math.max(shown, 16) * neuronHeight)
  const height = heights.reduce((sum, each) => sum + each + 34, 0) + 10
  const width = clear(svg, height)
  const tick = Math.min(6, Math.max(1.5, (width / timeSteps) * 0.5))
  let top = 0
  layers.forEach(({ neurons, shown: count, spikes, rate }, i) => {
    const inset = (y: number) => top + 20 + y * neuronHeight
    let marks = ""
    for (let t = 0; t < timeSteps; t++)
      for (let n = 0; n < count; n++)
        if (spikes[t * count + n] === 1)
          marks += `M${(place(t, timeSteps, width) - tick / 2).toFixed(1)} ${inset(n)}h${tick.toFixed(1)}v${neuronHeight - 0.3}h-${tick.toFixed(1)}z`
    svg.append(
      shape(
        "text",
        { class: "tick", x: 0, y: top + 12 },
        `Layer ${i + 1}: ${whole(neurons)} neurons, ${percent(rate)} fire`,
      ),
      shape("rect", { class: "ground", x: 0, y: inset(0), width, height: heights[i]!, rx: 4 }),
      shape("path", { class: "spike", d: marks }),
    )
    top += heights[i]! + 34
  })
  axis(svg, timeSteps, width, top + 2)
  element("raster-title").textContent = "Spikes of some of the firing neurons"
  element("raster-text").textContent = layers
    .map(({ neurons, rate }, i) => `Layer ${i + 1}: of ${whole(neurons)} neurons ${percent(rate)} fire per time step.`)
    .join(" ")
}

const potentialHeight = 76

const drawMembranes = ({ membranes, timeSteps }: Activity): void => {
  const svg = element<SVGSVGElement>("membranes")
  const height = membranes.length * (potentialHeight + 34) + 10
  const width = clear(svg, height)
  const texts: Array<string> = []
  membranes.forEach(({ neuron, potential }, i) => {
    const top = i * (potentialHeight + 34) + 20
    const low = Math.min(0, ...potential)
    const high = Math.max(1.2, ...potential)
    const y = (value: number) => top + 8 + (potentialHeight - 16) * (1 - (value - low) / (high - low))
    const points = Array.from(potential, (value, t) => [place(t, timeSteps, width), y(value)] as const)
    const fires = Array.from(potential.keys()).filter((t) => potential[t]! >= 1)
    svg.append(
      shape("text", { class: "tick", x: 0, y: top - 8 }, `Neuron ${neuron + 1} of the last layer`),
      shape("rect", { class: "ground", x: 0, y: top, width, height: potentialHeight, rx: 4 }),
      shape("line", { class: "threshold", x1: 0, x2: width, y1: y(1), y2: y(1) }),
      shape("path", {
        class: "membrane",
        d: points.map(([x, v], t) => `${t === 0 ? "M" : "L"}${x.toFixed(1)} ${v.toFixed(1)}`).join(""),
      }),
      ...fires.map((t) =>
        shape("circle", { class: "fired", cx: points[t]![0], cy: points[t]![1], r: timeSteps > 32 ? 2 : 3.5 }),
      ),
    )
    texts.push(
      `Neuron ${neuron + 1} reaches ${Math.max(...potential).toFixed(1)} and fires ${fires.length === 0 ? "never" : `at step ${fires.map((t) => t + 1).join(", ")}`}.`,
    )
  })
  axis(svg, timeSteps, width, membranes.length * (potentialHeight + 34) + 2)
  element("membranes-text").textContent = `The threshold is 1. ${texts.join(" ")}`
}

const drawAnswer = ({ probabilities, label }: Activity, classes: ReadonlyArray<string>): string => {
  const best = probabilities.indexOf(Math.max(...probabilities))
  element("answers").replaceChildren(
    ...probabilities.map((probability, i) =>
      make(
        "li",
        { ...(i === best ? { class: "best" } : {}), style: `--share: ${100 * probability}%` },
        make("span", {}, `${classes[i]}${i === label ? " ✓" : ""}`),
        make("span", {}, percent(probability)),
      ),
    ),
  )
  const says = `the network says ${classes[best]}, ${percent(probabilities[best] ?? 0)}`
  const sentence =
    label === undefined
      ? `${says[0]!.toUpperCase()}${says.slice(1)}.`
      : `It is ${classes[label]}; ${says}${best === label ? ", which is correct" : ""}.`
  element("verdict").textContent = sentence
  return sentence
}
