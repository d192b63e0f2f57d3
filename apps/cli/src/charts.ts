/** Charts as SVG and PNG, drawn by Observable Plot in a document that needs no browser. */

import { fileURLToPath } from "node:url"
import * as Plot from "@observablehq/plot"
import { Resvg } from "@resvg/resvg-js"
import { parseHTML } from "linkedom"

/** The loss of one batch. */
export interface LossPoint {
  readonly update: number
  readonly loss: number
}

/** One spike of a layer's neuron; time steps count from 1. */
export interface Spike {
  readonly layer: string
  readonly neuron: number
  readonly timeStep: number
}

const blue = "#2a6fb0"

/** A chart as SVG. */
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

/** The loss of every batch, and its mean over the batches just before. */
export const lossCurve = (points: ReadonlyArray<LossPoint>): string =>
  draw({
    height: 400,
    x: { label: "update" },
    y: { label: "loss", zero: true, grid: true },
    marks: [
      Plot.lineY(points, { x: "update", y: "loss", stroke: blue, strokeOpacity: 0.35 }),
      Plot.lineY(
        points,
        Plot.windowY(
          { k: Math.max(1, Math.ceil(points.length / 40)), anchor: "end" },
          { x: "update", y: "loss", stroke: blue, strokeWidth: 2 },
        ),
      ),
      Plot.ruleY([0]),
    ],
  })

/** The spikes of one sample: a panel for each layer, a row for each of its neurons, a column for each time step. */
export const raster = (
  spikes: ReadonlyArray<Spike>,
  layers: ReadonlyArray<{ readonly name: string; readonly neurons: number }>,
  timeSteps: number,
): string =>
  draw({
    height: 60 + 220 * layers.length,
    marginRight: 80,
    x: { label: "time step", domain: [0.5, timeSteps + 0.5], ticks: Math.min(timeSteps, 20), tickFormat: "d" },
    y: { label: "neuron", domain: [0, Math.max(...layers.map(({ neurons }) => neurons))] },
    fy: { label: "layer", domain: layers.map(({ name }) => name), padding: 0.1 },
    marks: [
      Plot.frame({ stroke: "#ccc" }),
      Plot.rect(spikes, {
        fy: "layer",
        x1: ({ timeStep }: Spike) => timeStep - 0.4,
        x2: ({ timeStep }: Spike) => timeStep + 0.4,
        y1: "neuron",
        y2: ({ neuron }: Spike) => neuron + 1,
        fill: blue,
      }),
    ],
  })

/** An SVG drawn as PNG, twice as wide; the font is one that comes along, so it looks the same everywhere. */
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
