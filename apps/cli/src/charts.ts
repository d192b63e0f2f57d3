/** Charts as SVG and PNG, drawn by Observable Plot without a browser. */

import { fileURLToPath } from "node:url"
import * as Plot from "@observablehq/plot"
import { Resvg } from "@resvg/resvg-js"
import { parseHTML } from "linkedom"

/** The loss of one batch. */
export interface LossPoint {
  readonly update: number
  readonly loss: number
}

/** Accuracies after an epoch, from 0 to 1. */
export interface AccuracyPoint {
  readonly epoch: number
  readonly train: number | null
  readonly test: number
}

/** One spike in a layer's row; time steps count from 1. */
export interface Spike {
  readonly layer: string
  readonly row: number
  readonly timeStep: number
}

/** A layer in a raster; every `step`th neuron is shown. */
export interface RasterLayer {
  readonly name: string
  readonly size: number
  readonly step: number
  readonly isSilent: boolean
}

const blue = "#2a6fb0"
const paleBlue = "#b3cce3"
const orange = "#d0782a"

/** Renders a chart as SVG. */
export const draw = (options: Plot.PlotOptions): string => {
  const { document } = parseHTML("<html></html>")
  const plot = Plot.plot({
    width: 900,
    marginLeft: 60,
    style: { fontFamily: "DejaVu Sans, sans-serif", background: "white" },
    ...options,
    document: document as unknown as NonNullable<Plot.PlotOptions["document"]>,
  })
  plot.setAttribute("xmlns", "http://www.w3.org/2000/svg")
  return plot.outerHTML
}

/** Integer ticks for an axis, about ten at most, spaced by 1, 2 or 5 times a power of 10. */
export const wholeTicks = (from: number, to: number): ReadonlyArray<number> => {
  let step = 1
  for (const factors = [2, 2.5, 2]; (to - from) / step > 10; ) {
    const [factor = 2] = factors
    step *= factor
    factors.push(...factors.splice(0, 1))
  }
  const first = Math.ceil(from / step)
  return Array.from({ length: Math.floor(to / step) - first + 1 }, (_, i) => (first + i) * step)
}

/** An axis of counts. A single value is centred; without values the axis covers 0 to 1. */
const counts = (label: string, values: ReadonlyArray<number>): Plot.ScaleOptions => {
  const [from = 0, to = 1] = values.length === 0 ? [] : [values[0], values.at(-1)]
  const margin = from === to ? 1 : 0
  return { label, domain: [from - margin, to + margin], ticks: wholeTicks(from, to) as Array<number>, tickFormat: "d" }
}

/** A legend at the top right, each name in the colour of its line. */
const legend = (entries: ReadonlyArray<readonly [name: string, color: string]>): ReadonlyArray<Plot.Markish> =>
  entries.map(([name, fill], i) =>
    Plot.text([`━━ ${name}`], { frameAnchor: "top-right", textAnchor: "end", dy: 16 * i - 30, fill }),
  )

/** The loss of every batch and, for more than 40 batches, its moving average. */
export const lossCurve = (points: ReadonlyArray<LossPoint>): string => {
  const k = Math.max(1, Math.ceil(points.length / 40))
  const line = { x: "update", y: "loss" }
  const mean = { ...line, stroke: blue, strokeWidth: 2 }
  return draw({
    height: 400,
    marginTop: 44,
    x: counts(
      "update",
      points.map(({ update }) => update),
    ),
    y: { label: "loss", zero: true, grid: true },
    marks: [
      Plot.lineY(points, { ...line, stroke: k === 1 ? blue : paleBlue }),
      ...(k === 1
        ? [Plot.dot(points, { ...line, fill: blue }), ...legend([["each update", blue]])]
        : [
            Plot.lineY(points, Plot.windowY({ k, anchor: "end" }, mean)),
            ...legend([
              ["each update", paleBlue],
              [`mean of the last ${k}`, blue],
            ]),
          ]),
      Plot.ruleY([0]),
    ],
  })
}

/** Top-1 accuracy on the training and test samples after each epoch. */
export const accuracyCurve = (points: ReadonlyArray<AccuracyPoint>): string => {
  const curve = (y: "train" | "test", color: string) => [
    Plot.lineY(points, { x: "epoch", y, stroke: color, strokeWidth: 2 }),
    Plot.dot(points, { x: "epoch", y, fill: color }),
  ]
  return draw({
    height: 400,
    marginTop: 44,
    x: counts(
      "epoch",
      points.map(({ epoch }) => epoch),
    ),
    y: { label: "accuracy", domain: [0, 1], grid: true, tickFormat: "%" },
    marks: [
      ...curve("train", orange),
      ...curve("test", blue),
      ...legend([
        ["train", orange],
        ["test", blue],
      ]),
      Plot.ruleY([0]),
    ],
  })
}

/** The title of a layer's panel. */
const title = ({ name, size, step, isSilent }: RasterLayer): string => {
  const shown = step === 1 ? `all ${size} neurons` : `${size} neurons, one in ${step} shown: row r is neuron ${step}·r`
  return `layer ${name} · ${shown}${isSilent ? " · silent: no spike" : ""}`
}

/** The spikes of one sample: one panel per layer, one row per shown neuron, one column per time step. */
export const raster = (
  spikes: ReadonlyArray<Spike>,
  layers: ReadonlyArray<Omit<RasterLayer, "isSilent">>,
  timeSteps: number,
): string => {
  const panels = layers.map((layer) => ({
    ...layer,
    rows: Math.ceil(layer.size / layer.step),
    isSilent: !spikes.some((spike) => spike.layer === layer.name),
  }))
  const [left, right] = [0.5, timeSteps + 0.5]
  return draw({
    height: 60 + 240 * layers.length,
    marginTop: 40,
    x: {
      label: "time step of the first test sample",
      domain: [left, right],
      ticks: wholeTicks(1, timeSteps) as Array<number>,
      tickFormat: "d",
    },
    y: { label: "row", domain: [0, Math.max(1, ...panels.map(({ rows }) => rows))] },
    fy: { axis: null, domain: layers.map(({ name }) => name), padding: 0.15 },
    marks: [
      // An explicit frame: Plot omits panels without data.
      Plot.rect(panels, { fy: "name", x1: () => left, x2: () => right, y1: () => 0, y2: "rows", stroke: "#ccc" }),
      Plot.text(panels, { fy: "name", text: title, frameAnchor: "top-left", dy: -8, lineAnchor: "bottom" }),
      Plot.rect(spikes, {
        fy: "layer",
        x1: ({ timeStep }: Spike) => timeStep - 0.4,
        x2: ({ timeStep }: Spike) => timeStep + 0.4,
        y1: "row",
        y2: ({ row }: Spike) => row + 1,
        fill: blue,
      }),
    ],
  })
}

/** Renders an SVG as PNG at twice its size, with a bundled font so that it looks the same on every machine. */
export const png = (svg: string): Uint8Array => {
  const font = fileURLToPath(import.meta.resolve("dejavu-fonts-ttf/ttf/DejaVuSans.ttf"))
  return new Resvg(svg, {
    font: { fontFiles: [font], loadSystemFonts: false, defaultFontFamily: "DejaVu Sans" },
    background: "white",
    fitTo: { mode: "zoom", value: 2 },
  })
    .render()
    .asPng()
}
