import { expect, test } from "bun:test"
import { parseHTML } from "linkedom"
import { accuracyCurve, lossCurve, raster, wholeTicks } from "../src/charts.ts"

/** The texts of a chart, and those along one axis. */
const read = (svg: string) => {
  const { document } = parseHTML(svg)
  const texts = (selector: string) => [...document.querySelectorAll(`${selector} text`)].map((each) => each.textContent)
  return {
    texts: texts(""),
    ticks: texts('[aria-label^="x-axis tick label"]'),
    frames: document.querySelectorAll('[stroke="#ccc"] rect').length,
  }
}

const losses = (count: number) => Array.from({ length: count }, (_, i) => ({ update: i + 1, loss: 2 / (i + 1) }))

test("ticks are integers, about ten at most", () => {
  expect(wholeTicks(1, 4)).toEqual([1, 2, 3, 4])
  expect(wholeTicks(1, 1)).toEqual([1])
  expect(wholeTicks(1, 16)).toEqual([2, 4, 6, 8, 10, 12, 14, 16])
  expect(wholeTicks(1, 40)).toEqual([5, 10, 15, 20, 25, 30, 35, 40])
  expect(wholeTicks(1, 1000)).toEqual([100, 200, 300, 400, 500, 600, 700, 800, 900, 1000])
})

test("the loss of one, few and many updates has integer ticks and a legend for the lines shown", () => {
  expect(read(lossCurve(losses(1))).ticks).toEqual(["1"])
  const few = read(lossCurve(losses(3)))
  expect(few.ticks).toEqual(["1", "2", "3"])
  expect(few.texts.filter((text) => text?.startsWith("━━"))).toEqual(["━━ each update"])
  const many = read(lossCurve(losses(400)))
  expect(many.texts.filter((text) => text?.startsWith("━━"))).toEqual(["━━ each update", "━━ mean of the last 10"])
  expect(lossCurve([])).toStartWith("<svg")
})

test("the accuracy chart shows training and test accuracy after each epoch", () => {
  const chart = read(
    accuracyCurve([
      { epoch: 1, train: 0.5, test: 0.4 },
      { epoch: 2, train: 0.9, test: 0.8 },
    ]),
  )
  expect(chart.ticks).toEqual(["1", "2"])
  expect(chart.texts).toContain("100%")
  expect(chart.texts.filter((text) => text?.startsWith("━━"))).toEqual(["━━ train", "━━ test"])
})

test("every layer, including a silent one, has a frame and states which neurons are shown", () => {
  const spikes = [{ layer: "a", row: 3, timeStep: 2 }]
  const layers = [
    { name: "a", size: 300, step: 3 },
    { name: "b", size: 20, step: 1 },
  ]
  const chart = read(raster(spikes, layers, 4))
  expect(chart.frames).toBe(2)
  expect(chart.ticks).toEqual(["1", "2", "3", "4"])
  expect(chart.texts).toContain("layer a · 300 neurons, one in 3 shown: row r is neuron 3·r")
  expect(chart.texts).toContain("layer b · all 20 neurons · silent: no spike")
  expect(read(raster([], layers, 4)).frames).toBe(2)
})
