/** Losses with terms: values and gradients of every term with every reduction over time, compared with the oracle. */
import { Effect } from "effect"
import { Backend, type Executable } from "../../backend/backend.ts"
import { tanh } from "../../expressions/expression.ts"
import { makeUnsafe } from "../../graph/index.ts"
import { lif, linear } from "../../layers.ts"
import * as Losses from "../../losses/index.ts"
import * as Optimizer from "../../optimizers/index.ts"
import * as Policy from "../../policies/policy.ts"
import { compile } from "../../program/compile.ts"
import type { TrainingOptions } from "../../program/options.ts"
import { bufferNames, type Program } from "../../program/program.ts"
import { schedule } from "../../program/schedule.ts"
import * as Key from "../../random.ts"
import { initialize } from "../../train/initialize.ts"
import { upload } from "../../train/run.ts"
import { checkBatch } from "../../train/targets.ts"
import { ensure, expectClose } from "./compare.ts"
import * as Oracle from "./oracle.ts"

const [batchSize, timeSteps, features, classes] = [5, 4, 6, 3]

/** A real-valued read-out, and a spiking one. */
const graph = makeUnsafe([features], (x) => {
  const hidden = x.pipe(linear({ features: 11 }), lif({ threshold: 0.4 }))
  return {
    real: hidden.pipe(linear({ features: classes })),
    spikes: hidden.pipe(linear({ features: classes }), lif({ threshold: 0.3 })),
  }
})

const ways = ["step", "sum", "mean", "last", "max"] as const

/** Terms by name. */
const terms: Readonly<Record<string, ReadonlyArray<Losses.LossTerm>>> = {
  ...Object.fromEntries(
    ways.flatMap((over) => [
      [`crossEntropy, ${over}`, [Losses.crossEntropy({ over, classWeights: [1, 0.5, 3], labelSmoothing: 0.1 })]],
      [`own, ${over}`, [Losses.own((y) => tanh(y).times(y), { over, layers: true })]],
    ]),
  ),
  "meanSquaredError, step": [Losses.meanSquaredError()],
  "spikeCount, sum": [Losses.spikeCount({ correct: 0.75, incorrect: 0.25, node: "spikes" })],
  "firingRate, step": [Losses.firingRate({ rate: 1, at: 0.3 })],
  "firingRateBounds, mean": [Losses.firingRateBounds({ rate: 1, lower: 0.3, upper: 0.6 })],
  "several, of both outputs": [
    Losses.crossEntropy({ over: "max" }),
    Losses.meanSquaredError({ over: "mean", node: "spikes" }),
    Losses.firingRate({ rate: 1, node: "spikes" }),
  ],
}

/** Loss and gradients of one batch. */
const measured = (executable: Executable, program: Program) =>
  Effect.gen(function* () {
    const key = Key.make(11)
    const draw = (name: string, count: number) => Key.normal(Key.fold(key, name), new Float32Array(count))
    for (const [name, values] of initialize(graph, key))
      yield* executable.write(
        bufferNames.parameter(name),
        values.map((value) => 1.5 * value + 0.05),
      )
    const labels = Float32Array.of(2, 0, 1, 1, 0)
    const numbers = draw("targets", batchSize * classes)
    const inputs = draw("inputs", timeSteps * batchSize * features)
    const targets = { real: numbers, spikes: numbers }
    yield* upload(executable, yield* checkBatch(program, { inputs, labels: { real: labels, spikes: labels }, targets }))
    const steps = Array.from({ length: timeSteps }, (_, t) => t)
    yield* executable.run(
      schedule(program, steps).filter(({ segment }) => segment !== "update"),
      inputs,
    )
    const loss: Array<number> = []
    const gradients: Array<number> = []
    for (const { name, role, kind } of program.buffers) {
      if (role === "term") loss.push(...(yield* executable.read(name)))
      if (kind === "gradient") gradients.push(...(yield* executable.read(name)))
    }
    return { loss: Float32Array.from(loss), gradients: Float32Array.from(gradients) }
  })

const agrees = (loss: ReadonlyArray<Losses.LossTerm>, policy: Policy.Policy) =>
  Effect.gen(function* () {
    const options: TrainingOptions = {
      ...{ batchSize, timeSteps, encoding: "frames", loss },
      optimizer: Optimizer.sgd(),
    }
    const program = yield* compile(graph, policy, options)
    const expected = yield* measured(Oracle.make(program), program)
    const found = yield* measured(yield* (yield* Backend).prepare(program), program)
    yield* ensure(
      expected.gradients.some((value) => value !== 0),
      "no gradient reaches the weights",
    )
    yield* expectClose("the loss", expected.loss, found.loss, 1e-5)
    yield* expectClose("gradients", expected.gradients, found.gradients, 1e-4)
  }).pipe(Effect.scoped)

export const lossCases = Object.entries(terms).map(([name, loss], i) => ({
  name: `loss ${name}`,
  run: agrees(loss, i % 2 === 0 ? Policy.bptt : Policy.sltt),
}))
