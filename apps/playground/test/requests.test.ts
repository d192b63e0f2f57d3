import { describe, expect, test } from "bun:test"
import { requestsFor } from "../page/worker/requests.ts"

const requestOf = requestsFor(["wasm", "webgpu"])
const settings = { task: "camera", policy: "sltt", k: 1, timeSteps: 8, backend: "wasm" }
const ink = new Float32Array(256).fill(0.5)
const drawings = [{ ink, digit: 9 }]

test.each([
  { type: "train", settings, drawings: [] },
  { type: "train", settings: { ...settings, task: "digits", k: 64, timeSteps: 64, backend: "webgpu" }, drawings },
  { type: "plan", settings },
  { type: "pause" },
  { type: "continue" },
  { type: "measure" },
  { type: "backends" },
  { type: "look", sample: 0 },
  { type: "look", sample: 7, ink },
])("%j is a request", (message) => {
  expect(requestOf(message) as unknown).toBe(message)
})

describe("an invalid request is refused, and the error names the field", () => {
  const wrong = (changed: object) => ({ type: "plan", settings: { ...settings, ...changed } })
  const drawing = (changed: object) => ({ type: "train", settings, drawings: [{ ...drawings[0], ...changed }] })
  test.each<readonly [unknown, string]>([
    [undefined, "type"],
    [null, "type"],
    ["train", "type"],
    [{}, "type"],
    [{ type: "stop" }, "type"],
    [{ type: "constructor" }, "type"],
    [{ type: "pause", now: true }, "now"],
    [{ type: "plan" }, "settings"],
    [wrong({ task: "mnist" }), "settings.task"],
    [wrong({ policy: "toString" }), "settings.policy"],
    [wrong({ k: 0 }), "settings.k"],
    [wrong({ k: "1" }), "settings.k"],
    [wrong({ timeSteps: 65 }), "settings.timeSteps"],
    [wrong({ timeSteps: Number.NaN }), "settings.timeSteps"],
    [wrong({ timeSteps: 1.5 }), "settings.timeSteps"],
    [wrong({ backend: "native" }), "settings.backend"],
    [{ type: "train", settings }, "drawings"],
    [{ type: "train", settings: { ...settings, task: "digits" }, drawings: [] }, ""],
    [drawing({ digit: 10 }), "drawings.0.digit"],
    [drawing({ ink: [...ink] }), "drawings.0.ink"],
    [drawing({ ink: ink.subarray(1) }), "drawings.0.ink"],
    [drawing({ ink: ink.map(() => Number.NaN) }), "drawings.0.ink"],
    [drawing({ ink: ink.map(() => 2) }), "drawings.0.ink"],
    [{ type: "look", sample: -1 }, "sample"],
    [{ type: "look", sample: 0, ink: ink.subarray(1) }, "ink"],
  ])("%j", (message, option) => {
    expect(() => requestOf(message)).toThrow(expect.objectContaining({ _tag: "OptionError", option }))
  })
})
