/** Event stream, frames and step-by-step prediction combined. */
import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { ProgramFile } from "@spikeroute/backend-kernels"
import { load } from "@spikeroute/backend-wasm/infer"
import { Graph, Key, Models, Train } from "@spikeroute/core"
import { type Events, makeShapes, shapeEvents } from "@spikeroute/datasets"
import { framesOf } from "@spikeroute/datasets/event-stream"
import { Effect } from "effect"

const timeSteps = 8
const side = 16
const duration = 80_000
const kernels = new WebAssembly.Module(
  readFileSync(fileURLToPath(import.meta.resolve("@spikeroute/backend-wasm/spikeroute.wasm"))),
)

test("a camera's packets, processed step by step, give the same answer as the whole recording", async () => {
  const dataset = makeShapes({ timeSteps })
  const graph = Graph.makeUnsafe([side, side, 2], Models.conv(10, { width: 0.25 }))
  const first = Train.initialize(graph, Key.make(1))
  const tensors = new Map(
    graph.parameters.map(({ name, shape }) => {
      const values = (first.get(name) as Float32Array).map((value) => 2 * value)
      return [name, { shape, values }]
    }),
  )
  const options = { batchSize: 1, timeSteps, encoding: dataset.encoding }
  const model = load(kernels, Effect.runSync(ProgramFile.save(graph, tensors, options)))
  const index = 3
  const whole = new Float32Array(timeSteps * side * side * 2)
  Effect.runSync(dataset.test.write([index], undefined, whole))
  const expected = model.predict(whole)

  const { width, height, x, y, t, p } = shapeEvents(0, "test", index, side)
  async function* camera(): AsyncGenerator<Events.Events> {
    for (let from = 0; from < t.length; from += 25) {
      const [here, to] = [from, from + 25]
      await new Promise((resolve) => setTimeout(resolve, 0))
      yield { width, height, x: x.slice(here, to), y: y.slice(here, to), t: t.slice(here, to), p: p.slice(here, to) }
    }
  }
  const frames = framesOf(camera(), { width, height, every: { duration: duration / timeSteps, start: 0 } })
  const steps = await Array.fromAsync(model.stream(frames))
  expect(steps).toHaveLength(timeSteps)
  expect(steps.at(-1)?.outputs).toEqual(expected.outputs)
  expect(expected.outputs.some((value) => value !== 0)).toBe(true)
})
