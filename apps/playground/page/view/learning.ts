/** Learning progress: loss, accuracy and speed of this run, and the losses of earlier runs. */
import type { Answer, Settings } from "../protocol.ts"
import { drawChart, type Point, ticks } from "./chart.ts"
import { element, make, median, milliseconds, percent, whole } from "./dom.ts"
import { policyLabel } from "./policies.ts"

interface Run {
  readonly settings: Settings
  readonly losses: Array<number>
  /** Smoothed losses by update. */
  readonly smooth: Array<Point>
  readonly accuracies: Array<number>
  readonly times: Array<number>
  test: number | undefined
}

/** Number of earlier runs that stay in the chart. */
const pastRuns = 4
/** Decay per update of the smoothed loss. */
const smoothing = 0.9
/** Number of recent batches over which accuracy and time are summarised. */
const recent = 25

let runs: Array<Run> = []
const current = (): Run | undefined => runs.at(-1)

export const labelOf = (settings: Settings): string => `${policyLabel(settings)}, T = ${settings.timeSteps}`

/** Starts a run. Earlier runs stay if they learned the same task. */
export const beginRun = (settings: Settings): void => {
  const others = runs.filter(
    ({ settings: before, losses }) =>
      before.task === settings.task && losses.length >= recent && labelOf(before) !== labelOf(settings),
  )
  runs = [...others.slice(-pastRuns), { settings, losses: [], smooth: [], accuracies: [], times: [], test: undefined }]
  element("test-name").textContent = settings.task === "camera" ? "Test accuracy" : "On your drawings"
  drawLearning()
}

export const addUpdate = ({ update, loss, accuracy, milliseconds }: Extract<Answer, { type: "trained" }>): void => {
  const run = current()
  if (run === undefined) return
  run.losses.push(loss)
  const before = run.smooth.at(-1)?.[1] ?? loss
  run.smooth.push([update, smoothing * before + (1 - smoothing) * loss])
  run.accuracies.push(accuracy)
  run.times.push(milliseconds)
}

export const addTest = (accuracy: number): void => {
  const run = current()
  if (run) run.test = accuracy
}

export const testAccuracy = (): number | undefined => current()?.test

/** Median time of recent iterations, in milliseconds. */
export const pace = (): number | undefined => median(current()?.times.slice(-recent) ?? [])

const mean = (values: ReadonlyArray<number>): number | undefined =>
  values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length

const show = (id: string, value: number | undefined, format: (value: number) => string): void => {
  element(id).textContent = value === undefined ? "–" : format(value)
}

export const drawLearning = (): void => {
  const run = current()
  if (run === undefined) return
  const update = run.losses.length
  show("loss", run.smooth.at(-1)?.[1], (value) => value.toFixed(3))
  show("test", run.test, percent)
  show("accuracy", mean(run.accuracies.slice(-recent)), percent)
  show("updates", update, whole)
  show("speed", pace(), milliseconds)

  const end = Math.max(100, ...runs.map(({ losses }) => losses.length))
  const top = Math.max(2.5, ...run.losses)
  drawChart(element<SVGSVGElement>("losses"), matchMedia("(max-width: 760px)").matches ? 220 : 320, {
    lines: [
      ...runs.slice(0, -1).map(({ settings, smooth }) => ({ points: smooth, classes: `${settings.policy} past` })),
      {
        points: run.losses.map((loss, i): Point => [i + 1, loss]),
        classes: `${run.settings.policy} raw`,
      },
      { points: run.smooth, classes: run.settings.policy },
    ],
    extent: [end, top],
    xTicks: ticks(end, 4),
    yTicks: ticks(top, 4),
    formatY: (value) => value.toFixed(1),
  })
  element("losses-text").textContent =
    update === 0
      ? "No update yet."
      : `From ${run.losses[0]!.toFixed(2)} to ${run.smooth.at(-1)![1].toFixed(2)} in ${update} updates under ${labelOf(run.settings)}.`

  const list = element("runs")
  if (list.dataset.runs === runs.map(({ settings }) => labelOf(settings)).join(";")) return
  list.dataset.runs = runs.map(({ settings }) => labelOf(settings)).join(";")
  list.replaceChildren(
    ...runs
      .toReversed()
      .map(({ settings }, i) =>
        make(
          "li",
          { class: i === 0 ? settings.policy : `${settings.policy} past` },
          make("i", { class: "swatch run-line", "aria-hidden": "true" }),
          `${labelOf(settings)}${i === 0 ? "" : ", earlier"}`,
        ),
      ),
  )
}
