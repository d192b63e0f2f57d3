/** The page: reads the settings, sends requests to the worker, and shows its answers. */
import {
  type Answer,
  greatestTimeSteps,
  type PolicyName,
  policyNames,
  type Request,
  type Settings,
  type TaskName,
} from "./protocol.ts"
import { drawCurve, forgetTimes, showPlan, showTime } from "./view/costs.ts"
import { announce, element, make, percent, whole } from "./view/dom.ts"
import { addDrawing, allDrawings, canTrain, forgetLast, showDrawings } from "./view/drawings.ts"
import { drawInside, showActivity } from "./view/inside.ts"
import { addTest, addUpdate, beginRun, drawLearning, labelOf, pace, testAccuracy } from "./view/learning.ts"
import { makePad } from "./view/pad.ts"

const worker = new Worker(new URL("./worker/main.ts", import.meta.url), { type: "module" })
const ask = (request: Request): void => worker.postMessage(request)

const form = element<HTMLFormElement>("controls")
const slider = element<HTMLInputElement>("time-steps")
const toggle = element<HTMLButtonElement>("toggle")
const measure = element<HTMLButtonElement>("measure")
const next = element<HTMLButtonElement>("next")
const status = element("status")

const settings = (): Settings => {
  const chosen = new FormData(form)
  const k = Math.round(Number(chosen.get("k")))
  return {
    task: chosen.get("task") as TaskName,
    policy: chosen.get("policy") as PolicyName,
    k: Number.isFinite(k) ? Math.min(Math.max(1, k), greatestTimeSteps) : 1,
    timeSteps: Number(slider.value),
    backend: (chosen.get("backend") ?? "wasm") as string,
  }
}

/** The worker's state; `empty` means that there is nothing to train. */
let state: "starting" | "training" | "paused" | "empty" = "starting"
let classes: ReadonlyArray<string> = []
let testSamples = 0
let sample = 0
/** Whether the user asked for the next activity, so that it is announced to screen readers. */
let asked = false
let measured = false
let hasTrained = false

const setState = (changed: typeof state, said: string): void => {
  measure.textContent = "Measure time"
  state = changed
  status.textContent = said
  toggle.textContent = { starting: "Starting…", training: "Pause", paused: "Resume", empty: "Pause" }[changed]
  toggle.disabled = changed === "starting" || changed === "empty"
  measure.disabled = next.disabled = toggle.disabled
}

const begin = (): void => {
  const now = settings()
  element("k-row").hidden = now.policy !== "slttk"
  element("drawing").hidden = now.task !== "digits"
  next.hidden = now.task === "digits"
  measured = false
  forgetTimes()
  ask({ type: "plan", settings: now })
  if (now.task === "digits" && !canTrain()) {
    ask({ type: "pause" })
    setState("empty", "Draw at least two different digits to start training.")
    return
  }
  setState("starting", "Compiling the program…")
  ask({ type: "train", settings: now, drawings: now.task === "digits" ? allDrawings() : [] })
}

/** Restarts training once the settings have not changed for a moment. */
let waiting: ReturnType<typeof setTimeout> | undefined
const beginSoon = (): void => {
  clearTimeout(waiting)
  waiting = setTimeout(begin, 200)
}

const look = (): void => {
  if (state === "starting" || state === "empty") return
  const drawn = settings().task === "digits"
  if (drawn && !pad.isBlank()) ask({ type: "look", sample: 0, ink: pad.ink() })
  // The worker does not know drawings that were added after it started.
  else ask({ type: "look", sample: drawn ? Math.min(allDrawings().length, testSamples) - 1 : sample })
}

let frame = 0
const drawSoon = (): void => {
  if (frame !== 0) return
  frame = requestAnimationFrame(() => {
    frame = 0
    drawLearning()
    const time = pace()
    if (time !== undefined && !measured) showTime(settings().policy, time)
  })
}

const rowsInWords = (): string =>
  Array.from(document.querySelectorAll("#costs tr"), ({ children }) =>
    [children[0], children[2]].map((cell) => cell?.textContent).join(" "),
  ).join(", ")

