/** Several outputs, per step or summed, and recorded values, compared with the oracle at every step. */
import { Effect } from "effect"
import { Backend, type Executable } from "../../backend/backend.ts"
import { makeUnsafe } from "../../graph/index.ts"
import { adaptiveLif, delay, lif, linear } from "../../layers.ts"
import { compileInference } from "../../program/compile.ts"
import { bufferNames, type Program } from "../../program/program.ts"
import { inferenceSchedule } from "../../program/schedule.ts"
import * as Key from "../../random.ts"
import { initialize } from "../../train/initialize.ts"
import { expectClose } from "./compare.ts"
import * as Oracle from "./oracle.ts"

const [batchSize, timeSteps, features] = [3, 5, 6]

const graph = makeUnsafe([features], (x) => {
  const spikes = x.pipe(linear({ features: 35 }), lif({ threshold: 0.3 }), adaptiveLif({ threshold: 0.2 }))
  return { real: spikes.pipe(linear({ features: 3 })), later: spikes.pipe(delay({ steps: 2 })) }
})

const record = ["lif1", "lif1.membrane", "adaptiveLif1.adaptation", "delay1"]

/** All outputs and recorded values, step by step. */
const predicted = (executable: Executable, program: Program) =>
  Effect.gen(function* () {
    const key = Key.make(5)
    for (const [name, values] of initialize(graph, key))
      if (program.buffers.some((buffer) => buffer.name === bufferNames.parameter(name)))
        yield* executable.write(bufferNames.parameter(name), values)
    const inputs = Key.normal(Key.fold(key, "inputs"), new Float32Array(timeSteps * batchSize * features))
    yield* executable.run(inferenceSchedule(program), inputs)
    const wanted = new Set(Object.values(program.recorded ?? {}))
    const found: Array<readonly [string, Float32Array]> = []
    for (const { name, role, slots } of program.buffers)
      if (role === "outputs" || wanted.has(name))
        for (let t = 0; t < slots; t++) found.push([`${name} at step ${t}`, yield* executable.read(name, t)])
    return found
  })

const agrees = (outputs: "sum" | "step") =>
  Effect.gen(function* () {
    const options = { batchSize, timeSteps, encoding: "frames", outputs, record } as const
    const program = yield* compileInference(graph, options)
    const expected = yield* predicted(Oracle.make(program), program)
    const found = yield* predicted(yield* (yield* Backend).prepare(program), program)
    for (const [i, [name, values]] of expected.entries()) yield* expectClose(name, values, found[i]![1], 1e-5)
  }).pipe(Effect.scoped)

export const outputCases = (["sum", "step"] as const).map((outputs) => ({
  name: `outputs: several, ${outputs === "sum" ? "summed" : "of each step"}, and recorded values`,
  run: agrees(outputs),
}))
