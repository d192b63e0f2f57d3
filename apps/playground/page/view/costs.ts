/** The cost of training: planned memory and measured time of every policy. */
import { type Answer, greatestTimeSteps, type PolicyName, policyNames } from "../protocol.ts"
import { drawChart, ticks } from "./chart.ts"
import { bytes, element, make, milliseconds } from "./dom.ts"
import { policyLabels } from "./policies.ts"

type Planned = Extract<Answer, { readonly type: "plan" }>

const rows = new Map(
  policyNames.map((policy) => {
    const memory = make("span", {}, "–")
    const kept = make("i")
    const other = make("i")
    const time = make("span", {}, "–")
    const duration = make("i")
    element("costs").append(
      make(
        "tr",
        { class: policy, "data-policy": policy },
        make("th", { scope: "row" }, policyLabels[policy]),
        make("td", {}, memory, make("div", { class: "bar", "aria-hidden": "true" }, kept, other)),
        make("td", {}, time, make("div", { class: "bar", "aria-hidden": "true" }, duration)),
      ),
    )
    return [policy, { memory, kept, other, time, duration }] as const
  }),
)

let planned: Planned | undefined
const slider = element<HTMLInputElement>("time-steps")

const share = (part: number, all: number): string => `${(100 * part) / all}%`

export const showPlan = (plan: Planned): void => {
  planned = plan
  const most = Math.max(...plan.plans.map(({ bytes }) => bytes))
  for (const { policy, bytes: all, kept } of plan.plans) {
    const row = rows.get(policy)!
    row.memory.textContent = bytes(all)
    row.memory.dataset.bytes = String(all)
    row.kept.style.width = share(kept, most)
    row.other.style.width = share(all - kept, most)
  }
  const said = plan.plans.map(({ policy, bytes: all }) => `${policyLabels[policy]} ${bytes(all)}`).join(", ")
  slider.setAttribute("aria-valuetext", `${plan.timeSteps}: ${said}`)
  drawCurve()
}

/** Draws planned memory over the number of time steps. */
export const drawCurve = (): void => {
  if (planned === undefined) return
  const { plans, curves, timeSteps } = planned
  const top = Math.max(...Object.values(curves).flatMap((points) => points.map(([, y]) => y)))
  const yTicks = ticks(top, 3)
  drawChart(element<SVGSVGElement>("curve"), 150, {
    // The lines of SLTT and SLTT-K coincide, so the second is dashed.
    lines: policyNames.map((policy) => ({
      points: curves[policy],
      classes: `${policy}${policy === "slttk" ? " dashed" : ""}`,
    })),
    dots: plans.map(({ policy, bytes: all }) => ({ at: [timeSteps, all], classes: policy })),
    extent: [greatestTimeSteps, top * 1.04],
    xTicks: [1, 16, 32, 48, 64],
    yTicks,
    formatY: (value) => (value === 0 ? "0" : `${Math.round(value / 1e6)} MB`),
    marker: timeSteps,
  })
  const ends = (policy: PolicyName) => {
    const [first, last] = [curves[policy][0]!, curves[policy].at(-1)!]
    return `${policyLabels[policy]} ${bytes(first[1])} at T = ${first[0]} and ${bytes(last[1])} at T = ${last[0]}`
  }
  element("curve-text").textContent = `${policyNames.map(ends).join("; ")}.`
}

const times = new Map<PolicyName, number>()

/** Shows the time of an iteration under a policy. */
export const showTime = (policy: PolicyName, time: number): void => {
  times.set(policy, time)
  const most = Math.max(...times.values())
  for (const [name, value] of times) {
    const row = rows.get(name)!
    row.time.textContent = milliseconds(value)
    row.duration.style.width = share(value, most)
  }
}

/** Clears all times, which belonged to other settings. */
export const forgetTimes = (): void => {
  times.clear()
  for (const { time, duration } of rows.values()) {
    time.textContent = "–"
    duration.style.width = "0"
  }
}