/** Handlers of the worker's answers. */
const answers: { readonly [T in Answer["type"]]: (answer: Extract<Answer, { readonly type: T }>) => void } = {
  backends: ({ backends }) => {
    const choices = backends.map(({ name, label, available, note }, i) => {
      const input = make("input", { type: "radio", name: "backend", value: name })
      input.checked = i === 0
      input.disabled = !available
      return make("label", { class: "choice" }, input, make("span", {}, make("b", {}, label), note))
    })
    element("backends").replaceChildren(...choices)
  },
  started: (answer) => {
    classes = answer.classes
    testSamples = answer.testSamples
    element("machine").textContent = `${answer.backend}; ${whole(answer.parameters)} parameters`
    beginRun(settings())
    setState("training", `Training with ${labelOf(settings())}.`)
    look()
  },
  trained: (answer) => {
    if (!hasTrained) {
      hasTrained = true
      performance.mark("first-training-step")
      // Not earlier: waking the GPU would delay the first step.
      ask({ type: "backends" })
    }
    addUpdate(answer)
    drawSoon()
  },
  tested: ({ accuracy }) => {
    addTest(accuracy)
    look()
  },
  paused: () => {
    if (state !== "training") return
    const accuracy = testAccuracy()
    setState("paused", accuracy === undefined ? "Paused." : `Paused. Accuracy ${percent(accuracy)}.`)
    drawSoon()
  },
  plan: (answer) => {
    if (answer.timeSteps === Number(slider.value)) showPlan(answer)
  },
  measured: ({ timeSteps, milliseconds }) => {
    measure.disabled = false
    measure.textContent = "Measure time"
    if (timeSteps !== Number(slider.value)) return
    measured = true
    for (const policy of policyNames) showTime(policy, milliseconds[policy])
    announce(`Measured: ${rowsInWords()}`)
  },
  activity: ({ activity }) => {
    const sentence = showActivity(activity, classes)
    if (asked) announce(sentence)
    asked = false
  },
  failed: ({ message }) => setState("empty", `error: ${message}`),
}
const hear = <T extends Answer["type"]>(answer: Extract<Answer, { readonly type: T }>): void =>
  answers[answer.type as T](answer)
worker.onmessage = ({ data }: MessageEvent<Answer>) => hear(data)
worker.onerror = ({ message }) => setState("empty", `error: the page's worker failed to start: ${message}`)

toggle.addEventListener("click", () => {
  if (state === "training") ask({ type: "pause" })
  else {
    ask({ type: "continue" })
    setState("training", `Training with ${labelOf(settings())}.`)
  }
})
element("restart").addEventListener("click", begin)
form.addEventListener("submit", (event) => event.preventDefault())
form.addEventListener("change", beginSoon)
slider.addEventListener("input", () => {
  element("time-steps-value").textContent = slider.value
  ask({ type: "plan", settings: settings() })
})
slider.addEventListener("change", beginSoon)
measure.addEventListener("click", () => {
  measure.disabled = true
  measure.textContent = "Measuring…"
  ask({ type: "measure" })
})
next.addEventListener("click", () => {
  sample = (sample + 1) % Math.max(1, testSamples)
  asked = true
  look()
})

const keep = (digit: number): void => {
  if (pad.isBlank()) announce("The pad is empty: draw first.")
  else {
    addDrawing({ ink: pad.ink(), digit })
    pad.clear()
    announce(`Kept as ${digit}.`)
    beginSoon()
  }
}
element("digits").append(
  ...Array.from({ length: 10 }, (_, digit) => {
    const button = make("button", { type: "button", "aria-label": `Keep as ${digit}` }, String(digit), make("small"))
    button.addEventListener("click", () => keep(digit))
    return button
  }),
)
const pad = makePad(() => {
  asked = !pad.isBlank()
  look()
}, keep)
element("clear").addEventListener("click", () => pad.clear())
element("forget").addEventListener("click", () => {
  forgetLast()
  beginSoon()
})

const redraw = (): void => {
  drawCurve()
  drawLearning()
  drawInside()
  pad.draw()
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  redraw()
  showDrawings()
})
new ResizeObserver(redraw).observe(element("main"))

showDrawings()
begin()
